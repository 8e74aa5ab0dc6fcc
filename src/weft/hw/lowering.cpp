// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/lowering.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/hw/port_plan.h"

namespace weft::hw {

using exact::Value;
using exact::ValueId;
using netlist::NetId;
using Signals = std::vector<Signal>;

double Lowering::arrival(NetId net) {
  for (std::size_t i = arrival_.size(); i < result_.netlist.cells.size(); ++i) {
    const netlist::Cell& cell = result_.netlist.cells[i];
    double time = 0.0;
    for (const netlist::Term& term : cell.terms) time = std::max(time, arrival_[term.net.index]);
    // As in the cost model of adder graphs, whose chains ripple at the same time.
    const bool chain = cell.op == netlist::Op::Sum && cell.terms.size() > 1;
    arrival_.push_back(time + (chain ? family_.adder_base_ps + (cell.terms.size() == 3 ? family_.lut_ps : 0.0)
                                     : delay_ps(result_.netlist, cell, family_)));
  }
  return arrival_[net.index];
}

Result<Lowered> Lowering::run() {
  signals_.resize(graph_.values.size());
  for (const char* name : {"clk", "rst", "ce", "in_valid", "out_valid"}) port_names_.unique(name);
  std::vector<bool> used(graph_.values.size(), false);
  for (const auto& output : graph_.outputs) used[output.value.index] = true;
  for (std::size_t i = graph_.values.size(); i-- > 0;) {
    if (!used[i]) continue;
    for (ValueId x : exact::operands(graph_.values[i].primitive)) used[x.index] = true;
  }
  // Ports come in the order of the graph's inputs.
  std::vector<std::size_t> order;
  for (const auto& input : graph_.inputs) {
    order.push_back(input.value.index);
    used[input.value.index] = false;
  }
  for (std::size_t i = 0; i < graph_.values.size(); ++i) {
    if (used[i]) order.push_back(i);
  }
  module_names_.unique("tb");
  module_names_.unique("types");
  for (std::size_t i : order) {
    if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, {}, "planning was cancelled");
    if (ctx_.progress != nullptr) ctx_.progress->update("plan", i, graph_.values.size());
    const Value& value = graph_.values[i];
    current_ = ValueId{static_cast<std::uint32_t>(i)};
    builder_.begin_module(module_names_.unique(value.name),
                          fmt::format("{} `{}`", exact::name_of(value.primitive), value.name));
    WEFT_TRY(signals_[i], std::visit([&](const auto& p) { return lower(value, p); }, value.primitive));
    WEFT_CHECK(static_cast<std::int64_t>(signals_[i].size()) == element_count(value.shape), "one signal per element");
    if (builder_.failed()) {
      return ctx_.fail(Kind::TypeTooWide, value.origin,
                       fmt::format("`{}` needs intermediate values of more than 126 bits in hardware", value.name));
    }
    for (std::size_t e = 0; e < signals_[i].size(); ++e) {
      const NetId wide = signals_[i][e].net;
      signals_[i][e] = narrow(builder_, signals_[i][e], value.ranges[e]);
      if (const auto it = slotted_.find(wide); it != slotted_.end() && !signals_[i][e].is_constant())
        slotted_.emplace(signals_[i][e].net, it->second);
      if (!signals_[i][e].is_constant()) builder_.rename(signals_[i][e].net, fmt::format("y{}", e));
    }
  }
  WEFT_TRY_VOID(finish_outputs());
  return std::move(result_);
}

Result<void> Lowering::finish_outputs() {
  for (const auto& output : graph_.outputs) {
    const Value& value = graph_.at(output.value);
    builder_.begin_module(module_names_.unique("out_" + output.name), fmt::format("output `{}`", output.name));
    PortPlan plan = plan_port(port_names_.unique("out_" + output.name), output.value, value.ranges);
    netlist::Port port = port_of(plan);
    for (std::size_t e = 0; e < value.ranges.size(); ++e) {
      const NetId net = materialize(builder_, signals(output.value)[e], 0, &value.ranges[e]);
      builder_.rename(net, fmt::format("y{}", e));
      port.elements.push_back(net);
    }
    if (builder_.failed()) {
      return ctx_.fail(Kind::TypeTooWide, value.origin,
                       fmt::format("output `{}` needs more than 126 bits in hardware", output.name));
    }
    result_.netlist.outputs.push_back(std::move(port));
    result_.outputs.push_back(std::move(plan));
  }
  return {};
}

Result<Signals> Lowering::lower(const Value& value, const exact::Input& /*p*/) {
  std::string name = value.name;
  bool bipolar = false;
  for (const auto& input : graph_.inputs) {
    if (input.value != current_) continue;
    name = input.name;
    bipolar = input.conversion.form == exact::InputConversion::Form::Bipolar;
  }
  PortPlan plan = plan_port(port_names_.unique("in_" + name), current_, value.ranges);
  netlist::Port port = port_of(plan);
  Signals out;
  for (std::size_t e = 0; e < value.ranges.size(); ++e) {
    const fixed::Range& range = value.ranges[e];
    const NetId net = builder_.input(range);
    builder_.rename(net, fmt::format("x{}", e));
    port.elements.push_back(net);
    if (bipolar && range.lo == -1 && range.hi == 1) {
      // Codes are -1 and +1 only: the sign bit says all, code = 1 - 2 * sign.
      out.push_back({.net = builder_.bits(net, 1, 1), .shift = 1, .negate = true, .offset = 1});
      continue;
    }
    if (range.lo == range.hi) {
      out.push_back(constant_signal(range.lo));
      continue;
    }
    out.push_back({.net = builder_.shift_right(net, range.step_log2), .shift = range.step_log2});
  }
  result_.netlist.inputs.push_back(std::move(port));
  result_.inputs.push_back(std::move(plan));
  return out;
}

Result<Signals> Lowering::lower(const Value& /*value*/, const exact::Constant& p) {
  Signals out;
  out.reserve(p.codes.size());
  for (Int code : p.codes) out.push_back(constant_signal(code));
  return out;
}

Result<Signals> Lowering::add_or_sub(const Value& value, ValueId a, ValueId b, int shift_a, int shift_b,
                                     bool subtract) {
  Signals out;
  const auto count = static_cast<std::size_t>(element_count(value.shape));
  for (std::size_t e = 0; e < count; ++e) {
    const auto x = shifted(builder_, signals(a)[tensor::broadcast_index(graph_.at(a).shape, value.shape, e)], shift_a);
    const auto y = shifted(builder_, signals(b)[tensor::broadcast_index(graph_.at(b).shape, value.shape, e)], shift_b);
    if (!x || !y) {
      return ctx_.fail(Kind::TypeTooWide, value.origin,
                       fmt::format("`{}` needs more than 126 bits in hardware", value.name));
    }
    out.push_back(hw::add(builder_, *x, *y, subtract, &value.ranges[e]));
  }
  return out;
}

Result<Signals> Lowering::lower(const Value& value, const exact::Add& p) {
  return add_or_sub(value, p.a, p.b, p.shift_a, p.shift_b, false);
}

Result<Signals> Lowering::lower(const Value& value, const exact::Sub& p) {
  return add_or_sub(value, p.a, p.b, p.shift_a, p.shift_b, true);
}

Result<Signals> Lowering::lower(const Value& value, const exact::Mul& p) {
  Signals out;
  const auto count = static_cast<std::size_t>(element_count(value.shape));
  for (std::size_t e = 0; e < count; ++e) {
    const Signal& a = signals(p.a)[tensor::broadcast_index(graph_.at(p.a).shape, value.shape, e)];
    const Signal& b = signals(p.b)[tensor::broadcast_index(graph_.at(p.b).shape, value.shape, e)];
    if (a.is_constant() || b.is_constant()) {
      const Int factor = a.is_constant() ? a.offset : b.offset;
      const Signal& x = a.is_constant() ? b : a;
      if (x.is_constant()) {
        out.push_back(constant_signal(factor * x.offset));
      } else if (factor == 0) {
        out.push_back(constant_signal(0));
      } else {
        const auto offset = fixed::checked_mul(x.offset, factor);
        if (!offset) {
          return ctx_.fail(Kind::TypeTooWide, value.origin,
                           fmt::format("`{}` needs more than 126 bits in hardware", value.name));
        }
        Signal y = signal_of(builder_, scaled(x.net, factor));
        y.shift = x.shift;
        y.negate = x.negate;
        y.offset = *offset;
        out.push_back(y);
      }
      continue;
    }
    const NetId x = materialize(builder_, Signal{a.net, 0, a.negate, fixed::floor_shift(a.offset, a.shift)});
    const NetId y = materialize(builder_, Signal{b.net, 0, b.negate, fixed::floor_shift(b.offset, b.shift)});
    const bool exact_a = fixed::floor_shift(a.offset, a.shift) << a.shift == a.offset;
    const bool exact_b = fixed::floor_shift(b.offset, b.shift) << b.shift == b.offset;
    if (exact_a && exact_b) {
      const int shift = a.shift + b.shift;
      const fixed::Range known{-fixed::floor_shift(-value.ranges[e].lo, shift),
                               fixed::floor_shift(value.ranges[e].hi, shift), 0};
      Signal product = signal_of(builder_, builder_.multiply(x, y, &known));
      if (product.is_constant()) {
        product.offset <<= shift;
      } else {
        product.shift = shift;
      }
      out.push_back(product);
    } else {
      out.push_back(
          signal_of(builder_, builder_.multiply(materialize(builder_, a), materialize(builder_, b), &value.ranges[e])));
    }
  }
  return out;
}

Result<Signals> Lowering::lower(const Value& value, const exact::Concat& p) {
  // Row-major blocks: [outer, extent_i * inner] of each operand side by side.
  const auto axis =
      static_cast<std::size_t>(p.axis < 0 ? p.axis + static_cast<std::int64_t>(value.shape.size()) : p.axis);
  std::int64_t outer = 1;
  for (std::size_t i = 0; i < axis; ++i) outer *= value.shape[i];
  Signals out;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (ValueId x : p.xs) {
      const auto& from = signals(x);
      const auto block = static_cast<std::int64_t>(from.size()) / std::max<std::int64_t>(outer, 1);
      out.insert(out.end(), from.begin() + o * block, from.begin() + (o + 1) * block);
    }
  }
  return out;
}

Result<Signals> Lowering::move(const Value& value) {
  const auto m = exact::movement(graph_, value);
  Signals out;
  out.reserve(m->from.size());
  for (const std::int64_t i : m->from) out.push_back(i < 0 ? constant_signal(m->pad) : signals(m->x)[i]);
  return out;
}
Result<Signals> Lowering::lower(const Value& value, const exact::Permute& /*p*/) { return move(value); }
Result<Signals> Lowering::lower(const Value& value, const exact::Window& /*p*/) { return move(value); }
Result<Signals> Lowering::lower(const Value& value, const exact::Gather& /*p*/) { return move(value); }

Result<Signals> Lowering::lower(const Value& /*value*/, const exact::Reshape& p) { return signals(p.x); }

}  // namespace weft::hw
