// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/adder_circuit.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/hw/cost.h"
#include "weft/hw/port_plan.h"
#include "weft/netlist/hdl_tree.h"

namespace weft::hw {

using netlist::Builder;
using netlist::NetId;
using netlist::Term;

namespace {

/// a + b + c in one sum, of which one may be constant; fewer operands and offsets go the way of two-term sums.
Signal add_three(Builder& builder, const Signal& a, const Signal& b, const Signal& c, const fixed::Range& range) {
  std::vector<const Signal*> nets;
  Int constant = 0;
  bool plain = true;
  for (const Signal* s : {&a, &b, &c}) {
    if (s->is_constant()) {
      constant += s->offset;
    } else {
      plain = plain && s->offset == 0;
      nets.push_back(s);
    }
  }
  if (!plain || nets.size() < 2 || (nets.size() == 2 && constant == 0))
    return hw::add(builder, hw::add(builder, a, b, false), c, false);
  // The common shift and, when all are negated, the sign stay outside of the adder.
  int shift = constant != 0 ? fixed::trailing_zeros(constant) : nets[0]->shift;
  bool negate = true;
  for (const Signal* s : nets) {
    negate = negate && s->negate;
    shift = std::min(shift, s->shift);
  }
  std::vector<Term> terms;
  for (const Signal* s : nets) terms.push_back({s->net, s->shift - shift, s->negate != negate});
  if (constant != 0) terms.push_back({builder.constant((negate ? -constant : constant) >> shift), 0, false});
  const fixed::Range known{(negate ? -range.hi : range.lo) >> shift, (negate ? -range.lo : range.hi) >> shift, 0};
  Signal sum = signal_of(builder, builder.sum(std::move(terms), &known));
  if (sum.is_constant()) return constant_signal((negate ? -sum.offset : sum.offset) << shift);
  sum.shift = shift;
  sum.negate = negate;
  return sum;
}

}  // namespace

std::vector<Signal> build_adder_graph(Builder& builder, const shiftadd::Problem& problem,
                                      const shiftadd::Solution& solution, const std::vector<Signal>& inputs,
                                      const std::string& prefix) {
  // Signals, because a node may be a constant or come out as another net shifted.
  std::vector<Signal> nodes;
  nodes.reserve(solution.nodes.size());
  const auto term_signal = [&](const shiftadd::Term& term) {
    Signal s = term.operand < 0 ? constant_signal(0) : nodes[static_cast<std::size_t>(term.operand)];
    s.offset <<= term.shift;
    if (term.negate) s.offset = -s.offset;
    if (!s.is_constant()) {
      s.shift += term.shift;
      s.negate = s.negate != term.negate;
    }
    return s;
  };
  for (std::size_t i = 0; i < solution.nodes.size(); ++i) {
    const shiftadd::Node& node = solution.nodes[i];
    switch (node.kind) {
      case shiftadd::Node::Kind::Input:
        nodes.push_back(inputs[static_cast<std::size_t>(node.input)]);
        break;
      case shiftadd::Node::Kind::Constant:
        nodes.push_back(constant_signal(node.constant));
        break;
      case shiftadd::Node::Kind::Sum: {
        const Signal a = term_signal(node.a);
        const Signal b = term_signal(node.b);
        Signal sum = node.terms() == 3
                         ? add_three(builder, a, b, term_signal(node.c), node.range)
                         : hw::add(builder, a, b, false, a.is_constant() || b.is_constant() ? nullptr : &node.range);
        // A constant is a real operand here: the solver has placed it where it costs least.
        if (!sum.is_constant() && sum.offset != 0) {
          sum = signal_of(builder, materialize(builder, sum, 0, &node.range));
        }
        if (!sum.is_constant()) builder.rename(sum.net, fmt::format("{}{}", prefix, i));
        nodes.push_back(sum);
        break;
      }
    }
  }
  std::vector<Signal> out;
  for (std::size_t o = 0; o < static_cast<std::size_t>(problem.n_out); ++o)
    out.push_back(term_signal(solution.outputs[o]));
  return out;
}

Result<Design> matrix_design(const shiftadd::Problem& problem, const shiftadd::Solution& solution,
                             const std::string& name, const Family& family, Primitives primitives, Context& ctx) {
  if (primitives == Primitives::Xilinx) WEFT_TRY_VOID(require_ternary(family, ctx));
  Design design;
  design.family = family;
  design.part.name = family.title;
  design.part.family = family.name;
  design.options.register_outputs = false;
  design.options.valid = false;
  design.options.primitives = primitives;
  design.top = netlist::legal_identifier(name);
  design.netlist.name = design.top;
  Builder builder(design.netlist);

  builder.begin_module("x", "input `x`");
  PortPlan in = plan_port("in_x", exact::ValueId{0}, problem.inputs);
  netlist::Port in_port = port_of(in);
  std::vector<Signal> x;
  for (std::size_t i = 0; i < problem.inputs.size(); ++i) {
    const fixed::Range& range = problem.inputs[i];
    const NetId net = builder.input(range);
    builder.rename(net, fmt::format("x{}", i));
    in_port.elements.push_back(net);
    x.push_back(range.lo == range.hi
                    ? constant_signal(range.lo)
                    : Signal{.net = builder.shift_right(net, range.step_log2), .shift = range.step_log2});
  }
  builder.begin_module("sums", "y = x M");
  const std::vector<Signal> sums = build_adder_graph(builder, problem, solution, x, "t");
  builder.begin_module("y", "output `y`");
  std::vector<NetId> results;
  std::vector<fixed::Range> ranges;
  for (std::size_t o = 0; o < sums.size(); ++o) {
    const NetId net = materialize(builder, sums[o]);
    builder.rename(net, fmt::format("y{}", o));
    results.push_back(net);
    ranges.push_back(builder.range(net));
  }
  if (builder.failed()) return ctx.fail(Kind::TypeTooWide, {}, "a sum needs more than 126 bits in hardware");
  PortPlan out = plan_port("out_y", exact::ValueId{1}, ranges);
  netlist::Port out_port = port_of(out);
  out_port.elements = std::move(results);
  design.netlist.inputs.push_back(std::move(in_port));
  design.netlist.outputs.push_back(std::move(out_port));
  design.inputs.push_back(std::move(in));
  design.outputs.push_back(std::move(out));
  netlist::remove_dead(design.netlist);

  design.graph.name = name;
  exact::Value input;
  input.name = std::string(1, 'x');
  input.shape = {problem.n_in};
  input.ranges = problem.inputs;
  exact::Value output;
  output.name = std::string(1, 'y');
  output.shape = {problem.n_out};
  output.ranges = std::move(ranges);
  exact::MatVec product;
  product.x = exact::ValueId{0};
  product.n_in = problem.n_in;
  product.n_out = problem.n_out;
  product.weights = problem.matrix;
  product.bias = problem.bias;
  output.primitive = std::move(product);
  design.graph.inputs.push_back({.name = input.name, .value = exact::ValueId{0}, .conversion = {}, .rule = {}});
  design.graph.outputs.push_back({.name = output.name, .value = exact::ValueId{1}, .steps = {}});
  design.graph.values = {std::move(input), std::move(output)};

  const Delays delays = delays_of(design.netlist, design.family);
  constexpr double kOneStage = 1e15;
  design.pipeline = netlist::make_pipeline(
      design.netlist, delays.cells, {.stage_ps = kOneStage, .register_inputs = false, .register_outputs = false}, ctx);
  if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "planning was cancelled");
  design.latency_cycles = design.pipeline.output_stage;
  design.period_ns = design.options.clock_ns = (design.pipeline.worst_ps + delays.tail_ps) / 1000.0;
  return design;
}

}  // namespace weft::hw
