// SPDX-License-Identifier: Apache-2.0
// Elementwise operators. On constants they are computed here, in float32 or checked int64, one operator at a time as
// the runtime would; functions are evaluated in double and rounded once.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

enum class Binary { Add, Sub, Mul, Div, Pow };

float apply(Binary op, float a, float b) {
  switch (op) {
    case Binary::Add:
      return a + b;
    case Binary::Sub:
      return a - b;
    case Binary::Mul:
      return a * b;
    case Binary::Div:
      return a / b;
    case Binary::Pow:
      return static_cast<float>(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  return 0;
}

/// nullopt on overflow of int64 and on division by zero.
std::optional<std::int64_t> apply(Binary op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  switch (op) {
    case Binary::Add:
      return __builtin_add_overflow(a, b, &out) ? std::nullopt : std::optional(out);
    case Binary::Sub:
      return __builtin_sub_overflow(a, b, &out) ? std::nullopt : std::optional(out);
    case Binary::Mul:
      return __builtin_mul_overflow(a, b, &out) ? std::nullopt : std::optional(out);
    case Binary::Div:
      if (b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min())) return std::nullopt;
      return a / b;
    case Binary::Pow: {
      if (b < 0 || b > 64) return std::nullopt;
      out = 1;
      for (std::int64_t n = 0; n < b; ++n) {
        if (__builtin_mul_overflow(out, a, &out)) return std::nullopt;
      }
      return out;
    }
  }
  return std::nullopt;
}

Result<Constant> fold_binary(const Call& call, Binary op, const Constant& a, const Constant& b) {
  const auto to = tensor::broadcast(a.shape, b.shape);
  if (!to.ok) {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("shapes {} and {} do not broadcast", to_string(a.shape), to_string(b.shape)));
  }
  if (a.floating() != b.floating() || (a.element != b.element && op != Binary::Pow)) {
    return call.fail(Kind::ModelMalformed,
                     fmt::format("operands are of {} and {}", element_name(static_cast<std::int32_t>(a.element)),
                                 element_name(static_cast<std::int32_t>(b.element))));
  }
  WEFT_TRY_VOID(call.spend_elements(to.shape));
  Constant out;
  out.shape = to.shape;
  out.element = a.element;
  const auto left = broadcast_indices(a.shape, out.shape);
  const auto right = broadcast_indices(b.shape, out.shape);
  const auto limits = integer_limits(a.element);
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto ia = left[i];
    const auto ib = right[i];
    if (a.floating()) {
      out.floats.push_back(apply(op, a.floats[ia], b.floats[ib]));
      continue;
    }
    const auto value = apply(op, a.ints[ia], b.ints[ib]);
    if (!value || *value < limits.lo || *value > limits.hi) {
      return call.fail(Kind::ModelMalformed,
                       fmt::format("{} and {} overflow {} or divide by zero", a.ints[ia], b.ints[ib],
                                   element_name(static_cast<std::int32_t>(a.element))));
    }
    out.ints.push_back(*value);
  }
  return out;
}

/// Before opset 7 the second operand stretches only when `broadcast` is set, and `axis` says where its first axis lies.
Result<Value> legacy_operand(const Call& call, std::size_t rank, const Shape& first) {
  const Value& second = call.inputs[1];
  WEFT_TRY(const std::int64_t broadcast, call.get_int("broadcast", 0));
  if (call.opset >= 7 || !second.constant) return second;
  const auto& c = *second.constant;
  if (broadcast == 0) {
    if (c.shape != first) {
      return call.fail(Kind::ShapeMismatch, fmt::format("shapes {} and {} differ and `broadcast` is not set",
                                                        to_string(first), to_string(c.shape)));
    }
    return second;
  }
  if (!call.has_attribute("axis")) return second;
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(rank)));
  Shape shape = c.shape;
  if (shape.size() + static_cast<std::size_t>(axis) > rank) {
    return call.fail(Kind::ShapeMismatch, fmt::format("shape {} does not fit at axis {}", to_string(c.shape), axis));
  }
  shape.resize(rank - static_cast<std::size_t>(axis), 1);
  return Value(with_shape(c, shape));
}

const Shape& shape_of(const Value& value) { return value.constant ? value.constant->shape : value.dynamic->shape; }

/// Data in float32, or integers so wide that sums and products of the codes that a network has do not wrap around.
Result<Dynamic> operand_data(const Call& call, Binary op, std::size_t i) {
  WEFT_TRY(const Dynamic x, call.data(i));
  const bool wide = x.element == Element::Int32 || x.element == Element::Int64 || x.element == Element::Uint32 ||
                    x.element == Element::Uint64;
  if (wide && (op == Binary::Add || op == Binary::Sub || op == Binary::Mul)) return x;
  return call.dynamic_float(i);
}

/// Whether a constant operand varies along other axes than one that can be the layer's last, or stretches the data.
bool needs_a_layer(const Constant& c, const Dynamic& x) {
  if (c.size() <= 1 || !c.floating()) return false;
  const std::size_t rank = std::max(c.shape.size(), x.shape.size());
  const auto extent = [&](const Shape& shape, std::size_t d) {
    const std::size_t missing = rank - shape.size();
    return d < missing ? 1 : shape[d - missing];
  };
  std::size_t varying = 0;
  std::size_t where = 0;
  const auto batch = x.batch_axis < 0 ? rank : static_cast<std::size_t>(x.batch_axis) + rank - x.shape.size();
  for (std::size_t d = 0; d < rank; ++d) {
    if (extent(c.shape, d) == 1) continue;
    if (extent(x.shape, d) != extent(c.shape, d)) return d != batch && extent(x.shape, d) == 1;
    if (d == batch) continue;
    ++varying;
    where = d;
  }
  if (varying <= 1) {
    // The channels and the last axis can be last in the layer graph, with axes of extent one behind them.
    bool tail = true;
    for (std::size_t d = where + 1; d < rank; ++d) tail = tail && (d == batch || extent(x.shape, d) == 1);
    return varying == 1 && !tail && !(x.has_channels() && rank == x.shape.size() && where == 1);
  }
  return true;
}

/// The constant becomes a layer of its own.
Result<Values> with_constant_layer(const Call& call, Binary op, const std::string& name) {
  if (op == Binary::Pow) return call.fail(Kind::LayerUnsupported, "an exponent that varies along several axes");
  WEFT_TRY(Group g, group(call, 0, true));
  WEFT_TRY(g.out.tensor, onnx::layer(call, name, {g.parts[0].tensor, g.parts[1].tensor}, g.out.sample_shape(), {}, ""));
  return Values{std::move(g.out)};
}

Result<Values> binary(Call& call, Binary op, const std::string& layer) {
  if (!call.has_input(0) || !call.has_input(1)) return call.fail(Kind::ModelMalformed, "an operand is missing");
  WEFT_TRY(Value second, legacy_operand(call, shape_of(call.inputs[0]).size(), shape_of(call.inputs[0])));
  call.inputs[1] = std::move(second);
  // Pow is the one operator whose operands may differ in type.
  if (op == Binary::Pow && call.inputs[1].constant && !call.inputs[1].constant->floating() &&
      (call.inputs[0].dynamic || call.inputs[0].constant->floating())) {
    Constant exponent;
    exponent.shape = call.inputs[1].constant->shape;
    exponent.floats = as_floats(*call.inputs[1].constant);
    call.inputs[1] = Value(std::move(exponent));
  }
  if (call.all_constant()) {
    WEFT_TRY(Constant folded, fold_binary(call, op, *call.inputs[0].constant, *call.inputs[1].constant));
    return Values{std::move(folded)};
  }
  if (call.inputs[0].dynamic && call.inputs[1].dynamic) {
    WEFT_TRY(Dynamic a, operand_data(call, op, 0));
    WEFT_TRY(Dynamic b, operand_data(call, op, 1));
    const auto to = tensor::broadcast(a.shape, b.shape);
    // Without a batch, shapes of any ranks meet as the layers' do.
    const bool alone = a.batch_axis < 0 && b.batch_axis < 0;
    const auto batch = static_cast<std::size_t>(a.batch_axis);
    if (!to.ok ||
        (!alone && (a.rank() != b.rank() || a.batch_axis != b.batch_axis || a.shape[batch] != b.shape[batch]))) {
      return call.fail(
          Kind::LayerUnsupported,
          fmt::format("data tensors of shapes {} and {}; shapes of equal rank that broadcast are supported",
                      to_string(a.shape), to_string(b.shape)));
    }
    if (a.channels_last || b.channels_last) {
      WEFT_TRY(a, call.in_channels_last(a));
      WEFT_TRY(b, call.in_channels_last(b));
    }
    WEFT_TRY(const nn::TensorId left, call.with_all_axes(a));
    WEFT_TRY(const nn::TensorId right, call.with_all_axes(b));
    a.shape = to.shape;
    WEFT_TRY(const nn::TensorId out, call.add({.op = layer, .inputs = {left, right}, .shape = a.layer_shape()}));
    return Values{Call::retarget(a, out)};
  }
  const bool constant_first = call.inputs[1].dynamic.has_value();
  const std::size_t at = constant_first ? 1 : 0;
  if (constant_first && op == Binary::Pow &&
      (call.inputs[0].constant->size() != 1 || !(as_floats(*call.inputs[0].constant).front() > 0.0F)))
    return call.fail(Kind::LayerUnsupported,
                     "the base of a power that depends on the input must be one positive number");
  WEFT_TRY(Dynamic x, operand_data(call, op, at));
  if (x.element != Element::Float32 && x.element == call.inputs[1 - at].constant->element) {
    Constant numbers;
    numbers.shape = call.inputs[1 - at].constant->shape;
    numbers.floats = as_floats(*call.inputs[1 - at].constant);
    call.inputs[1 - at] = Value(std::move(numbers));
  }
  const Constant& c = *call.inputs[1 - at].constant;
  if (needs_a_layer(c, x)) return with_constant_layer(call, op, layer);
  // More axes than the data: ones in front of it.
  if (x.shape.size() < c.shape.size()) {
    WEFT_TRY(x, call.in_onnx_order(x));
  }
  while (x.shape.size() < c.shape.size() && c.shape[c.shape.size() - x.shape.size() - 1] == 1) {
    x.shape.insert(x.shape.begin(), 1);
    if (x.batch_axis >= 0) ++x.batch_axis;
  }
  WEFT_TRY(x, call.laid_out_for(c, x));
  WEFT_TRY(nn::Parameter parameter, call.operand(c, x));
  const Shape shape = call.builder.graph.at(x.tensor).shape;
  WEFT_TRY(const nn::TensorId out, call.add({.op = layer,
                                             .attributes = {{"constant_first", constant_first}},
                                             .inputs = {x.tensor},
                                             .parameters = {{"constant", std::move(parameter)}},
                                             .shape = shape}));
  return Values{Call::retarget(x, out)};
}

}  // namespace

Result<Values> add(Call& call) { return binary(call, Binary::Add, "Add"); }
Result<Values> sub(Call& call) { return binary(call, Binary::Sub, "Sub"); }
Result<Values> mul(Call& call) { return binary(call, Binary::Mul, "Mul"); }
Result<Values> div(Call& call) { return binary(call, Binary::Div, "Div"); }
Result<Values> pow(Call& call) { return binary(call, Binary::Pow, "Pow"); }

}  // namespace weft::formats::onnx::ops
