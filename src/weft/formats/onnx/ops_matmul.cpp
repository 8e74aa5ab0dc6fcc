// SPDX-License-Identifier: Apache-2.0
// Products of tensors: MatMul with numpy's broadcasting, Gemm, Einsum. One Einsum layer each; a plain matrix on the
// right is Dense (ops_linear.cpp).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

/// An operand with one label per ONNX axis.
struct Operand {
  Value value;
  std::string labels;

  [[nodiscard]] const Shape& shape() const { return value.constant ? value.constant->shape : value.dynamic->shape; }
};

std::optional<char> batch_label(const Operand& operand) {
  if (!operand.value.dynamic || operand.value.dynamic->batch_axis < 0) return std::nullopt;
  return operand.labels[static_cast<std::size_t>(operand.value.dynamic->batch_axis)];
}

}  // namespace

Result<Dynamic> einsum_layer(const Call& call, std::vector<Value> values, std::vector<std::string> labels,
                             std::string out, const std::string& suffix) {
  std::vector<Operand> operands;
  std::optional<char> batch;
  for (std::size_t k = 0; k < values.size(); ++k) {
    operands.push_back({std::move(values[k]), std::move(labels[k])});
    if (!operands.back().value.dynamic) continue;
    auto& x = *operands.back().value.dynamic;
    WEFT_TRY(x, call.in_onnx_order(x));
    WEFT_TRY(x.tensor, call.as_sample_shape(x, x.sample_shape()));
    const auto label = batch_label(operands.back());
    if (label && batch && *label != *batch)
      return call.fail(Kind::LayerUnsupported, "the two operands have their batch at different axes of the product");
    if (label) batch = label;
  }
  LayerDraft draft{.op = "Einsum", .suffix = suffix};
  std::string equation;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    auto& operand = operands[k];
    std::string own = operand.labels;
    if (k != 0) equation += ",";
    if (operand.value.dynamic) {
      const auto& x = *operand.value.dynamic;
      if (batch && x.batch_axis < 0) return call.fail(Kind::LayerUnsupported, "an operand has no batch");
      if (batch && std::count(own.begin(), own.end(), *batch) != 1)
        return call.fail(Kind::LayerUnsupported, "the product mixes the samples of a batch");
      if (x.batch_axis >= 0) own.erase(static_cast<std::size_t>(x.batch_axis), 1);
      draft.inputs.push_back(x.tensor);
    } else {
      Constant c = *operand.value.constant;
      if (!c.floating())
        return call.fail(Kind::AttributeUnsupported, "a product with a constant of integers; cast it to float32");
      WEFT_TRY_VOID(call.require_finite(c.floats, "the constant"));
      Shape shape = c.shape;
      for (std::size_t d = own.size(); d-- > 0;) {
        if (!batch || own[d] != *batch) continue;
        if (shape[d] != 1)
          return call.fail(Kind::LayerUnsupported, "the constant differs between the samples of a batch");
        shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(d));
        own.erase(d, 1);
      }
      draft.attributes["constant_first"] = k == 0;
      draft.parameters.emplace("kernel", to_parameter(with_shape(c, shape)));
    }
    equation += own;
  }
  const auto extent_of = [&](char label) {
    std::int64_t n = 1;
    for (const auto& operand : operands)
      for (std::size_t d = 0; d < operand.labels.size(); ++d)
        if (operand.labels[d] == label) n = std::max(n, operand.shape()[d]);
    return n;
  };
  Dynamic result;
  result.batch_axis = -1;
  std::string own = out;
  for (std::size_t d = 0; d < out.size(); ++d) {
    result.shape.push_back(extent_of(out[d]));
    if (!batch || out[d] != *batch) continue;
    result.batch_axis = static_cast<std::int64_t>(d);
    own.erase(d, 1);
  }
  if (batch && result.batch_axis < 0) return call.fail(Kind::LayerUnsupported, "the product sums over the batch");
  for (const auto& operand : operands)
    for (std::size_t d = 0; d < operand.labels.size(); ++d)
      if (operand.shape()[d] != 1 && operand.shape()[d] != extent_of(operand.labels[d]))
        return call.fail(Kind::ShapeMismatch, fmt::format("operands of shapes {} and {} do not fit `{}`",
                                                          to_string(operands.front().shape()),
                                                          to_string(operands.back().shape()), equation));
  draft.attributes["equation"] = equation + "->" + own;
  draft.shape = result.sample_shape();
  WEFT_TRY(result.tensor, call.add(std::move(draft), suffix.empty()));
  return result;
}

Result<Values> matmul_tensors(Call& call) {
  std::vector<Value> values{call.inputs[0], call.inputs[1]};
  std::vector<std::string> labels(2);
  std::size_t outer = 0;
  std::vector<bool> vector(2);
  for (std::size_t k = 0; k < 2; ++k) {
    const Shape& shape = values[k].constant ? values[k].constant->shape : values[k].dynamic->shape;
    if (shape.empty()) return call.fail(Kind::ShapeMismatch, "an operand is a single number");
    vector[k] = shape.size() == 1;
    if (!vector[k]) outer = std::max(outer, shape.size() - 2);
    if (shape.size() > 24) return call.fail(Kind::LimitExceeded, "an operand has more than 24 axes");
  }
  std::string stack;
  for (std::size_t d = 0; d < outer; ++d) stack += static_cast<char>('A' + d);
  for (std::size_t k = 0; k < 2; ++k) {
    const Shape& shape = values[k].constant ? values[k].constant->shape : values[k].dynamic->shape;
    // Appended, not assigned: gcc 12 warns of the copy inside of an assignment (PR 105651).
    if (!vector[k]) labels[k] += stack.substr(outer - (shape.size() - 2));
    labels[k] += vector[k] ? "k" : k == 0 ? "ik" : "kj";
  }
  const std::string out = stack + (vector[0] ? "" : "i") + (vector[1] ? "" : "j");
  WEFT_TRY(Dynamic y, einsum_layer(call, std::move(values), std::move(labels), out, ""));
  return Values{std::move(y)};
}

Result<Values> gemm_tensors(Call& call) {
  WEFT_TRY(const float alpha, call.get_float("alpha", 1.0F));
  WEFT_TRY(const float beta, call.get_float("beta", 1.0F));
  WEFT_TRY(const std::int64_t trans_a, call.get_int("transA", 0));
  WEFT_TRY(const std::int64_t trans_b, call.get_int("transB", 0));
  const bool biased = call.has_input(2);
  for (std::size_t k = 0; k < 2; ++k) {
    const auto& v = call.inputs[k];
    if ((v.constant ? v.constant->shape : v.dynamic->shape).size() != 2)
      return call.fail(Kind::ShapeMismatch, "an operand is no matrix");
  }
  const bool plain_product = alpha == 1.0F && !biased;
  WEFT_TRY(Dynamic y, einsum_layer(call, {call.inputs[0], call.inputs[1]},
                                   {trans_a != 0 ? "ki" : "ik", trans_b != 0 ? "jk" : "kj"}, "ij",
                                   plain_product ? "" : "_product"));
  const Shape shape = y.sample_shape();
  if (alpha != 1.0F) {
    WEFT_TRY(y.tensor, number_layer(call, "Mul", y.tensor, shape, alpha, false, biased ? "_alpha" : ""));
  }
  if (!biased) return Values{std::move(y)};
  Dynamic c;
  if (call.inputs[2].constant) {
    WEFT_TRY(c, as_layer(call, *call.inputs[2].constant, 2, y.batch_axis));
  } else {
    WEFT_TRY(c, plain(call, 2));
  }
  if (beta != 1.0F) {
    WEFT_TRY(c.tensor,
             number_layer(call, "Mul", c.tensor, Shape(call.builder.graph.at(c.tensor).shape), beta, false, "_beta"));
  }
  const auto both = tensor::broadcast(y.shape, c.shape);
  if (!both.ok || both.shape != y.shape || (c.batch_axis >= 0 && c.batch_axis + 2 - c.rank() != y.batch_axis))
    return call.fail(Kind::ShapeMismatch, fmt::format("a bias of shape {} behind a product of shape {}",
                                                      to_string(c.shape), to_string(y.shape)));
  WEFT_TRY(y.tensor, layer(call, "Add", {y.tensor, c.tensor}, shape, {}, ""));
  return Values{std::move(y)};
}

Result<Values> einsum(Call& call) {
  WEFT_TRY(std::string equation, call.get_string("equation", ""));
  std::erase_if(equation, [](unsigned char c) { return std::isspace(c) != 0; });
  const std::size_t n = call.inputs.size();
  if (call.all_constant()) return call.fail(Kind::LayerUnsupported, "an Einsum of constants alone is not folded");
  if (n > 2) return call.fail(Kind::LayerUnsupported, fmt::format("{} operands; one or two are supported", n));
  const auto arrow = equation.find("->");
  const std::string left = equation.substr(0, arrow);
  std::vector<std::string> labels;
  std::size_t start = 0;
  for (std::size_t end = 0; end != std::string::npos; start = end + 1) {
    end = left.find(',', start);
    labels.push_back(left.substr(start, end == std::string::npos ? end : end - start));
  }
  if (labels.size() != n)
    return call.fail(Kind::ModelMalformed,
                     fmt::format("`{}` has {} operands, {} are given", equation, labels.size(), n));
  // The axes behind an ellipsis get letters that the equation does not use, aligned at their ends.
  std::string unused;
  for (char c = 'A'; c <= 'Z'; ++c)
    if (equation.find(c) == std::string::npos) unused += c;
  std::string ellipsis;
  for (std::size_t k = 0; k < n; ++k) {
    const Shape& shape = call.inputs[k].constant ? call.inputs[k].constant->shape : call.inputs[k].dynamic->shape;
    const auto dots = labels[k].find("...");
    if (dots == std::string::npos) {
      if (labels[k].size() != shape.size())
        return call.fail(Kind::ShapeMismatch, fmt::format("`{}` for data of shape {}", equation, to_string(shape)));
      continue;
    }
    if (labels[k].size() - 3 > shape.size() || shape.size() - (labels[k].size() - 3) > unused.size())
      return call.fail(Kind::ShapeMismatch, fmt::format("`{}` for data of shape {}", equation, to_string(shape)));
    const std::size_t hidden = shape.size() - (labels[k].size() - 3);
    const std::string letters = unused.substr(unused.size() - hidden);
    if (letters.size() > ellipsis.size()) ellipsis = letters;
    labels[k].replace(dots, 3, letters);
  }
  std::string out;
  if (arrow == std::string::npos) {
    std::string all;
    for (const auto& l : labels) all += l;
    std::string named;
    for (const char c : all)
      if (std::count(all.begin(), all.end(), c) == 1 && ellipsis.find(c) == std::string::npos) named += c;
    std::sort(named.begin(), named.end());
    out = ellipsis + named;
  } else {
    out = equation.substr(arrow + 2);
    const auto dots = out.find("...");
    if (dots != std::string::npos) out.replace(dots, 3, ellipsis);
  }
  for (const auto& l : labels)
    for (const char c : l)
      if (std::isalpha(static_cast<unsigned char>(c)) == 0)
        return call.fail(Kind::ModelMalformed, fmt::format("`{}` is no equation", equation));
  WEFT_TRY(Dynamic y, einsum_layer(call, Values(call.inputs), std::move(labels), out, ""));
  return Values{std::move(y)};
}

}  // namespace weft::formats::onnx::ops
