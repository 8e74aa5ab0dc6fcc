// SPDX-License-Identifier: Apache-2.0
// Matrix products, convolutions, attention.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

/// The last two axes swapped.
Result<Value> swapped(const AtenCall& call, const Value& x) {
  Shape permutation(static_cast<std::size_t>(rank_of(x)));
  std::iota(permutation.begin(), permutation.end(), std::int64_t{0});
  if (permutation.size() < 2) return x;
  std::swap(permutation[permutation.size() - 1], permutation[permutation.size() - 2]);
  return call.one("Transpose", {x}, {{"perm", permutation}}, false);
}

/// A matrix, or the one that a stack of equal matrices repeats; nullptr for anything else.
ConstantPtr single_matrix(const Value& value) {
  if (!value.constant || !value.constant->floating() || value.constant->shape.size() < 2) return nullptr;
  const Constant& c = *value.constant;
  if (c.shape.size() == 2) return value.constant;
  const Shape shape(c.shape.end() - 2, c.shape.end());
  const auto size = static_cast<std::size_t>(element_count(shape));
  if (size == 0 || c.size() == 0) return nullptr;
  for (std::size_t i = size; i < c.size(); ++i) {
    if (c.floats[i] != c.floats[i % size]) return nullptr;
  }
  std::vector<std::size_t> first(size);
  std::iota(first.begin(), first.end(), std::size_t{0});
  return std::make_shared<const Constant>(onnx::pick(c, shape, first));
}

Result<Value> matrix_product(const AtenCall& call, const Value& a, const Value& b) {
  const ConstantPtr matrix = single_matrix(b);
  if (a.dynamic && matrix && a.dynamic->batch_axis + 1 < rank_of(a))
    return dense(call, a, Value(onnx::transpose(*matrix, {1, 0})), Value());
  const ConstantPtr left = b.dynamic ? single_matrix(a) : nullptr;
  return call.one("MatMul", {left ? Value(*left) : a, b});
}

Result<Values> linear(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("input"));
  WEFT_TRY(const Value weight, call.tensor("weight"));
  WEFT_TRY(const Value bias, call.optional_tensor("bias"));
  WEFT_TRY(Value out, dense(call, x, weight, bias));
  return Values{std::move(out)};
}

Result<Values> matmul(AtenCall& call) {
  WEFT_TRY(const Value a, call.tensor("self"));
  WEFT_TRY(const Value b, call.tensor(call.has("other") ? "other" : "mat2"));
  WEFT_TRY(Value out, matrix_product(call, a, b));
  return Values{std::move(out)};
}

Result<Values> mv(AtenCall& call) {
  WEFT_TRY(const Value a, call.tensor("self"));
  WEFT_TRY(const Value b, call.tensor("vec"));
  return call.onnx("MatMul", {a, b});
}

/// beta self + alpha (a b).
Result<Values> sum_and_product(AtenCall& call, const char* left, const char* right) {
  WEFT_TRY(const Value bias, call.tensor("self"));
  WEFT_TRY(const Value a, call.tensor(left));
  WEFT_TRY(const Value b, call.tensor(right));
  WEFT_TRY(const double alpha, call.real("alpha", 1.0));
  WEFT_TRY(const double beta, call.real("beta", 1.0));
  const bool plain = alpha == 1.0 && beta == 1.0 && b.constant && b.constant->shape.size() == 2 && bias.constant;
  if (plain) {
    WEFT_TRY(Value out, dense(call, a, Value(onnx::transpose(*b.constant, {1, 0})), bias));
    return Values{std::move(out)};
  }
  WEFT_TRY(Value product, call.one("MatMul", {a, b}, {}, false));
  if (alpha != 1.0) {
    WEFT_TRY(product, call.one("Mul", {product, number(static_cast<float>(alpha))}, {}, false));
  }
  Value addend = bias;
  if (beta == 0.0) return Values{product};
  if (beta != 1.0) {
    WEFT_TRY(addend, call.one("Mul", {bias, number(static_cast<float>(beta))}, {}, false));
  }
  return call.onnx("Add", {product, addend});
}
Result<Values> addmm(AtenCall& call) { return sum_and_product(call, "mat1", "mat2"); }
Result<Values> baddbmm(AtenCall& call) { return sum_and_product(call, "batch1", "batch2"); }

Result<Values> einsum(AtenCall& call) {
  WEFT_TRY(const std::string equation, call.text("equation", ""));
  WEFT_TRY(const Values operands, call.tensors("tensors"));
  call.ignore({"path"});
  return call.onnx("Einsum", operands, {{"equation", equation}});
}

/// y_o = x1 W_o x2 + b_o.
Result<Values> bilinear(AtenCall& call) {
  WEFT_TRY(const Value a, call.tensor("input1"));
  WEFT_TRY(const Value b, call.tensor("input2"));
  WEFT_TRY(const Value weight, call.tensor("weight"));
  WEFT_TRY(const Value bias, call.optional_tensor("bias"));
  if (rank_of(a) != 2 || rank_of(b) != 2)
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("operands of shapes {} and {}; each is read with a batch and one axis",
                                 to_string(shape_of(a)), to_string(shape_of(b))));
  WEFT_TRY(const Value rows, call.one("Einsum", {a, weight}, {{"equation", "bi,oij->boj"}}, false));
  WEFT_TRY(Value out, call.one("Einsum", {rows, b}, {{"equation", "boj,bj->bo"}}, !bias.present()));
  if (!bias.present()) return Values{std::move(out)};
  return call.onnx("Add", {out, bias});
}

/// A convolution's numbers, one per spatial axis.
struct Windows {
  std::vector<std::int64_t> strides, padding, dilations, output_padding;
  std::string same;  ///< "same" or "valid" where the padding is a word
  std::int64_t groups = 1;
  bool transposed = false;
};

Result<Values> convolve(AtenCall& call, const Windows& w) {
  WEFT_TRY(const Value x, call.tensor("input"));
  WEFT_TRY(Value weight, call.tensor("weight"));
  WEFT_TRY(const Value bias, call.optional_tensor("bias"));
  const std::size_t axes = w.strides.size();
  if (shape_of(weight).size() != axes + 2 || shape_of(x).size() != axes + 2) {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("a kernel of shape {} on data of shape {}; both need {} axes, the first of the data "
                                 "being the batch",
                                 to_string(shape_of(weight)), to_string(shape_of(x)), axes + 2));
  }
  std::vector<std::int64_t> pads(2 * axes, 0);
  for (std::size_t d = 0; d < axes; ++d) {
    const std::int64_t total = w.dilations[d] * (shape_of(weight)[d + 2] - 1);
    pads[d] = w.same == "same" ? total / 2 : w.padding[d];
    pads[d + axes] = w.same == "same" ? total - total / 2 : w.padding[d];
  }
  const std::vector<std::int64_t> kernel(shape_of(weight).begin() + 2, shape_of(weight).end());
  Attributes attributes{{"strides", w.strides},
                        {"dilations", w.dilations},
                        {"pads", pads},
                        {"group", w.groups},
                        {"kernel_shape", kernel}};
  if (w.transposed) attributes.emplace("output_padding", w.output_padding);
  return call.onnx(w.transposed ? "ConvTranspose" : "Conv", {x, weight, bias}, attributes);
}

Result<Windows> read_windows(AtenCall& call, std::size_t axes) {
  Windows w;
  WEFT_TRY(w.strides, call.integers("stride", axes, 1));
  WEFT_TRY(w.dilations, call.integers("dilation", axes, 1));
  WEFT_TRY(w.groups, call.integer("groups", 1));
  w.output_padding.assign(axes, 0);
  const auto words = std::find_if(call.node.inputs.begin(), call.node.inputs.end(), [](const NamedArgument& a) {
    return a.name == "padding" && a.value.type == Argument::Type::Text;
  });
  if (words != call.node.inputs.end()) {
    WEFT_TRY(w.same, call.text("padding", ""));
    w.padding.assign(axes, 0);
    if (w.same != "same" && w.same != "valid")
      return call.fail(Kind::AttributeUnsupported, fmt::format("`padding` is `{}`", w.same));
    return w;
  }
  WEFT_TRY(w.padding, call.integers("padding", axes, 0));
  return w;
}

template <std::size_t Axes>
Result<Values> conv(AtenCall& call) {
  WEFT_TRY(const Windows w, read_windows(call, Axes));
  return convolve(call, w);
}

template <std::size_t Axes>
Result<Values> conv_transpose(AtenCall& call) {
  WEFT_TRY(Windows w, read_windows(call, Axes));
  WEFT_TRY(w.output_padding, call.integers("output_padding", Axes, 0));
  w.transposed = true;
  return convolve(call, w);
}

Result<Values> convolution(AtenCall& call) {
  WEFT_TRY(const Value weight, call.tensor("weight"));
  const auto rank = rank_of(weight);
  if (rank < 3) return call.fail(Kind::ShapeMismatch, "a kernel without spatial axes");
  const auto axes = static_cast<std::size_t>(rank) - 2;
  WEFT_TRY(Windows w, read_windows(call, axes));
  WEFT_TRY(w.transposed, call.flag("transposed", false));
  WEFT_TRY(w.output_padding, call.integers("output_padding", axes, 0));
  call.ignore({"benchmark", "deterministic", "cudnn_enabled", "allow_tf32"});
  return convolve(call, w);
}

/// softmax(q k^T scale + mask) v.
Result<Values> attention(AtenCall& call) {
  WEFT_TRY(const Value q, call.tensor("query"));
  WEFT_TRY(const Value k, call.tensor("key"));
  WEFT_TRY(const Value v, call.tensor("value"));
  WEFT_TRY(const Value mask, call.optional_tensor("attn_mask"));
  WEFT_TRY(const double dropout, call.real("dropout_p", 0.0));
  WEFT_TRY(const bool causal, call.flag("is_causal", false));
  WEFT_TRY(const bool grouped, call.flag("enable_gqa", false));
  if (rank_of(q) < 3 || rank_of(k) < 3) return call.fail(Kind::ShapeMismatch, "query or key have less than 3 axes");
  const std::int64_t width = shape_of(q).back();
  WEFT_TRY(const double scale,
           call.real("scale", 1.0 / std::sqrt(static_cast<double>(std::max<std::int64_t>(width, 1)))));
  if (dropout != 0.0) call.ctx.report(Kind::Info, call.origin, "dropout does nothing at inference");
  if (grouped && shape_of(q) != shape_of(k))
    return call.fail(Kind::AttributeUnsupported, "`enable_gqa` is set; repeat the heads of key and value");
  const bool keeps = mask.present() && element_of(mask) == Element::Bool;
  if (mask.present() && (!mask.constant || (!mask.constant->floating() && !keeps)))
    return call.fail(Kind::AttributeUnsupported,
                     "`attn_mask` is not a constant tensor of float32 or bools; make it a buffer of the module");
  WEFT_TRY(const Value scaled, call.one("Mul", {q, number(static_cast<float>(scale))}, {}, false));
  WEFT_TRY(const Value keys, swapped(call, k));
  WEFT_TRY(Value scores, call.one("MatMul", {scaled, keys}, {}, false));
  if (mask.present() || causal) {
    Constant added = mask.present() ? *mask.constant : Constant{};
    if (keeps) {
      std::vector<float> floats;
      for (const auto kept : mask.constant->ints) floats.push_back(kept != 0 ? 0.0F : -HUGE_VALF);
      added = float_constant(std::move(floats), mask.constant->shape);
    }
    if (causal) {
      const std::int64_t rows = shape_of(q)[shape_of(q).size() - 2];
      const std::int64_t columns = shape_of(k)[shape_of(k).size() - 2];
      WEFT_TRY_VOID(call.layers(q).spend_elements({rows, columns}));
      added = float_constant(std::vector<float>(static_cast<std::size_t>(rows * columns), 0.0F), {rows, columns});
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = r + 1; c < columns; ++c)
          added.floats[static_cast<std::size_t>(r * columns + c)] = -HUGE_VALF;
      }
    }
    // exp of anything that far below the largest score is 0, as it is of minus infinity.
    for (auto& value : added.floats) {
      if (std::isinf(value)) value = -1e9F;
    }
    WEFT_TRY(scores, call.one("Add", {scores, std::move(added)}, {}, false));
  }
  WEFT_TRY(const Value weights, call.one("Softmax", {scores}, {{"axis", -1}}, false));
  return call.onnx("MatMul", {weights, v});
}

}  // namespace

Result<Value> dense(const AtenCall& call, const Value& x, const Value& weight, const Value& bias) {
  const bool layer =
      x.dynamic && weight.constant && weight.constant->floating() && weight.constant->shape.size() == 2 &&
      weight.constant->size() > 0 &&
      (!bias.present() || (bias.constant && bias.constant->floating() &&
                           static_cast<std::int64_t>(bias.constant->size()) == weight.constant->shape[0]));
  if (!layer) {
    // Folded where both are constants; two tensors that depend on the input otherwise.
    WEFT_TRY(const Value turned, swapped(call, weight));
    WEFT_TRY(Value product, call.one("MatMul", {x, turned}, {}, !bias.present()));
    if (!bias.present()) return product;
    return call.one("Add", {product, bias});
  }
  const Dynamic& given = *x.dynamic;
  const std::int64_t columns = weight.constant->shape[0];
  if (given.element != Element::Float32 || given.shape.empty() || given.shape.back() != weight.constant->shape[1]) {
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} and a weight of shape {} cannot be multiplied",
                                                      to_string(given.shape), to_string(weight.constant->shape)));
  }
  const onnx::Call layers = call.layers(x);
  WEFT_TRY_VOID(layers.require_finite(weight.constant->floats, "the weight"));
  WEFT_TRY(const Dynamic plain, layers.in_onnx_order(given));
  WEFT_TRY(const onnx::Call::LastAxis view, layers.with_last_axis(plain, plain.rank() - 1, "the product"));
  onnx::LayerDraft draft{.op = "Dense", .inputs = {view.tensor}, .shape = view.shape};
  draft.shape.back() = columns;
  draft.parameters.emplace("kernel", onnx::to_parameter(onnx::transpose(*weight.constant, {1, 0})));
  if (bias.present()) {
    WEFT_TRY_VOID(layers.require_finite(bias.constant->floats, "the bias"));
    draft.parameters.emplace("bias", onnx::to_parameter(onnx::with_shape(*bias.constant, {columns})));
  }
  WEFT_TRY(const nn::TensorId tensor, layers.add(std::move(draft)));
  Dynamic out = onnx::Call::retarget(view.x, tensor);
  out.shape.back() = columns;
  return Value(std::move(out));
}

AtenRows linear_rows() {
  return {{"aten._scaled_dot_product_flash_attention_for_cpu", attention},
          {"aten.addmm", addmm},
          {"aten.baddbmm", baddbmm},
          {"aten.bilinear", bilinear},
          {"aten.bmm", matmul},
          {"aten.conv1d", conv<1>},
          {"aten.conv2d", conv<2>},
          {"aten.conv3d", conv<3>},
          {"aten.conv_transpose1d", conv_transpose<1>},
          {"aten.conv_transpose2d", conv_transpose<2>},
          {"aten.conv_transpose3d", conv_transpose<3>},
          {"aten.convolution", convolution},
          {"aten.einsum", einsum},
          {"aten.linear", linear},
          {"aten.matmul", matmul},
          {"aten.mm", matmul},
          {"aten.mv", mv},
          {"aten.scaled_dot_product_attention", attention, "constant masks, causal"}};
}

}  // namespace weft::formats::torch
