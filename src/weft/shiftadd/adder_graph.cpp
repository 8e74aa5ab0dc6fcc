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

AdderShape adder_shape(std::span<const Operand> operands, const BitSpan& result) {
  std::size_t low = 0;
  for (std::size_t i = 1; i < operands.size(); ++i) {
    if (operands[i].lsb() < operands[low].lsb()) low = i;
  }
  const Operand& lowest = operands[low];
  AdderShape shape;
  shape.width_bits = std::max(1, result.msb - lowest.lsb());
  int top = lowest.msb();
  for (const Operand& operand : operands) top = std::max(top, operand.msb());
  shape.growth_bits = std::clamp(result.msb - top, 0, shape.width_bits - 1);
  if (lowest.negate) return shape;
  int next = result.msb;  // where a second operand begins
  bool all_positive = true;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (i == low) continue;
    next = std::min(next, operands[i].lsb());
    all_positive = all_positive && !operands[i].negate;
  }
  shape.free_bits = std::min(next - lowest.lsb(), shape.width_bits);
  const bool is_concatenation = operands.size() == 2 && !lowest.span.is_signed && lowest.msb() <= next && all_positive;
  if (is_concatenation) shape.free_bits = shape.width_bits;
  return shape;
}

AdderGraph::AdderGraph(const std::vector<fixed::Range>& inputs, const std::vector<double>& arrival,
                       const std::vector<int>& slots, const CostModel& cost, const Clock& clock)
    : inputs_(&inputs), cost_(&cost), clock_(clock) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Node node;
    node.kind = Node::Kind::Input;
    node.input = static_cast<std::int32_t>(i);
    node.range = inputs[i];
    node.delay = arrival.empty() ? 0.0 : arrival[i];
    LinearForm form;
    form.terms.emplace_back(static_cast<std::int32_t>(i), 1);
    append(node, std::move(form), slots[i], 0.0);
  }
}

std::int32_t AdderGraph::append(Node node, LinearForm form, int slot, double lut) {
  const auto index = static_cast<std::int32_t>(nodes_.size());
  spans_.push_back(bit_span(node.range));
  nodes_.push_back(node);
  by_value_.emplace(hash_form(normalize(form).form), index);
  forms_.push_back(std::move(form));
  slots_.push_back(slot);
  luts_.push_back(lut);
  return index;
}

double AdderGraph::lut_since(std::size_t first) const {
  double sum = 0.0;
  for (std::size_t n = first; n < luts_.size(); ++n) sum += luts_[n];
  return sum;
}

void AdderGraph::shrink(std::size_t size) {
  while (nodes_.size() > size) {
    const auto index = static_cast<std::int32_t>(nodes_.size() - 1);
    for (auto [it, end] = by_value_.equal_range(hash_form(normalize(forms_.back()).form)); it != end; ++it) {
      if (it->second != index) continue;
      by_value_.erase(it);
      break;
    }
    spans_.pop_back();
    nodes_.pop_back();
    forms_.pop_back();
    slots_.pop_back();
    luts_.pop_back();
  }
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
  return {append(node, std::move(form), 0, 0.0), shift, false};
}

Term AdderGraph::add(std::span<const Term> terms) {
  WEFT_CHECK(terms.size() == 2 || terms.size() == 3, "an adder of two or three terms");
  const bool outer = std::all_of(terms.begin(), terms.end(), [](const Term& t) { return t.negate; });
  // Common zeros belong to the outer term, so that equal sums at different places are one node.
  int common = terms[0].shift;
  for (const Term& term : terms) common = std::min(common, term.shift);
  Node node;
  node.kind = Node::Kind::Sum;
  LinearForm form;
  int ready = slots_[static_cast<std::size_t>(terms[0].operand)];
  node.delay = this->node(terms[0].operand).delay;
  for (std::size_t t = 0; t < terms.size(); ++t) {
    Term& term = node.term(static_cast<int>(t));
    term = {terms[t].operand, terms[t].shift - common, terms[t].negate != outer};
    auto next = combine(form, 0, false, forms_[static_cast<std::size_t>(term.operand)], term.shift, term.negate);
    WEFT_CHECK(next.has_value(), "a partial sum beyond its bound");
    form = std::move(*next);
    ready = std::max(ready, slot(term.operand));
    node.level = std::max(node.level, this->node(term.operand).level + 1);
    node.delay = std::max(node.delay, this->node(term.operand).delay);
  }
  const auto range = exact_range(form, *inputs_);
  WEFT_CHECK(range.has_value(), "a range beyond its bound");
  node.range = *range;
  Operand operands[3];
  for (std::size_t t = 0; t < terms.size(); ++t) operands[t] = operand(node.term(static_cast<int>(t)));
  const AdderShape shape = adder_shape({operands, terms.size()}, bit_span(node.range));
  const int slot = ready + clock_.adder(node.terms(), shape);

  const Normalized wanted = normalize(form);
  for (auto [it, end] = by_value_.equal_range(hash_form(wanted.form)); it != end; ++it) {
    if (slots_[static_cast<std::size_t>(it->second)] > slot) continue;
    const Normalized have = normalize(forms_[static_cast<std::size_t>(it->second)]);
    if (have.form != wanted.form || have.shift > wanted.shift + common) continue;
    return {it->second, wanted.shift + common - have.shift, (wanted.negate != have.negate) != outer};
  }
  node.delay += cost_->delay_ps(node.terms(), shape);
  const double lut = cost_->lut(node.terms(), shape);
  return {append(node, std::move(form), slot, lut), common, outer};
}

}  // namespace weft::shiftadd
