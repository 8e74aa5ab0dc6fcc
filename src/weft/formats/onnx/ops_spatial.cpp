// SPDX-License-Identifier: Apache-2.0
// Convolutions and pools. Layers have their channels last; the operators of QONNX's channels_last set have so too.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/windows.h"

namespace weft::formats::onnx::ops {
namespace {

/// Data as [spatial..., C].
struct Spatial {
  Dynamic x;
  nn::TensorId tensor;
  Shape extents;  ///< of the spatial axes
  std::int64_t channels = 0;
  bool nhwc = false;  ///< in the file too
};

Result<Spatial> spatial_data(const Call& call, bool nhwc, bool float_only) {
  Spatial out;
  out.nhwc = nhwc;
  WEFT_TRY(out.x, float_only ? call.dynamic_float(0) : call.data(0));
  if (!out.x.has_channels()) {
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("data of shape {} with its batch at axis {}; the batch first, channels and at least "
                                 "one spatial axis are needed",
                                 to_string(out.x.shape), out.x.batch_axis));
  }
  if (nhwc) {
    WEFT_TRY(out.x, call.in_onnx_order(out.x));
  } else {
    WEFT_TRY(out.x, call.in_channels_last(out.x));
  }
  WEFT_TRY(out.tensor, call.with_all_axes(out.x));
  out.extents = out.x.layer_shape();
  out.channels = out.extents.back();
  out.extents.pop_back();
  return out;
}

/// The result of a layer with the shape [positions..., channels].
Values result(const Spatial& in, nn::TensorId tensor, const Shape& positions, std::int64_t channels) {
  Dynamic out = Call::retarget(in.x, tensor);
  out.shape.resize(1);
  if (!in.nhwc) out.shape.push_back(channels);
  out.shape.insert(out.shape.end(), positions.begin(), positions.end());
  if (in.nhwc) out.shape.push_back(channels);
  return Values{std::move(out)};
}

Shape with_channels(const Shape& positions, std::int64_t channels) {
  Shape out = positions;
  out.push_back(channels);
  return out;
}

/// [O, I / g, k...], or [O, k..., I / g], as [k..., I / g, O].
Constant conv_kernel(const Constant& given, bool nhwc) {
  std::vector<std::int64_t> permutation;
  const auto rank = static_cast<std::int64_t>(given.shape.size());
  for (std::int64_t d = nhwc ? 1 : 2; d < rank; ++d) permutation.push_back(d);
  if (!nhwc) permutation.push_back(1);
  permutation.push_back(0);
  return transpose(given, permutation);
}

/// [C m, 1, k...], or [C m, k..., 1], as [k..., C, m].
Constant depthwise_kernel(const Constant& given, std::int64_t channels, bool nhwc) {
  Shape shape{channels, given.shape[0] / channels};
  const std::ptrdiff_t end = nhwc ? 1 : 0;
  shape.insert(shape.end(), given.shape.begin() + 2 - end, given.shape.end() - end);
  std::vector<std::int64_t> permutation;
  for (std::int64_t d = 2; d < static_cast<std::int64_t>(shape.size()); ++d) permutation.push_back(d);
  permutation.push_back(0);
  permutation.push_back(1);
  return transpose(with_shape(given, shape), permutation);
}

Result<Values> convolution(Call& call, bool nhwc) {
  WEFT_TRY(const Spatial in, spatial_data(call, nhwc, true));
  WEFT_TRY(const ConstantPtr given, call.constant(1, "the kernel"));
  WEFT_TRY(const std::int64_t groups, call.get_int("group", 1));
  const std::size_t axes = in.extents.size();
  const Shape& from = given->shape;
  const auto mismatch = [&] {
    return call.fail(Kind::ShapeMismatch, fmt::format("a kernel of shape {} in {} groups does not fit data of shape {}",
                                                      to_string(from), groups, to_string(in.x.shape)));
  };
  if (!given->floating()) {
    return call.fail(Kind::AttributeUnsupported, fmt::format("a kernel of {} is not supported; cast it to float32",
                                                             element_name(static_cast<std::int32_t>(given->element))));
  }
  if (from.size() != axes + 2 || given->size() == 0 || groups < 1 || groups > in.channels) return mismatch();
  const std::int64_t per_group = nhwc ? from.back() : from[1];
  const std::int64_t outputs = from[0];
  if (in.channels % groups != 0 || per_group != in.channels / groups || outputs % groups != 0) return mismatch();
  const Shape kernel(from.begin() + (nhwc ? 1 : 2), from.end() - (nhwc ? 1 : 0));
  WEFT_TRY(const Shape stated, call.get_ints("kernel_shape"));
  if (!stated.empty() && stated != kernel) {
    return call.fail(Kind::ShapeMismatch, fmt::format("`kernel_shape` is {}, the kernel has the shape {}",
                                                      to_string(stated), to_string(from)));
  }
  WEFT_TRY(const Windows windows, read_windows(call, in.extents, kernel, in.channels));
  WEFT_TRY_VOID(call.require_finite(given->floats, "the kernel"));

  LayerDraft draft{.op = "Conv",
                   .attributes = windows.layer_attributes(),
                   .inputs = {in.tensor},
                   .shape = with_channels(windows.positions, outputs)};
  if (groups == in.channels && groups > 1) {
    draft.parameters.emplace("kernel", to_parameter(depthwise_kernel(*given, groups, nhwc)));
    draft.op = "DepthwiseConv";
  }
  // A depthwise kernel cannot hold one scale per channel; as a grouped one it can.
  const bool lost = draft.op != "Conv" && given->quantized() && !draft.parameters.at("kernel").quantized;
  if (draft.op == "Conv" || lost) {
    draft.op = "Conv";
    if (groups > 1) draft.attributes["groups"] = groups;
    draft.parameters.insert_or_assign("kernel", to_parameter(conv_kernel(*given, nhwc)));
  }
  if (call.has_input(2)) {
    WEFT_TRY(const ConstantPtr bias, call.constant(2, "the bias"));
    if (!bias->floating() || static_cast<std::int64_t>(bias->size()) != outputs) {
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("a bias of {} {} for {} outputs", bias->size(),
                                   element_name(static_cast<std::int32_t>(bias->element)), outputs));
    }
    WEFT_TRY_VOID(call.require_finite(bias->floats, "the bias"));
    draft.parameters.emplace("bias", to_parameter(with_shape(*bias, {outputs})));
  }
  WEFT_TRY(const nn::TensorId tensor, call.add(std::move(draft)));
  return result(in, tensor, windows.positions, outputs);
}

Result<Windows> pool_windows(const Call& call, const Spatial& in) {
  WEFT_TRY(const Shape kernel, call.get_ints("kernel_shape"));
  if (kernel.empty()) return call.fail(Kind::ModelMalformed, "attribute `kernel_shape` is missing");
  WEFT_TRY(Windows windows, read_windows(call, in.extents, kernel, in.channels));
  WEFT_TRY_VOID(require_data_in_windows(call, windows, in.extents));
  return windows;
}

Result<Values> largest_in_windows(Call& call, bool nhwc) {
  WEFT_TRY(const Spatial in, spatial_data(call, nhwc, false));
  WEFT_TRY(const Windows windows, pool_windows(call, in));
  AttributeMap attributes = windows.layer_attributes();
  attributes["pool"] = windows.kernel;
  WEFT_TRY(const nn::TensorId tensor, call.add({.op = "MaxPool",
                                                .attributes = std::move(attributes),
                                                .inputs = {in.tensor},
                                                .shape = with_channels(windows.positions, in.channels)}));
  return result(in, tensor, windows.positions, in.channels);
}

Result<Values> global_pool(Call& call, const std::string& op) {
  WEFT_TRY(const Spatial in, spatial_data(call, false, op == "GlobalAveragePool"));
  const Shape positions(in.extents.size(), 1);
  WEFT_TRY(const nn::TensorId tensor, call.add({.op = op,
                                                .attributes = {{"keepdims", true}},
                                                .inputs = {in.tensor},
                                                .shape = with_channels(positions, in.channels)}));
  return result(in, tensor, positions, in.channels);
}

/// A mean or maximum over all axes but the batch and axis 1 is a pool over everything.
Result<Values> reduce(Call& call, const std::string& op) {
  WEFT_TRY(const Dynamic x, call.data(0));
  WEFT_TRY(const std::int64_t keepdims, call.get_int("keepdims", 1));
  WEFT_TRY(Shape axes, call.get_ints("axes"));
  if (call.has_input(1)) {
    WEFT_TRY(axes, call.integers(1, "the axes"));
  }
  for (auto& axis : axes) {
    WEFT_TRY(axis, call.axis(axis, x.rank()));
  }
  std::sort(axes.begin(), axes.end());
  Shape wanted;
  for (std::int64_t d = 2; d < x.rank(); ++d) wanted.push_back(d);
  if (!x.has_channels() || axes != wanted) {
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("a reduction of data of shape {} along the axes {}; all spatial axes of [N,C,...] "
                                 "together are supported",
                                 to_string(x.shape), to_string(axes)));
  }
  WEFT_TRY(const Spatial in, spatial_data(call, false, op == "GlobalAveragePool"));
  const Shape ones(keepdims != 0 ? in.extents.size() : 0, 1);
  WEFT_TRY(const nn::TensorId tensor, call.add({.op = op,
                                                .attributes = {{"keepdims", keepdims != 0}},
                                                .inputs = {in.tensor},
                                                .shape = with_channels(ones, in.channels)}));
  Values out = result(in, tensor, ones, in.channels);
  out.front().dynamic->channels_last = keepdims != 0;
  return out;
}

}  // namespace

Result<Values> conv(Call& call) { return convolution(call, false); }
Result<Values> conv_channels_last(Call& call) { return convolution(call, true); }
Result<Values> max_pool(Call& call) { return largest_in_windows(call, false); }
Result<Values> max_pool_channels_last(Call& call) { return largest_in_windows(call, true); }
Result<Values> global_max_pool(Call& call) { return global_pool(call, "GlobalMaxPool"); }
Result<Values> global_average_pool(Call& call) { return global_pool(call, "GlobalAveragePool"); }
Result<Values> global_reduce_max(Call& call) { return reduce(call, "GlobalMaxPool"); }
Result<Values> global_reduce_mean(Call& call) { return reduce(call, "GlobalAveragePool"); }

Result<Values> average_pool(Call& call) {
  WEFT_TRY(Spatial in, spatial_data(call, false, true));
  WEFT_TRY(Windows windows, pool_windows(call, in));
  WEFT_TRY(const std::int64_t count_padding, call.get_int("count_include_pad", 0));
  bool counts = count_padding != 0 && windows.padded();
  if (counts && windows.overhangs()) {
    // The padding counts, what ceil_mode adds behind it does not: zeros of their own, then a pool.
    const std::size_t axes = in.extents.size();
    Shape padded = in.extents;
    for (std::size_t d = 0; d < axes; ++d) padded[d] += windows.before[d] + windows.after[d];
    WEFT_TRY(in.tensor, call.add({.op = "Pad",
                                  .attributes = {{"before", with_channels(windows.before, 0)},
                                                 {"after", with_channels(windows.after, 0)},
                                                 {"mode", std::string("constant")},
                                                 {"value", 0.0}},
                                  .inputs = {in.tensor},
                                  .shape = with_channels(padded, in.channels),
                                  .suffix = "_pad"},
                                 false));
    windows.before.assign(axes, 0);
    windows.after.assign(axes, 0);
    counts = false;
  }
  AttributeMap attributes = windows.layer_attributes();
  attributes["pool"] = windows.kernel;
  if (counts) attributes["count_padding"] = true;
  WEFT_TRY(const nn::TensorId tensor, call.add({.op = "AveragePool",
                                                .attributes = std::move(attributes),
                                                .inputs = {in.tensor},
                                                .shape = with_channels(windows.positions, in.channels)}));
  return result(in, tensor, windows.positions, in.channels);
}

}  // namespace weft::formats::onnx::ops
