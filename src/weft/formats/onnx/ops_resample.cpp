// SPDX-License-Identifier: Apache-2.0
// Pad, Resize and Upsample (nearest neighbour, whole factors), DepthToSpace and SpaceToDepth.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

/// Far above any real network; sums of a few of them stay inside int64.
constexpr std::int64_t kMaxExtent = std::int64_t{1} << 32;

struct Widths {
  Shape before;  ///< per ONNX axis
  Shape after;
};

Result<Widths> read_widths(const Call& call, const Dynamic& x) {
  Shape pads;
  Shape axes;
  if (call.has_input(1)) {
    WEFT_TRY(pads, call.integers(1, "the widths"));
  } else {
    WEFT_TRY(pads, call.get_ints(call.has_attribute("pads") ? "pads" : "paddings"));
  }
  if (call.has_input(3)) {
    WEFT_TRY(axes, call.integers(3, "the axes"));
  } else {
    axes.resize(x.shape.size());
    std::iota(axes.begin(), axes.end(), std::int64_t{0});
  }
  if (pads.size() != 2 * axes.size()) {
    return call.fail(Kind::ShapeMismatch, fmt::format("{} widths for {} axes", pads.size(), axes.size()));
  }
  Widths out{Shape(x.shape.size(), 0), Shape(x.shape.size(), 0)};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    WEFT_TRY(const std::int64_t axis, call.axis(axes[i], x.rank()));
    const std::int64_t before = pads[i];
    const std::int64_t after = pads[i + axes.size()];
    const std::int64_t extent = x.shape[static_cast<std::size_t>(axis)];
    if (before < -extent || after < -extent || before > kMaxExtent || after > kMaxExtent ||
        extent + before + after < 1) {
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("padding an axis of {} by {} and {} is not possible", extent, before, after));
    }
    if (axis == x.batch_axis && (before != 0 || after != 0))
      return call.fail(Kind::LayerUnsupported, fmt::format("the batch (axis {}) is padded", axis));
    out.before[static_cast<std::size_t>(axis)] = before;
    out.after[static_cast<std::size_t>(axis)] = after;
  }
  return out;
}

/// 0 when no value is given.
Result<float> padding_value(const Call& call) {
  if (!call.has_input(2)) return call.get_float("value", 0.0F);
  WEFT_TRY(const ConstantPtr given, call.constant(2, "the padding value"));
  if (given->size() == 0) return 0.0F;
  if (given->size() != 1) return call.fail(Kind::ShapeMismatch, "the padding value is no single number");
  return as_floats(*given).front();
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/// numerator / denominator rounded as `mode` says; nullopt for unknown modes.
std::optional<std::int64_t> nearest(const std::string& mode, std::int64_t numerator, std::int64_t denominator) {
  if (mode == "floor") return floor_div(numerator, denominator);
  if (mode == "ceil") return -floor_div(-numerator, denominator);
  if (mode == "round_prefer_ceil") return floor_div(2 * numerator + denominator, 2 * denominator);
  if (mode == "round_prefer_floor") return -floor_div(-(2 * numerator - denominator), 2 * denominator);
  return std::nullopt;
}

/// Whether element q r + t of the result comes from element q for all t < r.
bool repeats(const std::string& transformation, const std::string& mode, std::int64_t r) {
  for (std::int64_t t = 0; t < r; ++t) {
    const std::int64_t i = r + t;  // q = 1, so that clamping at the start hides nothing
    std::optional<std::int64_t> from;
    if (transformation == "asymmetric") from = nearest(mode, i, r);
    if (transformation == "tf_half_pixel_for_nn") from = nearest(mode, 2 * i + 1, 2 * r);
    if (transformation == "half_pixel" || transformation == "pytorch_half_pixel" ||
        transformation == "half_pixel_symmetric")
      from = nearest(mode, 2 * i + 1 - r, 2 * r);
    if (from != 1) return false;
  }
  return true;
}

/// Whole factors per ONNX axis, or why there are none.
Result<Shape> factors(const Call& call, const Dynamic& x, const std::vector<float>& scales, const Shape& sizes,
                      const Shape& axes) {
  Shape out(x.shape.size(), 1);
  const std::size_t given = scales.empty() ? sizes.size() : scales.size();
  if (given != axes.size()) {
    return call.fail(Kind::ShapeMismatch, fmt::format("{} factors for {} axes", given, axes.size()));
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    WEFT_TRY(const std::int64_t axis, call.axis(axes[i], x.rank()));
    const auto at = static_cast<std::size_t>(axis);
    const std::int64_t extent = x.shape[at];
    const double factor =
        scales.empty() ? static_cast<double>(sizes[i]) / static_cast<double>(extent) : static_cast<double>(scales[i]);
    if (!(factor >= 1) || factor != std::floor(factor) ||
        factor > static_cast<double>(kMaxExtent) / static_cast<double>(extent)) {
      return call.fail(Kind::AttributeUnsupported,
                       fmt::format("axis {} is resized by {}; whole factors from 1 on are supported", axis, factor));
    }
    out[at] = static_cast<std::int64_t>(factor);
    if (axis == x.batch_axis && out[at] != 1)
      return call.fail(Kind::LayerUnsupported, fmt::format("the batch (axis {}) is resized", axis));
  }
  return out;
}

Result<Values> repeat(const Call& call, const Dynamic& x, const Shape& factors) {
  WEFT_TRY(const nn::TensorId in, call.with_all_axes(x));
  Dynamic out = x;
  Shape layer(factors.size() - 1, 1);
  for (std::int64_t d = 0; d < x.rank(); ++d) {
    if (d == x.batch_axis) continue;
    const auto at = static_cast<std::size_t>(d);
    out.shape[at] *= factors[at];
    layer[static_cast<std::size_t>(x.layer_axis(d))] = factors[at];
  }
  WEFT_TRY(
      out.tensor,
      call.add({.op = "Upsample", .attributes = {{"repeats", layer}}, .inputs = {in}, .shape = out.layer_shape()}));
  return Values{std::move(out)};
}

Shape all_axes(const Dynamic& x) {
  Shape axes(x.shape.size());
  std::iota(axes.begin(), axes.end(), std::int64_t{0});
  return axes;
}

Result<void> require_nearest(const Call& call) {
  WEFT_TRY(const std::string mode, call.get_string("mode", "nearest"));
  if (mode == "nearest") return {};
  return call.fail(Kind::AttributeUnsupported,
                   fmt::format("`mode` is `{}`; only `nearest` is supported, which repeats elements", mode));
}

/// Data [N,C,H,W] as [H,W,C], and the block size.
struct Blocks {
  Dynamic x;
  std::int64_t size = 0;
};

Result<Blocks> read_blocks(const Call& call) {
  Blocks out;
  WEFT_TRY(out.x, call.data(0));
  WEFT_TRY(out.size, call.get_int("blocksize", 0));
  if (out.x.rank() != 4 || out.x.batch_axis != 0 || out.size < 1 || out.size > (1 << 15)) {
    return call.fail(Kind::ShapeMismatch, fmt::format("blocks of {} in data of shape {}; [N,C,H,W] is needed", out.size,
                                                      to_string(out.x.shape)));
  }
  WEFT_TRY(out.x, call.in_channels_last(out.x));
  return out;
}

/// Reshape, Permute, Reshape; the last one makes the operator's result.
Result<Values> shuffle(const Call& call, Dynamic x, Shape apart, const std::vector<std::int64_t>& permutation,
                       Shape onnx_shape) {
  Shape moved;
  for (const auto d : permutation) moved.push_back(apart[static_cast<std::size_t>(d)]);
  WEFT_TRY(const nn::TensorId blocks, call.add({.op = "Reshape",
                                                .attributes = {{"shape", apart}},
                                                .inputs = {x.tensor},
                                                .shape = apart,
                                                .suffix = "_blocks"},
                                               false));
  WEFT_TRY(const nn::TensorId permuted, call.add({.op = "Permute",
                                                  .attributes = {{"permutation", permutation}},
                                                  .inputs = {blocks},
                                                  .shape = moved,
                                                  .suffix = "_moved"},
                                                 false));
  x.shape = std::move(onnx_shape);
  const Shape wanted = x.layer_shape();
  WEFT_TRY(x.tensor,
           call.add({.op = "Reshape", .attributes = {{"shape", wanted}}, .inputs = {permuted}, .shape = wanted}));
  return Values{std::move(x)};
}

}  // namespace

Result<Values> pad(Call& call) {
  WEFT_TRY(const Dynamic x, call.data(0));
  WEFT_TRY(const Widths widths, read_widths(call, x));
  WEFT_TRY(const std::string mode, call.get_string("mode", "constant"));
  WEFT_TRY(const float value, padding_value(call));
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap") {
    return call.fail(Kind::AttributeUnsupported,
                     fmt::format("`mode` is `{}`; constant, reflect, edge and wrap are supported", mode));
  }
  if (!std::isfinite(value)) return call.fail(Kind::AttributeUnsupported, fmt::format("the padding is {}", value));
  const auto negative = [](const Shape& list) {
    return std::any_of(list.begin(), list.end(), [](auto v) { return v < 0; });
  };
  if (mode != "constant" && (negative(widths.before) || negative(widths.after))) {
    return call.fail(Kind::AttributeUnsupported, fmt::format("negative widths with the mode `{}`", mode));
  }
  WEFT_TRY(const nn::TensorId in, call.with_all_axes(x));
  Dynamic out = x;
  Shape before(x.shape.size() - 1, 0);
  Shape after = before;
  for (std::int64_t d = 0; d < x.rank(); ++d) {
    if (d == x.batch_axis) continue;
    const auto from = static_cast<std::size_t>(d);
    const auto to = static_cast<std::size_t>(x.layer_axis(d));
    before[to] = widths.before[from];
    after[to] = widths.after[from];
    out.shape[from] += widths.before[from] + widths.after[from];
  }
  AttributeMap attributes{{"before", before}, {"after", after}, {"mode", mode}};
  if (mode == "constant") attributes["value"] = static_cast<double>(value);
  WEFT_TRY(out.tensor,
           call.add({.op = "Pad", .attributes = std::move(attributes), .inputs = {in}, .shape = out.layer_shape()}));
  return Values{std::move(out)};
}

Result<Values> upsample(Call& call) {
  WEFT_TRY(const Dynamic x, call.data(0));
  WEFT_TRY_VOID(require_nearest(call));
  std::vector<float> scales;
  if (call.has_input(1)) {
    WEFT_TRY(const ConstantPtr given, call.constant(1, "the factors"));
    scales = as_floats(*given);
  } else if (call.has_attribute("scales") && call.attributes.at("scales").type == AttributeType::Floats) {
    scales = call.attributes.at("scales").floats;
  }
  if (scales.empty()) return call.fail(Kind::ModelMalformed, "the factors are missing");
  WEFT_TRY(const Shape whole, factors(call, x, scales, {}, all_axes(x)));
  return repeat(call, x, whole);
}

Result<Values> resize(Call& call) {
  WEFT_TRY(const Dynamic x, call.data(0));
  WEFT_TRY_VOID(require_nearest(call));
  // Version 10 has the factors as input 1 and takes element floor(i / factor).
  const bool old = call.opset < 11;
  std::vector<float> scales;
  Shape sizes;
  const std::size_t at = old ? 1 : 2;
  if (call.has_input(at)) {
    WEFT_TRY(const ConstantPtr given, call.constant(at, "the factors"));
    scales = as_floats(*given);
  }
  if (scales.empty() && call.has_input(3)) {
    WEFT_TRY(sizes, call.integers(3, "the sizes"));
  }
  if (scales.empty() && sizes.empty()) return call.fail(Kind::ModelMalformed, "the factors are missing");
  Shape axes = all_axes(x);
  if (call.has_attribute("axes")) {
    WEFT_TRY(axes, call.get_ints("axes"));
  }
  WEFT_TRY(const std::string policy, call.get_string("keep_aspect_ratio_policy", "stretch"));
  if (policy != "stretch" && !sizes.empty()) {
    return call.fail(Kind::AttributeUnsupported, fmt::format("`keep_aspect_ratio_policy` is `{}`", policy));
  }
  WEFT_TRY(const std::string transformation,
           call.get_string("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"));
  WEFT_TRY(const std::string mode, call.get_string("nearest_mode", old ? "floor" : "round_prefer_floor"));
  WEFT_TRY(const Shape whole, factors(call, x, scales, sizes, axes));
  Dynamic resized = x;
  for (std::size_t d = 0; d < whole.size(); ++d) resized.shape[d] *= whole[d];
  if (!checked_count(resized.sample_shape(), call.ctx.limits.tensor_elements)) {
    return call.fail(Kind::LimitExceeded, fmt::format("the result has the shape {}", to_string(resized.shape)));
  }
  for (const auto factor : whole) {
    if (factor == 1 || repeats(transformation, mode, factor)) continue;
    return call.fail(Kind::AttributeUnsupported,
                     fmt::format("`{}` with `{}` does not repeat every element {} times; use `asymmetric` with `floor`",
                                 transformation, mode, factor));
  }
  return repeat(call, x, whole);
}

Result<Values> depth_to_space(Call& call) {
  WEFT_TRY(const Blocks in, read_blocks(call));
  WEFT_TRY(const std::string mode, call.get_string("mode", "DCR"));
  const std::int64_t b = in.size;
  const std::int64_t h = in.x.shape[2];
  const std::int64_t w = in.x.shape[3];
  const std::int64_t c = in.x.shape[1] / (b * b);
  if (in.x.shape[1] % (b * b) != 0) {
    return call.fail(Kind::ShapeMismatch, fmt::format("{} channels do not hold blocks of {}", in.x.shape[1], b));
  }
  if (mode != "DCR" && mode != "CRD")
    return call.fail(Kind::AttributeUnsupported, fmt::format("`mode` is `{}`; DCR and CRD are defined", mode));
  const Shape wanted{in.x.shape[0], c, h * b, w * b};
  if (mode == "DCR") return shuffle(call, in.x, {h, w, b, b, c}, {0, 2, 1, 3, 4}, wanted);
  return shuffle(call, in.x, {h, w, c, b, b}, {0, 3, 1, 4, 2}, wanted);
}

Result<Values> space_to_depth(Call& call) {
  WEFT_TRY(const Blocks in, read_blocks(call));
  const std::int64_t b = in.size;
  const std::int64_t h = in.x.shape[2];
  const std::int64_t w = in.x.shape[3];
  const std::int64_t c = in.x.shape[1];
  if (h % b != 0 || w % b != 0) {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("blocks of {} do not fill data of shape {}", b, to_string(in.x.shape)));
  }
  return shuffle(call, in.x, {h / b, b, w / b, b, c}, {0, 2, 1, 3, 4}, {in.x.shape[0], c * b * b, h / b, w / b});
}

}  // namespace weft::formats::onnx::ops
