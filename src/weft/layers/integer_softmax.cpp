// SPDX-License-Identifier: Apache-2.0
// IntegerSoftmax over the last axis. Codes of 8 bits (result of 8 or 16 bits): exponentials and a Newton division in
// 32-bit fixed-point numbers. Codes of 16 bits: tables of exp and 1 / (1 + x) with linear interpolation. Both are
// composed of primitives, every intermediate number is that of the interpreter's reference kernel.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "weft/layers/integer_parts.h"
#include "weft/layers/integer_rows.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

namespace tfl = fixed::tflite;

constexpr Int kMaxInt32 = (Int{1} << 31) - 1;
/// Bits in front of the point of a sum of exponentials of 8-bit codes.
constexpr int kSumBits = 12;

struct Softmax {
  IntegerSpec spec;
  bool wide_input = false;  ///< 16-bit codes
  int bits = 8;             ///< of the result
  Int least = 0;            ///< 8-bit codes: differences below it count as exp = 0
  tfl::Table exponential{};
  tfl::Table reciprocal{};

  /// exp of a difference to the largest code: Q0.31, or Q0.15 for 16-bit codes.
  [[nodiscard]] Int exp_of(Int difference) const {
    const auto d = static_cast<std::int32_t>(difference);
    const auto& m = spec.multipliers[0];
    if (!wide_input) {
      if (difference < least) return 0;
      return tfl::exp_on_negative(tfl::doubling_high_mul(tfl::wrap_int32(difference << m.shift), m.mantissa));
    }
    const Int at = std::clamp<Int>(Int{tfl::multiply(d, m)} + 32767, -32768, 32767);
    return tfl::look_up(exponential, static_cast<std::int16_t>(at));
  }
  [[nodiscard]] Int reciprocal_of(Int at) const {
    return tfl::look_up(reciprocal, static_cast<std::int16_t>(std::clamp<Int>(at, -32768, 32767)));
  }
};

double reciprocal_behind_one(double x) { return 1.0 / (1.0 + x); }

Result<Softmax> softmax_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Softmax out;
  WEFT_TRY(out.spec, integer_spec(node, 1, 0, ctx));
  out.wide_input = get_int(node.attributes, "input_bits", 8) == 16;
  out.bits = static_cast<int>(get_int(node.attributes, "bits", 8));
  if ((out.bits != 8 && out.bits != 16) || (out.wide_input && out.bits != 16))
    return ctx.fail(Kind::AttributeUnsupported, node.origin, "only softmax of 8 bits to 8 or 16, and 16 to 16");
  const Shape& x = graph.at(node.inputs[0]).shape;
  if (x.empty() || x.back() < 1 || x.back() > (out.wide_input ? 65536 : 512))
    return ctx.fail(
        Kind::ShapeMismatch, node.origin,
        fmt::format("a softmax over the last axis of {} is not defined by the integer kernels", weft::to_string(x)));
  const auto& m = out.spec.multipliers[0];
  if (!out.wide_input && m.shift < 0)
    return ctx.fail(Kind::ModelMalformed, node.origin, "the multiplier of an 8-bit softmax is at least 1");
  // The largest difference whose product stays in Q5.26.
  out.least = -static_cast<Int>(std::floor(31.0 * std::ldexp(1.0, 26) / std::ldexp(1.0, std::max(m.shift, 0))));
  if (out.wide_input) {
    out.exponential = tfl::make_table([](double v) { return std::exp(v); }, -10.0, 0.0);
    out.reciprocal = tfl::make_table(reciprocal_behind_one, 0.0, 1.0);
  }
  return out;
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY_VOID(softmax_of(graph, node, ctx));
  return same_shape(graph, node, ctx);
}

void softmax_row(const Softmax& s, const std::int64_t* x, std::int64_t* y, std::size_t n) {
  const std::int64_t largest = *std::max_element(x, x + n);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto e = static_cast<std::int32_t>(s.exp_of(x[i] - largest));
    sum += static_cast<std::uint32_t>(s.wide_input ? e : tfl::divide_by_power(e, kSumBits));
  }
  const int headroom = std::countl_zero(sum);
  if (s.wide_input) {
    const auto shifted = static_cast<std::int64_t>(((std::int64_t{sum} << (headroom - 1)) + (1 << 13)) >> 14);
    const Int factor = s.reciprocal_of(shifted - ((1 << 15) + (1 << 16)));
    const int shift = 31 - headroom;
    for (std::size_t i = 0; i < n; ++i) {
      const Int product = s.exp_of(x[i] - largest) * factor;
      y[i] = static_cast<std::int64_t>(
          std::clamp<Int>(shift == 0 ? product : (product + (Int{1} << (shift - 1))) >> shift, s.spec.lo, s.spec.hi));
    }
    return;
  }
  const auto half = static_cast<std::int32_t>((sum << headroom) >> 1);
  const std::int32_t factor = tfl::reciprocal_of_double(half);
  for (std::size_t i = 0; i < n; ++i) {
    const auto e = static_cast<std::int32_t>(s.exp_of(x[i] - largest));
    const std::int32_t product = tfl::doubling_high_mul(factor, e);
    // Shifts beyond 31 meet products below 2^31: half of them at most is 0.
    const int shift = kSumBits - headroom + 31 - s.bits;
    const Int result = shift > 31 ? 0 : tfl::divide_by_power(product, shift);
    y[i] = static_cast<std::int64_t>(s.spec.clamp(result));
  }
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto s, softmax_of(run.graph(), node, ctx));
  const auto x = integer_codes(run.input(node, 0), s.spec.scales[0]);
  const auto n = static_cast<std::size_t>(run.graph().at(node.inputs[0]).shape.back());
  std::vector<std::int64_t> y(x.size());
  for (std::size_t at = 0; at < x.size(); at += n) softmax_row(s, x.data() + at, y.data() + at, n);
  set_codes(run.output(node), y, s.spec.scale);
  return {};
}

/// 2^(headroom + more) of a sum of at least `least`, as a step function.
Result<exact::ValueId> normalizer(const nn::Node& node, Recipe& recipe, exact::ValueId sum, int least_log2, int more) {
  fixed::Pieces pieces;
  for (int k = least_log2; k < 31; ++k) {
    if (k > least_log2) pieces.breakpoints.push_back(Int{1} << k);
    pieces.values.push_back(Int{1} << (31 - k + more));
  }
  const auto restricted = fixed::restrict(pieces, channel_range(recipe.value(sum), 0, 1));
  return recipe.add(node.name + "_headroom", exact::Requant{sum, {restricted}, false}, Scale(), node.origin);
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto s, softmax_of(recipe.source(), node, ctx));
  WEFT_TRY(const auto x, integer_input(node, recipe, 0, s.spec.scales[0], ctx));
  using fixed::Rounding;
  const auto add = [&](const char* name, exact::Primitive primitive) {
    return recipe.add(node.name + name, std::move(primitive), Scale(), node.origin);
  };
  const auto shift = [&](const char* name, exact::ValueId v, int by, Rounding rounding, Int lo, Int hi) {
    return shifted(recipe, node, node.name + name, v, by, rounding, lo, hi);
  };
  const auto one = [&](const char* name, Int code) { return constant(recipe, node, node.name + name, {code}, {1}); };
  WEFT_TRY(const auto largest, add("_max", exact::Reduce{exact::Reduce::Kind::Max, x}));
  WEFT_TRY(const auto wide_difference, add("_difference", exact::Sub{x, largest, 0, 0}));
  // The range does not know that no code is above the largest.
  const fixed::Range range = channel_range(recipe.value(wide_difference), 0, 1);
  WEFT_TRY(const auto difference, shift("_below", wide_difference, 0, Rounding::Trn, range.lo, 0));
  WEFT_TRY(const auto e,
           tabulated(recipe, node, node.name + "_exp", difference, [&](Int d) { return s.exp_of(d); }, Scale(), ctx));
  if (s.wide_input) {
    WEFT_TRY(const auto sum, add("_sum", exact::Reduce{exact::Reduce::Kind::Sum, e}));
    // One of the exponentials is that of 0.
    const int least_log2 = std::bit_width(static_cast<std::uint64_t>(s.exp_of(0))) - 1;
    WEFT_TRY(const auto headroom, normalizer(node, recipe, sum, least_log2, -1));
    WEFT_TRY(const auto normal, add("_normal", exact::Mul{sum, headroom}));
    WEFT_TRY(const auto rounded, shift("_rounded", normal, 14, Rounding::Rnd, 1 << 16, 1 << 17));
    WEFT_TRY(const auto factor,
             tabulated(
                 recipe, node, node.name + "_reciprocal", rounded,
                 [&](Int at) { return s.reciprocal_of(at - ((1 << 15) + (1 << 16))); }, Scale(), ctx));
    WEFT_TRY(const auto scaled, add("_scaled", exact::Mul{e, factor}));
    WEFT_TRY(const auto product, add("_product", exact::Mul{scaled, headroom}));
    WEFT_TRY(const auto y, shift("", product, 30, Rounding::Rnd, s.spec.lo, s.spec.hi));
    return set_integer_output(node, recipe, y);
  }
  WEFT_TRY(const auto part, shift("_part", e, kSumBits, Rounding::RndInf, 0, Int{1} << 19));
  WEFT_TRY(const auto sum, add("_sum", exact::Reduce{exact::Reduce::Kind::Sum, part}));
  WEFT_TRY(const auto headroom, normalizer(node, recipe, sum, 31 - kSumBits, 0));
  WEFT_TRY(const auto normal, add("_normal", exact::Mul{sum, headroom}));
  WEFT_TRY(const auto half, shift("_half", normal, 1, Rounding::Trn, Int{1} << 30, kMaxInt32));
  // Newton's division. Bounds of the iterates are those of 1 / half in [1, 2) with the error of the start, 1 / 17.
  constexpr Int kLeast = Int{1} << 28;
  constexpr Int kMost = Int{3} << 29;
  WEFT_TRY(const auto slope, one("_slope", tfl::kNewtonSlope));
  WEFT_TRY(const auto start, one("_start", tfl::kNewtonStart));
  WEFT_TRY(const auto unit, one("_one", Int{1} << 29));
  const auto high_product = [&](exact::ValueId a, exact::ValueId b) -> Result<exact::ValueId> {
    WEFT_TRY(const auto product, add("_newton", exact::Mul{a, b}));
    return shift("_newton", product, 31, Rounding::Rnd, -kMaxInt32 - 1, kMaxInt32);
  };
  WEFT_TRY(const auto falling, high_product(half, slope));
  WEFT_TRY(auto guess, add("_newton", exact::Add{falling, start, 0, 0}));
  for (int i = 0; i < tfl::kNewtonSteps; ++i) {
    WEFT_TRY(const auto near_one, high_product(half, guess));
    WEFT_TRY(const auto rest, add("_newton", exact::Sub{unit, near_one, 0, 0}));
    WEFT_TRY(const auto change, high_product(guess, rest));
    WEFT_TRY(const auto better, add("_newton", exact::Add{guess, change, 0, 2}));
    WEFT_TRY(guess, shift("_newton", better, 0, Rounding::Trn, kLeast, kMost));
  }
  WEFT_TRY(const auto factor, shift("_reciprocal", guess, -1, Rounding::Trn, 0, kMaxInt32));
  WEFT_TRY(const auto scaled, high_product(factor, e));
  WEFT_TRY(const auto positive, shift("_scaled", scaled, 0, Rounding::Trn, 0, kMaxInt32));
  // The shift by kSumBits - headroom + 31 - bits is a product with 2^headroom and a fixed shift.
  WEFT_TRY(const auto product, add("_product", exact::Mul{positive, headroom}));
  WEFT_TRY(const auto y, shift("", product, kSumBits + 31 - s.bits, Rounding::RndInf, s.spec.lo, s.spec.hi));
  return set_integer_output(node, recipe, y);
}

}  // namespace

Layer integer_softmax_layer() {
  return {.op = "IntegerSoftmax",
          .summary = "softmax of integer codes over the last axis, as TensorFlow Lite's reference kernels compute it",
          .attributes = {kScales, kScale, kLo, kHi, kMultipliers, kShifts, "input_bits", "bits"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
