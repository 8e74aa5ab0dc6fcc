// SPDX-License-Identifier: Apache-2.0
/// @file
/// How the elements of one input or output lie in a port.
#pragma once

#include <string>
#include <vector>

#include "weft/hw/design.h"

namespace weft::hw {

/// All elements in fields of the width that the widest of `ranges` needs.
PortPlan plan_port(std::string name, exact::ValueId value, const std::vector<fixed::Range>& ranges);

/// The netlist's side of it, still without elements.
netlist::Port port_of(const PortPlan& plan);

}  // namespace weft::hw
