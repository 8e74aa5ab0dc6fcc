// SPDX-License-Identifier: Apache-2.0
// Sums, products and their kin. PyTorch computes mixed operands in float32.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

bool is_float(const Value& value) { return onnx::is_floating(element_of(value)); }

/// Both operands as float32, unless both are integer constants (shape arithmetic on tensors).
Result<std::pair<Value, Value>> operands(AtenCall& call, const std::string& first, const std::string& second) {
  WEFT_TRY(Value a, call.tensor(first));
  WEFT_TRY(Value b, call.tensor(second));
  // A number meets integers.
  const auto narrow = [](Value& value, const Value& other) {
    if (!value.constant || !value.constant->floating() || !value.constant->shape.empty() || is_float(other)) return;
    const float v = value.constant->floats.front();
    if (v != std::floor(v) || std::fabs(v) > 0x1p24F) return;
    Constant whole;
    whole.element = element_of(other);
    whole.ints = {static_cast<std::int64_t>(v)};
    value = Value(std::move(whole));
  };
  if (a.constant && b.constant) {
    narrow(a, b);
    narrow(b, a);
    if (!is_float(a) && !is_float(b)) return std::pair{a, b};
  }
  WEFT_TRY(a, call.as_float(a));
  WEFT_TRY(b, call.as_float(b));
  // Data of fewer axes gets the missing ones in front, as broadcasting has it; the batch moves with them.
  for (const auto& [value, other] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
    if (!value->dynamic || !other->dynamic || rank_of(*value) >= rank_of(*other)) continue;
    std::vector<std::int64_t> front(static_cast<std::size_t>(rank_of(*other) - rank_of(*value)));
    std::iota(front.begin(), front.end(), std::int64_t{0});
    WEFT_TRY(*value, call.one("Unsqueeze", {*value, int_constant(front)}, {}, false));
  }
  return std::pair{a, b};
}

/// a op alpha b.
Result<Values> sum(AtenCall& call, const std::string& op, const std::string& first, const std::string& second) {
  WEFT_TRY(auto both, operands(call, first, second));
  WEFT_TRY(const double alpha, call.real("alpha", 1.0));
  if (alpha != 1.0) {
    if (!is_float(both.second))
      return call.fail(Kind::AttributeUnsupported, fmt::format("`alpha` is {} for integers", alpha));
    WEFT_TRY(both.second, call.one("Mul", {both.second, number(static_cast<float>(alpha))}, {}, false));
  }
  return call.onnx(op, {both.first, both.second});
}

Result<Values> add(AtenCall& call) { return sum(call, "Add", "self", "other"); }
Result<Values> sub(AtenCall& call) { return sum(call, "Sub", "self", "other"); }
Result<Values> rsub(AtenCall& call) {
  // other - alpha self.
  return sum(call, "Sub", "other", "self");
}

Result<Values> mul(AtenCall& call) {
  WEFT_TRY(auto both, operands(call, "self", "other"));
  return call.onnx("Mul", {both.first, both.second});
}

Result<Values> pow(AtenCall& call) {
  WEFT_TRY(Value base, call.tensor("self"));
  WEFT_TRY(Value exponent, call.tensor("exponent"));
  WEFT_TRY(base, call.as_float(base));
  WEFT_TRY(exponent, call.as_float(exponent));
  // PyTorch multiplies for the square.
  const bool square =
      base.dynamic && exponent.constant && exponent.constant->size() == 1 && exponent.constant->floats.front() == 2.0F;
  if (square) return call.onnx("Mul", {base, base});
  return call.onnx("Pow", {base, exponent});
}

Result<Values> square(AtenCall& call) {
  WEFT_TRY(Value x, call.tensor("self"));
  WEFT_TRY(x, call.as_float(x));
  return call.onnx("Mul", {x, x});
}

/// self + value tensor1 op tensor2.
Result<Values> add_product(AtenCall& call, const std::string& op) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const Value a, call.tensor("tensor1"));
  WEFT_TRY(const Value b, call.tensor("tensor2"));
  WEFT_TRY(const double value, call.real("value", 1.0));
  WEFT_TRY(Value product, call.one(op, {a, b}, {}, false));
  if (value != 1.0) {
    WEFT_TRY(product, call.one("Mul", {product, number(static_cast<float>(value))}, {}, false));
  }
  return call.onnx("Add", {x, product});
}
Result<Values> addcmul(AtenCall& call) { return add_product(call, "Mul"); }
Result<Values> addcdiv(AtenCall& call) { return add_product(call, "Div"); }

Result<Values> extreme(AtenCall& call, const std::string& op) {
  WEFT_TRY(auto both, operands(call, "self", "other"));
  return call.onnx(op, {both.first, both.second});
}
Result<Values> maximum(AtenCall& call) { return extreme(call, "Max"); }
Result<Values> minimum(AtenCall& call) { return extreme(call, "Min"); }

/// self + weight (end - self).
Result<Values> lerp(AtenCall& call) {
  WEFT_TRY(const Value from, call.tensor("self"));
  WEFT_TRY(const Value to, call.tensor("end"));
  WEFT_TRY(const Value weight, call.tensor("weight"));
  WEFT_TRY(const Value way, call.one("Sub", {to, from}, {}, false));
  WEFT_TRY(const Value part, call.one("Mul", {way, weight}, {}, false));
  return call.onnx("Add", {from, part});
}

/// max and min of two tensors share their name with reductions.
Result<Values> clamp(AtenCall& call) {
  WEFT_TRY(Value x, call.tensor("self"));
  WEFT_TRY(Value lo, call.optional_tensor("min"));
  WEFT_TRY(Value hi, call.optional_tensor("max"));
  if (x.constant && !x.constant->floating()) {
    // Positions, as padding is written after decomposition.
    WEFT_TRY(const std::int64_t least, call.integer("min", std::numeric_limits<std::int64_t>::min()));
    WEFT_TRY(const std::int64_t most, call.integer("max", std::numeric_limits<std::int64_t>::max()));
    Constant out = onnx::with_shape(*x.constant, x.constant->shape);
    for (auto& v : out.ints) v = std::min(most, std::max(least, v));
    return Values{std::move(out)};
  }
  WEFT_TRY(x, call.as_float(x));
  const auto single = [](const Value& v) { return !v.present() || (v.constant && v.constant->size() == 1); };
  if (single(lo) && single(hi)) {
    if (lo.present()) {
      WEFT_TRY(lo, call.as_float(lo));
    }
    if (hi.present()) {
      WEFT_TRY(hi, call.as_float(hi));
    }
    const auto as_scalar = [](Value& v) {
      if (v.present()) v = Value(number(v.constant->floats.front()));
    };
    as_scalar(lo);
    as_scalar(hi);
    return call.onnx("Clip", {x, lo, hi});
  }
  // The upper bound wins where they cross.
  if (lo.present()) {
    WEFT_TRY(x, call.one("Max", {x, lo}, {}, !hi.present()));
  }
  if (!hi.present()) return Values{x};
  return call.onnx("Min", {x, hi});
}

Result<Values> where(AtenCall& call) {
  WEFT_TRY(const Value condition, call.tensor("condition"));
  WEFT_TRY(const Value a, call.tensor("self"));
  WEFT_TRY(const Value b, call.tensor("other"));
  if (condition.constant && condition.constant->size() > 0 && !condition.constant->floating()) {
    const auto& ints = condition.constant->ints;
    const bool uniform = std::all_of(ints.begin(), ints.end(), [&](auto v) { return (v != 0) == (ints[0] != 0); });
    const Value& chosen = ints[0] != 0 ? a : b;
    const auto to = tensor::broadcast(shape_of(a), shape_of(b));
    const auto full = to.ok ? tensor::broadcast(to.shape, condition.constant->shape) : to;
    if (uniform && full.ok && full.shape == shape_of(chosen)) return Values{chosen};
    if (full.ok && a.constant && b.constant && a.constant->floating() == b.constant->floating()) {
      WEFT_TRY_VOID(call.layers(a).spend_elements(full.shape));
      const auto at = onnx::broadcast_indices(condition.constant->shape, full.shape);
      Constant out = onnx::broadcast_to(*a.constant, full.shape);
      const Constant other = onnx::broadcast_to(*b.constant, full.shape);
      out.codes.clear();
      out.scales.clear();
      for (std::size_t i = 0; i < at.size(); ++i) {
        if (ints[at[i]] != 0) continue;
        if (out.floating())
          out.floats[i] = other.floats[i];
        else
          out.ints[i] = other.ints[i];
      }
      return Values{std::move(out)};
    }
  }
  return call.onnx("Where", {condition, a, b});
}

template <class F>
Result<Values> compare(AtenCall& call, F test, const char* op) {
  WEFT_TRY(const Value a, call.tensor("self"));
  WEFT_TRY(const Value b, call.tensor("other"));
  // Data is finite.
  const bool infinite = a.dynamic && b.constant && b.constant->floating() && b.constant->size() == 1 &&
                        std::isinf(b.constant->floats.front());
  if (infinite) return filled_bool(call, a, test(0.0F, b.constant->floats.front()));
  if (!a.constant || !b.constant) return call.onnx(op, {a, b});
  const auto to = tensor::broadcast(a.constant->shape, b.constant->shape);
  if (!to.ok) return call.fail(Kind::ShapeMismatch, "the operands do not broadcast");
  WEFT_TRY_VOID(call.layers(a).spend_elements(to.shape));
  const auto left = onnx::as_floats(*a.constant);
  const auto right = onnx::as_floats(*b.constant);
  const auto ia = onnx::broadcast_indices(a.constant->shape, to.shape);
  const auto ib = onnx::broadcast_indices(b.constant->shape, to.shape);
  Constant out;
  out.element = Element::Bool;
  out.shape = to.shape;
  for (std::size_t i = 0; i < ia.size(); ++i) out.ints.push_back(test(left[ia[i]], right[ib[i]]) ? 1 : 0);
  return Values{std::move(out)};
}
Result<Values> logical_not(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  if (!x.constant || x.constant->floating()) return call.onnx("Not", {x});
  Constant out = onnx::with_shape(*x.constant, x.constant->shape);
  out.element = Element::Bool;
  for (auto& v : out.ints) v = v == 0 ? 1 : 0;
  return Values{std::move(out)};
}

template <class F>
Result<Values> logic(AtenCall& call, F test, const char* op) {
  WEFT_TRY(const Value a, call.tensor("self"));
  WEFT_TRY(const Value b, call.tensor("other"));
  if (element_of(a) != Element::Bool || element_of(b) != Element::Bool)
    return call.fail(Kind::AttributeUnsupported, fmt::format("`{}` of numbers; bools are read", call.target()));
  if (!a.constant || !b.constant) return call.onnx(op, {a, b});
  const auto to = tensor::broadcast(a.constant->shape, b.constant->shape);
  if (!to.ok) return call.fail(Kind::ShapeMismatch, "the operands do not broadcast");
  WEFT_TRY_VOID(call.layers(a).spend_elements(to.shape));
  Constant out = onnx::broadcast_to(*a.constant, to.shape);
  const Constant other = onnx::broadcast_to(*b.constant, to.shape);
  for (std::size_t i = 0; i < out.ints.size(); ++i) out.ints[i] = test(out.ints[i] != 0, other.ints[i] != 0) ? 1 : 0;
  return Values{std::move(out)};
}
Result<Values> logical_and(AtenCall& c) {
  return logic(c, [](bool a, bool b) { return a && b; }, "And");
}
Result<Values> logical_or(AtenCall& c) {
  return logic(c, [](bool a, bool b) { return a || b; }, "Or");
}
Result<Values> logical_xor(AtenCall& c) {
  return logic(c, [](bool a, bool b) { return a != b; }, "Xor");
}
Result<Values> bitwise_not(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  if (element_of(x) != Element::Bool)
    return call.fail(Kind::AttributeUnsupported, "the bits of integers; bools are read");
  return logical_not(call);
}

/// Whether any element along an axis is set, or all of them.
Result<Values> some_along(AtenCall& call, bool all) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t given, call.integer("dim"));
  WEFT_TRY(const bool keep, call.flag("keepdim", false));
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
  if (element_of(x) != Element::Bool)
    return call.fail(Kind::AttributeUnsupported, fmt::format("`{}` of numbers; bools are read", call.target()));
  if (x.dynamic) {
    WEFT_TRY(const Value numbers, call.as_float(x));
    WEFT_TRY(Values found,
             call.onnx(all ? "ReduceMin" : "ReduceMax", {numbers, int_constant({axis})}, {{"keepdims", keep ? 1 : 0}}));
    found.front().dynamic->element = Element::Bool;
    return found;
  }
  Constant out;
  out.element = Element::Bool;
  out.shape = x.constant->shape;
  out.shape[static_cast<std::size_t>(axis)] = 1;
  out.ints.assign(static_cast<std::size_t>(element_count(out.shape)), all ? 1 : 0);
  const auto at = onnx::broadcast_indices(out.shape, x.constant->shape);
  for (std::size_t i = 0; i < at.size(); ++i) {
    if ((x.constant->ints[i] != 0) != all) out.ints[at[i]] = all ? 0 : 1;
  }
  if (!keep) out.shape.erase(out.shape.begin() + axis);
  return Values{std::move(out)};
}
Result<Values> any(AtenCall& call) { return some_along(call, false); }
Result<Values> all(AtenCall& call) { return some_along(call, true); }

/// `value` where the mask is set.
Result<Values> masked_fill(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const Value mask, call.tensor("mask"));
  WEFT_TRY(const Value value, call.tensor("value"));
  return call.onnx("Where", {mask, value, x});
}

Result<Values> eq(AtenCall& c) {
  return compare(c, [](float a, float b) { return a == b; }, "Equal");
}
Result<Values> ne(AtenCall& call) {
  WEFT_TRY(const Value a, call.tensor("self"));
  WEFT_TRY(const Value b, call.tensor("other"));
  if (a.constant && b.constant) {
    return compare(call, [](float x, float y) { return x != y; }, "Equal");
  }
  WEFT_TRY(const Value same, call.one("Equal", {a, b}, {}, false));
  return call.onnx("Not", {same});
}
Result<Values> ge(AtenCall& c) {
  return compare(c, [](float a, float b) { return a >= b; }, "GreaterOrEqual");
}
Result<Values> gt(AtenCall& c) {
  return compare(c, [](float a, float b) { return a > b; }, "Greater");
}
Result<Values> le(AtenCall& c) {
  return compare(c, [](float a, float b) { return a <= b; }, "LessOrEqual");
}
Result<Values> lt(AtenCall& c) {
  return compare(c, [](float a, float b) { return a < b; }, "Less");
}

}  // namespace

AtenRows arithmetic_rows() {
  return {{"aten.add", add},
          {"aten.addcdiv", addcdiv},
          {"aten.addcmul", addcmul},
          {"aten.all.dim", all, "bools"},
          {"aten.__and__", logical_and, "bools"},
          {"aten.__or__", logical_or, "bools"},
          {"aten.__xor__", logical_xor, "bools"},
          {"aten.any.dim", any, "bools"},
          {"aten.bitwise_and", logical_and, "bools"},
          {"aten.bitwise_not", bitwise_not, "bools"},
          {"aten.bitwise_or", logical_or, "bools"},
          {"aten.bitwise_xor", logical_xor, "bools"},
          {"aten.clamp", clamp},
          {"aten.clamp_max", clamp},
          {"aten.clamp_min", clamp},
          {"aten.clip", clamp},
          {"aten.eq", eq},
          {"aten.fmax", maximum},
          {"aten.fmin", minimum},
          {"aten.ge", ge},
          {"aten.greater", gt},
          {"aten.greater_equal", ge},
          {"aten.gt", gt},
          {"aten.le", le},
          {"aten.lerp", lerp},
          {"aten.less", lt},
          {"aten.less_equal", le},
          {"aten.logical_and", logical_and, "bools"},
          {"aten.logical_not", logical_not, "bools"},
          {"aten.logical_or", logical_or, "bools"},
          {"aten.logical_xor", logical_xor, "bools"},
          {"aten.lt", lt},
          {"aten.masked_fill", masked_fill},
          {"aten.max.other", maximum},
          {"aten.maximum", maximum},
          {"aten.min.other", minimum},
          {"aten.minimum", minimum},
          {"aten.mul", mul},
          {"aten.multiply", mul},
          {"aten.ne", ne},
          {"aten.not_equal", ne},
          {"aten.pow", pow},
          {"aten.rsub", rsub},
          {"aten.square", square},
          {"aten.sub", sub},
          {"aten.subtract", sub},
          {"aten.where", where}};
}

}  // namespace weft::formats::torch
