// SPDX-License-Identifier: Apache-2.0
// IntegerResize: bilinear interpolation of codes with weights of 10 bits per axis; the file's integer (zero point
// included) is rounded once, half away from zero.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/integer_parts.h"
#include "weft/layers/integer_rows.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

/// 1 in units of a weight.
constexpr std::int64_t kOne = 1 << 10;
constexpr int kBits = 20;  ///< of the product of two weights
constexpr std::int64_t kMaxExtent = 1 << 16;
constexpr std::int64_t kMaxWeights = std::int64_t{1} << 26;

struct Resize {
  IntegerSpec spec;
  Int zero_point = 0;
  Shape to;
  /// Per axis [n_in, n_out]; every column adds to kOne.
  std::vector<std::int64_t> weights[2];

  [[nodiscard]] Int result(Int sum) const {
    const Int q = sum + zero_point * (Int{1} << kBits);
    const Int half = Int{1} << (kBits - 1);
    const Int rounded = q >= 0 ? (q + half) >> kBits : -((half - q) >> kBits);
    return spec.clamp(rounded - zero_point);
  }
};

/// Positions in units of 2^-10 of an input element, as the interpreter computes them.
std::vector<std::int64_t> weights_of(std::int64_t n_in, std::int64_t n_out, bool align_corners, bool half_pixel) {
  const bool aligned = align_corners && n_out > 1;
  const std::int64_t scale =
      aligned ? (kOne * (n_in - 1) + (n_out - 1) / 2) / (n_out - 1) : (kOne * n_in + n_out / 2) / n_out;
  std::vector<std::int64_t> out(static_cast<std::size_t>(n_in * n_out), 0);
  for (std::int64_t i = 0; i < n_out; ++i) {
    const std::int64_t at = half_pixel ? i * scale + scale / 2 - kOne / 2 : i * scale;
    // Divisions truncate toward zero.
    const std::int64_t lower = std::clamp<std::int64_t>(at / kOne, 0, n_in - 1);
    const std::int64_t upper = std::clamp<std::int64_t>((at + kOne - 1) / kOne, 0, n_in - 1);
    const std::int64_t beyond = at - kOne * lower;
    out[static_cast<std::size_t>(lower * n_out + i)] += kOne - beyond;
    out[static_cast<std::size_t>(upper * n_out + i)] += beyond;
  }
  return out;
}

Result<Resize> resize_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Resize out;
  WEFT_TRY(out.spec, integer_spec(node, ctx));
  out.zero_point = get_int(node.attributes, "zero_point", 0);
  const Shape& x = graph.at(node.inputs[0]).shape;
  const auto to = get_ints(node.attributes, "shape");
  if (x.size() != 3 || to.size() != 2 || std::min(to[0], to[1]) < 1 || std::max(to[0], to[1]) > kMaxExtent ||
      std::max(x[0], x[1]) > kMaxExtent || std::max(x[0] * to[0], x[1] * to[1]) > kMaxWeights ||
      out.zero_point < -kMaxExtent || out.zero_point > kMaxExtent)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("an image of shape {} cannot become {}", weft::to_string(x), weft::to_string(to)));
  out.to = {to[0], to[1], x[2]};
  for (std::size_t d = 0; d < 2; ++d)
    out.weights[d] = weights_of(x[d], to[d], get_bool(node.attributes, "align_corners", false),
                                get_bool(node.attributes, "half_pixel", false));
  return out;
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto resize, resize_of(graph, node, ctx));
  return std::move(resize.to);
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto r, resize_of(run.graph(), node, ctx));
  const auto x = integer_codes(run.input(node, 0), r.spec.scales[0]);
  const Shape& from = run.graph().at(node.inputs[0]).shape;
  std::vector<std::int64_t> codes;
  codes.reserve(run.output(node).size());
  const std::int64_t size = element_count(from);
  for (std::int64_t b = 0; b < run.batch(); ++b)
    for (std::int64_t i = 0; i < r.to[0]; ++i)
      for (std::int64_t j = 0; j < r.to[1]; ++j)
        for (std::int64_t c = 0; c < r.to[2]; ++c) {
          Int sum = 0;
          for (std::int64_t y = 0; y < from[0]; ++y) {
            const std::int64_t wy = r.weights[0][static_cast<std::size_t>(y * r.to[0] + i)];
            if (wy == 0) continue;
            for (std::int64_t z = 0; z < from[1]; ++z)
              sum += Int{wy} * r.weights[1][static_cast<std::size_t>(z * r.to[1] + j)] *
                     x[static_cast<std::size_t>(b * size + (y * from[1] + z) * from[2] + c)];
          }
          codes.push_back(static_cast<std::int64_t>(r.result(sum)));
        }
  set_codes(run.output(node), codes, r.spec.scale);
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto r, resize_of(recipe.source(), node, ctx));
  WEFT_TRY(auto x, integer_input(node, recipe, 0, r.spec.scales[0], ctx));
  const auto add = [&](const char* suffix, exact::Primitive primitive) {
    return recipe.add(node.name + suffix, std::move(primitive), Scale(), node.origin);
  };
  // Each axis in turn stands last: [H, W, C] to [W, C, H'] to [C, H', W'] to [H', W', C].
  for (std::size_t d = 0; d < 2; ++d) {
    WEFT_TRY(x, add("_turned", exact::Permute{x, {1, 2, 0}}));
    exact::MatVec product;
    product.x = x;
    product.n_in = recipe.value(x).shape.back();
    product.n_out = r.to[d];
    product.weights = r.weights[d];
    product.bias.assign(static_cast<std::size_t>(r.to[d]), 0);
    WEFT_TRY(x, add("_sum", std::move(product)));
  }
  WEFT_TRY(x, add("_turned", exact::Permute{x, {1, 2, 0}}));
  const auto range = channel_range(recipe.value(x), 0, 1);
  exact::Requant rounded{x, {}, false};
  if (r.zero_point == 0)
    rounded.functions.emplace_back(fixed::ShiftRound{kBits, fixed::Rounding::RndInf, fixed::Overflow::Sat, r.spec.lo,
                                                     r.spec.hi, fixed::width_bits({r.spec.lo, r.spec.hi, 0}),
                                                     r.spec.lo < 0, 0});
  else
    rounded.functions.emplace_back(fixed::pieces_of([&](Int sum) { return r.result(sum); }, range.lo, range.hi, {}));
  WEFT_TRY(const auto y, add("", std::move(rounded)));
  return set_integer_output(node, recipe, y);
}

}  // namespace

Layer integer_resize_layer() {
  return {.op = "IntegerResize",
          .summary = "bilinear interpolation of integer codes as TensorFlow Lite rounds it",
          .attributes = {kScales, kScale, kLo, kHi, "zero_point", "shape", "align_corners", "half_pixel"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
