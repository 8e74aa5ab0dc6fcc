// SPDX-License-Identifier: Apache-2.0
// Operators on several tensors element by element: Sum, Mean, Max, Min of any number, comparisons, logic, Where.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

std::vector<nn::TensorId> tensors_of(const Group& g) {
  std::vector<nn::TensorId> out;
  for (const auto& part : g.parts) out.push_back(part.tensor);
  return out;
}

/// The layer graph's broadcasting aligns shapes at their ends, with the batch gone from all of them alike.
Result<Values> merged(Call& call, const std::string& op, bool float_only) {
  if (call.all_constant()) return call.fail(Kind::LayerUnsupported, "the operator is not folded on constants alone");
  WEFT_TRY(Group g, group(call, 0, float_only));
  const Shape shape = g.out.sample_shape();
  AttributeMap attributes;
  if (op == "Average" && g.parts.size() > 1) attributes["by_reciprocal"] = true;  // as ONNX Runtime does
  WEFT_TRY(g.out.tensor,
           layer(call, g.parts.size() == 1 ? "Identity" : op, tensors_of(g), shape, std::move(attributes), ""));
  return Values{std::move(g.out)};
}

Result<Values> fold_nary(const Call& call) {
  const std::string& op = call.node.op_type;
  Constant out = *call.inputs[0].constant;
  out.codes.clear();
  out.scales.clear();
  for (std::size_t i = 1; i < call.inputs.size(); ++i) {
    if (!call.has_input(i)) return call.fail(Kind::ModelMalformed, "an operand is missing");
    const Constant& c = *call.inputs[i].constant;
    const auto to = tensor::broadcast(out.shape, c.shape);
    if (!to.ok || c.element != out.element)
      return call.fail(Kind::ShapeMismatch, fmt::format("constants of shapes {} and {} do not broadcast",
                                                        to_string(out.shape), to_string(c.shape)));
    WEFT_TRY_VOID(call.spend_elements(to.shape));
    out = broadcast_to(out, to.shape);
    const Constant other = broadcast_to(c, to.shape);
    for (std::size_t e = 0; e < out.size(); ++e) {
      if (out.floating()) {
        const float a = out.floats[e];
        const float b = other.floats[e];
        out.floats[e] = op == "Max" ? std::max(a, b) : op == "Min" ? std::min(a, b) : a + b;
      } else if (op == "Max" || op == "Min") {
        out.ints[e] = op == "Max" ? std::max(out.ints[e], other.ints[e]) : std::min(out.ints[e], other.ints[e]);
      } else {
        return call.fail(Kind::AttributeUnsupported, "sums of constant integers are not supported");
      }
    }
  }
  if (op == "Mean")
    for (auto& v : out.floats) v *= 1.0F / static_cast<float>(call.inputs.size());
  return Values{std::move(out)};
}

bool to_fold(const Call& call) { return !call.inputs.empty() && call.has_input(0) && call.all_constant(); }

/// 1 where `greater` (or not less) holds between x and zero, else 0 (or the other way round).
Result<nn::TensorId> sign_layer(const Call& call, nn::TensorId x, const Shape& shape, float threshold, bool inverted,
                                const std::string& suffix) {
  return function_layer(call, x, shape,
                        {"multithreshold",
                         {{"thresholds", std::vector<double>{static_cast<double>(threshold)}},
                          {"channels", std::int64_t{1}},
                          {"out_scale", inverted ? -1.0 : 1.0},
                          {"out_bias", inverted ? 1.0 : 0.0}}},
                        suffix);
}

}  // namespace

Result<Values> sum(Call& call) {
  if (to_fold(call)) return fold_nary(call);
  WEFT_TRY(Group g, group(call, 0, true));
  const Shape shape = g.out.sample_shape();
  nn::TensorId t = g.parts[0].tensor;
  if (g.parts.size() == 1) {
    WEFT_TRY(t, layer(call, "Identity", {t}, shape, {}, ""));
  }
  Shape so_far = call.builder.graph.at(t).shape;
  for (std::size_t i = 1; i < g.parts.size(); ++i) {
    so_far = tensor::broadcast(so_far, call.builder.graph.at(g.parts[i].tensor).shape).shape;
    WEFT_TRY(t, layer(call, "Add", {t, g.parts[i].tensor}, so_far, {},
                      i + 1 == g.parts.size() ? "" : fmt::format("_sum{}", i)));
  }
  g.out.tensor = t;
  return Values{std::move(g.out)};
}
Result<Values> mean(Call& call) {
  if (to_fold(call)) return fold_nary(call);
  return merged(call, "Average", true);
}
Result<Values> max_tensors(Call& call) {
  if (to_fold(call)) return fold_nary(call);
  return merged(call, "Maximum", false);
}
Result<Values> min_tensors(Call& call) {
  if (to_fold(call)) return fold_nary(call);
  return merged(call, "Minimum", false);
}

Result<Values> compare(Call& call) {
  const std::string& op = call.node.op_type;
  if (call.all_constant()) return call.fail(Kind::LayerUnsupported, "a comparison of constants alone is not folded");
  // x op y as the sign of x - y; a float32 difference is zero only for equal operands.
  Dynamic out;
  nn::TensorId difference;
  const bool number = call.inputs[1].constant && call.inputs[1].constant->size() == 1 &&
                      call.inputs[1].constant->shape.size() <= call.inputs[0].dynamic->shape.size();
  float threshold = 0.0F;
  if (number) {
    WEFT_TRY(out, plain(call, 0, false));
    difference = out.tensor;
    threshold = as_floats(*call.inputs[1].constant).front();
    if (!std::isfinite(threshold)) return call.fail(Kind::AttributeUnsupported, "a comparison with no finite number");
  } else {
    WEFT_TRY(Group g, group(call, 0, false));
    out = g.out;
    WEFT_TRY(difference, layer(call, "Sub", tensors_of(g), out.sample_shape(), {}, "_difference"));
  }
  const Shape shape = out.sample_shape();
  const float above = std::nextafter(threshold, std::numeric_limits<float>::infinity());
  if (op == "Greater" || op == "LessOrEqual") {
    WEFT_TRY(out.tensor, sign_layer(call, difference, shape, above, op == "LessOrEqual", ""));
  } else if (op == "GreaterOrEqual" || op == "Less") {
    WEFT_TRY(out.tensor, sign_layer(call, difference, shape, threshold, op == "Less", ""));
  } else {
    WEFT_TRY(const nn::TensorId at_least, sign_layer(call, difference, shape, threshold, false, "_at_least"));
    WEFT_TRY(const nn::TensorId greater, sign_layer(call, difference, shape, above, false, "_above"));
    WEFT_TRY(out.tensor, layer(call, "Sub", {at_least, greater}, shape, {}, ""));
  }
  out.element = Element::Bool;
  return Values{std::move(out)};
}

Result<Values> logic(Call& call) {
  const std::string& op = call.node.op_type;
  if (call.all_constant()) return call.fail(Kind::LayerUnsupported, "logic of constants alone is not folded");
  WEFT_TRY(Group g, group(call, 0, false));
  const Shape shape = g.out.sample_shape();
  g.out.element = Element::Bool;
  if (op == "Not") {
    WEFT_TRY(g.out.tensor, sign_layer(call, g.parts[0].tensor, shape, 1.0F, true, ""));
  } else if (op == "Xor") {
    WEFT_TRY(const nn::TensorId d, layer(call, "Sub", tensors_of(g), shape, {}, "_difference"));
    WEFT_TRY(g.out.tensor, layer(call, "Mul", {d, d}, shape, {}, ""));
  } else {
    WEFT_TRY(g.out.tensor, layer(call, op == "And" ? "Mul" : "Maximum", tensors_of(g), shape, {}, ""));
  }
  return Values{std::move(g.out)};
}

Result<Values> where(Call& call) {
  if (call.all_constant()) {
    const Constant& condition = *call.inputs[0].constant;
    const Constant& a = *call.inputs[1].constant;
    const Constant& b = *call.inputs[2].constant;
    const auto some = tensor::broadcast(a.shape, b.shape);
    const auto to = some.ok ? tensor::broadcast(some.shape, condition.shape) : some;
    if (!to.ok || a.element != b.element || condition.floating())
      return call.fail(Kind::ShapeMismatch, "the condition and its alternatives do not fit together");
    WEFT_TRY_VOID(call.spend_elements(to.shape));
    const Constant c = broadcast_to(condition, to.shape);
    Constant out = broadcast_to(a, to.shape);
    const Constant other = broadcast_to(b, to.shape);
    out.codes.clear();
    out.scales.clear();
    for (std::size_t e = 0; e < c.ints.size(); ++e) {
      if (c.ints[e] != 0) continue;
      if (out.floating())
        out.floats[e] = other.floats[e];
      else
        out.ints[e] = other.ints[e];
    }
    return Values{std::move(out)};
  }
  // A number on one side and a constant condition: the other side with that number in places.
  if (call.inputs[0].constant && call.inputs[1].dynamic.has_value() != call.inputs[2].dynamic.has_value()) {
    const std::size_t data = call.inputs[1].dynamic ? 1 : 2;
    const Constant& number = *call.inputs[3 - data].constant;
    const Dynamic& x = *call.inputs[data].dynamic;
    if (number.size() == 1 && x.batch_axis < 0) {
      WEFT_TRY(Dynamic in, plain(call, data, false));
      const auto to = tensor::broadcast(in.shape, call.inputs[0].constant->shape);
      if (!to.ok || number.shape.size() > to.shape.size())
        return call.fail(Kind::ShapeMismatch, "the condition does not fit the data");
      WEFT_TRY_VOID(call.spend_elements(to.shape));
      const Constant c = broadcast_to(*call.inputs[0].constant, to.shape);
      const auto from = broadcast_indices(in.shape, to.shape);
      std::vector<std::int64_t> indices;
      for (std::size_t e = 0; e < from.size(); ++e)
        indices.push_back((c.ints[e] != 0) == (data == 1) ? static_cast<std::int64_t>(from[e]) : -1);
      in.shape = to.shape;
      WEFT_TRY(
          in.tensor,
          layer(call, "Pick", {in.tensor}, to.shape,
                {{"shape", to.shape}, {"indices", indices}, {"value", static_cast<double>(as_floats(number).front())}},
                ""));
      return Values{std::move(in)};
    }
  }
  WEFT_TRY(Group g, group(call, 0, false));
  const auto& data = call.inputs[1].dynamic ? call.inputs[1].dynamic : call.inputs[2].dynamic;
  g.out.element = data ? data->element : Element::Float32;
  WEFT_TRY(g.out.tensor, layer(call, "Where", tensors_of(g), g.out.sample_shape(), {}, ""));
  return Values{std::move(g.out)};
}

}  // namespace weft::formats::onnx::ops
