// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "weft/fixed/rational.h"
#include "weft/hw/circuit.h"

namespace weft::hw {

using netlist::Cell;
using netlist::Expr;
using netlist::HdlModule;
using netlist::NetId;
using netlist::Op;

namespace {

std::string describe(const Design& design, const PortPlan& port) {
  const exact::Value& value = design.graph.at(port.value);
  const std::string scale =
      value.scale.per_tensor() ? "scale " + fixed::to_string(value.scale.at(0)) : "a scale per channel";
  return fmt::format("  {}: {} x {} bits {}, shape {}, {}", port.name, port.elements, port.element_width_bits,
                     port.is_signed ? "signed" : "unsigned", to_string(value.shape), scale);
}

void print_header(const Design& design, HdlModule& out) {
  out.header(fmt::format("{}: parallel pipeline of network `{}`.", design.top, design.graph.name));
  out.header("");
  out.header(
      fmt::format("Latency {} cycles: an input sampled at one rising edge of clk gives an output that can be sampled",
                  design.latency_cycles));
  out.header(
      fmt::format("{} edges later. A new input every {}. Made for {:g} ns on {}; the delay model says {:.3f} ns.",
                  design.latency_cycles,
                  design.interval_cycles == 1 ? std::string("cycle") : fmt::format("{} cycles", design.interval_cycles),
                  design.options.clock_ns, design.part.name, design.period_ns));
  if (design.interval_cycles > 1)
    out.header(fmt::format("in_valid is high for one edge of every {} at most; inputs are taken at this edge.",
                           design.interval_cycles));
  out.header(
      "Element 0 stands in the low bits of each port; every element of a port has the same width and holds an integer");
  out.header("code, two's complement where signed. Real value = scale * code.");
  for (const auto& port : design.inputs) out.header(describe(design, port));
  for (const auto& port : design.outputs) out.header(describe(design, port));
  if (design.options.valid)
    out.header("rst (synchronous, active high) clears the valid bits only; data need no reset.");
  if (design.options.clock_enable) out.header("ce low holds every register.");
}

}  // namespace

HdlModule top_tree(const Circuit& circuit) {
  const Design& design = circuit.design();
  const netlist::Netlist& netlist = circuit.netlist();
  const PlanOptions& options = design.options;
  HdlModule out(design.top);
  print_header(design, out);
  out.input("clk", 1);
  out.input("rst", 1);
  if (options.clock_enable) {
    out.input("ce", 1);
    out.set_enable("ce");
  }
  netlist::NameScope scope;
  for (const char* name : {"clk", "rst", "ce", "in_valid", "out_valid"}) scope.unique(name);
  if (options.valid) out.input("in_valid", 1);
  for (const auto& port : design.inputs) {
    scope.unique(port.name);
    out.input(port.name, static_cast<int>(port.width_bits()));
  }
  if (options.valid) out.output("out_valid", 1);
  for (const auto& port : design.outputs) {
    scope.unique(port.name);
    out.output(port.name, static_cast<int>(port.width_bits()));
  }

  const int latency = design.latency_cycles;
  std::string valid;
  if (options.valid && latency > 0) {
    valid = scope.unique("valid");
    out.comment("One bit per register stage.");
    out.reg_with_reset(valid, latency,
                       latency == 1 ? Expr::name("in_valid")
                                    : Expr::concat({Expr::slice(valid, latency - 2, 0), Expr::name("in_valid")}));
  }
  const auto event = [&](int stage) {
    return stage == 0 ? Expr::name("in_valid") : latency == 1 ? Expr::name(valid) : Expr::bit(valid, stage - 1);
  };
  if (options.valid) out.assign("out_valid", event(latency));

  std::vector<std::string> buses(netlist.modules.size());
  for (const ModuleView& view : circuit.modules()) {
    const std::string& name = netlist.modules[view.module].name;
    buses[view.module] = scope.unique(name);
    std::vector<std::pair<std::string, Expr>> connections;
    if (view.has_registers) {
      connections.emplace_back("clk", Expr::name("clk"));
      if (options.clock_enable) connections.emplace_back("ce", Expr::name("ce"));
    }
    for (const int stage : view.events) connections.emplace_back(event_name(stage), event(stage));
    for (const netlist::Port& port : netlist.inputs) {
      if (!port.elements.empty() && netlist.at(port.elements[0]).module == view.module) {
        connections.emplace_back(port.name, Expr::name(port.name));
      }
    }
    for (std::uint32_t producer : view.producers) {
      connections.emplace_back("from_" + netlist.modules[producer].name, Expr::name(buses[producer]));
    }
    connections.emplace_back("result", Expr::name(buses[view.module]));
    out.wire(buses[view.module], std::max(1, view.result_width_bits));
    out.instance(view.name, scope.unique("u_" + name), connections);
  }

  for (std::size_t p = 0; p < netlist.outputs.size(); ++p) {
    const netlist::Port& port = netlist.outputs[p];
    std::vector<Expr> parts;
    for (std::size_t e = port.elements.size(); e-- > 0;) {
      const Cell& x = netlist.at(port.elements[e]);
      if (x.op == Op::Constant) {
        parts.push_back(Expr::constant(port.element_width_bits, x.constant));
        continue;
      }
      const ModuleView& view = circuit.view(x.module);
      const std::string& bus = buses[x.module];
      const int low = view.exports.at(circuit.output_tap(port.elements[e]));
      const auto bits = [&](int high_bit, int low_bit) {
        return view.result_width_bits == 1 ? Expr::name(bus) : Expr::slice(bus, high_bit, low_bit);
      };
      const int extension = port.element_width_bits - x.width_bits;
      const int high = low + x.width_bits - 1;
      if (extension > 0) {
        parts.push_back(x.is_signed ? Expr::repeat(extension, bits(high, high)) : Expr::constant(extension, 0));
      }
      parts.push_back(bits(high, low));
    }
    if (!parts.empty()) out.assign(port.name, Expr::concat(parts));
  }

  return out;
}

}  // namespace weft::hw
