// SPDX-License-Identifier: Apache-2.0
// Arithmetic of two tensors; of constants it is done here, in float32 as TensorFlow does.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/tensorflow/bundle.h"
#include "weft/formats/tensorflow/import.h"

namespace weft::formats::tensorflow {
namespace {

std::string layer_of(const std::string& op) {
  if (op == "AddV2") return "Add";
  if (op == "RealDiv") return "Div";
  return op;
}

float apply(const std::string& op, float a, float b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") return a / b;
  return op == "Maximum" ? std::max(a, b) : std::min(a, b);
}

Result<void> fold(const Call& call, const std::string& op) {
  const TensorValue& a = *call.inputs[0].constant;
  const TensorValue& b = *call.inputs[1].constant;
  const auto joined = tensor::broadcast(a.shape, b.shape);
  const auto limit = static_cast<std::uint64_t>(1) << 26;
  if (!joined.ok || static_cast<std::uint64_t>(element_count(joined.shape)) > limit)
    return call.fail(Kind::ShapeMismatch, "the constants do not broadcast");
  call.builder.constant_elements += static_cast<std::uint64_t>(element_count(joined.shape));
  if (call.builder.constant_elements > (limit << 2))
    return call.fail(Kind::LimitExceeded, "the arithmetic of constants is too large");
  TensorValue out{a.type, joined.shape, {}, {}};
  const auto count = static_cast<std::size_t>(element_count(joined.shape));
  if (!a.reals.empty() && !b.reals.empty()) {
    for (std::size_t i = 0; i < count; ++i)
      out.reals.push_back(apply(op, a.reals[tensor::broadcast_index(a.shape, joined.shape, i)],
                                b.reals[tensor::broadcast_index(b.shape, joined.shape, i)]));
  } else if (!a.integers.empty() && !b.integers.empty()) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t x = a.integers[tensor::broadcast_index(a.shape, joined.shape, i)];
      const std::int64_t y = b.integers[tensor::broadcast_index(b.shape, joined.shape, i)];
      constexpr std::int64_t kBound = std::int64_t{1} << 31;
      if (x == kBatch || y == kBatch)
        return call.fail(Kind::LayerUnsupported, "the graph computes with the size of the batch");
      if (std::max(std::abs(x), std::abs(y)) >= kBound || op == "Div")
        return call.fail(Kind::LayerUnsupported, "integers of this size are not computed with");
      out.integers.push_back(op == "Add"       ? x + y
                             : op == "Sub"     ? x - y
                             : op == "Mul"     ? x * y
                             : op == "Maximum" ? std::max(x, y)
                                               : std::min(x, y));
    }
  } else {
    return call.fail(Kind::LayerUnsupported, "constants of different or unknown types");
  }
  call.set(std::move(out));
  return {};
}

Result<void> read_binary(const Call& call) {
  if (call.inputs.size() != 2) return call.fail(Kind::ModelMalformed, "two operands are needed");
  const std::string op = layer_of(call.node.op);
  if (call.is_constant(0) && call.is_constant(1)) return fold(call, op);
  LayerDraft draft{.op = op};
  for (std::size_t i = 0; i < 2; ++i) {
    if (call.is_constant(i)) {
      WEFT_TRY(auto constant, call.reals(i, "the operand"));
      if (op == "Maximum" || op == "Minimum") {
        if (constant.size() != 1) return call.fail(Kind::LayerUnsupported, "the bound must be one number");
        draft.op = "Activation";
        draft.functions["activation"] = {"clip",
                                         {{op == "Maximum" ? "min" : "max", static_cast<double>(constant.data[0])}}};
        continue;
      }
      // The batch axis of a constant is 1.
      WEFT_TRY(const auto x, call.data(1 - i));
      const Shape& shape = call.shape_of(x);
      if (constant.shape.size() > shape.size()) {
        if (constant.shape.size() != shape.size() + 1 || constant.shape[0] != 1)
          return call.fail(Kind::LayerUnsupported, "the constant differs between samples of the batch");
        constant.shape.erase(constant.shape.begin());
      }
      draft.parameters["constant"].values = std::move(constant);
      draft.attributes["constant_first"] = i == 0;
    } else {
      WEFT_TRY(const auto x, call.data(i));
      draft.inputs.push_back(x);
    }
  }
  if (draft.inputs.size() == 2 && call.shape_of(draft.inputs[0]).size() != call.shape_of(draft.inputs[1]).size())
    return call.fail(Kind::LayerUnsupported,
                     "tensors of different rank: the batch of one would meet an axis of the other");
  return call.add(std::move(draft));
}

Result<void> read_constant_function(const Call& call) {
  const std::string& op = call.node.op;
  if (!call.is_constant(0)) return call.fail(Kind::LayerUnsupported, fmt::format("{} of data is not supported", op));
  TensorValue out = *call.inputs[0].constant;
  if (out.reals.empty()) return call.fail(Kind::LayerUnsupported, fmt::format("{} of integers", op));
  for (auto& v : out.reals) {
    const float root = std::sqrt(v);
    v = op == "Rsqrt" ? 1.0F / root : op == "Sqrt" ? root : op == "Neg" ? -v : v * v;
  }
  call.set(std::move(out));
  return {};
}

Result<void> read_cast(const Call& call) {
  const auto to = type_attribute(call.node, "DstT").value_or(0);
  if (!call.is_constant(0)) {
    WEFT_TRY(const auto x, call.data(0));
    if (to != kFloat) return call.fail(Kind::LayerUnsupported, "data is cast to another type than float32");
    call.set(x);
    return {};
  }
  TensorValue out = *call.inputs[0].constant;
  const bool whole = to == kInt32 || to == kInt64;
  if (!(whole && !out.integers.empty()) && !(to == kFloat && !out.reals.empty()))
    return call.fail(Kind::LayerUnsupported, "this cast of a constant is not read");
  out.type = to;
  call.set(std::move(out));
  return {};
}

}  // namespace

std::vector<Operator> arithmetic_operators() {
  return {{"Add", read_binary},
          {"AddV2", read_binary},
          {"Cast", read_cast},
          {"Maximum", read_binary},
          {"Minimum", read_binary},
          {"Mul", read_binary},
          {"Neg", read_constant_function},
          {"RealDiv", read_binary},
          {"Rsqrt", read_constant_function},
          {"Sqrt", read_constant_function},
          {"Square", read_constant_function},
          {"Sub", read_binary}};
}

}  // namespace weft::formats::tensorflow
