// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear, Clip of its integers, DequantizeLinear: constants give codes and scales; on data the group becomes
// one quantizer where its steps can be written as one.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

struct Parameters {
  ConstantPtr scale;
  ConstantPtr zero;  ///< of the scale's size
  Element element = Element::Uint8;
  std::int64_t axis = 1;
};

Result<Parameters> read_parameters(const Call& call, Element fallback) {
  Parameters out;
  WEFT_TRY(out.scale, call.constant(1, "the scale"));
  WEFT_TRY(out.axis, call.get_int("axis", 1));
  WEFT_TRY(const std::int64_t block, call.get_int("block_size", 0));
  if (block != 0) return call.fail(Kind::AttributeUnsupported, "scales per block are not supported");
  if (!out.scale->floating() || out.scale->shape.size() > 1 || out.scale->size() == 0)
    return call.fail(Kind::ShapeMismatch, "the scale must be one number or a vector");
  for (const float s : out.scale->floats) {
    if (!std::isfinite(s) || s <= 0)
      return call.fail(Kind::QuantizerUnsupported, fmt::format("a scale is {}; scales must be finite and positive", s));
  }
  out.element = fallback;
  if (call.has_input(2)) {
    WEFT_TRY(out.zero, call.constant(2, "the zero point"));
    out.element = out.zero->element;
    if (out.zero->floating() || out.zero->size() != out.scale->size())
      return call.fail(Kind::ShapeMismatch, "scale and zero point must be integers of the scale's size");
    return out;
  }
  WEFT_TRY(const std::int64_t stated, call.get_int("output_dtype", 0));
  if (stated != 0 && stated != 1) {
    const auto element =
        stated > 0 && stated < 1000 ? element_from_number(static_cast<std::int32_t>(stated)) : std::nullopt;
    if (!element || is_floating(*element))
      return call.fail(Kind::AttributeUnsupported, fmt::format("`output_dtype` is {}", stated));
    out.element = *element;
  }
  Constant zeros = *out.scale;
  zeros.floats.clear();
  zeros.codes.clear();
  zeros.scales.clear();
  zeros.element = out.element;
  zeros.ints.assign(out.scale->size(), 0);
  out.zero = std::make_shared<const Constant>(std::move(zeros));
  return out;
}

/// Index into scale and zero point of every element of a constant.
Result<std::vector<std::size_t>> spread(const Call& call, const Parameters& p, const Shape& shape) {
  WEFT_TRY_VOID(call.spend_elements(shape));
  std::vector<std::size_t> out(static_cast<std::size_t>(element_count(shape)), 0);
  if (p.scale->size() == 1) return out;
  WEFT_TRY(const std::int64_t axis, call.axis(p.axis, static_cast<std::int64_t>(shape.size())));
  const std::size_t channels = p.scale->size();
  if (static_cast<std::int64_t>(channels) != shape[static_cast<std::size_t>(axis)])
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("{} scales along axis {} of {}", channels, axis, to_string(shape)));
  const auto inner = static_cast<std::size_t>(element_count(Shape(shape.begin() + axis + 1, shape.end())));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = i / inner % channels;
  return out;
}

Result<Values> quantize_constant(const Call& call, const Constant& x, const Parameters& p) {
  if (!x.floating()) return call.fail(Kind::AttributeUnsupported, "quantizing integers is not supported");
  WEFT_TRY_VOID(call.require_finite(x.floats, "the quantized tensor"));
  WEFT_TRY(const auto at, spread(call, p, x.shape));
  const auto limits = integer_limits(p.element);
  Constant out;
  out.shape = x.shape;
  out.element = p.element;
  out.ints.reserve(at.size());
  for (std::size_t i = 0; i < at.size(); ++i) {
    // Clamped in double first: float32 quotients may be far outside of int64.
    const double rounded = static_cast<double>(std::nearbyintf(x.floats[i] / p.scale->floats[at[i]]));
    const double code = std::clamp(rounded, -0x1p62, 0x1p62);
    const std::int64_t zero = std::clamp<std::int64_t>(p.zero->ints[at[i]], -(1LL << 40), 1LL << 40);
    out.ints.push_back(std::clamp(static_cast<std::int64_t>(code) + zero, limits.lo, limits.hi));
  }
  return Values{std::move(out)};
}

Result<Values> dequantize_constant(const Call& call, const Constant& q, const Parameters& p) {
  if (q.floating()) return call.fail(Kind::ModelMalformed, "the quantized tensor holds no integers");
  WEFT_TRY(const auto at, spread(call, p, q.shape));
  Constant out;
  out.shape = q.shape;
  bool exact = true;
  for (std::size_t i = 0; i < at.size(); ++i) {
    std::int64_t code = 0;
    if (__builtin_sub_overflow(q.ints[i], p.zero->ints[at[i]], &code))
      return call.fail(Kind::ModelMalformed, "an integer minus its zero point overflows");
    const float s = p.scale->floats[at[i]];
    out.floats.push_back(static_cast<float>(code) * s);
    out.codes.push_back(code);
    out.scales.push_back(s);
    exact = exact && code <= (1 << 24) && code >= -(1 << 24);
  }
  if (!exact) {
    out.codes.clear();
    out.scales.clear();
  }
  return Values{std::move(out)};
}

/// The widths and flags of a Quant that has exactly the integers lo to hi; nullopt when there is none.
struct Form {
  int bits = 0;
  bool is_signed = false;
  bool narrow = false;
};
std::optional<Form> form_of(std::int64_t lo, std::int64_t hi) {
  for (int bits = 1; bits <= 33; ++bits) {
    const std::int64_t full = std::int64_t{1} << bits;
    for (const bool narrow : {false, true}) {
      const std::int64_t less = narrow ? 1 : 0;
      if (lo == 0 && hi == full - 1 - less) return Form{bits, false, narrow};
      // One signed bit means -1 and 1 there.
      if (bits > 1 && lo == -full / 2 + less && hi == full / 2 - 1) return Form{bits, true, narrow};
    }
  }
  return std::nullopt;
}

std::vector<double> as_doubles(const Constant& c) {
  std::vector<double> out(c.floats.begin(), c.floats.end());
  out.insert(out.end(), c.ints.begin(), c.ints.end());
  return out;
}

Result<Values> quantizer_layers(const Call& call, const Dynamic& x, const PendingQuantizer& q,
                                const std::string& own = "") {
  Call::LastAxis view{x, x.tensor, call.builder.graph.at(x.tensor).shape};
  if (q.scale->size() != 1) {
    WEFT_TRY(const std::int64_t axis, call.axis(q.axis, x.rank()));
    if (x.shape[static_cast<std::size_t>(axis)] != static_cast<std::int64_t>(q.scale->size()))
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("{} scales along axis {} of {}", q.scale->size(), axis, to_string(x.shape)));
    WEFT_TRY(view, call.with_last_axis(x, axis, "the quantizer"));
  }
  const auto layer = [&](nn::TensorId in, quantizers::Spec spec, const std::string& suffix) {
    return call.add({.op = "Activation",
                     .inputs = {in},
                     .functions = {{"activation", std::move(spec)}},
                     .shape = view.shape,
                     .suffix = suffix},
                    suffix.empty());
  };
  const auto quant = [&](const std::vector<double>& zeros, const Form& form) {
    return quantizers::Spec{"qonnx_quant",
                            {{"scale", as_doubles(*q.scale)},
                             {"zero_point", zeros},
                             {"bits", static_cast<double>(form.bits)},
                             {"signed", form.is_signed},
                             {"narrow", form.narrow},
                             {"rounding", std::string("ROUND")}}};
  };
  // QuantizeLinear rounds before it adds the zero point, Quant after: ties differ when the zero point is odd.
  const bool even = std::all_of(q.zero->ints.begin(), q.zero->ints.end(), [](auto z) { return z % 2 == 0; });
  const auto form = form_of(q.lo, q.hi);
  if (even && form) {
    WEFT_TRY(const nn::TensorId out, layer(view.tensor, quant(as_doubles(*q.zero), *form), own));
    return Values{Call::retarget(view.x, out)};
  }
  // Otherwise the numbers are rounded on a wider range around zero and clipped to what the integers stand for.
  if (q.scale->size() != 1) {
    return call.fail(Kind::QuantizerUnsupported,
                     "per channel, zero points must be even and the range of integers that of a bit width");
  }
  const std::int64_t zero = q.zero->ints.front();
  const std::int64_t lo = q.lo - zero;
  const std::int64_t hi = q.hi - zero;
  int bits = 2;
  while ((std::int64_t{1} << (bits - 1)) - 1 < std::max(-lo, hi) && bits < 40) ++bits;
  const float s = q.scale->floats.front();
  WEFT_TRY(const nn::TensorId rounded,
           layer(view.tensor, quant({0.0}, Form{.bits = bits, .is_signed = true, .narrow = false}), own + "_rounded"));
  WEFT_TRY(const nn::TensorId out, layer(rounded,
                                         {"clip",
                                          {{"min", static_cast<double>(static_cast<float>(lo) * s)},
                                           {"max", static_cast<double>(static_cast<float>(hi) * s)}}},
                                         own));
  return Values{Call::retarget(view.x, out)};
}

}  // namespace

Result<Dynamic> settled(const Call& call, Dynamic x) {
  if (!x.pending || x.pending->settled) return x;
  PendingQuantizer q = *x.pending;
  x.pending.reset();
  WEFT_TRY(Values out, quantizer_layers(call, x, q, "_quantized"));
  Dynamic y = *out.front().dynamic;
  q.settled = true;
  y.pending = std::make_shared<const PendingQuantizer>(std::move(q));
  return y;
}

Result<Dynamic> as_integers(const Call& call, Dynamic x) {
  if (!x.pending) return x;
  PendingQuantizer q = *x.pending;
  x.pending.reset();
  if (q.scale->size() != 1)
    return call.fail(Kind::QuantizerUnsupported, "integers with one scale per channel are used as numbers");
  const auto step = [&](const std::string& op, float value, const std::string& suffix) {
    Constant c;
    c.floats = {value};
    return call.add({.op = op,
                     .attributes = {{"constant_first", false}},
                     .inputs = {x.tensor},
                     .parameters = {{"constant", to_parameter(c)}},
                     .shape = call.builder.graph.at(x.tensor).shape,
                     .suffix = suffix},
                    false);
  };
  if (q.scale->floats.front() != 1.0F) {
    WEFT_TRY(x.tensor, step("Div", q.scale->floats.front(), "_scaled"));
  }
  Constant one;
  one.shape = q.scale->shape;
  one.floats = {1.0F};
  q.scale = std::make_shared<const Constant>(std::move(one));
  WEFT_TRY(const Values rounded, quantizer_layers(call, x, q, "_integers"));
  x = *rounded.front().dynamic;
  if (q.zero->ints.front() != 0) {
    WEFT_TRY(x.tensor, step("Add", static_cast<float>(q.zero->ints.front()), "_from_zero"));
  }
  return x;
}

Result<Values> quantize_linear(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const Parameters p, read_parameters(call, Element::Uint8));
  if (is_floating(p.element) || p.element == Element::Bool)
    return call.fail(Kind::AttributeUnsupported, "quantizing to other than integers is not supported");
  if (call.inputs[0].constant) return quantize_constant(call, *call.inputs[0].constant, p);
  WEFT_TRY(Dynamic x, call.dynamic_float(0));
  const auto limits = integer_limits(p.element);
  if (limits.hi > (std::int64_t{1} << 32) || limits.lo < -(std::int64_t{1} << 32))
    return call.fail(Kind::AttributeUnsupported, "quantizing data to 64 bits is not supported");
  x.pending = std::make_shared<const PendingQuantizer>(
      PendingQuantizer{.scale = p.scale, .zero = p.zero, .axis = p.axis, .lo = limits.lo, .hi = limits.hi});
  x.element = p.element;
  return Values{std::move(x)};
}

Result<Values> dequantize_linear(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  const Element given = call.inputs[0].constant ? call.inputs[0].constant->element : call.inputs[0].dynamic->element;
  WEFT_TRY(const Parameters p, read_parameters(call, given));
  if (call.inputs[0].constant) return dequantize_constant(call, *call.inputs[0].constant, p);
  Dynamic x = *call.inputs[0].dynamic;
  if (is_floating(x.element)) return call.fail(Kind::ModelMalformed, "the data holds no integers");
  x.element = Element::Float32;
  if (x.pending) {
    const auto q = x.pending;
    x.pending.reset();
    const bool same_axis = p.axis == q->axis || q->scale->size() == 1;
    if (p.scale->floats != q->scale->floats || p.zero->ints != q->zero->ints || !same_axis) {
      return call.fail(Kind::QuantizerUnsupported,
                       "scale or zero point differ from those of the QuantizeLinear in front");
    }
    if (q->settled) {
      Call named = call;
      named.inputs[0] = Value(x);
      return identity(named);
    }
    return quantizer_layers(call, x, *q);
  }
  // Integers of the network's input: (x - zero point) * scale, each step in float32 as the layers compute it.
  if (p.scale->size() != 1) {
    WEFT_TRY(const std::int64_t axis, call.axis(p.axis, x.rank()));
    Shape shape(static_cast<std::size_t>(x.rank() - axis), 1);
    shape.front() = static_cast<std::int64_t>(p.scale->size());
    Constant zeros;
    zeros.shape = shape;
    zeros.floats = as_floats(*p.zero);
    Call inner = call;
    inner.inputs = {Value(x), Value(std::move(zeros))};
    inner.layer_name = call.builder.unique_name(call.layer_name + "_shifted");
    WEFT_TRY(Values shifted, sub(inner));
    Call outer = call;
    outer.inputs = {shifted.front(), Value(with_shape(*p.scale, shape))};
    return mul(outer);
  }
  const auto step = [&](const std::string& op, float value, const std::string& suffix) {
    Constant c;
    c.floats = {value};
    return call.add({.op = op,
                     .attributes = {{"constant_first", false}},
                     .inputs = {x.tensor},
                     .parameters = {{"constant", to_parameter(c)}},
                     .shape = call.builder.graph.at(x.tensor).shape,
                     .suffix = suffix},
                    suffix.empty());
  };
  if (p.zero->ints.front() != 0) {
    WEFT_TRY(x.tensor, step("Sub", static_cast<float>(p.zero->ints.front()), "_shifted"));
  }
  WEFT_TRY(x.tensor, step("Mul", p.scale->floats.front(), ""));
  return Values{std::move(x)};
}

Result<Values> clip_integers(Call& call) {
  std::int64_t bounds[2] = {0, 0};
  bool given[2] = {false, false};
  for (std::size_t i = 0; i < 2; ++i) {
    if (!call.has_input(i + 1)) continue;
    WEFT_TRY(const ConstantPtr bound, call.constant(i + 1, "a bound"));
    if (bound->floating() || bound->size() != 1)
      return call.fail(Kind::ShapeMismatch, "a bound of integers is no single integer");
    bounds[i] = bound->ints.front();
    given[i] = true;
  }
  const auto clipped = [&](std::int64_t v) {
    if (given[0]) v = std::max(v, bounds[0]);
    return given[1] ? std::min(v, bounds[1]) : v;
  };
  if (call.inputs[0].constant) {
    WEFT_TRY_VOID(call.spend_elements(call.inputs[0].constant->shape));
    Constant out = *call.inputs[0].constant;
    for (auto& value : out.ints) value = clipped(value);
    return Values{std::move(out)};
  }
  Dynamic x = *call.inputs[0].dynamic;
  PendingQuantizer q = *x.pending;
  if (q.settled) return call.fail(Kind::QuantizerUnsupported, "integers are clipped behind another operator");
  q.lo = clipped(q.lo);
  q.hi = clipped(q.hi);
  if (q.lo >= q.hi) return call.fail(Kind::QuantizerUnsupported, "the bounds leave at most one integer");
  x.pending = std::make_shared<const PendingQuantizer>(std::move(q));
  return Values{std::move(x)};
}

}  // namespace weft::formats::onnx::ops
