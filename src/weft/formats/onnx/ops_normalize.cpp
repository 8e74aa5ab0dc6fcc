// SPDX-License-Identifier: Apache-2.0
// Operators along the channel axis: batch normalization, softmax, largest elements.
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

struct Largest {
  Constant positions;                ///< along the axis
  std::vector<std::size_t> indices;  ///< into the whole tensor
};

/// The k largest elements of every row, the first of equal ones first.
Result<Largest> fold_largest(const Call& call, const Constant& x, const Split& split, std::size_t k, Shape shape) {
  if (std::any_of(x.floats.begin(), x.floats.end(), [](float v) { return std::isnan(v); })) {
    return call.fail(Kind::ModelMalformed, "the largest of constants that hold NaN is not defined");
  }
  WEFT_TRY_VOID(call.spend_elements(x.shape));
  Largest out;
  out.positions.shape = std::move(shape);
  out.positions.element = Element::Int64;
  out.positions.ints.resize(split.outer * k * split.inner);
  out.indices.resize(out.positions.ints.size());
  std::vector<std::size_t> order(split.along);
  for (std::size_t row = 0; row < split.outer * split.inner; ++row) {
    const std::size_t base = row / split.inner * split.along * split.inner + row % split.inner;
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      if (!x.floating()) return x.ints[base + a * split.inner] > x.ints[base + b * split.inner];
      return x.floats[base + a * split.inner] > x.floats[base + b * split.inner];
    });
    for (std::size_t j = 0; j < k; ++j) {
      const std::size_t at = (row / split.inner * k + j) * split.inner + row % split.inner;
      out.positions.ints[at] = static_cast<std::int64_t>(order[j]);
      out.indices[at] = base + order[j] * split.inner;
    }
  }
  return out;
}

Result<Values> largest_layer(const Call& call, const Dynamic& x, std::int64_t axis, std::int64_t k, bool keepdims) {
  WEFT_TRY(const Call::LastAxis view, call.with_last_axis(x, axis, "the search"));
  Shape shape = view.shape;
  if (keepdims)
    shape.back() = k;
  else
    shape.pop_back();
  WEFT_TRY(const nn::TensorId tensor, call.add({.op = "ArgMax",
                                                .attributes = {{"k", k}, {"keepdims", keepdims}},
                                                .inputs = {view.tensor},
                                                .shape = std::move(shape)}));
  Dynamic out = Call::retarget(view.x, tensor);
  out.element = Element::Int64;
  out.shape[static_cast<std::size_t>(axis)] = k;
  if (!keepdims) {
    // What is left lies in ONNX order: the channels are gone, or they were not last.
    out.channels_last = false;
    out.shape.erase(out.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    if (out.batch_axis > axis) --out.batch_axis;
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
  row.erase(row.begin() + static_cast<std::ptrdiff_t>(x.batch_axis));
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

Result<Values> argmax(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t keepdims, call.get_int("keepdims", 1));
  WEFT_TRY(const std::int64_t last, call.get_int("select_last_index", 0));
  if (last != 0)
    return call.fail(Kind::AttributeUnsupported,
                     "`select_last_index` is set; the first of equal elements is supported");
  const Shape& full = call.inputs[0].constant ? call.inputs[0].constant->shape : call.inputs[0].dynamic->shape;
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(full.size())));
  if (call.inputs[0].constant) {
    const Split split = split_at(full, axis);
    if (split.along == 0) return call.fail(Kind::ShapeMismatch, "an empty axis has no largest element");
    Shape shape = full;
    shape[static_cast<std::size_t>(axis)] = 1;
    if (keepdims == 0) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    WEFT_TRY(Largest largest, fold_largest(call, *call.inputs[0].constant, split, 1, std::move(shape)));
    return Values{std::move(largest.positions)};
  }
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  return largest_layer(call, x, axis, 1, keepdims != 0);
}

Result<Values> top_k(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const std::int64_t given, call.get_int("axis", -1));
  WEFT_TRY(const std::int64_t largest, call.get_int("largest", 1));
  WEFT_TRY(std::int64_t k, call.get_int("k", 1));
  if (call.has_input(1)) {
    WEFT_TRY(const auto list, call.integers(1, "k"));
    if (list.size() != 1) return call.fail(Kind::ShapeMismatch, "k is no single number");
    k = list.front();
  } else if (!call.has_attribute("k")) {
    return call.fail(Kind::ModelMalformed, "k is missing");
  }
  if (largest == 0)
    return call.fail(Kind::AttributeUnsupported, "the smallest elements are asked for; only the largest are supported");
  const Shape& full = call.inputs[0].constant ? call.inputs[0].constant->shape : call.inputs[0].dynamic->shape;
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(full.size())));
  if (k < 1 || k > full[static_cast<std::size_t>(axis)]) {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("k is {}, the axis has {} elements", k, full[static_cast<std::size_t>(axis)]));
  }
  // For data, output 0 (the values) stays absent, so that using it is refused.
  if (call.node.outputs.size() > 1) call.origin.tensor = call.node.outputs[1];
  if (call.inputs[0].constant) {
    Shape shape = full;
    shape[static_cast<std::size_t>(axis)] = k;
    WEFT_TRY(Largest found,
             fold_largest(call, *call.inputs[0].constant, split_at(full, axis), static_cast<std::size_t>(k), shape));
    Constant values = pick(*call.inputs[0].constant, std::move(shape), found.indices);
    return Values{std::move(values), std::move(found.positions)};
  }
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  WEFT_TRY(Values indices, largest_layer(call, x, axis, k, true));
  return Values{Value{}, std::move(indices.front())};
}

}  // namespace weft::formats::onnx::ops
