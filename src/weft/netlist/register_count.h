// SPDX-License-Identifier: Apache-2.0
/// @file
/// Counts the flip-flops that synthesis leaves of a pipeline's registers, bit by bit.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/netlist/netlist.h"
#include "weft/netlist/pipeline.h"

namespace weft::netlist {

/// Per cell: what becomes of the register chain of its net. Bits that nobody reads vanish, bits that are copies of
/// another net's bits are counted there, constant bits not at all.
struct RegisterCount {
  std::vector<std::int64_t> flip_flops;
  /// Bits of chains of three and more registers without a reader in between, when `shift_registers`.
  std::vector<std::int64_t> shift_luts;
};

/// `shift_registers`: the family turns long chains into LUTs (Xilinx SRL16 and SRL32, as Yosys maps them).
RegisterCount count_registers(const Netlist& netlist, const Pipeline& pipeline, bool shift_registers);

/// Bits of every net that some reader or output depends on.
std::vector<UInt> used_bits(const Netlist& netlist);

}  // namespace weft::netlist
