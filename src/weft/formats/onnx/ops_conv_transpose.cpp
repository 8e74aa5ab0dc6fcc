// SPDX-License-Identifier: Apache-2.0
// ConvTranspose.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;

/// Per spatial axis; what ONNX' paddings cut off the full result (negative: added zeros).
struct Geometry {
  Shape strides, dilations, before, after, positions;
};

Result<Shape> list_of(const Call& call, const std::string& name, std::size_t axes, std::int64_t fallback,
                      std::int64_t least) {
  WEFT_TRY(Shape out, call.get_ints(name));
  if (out.empty()) out.assign(axes, fallback);
  if (out.size() != axes || std::any_of(out.begin(), out.end(), [&](auto v) { return v < least || v > kMaxExtent; }))
    return call.fail(Kind::ShapeMismatch, fmt::format("`{}` is {} for {} axes", name, to_string(out), axes));
  return out;
}

Result<Geometry> geometry_of(const Call& call, const Shape& spatial, const Shape& kernel) {
  const std::size_t axes = spatial.size();
  Geometry g;
  WEFT_TRY(g.strides, list_of(call, "strides", axes, 1, 1));
  WEFT_TRY(g.dilations, list_of(call, "dilations", axes, 1, 1));
  WEFT_TRY(const Shape extra, list_of(call, "output_padding", axes, 0, 0));
  WEFT_TRY(const Shape pads, list_of(call, "pads", 2 * axes, 0, -kMaxExtent));
  WEFT_TRY(Shape wanted, call.get_ints("output_shape"));
  WEFT_TRY(const std::string automatic, call.get_string("auto_pad", "NOTSET"));
  if (automatic != "NOTSET" && automatic != "VALID" && automatic != "SAME_UPPER" && automatic != "SAME_LOWER")
    return call.fail(Kind::AttributeUnsupported, fmt::format("`auto_pad` is `{}`", automatic));
  if (wanted.size() > axes) wanted.erase(wanted.begin(), wanted.end() - static_cast<std::ptrdiff_t>(axes));
  if (!wanted.empty() && wanted.size() != axes)
    return call.fail(Kind::ShapeMismatch, fmt::format("`output_shape` is {} for {} axes", to_string(wanted), axes));
  for (std::size_t d = 0; d < axes; ++d) {
    if (spatial[d] > kMaxExtent || kernel[d] > kMaxExtent || kernel[d] < 1)
      return call.fail(Kind::ShapeMismatch, fmt::format("an axis of {} under a kernel of {}", spatial[d], kernel[d]));
    const std::int64_t full = (spatial[d] - 1) * g.strides[d] + (kernel[d] - 1) * g.dilations[d] + 1;
    std::int64_t before = automatic == "NOTSET" ? pads[d] : 0;
    std::int64_t after = (automatic == "NOTSET" ? pads[axes + d] : 0) - extra[d];
    if (!wanted.empty() || automatic.rfind("SAME", 0) == 0) {
      const std::int64_t target = wanted.empty() ? spatial[d] * g.strides[d] : wanted[d];
      const std::int64_t total = full + extra[d] - target;
      before = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      after = total - before - extra[d];
    }
    const std::int64_t n = full - before - after;
    if (n < 1 || n > kMaxExtent)
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("axis {} of {} would get the extent {}", d, to_string(spatial), n));
    g.before.push_back(before);
    g.after.push_back(after);
    g.positions.push_back(n);
  }
  return g;
}

}  // namespace

Result<Values> conv_transpose(Call& call) {
  WEFT_TRY(Dynamic x, call.dynamic_float(0));
  if (!x.has_channels())
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("data of shape {} with its batch at axis {}; the batch first, channels and at least "
                                 "one spatial axis are needed",
                                 to_string(x.shape), x.batch_axis));
  WEFT_TRY(x, call.in_channels_last(x));
  WEFT_TRY(const nn::TensorId in, call.with_all_axes(x));
  WEFT_TRY(const ConstantPtr given, call.constant(1, "the kernel"));
  WEFT_TRY(const std::int64_t groups, call.get_int("group", 1));
  const Shape spatial(x.shape.begin() + 2, x.shape.end());
  const std::int64_t channels = x.shape[1];
  const std::size_t axes = spatial.size();
  if (!given->floating() || given->shape.size() != axes + 2 || given->size() == 0 || given->shape[0] != channels ||
      groups < 1 || groups > channels || channels % groups != 0 || given->shape[1] > kMaxExtent / groups)
    return call.fail(Kind::ShapeMismatch, fmt::format("a kernel of shape {} in {} groups does not fit data of shape {}",
                                                      to_string(given->shape), groups, to_string(x.shape)));
  const Shape kernel(given->shape.begin() + 2, given->shape.end());
  WEFT_TRY(const Shape stated, call.get_ints("kernel_shape"));
  if (!stated.empty() && stated != kernel)
    return call.fail(Kind::ShapeMismatch, fmt::format("`kernel_shape` is {}, the kernel has the shape {}",
                                                      to_string(stated), to_string(given->shape)));
  WEFT_TRY(const Geometry g, geometry_of(call, spatial, kernel));
  WEFT_TRY_VOID(call.require_finite(given->floats, "the kernel"));
  // [C, O / g, k...] as [g, C / g, O / g, k...], then [k..., C / g, g, O / g].
  const std::int64_t outputs = given->shape[1] * groups;
  Shape apart{groups, channels / groups, given->shape[1]};
  apart.insert(apart.end(), kernel.begin(), kernel.end());
  std::vector<std::int64_t> permutation;
  for (std::size_t d = 0; d < axes; ++d) permutation.push_back(static_cast<std::int64_t>(d) + 3);
  permutation.insert(permutation.end(), {1, 0, 2});
  Shape last = kernel;
  last.insert(last.end(), {channels / groups, outputs});
  const Constant moved = with_shape(transpose(with_shape(*given, apart), permutation), last);
  Shape shape = g.positions;
  shape.push_back(outputs);
  LayerDraft draft{.op = "ConvTranspose",
                   .attributes = {{"strides", g.strides},
                                  {"dilations", g.dilations},
                                  {"before", g.before},
                                  {"after", g.after},
                                  {"groups", groups}},
                   .inputs = {in},
                   .shape = shape};
  draft.parameters.emplace("kernel", to_parameter(moved));
  if (call.has_input(2)) {
    WEFT_TRY(const ConstantPtr bias, call.constant(2, "the bias"));
    if (!bias->floating() || static_cast<std::int64_t>(bias->size()) != outputs)
      return call.fail(Kind::ShapeMismatch, fmt::format("a bias of {} numbers for {} outputs", bias->size(), outputs));
    WEFT_TRY_VOID(call.require_finite(bias->floats, "the bias"));
    draft.parameters.emplace("bias", to_parameter(with_shape(*bias, {outputs})));
  }
  WEFT_TRY(const nn::TensorId tensor, call.add(std::move(draft)));
  Dynamic out = Call::retarget(x, tensor);
  out.shape.resize(1);
  out.shape.push_back(outputs);
  out.shape.insert(out.shape.end(), g.positions.begin(), g.positions.end());
  return Values{std::move(out)};
}

}  // namespace weft::formats::onnx::ops
