// SPDX-License-Identifier: Apache-2.0
// Layers with integer kernels: products per channel, sums, tables and softmax, on codes of a few bits.
#include "builder.h"

namespace weft::conformance {
namespace {

using I = std::int64_t;
using Ints = std::vector<I>;

constexpr double kScale = 0.25;

void quantize(Builder& b) {
  b.activation("codes", Builder::spec("tflite_quantize",
                                      {{"scale", kScale}, {"zero_point", I{3}}, {"lo", I{-8}}, {"hi", I{7}}}));
}

nn::Node& layer(Builder& b, const std::string& op, const std::string& name, AttributeMap attributes) {
  auto& node = b.node(op, name);
  node.attributes = std::move(attributes);
  node.attributes["scales"] = std::vector<double>{kScale};
  node.attributes["scale"] = kScale;
  return node;
}

nn::Parameter codes(Builder& b, const Shape& shape, double lo, double hi) {
  nn::Parameter out;
  out.values = b.tensor(shape, lo, hi);
  IntTensor integers(shape);
  for (std::size_t i = 0; i < integers.data.size(); ++i) {
    integers.data[i] = static_cast<I>(out.values.data[i]);
    out.values.data[i] = static_cast<float>(integers.data[i]);
  }
  out.quantized = quantizers::Quantized{out.values, std::move(integers), Scale()};
  return out;
}

/// Factors a little below 2^-shift, clamped to 5 bits.
AttributeMap factors(std::size_t n, I shift) {
  Ints mantissas;
  for (std::size_t i = 0; i < n; ++i) mantissas.push_back(2000000011 - 12345678 * static_cast<I>(i));
  return {{"multipliers", mantissas}, {"shifts", Ints(n, -shift)}, {"lo", I{-13}}, {"hi", I{18}}};
}

}  // namespace

void add_integer_cases(std::vector<Case>& out) {
  {
    Builder b("integer_products", {3, 3, 2}, "fixed<6,3>");
    quantize(b);
    auto& conv = layer(b, "IntegerConv", "conv", factors(3, 4));
    conv.attributes.merge(AttributeMap{{"padding", std::string("same")}, {"strides", Ints{2, 1}}});
    conv.parameters["kernel"] = codes(b, {2, 2, 2, 3}, -7.9, 7.9);
    conv.parameters["bias"] = codes(b, {3}, -40.0, 40.0);
    auto& depthwise = layer(b, "IntegerDepthwiseConv", "depthwise", factors(1, 3));
    depthwise.attributes["padding"] = std::string("valid");
    depthwise.parameters["kernel"] = codes(b, {2, 1, 3, 1}, -7.9, 7.9);
    auto& transposed = layer(b, "IntegerTransposedConv", "transposed", factors(1, 4));
    transposed.attributes.merge(AttributeMap{{"strides", Ints{2, 1}}, {"before", Ints{0, 0}}, {"shape", Ints{2, 3}}});
    transposed.parameters["kernel"] = codes(b, {2, 1, 3, 2}, -7.9, 7.9);
    auto& pool = layer(b, "IntegerAveragePool", "pool", {{"lo", I{-13}}, {"hi", I{18}}, {"zero_point", I{-3}}});
    pool.attributes.merge(
        AttributeMap{{"pool", Ints{2, 2}}, {"strides", Ints{1, 1}}, {"padding", std::string("same")}});
    b.node("Reshape", "flatten").attributes = {{"shape", Ints{12}}};
    auto& dense = layer(b, "IntegerDense", "dense", factors(3, 5));
    dense.attributes["wide"] = true;
    dense.parameters["kernel"] = codes(b, {12, 3}, -7.9, 7.9);
    dense.parameters["bias"] = codes(b, {3}, -90.0, 90.0);
    // Factors in double: steps of a few codes, then a product of many.
    auto& few = layer(b, "IntegerDense", "few", {{"factors", std::vector<double>{0.3}}, {"lo", I{-90}}, {"hi", I{99}}});
    few.parameters["kernel"] = codes(b, {3, 3}, -7.9, 7.9);
    auto& many = layer(b, "IntegerDense", "many",
                       {{"factors", std::vector<double>{0.7, 3.3, 1.9}}, {"lo", I{-1000}}, {"hi", I{1023}}});
    many.parameters["kernel"] = codes(b, {3, 3}, -7.9, 7.9);
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("integer_elementwise", {4}, "fixed<6,3>");
    quantize(b);
    auto& add = layer(b, "IntegerAdd", "add", {});
    add.attributes = {{"multipliers", Ints{1 << 30, 1500000000, 1300000000}},
                      {"shifts", Ints{0, -1, -17}},
                      {"pre_shift", I{18}},
                      {"lo", I{-13}},
                      {"hi", I{18}},
                      {"scales", std::vector<double>{kScale}},
                      {"scale", kScale}};
    add.parameters["constant"] = codes(b, {4}, -9.0, 9.0);
    auto& mul = layer(b, "IntegerMul", "mul", factors(1, 3));
    mul.parameters["constant"] = codes(b, {1}, 5.0, 6.0);
    layer(b, "IntegerTable", "table", {{"table", Ints{3, 1, -4, 1, -5, 9, 2, -6, 5}}, {"first", I{-4}}});
    layer(b, "IntegerRescale", "rescale", factors(1, 0));
    auto& sum = layer(b, "IntegerSum", "sum", factors(1, 1));
    sum.attributes.merge(AttributeMap{{"axes", Ints{0}}, {"keepdims", true}});
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("integer_tensor_product", {2, 3}, "fixed<6,3>");
    quantize(b);
    auto& einsum = layer(b, "IntegerEinsum", "einsum", factors(1, 3));
    einsum.inputs.push_back(einsum.inputs[0]);
    einsum.attributes["equation"] = std::string("ak,bk->ab");
    einsum.attributes["scales"] = std::vector<double>{kScale, kScale};
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("integer_resize", {2, 3, 1}, "fixed<6,3>");
    quantize(b);
    auto& wide = layer(b, "IntegerResize", "wide", {{"lo", I{-13}}, {"hi", I{18}}, {"zero_point", I{-3}}});
    wide.attributes.merge(AttributeMap{{"shape", Ints{3, 4}}, {"half_pixel", true}});
    auto& narrow = layer(b, "IntegerResize", "narrow", {{"lo", I{-13}}, {"hi", I{18}}});
    narrow.attributes.merge(AttributeMap{{"shape", Ints{2, 3}}, {"align_corners", true}});
    out.push_back(b.done(layers::Word::Exact));
  }
  for (const char* kernel : {"interpreter", "micro"}) {
    const bool micro = std::string(kernel) == "micro";
    Builder b(std::string("integer_lstm_") + kernel, {2, 2}, "fixed<6,3>");
    quantize(b);
    auto& lstm = layer(b, "IntegerLstm", "lstm", {{"kernel", std::string(kernel)}, {"cell_power", I{-11}}});
    // Gates of some hundreds of codes, so that tables stay small in every backend; a result of 5 bits.
    Ints mantissas{1 << 30,    1300000000, 1500000000, 1700000000, 1100000000,
                   1200000000, 1 << 30,    1400000000, 1600000000};
    Ints shifts{2, 2, 2, 2, 3, 3, 3, 3, -17};
    if (micro) {
      mantissas.insert(mantissas.end(), {1 << 30, 1 << 30});
      shifts.insert(shifts.end(), {-14, -18});
    }
    lstm.attributes.merge(
        AttributeMap{{"multipliers", mantissas}, {"shifts", shifts}, {"lo", I{-13}}, {"hi", I{18}}, {"clip", I{9}}});
    lstm.parameters["kernel"] = codes(b, {2, 8}, -7.9, 7.9);
    lstm.parameters["recurrent_kernel"] = codes(b, {2, 8}, -7.9, 7.9);
    lstm.parameters["bias"] = codes(b, {8}, -9.0, 9.0);
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("integer_softmax", {3}, "fixed<6,3>");
    quantize(b);
    layer(b, "IntegerSoftmax", "softmax",
          {{"multipliers", Ints{1234567890}}, {"shifts", Ints{25}}, {"lo", I{0}}, {"hi", I{255}}});
    out.push_back(b.done(layers::Word::Exact));
  }
}

}  // namespace weft::conformance
