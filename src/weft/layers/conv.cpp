// SPDX-License-Identifier: Apache-2.0
// Conv and DepthwiseConv over any number of spatial axes: windows, then a matrix-vector product per position.
// Conv kernel [k..., C_in / groups, C_out]; output channel o belongs to group o / (C_out / groups).
// DepthwiseConv kernel [k..., C, m] (Keras): output channel c * m + j sees input channel c.
#include <fmt/format.h>

#include "weft/layers/dense_recipe.h"
#include "weft/layers/float_run.h"
#include "weft/layers/geometry.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

/// The kernel seen as one matrix per group, in both layouts of kernels.
struct Matrix {
  Shape spatial;
  std::int64_t groups = 1;
  std::int64_t in = 0;   ///< channels per group
  std::int64_t out = 0;  ///< outputs per group
  bool depthwise = false;

  /// Element of the kernel for group g, tap t, input channel c of the group and output j of the group.
  [[nodiscard]] std::size_t at(std::int64_t g, std::int64_t t, std::int64_t c, std::int64_t j) const {
    return static_cast<std::size_t>(depthwise ? (t * groups + g) * out + j : (t * in + c) * groups * out + g * out + j);
  }
  [[nodiscard]] std::int64_t taps() const { return element_count(spatial); }
};

Result<Matrix> matrix_of(const nn::Node& node, const Shape& x, Context& ctx) {
  const Shape& kernel = node.parameters.at("kernel").values.shape;
  if (kernel.size() < 3 || kernel.size() != x.size() + 1)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("a kernel of shape {} does not fit an input of shape {}", weft::to_string(kernel),
                                weft::to_string(x)));
  Matrix m;
  m.spatial.assign(kernel.begin(), kernel.end() - 2);
  m.depthwise = node.op.starts_with("DepthwiseConv");
  const std::int64_t channels = x.back();
  if (m.depthwise) {
    m.groups = channels;
    m.in = 1;
    m.out = kernel.back();
    if (kernel[kernel.size() - 2] != channels)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("the kernel has {} channels, the input {}", kernel[kernel.size() - 2], channels));
    return m;
  }
  m.groups = get_int(node.attributes, "groups", 1);
  m.in = kernel[kernel.size() - 2];
  if (m.groups < 1 || m.in * m.groups != channels || kernel.back() % m.groups != 0)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("a kernel of shape {} in {} groups does not fit {} channels", weft::to_string(kernel),
                                m.groups, channels));
  m.out = kernel.back() / m.groups;
  return m;
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& x = graph.at(node.inputs[0]).shape;
  WEFT_TRY(const Matrix m, matrix_of(node, x, ctx));
  WEFT_TRY(const auto window, window_of(node, x, m.spatial, ctx));
  Shape out = positions_of(window, x);
  out.push_back(m.groups * m.out);
  const auto bias = node.parameters.find("bias");
  if (bias != node.parameters.end() && bias->second.values.size() != out.back())
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("the bias has {} elements for {} outputs", bias->second.values.size(), out.back()));
  return out;
}

std::int64_t macs(const nn::Graph& graph, const nn::Node& node) {
  const Shape& y = graph.at(node.outputs[0]).shape;
  const auto& kernel = node.parameters.at("kernel").values;
  const std::int64_t weights_per_output = kernel.size() / std::max<std::int64_t>(y.back(), 1);
  return element_count(y) * std::max<std::int64_t>(weights_per_output, 1);
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  const Shape& x_shape = run.graph().at(node.inputs[0]).shape;
  WEFT_TRY(const Matrix m, matrix_of(node, x_shape, ctx));
  WEFT_TRY(const auto window, window_of(node, x_shape, m.spatial, ctx));
  WEFT_TRY(const FloatTensor kernel, parameter_values(node, "kernel", ctx));
  std::vector<float> bias(static_cast<std::size_t>(m.groups * m.out), 0.0F);
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(const FloatTensor values, parameter_values(node, "bias", ctx));
    bias = values.data;
  }
  const std::int64_t channels = x_shape.back();
  const std::int64_t outputs = m.groups * m.out;
  const std::int64_t taps = m.taps();
  // Places of the taps; the channels of a place lie side by side.
  Shape places = x_shape;
  places.back() = 1;
  const auto indices = exact::window_indices(window, places, window_shape(window, places));
  const std::int64_t positions = static_cast<std::int64_t>(indices.size()) / taps;
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  const auto size = static_cast<std::size_t>(element_count(x_shape));
  for (std::int64_t b = 0; b < run.batch(); ++b) {
    const float* in = x.data() + static_cast<std::size_t>(b) * size;
    for (std::int64_t p = 0; p < positions; ++p) {
      float* out = y.data() + (b * positions + p) * outputs;
      std::fill(out, out + outputs, 0.0F);
      for (std::int64_t t = 0; t < taps; ++t) {
        const std::int64_t place = indices[static_cast<std::size_t>(p * taps + t)];
        if (place < 0) continue;  // padding
        const std::int64_t first = place * channels;
        for (std::int64_t g = 0; g < m.groups; ++g)
          for (std::int64_t c = 0; c < m.in; ++c) {
            const float v = in[first + g * m.in + c];
            const float* w = kernel.data.data() + m.at(g, t, c, 0);
            for (std::int64_t j = 0; j < m.out; ++j) out[g * m.out + j] += v * w[j];
          }
      }
      for (std::int64_t o = 0; o < outputs; ++o) out[o] += bias[static_cast<std::size_t>(o)];
    }
  }
  return apply_function(node, "activation", y, outputs, ctx);
}

/// One matrix [taps * channels, outputs] with zeros between the groups.
IntegerParameter as_matrix(const IntegerParameter& kernel, const Matrix& m) {
  const std::int64_t channels = m.groups * m.in;
  const std::int64_t outputs = m.groups * m.out;
  const std::int64_t taps = m.taps();
  IntegerParameter out{
      FloatTensor({taps * channels, outputs}), IntTensor({taps * channels, outputs}), kernel.scale, kernel.chosen, {}};
  if (!kernel.uncertainty.empty()) out.uncertainty.assign(out.values.data.size(), 0.0F);
  for (std::int64_t t = 0; t < taps; ++t)
    for (std::int64_t g = 0; g < m.groups; ++g)
      for (std::int64_t c = 0; c < m.in; ++c)
        for (std::int64_t j = 0; j < m.out; ++j) {
          const auto to = static_cast<std::size_t>((t * channels + g * m.in + c) * outputs + g * m.out + j);
          const std::size_t from = m.at(g, t, c, j);
          out.values.data[to] = kernel.values.data[from];
          out.codes.data[to] = kernel.codes.data[from];
          if (!kernel.uncertainty.empty()) out.uncertainty[to] = kernel.uncertainty[from];
        }
  // A depthwise kernel has its scales along the multiplier.
  if (m.depthwise && !kernel.scale.per_tensor()) {
    std::vector<Rational> factors;
    for (std::int64_t o = 0; o < outputs; ++o) factors.push_back(kernel.scale.at(static_cast<std::size_t>(o % m.out)));
    out.scale = Scale(std::move(factors));
  }
  return out;
}

/// Whether some window sees padding.
bool reaches_outside(const exact::Window& window, const Shape& x) {
  const Shape positions = positions_of(window, x);
  for (std::size_t d = 0; d < positions.size(); ++d) {
    const std::int64_t last =
        (positions[d] - 1) * window.stride[d] + (window.kernel[d] - 1) * window.dilation[d] - window.before[d];
    if (window.before[d] > 0 || last >= x[d]) return true;
  }
  return false;
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape x_shape = recipe.source().at(node.inputs[0]).shape;
  WEFT_TRY(const Matrix m, matrix_of(node, x_shape, ctx));
  WEFT_TRY(auto window, window_of(node, x_shape, m.spatial, ctx));
  WEFT_TRY(const IntegerParameter kernel, recipe.integer_parameter(node, "kernel"));
  WEFT_TRY(const auto bias, bias_parameter(node, recipe, kernel));
  const Symbol input = recipe.input(node);
  const Shape to = window_shape(window, x_shape);
  const bool padded = reaches_outside(window, x_shape);
  // An offset of the input would have to be padded with the code of zero, which it may not have.
  WEFT_TRY(Recipe::Codes x, recipe.codes(node, input, !padded));
  window.x = x.value;
  Scale scale = recipe.value(x.value).scale;
  if (!scale.per_tensor()) {
    std::vector<Rational> factors;
    for (std::int64_t t = 0; t < m.taps(); ++t)
      for (std::int64_t c = 0; c < x_shape.back(); ++c) factors.push_back(scale.at(static_cast<std::size_t>(c)));
    scale = Scale(std::move(factors));
  }
  if (to != recipe.value(x.value).shape) {
    WEFT_TRY(x.value, recipe.add(node.name + "_window", std::move(window), std::move(scale), node.origin));
  }
  return lower_product(node, recipe, x, as_matrix(kernel, m), bias, ctx);
}

Layer row(std::string_view op, std::string_view summary) {
  return {.op = op,
          .summary = summary,
          .attributes = {kStrides, kDilations, kPadding, kBefore, kAfter, "groups"},
          .required_parameters = {"kernel"},
          .optional_parameters = {"bias"},
          .functions = {"activation"},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = macs};
}

}  // namespace

Layer conv_layer() {
  return row("Conv", "convolution over any number of spatial axes, grouped or not, with bias and activation");
}
Layer depthwise_conv_layer() {
  return row("DepthwiseConv", "convolution of every channel by itself, with a multiplier, bias and activation");
}

}  // namespace weft::layers
