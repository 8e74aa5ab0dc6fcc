// SPDX-License-Identifier: Apache-2.0
// IntegerConv, IntegerDepthwiseConv, IntegerTransposedConv, IntegerDense: sums of products of codes in int32 or int64
// accumulators, then one multiplier or factor per tensor or output channel and a clamp. Kernels as Conv, DepthwiseConv
// and Dense have them; IntegerTransposedConv: kernel [k..., C_in, C_out], `shape` of the output's spatial axes,
// `before`.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/geometry.h"
#include "weft/layers/integer_parts.h"
#include "weft/layers/integer_rows.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

enum class Form { Conv, Depthwise, Transposed, Dense };

Form form_of(const nn::Node& node) {
  if (node.op == "IntegerDense") return Form::Dense;
  if (node.op == "IntegerDepthwiseConv") return Form::Depthwise;
  return node.op == "IntegerConv" ? Form::Conv : Form::Transposed;
}

/// Everything as one matrix product per position.
struct Plan {
  Shape positions;
  std::int64_t taps = 1;  ///< spatial taps of the kernel
  std::int64_t channels = 0;
  std::int64_t groups = 1;
  std::int64_t outputs = 0;
  /// For convolutions.
  exact::Window window;
  /// Per position and tap the first element of x, or -1. Empty for Dense.
  std::vector<std::int64_t> from;
};

diag::Failure mismatch(const nn::Node& node, const Shape& kernel, const Shape& x, Context& ctx) {
  return ctx.fail(Kind::ShapeMismatch, node.origin,
                  fmt::format("a kernel of shape {} does not fit an input of shape {}", weft::to_string(kernel),
                              weft::to_string(x)));
}

/// Output position p = s * in + k - before gets tap k of input position `in`.
Result<void> place_transposed(const nn::Node& node, const Shape& x, const Shape& kernel, Plan& plan, Context& ctx) {
  const auto strides = get_ints(node.attributes, std::string(kStrides));
  const auto before = get_ints(node.attributes, std::string(kBefore));
  const auto shape = get_ints(node.attributes, "shape");
  const std::size_t axes = x.size() - 1;
  if (strides.size() != axes || before.size() != axes || shape.size() != axes)
    return ctx.fail(Kind::ShapeMismatch, node.origin, "`strides`, `before` and `shape` need one number per axis");
  std::int64_t positions = 1;
  for (std::size_t d = 0; d < axes; ++d) {
    if (strides[d] < 1 || shape[d] < 1 || before[d] < 0 || shape[d] > (std::int64_t{1} << 24) || before[d] > kernel[d])
      return ctx.fail(Kind::ShapeMismatch, node.origin, "an output extent, stride or padding is out of range");
    positions *= shape[d];
    if (positions * plan.taps > (std::int64_t{1} << 28))
      return ctx.fail(Kind::LimitExceeded, node.origin, "the transposed convolution is too large");
  }
  plan.positions = shape;
  plan.from.resize(static_cast<std::size_t>(positions * plan.taps));
  for (std::int64_t p = 0; p < positions; ++p)
    for (std::int64_t t = 0; t < plan.taps; ++t) {
      std::int64_t at = 0;
      std::int64_t unit = 1;
      std::int64_t rest_p = p;
      std::int64_t rest_t = t;
      for (std::size_t d = axes; d-- > 0 && at >= 0;) {
        const std::int64_t y = rest_p % shape[d] + before[d] - rest_t % kernel[d];
        rest_p /= shape[d];
        rest_t /= kernel[d];
        if (y < 0 || y % strides[d] != 0 || y / strides[d] >= x[d]) {
          at = -1;
          break;
        }
        at += y / strides[d] * unit;
        unit *= x[d];
      }
      plan.from[static_cast<std::size_t>(p * plan.taps + t)] = at < 0 ? -1 : at * plan.channels;
    }
  return {};
}

Result<Plan> plan_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& x = graph.at(node.inputs[0]).shape;
  const Shape& kernel = node.parameters.at("kernel").values.shape;
  const Form form = form_of(node);
  Plan plan;
  if (x.empty()) return mismatch(node, kernel, x, ctx);
  plan.channels = x.back();
  if (form == Form::Dense) {
    if (kernel.size() != 2 || kernel[0] != x.back()) return mismatch(node, kernel, x, ctx);
    plan.positions.assign(x.begin(), x.end() - 1);
    plan.outputs = kernel[1];
  } else {
    if (kernel.size() < 3 || kernel.size() != x.size() + 1) return mismatch(node, kernel, x, ctx);
    const Shape spatial(kernel.begin(), kernel.end() - 2);
    const std::int64_t in = kernel[kernel.size() - 2];
    plan.taps = element_count(spatial);
    plan.outputs = form == Form::Depthwise ? in * kernel.back() : kernel.back();
    plan.groups = form == Form::Depthwise ? plan.channels : get_int(node.attributes, "groups", 1);
    const bool fits = form == Form::Depthwise
                          ? in == plan.channels
                          : plan.groups >= 1 && in * plan.groups == plan.channels && kernel.back() % plan.groups == 0;
    if (!fits) return mismatch(node, kernel, x, ctx);
    if (form == Form::Transposed) {
      WEFT_TRY_VOID(place_transposed(node, x, kernel, plan, ctx));
    } else {
      WEFT_TRY(plan.window, window_of(node, x, spatial, ctx));
      plan.positions = positions_of(plan.window, x);
      const auto indices = exact::window_indices(plan.window, x, window_shape(plan.window, x));
      for (std::size_t i = 0; i < indices.size(); i += static_cast<std::size_t>(plan.channels))
        plan.from.push_back(indices[i]);
    }
  }
  const auto bias = node.parameters.find("bias");
  if (bias != node.parameters.end() && bias->second.values.size() != plan.outputs)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("the bias has {} elements for {} outputs", bias->second.values.size(), plan.outputs));
  return plan;
}

/// Kernel element of tap t and channel c for output o, or nullopt when o does not see c.
std::optional<std::size_t> weight_at(const nn::Node& node, const Plan& plan, std::int64_t t, std::int64_t c,
                                     std::int64_t o) {
  if (form_of(node) == Form::Depthwise) {
    const std::int64_t multiplier = plan.outputs / plan.channels;
    if (o / multiplier != c) return std::nullopt;
    return static_cast<std::size_t>(t * plan.outputs + o);
  }
  const std::int64_t in = plan.channels / plan.groups;
  if (o / (plan.outputs / plan.groups) != c / in) return std::nullopt;
  return static_cast<std::size_t>((t * in + c % in) * plan.outputs + o);
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(const Plan plan, plan_of(graph, node, ctx));
  WEFT_TRY(const auto spec, integer_spec(node, 0, static_cast<std::size_t>(plan.outputs), ctx));
  WEFT_TRY_VOID(integer_codes_of(node, "kernel", ctx));
  if (node.parameters.count("bias") != 0) WEFT_TRY_VOID(integer_codes_of(node, "bias", ctx));
  Shape out = plan.positions;
  out.push_back(plan.outputs);
  return out;
}

std::int64_t macs(const nn::Graph& graph, const nn::Node& node) {
  const Shape& y = graph.at(node.outputs[0]).shape;
  const std::int64_t weights = node.parameters.at("kernel").values.size() / std::max<std::int64_t>(y.back(), 1);
  return element_count(y) * std::max<std::int64_t>(weights, 1);
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const Plan plan, plan_of(run.graph(), node, ctx));
  WEFT_TRY(const auto spec, integer_spec(node, 0, static_cast<std::size_t>(plan.outputs), ctx));
  WEFT_TRY(const IntTensor* kernel, integer_codes_of(node, "kernel", ctx));
  std::vector<std::int64_t> bias(static_cast<std::size_t>(plan.outputs), 0);
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(const IntTensor* codes, integer_codes_of(node, "bias", ctx));
    bias = codes->data;
  }
  const auto x = integer_codes(run.input(node, 0), spec.scales[0]);
  const auto size = static_cast<std::size_t>(element_count(run.graph().at(node.inputs[0]).shape));
  const std::int64_t positions = element_count(plan.positions);
  const Rescale r{spec.multipliers, spec.wide, 0, spec.lo, spec.hi, spec.factors};
  auto& y = run.output(node);
  std::vector<std::int64_t> codes(y.size());
  const bool depthwise = form_of(node) == Form::Depthwise;
  const std::int64_t in = plan.channels / plan.groups;
  const std::int64_t out = plan.outputs / plan.groups;
  std::vector<Int> sums(static_cast<std::size_t>(plan.outputs));
  for (std::int64_t b = 0; b < run.batch(); ++b)
    for (std::int64_t p = 0; p < positions; ++p) {
      std::copy(bias.begin(), bias.end(), sums.begin());
      for (std::int64_t t = 0; t < plan.taps; ++t) {
        const std::int64_t first =
            plan.from.empty() ? p * plan.channels : plan.from[static_cast<std::size_t>(p * plan.taps + t)];
        if (first < 0) continue;
        const std::int64_t* values = x.data() + static_cast<std::size_t>(b) * size + first;
        for (std::int64_t c = 0; c < plan.channels; ++c) {
          const std::int64_t group = c / in;
          const std::int64_t* w =
              kernel->data.data() + (depthwise ? t * plan.outputs : (t * in + c % in) * plan.outputs);
          for (std::int64_t o = group * out; o < (group + 1) * out; ++o)
            sums[static_cast<std::size_t>(o)] += Int{values[c]} * w[o];
        }
      }
      for (std::int64_t o = 0; o < plan.outputs; ++o)
        codes[static_cast<std::size_t>((b * positions + p) * plan.outputs + o)] =
            static_cast<std::int64_t>(rescale(sums[static_cast<std::size_t>(o)], r, static_cast<std::size_t>(o)));
    }
  set_codes(y, codes, spec.scale);
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(Plan plan, plan_of(recipe.source(), node, ctx));
  WEFT_TRY(const auto spec, integer_spec(node, 0, static_cast<std::size_t>(plan.outputs), ctx));
  WEFT_TRY(const IntTensor* kernel, integer_codes_of(node, "kernel", ctx));
  WEFT_TRY(auto x, integer_input(node, recipe, 0, spec.scales[0], ctx));
  const Shape& x_shape = recipe.source().at(node.inputs[0]).shape;
  exact::MatVec product;
  product.n_in = plan.taps * plan.channels;
  product.n_out = plan.outputs;
  product.weights.resize(static_cast<std::size_t>(product.n_in * product.n_out), 0);
  for (std::int64_t t = 0; t < plan.taps; ++t)
    for (std::int64_t c = 0; c < plan.channels; ++c)
      for (std::int64_t o = 0; o < plan.outputs; ++o)
        if (const auto at = weight_at(node, plan, t, c, o))
          product.weights[static_cast<std::size_t>((t * plan.channels + c) * plan.outputs + o)] = kernel->data[*at];
  product.bias.assign(static_cast<std::size_t>(plan.outputs), 0);
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(const IntTensor* bias, integer_codes_of(node, "bias", ctx));
    product.bias.assign(bias->data.begin(), bias->data.end());
  }
  if (form_of(node) == Form::Transposed) {
    exact::Gather gather{x, {}, 0};
    for (const auto first : plan.from)
      for (std::int64_t c = 0; c < plan.channels; ++c) gather.indices.push_back(first < 0 ? -1 : first + c);
    Shape to = plan.positions;
    to.push_back(product.n_in);
    WEFT_TRY(x, recipe.add(node.name + "_taps", std::move(gather), Scale(), node.origin, std::move(to)));
  } else if (form_of(node) != Form::Dense && window_shape(plan.window, x_shape) != x_shape) {
    plan.window.x = x;
    WEFT_TRY(x, recipe.add(node.name + "_window", std::move(plan.window), Scale(), node.origin));
  }
  product.x = x;
  WEFT_TRY(const auto sum, recipe.add(node.name + "_sum", std::move(product), Scale(), node.origin));
  if (!spec.factors.empty())
    recipe.certificate(node.name, node.op)
        .notes.emplace_back(
            "as the interpreter's reference kernel of LiteRT 1.3 and later rounds: once, the factor in double; kernels "
            "with a 31-bit multiplier (TensorFlow Lite Micro, LiteRT 1.2) differ by one in some results");
  const Rescale r{spec.multipliers, spec.wide, 0, spec.lo, spec.hi, spec.factors};
  WEFT_TRY(const auto y, rescaled(recipe, node, node.name, sum, r, Scale()));
  return set_integer_output(node, recipe, y);
}

Layer row(std::string_view op, std::string_view summary, std::vector<std::string_view> more) {
  std::vector<std::string_view> attributes{kScales, kScale, kLo, kHi, kMultipliers, kShifts, kFactors, kWide};
  attributes.insert(attributes.end(), more.begin(), more.end());
  return {.op = op,
          .summary = summary,
          .attributes = std::move(attributes),
          .required_parameters = {"kernel"},
          .optional_parameters = {"bias"},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = macs};
}

}  // namespace

Layer integer_conv_layer() {
  return row("IntegerConv", "convolution of integer codes with TensorFlow Lite's rescaling",
             {kStrides, kDilations, kPadding, kBefore, kAfter, "groups"});
}
Layer integer_dense_layer() {
  return row("IntegerDense", "matrix product of integer codes with TensorFlow Lite's rescaling", {});
}
Layer integer_depthwise_conv_layer() {
  return row("IntegerDepthwiseConv", "depthwise convolution of integer codes with TensorFlow Lite's rescaling",
             {kStrides, kDilations, kPadding, kBefore, kAfter});
}
Layer integer_transposed_conv_layer() {
  return row("IntegerTransposedConv", "transposed convolution of integer codes with TensorFlow Lite's rescaling",
             {kStrides, kBefore, "shape"});
}

}  // namespace weft::layers
