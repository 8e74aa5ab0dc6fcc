// SPDX-License-Identifier: Apache-2.0
// Operators along the channel axis: batch normalization, softmax.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

/// A tensor as outer x along x inner around one axis.
struct Split {
  std::size_t outer = 1;
  std::size_t along = 1;
  std::size_t inner = 1;
};

Split split_at(const Shape& shape, std::int64_t axis) {
  Split out;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    auto& part = static_cast<std::int64_t>(d) < axis ? out.outer
                                                     : (static_cast<std::int64_t>(d) == axis ? out.along : out.inner);
    part *= static_cast<std::size_t>(shape[d]);
  }
  return out;
}

struct BatchNorm {
  float epsilon = 1e-5F;
  ConstantPtr gamma, beta, mean, variance;
};

Result<BatchNorm> read_batch_norm(const Call& call) {
  BatchNorm out;
  WEFT_TRY(out.epsilon, call.get_float("epsilon", 1e-5F));
  WEFT_TRY(const std::int64_t training_mode, call.get_int("training_mode", 0));
  // Versions before 7 say is_test = 1 for inference and mean training when it is absent.
  WEFT_TRY(const std::int64_t is_test, call.get_int("is_test", call.opset < 7 ? 0 : 1));
  WEFT_TRY(out.gamma, call.constant(1, "the scale"));
  WEFT_TRY(out.beta, call.constant(2, "the bias"));
  WEFT_TRY(out.mean, call.constant(3, "the mean"));
  WEFT_TRY(out.variance, call.constant(4, "the variance"));
  const auto channels = out.gamma->size();
  for (const auto& c : {out.gamma, out.beta, out.mean, out.variance}) {
    if (!c->floating() || c->size() != channels || channels == 0 || c->shape.empty()) {
      return call.fail(Kind::ShapeMismatch, "scale, bias, mean and variance must be vectors of one size");
    }
    WEFT_TRY_VOID(call.require_finite(c->floats, "a parameter of the normalization"));
  }
  for (const float v : out.variance->floats) {
    if (!(v + out.epsilon > 0)) return call.fail(Kind::ModelMalformed, "variance plus epsilon is not positive");
  }
  if (training_mode != 0 || is_test == 0) {
    call.ctx.report(Kind::Info, call.origin,
                    "saved in training mode; read as inference with the stored mean and variance");
  }
  return out;
}

Result<Values> fold_batch_norm(const Call& call, const BatchNorm& bn, const Constant& x, std::int64_t axis) {
  const Split split = split_at(x.shape, axis);
  if (!x.floating() || split.along != bn.gamma->size())
    return call.fail(Kind::ShapeMismatch, "one parameter per channel is needed");
  WEFT_TRY_VOID(call.spend_elements(x.shape));
  Constant out;
  out.shape = x.shape;
  out.element = x.element;
  for (std::size_t i = 0; i < x.floats.size(); ++i) {
    const std::size_t c = i / split.inner % split.along;
    const float inverse = bn.gamma->floats[c] / std::sqrt(bn.variance->floats[c] + bn.epsilon);
    const float shift = bn.mean->floats[c] * inverse;
    out.floats.push_back(x.floats[i] * inverse + (bn.beta->floats[c] - shift));
  }
  return Values{std::move(out)};
}

/// Adds the layer on ONNX axis `axis` of the data.
Result<Values> normalize(const Call& call, const BatchNorm& bn, const Dynamic& x, std::int64_t axis) {
  const auto channels = x.shape[static_cast<std::size_t>(axis)];
  if (static_cast<std::int64_t>(bn.gamma->size()) != channels) {
    return call.fail(Kind::ShapeMismatch, fmt::format("{} parameters for {} channels of data of shape {}",
                                                      bn.gamma->size(), channels, to_string(x.shape)));
  }
  WEFT_TRY(const Call::LastAxis view, call.with_last_axis(x, axis, "the normalization"));
  LayerDraft draft{.op = "BatchNorm",
                   .attributes = {{"epsilon", static_cast<double>(bn.epsilon)}, {"form", std::string("onnx")}},
                   .inputs = {view.tensor},
                   .shape = view.shape};
  const Shape vector{channels};
  draft.parameters.emplace("gamma", to_parameter(with_shape(*bn.gamma, vector)));
  draft.parameters.emplace("beta", to_parameter(with_shape(*bn.beta, vector)));
  draft.parameters.emplace("mean", to_parameter(with_shape(*bn.mean, vector)));
  draft.parameters.emplace("variance", to_parameter(with_shape(*bn.variance, vector)));
  WEFT_TRY(const nn::TensorId out, call.add(std::move(draft)));
  return Values{Call::retarget(view.x, out)};
}

Result<Values> fold_softmax(const Call& call, const Constant& x, const Split& split, bool logarithm) {
  if (!x.floating()) return call.fail(Kind::AttributeUnsupported, "softmax of integers is not supported");
  WEFT_TRY_VOID(call.spend_elements(x.shape));
  Constant out;
  out.shape = x.shape;
  out.element = x.element;
  out.floats.resize(x.floats.size());
  if (x.floats.empty()) return Values{std::move(out)};
  for (std::size_t row = 0; row < split.outer * split.inner; ++row) {
    const std::size_t base = row / split.inner * split.along * split.inner + row % split.inner;
    float largest = x.floats[base];
    for (std::size_t k = 1; k < split.along; ++k) largest = std::max(largest, x.floats[base + k * split.inner]);
    float sum = 0;
    for (std::size_t k = 0; k < split.along; ++k) {
      const std::size_t i = base + k * split.inner;
      out.floats[i] = static_cast<float>(std::exp(static_cast<double>(x.floats[i] - largest)));
      sum += out.floats[i];
    }
    for (std::size_t k = 0; k < split.along; ++k) {
      const std::size_t i = base + k * split.inner;
      if (logarithm)
        out.floats[i] = static_cast<float>(static_cast<double>(x.floats[i] - largest) - std::log(double{sum}));
      else
        out.floats[i] /= sum;
    }
  }
  return Values{std::move(out)};
}

}  // namespace

Result<Values> batch_normalization(Call& call) {
  WEFT_TRY(const BatchNorm bn, read_batch_norm(call));
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  if (call.inputs[0].constant) {
    const Constant& x = *call.inputs[0].constant;
    if (x.shape.size() < 2) return call.fail(Kind::ShapeMismatch, "a constant without channel axis");
    return fold_batch_norm(call, bn, x, 1);
  }
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  const auto channels = static_cast<std::int64_t>(bn.gamma->size());
  if (x.shape.size() < 2)
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} has no channel axis", to_string(x.shape)));
  if (x.batch_axis == 1) {
    // Some exporters put Transposes around a normalization of [N,C] as if it were an image: axis 1 is the batch then,
    // and the statistics can only belong to the other axis.
    if (x.shape.size() == 2 && x.shape[0] == channels) {
      call.ctx.report(
          Kind::Info, call.origin,
          fmt::format("the input is transposed to [{}, batch]; read as normalizing its {} features, as the exporter "
                      "meant",
                      channels, channels));
      return normalize(call, bn, x, 0);
    }
    return call.fail(Kind::LayerUnsupported, "the normalization runs along the batch; transpose its input back");
  }
  WEFT_TRY(const std::int64_t spatial, call.get_int("spatial", 1));
  if (spatial == 0 && std::any_of(x.shape.begin() + 2, x.shape.end(), [](auto e) { return e != 1; })) {
    return call.fail(Kind::AttributeUnsupported,
                     fmt::format("`spatial` is 0: data of shape {} is normalized per element; per channel is supported",
                                 to_string(x.shape)));
  }
  return normalize(call, bn, x, 1);
}

Result<Values> batch_normalization_channels_last(Call& call) {
  WEFT_TRY(const BatchNorm bn, read_batch_norm(call));
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  if (call.inputs[0].constant) {
    const Constant& x = *call.inputs[0].constant;
    if (x.shape.empty()) return call.fail(Kind::ShapeMismatch, "a constant without channel axis");
    return fold_batch_norm(call, bn, x, static_cast<std::int64_t>(x.shape.size()) - 1);
  }
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  return normalize(call, bn, x, x.rank() - 1);
}

Result<Values> softmax(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  const bool flattens = call.opset < 13;
  const std::string layer = call.node.op_type;  // Softmax or LogSoftmax
  WEFT_TRY(const std::int64_t given, call.get_int("axis", flattens ? 1 : -1));
  const Shape& full = call.inputs[0].constant ? call.inputs[0].constant->shape : call.inputs[0].dynamic->shape;
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(full.size())));
  if (call.inputs[0].constant) {
    Split split = split_at(full, axis);
    if (flattens) {
      split.along *= split.inner;
      split.inner = 1;
    }
    return fold_softmax(call, *call.inputs[0].constant, split, layer == "LogSoftmax");
  }
  WEFT_TRY(Dynamic x, call.dynamic_float(0));
  if (flattens && axis <= x.batch_axis) {
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("before opset 13, softmax at axis {} runs over all samples of a batch", axis));
  }
  const auto add = [&](nn::TensorId in, const Shape& shape, bool main) {
    return call.add({.op = layer, .attributes = {{"axis", std::int64_t{-1}}}, .inputs = {in}, .shape = shape}, main);
  };
  if (!flattens) {
    const bool nothing_behind = std::all_of(x.shape.begin() + axis + 1, x.shape.end(), [](auto e) { return e == 1; });
    if (!nothing_behind && !(x.channels_last && axis == 1)) return softmax_along(call, axis, layer);
    WEFT_TRY(const Call::LastAxis view, call.with_last_axis(x, axis, "softmax"));
    WEFT_TRY(const nn::TensorId out, add(view.tensor, view.shape, true));
    return Values{Call::retarget(view.x, out)};
  }
  WEFT_TRY(x, call.in_onnx_order(x));
  // Before opset 13, everything from `axis` on is one row.
  Shape row(x.shape.begin(), x.shape.begin() + axis);
  if (x.batch_axis >= 0) row.erase(row.begin() + static_cast<std::ptrdiff_t>(x.batch_axis));
  row.push_back(element_count(Shape(x.shape.begin() + axis, x.shape.end())));
  const Shape& have = call.builder.graph.at(x.tensor).shape;
  if (!have.empty() && have.back() == row.back() && row.back() != 1) {
    WEFT_TRY(const nn::TensorId out, add(x.tensor, Shape(have), true));
    return Values{Call::retarget(x, out)};
  }
  WEFT_TRY(const nn::TensorId in, call.as_sample_shape(x, row));
  const bool plain = std::count_if(x.shape.begin() + axis, x.shape.end(), [](auto e) { return e != 1; }) <= 1;
  WEFT_TRY(const nn::TensorId out, add(in, row, plain));
  if (plain) return Values{Call::retarget(x, out)};
  const Shape back = x.sample_shape();
  WEFT_TRY(
      const nn::TensorId restored,
      call.add({.op = "Reshape", .attributes = {{"shape", back}}, .inputs = {out}, .shape = back, .suffix = "_back"}));
  return Values{Call::retarget(x, restored)};
}

}  // namespace weft::formats::onnx::ops
