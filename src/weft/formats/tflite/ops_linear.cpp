// SPDX-License-Identifier: Apache-2.0
// Convolutions and matrix products, and SVDF, which is two of them. Kernels come into the order of the layers:
// [k..., C_in, C_out], depthwise [k..., C, m], matrices [n_in, n_out].
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/tflite/import.h"

namespace weft::formats::tflite {
namespace {

using Ints = std::vector<std::int64_t>;

/// Numbers with axes moved: out.shape[i] = in.shape[order[i]].
struct Moved {
  Shape shape;
  std::vector<float> reals;
  Ints integers;
};
Moved moved(const Constant& c, const Shape& shape, const Ints& order) {
  Moved out;
  if (!c.reals.empty()) {
    auto t = tensor::permute(FloatTensor(shape, c.reals), order);
    out.shape = std::move(t.shape);
    out.reals = std::move(t.data);
  } else {
    auto t = tensor::permute(IntTensor(shape, c.integers), order);
    out.shape = std::move(t.shape);
    out.integers = std::move(t.data);
  }
  return out;
}

/// What the kernels of all products have in common.
struct Product {
  const TensorDef* x = nullptr;
  const TensorDef* kernel = nullptr;
  const TensorDef* bias = nullptr;
  std::size_t bias_input = 2;
  Fused fused = Fused::None;
  std::int64_t outputs = 0;
  std::size_t output_axis = 0;  ///< of the file's kernel, along which its scales lie
};

bool is_integer(const TensorDef& t) { return t.quantized(); }

/// Kernel scale of every output channel.
Result<std::vector<double>> kernel_scales(const Call& call, const Product& p) {
  const auto& scales = p.kernel->scales;
  if (scales.size() == 1) return std::vector<double>{scales[0]};
  const auto n = static_cast<std::size_t>(p.outputs);
  if (scales.size() != n || p.kernel->axis != static_cast<std::int64_t>(p.output_axis))
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("the kernel has {} scales along axis {}; one or {} along axis {} are supported",
                                 scales.size(), p.kernel->axis, n, p.output_axis));
  return std::vector<double>(scales.begin(), scales.end());
}

/// How a kernel of the interpreter brings sums to the result's scale.
enum class Rescaling { Multiplier, Double };

/// Attributes and parameters of an integer product.
Result<LayerDraft> integer_product(const Call& call, const Product& p, Moved kernel, Rescaling rescaling) {
  LayerDraft out;
  if (!p.kernel->quantized() || !kernel.reals.empty())
    return call.fail(Kind::LayerUnsupported, fmt::format("the input is {}, the kernel `{}` is {}", to_string(p.x->type),
                                                         p.kernel->name, to_string(p.kernel->type)));
  WEFT_TRY(out.attributes, call.integer_attributes({p.x}, call.output(), p.fused));
  WEFT_TRY(const auto scales, kernel_scales(call, p));
  std::vector<double> factors;
  for (const double s : scales)
    factors.push_back(static_cast<double>(p.x->scale()) * s / static_cast<double>(call.output().scale()));
  if (rescaling == Rescaling::Double)
    out.attributes["factors"] = factors;
  else
    set_multipliers(out.attributes, factors);
  const auto& zeros = p.kernel->zero_points;
  if (std::any_of(zeros.begin(), zeros.end(), [&](auto z) { return z != zeros[0]; }))
    return call.fail(Kind::LayerUnsupported, "the kernel has a zero point per channel");
  for (auto& code : kernel.integers) code -= p.kernel->zero_point();
  out.parameters["kernel"] = integer_parameter(kernel.shape, std::move(kernel.integers), scales[0]);
  if (p.bias != nullptr) {
    WEFT_TRY(const auto bias, call.constant(p.bias_input, "the bias"));
    if (static_cast<std::int64_t>(bias->integers.size()) != p.outputs)
      return call.fail(
          Kind::LayerUnsupported,
          fmt::format("the bias of an integer layer has {} integers for {} outputs", bias->integers.size(), p.outputs));
    out.parameters["bias"] = integer_parameter({p.outputs}, bias->integers, p.bias->scale());
  }
  // int16 activations have int64 accumulators unless the bias says int32.
  out.attributes["wide"] = p.x->type == Type::Int16 && (p.bias == nullptr || p.bias->type == Type::Int64);
  return out;
}

Result<LayerDraft> float_product(const Call& call, const Product& p, Moved kernel) {
  LayerDraft out;
  if (kernel.reals.empty())
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("the input is float, the kernel `{}` is {}: activations would be quantized while "
                                 "running; convert the model to full integers or to float",
                                 p.kernel->name, to_string(p.kernel->type)));
  out.parameters["kernel"].values = FloatTensor(kernel.shape, std::move(kernel.reals));
  if (p.bias != nullptr) {
    WEFT_TRY(const auto bias, call.constant(p.bias_input, "the bias"));
    if (static_cast<std::int64_t>(bias->reals.size()) != p.outputs)
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("the bias has {} numbers for {} outputs", bias->reals.size(), p.outputs));
    out.parameters["bias"].values = FloatTensor({p.outputs}, bias->reals);
  }
  WEFT_TRY(out.functions, call.activation(p.fused));
  return out;
}

Result<LayerDraft> product(const Call& call, const Product& p, Moved kernel, const std::string& op,
                           Rescaling rescaling = Rescaling::Multiplier) {
  if (p.x->type != Type::Float32 && !is_integer(*p.x))
    return call.fail(Kind::LayerUnsupported, fmt::format("an input of type {} is not supported", to_string(p.x->type)));
  if (is_integer(*p.x)) {
    WEFT_TRY(auto out, integer_product(call, p, std::move(kernel), rescaling));
    out.op = "Integer" + op;
    return out;
  }
  WEFT_TRY(auto out, float_product(call, p, std::move(kernel)));
  out.op = op;
  return out;
}

/// Optional input i.
Result<const TensorDef*> optional_input(const Call& call, std::size_t i) {
  if (!call.has_input(i)) return static_cast<const TensorDef*>(nullptr);
  return call.input(i);
}

/// [batch, H, W, C] without its batch of 1.
Result<Shape> image_shape(const Call& call, const TensorDef& x) {
  if (x.shape.size() != 4)
    return call.fail(Kind::ShapeMismatch, fmt::format("the input has shape {}", weft::to_string(x.shape)));
  if (x.shape[0] != 1)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("a batch of {} is fixed in the file; convert with a batch of 1", x.shape[0]));
  return Shape(x.shape.begin() + 1, x.shape.end());
}

Result<std::string> padding_of(const Call& call) {
  const auto code = call.op.options.integer8(0);
  if (code != 0 && code != 1) return call.fail(Kind::AttributeUnsupported, fmt::format("padding {} is unknown", code));
  return std::string(code == 0 ? "same" : "valid");
}

Result<void> read_conv(const Call& call) {
  const bool depthwise = call.op.name == "DEPTHWISE_CONV_2D";
  const Table& o = call.op.options;
  Product p;
  WEFT_TRY(p.x, call.input(0));
  WEFT_TRY(p.kernel, call.input(1));
  WEFT_TRY(p.bias, optional_input(call, 2));
  WEFT_TRY(p.fused, call.fused(depthwise ? 4 : 3));
  WEFT_TRY(const Shape x_shape, image_shape(call, *p.x));
  WEFT_TRY(const std::string padding, padding_of(call));
  const Shape& k = p.kernel->shape;
  const std::int64_t channels = x_shape.back();
  if (k.size() != 4 || std::any_of(k.begin(), k.end(), [](auto d) { return d < 1; }))
    return call.fail(Kind::ShapeMismatch, fmt::format("the kernel has shape {}", weft::to_string(k)));
  WEFT_TRY(const auto numbers, call.constant(1, "the kernel"));
  Moved kernel;
  if (depthwise) {
    // [1, H, W, C * m], output channel c * m + j.
    if (k[0] != 1 || k[3] % channels != 0)
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("a kernel of shape {} does not fit {} channels", weft::to_string(k), channels));
    p.outputs = k[3];
    p.output_axis = 3;
    kernel = moved(*numbers, {k[1], k[2], channels, k[3] / channels}, {0, 1, 2, 3});
  } else {
    if (channels % k[3] != 0)
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("a kernel of shape {} does not fit {} channels", weft::to_string(k), channels));
    p.outputs = k[0];
    p.output_axis = 0;
    kernel = moved(*numbers, k, {1, 2, 3, 0});
  }
  WEFT_TRY(auto draft, product(call, p, std::move(kernel), depthwise ? "DepthwiseConv" : "Conv"));
  const int dilation = depthwise ? 5 : 4;
  draft.attributes["strides"] = Ints{o.integer32(2), o.integer32(1)};
  draft.attributes["dilations"] = Ints{o.integer32(dilation + 1, 1), o.integer32(dilation, 1)};
  draft.attributes["padding"] = padding;
  if (!depthwise && channels != k[3]) draft.attributes["groups"] = channels / k[3];
  WEFT_TRY(const auto x, call.data_as(0, x_shape));
  draft.inputs = {x};
  draft.shape = sample_shape(call.output().shape);
  return call.set(call.add(std::move(draft)));
}

Result<void> read_transposed_conv(const Call& call) {
  const Table& o = call.op.options;
  Product p;
  p.bias_input = 3;
  WEFT_TRY(p.kernel, call.input(1));
  WEFT_TRY(p.x, call.input(2));
  WEFT_TRY(p.bias, optional_input(call, 3));
  WEFT_TRY(p.fused, call.fused(3));
  WEFT_TRY(const Shape x_shape, image_shape(call, *p.x));
  WEFT_TRY(const Shape y_shape, image_shape(call, call.output()));
  WEFT_TRY(const std::string padding, padding_of(call));
  const Shape& k = p.kernel->shape;
  if (k.size() != 4 || k[3] != x_shape.back() || y_shape.back() != k[0])
    return call.fail(Kind::ShapeMismatch, fmt::format("a kernel of shape {} does not fit an input of shape {}",
                                                      weft::to_string(k), weft::to_string(x_shape)));
  p.outputs = k[0];
  WEFT_TRY(const auto numbers, call.constant(1, "the kernel"));
  const bool integer = is_integer(*p.x);
  WEFT_TRY(auto draft,
           product(call, p, moved(*numbers, k, {1, 2, 3, 0}), integer ? "TransposedConv" : "ConvTranspose"));
  const Ints strides{o.integer32(2), o.integer32(1)};
  Ints before;
  Ints after;
  for (std::size_t d = 0; d < 2; ++d) {
    // The padding of the convolution whose gradient this is.
    const std::int64_t whole =
        padding == "same" ? std::max<std::int64_t>((x_shape[d] - 1) * strides[d] + k[d + 1] - y_shape[d], 0) : 0;
    before.push_back(whole / 2);
    after.push_back((x_shape[d] - 1) * strides[d] + k[d + 1] - before[d] - y_shape[d]);
  }
  draft.attributes["strides"] = strides;
  draft.attributes["before"] = before;
  if (integer)
    draft.attributes["shape"] = Ints{y_shape[0], y_shape[1]};
  else
    draft.attributes["after"] = after;
  WEFT_TRY(const auto x, call.data_as(2, x_shape));
  draft.inputs = {x};
  draft.shape = y_shape;
  return call.set(call.add(std::move(draft)));
}

Result<void> read_fully_connected(const Call& call) {
  Product p;
  WEFT_TRY(p.x, call.input(0));
  WEFT_TRY(p.kernel, call.input(1));
  WEFT_TRY(p.bias, optional_input(call, 2));
  WEFT_TRY(p.fused, call.fused(0));
  if (call.op.options.integer8(1) != 0)
    return call.fail(Kind::AttributeUnsupported, "shuffled weights are not read; convert the model again");
  const Shape& k = p.kernel->shape;
  if (k.size() != 2 || k[0] < 1 || k[1] < 1)
    return call.fail(Kind::ShapeMismatch, fmt::format("the kernel has shape {}", weft::to_string(k)));
  p.outputs = k[0];
  WEFT_TRY(const auto numbers, call.constant(1, "the kernel"));
  // Since LiteRT 1.3 the reference kernels multiply sums by the scales in double; earlier ones, and TensorFlow Lite
  // Micro, by a 31-bit integer.
  WEFT_TRY(auto draft, product(call, p, moved(*numbers, k, {1, 0}), "Dense", Rescaling::Double));
  const std::int64_t elements = element_count(p.x->shape);
  if (elements % k[1] != 0)
    return call.fail(Kind::ShapeMismatch, fmt::format("{} elements are no rows of {}", elements, k[1]));
  // Rows of n_in whatever the shape was; one row is the sample itself.
  const Shape y = sample_shape(call.output().shape);
  Shape rows = y;
  if (!rows.empty() && rows.back() == k[0]) {
    rows.back() = k[1];
  } else {
    rows = elements == k[1] ? Shape{k[1]} : Shape{elements / k[1], k[1]};
  }
  WEFT_TRY(const auto x, call.data_as(0, rows));
  draft.inputs = {x};
  draft.shape = rows;
  draft.shape.back() = k[0];
  return call.set(call.add(std::move(draft)));
}

/// An integer product with a constant matrix [n_in, n_out], by one 31-bit multiplier.
Result<void> add_constant_product(const Call& call, const TensorDef& x, const TensorDef& matrix, const Shape& in_shape,
                                  bool transposed) {
  WEFT_TRY(const auto numbers, call.constant(1, "the second operand"));
  const Shape flat(matrix.shape.end() - 2, matrix.shape.end());
  auto kernel = moved(*numbers, flat, transposed ? Ints{1, 0} : Ints{0, 1});
  for (auto& code : kernel.integers) code -= matrix.zero_point();
  WEFT_TRY(auto attributes, call.integer_attributes({&x}, call.output()));
  set_multipliers(attributes,
                  {static_cast<double>(x.scale() * matrix.scale()) / static_cast<double>(call.output().scale())});
  attributes["wide"] = x.type == Type::Int16;
  WEFT_TRY(const auto in, call.data_as(0, in_shape));
  LayerDraft draft{.op = "IntegerDense", .attributes = std::move(attributes), .inputs = {in}};
  draft.shape = in_shape;
  draft.shape.back() = kernel.shape[1];
  draft.parameters["kernel"] = integer_parameter(kernel.shape, std::move(kernel.integers), matrix.scale());
  return call.set(call.add(std::move(draft)));
}

/// Matrix products over leading axes that broadcast.
Result<void> read_batch_matmul(const Call& call) {
  WEFT_TRY(const TensorDef* x, call.input(0));
  WEFT_TRY(const TensorDef* y, call.input(1));
  const bool adjoint[2] = {call.op.options.flag(0), call.op.options.flag(1)};
  const TensorDef* def[2] = {x, y};
  Shape shapes[2];
  std::string labels[2];
  std::string leading;
  for (std::size_t k = 0; k < 2; ++k) {
    shapes[k] = def[k]->shape;
    if (shapes[k].size() > 2) shapes[k] = sample_shape(shapes[k]);
    if (shapes[k].size() < 2 || shapes[k].size() > 12)
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("an operand of a matrix product has shape {}", weft::to_string(def[k]->shape)));
    // Leading axes are aligned at their ends.
    std::string own;
    for (std::size_t d = shapes[k].size() - 2; d-- > 0;) own += static_cast<char>('a' + d);
    if (own.size() > leading.size()) leading = own;
    const std::string matrix = k == 0 ? "xy" : "yz";
    labels[k] = own + (adjoint[k] ? std::string{matrix[1], matrix[0]} : matrix);
  }
  const bool integer = x->quantized() && y->quantized();
  if (!integer && (x->type != Type::Float32 || y->type != Type::Float32))
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("a product of {} and {} is not read", to_string(x->type), to_string(y->type)));
  if (call.is_constant(0))
    return call.fail(Kind::LayerUnsupported, "the first operand of a matrix product is constant");
  LayerDraft draft;
  draft.op = integer ? "IntegerEinsum" : "Einsum";
  draft.shape = sample_shape(call.output().shape);
  if (call.is_constant(1) && integer) {
    if (adjoint[0] || element_count(shapes[1]) != shapes[1][shapes[1].size() - 1] * shapes[1][shapes[1].size() - 2])
      return call.fail(Kind::LayerUnsupported, "a product with several constant matrices, or of a transposed tensor");
    return add_constant_product(call, *x, *y, shapes[0], adjoint[1]);
  }
  WEFT_TRY(const auto first, call.data_as(0, shapes[0]));
  draft.inputs = {first};
  if (call.is_constant(1)) {
    WEFT_TRY(const auto numbers, call.constant(1, "the second operand"));
    draft.parameters["kernel"].values = FloatTensor(shapes[1], numbers->reals);
  } else {
    WEFT_TRY(const auto second, call.data_as(1, shapes[1]));
    draft.inputs.push_back(second);
  }
  if (integer) {
    WEFT_TRY(draft.attributes, call.integer_attributes({x, y}, call.output()));
    // The interpreter multiplies the scales in float32.
    set_multipliers(draft.attributes,
                    {static_cast<double>(x->scale() * y->scale()) / static_cast<double>(call.output().scale())});
    draft.attributes["wide"] = x->type == Type::Int16;
  }
  draft.attributes["equation"] = labels[0] + "," + labels[1] + "->" + leading + "xz";
  return call.set(call.add(std::move(draft)));
}

/// One step from a state of zeros: a matrix product into int16, the last tap of each filter, the sum over the rank.
Result<void> read_svdf(const Call& call) {
  WEFT_TRY(const TensorDef* x, call.input(0));
  WEFT_TRY(const TensorDef* feature, call.input(1));
  WEFT_TRY(const TensorDef* time, call.input(2));
  WEFT_TRY(const TensorDef* bias, optional_input(call, 3));
  WEFT_TRY(const TensorDef* state, call.input(4));
  const std::int64_t rank = call.op.options.integer32(0);
  WEFT_TRY(const Fused fused, call.fused(1));
  if (!x->quantized() || !state->quantized() || state->type != Type::Int16 || !feature->quantized() ||
      !time->quantized())
    return call.fail(Kind::LayerUnsupported, "only SVDF of int8 with a state of int16 is read");
  if (feature->shape.size() != 2 || time->shape.size() != 2 || feature->shape[0] != time->shape[0] || rank < 1 ||
      feature->shape[0] % rank != 0 || time->shape[1] < 1)
    return call.fail(Kind::ShapeMismatch, "the filters of features and time do not fit");
  const std::int64_t filters = feature->shape[0];
  const std::int64_t inputs = feature->shape[1];
  const std::int64_t memory = time->shape[1];
  const std::int64_t units = filters / rank;
  WEFT_TRY(const auto w, call.constant(1, "the filter of features"));
  WEFT_TRY(const auto v, call.constant(2, "the filter of time"));

  WEFT_TRY(auto first, call.integer_attributes({x}, *state));
  set_multipliers(first, {static_cast<double>(x->scale() * feature->scale() / state->scale())});
  auto matrix = moved(*w, feature->shape, {1, 0});
  for (auto& code : matrix.integers) code -= feature->zero_point();
  WEFT_TRY(const auto in, call.data_as(0, {inputs}));
  LayerDraft features{.op = "IntegerDense", .attributes = std::move(first), .inputs = {in}};
  features.parameters["kernel"] = integer_parameter(matrix.shape, std::move(matrix.integers), feature->scale());
  features.shape = {filters};
  features.suffix = "/features";
  const auto newest = call.add(std::move(features));

  WEFT_TRY(auto second, call.integer_attributes({state}, call.output(), fused));
  set_multipliers(second, {static_cast<double>(state->scale() * time->scale() / call.output().scale())});
  Ints taps(static_cast<std::size_t>(filters * units), 0);
  for (std::int64_t f = 0; f < filters; ++f)
    taps[static_cast<std::size_t>(f * units + f / rank)] =
        v->integers[static_cast<std::size_t>(f * memory + memory - 1)] - time->zero_point();
  LayerDraft out{.op = "IntegerDense", .attributes = std::move(second), .inputs = {newest}};
  out.parameters["kernel"] = integer_parameter({filters, units}, std::move(taps), time->scale());
  if (bias != nullptr) {
    WEFT_TRY(const auto b, call.constant(3, "the bias"));
    if (static_cast<std::int64_t>(b->integers.size()) != units)
      return call.fail(Kind::ShapeMismatch, fmt::format("the bias has {} integers for {}", b->integers.size(), units));
    out.parameters["bias"] = integer_parameter({units}, b->integers, bias->scale());
  }
  out.shape = {units};
  call.ctx.report(Kind::Info, call.origin,
                  "the layer keeps a state between calls of the interpreter; here every sample starts from zeros");
  return call.set(call.add(std::move(out)));
}

}  // namespace

std::vector<Operator> linear_operators() {
  return {{"BATCH_MATMUL", read_batch_matmul},       {"CONV_2D", read_conv}, {"DEPTHWISE_CONV_2D", read_conv},
          {"FULLY_CONNECTED", read_fully_connected}, {"SVDF", read_svdf},    {"TRANSPOSE_CONV", read_transposed_conv}};
}

}  // namespace weft::formats::tflite
