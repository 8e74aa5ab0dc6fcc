// SPDX-License-Identifier: Apache-2.0
// Pad, Resize and Upsample (nearest neighbours are moved, linear and cubic interpolation multiply by constant weights),
// DepthToSpace and SpaceToDepth.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/onnx/operators.h"
#include "weft/layers/resample.h"

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

/// What is asked of every ONNX axis.
struct Request {
  Shape axes;
  std::vector<std::int64_t> extents;  ///< of the result, per entry of `axes`
  std::vector<double> scales;
  std::vector<double> roi;  ///< starts, then ends
};

Shape all_axes(const Dynamic& x) {
  Shape axes(x.shape.size());
  std::iota(axes.begin(), axes.end(), std::int64_t{0});
  return axes;
}

Result<Request> request_of(const Call& call, const Dynamic& x, const std::vector<float>& scales, const Shape& sizes,
                           Shape axes, const std::string& policy) {
  Request out;
  const std::size_t given = scales.empty() ? sizes.size() : scales.size();
  if (given != axes.size()) {
    return call.fail(Kind::ShapeMismatch, fmt::format("{} factors for {} axes", given, axes.size()));
  }
  std::vector<double> extents;
  for (auto& axis : axes) {
    WEFT_TRY(axis, call.axis(axis, x.rank()));
    extents.push_back(static_cast<double>(x.shape[static_cast<std::size_t>(axis)]));
  }
  std::optional<double> common;
  if (policy != "stretch" && !sizes.empty()) {
    if (policy != "not_larger" && policy != "not_smaller")
      return call.fail(Kind::AttributeUnsupported, fmt::format("`keep_aspect_ratio_policy` is `{}`", policy));
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const double factor = static_cast<double>(sizes[i]) / extents[i];
      common = !common ? factor : policy == "not_larger" ? std::min(*common, factor) : std::max(*common, factor);
    }
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    double factor = 0;
    double size = 0;
    if (common) {
      factor = *common;
      size = std::floor(factor * extents[i] + 0.5);
    } else if (scales.empty()) {
      size = static_cast<double>(sizes[i]);
      factor = size / extents[i];
    } else {
      factor = static_cast<double>(scales[i]);
      size = std::floor(extents[i] * factor);
    }
    if (!(factor > 0) || !(size >= 1) || size > static_cast<double>(kMaxExtent)) {
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("axis {} of {} cannot be resized by {}", axes[i], to_string(x.shape), factor));
    }
    if (axes[i] == x.batch_axis && (size != extents[i] || factor != 1.0))
      return call.fail(Kind::LayerUnsupported, fmt::format("the batch (axis {}) is resized", axes[i]));
    out.extents.push_back(static_cast<std::int64_t>(size));
    out.scales.push_back(factor);
  }
  out.axes = std::move(axes);
  return out;
}

Result<Values> repeat(const Call& call, const Dynamic& x, const Shape& factors) {
  WEFT_TRY(const nn::TensorId in, call.with_all_axes(x));
  Dynamic out = x;
  Shape layer(x.layer_shape().size(), 1);
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

/// One axis by constant weights.
Result<nn::TensorId> weighted(const Call& call, nn::TensorId in, const Dynamic& out, std::size_t at,
                              layers::Weights weights, float outside, const std::string& suffix) {
  const Shape shape = out.layer_shape();
  std::string labels;
  for (std::size_t d = 0; d < shape.size(); ++d) labels += static_cast<char>('a' + d);
  std::string result = labels;
  result[at] = 'Z';
  LayerDraft draft{.op = "Einsum",
                   .attributes = {{"equation", labels + "," + labels[at] + "Z->" + result}},
                   .inputs = {in},
                   .parameters = {{"kernel", std::move(weights.matrix)}},
                   .shape = shape,
                   .suffix = suffix};
  if (std::find(weights.outside.begin(), weights.outside.end(), true) != weights.outside.end()) {
    Constant bias;
    bias.shape.assign(shape.size() - at, 1);
    bias.shape.front() = shape[at];
    for (const bool is_outside : weights.outside) bias.floats.push_back(is_outside ? outside : 0.0F);
    draft.parameters.emplace("bias", to_parameter(bias));
  }
  return call.add(std::move(draft), suffix.empty());
}

constexpr std::int64_t kMaxMatrix = std::int64_t{1} << 24;

Result<Values> resampled(const Call& call, const Dynamic& x, const Request& request, layers::Resampling how,
                         float outside) {
  Shape whole(x.shape.size(), 1);
  bool repeats = how.mode == "nearest";
  std::vector<std::vector<std::int64_t>> elements(request.axes.size());
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < request.axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(request.axes[i]);
    const std::int64_t n_in = x.shape[axis];
    const std::int64_t n_out = request.extents[i];
    const bool crops = how.coordinates == "tf_crop_and_resize";
    if (request.axes[i] == x.batch_axis || (n_in == n_out && request.scales[i] == 1.0 && !crops)) continue;
    changed.push_back(i);
    if (n_out > kMaxMatrix / n_in)
      return call.fail(Kind::LimitExceeded, fmt::format("axis {} is resized from {} to {}", axis, n_in, n_out));
    if (how.mode != "nearest") continue;
    how.scale = request.scales[i];
    if (crops) {
      how.roi_begin = request.roi[i];
      how.roi_end = request.roi[i + request.axes.size()];
    }
    auto from = layers::nearest_elements(how, n_in, n_out);
    if (!from)
      return call.fail(Kind::AttributeUnsupported,
                       fmt::format("`{}` with `{}` is not known", how.coordinates, how.rounding));
    whole[axis] = n_out / n_in;
    repeats = repeats && n_out % n_in == 0;
    for (std::size_t o = 0; o < from->size(); ++o) {
      if ((*from)[o] < 0)
        return call.fail(Kind::AttributeUnsupported,
                         "a crop that reaches beyond the data is not supported for nearest");
      repeats = repeats && (*from)[o] == static_cast<std::int64_t>(o) / std::max<std::int64_t>(whole[axis], 1);
    }
    elements[i] = std::move(*from);
  }
  Dynamic out = x;
  for (std::size_t i = 0; i < request.axes.size(); ++i)
    out.shape[static_cast<std::size_t>(request.axes[i])] = request.extents[i];
  if (!checked_count(out.sample_shape(), call.ctx.limits.tensor_elements)) {
    return call.fail(Kind::LimitExceeded, fmt::format("the result has the shape {}", to_string(out.shape)));
  }
  if (repeats || changed.empty()) return repeat(call, x, whole);
  WEFT_TRY(out.tensor, call.with_all_axes(x));
  out.shape = x.shape;
  for (std::size_t c = 0; c < changed.size(); ++c) {
    const std::size_t i = changed[c];
    const auto axis = static_cast<std::size_t>(request.axes[i]);
    const auto at = static_cast<std::size_t>(x.layer_axis(request.axes[i]));
    const std::string suffix = c + 1 == changed.size() ? "" : fmt::format("_axis{}", axis);
    const std::int64_t n_in = x.shape[axis];
    out.shape[axis] = request.extents[i];
    if (how.mode == "nearest") {
      WEFT_TRY(out.tensor, call.add({.op = "Take",
                                     .attributes = {{"axis", static_cast<std::int64_t>(at)}, {"indices", elements[i]}},
                                     .inputs = {out.tensor},
                                     .shape = out.layer_shape(),
                                     .suffix = suffix},
                                    suffix.empty()));
      continue;
    }
    how.scale = request.scales[i];
    if (!request.roi.empty()) {
      how.roi_begin = request.roi[i];
      how.roi_end = request.roi[i + request.axes.size()];
    }
    auto weights = layers::interpolation_weights(how, n_in, request.extents[i]);
    if (!weights)
      return call.fail(Kind::AttributeUnsupported,
                       fmt::format("`{}` with `{}` is not known", how.mode, how.coordinates));
    WEFT_TRY(out.tensor, weighted(call, out.tensor, out, at, std::move(*weights), outside, suffix));
  }
  return Values{std::move(out)};
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
  Shape before(x.layer_shape().size(), 0);
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
  WEFT_TRY(const std::string mode, call.get_string("mode", "nearest"));
  if (mode != "nearest" && mode != "linear" && mode != "bilinear")
    return call.fail(Kind::AttributeUnsupported, fmt::format("`mode` is `{}`; nearest and linear are supported", mode));
  std::vector<float> scales;
  if (call.has_input(1)) {
    WEFT_TRY(const ConstantPtr given, call.constant(1, "the factors"));
    scales = as_floats(*given);
  } else if (call.has_attribute("scales") && call.attributes.at("scales").type == AttributeType::Floats) {
    scales = call.attributes.at("scales").floats;
  }
  if (scales.empty()) return call.fail(Kind::ModelMalformed, "the factors are missing");
  WEFT_TRY(const Request request, request_of(call, x, scales, {}, all_axes(x), "stretch"));
  return resampled(call, x, request,
                   {.mode = mode == "nearest" ? "nearest" : "linear", .coordinates = "asymmetric", .rounding = "floor"},
                   0.0F);
}

Result<Values> resize(Call& call) {
  WEFT_TRY(const Dynamic x, call.data(0));
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
  layers::Resampling how;
  WEFT_TRY(how.mode, call.get_string("mode", "nearest"));
  WEFT_TRY(how.coordinates, call.get_string("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"));
  WEFT_TRY(how.rounding, call.get_string("nearest_mode", old ? "floor" : "round_prefer_floor"));
  WEFT_TRY(const float a, call.get_float("cubic_coeff_a", -0.75F));
  WEFT_TRY(const std::int64_t exclude, call.get_int("exclude_outside", 0));
  WEFT_TRY(const std::int64_t antialias, call.get_int("antialias", 0));
  WEFT_TRY(const float outside, call.get_float("extrapolation_value", 0.0F));
  how.cubic_a = static_cast<double>(a);
  how.exclude_outside = exclude != 0;
  how.antialias = antialias != 0;
  if (how.mode != "nearest" && how.mode != "linear" && how.mode != "cubic")
    return call.fail(Kind::AttributeUnsupported,
                     fmt::format("`mode` is `{}`; nearest, linear and cubic are supported", how.mode));
  WEFT_TRY(Request request, request_of(call, x, scales, sizes, axes, policy));
  if (how.coordinates == "tf_crop_and_resize") {
    WEFT_TRY(const ConstantPtr roi, call.constant(1, "the region"));
    for (const float v : as_floats(*roi)) request.roi.push_back(static_cast<double>(v));
    if (request.roi.size() != 2 * request.axes.size())
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("a region of {} numbers for {} axes", request.roi.size(), request.axes.size()));
  }
  return resampled(call, x, request, how, outside);
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
