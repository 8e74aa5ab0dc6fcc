// SPDX-License-Identifier: Apache-2.0
/// @file
/// Cuts a netlist into pipeline stages with few registers.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/netlist/netlist.h"
#include "weft/support/context.h"

namespace weft::netlist {

/// Where registers stand. A net read `stage[consumer] - stage[producer]` stages later is registered that often; all its
/// consumers share the chain. Constants are never registered.
struct Pipeline {
  std::vector<int> stage;  ///< per cell: the stage in which it computes; inputs are in stage 0
  int output_stage = 0;    ///< the stage in which outputs are read: the latency in cycles
  double worst_ps = 0.0;   ///< longest delay between registers, cells only
};

struct PipelineOptions {
  double stage_ps = 0.0;  ///< longest delay between registers; a single slower cell gets a stage of its own
  bool register_inputs = false;
  bool register_outputs = true;
  /// Price of a register behind each net; empty: its width.
  std::vector<std::int64_t> price{};
  /// Effort of register minimization: sweeps over all cuts.
  int sweeps = 2;
};

/// `delay_ps` per cell.
Pipeline make_pipeline(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options,
                       Context& ctx);
/// Number of stages the options lead to, without placing anything.
int count_stages(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options);

/// Register depth of every net: the longest chain that a consumer or an output asks for.
std::vector<int> register_depths(const Netlist& netlist, const Pipeline& pipeline);
/// Flip-flops of all register chains (valid bits not counted).
std::int64_t register_bits(const Netlist& netlist, const Pipeline& pipeline);

/// Whether the lowest bit of the carry chain of `sum`, a cell that adds two terms, is written as an XOR beside the
/// chain. That keeps synthesis from merging the chain with one that it reads in the same stage, and spares a register:
/// the lowest bit of (a << s) - b is that of b. `ternary_cells`: sums of three terms are cells of the vendor.
bool lowest_bit_apart(const Netlist& netlist, const Pipeline& pipeline, std::uint32_t sum, bool ternary_cells);

/// Empty when no cell reads a value of a later stage and no stage is longer than worst_ps.
std::string verify(const Netlist& netlist, const Pipeline& pipeline, const std::vector<double>& delay_ps);

}  // namespace weft::netlist
