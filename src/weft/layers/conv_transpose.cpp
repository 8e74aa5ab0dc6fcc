// SPDX-License-Identifier: Apache-2.0
// ConvTranspose over any number of spatial axes: y[s o - before + d t] += x[o] kernel[t]. As a convolution with stride
// one over the input with s - 1 zeros between its elements, by the mirrored kernel.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/dense_recipe.h"
#include "weft/layers/float_run.h"
#include "weft/layers/geometry.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 27;

/// Everything per spatial axis, and the channels.
struct Plan {
  Shape kernel, stride, dilation, before, positions;
  std::int64_t groups = 1;
  std::int64_t in = 0;   ///< channels per group
  std::int64_t out = 0;  ///< outputs per group

  [[nodiscard]] std::size_t axes() const { return kernel.size(); }
};

Result<Shape> list_of(const nn::Node& node, std::string_view key, std::size_t axes, std::int64_t fallback,
                      std::int64_t least, Context& ctx) {
  Shape list = get_ints(node.attributes, std::string(key));
  if (list.empty()) list.assign(axes, fallback);
  if (list.size() == 1) list.assign(axes, list[0]);
  if (list.size() != axes || std::any_of(list.begin(), list.end(), [&](auto v) { return v < least || v > kMaxExtent; }))
    return ctx.fail(
        Kind::ShapeMismatch, node.origin,
        fmt::format("`{}` is {}; {} numbers of at least {} are expected", key, weft::to_string(list), axes, least));
  return list;
}

Result<Plan> plan_of(const nn::Node& node, const Shape& x, Context& ctx) {
  const Shape& kernel = node.parameters.at("kernel").values.shape;
  if (kernel.size() < 3 || kernel.size() != x.size() + 1)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("a kernel of shape {} does not fit an input of shape {}", weft::to_string(kernel),
                                weft::to_string(x)));
  Plan p;
  p.kernel.assign(kernel.begin(), kernel.end() - 2);
  p.groups = get_int(node.attributes, "groups", 1);
  p.in = kernel[kernel.size() - 2];
  if (p.groups < 1 || p.in < 1 || kernel.back() < 1 || p.groups > x.back() || p.in * p.groups != x.back() ||
      kernel.back() % p.groups != 0)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("a kernel of shape {} in {} groups does not fit {} channels", weft::to_string(kernel),
                                p.groups, x.back()));
  p.out = kernel.back() / p.groups;
  WEFT_TRY(p.stride, list_of(node, kStrides, p.axes(), 1, 1, ctx));
  WEFT_TRY(p.dilation, list_of(node, kDilations, p.axes(), 1, 1, ctx));
  WEFT_TRY(p.before, list_of(node, kBefore, p.axes(), 0, -kMaxExtent, ctx));
  WEFT_TRY(const Shape after, list_of(node, kAfter, p.axes(), 0, -kMaxExtent, ctx));
  std::int64_t count = p.groups * p.out;
  for (std::size_t d = 0; d < p.axes(); ++d) {
    if (p.kernel[d] < 1 || p.kernel[d] > kMaxExtent || x[d] > kMaxExtent)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("a kernel of extent {} is impossible", p.kernel[d]));
    const std::int64_t n = (x[d] - 1) * p.stride[d] + (p.kernel[d] - 1) * p.dilation[d] + 1 - p.before[d] - after[d];
    if (n < 1 || n > kMaxElements / count)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("axis {} of {} would get the extent {}", d, weft::to_string(x), n));
    count *= n;
    p.positions.push_back(n);
  }
  return p;
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(const Plan p, plan_of(node, graph.at(node.inputs[0]).shape, ctx));
  Shape out = p.positions;
  out.push_back(p.groups * p.out);
  const auto bias = node.parameters.find("bias");
  if (bias != node.parameters.end() && bias->second.values.size() != out.back())
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("the bias has {} elements for {} outputs", bias->second.values.size(), out.back()));
  return out;
}

std::int64_t macs(const nn::Graph& graph, const nn::Node& node) {
  const Shape& x = graph.at(node.inputs[0]).shape;
  const auto& kernel = node.parameters.at("kernel").values;
  return element_count(x) / std::max<std::int64_t>(x.back(), 1) * kernel.size();
}

/// The flat index in `shape` of a position given per axis; -1 outside.
std::int64_t flat(const Shape& position, const Shape& shape) {
  std::int64_t out = 0;
  for (std::size_t d = 0; d < position.size(); ++d) {
    if (position[d] < 0 || position[d] >= shape[d]) return -1;
    out = out * shape[d] + position[d];
  }
  return out;
}

/// Counts `at` up within `shape`; false after the last one.
bool next(Shape& at, const Shape& shape) {
  for (std::size_t d = at.size(); d-- > 0;) {
    if (++at[d] < shape[d]) return true;
    at[d] = 0;
  }
  return false;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  const Shape& x_shape = run.graph().at(node.inputs[0]).shape;
  WEFT_TRY(const Plan p, plan_of(node, x_shape, ctx));
  WEFT_TRY(const FloatTensor kernel, parameter_values(node, "kernel", ctx));
  const std::int64_t outputs = p.groups * p.out;
  std::vector<float> bias(static_cast<std::size_t>(outputs), 0.0F);
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(const FloatTensor values, parameter_values(node, "bias", ctx));
    bias = values.data;
  }
  const Shape extents(x_shape.begin(), x_shape.end() - 1);
  const std::int64_t from = element_count(extents);
  const std::int64_t to = element_count(p.positions);
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  std::fill(y.begin(), y.end(), 0.0F);
  Shape at(p.axes(), 0);
  std::int64_t element = 0;
  do {
    Shape tap(p.axes(), 0);
    std::int64_t t = 0;
    do {
      Shape target(p.axes());
      for (std::size_t d = 0; d < p.axes(); ++d) target[d] = at[d] * p.stride[d] + tap[d] * p.dilation[d] - p.before[d];
      const std::int64_t place = flat(target, p.positions);
      for (std::int64_t b = 0; place >= 0 && b < run.batch(); ++b)
        for (std::int64_t c = 0; c < x_shape.back(); ++c) {
          const std::int64_t g = c / p.in;
          const float v = x[static_cast<std::size_t>((b * from + element) * x_shape.back() + c)];
          const float* w = kernel.data.data() + (t * p.in + c % p.in) * outputs + g * p.out;
          float* out = y.data() + (b * to + place) * outputs + g * p.out;
          for (std::int64_t j = 0; j < p.out; ++j) out[j] += v * w[j];
        }
      ++t;
    } while (next(tap, p.kernel));
    ++element;
  } while (next(at, extents));
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
  return apply_function(node, "activation", y, outputs, ctx);
}

/// One matrix [taps * channels, outputs] of the mirrored kernel, with zeros between the groups.
IntegerParameter as_matrix(const IntegerParameter& kernel, const Plan& p) {
  const std::int64_t channels = p.groups * p.in;
  const std::int64_t outputs = p.groups * p.out;
  const std::int64_t taps = element_count(p.kernel);
  IntegerParameter out{
      FloatTensor({taps * channels, outputs}), IntTensor({taps * channels, outputs}), kernel.scale, kernel.chosen, {}};
  if (!kernel.uncertainty.empty()) out.uncertainty.assign(out.values.data.size(), 0.0F);
  for (std::int64_t t = 0; t < taps; ++t)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t j = 0; j < p.out; ++j) {
        const std::int64_t o = c / p.in * p.out + j;
        const auto to = static_cast<std::size_t>((t * channels + c) * outputs + o);
        const auto from = static_cast<std::size_t>(((taps - 1 - t) * p.in + c % p.in) * outputs + o);
        out.values.data[to] = kernel.values.data[from];
        out.codes.data[to] = kernel.codes.data[from];
        if (!kernel.uncertainty.empty()) out.uncertainty[to] = kernel.uncertainty[from];
      }
  return out;
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape x_shape = recipe.source().at(node.inputs[0]).shape;
  WEFT_TRY(const Plan p, plan_of(node, x_shape, ctx));
  WEFT_TRY(const IntegerParameter kernel, recipe.integer_parameter(node, "kernel"));
  WEFT_TRY(const auto bias, bias_parameter(node, recipe, kernel));
  // Zeros come between the elements, so that an offset has no place.
  WEFT_TRY(Recipe::Codes x, recipe.codes(node, Symbol(recipe.input(node)), false));
  const Scale scale = recipe.value(x.value).scale;
  const Shape extents(x_shape.begin(), x_shape.end() - 1);
  Shape spread = p.positions;
  for (std::size_t d = 0; d < p.axes(); ++d) spread[d] += (p.kernel[d] - 1) * p.dilation[d];
  const std::int64_t channels = x_shape.back();
  if (element_count(spread) > kMaxElements / channels / element_count(p.kernel))
    return ctx.fail(Kind::LimitExceeded, node.origin, "the transposed convolution has too many windows");
  exact::Gather gather{x.value, {}, 0};
  gather.indices.reserve(static_cast<std::size_t>(element_count(spread) * channels));
  Shape at(p.axes(), 0);
  do {
    Shape source(p.axes());
    bool between = false;
    for (std::size_t d = 0; d < p.axes(); ++d) {
      const std::int64_t place = at[d] + p.before[d] - (p.kernel[d] - 1) * p.dilation[d];
      between = between || place < 0 || place % p.stride[d] != 0;
      source[d] = place / p.stride[d];
    }
    const std::int64_t e = between ? -1 : flat(source, extents);
    for (std::int64_t c = 0; c < channels; ++c) gather.indices.push_back(e < 0 ? -1 : e * channels + c);
  } while (next(at, spread));
  Shape shape = spread;
  shape.push_back(channels);
  WEFT_TRY(x.value, recipe.add(node.name + "_spread", std::move(gather), scale, node.origin, shape));
  exact::Window window{.x = x.value,
                       .kernel = p.kernel,
                       .stride = Shape(p.axes(), 1),
                       .dilation = p.dilation,
                       .before = Shape(p.axes(), 0),
                       .after = Shape(p.axes(), 0)};
  Scale window_scale = scale;
  if (!scale.per_tensor()) {
    std::vector<Rational> factors;
    for (std::int64_t t = 0; t < element_count(p.kernel); ++t)
      for (std::int64_t c = 0; c < channels; ++c) factors.push_back(scale.at(static_cast<std::size_t>(c)));
    window_scale = Scale(std::move(factors));
  }
  if (window_shape(window, shape) != shape) {
    WEFT_TRY(x.value, recipe.add(node.name + "_window", std::move(window), std::move(window_scale), node.origin));
  }
  return lower_product(node, recipe, x, as_matrix(kernel, p), bias, ctx);
}

}  // namespace

Layer conv_transpose_layer() {
  return {.op = "ConvTranspose",
          .summary = "transposed convolution over any number of spatial axes, grouped or not, with bias and activation",
          .attributes = {kStrides, kDilations, kBefore, kAfter, "groups"},
          .required_parameters = {"kernel"},
          .optional_parameters = {"bias"},
          .functions = {"activation"},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = macs};
}

}  // namespace weft::layers
