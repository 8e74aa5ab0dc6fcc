// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which nets of a planned design cross module borders, and under which names. Internal to the Verilog backend.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weft/hw/design.h"
#include "weft/netlist/verilog_tree.h"

namespace weft::backends::verilog {

/// A net, `delay` registers later.
struct Tap {
  std::uint32_t cell = 0;
  int delay = 0;
  auto operator<=>(const Tap&) const = default;
};

/// What one module of the netlist takes and gives. The result bus holds the exported taps, the first in the low bits.
struct ModuleView {
  std::uint32_t module = 0;
  std::string name;                  ///< of the Verilog module
  std::vector<std::uint32_t> cells;  ///< in order, constants left out
  std::vector<std::uint32_t> producers;
  std::map<Tap, int> exports;  ///< tap -> lowest bit in the result bus
  int result_width_bits = 0;
  bool has_registers = false;
};

/// The design seen as modules with buses between them.
class Circuit {
 public:
  explicit Circuit(const hw::Design& design);

  [[nodiscard]] const hw::Design& design() const { return design_; }
  [[nodiscard]] const netlist::Netlist& netlist() const { return design_.netlist; }
  [[nodiscard]] const std::vector<ModuleView>& modules() const { return modules_; }
  /// The view of a netlist module; it must have cells.
  [[nodiscard]] const ModuleView& view(std::uint32_t module) const { return modules_[view_of_[module]]; }
  [[nodiscard]] int register_depth(std::uint32_t cell) const { return depth_[cell]; }
  /// Registers between a net and its reader.
  [[nodiscard]] int delay(netlist::NetId net, std::uint32_t reader) const {
    return design_.pipeline.stage[reader] - design_.pipeline.stage[net.index];
  }
  [[nodiscard]] int output_delay(netlist::NetId net) const {
    return design_.pipeline.output_stage - design_.pipeline.stage[net.index];
  }

 private:
  const hw::Design& design_;
  std::vector<ModuleView> modules_;
  std::vector<std::size_t> view_of_;
  std::vector<int> depth_;
};

/// One module of the netlist as Verilog.
netlist::VerilogModule print_module(const Circuit& circuit, const ModuleView& view);
/// The module that joins them, with ports and valid bits.
netlist::VerilogModule print_top(const Circuit& circuit);
/// tb/<top>_tb.v.
std::string print_testbench(const hw::Design& design);
/// interface.json.
std::string print_interface(const hw::Design& design);

}  // namespace weft::backends::verilog
