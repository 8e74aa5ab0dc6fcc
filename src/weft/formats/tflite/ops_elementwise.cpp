// SPDX-License-Identifier: Apache-2.0
// Arithmetic of two tensors, functions of one, and the passages between floats and integers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "weft/formats/tflite/import.h"

namespace weft::formats::tflite {
namespace {

using Ints = std::vector<std::int64_t>;

/// Both operands of a binary operator; at most one is constant.
struct Operands {
  const TensorDef* def[2] = {nullptr, nullptr};
  std::vector<nn::TensorId> tensors;
  ConstantPtr constant;
  bool constant_first = false;
};

Result<Operands> operands_of(const Call& call) {
  Operands out;
  WEFT_TRY(out.def[0], call.input(0));
  WEFT_TRY(out.def[1], call.input(1));
  for (std::size_t i = 0; i < 2; ++i) {
    if (call.is_constant(i)) {
      WEFT_TRY(out.constant, call.constant(i, "the operand"));
      out.constant_first = i == 0;
    } else {
      WEFT_TRY(const auto id, call.data(i));
      out.tensors.push_back(id);
    }
  }
  if (out.tensors.empty()) return call.fail(Kind::LayerUnsupported, "both operands are constant");
  return out;
}

bool integer_types(const Operands& o) { return o.def[0]->quantized() && o.def[1]->quantized(); }

/// Integer codes of the constant operand.
void set_constant_operand(const Operands& o, LayerDraft& draft) {
  if (!o.constant) return;
  const TensorDef& def = *o.def[o.constant_first ? 0 : 1];
  Ints codes = o.constant->integers;
  for (auto& code : codes) code -= def.zero_point();
  draft.parameters["constant"] = integer_parameter(sample_shape(def.shape), std::move(codes), def.scale());
  draft.attributes["constant_first"] = o.constant_first;
}

Result<void> read_float_binary(const Call& call, const Operands& o, const std::string& op, Fused fused) {
  LayerDraft draft{.op = op, .inputs = o.tensors};
  draft.shape = sample_shape(call.output().shape);
  if (o.constant) {
    const Shape shape = sample_shape(o.constant->shape);
    if (o.constant->reals.size() != static_cast<std::size_t>(element_count(shape)))
      return call.fail(Kind::LayerUnsupported, "a constant operand must hold floats");
    draft.parameters["constant"].values = FloatTensor(shape, o.constant->reals);
    draft.attributes["constant_first"] = o.constant_first;
  }
  WEFT_TRY(const auto functions, call.activation(fused));
  if (functions.empty()) return call.set(call.add(std::move(draft)));
  draft.suffix = "/" + op;
  const Shape shape = draft.shape;
  const auto sum = call.add(std::move(draft));
  return call.set(call.add({.op = "Activation", .inputs = {sum}, .functions = functions, .shape = shape}));
}

bool is_power_of_two(float scale) {
  int exponent = 0;
  return std::frexp(scale, &exponent) == 0.5F;
}

Result<void> read_add(const Call& call) {
  const bool subtract = call.op.name == "SUB";
  WEFT_TRY(const Fused fused, call.fused(0));
  WEFT_TRY(const auto o, operands_of(call));
  if (!integer_types(o)) return read_float_binary(call, o, subtract ? "Sub" : "Add", fused);
  const bool wide = call.output().type == Type::Int16;
  WEFT_TRY(auto attributes, call.integer_attributes({o.def[0], o.def[1]}, call.output(), fused));
  const float scales[3] = {o.def[0]->scale(), o.def[1]->scale(), call.output().scale()};
  if (wide && std::all_of(scales, scales + 3, is_power_of_two) && call.op.options.flag(1, true))
    return call.fail(Kind::LayerUnsupported,
                     "a sum of int16 tensors with power-of-two scales has kernels of its own, which are not read");
  const int pre_shift = wide ? 15 : 20;
  const double twice = 2.0 * static_cast<double>(std::max(scales[0], scales[1]));
  set_multipliers(attributes, {scales[0] / twice, scales[1] / twice,
                               twice / (std::ldexp(1.0, pre_shift) * static_cast<double>(scales[2]))});
  attributes["pre_shift"] = std::int64_t{pre_shift};
  attributes["subtract"] = subtract;
  attributes["scales"] =
      o.constant ? std::vector<double>{scales[o.constant_first ? 1 : 0]} : std::vector<double>{scales[0], scales[1]};
  LayerDraft draft{.op = "IntegerAdd", .attributes = std::move(attributes), .inputs = o.tensors};
  set_constant_operand(o, draft);
  draft.shape = sample_shape(call.output().shape);
  return call.set(call.add(std::move(draft)));
}

Result<void> read_mul(const Call& call) {
  WEFT_TRY(const Fused fused, call.fused(0));
  WEFT_TRY(const auto o, operands_of(call));
  if (!integer_types(o)) return read_float_binary(call, o, "Mul", fused);
  WEFT_TRY(auto attributes, call.integer_attributes({o.def[0], o.def[1]}, call.output(), fused));
  // The interpreter computes this factor in float32.
  set_multipliers(attributes, {static_cast<double>(o.def[0]->scale() * o.def[1]->scale() / call.output().scale())});
  if (o.constant) attributes["scales"] = std::vector<double>{o.def[o.constant_first ? 1 : 0]->scale()};
  LayerDraft draft{.op = "IntegerMul", .attributes = std::move(attributes), .inputs = o.tensors};
  set_constant_operand(o, draft);
  draft.shape = sample_shape(call.output().shape);
  return call.set(call.add(std::move(draft)));
}

Result<void> read_div(const Call& call) {
  WEFT_TRY(const Fused fused, call.fused(0));
  WEFT_TRY(const auto o, operands_of(call));
  if (integer_types(o)) return call.fail(Kind::LayerUnsupported, "a quotient of integers is not supported");
  return read_float_binary(call, o, "Div", fused);
}

Result<void> read_extremum(const Call& call) {
  WEFT_TRY(const auto o, operands_of(call));
  if (o.constant) {
    // max(x, c) and min(x, c) with one number are a clip.
    if (o.constant->reals.size() == 1) {
      const double c = o.constant->reals[0];
      const bool max = call.op.name == "MAXIMUM";
      const auto x = o.tensors[0];
      return call.set(call.add({.op = "Activation",
                                .inputs = {x},
                                .functions = {{"activation", {"clip", {{max ? "min" : "max", c}}}}},
                                .shape = call.shape_of(x)}));
    }
    return call.fail(Kind::LayerUnsupported, "a constant operand must be one float number");
  }
  const TensorDef& y = call.output();
  for (const auto* def : o.def)
    if (def->quantized() && (def->scale() != y.scale() || def->zero_point() != y.zero_point()))
      return call.fail(Kind::ModelMalformed, "operands and result must have one scale and zero point");
  return call.set(call.add(
      {.op = call.op.name == "MAXIMUM" ? "Maximum" : "Minimum", .inputs = o.tensors, .shape = sample_shape(y.shape)}));
}

// --- functions of one tensor

std::optional<quantizers::Spec> function_of(const Call& call) {
  const std::string& name = call.op.name;
  if (name == "RELU") return quantizers::Spec{"relu", {}};
  if (name == "RELU6") return quantizers::Spec{"relu", {{"max_value", 6.0}}};
  if (name == "RELU_N1_TO_1") return quantizers::Spec{"clip", {{"min", -1.0}, {"max", 1.0}}};
  if (name == "RELU_0_TO_1") return quantizers::Spec{"clip", {{"min", 0.0}, {"max", 1.0}}};
  if (name == "LOGISTIC") return quantizers::Spec{"sigmoid", {}};
  if (name == "TANH") return quantizers::Spec{"tanh", {}};
  if (name == "ELU") return quantizers::Spec{"elu", {}};
  if (name == "EXP") return quantizers::Spec{"exponential", {}};
  if (name == "LEAKY_RELU")
    return quantizers::Spec{"leaky_relu", {{"alpha", static_cast<double>(call.op.options.real(0))}}};
  if (name == "GELU") return quantizers::Spec{"gelu", {{"approximate", call.op.options.flag(0)}}};
  return std::nullopt;
}

/// What the interpreter fills its tables with: f(scale * code) / output scale in float32, rounded half away from zero.
Result<void> add_float_table(const Call& call, const TensorDef& x, float (*f)(float)) {
  const TensorDef& y = call.output();
  const float inverse = 1.0F / y.scale();
  return call.add_table(x, y, [&](std::int64_t code) {
    const float real = x.scale() * static_cast<float>(code);
    const float scaled = std::round(f(real) * inverse);
    // The file's integer is clipped after its zero point was added.
    return static_cast<std::int64_t>(std::clamp(scaled, -1.0e6F, 1.0e6F));
  });
}

Result<void> read_integer_relu(const Call& call, const TensorDef& x) {
  const Fused fused = call.op.name == "RELU" ? Fused::Relu : call.op.name == "RELU6" ? Fused::Relu6 : Fused::ReluN1To1;
  if (call.op.name == "RELU_0_TO_1") return call.fail(Kind::LayerUnsupported, "RELU_0_TO_1 of integers");
  WEFT_TRY(auto attributes, call.integer_attributes({&x}, call.output(), fused));
  set_multipliers(attributes, {static_cast<double>(x.scale() / call.output().scale())});
  WEFT_TRY(const auto in, call.data(0));
  return call.set(call.add(
      {.op = "IntegerRescale", .attributes = std::move(attributes), .inputs = {in}, .shape = call.shape_of(in)}));
}

Result<void> read_integer_leaky_relu(const Call& call, const TensorDef& x) {
  const TensorDef& y = call.output();
  const float alpha = call.op.options.real(0);
  const auto positive = fixed::tflite::quantize_multiplier(static_cast<double>(x.scale() / y.scale()));
  const double slope = static_cast<double>(x.scale() * alpha / y.scale());
  auto negative = fixed::tflite::quantize_multiplier(std::fabs(slope));
  if (slope < 0) negative.mantissa = -negative.mantissa;
  if (positive.shift > 15 || negative.shift > 15)
    return call.fail(Kind::LayerUnsupported, "the scales of input and output differ beyond use");
  return call.add_table(x, y, [&](std::int64_t code) -> std::int64_t {
    return fixed::tflite::multiply(static_cast<std::int32_t>(code), code >= 0 ? positive : negative);
  });
}

Result<void> read_integer_function(const Call& call, const TensorDef& x) {
  namespace tfl = fixed::tflite;
  const std::string& name = call.op.name;
  const TensorDef& y = call.output();
  if (!y.quantized() || y.type != x.type)
    return call.fail(Kind::LayerUnsupported, fmt::format("{} to {}", to_string(x.type), to_string(y.type)));
  if (name.starts_with("RELU")) return read_integer_relu(call, x);
  if (name == "LEAKY_RELU") return read_integer_leaky_relu(call, x);
  if (x.type == Type::Int16) {
    if (name != "LOGISTIC" && name != "TANH")
      return call.fail(Kind::LayerUnsupported, fmt::format("{} of int16 is not supported", name));
    if (x.zero_point() != 0 || y.zero_point() != 0 || y.scale() != 0x1p-15F)
      return call.fail(Kind::ModelMalformed, "functions of int16 have zero points 0 and the output scale 2^-15");
    const auto input = tfl::int16_input(static_cast<double>(x.scale()));
    return call.add_table(x, y, [&](std::int64_t code) -> std::int64_t {
      const auto q = static_cast<std::int16_t>(code);
      return name == "TANH" ? tfl::tanh_int16(q, input) : tfl::logistic_int16(q, input);
    });
  }
  if (name == "LOGISTIC") return add_float_table(call, x, [](float v) { return 1.0F / (1.0F + std::exp(-v)); });
  if (name == "TANH") return add_float_table(call, x, [](float v) { return std::tanh(v); });
  if (name == "ELU") return add_float_table(call, x, [](float v) { return v < 0.0F ? std::expm1(v) : v; });
  if (name == "EXP") return add_float_table(call, x, [](float v) { return std::exp(v); });
  return call.fail(Kind::LayerUnsupported, fmt::format("{} of {} is not supported", name, to_string(x.type)));
}

Result<void> read_function(const Call& call) {
  WEFT_TRY(const TensorDef* x, call.input(0));
  if (x->quantized()) return read_integer_function(call, *x);
  if (x->type != Type::Float32)
    return call.fail(Kind::LayerUnsupported, fmt::format("an input of type {}", to_string(x->type)));
  const auto spec = function_of(call);
  WEFT_CHECK(spec.has_value(), "a function without its family");
  WEFT_TRY(const auto in, call.data(0));
  return call.set(
      call.add({.op = "Activation", .inputs = {in}, .functions = {{"activation", *spec}}, .shape = call.shape_of(in)}));
}

/// Q7.8-like steps of the reference kernel, in int16.
Result<void> read_hard_swish(const Call& call) {
  namespace tfl = fixed::tflite;
  WEFT_TRY(const TensorDef* x, call.input(0));
  if (!x->quantized()) {
    WEFT_TRY(const auto in, call.data(0));
    return call.set(call.add({.op = "Activation",
                              .inputs = {in},
                              .functions = {{"activation", {"hard_swish", {{"form", std::string("torch")}}}}},
                              .shape = call.shape_of(in)}));
  }
  const TensorDef& y = call.output();
  const float hires = (1.0F / 128.0F) * x->scale();
  const auto output = tfl::quantize_multiplier(static_cast<double>(hires / y.scale()));
  const auto relu = tfl::quantize_multiplier(static_cast<double>(hires / (3.0F / 32768.0F)));
  if (output.shift > 0 || output.shift < -15 || relu.shift > 14 || relu.shift < -15)
    return call.fail(Kind::LayerUnsupported, "the scales of HARD_SWISH are beyond its kernel");
  return call.add_table(*x, y, [&](std::int64_t code) -> std::int64_t {
    return tfl::hard_swish(static_cast<std::int16_t>(code), output, relu);
  });
}

// --- between floats and integers

Result<void> read_quantize(const Call& call) {
  WEFT_TRY(const TensorDef* x, call.input(0));
  const TensorDef& y = call.output();
  if (!y.quantized()) return call.fail(Kind::ModelMalformed, fmt::format("`{}` has no scale", y.name));
  WEFT_TRY(const auto in, call.data(0));
  if (x->quantized()) {
    WEFT_TRY(auto attributes, call.integer_attributes({x}, y));
    set_multipliers(attributes, {static_cast<double>(x->scale()) / static_cast<double>(y.scale())});
    return call.set(call.add(
        {.op = "IntegerRescale", .attributes = std::move(attributes), .inputs = {in}, .shape = call.shape_of(in)}));
  }
  const auto limits = limits_of(y.type);
  return call.set(call.add({.op = "Activation",
                            .inputs = {in},
                            .functions = {{"activation",
                                           {"tflite_quantize",
                                            {{"scale", static_cast<double>(y.scale())},
                                             {"zero_point", y.zero_point()},
                                             {"lo", limits.lo},
                                             {"hi", limits.hi}}}}},
                            .shape = call.shape_of(in)}));
}

Result<void> read_dequantize(const Call& call) {
  WEFT_TRY(const TensorDef* x, call.input(0));
  if (call.is_constant(0)) {
    WEFT_TRY(const auto c, call.constant(0, "the input"));
    Constant out{c->shape, c->reals, {}};
    const auto channels = static_cast<std::size_t>(x->scales.size());
    if (c->reals.empty() && !x->quantized()) return call.fail(Kind::ModelMalformed, "the input has no scale");
    std::int64_t inner = 1;
    for (std::size_t d = c->shape.size(); d-- > static_cast<std::size_t>(std::max<std::int64_t>(x->axis, 0)) + 1;)
      inner *= c->shape[d];
    for (std::size_t i = 0; i < c->integers.size(); ++i) {
      const std::size_t k = channels == 1 ? 0 : i / static_cast<std::size_t>(inner) % channels;
      const std::int64_t zero = x->zero_points.empty() ? 0 : x->zero_points[x->zero_points.size() == 1 ? 0 : k];
      out.reals.push_back(
          static_cast<float>(static_cast<double>(x->scales[k]) * static_cast<double>(c->integers[i] - zero)));
    }
    call.set_constant(std::move(out));
    return {};
  }
  // Between layers a quantized tensor already is scale * (q - zero point).
  WEFT_TRY(const auto in, call.data(0));
  return call.set(call.add({.op = "Identity", .inputs = {in}, .shape = call.shape_of(in)}));
}

}  // namespace

std::vector<Operator> elementwise_operators() {
  return {{"ADD", read_add},
          {"DEQUANTIZE", read_dequantize},
          {"DIV", read_div},
          {"ELU", read_function},
          {"EXP", read_function},
          {"GELU", read_function},
          {"HARD_SWISH", read_hard_swish},
          {"LEAKY_RELU", read_function},
          {"LOGISTIC", read_function},
          {"MAXIMUM", read_extremum},
          {"MINIMUM", read_extremum},
          {"MUL", read_mul},
          {"QUANTIZE", read_quantize},
          {"RELU", read_function},
          {"RELU6", read_function},
          {"RELU_0_TO_1", read_function},
          {"RELU_N1_TO_1", read_function},
          {"SUB", read_add},
          {"TANH", read_function}};
}

}  // namespace weft::formats::tflite
