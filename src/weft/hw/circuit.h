// SPDX-License-Identifier: Apache-2.0
/// @file
/// A planned design as modules of a hardware description, in no language: which nets cross module borders, and what
/// stands in each module.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "weft/hw/design.h"
#include "weft/netlist/hdl_tree.h"

namespace weft::hw {

/// A net behind `registers` registers.
struct Tap {
  std::uint32_t cell = 0;
  int registers = 0;
  auto operator<=>(const Tap&) const = default;
};

/// What one module of the netlist takes and gives. The result bus holds the exported taps, the first in the low bits.
struct ModuleView {
  std::uint32_t module = 0;
  std::string name;                  ///< of the printed module
  std::vector<std::uint32_t> cells;  ///< in order, constants left out
  std::vector<std::uint32_t> producers;
  std::map<Tap, int> exports;  ///< tap -> lowest bit in the result bus
  int result_width_bits = 0;
  bool has_registers = false;
  std::set<int> events;  ///< stages of which the module is told that an event is there
};

/// The design seen as modules with buses between them.
class Circuit {
 public:
  explicit Circuit(const Design& design);

  [[nodiscard]] const Design& design() const { return design_; }
  [[nodiscard]] const netlist::Netlist& netlist() const { return design_.netlist; }
  [[nodiscard]] const std::vector<ModuleView>& modules() const { return modules_; }
  /// The view of a netlist module; it must have cells.
  [[nodiscard]] const ModuleView& view(std::uint32_t module) const { return modules_[view_of_[module]]; }
  [[nodiscard]] int register_depth(std::uint32_t cell) const { return depth_[cell]; }
  /// Bits of a net that some reader or output depends on.
  [[nodiscard]] UInt used_bits(std::uint32_t cell) const { return used_[cell]; }
  /// Whether a cell is written as LUTs of two bits each.
  [[nodiscard]] bool is_paired(std::uint32_t cell) const { return !design_.paired.empty() && design_.paired[cell]; }
  /// Where an operand of a cell, and an output, is taken from.
  [[nodiscard]] Tap operand_tap(std::uint32_t reader, std::size_t term) const;
  [[nodiscard]] Tap output_tap(netlist::NetId net) const;
  /// The stage in which register `index` (from 1) of a net is loaded; -1: every cycle.
  [[nodiscard]] int load_stage(std::uint32_t cell, int index) const {
    return netlist::load_stage(design_.netlist, design_.pipeline, cell, index, delay_[cell]);
  }
  /// The stage in front of the one in which a Slot or Accumulate begins.
  [[nodiscard]] int start_stage(std::uint32_t cell) const;

 private:
  const Design& design_;
  std::vector<ModuleView> modules_;
  std::vector<std::size_t> view_of_;
  std::vector<int> depth_;
  std::vector<int> delay_;  ///< stages to the last reader
  std::vector<UInt> used_;
};

/// The input of a module that is high while an event is in that stage.
std::string event_name(int stage);

/// Fails with LimitExceeded when a port is empty or wider than the tools take.
Result<void> check_ports(const Design& design, Context& ctx);
/// One module of the netlist.
netlist::HdlModule module_tree(const Circuit& circuit, const ModuleView& view);
/// The module that joins them, with ports and valid bits.
netlist::HdlModule top_tree(const Circuit& circuit);
/// The three-input adder that all modules share where the primitives are those of Xilinx.
std::string ternary_adder_name(const Design& design);
/// All of them, the top last: every module stands behind those it has instances of.
Result<std::vector<netlist::HdlModule>> design_trees(const Design& design, Context& ctx);

}  // namespace weft::hw
