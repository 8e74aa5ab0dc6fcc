// SPDX-License-Identifier: Apache-2.0
// MatMul and Gemm: Dense layers where one operand is data, float32 sums in index order where both are constants.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

std::size_t extent(const Shape& shape, std::size_t axis) { return static_cast<std::size_t>(shape[axis]); }

/// The last two axes of a and b multiplied, the ones in front broadcast. Vectors count as one row or one column.
Result<Constant> fold_matmul(const Call& call, const Constant& a, const Constant& b) {
  const auto mismatch = [&] {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("shapes {} and {} cannot be multiplied", to_string(a.shape), to_string(b.shape)));
  };
  if (!a.floating() || !b.floating())
    return call.fail(Kind::AttributeUnsupported, "products of integers are not supported");
  if (a.shape.empty() || b.shape.empty()) return mismatch();
  Shape left = a.shape;
  Shape right = b.shape;
  if (left.size() == 1) left.insert(left.begin(), 1);
  if (right.size() == 1) right.push_back(1);
  const std::size_t rows = extent(left, left.size() - 2);
  const std::size_t inner = extent(left, left.size() - 1);
  const std::size_t columns = extent(right, right.size() - 1);
  if (inner != extent(right, right.size() - 2)) return mismatch();
  const Shape outer_left(left.begin(), left.end() - 2);
  const Shape outer_right(right.begin(), right.end() - 2);
  const auto outer = tensor::broadcast(outer_left, outer_right);
  if (!outer.ok) return mismatch();
  Shape full = outer.shape;
  full.push_back(static_cast<std::int64_t>(rows));
  full.push_back(static_cast<std::int64_t>(columns));
  WEFT_TRY_VOID(call.spend_elements(full));
  const auto outputs = static_cast<std::uint64_t>(element_count(full));
  // Both factors are below 2^32 elements, so the product does not wrap.
  WEFT_TRY_VOID(call.spend_products(outputs * std::max<std::uint64_t>(inner, 1)));
  Constant out;
  out.element = a.element;
  out.floats.assign(static_cast<std::size_t>(outputs), 0.0F);
  const auto blocks_left = broadcast_indices(outer_left, outer.shape);
  const auto blocks_right = broadcast_indices(outer_right, outer.shape);
  for (std::size_t block = 0; block < blocks_left.size(); ++block) {
    const float* x = a.floats.data() + blocks_left[block] * rows * inner;
    const float* y = b.floats.data() + blocks_right[block] * inner * columns;
    float* z = out.floats.data() + block * rows * columns;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t k = 0; k < inner; ++k) {
        for (std::size_t c = 0; c < columns; ++c) z[r * columns + c] += x[r * inner + k] * y[k * columns + c];
      }
    }
  }
  out.shape = outer.shape;
  if (a.shape.size() > 1) out.shape.push_back(static_cast<std::int64_t>(rows));
  if (b.shape.size() > 1) out.shape.push_back(static_cast<std::int64_t>(columns));
  return out;
}

/// Data times a [n_in, n_out] constant; the data's last axis is contracted. `main`: the product is the operator's
/// result.
Result<nn::TensorId> dense(const Call& call, const Dynamic& x, const Constant& kernel, std::optional<Constant> bias,
                           bool main) {
  if (!kernel.floating()) {
    return call.fail(Kind::AttributeUnsupported, fmt::format("a kernel of {} is not supported; cast it to float32",
                                                             element_name(static_cast<std::int32_t>(kernel.element))));
  }
  if (x.shape.empty() || x.shape.back() != kernel.shape[0] || kernel.size() == 0) {
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} and a kernel of shape {} cannot be multiplied",
                                                      to_string(x.shape), to_string(kernel.shape)));
  }
  WEFT_TRY_VOID(call.require_finite(kernel.floats, "the kernel"));
  WEFT_TRY(const Call::LastAxis view, call.with_last_axis(x, x.rank() - 1, "the product"));
  Shape shape = view.shape;
  shape.back() = kernel.shape[1];
  LayerDraft draft{.op = "Dense", .inputs = {view.tensor}, .shape = std::move(shape), .suffix = main ? "" : "_product"};
  draft.parameters.emplace("kernel", to_parameter(kernel));
  if (bias) {
    WEFT_TRY_VOID(call.require_finite(bias->floats, "the bias"));
    draft.parameters.emplace("bias", to_parameter(*bias));
  }
  return call.add(std::move(draft), main);
}

/// Gemm's C as a vector of n_out numbers, multiplied by beta in float32; nullopt when it differs between rows.
std::optional<Constant> gemm_bias(const Constant& c, std::int64_t rows, std::int64_t columns, float beta) {
  const Shape full{rows, columns};
  const auto to = tensor::broadcast(c.shape, full);
  if (c.shape.size() > 2 || !to.ok || to.shape != full || c.size() == 0) return std::nullopt;
  std::vector<std::size_t> first(static_cast<std::size_t>(columns));
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = c.shape.empty() || c.shape.back() == 1 ? 0 : i;
  Constant bias = pick(c, {columns}, first);
  if (c.shape.size() == 2 && c.shape[0] != 1 && broadcast_to(bias, c.shape).floats != c.floats) {
    return std::nullopt;
  }
  if (beta != 1.0F) {
    for (auto& value : bias.floats) value *= beta;
    bias.codes.clear();
    bias.scales.clear();
  }
  return bias;
}

Constant scalar(float value) {
  Constant out;
  out.floats = {value};
  return out;
}

}  // namespace

Result<Values> matmul(Call& call) {
  if (!call.has_input(0) || !call.has_input(1)) return call.fail(Kind::ModelMalformed, "an operand is missing");
  if (call.all_constant()) {
    WEFT_TRY(Constant folded, fold_matmul(call, *call.inputs[0].constant, *call.inputs[1].constant));
    return Values{std::move(folded)};
  }
  if (!call.inputs[0].dynamic || call.inputs[1].dynamic) return matmul_tensors(call);
  WEFT_TRY(Dynamic x, call.dynamic_float(0));
  WEFT_TRY(x, call.in_onnx_order(x));
  const Constant& given = *call.inputs[1].constant;
  if (given.shape.empty()) return call.fail(Kind::ShapeMismatch, "the right operand is a single number");
  Shape shape = given.shape;
  const bool vector = shape.size() == 1;
  if (vector) shape.push_back(1);
  const std::size_t outer = shape.size() - 2;
  if (std::any_of(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(outer), [](auto e) { return e != 1; }))
    return matmul_tensors(call);
  const Constant kernel = with_shape(given, Shape(shape.end() - 2, shape.end()));
  WEFT_TRY(const nn::TensorId tensor, dense(call, x, kernel, std::nullopt, true));
  Dynamic out = Call::retarget(x, tensor);
  out.shape.back() = kernel.shape[1];
  if (vector) out.shape.pop_back();
  while (out.shape.size() < shape.size()) {
    out.shape.insert(out.shape.begin(), 1);
    if (out.batch_axis >= 0) ++out.batch_axis;
  }
  return Values{std::move(out)};
}

Result<Values> gemm(Call& call) {
  if (!call.has_input(0) || !call.has_input(1)) return call.fail(Kind::ModelMalformed, "an operand is missing");
  WEFT_TRY(const float alpha, call.get_float("alpha", 1.0F));
  WEFT_TRY(const float beta, call.get_float("beta", 1.0F));
  WEFT_TRY(const std::int64_t trans_a, call.get_int("transA", 0));
  WEFT_TRY(const std::int64_t trans_b, call.get_int("transB", 0));
  const ConstantPtr third = call.has_input(2) ? call.inputs[2].constant : nullptr;
  const bool rows_differ = call.builder.whole && third && third->shape.size() == 2 && third->shape[0] != 1;
  if (call.inputs[1].dynamic || (call.inputs[0].dynamic && (trans_a != 0 || rows_differ))) return gemm_tensors(call);
  const std::string kernel_name = "the right operand";
  WEFT_TRY(const ConstantPtr given, call.constant(1, kernel_name));
  if (given->shape.size() != 2)
    return call.fail(Kind::ShapeMismatch, fmt::format("{} has the shape {}", kernel_name, to_string(given->shape)));
  const Constant kernel = trans_b != 0 ? transpose(*given, {1, 0}) : *given;
  const std::int64_t columns = kernel.shape[1];

  if (call.inputs[0].constant) {
    if (call.has_input(2) && call.inputs[2].dynamic) {
      return call.fail(Kind::LayerUnsupported, "a constant product plus data; write it as Add");
    }
    Constant a = *call.inputs[0].constant;
    if (a.shape.size() != 2) return call.fail(Kind::ShapeMismatch, "the left operand is no matrix");
    if (trans_a != 0) a = transpose(a, {1, 0});
    WEFT_TRY(Constant out, fold_matmul(call, a, kernel));
    for (auto& value : out.floats) value *= alpha;
    if (call.has_input(2)) {
      const Constant& c = *call.inputs[2].constant;
      const auto to = tensor::broadcast(c.shape, out.shape);
      if (!to.ok || to.shape != out.shape || !c.floating())
        return call.fail(Kind::ShapeMismatch, "the third operand does not broadcast");
      const Constant addend = broadcast_to(c, out.shape);
      for (std::size_t i = 0; i < out.floats.size(); ++i) out.floats[i] += beta * addend.floats[i];
    }
    return Values{std::move(out)};
  }

  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  if (x.shape.size() != 2)
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} is no matrix", to_string(x.shape)));
  const bool dynamic_bias = call.has_input(2) && call.inputs[2].dynamic;
  std::optional<Constant> bias;
  if (call.has_input(2) && !dynamic_bias) {
    const Constant& c = *call.inputs[2].constant;
    if (!c.floating())
      return call.fail(Kind::AttributeUnsupported, "a bias of integers is not supported; cast it to float32");
    bias = gemm_bias(c, x.shape[0], columns, beta);
    if (!bias) {
      return call.fail(Kind::ShapeMismatch, fmt::format("a bias of shape {} does not give one number per column of {}",
                                                        to_string(c.shape), columns));
    }
  }
  // alpha comes between product and sum in the file's order of operations, so the sum becomes a layer of its own then.
  // The last of the layers carries the operator's name: a trace under that name is the operator's result.
  const bool split = alpha != 1.0F;
  WEFT_TRY(nn::TensorId tensor, dense(call, x, kernel, split ? std::nullopt : bias, !split && !dynamic_bias));
  const Shape shape = call.builder.graph.at(tensor).shape;
  const auto then = [&](const std::string& op, const std::string& suffix, const Constant& c, bool main) {
    return call.add({.op = op,
                     .attributes = {{"constant_first", false}},
                     .inputs = {tensor},
                     .parameters = {{"constant", to_parameter(c)}},
                     .shape = shape,
                     .suffix = main ? "" : suffix},
                    main);
  };
  if (split) {
    WEFT_TRY(tensor, then("Mul", "_alpha", scalar(alpha), !bias && !dynamic_bias));
    if (bias) {
      WEFT_TRY(tensor, then("Add", "", *bias, true));
    }
  }
  Dynamic out = Call::retarget(x, tensor);
  out.shape.back() = columns;
  if (dynamic_bias) {
    Dynamic c = *call.inputs[2].dynamic;
    if (c.shape != out.shape || c.batch_axis != out.batch_axis || c.element != Element::Float32) {
      return call.fail(Kind::LayerUnsupported, fmt::format("data of shape {} as bias of an output of shape {}",
                                                           to_string(c.shape), to_string(out.shape)));
    }
    WEFT_TRY(nn::TensorId addend, call.as_sample_shape(c, shape));
    if (beta != 1.0F) {
      WEFT_TRY(addend, call.add({.op = "Mul",
                                 .attributes = {{"constant_first", false}},
                                 .inputs = {addend},
                                 .parameters = {{"constant", to_parameter(scalar(beta))}},
                                 .shape = shape,
                                 .suffix = "_beta"},
                                false));
    }
    WEFT_TRY(out.tensor, call.add({.op = "Add", .inputs = {tensor, addend}, .shape = shape}));
  }
  return Values{std::move(out)};
}

}  // namespace weft::formats::onnx::ops
