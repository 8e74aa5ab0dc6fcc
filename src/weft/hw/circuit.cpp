// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/circuit.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "weft/netlist/register_count.h"

namespace weft::hw {

using netlist::Cell;
using netlist::NetId;
using netlist::Op;
using netlist::Term;

Circuit::Circuit(const Design& design)
    : design_(design),
      depth_(netlist::register_depths(design.netlist, design.pipeline)),
      delay_(netlist::read_delays(design.netlist, design.pipeline)),
      used_(netlist::used_bits(design.netlist)) {
  const netlist::Netlist& netlist = design.netlist;
  std::vector<std::vector<std::uint32_t>> cells(netlist.modules.size());
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    if (netlist.cells[i].op != Op::Constant) cells[netlist.cells[i].module].push_back(static_cast<std::uint32_t>(i));
  }
  view_of_.assign(netlist.modules.size(), 0);
  for (std::size_t m = 0; m < cells.size(); ++m) {
    if (cells[m].empty()) continue;
    view_of_[m] = modules_.size();
    ModuleView view;
    view.module = static_cast<std::uint32_t>(m);
    view.name = design.top + "_" + netlist.modules[m].name;
    view.cells = std::move(cells[m]);
    for (std::uint32_t cell : view.cells) {
      const Op op = netlist.cells[cell].op;
      const bool starts = op == Op::Slot || op == Op::Accumulate;
      if (starts) view.events.insert(start_stage(cell));
      for (int index = 1; index <= depth_[cell]; ++index) {
        if (const int stage = load_stage(cell, index); stage >= 0) view.events.insert(stage);
      }
      view.has_registers = view.has_registers || depth_[cell] > 0 || starts;
    }
    modules_.push_back(std::move(view));
  }
  for (ModuleView& reader : modules_) {
    std::set<std::uint32_t> producers;
    for (std::uint32_t cell : reader.cells) {
      const std::vector<Term>& terms = netlist.cells[cell].terms;
      for (std::size_t t = 0; t < terms.size(); ++t) {
        const Cell& x = netlist.at(terms[t].net);
        if (x.op == Op::Constant || x.module == reader.module) continue;
        producers.insert(x.module);
        modules_[view_of_[x.module]].exports.emplace(operand_tap(cell, t), 0);
      }
    }
    reader.producers.assign(producers.begin(), producers.end());
  }
  for (const netlist::Port& port : netlist.outputs) {
    for (NetId net : port.elements) {
      const Cell& x = netlist.at(net);
      if (x.op == Op::Constant) continue;
      modules_[view_of_[x.module]].exports.emplace(output_tap(net), 0);
    }
  }
  for (ModuleView& view : modules_) {
    for (auto& [tap, low_bit] : view.exports) {
      low_bit = view.result_width_bits;
      view.result_width_bits += netlist.cells[tap.cell].width_bits;
    }
  }
}

Tap Circuit::operand_tap(std::uint32_t reader, std::size_t term) const {
  const NetId net = design_.netlist.cells[reader].terms[term].net;
  const int stage = netlist::read_stage(design_.netlist, design_.pipeline, reader, term);
  return {net.index, netlist::registers_until(design_.netlist, design_.pipeline, net, stage)};
}

Tap Circuit::output_tap(NetId net) const {
  return {net.index, netlist::registers_until(design_.netlist, design_.pipeline, net, design_.pipeline.output_stage)};
}

int Circuit::start_stage(std::uint32_t cell) const {
  const Cell& c = design_.netlist.cells[cell];
  const int first =
      c.op == Op::Slot ? design_.pipeline.stage[cell] : netlist::read_stage(design_.netlist, design_.pipeline, cell, 0);
  return first - 1;
}

std::string event_name(int stage) { return fmt::format("at{}", stage); }

Result<void> check_ports(const Design& design, Context& ctx) {
  for (const auto* ports : {&design.inputs, &design.outputs}) {
    for (const PortPlan& port : *ports) {
      // IEEE 1364 guarantees vectors of 2^16 bits; the tools take more, Verilator 2^20 or so.
      if (port.width_bits() > (std::int64_t{1} << 20) || port.elements == 0) {
        return ctx.fail(Kind::LimitExceeded, design.graph.at(port.value).origin,
                        fmt::format("port `{}` has {} bits; a parallel design takes 1 to {}", port.name,
                                    port.width_bits(), std::int64_t{1} << 20));
      }
    }
  }
  return {};
}

Result<std::vector<netlist::HdlModule>> design_trees(const Design& design, Context& ctx) {
  WEFT_TRY_VOID(check_ports(design, ctx));
  const Circuit circuit(design);
  std::vector<netlist::HdlModule> trees;
  for (const ModuleView& view : circuit.modules()) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "writing the modules was cancelled");
    trees.push_back(module_tree(circuit, view));
  }
  trees.push_back(top_tree(circuit));
  return trees;
}

std::string ternary_adder_name(const Design& design) { return design.options.prefix + "weft_ternary_adder"; }

}  // namespace weft::hw
