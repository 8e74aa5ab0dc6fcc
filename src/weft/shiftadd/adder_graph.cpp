// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/adder_graph.h"

#include <algorithm>

namespace weft::shiftadd {

BitSpan bit_span(const fixed::Range& range) {
  BitSpan span;
  span.lsb = range.step_log2;
  span.msb = fixed::width_bits(range.lo, range.hi, range.lo < 0);
  span.is_signed = range.lo < 0;
  if (span.msb <= span.lsb) span.msb = span.lsb + 1;
  return span;
}

AdderShape adder_shape(const BitSpan& a, const Term& term_a, const BitSpan& b, const Term& term_b,
                       const BitSpan& result) {
  const int lsb_a = a.lsb + term_a.shift;
  const int lsb_b = b.lsb + term_b.shift;
  const bool a_is_low = lsb_a <= lsb_b;
  const int low = a_is_low ? lsb_a : lsb_b;
  const int high = a_is_low ? lsb_b : lsb_a;
  const bool low_negated = a_is_low ? term_a.negate : term_b.negate;
  const bool high_negated = a_is_low ? term_b.negate : term_a.negate;
  const BitSpan& low_span = a_is_low ? a : b;
  const int low_top = low_span.msb + (a_is_low ? term_a.shift : term_b.shift);
  AdderShape shape;
  shape.width_bits = std::max(1, result.msb - low);
  if (low_negated) return shape;
  shape.free_bits = std::min(high - low, shape.width_bits);
  if (!low_span.is_signed && low_top <= high && !high_negated) shape.free_bits = shape.width_bits;
  return shape;
}

AdderGraph::AdderGraph(const std::vector<fixed::Range>& inputs, const std::vector<double>& arrival,
                       std::vector<int> slots, const CostModel& cost)
    : inputs_(&inputs), cost_(&cost) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Node node;
    node.kind = Node::Kind::Input;
    node.input = static_cast<std::int32_t>(i);
    node.range = inputs[i];
    node.delay = arrival.empty() ? 0.0 : arrival[i];
    LinearForm form;
    form.terms.emplace_back(static_cast<std::int32_t>(i), 1);
    append(node, std::move(form), slots[i]);
  }
}

std::int32_t AdderGraph::append(Node node, LinearForm form, int slot) {
  const auto index = static_cast<std::int32_t>(nodes_.size());
  spans_.push_back(bit_span(node.range));
  nodes_.push_back(node);
  by_value_.emplace(hash_form(normalize(form).form), index);
  forms_.push_back(std::move(form));
  slots_.push_back(slot);
  return index;
}

Term AdderGraph::constant(Int value) {
  WEFT_CHECK(value != 0, "a constant term of 0");
  const int shift = fixed::trailing_zeros(value);
  Node node;
  node.kind = Node::Kind::Constant;
  node.constant = value >> shift;
  node.range = {node.constant, node.constant, 0};
  LinearForm form;
  form.constant = node.constant;
  for (auto [it, end] = by_value_.equal_range(hash_form(normalize(form).form)); it != end; ++it) {
    if (forms_[static_cast<std::size_t>(it->second)] == form) return {it->second, shift, false};
  }
  return {append(node, std::move(form), 0), shift, false};
}

Term AdderGraph::add(const Term& a, const Term& b) {
  WEFT_CHECK(!(a.negate && b.negate), "an adder with two negated operands");
  // Common zeros belong to the outer term, so that equal sums at different places are one node.
  const int common = std::min(a.shift, b.shift);
  Node node;
  node.kind = Node::Kind::Sum;
  node.a = {a.operand, a.shift - common, a.negate};
  node.b = {b.operand, b.shift - common, b.negate};
  const auto form = combine(forms_[static_cast<std::size_t>(a.operand)], node.a.shift, a.negate,
                            forms_[static_cast<std::size_t>(b.operand)], node.b.shift, b.negate);
  WEFT_CHECK(form.has_value(), "a partial sum beyond its bound");
  const int slot =
      std::max(slots_[static_cast<std::size_t>(a.operand)], slots_[static_cast<std::size_t>(b.operand)]) + 1;

  const Normalized wanted = normalize(*form);
  for (auto [it, end] = by_value_.equal_range(hash_form(wanted.form)); it != end; ++it) {
    if (slots_[static_cast<std::size_t>(it->second)] > slot) continue;
    const Normalized have = normalize(forms_[static_cast<std::size_t>(it->second)]);
    if (have.form != wanted.form || have.shift > wanted.shift + common) continue;
    return {it->second, wanted.shift + common - have.shift, wanted.negate != have.negate};
  }

  const auto range = exact_range(*form, *inputs_);
  WEFT_CHECK(range.has_value(), "a range beyond its bound");
  node.range = *range;
  node.level =
      std::max(nodes_[static_cast<std::size_t>(a.operand)].level, nodes_[static_cast<std::size_t>(b.operand)].level) +
      1;
  const AdderShape shape = adder_shape(spans_[static_cast<std::size_t>(a.operand)], node.a,
                                       spans_[static_cast<std::size_t>(b.operand)], node.b, bit_span(node.range));
  node.delay =
      std::max(nodes_[static_cast<std::size_t>(a.operand)].delay, nodes_[static_cast<std::size_t>(b.operand)].delay) +
      cost_->adder_delay_ps(shape.width_bits);
  return {append(node, *form, slot), common, false};
}

}  // namespace weft::shiftadd
