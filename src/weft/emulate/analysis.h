// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the plan must know of a graph before it can choose layouts: who reads what, and how each product is computed.
#pragma once

#include <optional>
#include <vector>

#include "weft/emulate/kernels.h"
#include "weft/emulate/step_terms.h"
#include "weft/exact/graph.h"

namespace weft::emulate {

/// How a tensor is packed: rows of `row_len` codes, each padded to whole units; stored code = code + offset.
struct Form {
  Layout layout = Layout::Words;
  std::int64_t row_len = 0;
  std::int32_t offset = 0;
  bool operator==(const Form&) const = default;
};
/// Rows that fill whole units need no padding and count as one.
Form form_of(Layout layout, std::int64_t elements, std::int64_t row_len, std::int32_t offset);
inline std::int64_t units_per_row(const Form& form) {
  return (form.row_len + codes_per_unit(form.layout) - 1) / codes_per_unit(form.layout);
}

/// How a MatVec is computed.
struct Product {
  enum class Path {
    Narrow,  ///< 32-bit sums, operands in `form`
    Wide,    ///< 64-bit sums
    Chain,   ///< a forced accumulator that can lose something
    Plain    ///< 128-bit sums, sample by sample
  } path = Path::Plain;
  DotKind dot = DotKind::Words;
  Form form;
  /// Codes of the operand that are neighbours: all of a row, or the channels of one tap of a window read in place.
  std::int64_t run_codes = 0;
  /// Groups of channels of that window.
  std::int64_t groups = 1;
  /// A lossless forced accumulator multiplies everything by 2^weight_shift.
  int weight_shift = 0;
  WideFunction product_function;
  WideFunction sum_function;
};

/// Where input `i` of `n_in` of a product's matrix stands in a row of its operand: a unit, and a code in it. The matrix
/// runs over groups, taps and the group's channels; an operand read in place over taps and all channels.
struct Slot {
  std::size_t unit = 0;
  std::size_t code = 0;
};
Slot slot_of(const Product& product, std::int64_t n_in, std::size_t i);

struct Analysis {
  /// The value whose codes these are: reshapes are other names of their operand.
  std::vector<std::size_t> root;
  /// Whether the codes of a root lie in 64-bit lanes.
  std::vector<bool> wide;
  /// Codes are -1 and +1 only.
  std::vector<bool> bipolar;
  std::vector<Product> product;
  /// The Requant that takes over a MatVec's sums in registers, by MatVec; and the way back.
  std::vector<std::optional<std::size_t>> fused_into;
  std::vector<std::optional<std::size_t>> fused_from;
  std::vector<EpilogueData> epilogue;  ///< by fused Requant, for unpacked results
  /// By MatVec or Reduce: the Window that it reads where the window's operand lies.
  std::vector<std::optional<std::size_t>> in_place;
  /// By Reduce over such a window: the packed form of operand and result, or Words.
  std::vector<Form> pool_form;
  /// Windows read in place, and reshapes of them: never computed.
  std::vector<bool> skipped;
  /// By root: the packed forms its readers want, and whether someone wants plain lanes.
  std::vector<std::vector<Form>> forms;
  std::vector<bool> lanes_wanted;
  /// Data movement that is done on packed units: nobody wants lanes, and every unit moves whole.
  std::vector<bool> moves_units;
};

/// Units of `form` that `moved` brings from its operand, kCopyPad for whole units of padding; nullopt when a unit would
/// be torn. `elements` is the operand's count.
std::optional<std::vector<std::uint32_t>> moved_units(const exact::Movement& moved, std::int64_t elements,
                                                      const Form& form);
/// Units of `form` (of the operand, in runs of its channels) at which the runs of a window begin, kCopyPad for padding:
/// by position, then by tap of the kernel.
std::vector<std::uint32_t> run_starts(const exact::Graph& graph, const exact::Value& window, Layout layout);
/// One unit full of the code `pad`.
std::int32_t pad_unit(const Form& form, Int pad);

/// The graph's values fit 64 bits; `outputs` must stay visible.
Analysis analyse(const exact::Graph& graph, const Kernels& kernels, const std::vector<exact::ValueId>& outputs);

/// Union of the ranges of elements i, i + n, i + 2n, ... for each i < n.
std::vector<fixed::Range> hulls(const std::vector<fixed::Range>& ranges, std::size_t n);
/// Even offset that brings [lo, hi] into the codes of a packed layout; nullopt when it does not fit.
std::optional<std::int32_t> pack_offset(Layout layout, const fixed::Range& range);

/// More thresholds than this are looked up, not compared.
constexpr std::int32_t kMaxCompared = 24;

}  // namespace weft::emulate
