// SPDX-License-Identifier: Apache-2.0
/// @file
/// Cuts a netlist into pipeline stages with few registers.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/netlist/netlist.h"
#include "weft/support/context.h"

namespace weft::netlist {

/// Where registers stand. In the cycle `stage` cycles after the one of its inputs an event is in that stage. A net that
/// is read d stages behind the one of its cell is registered; all its readers share the chain. Constants never are.
/// A net with slots shows slot k in stage `stage[cell] + k` and moves on every cycle: d registers. Any other net of a
/// circuit that takes an event every `interval` cycles is loaded when the event is there and stays until the next one:
/// a register lasts `interval` stages.
struct Pipeline {
  std::vector<int> stage;  ///< per cell: the stage in which its result, or that of slot 0, is there; inputs are in 0
  int output_stage = 0;    ///< the stage in which outputs are read: the latency in cycles
  int interval = 1;        ///< cycles from one event to the next
  double worst_ps = 0.0;   ///< longest delay between registers, cells only
};

struct PipelineOptions {
  double stage_ps = 0.0;  ///< longest delay between registers; a single slower cell gets a stage of its own
  bool register_inputs = false;
  bool register_outputs = true;
  /// Cycles from one event to the next; the slots of all nets fit into them.
  int interval = 1;
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

/// The stage in which a cell reads an operand, or slot 0 of it.
int read_stage(const Netlist& netlist, const Pipeline& pipeline, std::size_t cell, std::size_t term);
/// Registers between a net and a reader in `stage`.
int registers_until(const Netlist& netlist, const Pipeline& pipeline, NetId net, int stage);
/// Stages from every net to its last reader or output.
std::vector<int> read_delays(const Netlist& netlist, const Pipeline& pipeline);
/// The stage in which register `index` (from 1) of a net whose last reader is `delay` stages behind is loaded; -1 when
/// it may load in every cycle.
int load_stage(const Netlist& netlist, const Pipeline& pipeline, std::size_t cell, int index, int delay);

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
