// SPDX-License-Identifier: Apache-2.0
/// @file
/// The package of port types of a design in VHDL. Internal to the VHDL backend.
#pragma once

#include <map>
#include <string>

#include "weft/hw/design.h"

namespace weft::backends::vhdl {

struct PortTypes {
  std::string package;                         ///< its name
  std::string text;                            ///< its source
  std::map<std::string, std::string> by_port;  ///< port -> type, with library and package in front
};

/// Per data port: the port's type, an array of its elements as numbers, and the functions pack and unpack between them.
PortTypes port_types(const hw::Design& design, const std::string& package);

}  // namespace weft::backends::vhdl
