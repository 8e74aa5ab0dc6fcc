// SPDX-License-Identifier: Apache-2.0
/// @file
/// The adder graph under construction: nodes with exact linear forms, ranges, costs and sharing of equal values.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "weft/shiftadd/linear_form.h"
#include "weft/shiftadd/solver.h"

namespace weft::shiftadd {

/// Position of a node's bits relative to its own value: bits [lsb, msb), sign bit included when signed.
struct BitSpan {
  int lsb = 0;
  int msb = 1;
  bool is_signed = false;
};
BitSpan bit_span(const fixed::Range& range);

/// Bits of the adder that forms a + b: its result has `width_bits` bits above the common zeros, of which the low
/// `free_bits` are copies of one operand (all of them when the operands do not overlap).
struct AdderShape {
  int width_bits = 0;
  int free_bits = 0;
};
AdderShape adder_shape(const BitSpan& a, const Term& term_a, const BitSpan& b, const Term& term_b,
                       const BitSpan& result);

/// Overflow of 128 bits is a bug here: the caller bounds all partial sums beforehand.
class AdderGraph {
 public:
  /// `slots[i]` is the arrival of input i in adder levels.
  AdderGraph(const std::vector<fixed::Range>& inputs, const std::vector<double>& arrival, std::vector<int> slots,
             const CostModel& cost);

  /// A term equal to a + b: an existing node that is not later, or a new one. Not both terms may be negated.
  Term add(const Term& a, const Term& b);
  /// A term equal to `value`, which is not 0.
  Term constant(Int value);

  [[nodiscard]] const Node& node(std::int32_t index) const { return nodes_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] int slot(std::int32_t index) const { return slots_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const BitSpan& span(std::int32_t index) const { return spans_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  [[nodiscard]] const CostModel& cost() const { return *cost_; }

 private:
  std::int32_t append(Node node, LinearForm form, int slot);

  const std::vector<fixed::Range>* inputs_;
  const CostModel* cost_;
  std::vector<Node> nodes_;
  std::vector<LinearForm> forms_;
  std::vector<BitSpan> spans_;
  std::vector<int> slots_;
  std::unordered_multimap<std::uint64_t, std::int32_t> by_value_;  ///< hash of the normalized form
};

}  // namespace weft::shiftadd
