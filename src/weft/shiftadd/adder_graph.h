// SPDX-License-Identifier: Apache-2.0
/// @file
/// The adder graph under construction: nodes with exact linear forms, ranges, costs and sharing of equal values.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "weft/shiftadd/clock.h"
#include "weft/shiftadd/linear_form.h"

namespace weft::shiftadd {

/// Position of a node's bits relative to its own value: bits [lsb, msb), sign bit included when signed.
struct BitSpan {
  int lsb = 0;
  int msb = 1;
  bool is_signed = false;
};
BitSpan bit_span(const fixed::Range& range);

/// What an adder sees of a term: the bits of the node, shifted and perhaps subtracted.
struct Operand {
  BitSpan span;
  int shift = 0;
  bool negate = false;
  [[nodiscard]] int lsb() const { return span.lsb + shift; }
  [[nodiscard]] int msb() const { return span.msb + shift; }
};

/// Of two or three operands.
AdderShape adder_shape(std::span<const Operand> operands, const BitSpan& result);

/// Overflow of 128 bits is a bug here: the caller bounds all partial sums beforehand.
class AdderGraph {
 public:
  /// `slots[i]` is the arrival of input i on the clock.
  AdderGraph(const std::vector<fixed::Range>& inputs, const std::vector<double>& arrival, const std::vector<int>& slots,
             const CostModel& cost, const Clock& clock);

  /// A term equal to the sum of two or three terms: an existing node that is not later, or a new one. When all are
  /// negated, the result is.
  Term add(std::span<const Term> terms);
  Term add(const Term& a, const Term& b) {
    const Term both[] = {a, b};
    return add(both);
  }
  /// A term equal to `value`, which is not 0.
  Term constant(Int value);

  [[nodiscard]] const Node& node(std::int32_t index) const { return nodes_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] int slot(std::int32_t index) const { return slots_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const BitSpan& span(std::int32_t index) const { return spans_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  [[nodiscard]] const CostModel& cost() const { return *cost_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] Operand operand(const Term& term) const { return {span(term.operand), term.shift, term.negate}; }

  /// LUTs of all nodes from `first` on.
  [[nodiscard]] double lut_since(std::size_t first) const;
  /// Forgets the nodes from `size` on, which nothing may refer to any more.
  void shrink(std::size_t size);

 private:
  std::int32_t append(Node node, LinearForm form, int slot, double lut);

  const std::vector<fixed::Range>* inputs_;
  const CostModel* cost_;
  Clock clock_;
  std::vector<Node> nodes_;
  std::vector<double> luts_;
  std::vector<LinearForm> forms_;
  std::vector<BitSpan> spans_;
  std::vector<int> slots_;
  std::unordered_multimap<std::uint64_t, std::int32_t> by_value_;  ///< hash of the normalized form
};

}  // namespace weft::shiftadd
