// SPDX-License-Identifier: Apache-2.0
// Functions of single numbers.
#include <fmt/format.h>

#include <cmath>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

Result<Value> data(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  return call.as_float(x);
}

/// A function of quantizers/ that ONNX has no operator for.
Result<Values> activation(AtenCall& call, const Value& x, const quantizers::Spec& spec) {
  if (x.dynamic) return activation_layer(call, *x.dynamic, spec);
  WEFT_TRY(const auto function, quantizers::make(spec, call.origin, call.ctx));
  WEFT_TRY_VOID(call.layers(x).spend_elements(x.constant->shape));
  Constant out = float_constant(x.constant->floats, x.constant->shape);
  for (auto& v : out.floats) v = function->apply(v, 0);
  return Values{std::move(out)};
}

template <const char* const& Family>
Result<Values> function(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  return activation(call, x, {Family, {}});
}

template <const char* const& Op>
Result<Values> unary(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  return call.onnx(Op, {x});
}

/// Of integers too, where they are constants: positions, as padding is written after decomposition.
template <const char* const& Op>
Result<Values> unary_any(AtenCall& call) {
  WEFT_TRY(Value x, call.tensor("self"));
  if (x.dynamic) {
    WEFT_TRY(x, call.as_float(x));
  }
  return call.onnx(Op, {x});
}

// Names have to outlive the instances of `unary`.
namespace op {
constexpr const char* kAbs = "Abs";
constexpr const char* kAcos = "Acos";
constexpr const char* kAcosh = "Acosh";
constexpr const char* kAsin = "Asin";
constexpr const char* kAsinh = "Asinh";
constexpr const char* kAtan = "Atan";
constexpr const char* kAtanh = "Atanh";
constexpr const char* kCeil = "Ceil";
constexpr const char* kCos = "Cos";
constexpr const char* kCosh = "Cosh";
constexpr const char* kErf = "Erf";
constexpr const char* kExp = "Exp";
constexpr const char* kFloor = "Floor";
constexpr const char* kHardSwish = "HardSwish";
constexpr const char* kLog = "Log";
constexpr const char* kMish = "Mish";
constexpr const char* kNeg = "Neg";
constexpr const char* kReciprocal = "Reciprocal";
constexpr const char* kRelu = "Relu";
constexpr const char* kRound = "Round";
constexpr const char* kSigmoid = "Sigmoid";
constexpr const char* kSign = "Sign";
constexpr const char* kSin = "Sin";
constexpr const char* kSinh = "Sinh";
constexpr const char* kSoftsign = "Softsign";
constexpr const char* kSqrt = "Sqrt";
constexpr const char* kSwish = "Swish";
constexpr const char* kTan = "Tan";
constexpr const char* kTanh = "Tanh";
}  // namespace op
namespace family {
constexpr const char* kErfc = "erfc";
constexpr const char* kExpm1 = "expm1";
constexpr const char* kLog10 = "log10";
constexpr const char* kLog1p = "log1p";
constexpr const char* kLog2 = "log2";
constexpr const char* kPower = "power";  // of 2
}  // namespace family

/// Degrees and radians: a product with a constant.
template <bool ToRadians>
Result<Values> angle(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  constexpr double kPi = 3.14159265358979323846;
  return call.onnx("Mul", {x, number(static_cast<float>(ToRadians ? kPi / 180.0 : 180.0 / kPi))});
}

/// With `eps`, of x clipped to [eps, 1 - eps].
Result<Values> logit(AtenCall& call) {
  WEFT_TRY(Value x, data(call));
  if (call.has("eps")) {
    WEFT_TRY(const double given, call.real("eps"));
    const auto eps = static_cast<float>(given);
    if (eps >= 0.0F) {
      WEFT_TRY(x, call.one("Clip", {x, number(eps), number(1.0F - eps)}, {}, false));
    }
  }
  return activation(call, x, {"logit", {}});
}

/// Data and constants are finite.
template <bool Finite>
Result<Values> is_finite(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  return filled_bool(call, x, Finite);
}
Result<Values> nan_to_num(AtenCall& call) {
  WEFT_TRY(Value x, call.tensor("self"));
  call.ignore({"nan", "posinf", "neginf"});
  return Values{std::move(x)};
}

/// x op a number, where both operators of PyTorch and ONNX differ from each other.
Result<double> divisor(AtenCall& call) {
  WEFT_TRY(const Value other, call.tensor("other"));
  if (!other.constant || other.constant->size() != 1)
    return call.fail(Kind::AttributeUnsupported, "the divisor is not one constant number");
  const float value = onnx::as_floats(*other.constant).front();
  if (value == 0.0F || !std::isfinite(value))
    return call.fail(Kind::AttributeUnsupported, fmt::format("the divisor is {}", value));
  return static_cast<double>(value);
}
Result<Values> modulo(AtenCall& call, const char* sign) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double by, divisor(call));
  return activation(call, x, {"modulo", {{"divisor", by}, {"sign", std::string(sign)}}});
}
Result<Values> fmod(AtenCall& call) { return modulo(call, "dividend"); }
Result<Values> remainder(AtenCall& call) { return modulo(call, "divisor"); }

Result<Values> floor_divide(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double by, divisor(call));
  return activation(call, x, {"floor_divide", {{"divisor", by}}});
}

Result<Values> rsqrt(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const Value root, call.one("Sqrt", {x}, {}, false));
  return call.onnx("Reciprocal", {root});
}

Result<Values> relu6(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  return call.onnx("Clip", {x, number(0.0F), number(6.0F)});
}

Result<Values> hardtanh(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double lo, call.real("min_val", -1.0));
  WEFT_TRY(const double hi, call.real("max_val", 1.0));
  return call.onnx("Clip", {x, number(static_cast<float>(lo)), number(static_cast<float>(hi))});
}

Result<Values> leaky_relu(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double slope, call.real("negative_slope", 0.01));
  return call.onnx("LeakyRelu", {x}, {{"alpha", static_cast<float>(slope)}});
}

Result<Values> elu_of(AtenCall& call, const Value& x, float alpha, float scale, float input_scale) {
  if (input_scale == 1.0F && scale == 1.0F) return call.onnx("Elu", {x}, {{"alpha", alpha}});
  if (input_scale == 1.0F) return call.onnx("Selu", {x}, {{"alpha", alpha}, {"gamma", scale}});
  if (scale == 1.0F && std::fabs(input_scale * alpha - 1.0F) < 1e-6F) return call.onnx("Celu", {x}, {{"alpha", alpha}});
  return call.fail(Kind::AttributeUnsupported,
                   fmt::format("`alpha` {}, `scale` {} and `input_scale` {} are together no ELU, SELU or CELU", alpha,
                               scale, input_scale));
}

Result<Values> elu(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double alpha, call.real("alpha", 1.0));
  WEFT_TRY(const double scale, call.real("scale", 1.0));
  WEFT_TRY(const double input_scale, call.real("input_scale", 1.0));
  return elu_of(call, x, static_cast<float>(alpha), static_cast<float>(scale), static_cast<float>(input_scale));
}

Result<Values> selu(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  return elu_of(call, x, 1.6732632423543772F, 1.0507009873554805F, 1.0F);
}

Result<Values> celu(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double alpha, call.real("alpha", 1.0));
  if (alpha == 1.0) return call.onnx("Elu", {x}, {{"alpha", 1.0F}});
  return call.onnx("Celu", {x}, {{"alpha", static_cast<float>(alpha)}});
}

Result<Values> gelu(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const std::string approximate, call.text("approximate", "none"));
  return call.onnx("Gelu", {x}, {{"approximate", approximate}});
}

Result<Values> hardsigmoid(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  return call.onnx("HardSigmoid", {x}, {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}});
}

Result<Values> hardswish(AtenCall& call) {
  if (onnx::find_operator("HardSwish", "") != nullptr) return unary<op::kHardSwish>(call);
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const Value gate, call.one("HardSigmoid", {x}, {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}}, false));
  return call.onnx("Mul", {x, gate});
}

/// x itself where x times beta is above the threshold. From 17 on, log(1 + exp(x)) is the same number in float32.
Result<Values> softplus(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double beta, call.real("beta", 1.0));
  WEFT_TRY(const double threshold, call.real("threshold", 20.0));
  if (!(beta > 0)) return call.fail(Kind::AttributeUnsupported, fmt::format("`beta` is {}", beta));
  const bool cut = threshold < 17.0;
  if (beta == 1.0 && !cut) return call.onnx("Softplus", {x});
  const float b = static_cast<float>(beta);
  WEFT_TRY(const Value scaled, call.one("Mul", {x, number(b)}, {}, false));
  WEFT_TRY(Value out, call.one("Softplus", {scaled}, {}, false));
  WEFT_TRY(out, call.one("Div", {out, number(b)}, {}, !cut));
  if (!cut) return Values{std::move(out)};
  WEFT_TRY(const Value above, call.one("Greater", {scaled, number(static_cast<float>(threshold))}, {}, false));
  return call.onnx("Where", {above, x, out});
}

Result<Values> log_sigmoid(AtenCall& call) {
  WEFT_TRY(Value x, data(call));
  WEFT_TRY(x, call.one("Neg", {x}, {}, false));
  WEFT_TRY(x, call.one("Softplus", {x}, {}, false));
  return call.onnx("Neg", {x});
}

Result<Values> threshold(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double bound, call.real("threshold"));
  WEFT_TRY(const double value, call.real("value"));
  if (value == 0.0) return call.onnx("ThresholdedRelu", {x}, {{"alpha", static_cast<float>(bound)}});
  WEFT_TRY(const Value above, call.one("Greater", {x, number(static_cast<float>(bound))}, {}, false));
  return call.onnx("Where", {above, x, number(static_cast<float>(value))});
}

/// In evaluation the slope is the middle of its range.
Result<Values> rrelu(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double lower, call.real("lower", 1.0 / 8.0));
  WEFT_TRY(const double upper, call.real("upper", 1.0 / 3.0));
  WEFT_TRY(const bool training, call.flag("training", false));
  if (training)
    return call.fail(Kind::AttributeUnsupported,
                     "the slope is random, as in training; call `.eval()` before the export");
  return call.onnx("LeakyRelu", {x}, {{"alpha", static_cast<float>((lower + upper) / 2.0)}});
}

/// Toward zero: floor of what is positive, ceil of what is negative.
Result<Value> truncated(const AtenCall& call, const Value& x, bool main) {
  WEFT_TRY(const Value positive, call.one("Relu", {x}, {}, false));
  WEFT_TRY(const Value negative, call.one("Clip", {x, Value(), number(0.0F)}, {}, false));
  WEFT_TRY(const Value low, call.one("Floor", {positive}, {}, false));
  WEFT_TRY(const Value high, call.one("Ceil", {negative}, {}, false));
  return call.one("Add", {low, high}, {}, main);
}
Result<Values> trunc(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(Value out, truncated(call, x, true));
  return Values{std::move(out)};
}
Result<Values> frac(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const Value whole, truncated(call, x, false));
  return call.onnx("Sub", {x, whole});
}

/// With a rounding mode, the divisor is a number.
Result<Values> div(AtenCall& call) {
  WEFT_TRY(const std::string mode, call.text("rounding_mode", ""));
  if (mode == "floor") return floor_divide(call);
  if (mode == "trunc") {
    WEFT_TRY(const Value x, data(call));
    WEFT_TRY(const double by, divisor(call));
    WEFT_TRY(const Value quotient, call.one("Div", {x, number(static_cast<float>(by))}, {}, false));
    WEFT_TRY(Value out, truncated(call, quotient, true));
    return Values{std::move(out)};
  }
  if (!mode.empty()) return call.fail(Kind::AttributeUnsupported, fmt::format("`rounding_mode` is `{}`", mode));
  WEFT_TRY(Value a, call.tensor("self"));
  WEFT_TRY(Value b, call.tensor("other"));
  WEFT_TRY(a, call.as_float(a));
  WEFT_TRY(b, call.as_float(b));
  return call.onnx("Div", {a, b});
}

Result<Values> shrink(AtenCall& call, bool soft) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const double bound, call.real("lambd", 0.5));
  const float lambda = static_cast<float>(bound);
  return call.onnx("Shrink", {x}, {{"bias", soft ? lambda : 0.0F}, {"lambd", lambda}});
}
Result<Values> softshrink(AtenCall& call) { return shrink(call, true); }
Result<Values> hardshrink(AtenCall& call) { return shrink(call, false); }

Result<Values> tanhshrink(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const Value t, call.one("Tanh", {x}, {}, false));
  return call.onnx("Sub", {x, t});
}

Result<Values> prelu(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const Value slope, call.tensor("weight"));
  if (!slope.constant || slope.constant->size() <= 1 || slope.constant->shape.size() != 1 || rank_of(x) < 2)
    return call.onnx("PRelu", {x, slope});
  // One slope per channel, which is axis 1.
  Shape shape(static_cast<std::size_t>(rank_of(x)) - 1, 1);
  shape.front() = static_cast<std::int64_t>(slope.constant->size());
  return call.onnx("PRelu", {x, onnx::with_shape(*slope.constant, shape)});
}

/// a sigmoid(b) with a and b the halves along an axis.
Result<Values> glu(AtenCall& call) {
  WEFT_TRY(const Value x, data(call));
  WEFT_TRY(const std::int64_t given, call.integer("dim", -1));
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
  const std::int64_t half = shape_of(x)[static_cast<std::size_t>(axis)] / 2;
  const auto part = [&](std::int64_t from) {
    return call.one("Slice",
                    {x, int_constant({from}), int_constant({from + half}), int_constant({axis}), int_constant({1})}, {},
                    false);
  };
  WEFT_TRY(const Value a, part(0));
  WEFT_TRY(Value b, part(half));
  WEFT_TRY(b, call.one("Sigmoid", {b}, {}, false));
  return call.onnx("Mul", {a, b});
}

Result<Values> round(AtenCall& call) {
  WEFT_TRY(const std::int64_t decimals, call.integer("decimals", 0));
  if (decimals != 0) return call.fail(Kind::AttributeUnsupported, fmt::format("`decimals` is {}", decimals));
  return unary<op::kRound>(call);
}

}  // namespace

AtenRows function_rows() {
  return {{"aten.abs", unary_any<op::kAbs>},
          {"aten.absolute", unary_any<op::kAbs>},
          {"aten.arccos", unary<op::kAcos>},
          {"aten.arccosh", unary<op::kAcosh>},
          {"aten.arcsin", unary<op::kAsin>},
          {"aten.arcsinh", unary<op::kAsinh>},
          {"aten.arctan", unary<op::kAtan>},
          {"aten.arctanh", unary<op::kAtanh>},
          {"aten.deg2rad", angle<true>},
          {"aten.div", div, "with a rounding mode by one number"},
          {"aten.divide", div, "with a rounding mode by one number"},
          {"aten.erfc", function<family::kErfc>},
          {"aten.exp2", function<family::kPower>},
          {"aten.expm1", function<family::kExpm1>},
          {"aten.floor_divide", floor_divide, "by one number"},
          {"aten.fmod", fmod, "by one number"},
          {"aten.isfinite", is_finite<true>},
          {"aten.isinf", is_finite<false>},
          {"aten.isnan", is_finite<false>},
          {"aten.log10", function<family::kLog10>},
          {"aten.log1p", function<family::kLog1p>},
          {"aten.log2", function<family::kLog2>},
          {"aten.logit", logit},
          {"aten.nan_to_num", nan_to_num},
          {"aten.negative", unary_any<op::kNeg>},
          {"aten.rad2deg", angle<false>},
          {"aten.remainder", remainder, "by one number"},
          {"aten.sgn", unary<op::kSign>},
          {"aten.special_erfc", function<family::kErfc>},
          {"aten.special_exp2", function<family::kPower>},
          {"aten.special_expit", unary<op::kSigmoid>},
          {"aten.special_expm1", function<family::kExpm1>},
          {"aten.special_log1p", function<family::kLog1p>},
          {"aten.special_logit", logit},
          {"aten.true_divide", div},
          {"aten.acos", unary<op::kAcos>},
          {"aten.acosh", unary<op::kAcosh>},
          {"aten.asin", unary<op::kAsin>},
          {"aten.asinh", unary<op::kAsinh>},
          {"aten.atan", unary<op::kAtan>},
          {"aten.atanh", unary<op::kAtanh>},
          {"aten.ceil", unary<op::kCeil>},
          {"aten.celu", celu},
          {"aten.cos", unary<op::kCos>},
          {"aten.cosh", unary<op::kCosh>},
          {"aten.elu", elu},
          {"aten.erf", unary<op::kErf>},
          {"aten.exp", unary<op::kExp>},
          {"aten.fix", trunc},
          {"aten.floor", unary<op::kFloor>},
          {"aten.frac", frac},
          {"aten.gelu", gelu},
          {"aten.glu", glu},
          {"aten.hardshrink", hardshrink},
          {"aten.hardsigmoid", hardsigmoid},
          {"aten.hardswish", hardswish},
          {"aten.hardtanh", hardtanh},
          {"aten.leaky_relu", leaky_relu},
          {"aten.log", unary<op::kLog>},
          {"aten.log_sigmoid", log_sigmoid},
          {"aten.log_sigmoid_forward", log_sigmoid},
          {"aten.mish", unary<op::kMish>},
          {"aten.neg", unary_any<op::kNeg>},
          {"aten.prelu", prelu, "one slope, or one per channel"},
          {"aten.reciprocal", unary<op::kReciprocal>},
          {"aten.relu", unary<op::kRelu>},
          {"aten.relu6", relu6},
          {"aten.round", round, "to integers"},
          {"aten.rrelu", rrelu, "in evaluation"},
          {"aten.rsqrt", rsqrt},
          {"aten.selu", selu},
          {"aten.sigmoid", unary<op::kSigmoid>},
          {"aten.sign", unary<op::kSign>},
          {"aten.silu", unary<op::kSwish>},
          {"aten.sin", unary<op::kSin>},
          {"aten.sinh", unary<op::kSinh>},
          {"aten.softplus", softplus},
          {"aten.softshrink", softshrink},
          {"aten.softsign", unary<op::kSoftsign>},
          {"aten.sqrt", unary<op::kSqrt>},
          {"aten.tan", unary<op::kTan>},
          {"aten.tanh", unary<op::kTanh>},
          {"aten.tanhshrink", tanhshrink},
          {"aten.threshold", threshold},
          {"aten.trunc", trunc}};
}

}  // namespace weft::formats::torch
