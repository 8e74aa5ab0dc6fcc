// SPDX-License-Identifier: Apache-2.0
// Merges of two tensors and pools. A merge is computed at full precision and cast once. An average pool adds in its
// accumulator type, divides the code by the number of taps toward zero, and casts.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "weft/fixed/quantize.h"
#include "weft/layers/einsum_plan.h"
#include "weft/layers/geometry.h"
#include "weft/lower/hls4ml/lowering.h"

namespace weft::lower::hls4ml {
namespace {

using fixed::FixedType;

/// hls4ml addresses a smaller operand modulo its size: right only when it repeats along the first axes.
bool repeats(const Shape& small, const Shape& large) {
  Shape cut = small;
  while (!cut.empty() && cut.front() == 1) cut.erase(cut.begin());
  return cut.size() <= large.size() && std::equal(cut.rbegin(), cut.rend(), large.rbegin());
}

/// The larger of two, side by side on a new last axis.
Result<exact::ValueId> larger(Lowering& l, const nn::Node& node, exact::ValueId a, exact::ValueId b,
                              const Shape& shape) {
  Shape column = shape;
  column.push_back(1);
  const auto axis = static_cast<std::int64_t>(column.size()) - 1;
  WEFT_TRY(const auto ca, l.add(node, "_a", exact::Reshape{a}, l.frac_bits(a), column));
  WEFT_TRY(const auto cb, l.add(node, "_b", exact::Reshape{b}, l.frac_bits(b), column));
  WEFT_TRY(const auto pair, l.add(node, "_pair", exact::Concat{{ca, cb}, axis}, l.frac_bits(a)));
  WEFT_TRY(const auto most, l.add(node, "_larger", exact::Reduce{exact::Reduce::Kind::Max, pair}, l.frac_bits(a)));
  return l.add(node, "_flat", exact::Reshape{most}, l.frac_bits(a), shape);
}

/// A value on a finer grid and in a larger shape: plus zeros of that shape.
Result<exact::ValueId> spread(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId x, int frac,
                              const Shape& shape) {
  if (l.frac_bits(x) == frac && l.value(x).shape == shape) return x;
  WEFT_TRY(const auto zeros,
           l.constant(node, suffix + "_zeros", std::vector<Int>(static_cast<std::size_t>(element_count(shape)), 0),
                      frac, shape));
  return l.sum(node, suffix, x, zeros);
}

}  // namespace

Result<void> lower_merge(Lowering& l, const nn::Node& node) {
  if (node.inputs.size() != 2)
    return l.unlike(node, node.parameters.count("constant") != 0
                              ? std::string("hls4ml 1.3 has no arithmetic with constants here")
                              : fmt::format("hls4ml 1.3 merges two tensors, not {}", node.inputs.size()));
  const Shape& shape = l.shape(node.outputs[0]);
  for (std::size_t i = 0; i < 2; ++i)
    if (!repeats(l.shape(node.inputs[i]), shape))
      return l.unlike(node, fmt::format("hls4ml 1.3 broadcasts {} to {} wrongly",
                                        weft::to_string(l.shape(node.inputs[i])), weft::to_string(shape)));
  const Variable a = l.in(node, 0);
  const Variable b = l.in(node, 1);
  const FixedType result = l.type(node, "result", infer_merge(node.op, a.type, b.type, l.types.maximum()));
  if (node.op == "Mul") {
    WEFT_TRY(const auto y, l.product(node, "_product", a.value, b.value));
    return l.finish(node, y, result);
  }
  if (node.op == "Add" || node.op == "Sub") {
    WEFT_TRY(const auto y, l.sum(node, "_sum", a.value, b.value, node.op == "Sub"));
    return l.finish(node, y, result);
  }
  if (node.op == "Average") {
    WEFT_TRY(const auto sum, l.sum(node, "_sum", a.value, b.value));
    // The same codes under half the step.
    WEFT_TRY(const auto y, l.add(node, "_half", exact::Reshape{sum}, l.frac_bits(sum) + 1, shape));
    return l.finish(node, y, result);
  }
  const int frac = std::max(l.frac_bits(a.value), l.frac_bits(b.value));
  WEFT_TRY(auto left, spread(l, node, "_left", a.value, frac, shape));
  WEFT_TRY(auto right, spread(l, node, "_right", b.value, frac, shape));
  if (node.op == "Maximum") {
    WEFT_TRY(const auto y, larger(l, node, left, right, shape));
    return l.finish(node, y, result);
  }
  WEFT_TRY(const auto zero, l.constant(node, "_zero", {0}, frac, Shape{1}));
  WEFT_TRY(left, l.sum(node, "_minus_left", zero, left, true));
  WEFT_TRY(right, l.sum(node, "_minus_right", zero, right, true));
  WEFT_TRY(const auto most, larger(l, node, left, right, shape));
  WEFT_TRY(const auto y, l.sum(node, "_smaller", zero, most, true));
  return l.finish(node, y, result);
}

/// The inner product of two vectors: every product cast to the accumulator, then added.
Result<void> lower_dot(Lowering& l, const nn::Node& node) {
  if (node.inputs.size() != 2 || !node.parameters.empty())
    return l.unlike(node, "of products of tensors, hls4ml 1.3 has the inner product of two vectors");
  WEFT_TRY(const auto plan, layers::einsum_plan(node, {l.shape(node.inputs[0]), l.shape(node.inputs[1])}, l.ctx));
  if (element_count(plan.extents(plan.result)) != 1 || plan.operands[0] != plan.operands[1])
    return l.unlike(node, "of products of tensors, hls4ml 1.3 has the inner product of two vectors");
  const std::int64_t n = element_count(plan.extents(plan.summed));
  const Variable a = l.in(node, 0);
  const Variable b = l.in(node, 1);
  const FixedType accum = l.type(node, "accum", l.types.model_default());
  const FixedType result = l.type(node, "result", l.types.model_default());
  WEFT_TRY(auto y, l.product(node, "_products", a.value, b.value));
  WEFT_TRY(y, l.cast(node, "_terms", y, accum));
  WEFT_TRY(y, l.add(node, "_row", exact::Reshape{y}, accum.frac_bits(), Shape{n}));
  const ProductSum sum{y, n, 1, std::vector<Int>(static_cast<std::size_t>(n), 1), 0, {}, 0, accum, {}};
  WEFT_TRY(y, accumulate(l, node, sum));
  WEFT_TRY(y, l.add(node, "_shaped", exact::Reshape{y}, l.frac_bits(y), l.shape(node.outputs[0])));
  return l.finish(node, y, result, "accumulator " + fixed::to_string(accum));
}

Result<void> lower_concat(Lowering& l, const nn::Node& node) {
  if (node.inputs.size() > 2) return l.unlike(node, "hls4ml 1.3 concatenates two tensors");
  const Variable a = l.in(node, 0);
  const Variable b = l.in(node, node.inputs.size() - 1);
  const FixedType result = l.type(node, "result", infer_merge("Concat", a.type, b.type, l.types.maximum()));
  exact::Concat concat{{}, get_int(node.attributes, "axis", -1)};
  const auto rank = static_cast<std::int64_t>(l.shape(node.outputs[0]).size());
  if (concat.axis < 0) concat.axis += rank;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    WEFT_TRY(const auto x, l.cast(node, "_part", l.in(node, i).value, result));
    concat.xs.push_back(x);
  }
  WEFT_TRY(const auto y, l.add(node, "", std::move(concat), result.frac_bits()));
  return l.finish(node, Variable{y, result});
}

namespace {

/// code / taps toward zero, then the cast: one function when the cast keeps order, else two.
Result<exact::ValueId> divide(Lowering& l, const nn::Node& node, exact::ValueId sum,
                              const std::vector<std::int64_t>& taps, std::int64_t channels, const FixedType& result) {
  const int frac = l.frac_bits(sum);
  const std::set<std::int64_t> different(taps.begin(), taps.end());
  std::map<std::int64_t, fixed::StepFunction> by_count;
  for (const auto count : different) {
    // Sums of fewer numbers are smaller.
    std::optional<fixed::Range> reached;
    for (std::size_t e = 0; e < l.value(sum).ranges.size(); ++e) {
      if (taps[e / static_cast<std::size_t>(channels)] != count) continue;
      const fixed::Range& own = l.value(sum).ranges[e];
      reached = reached ? fixed::unite(*reached, own) : own;
    }
    const fixed::Range range = *reached;
    const auto f = [&](Int code) { return fixed::cast(divide_toward_zero(code, count), frac, result); };
    const Int lo = divide_toward_zero(range.lo, count);
    const Int hi = divide_toward_zero(range.hi, count);
    const auto kept = [&](Int code) {
      FixedType wide = result;
      wide.width_bits = 120;
      wide.integer_bits = 120 - result.frac_bits();
      wide.is_signed = true;
      return fixed::cast(code, frac, wide) == fixed::cast(code, frac, result);
    };
    constexpr Int kMost = Int{1} << 21;
    if (!kept(lo) || !kept(hi) || (hi - lo) >> std::max(frac - result.frac_bits(), 0) > kMost)
      return l.unlike(
          node, fmt::format("the mean of {} numbers as {} has too many steps; give the layer narrower types", count,
                            fixed::to_string(result)));
    auto pieces = fixed::pieces_of(f, range.lo, range.hi, {});
    if (const auto shift = fixed::find_shift_round(pieces, range))
      by_count[count] = *shift;
    else
      by_count[count] = std::move(pieces);
  }
  exact::Requant step{sum, {}, false};
  if (different.size() == 1) {
    step.functions = {by_count.begin()->second};
  } else {
    for (const auto count : taps)
      for (std::int64_t c = 0; c < channels; ++c) step.functions.push_back(by_count.at(count));
  }
  return l.add(node, "", std::move(step), result.frac_bits());
}

}  // namespace

Result<void> lower_pool(Lowering& l, const nn::Node& node) {
  const bool global = node.op.starts_with("Global");
  const bool maximum = node.op.ends_with("MaxPool");
  const Shape& x_shape = l.shape(node.inputs[0]);
  const Shape& y_shape = l.shape(node.outputs[0]);
  const Variable x = l.in(node);
  if (x.bipolar) return l.unlike(node, "a pool of one-bit numbers is not covered");
  Shape kernel(x_shape.begin(), x_shape.end() - 1);
  if (!global) kernel = get_ints(node.attributes, "pool");
  WEFT_TRY(auto window, layers::window_of(node, x_shape, kernel, l.ctx));
  if (std::any_of(window.dilation.begin(), window.dilation.end(), [](auto d) { return d != 1; }))
    return l.unlike(node, "hls4ml 1.3 has no dilated pools");
  const std::int64_t channels = x_shape.back();
  const std::int64_t taps = element_count(kernel);
  window.groups = channels;
  window.x = x.value;
  const Shape to = layers::window_shape(window, x_shape);
  const auto indices = exact::window_indices(window, x_shape, to);
  const bool padded = std::find(indices.begin(), indices.end(), -1) != indices.end();
  std::string note;
  if (maximum) {
    // The top bit alone: the smallest number of a signed type, the middle of an unsigned one.
    window.pad = x.type.is_signed ? -(Int{1} << (x.type.width_bits - 1)) : Int{1} << (x.type.width_bits - 1);
    if (padded && !x.type.is_signed) note = "hls4ml pads with half of the unsigned type's range, which wins over less";
  }
  const int frac = l.frac_bits(x.value);
  WEFT_TRY(const auto columns, l.add(node, "_window", std::move(window), frac));
  const Shape rows{element_count(y_shape), taps};
  WEFT_TRY(const auto flat, l.add(node, "_taps", exact::Reshape{columns}, frac, rows));
  const FixedType accum = l.type(node, "accum", maximum ? x.type : infer_average_sum(x.type, taps));
  const FixedType result = l.type(node, "result", x.type);
  if (maximum) {
    WEFT_TRY(auto y, l.add(node, "_reduced", exact::Reduce{exact::Reduce::Kind::Max, flat}, frac));
    WEFT_TRY(y, l.add(node, "_maxima", exact::Reshape{y}, frac, y_shape));
    WEFT_TRY(y, l.fit(node, "_accum", y, accum));
    return l.finish(node, y, result, note);
  }
  // hls4ml rounds every partial sum; these modes round a number in the same way wherever it stands.
  const bool shifts = accum.rounding == fixed::Rounding::Trn || accum.rounding == fixed::Rounding::Rnd ||
                      accum.rounding == fixed::Rounding::RndMinInf;
  if (!shifts && accum.frac_bits() < frac)
    return l.unlike(node, fmt::format("an average in {} rounds by what was added before", fixed::to_string(accum)));
  const ProductSum s{flat, taps, 1, std::vector<Int>(static_cast<std::size_t>(taps), 1), 0, {}, 0, accum, {}};
  WEFT_TRY(const auto added, accumulate(l, node, s));
  // Codes of the accumulator itself: the division works on them.
  WEFT_TRY(auto sum, l.cast(node, "_sum_codes", added, accum));
  WEFT_TRY(sum, l.add(node, "_sums", exact::Reshape{sum}, accum.frac_bits(), y_shape));
  std::vector<std::int64_t> counts;
  for (std::size_t at = 0; at < indices.size(); at += static_cast<std::size_t>(taps * channels)) {
    std::int64_t inside = 0;
    for (std::int64_t t = 0; t < taps; ++t) inside += indices[at + static_cast<std::size_t>(t)] >= 0 ? 1 : 0;
    counts.push_back(get_bool(node.attributes, "count_padding", false) ? taps : inside);
  }
  WEFT_TRY(const auto y, divide(l, node, sum, counts, channels, result));
  return l.finish(node, Variable{y, result}, "accumulator " + fixed::to_string(accum));
}

}  // namespace weft::lower::hls4ml
