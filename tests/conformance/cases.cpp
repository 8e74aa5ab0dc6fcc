// SPDX-License-Identifier: Apache-2.0
#include "cases.h"

#include "builder.h"
#include "weft/layers/layer.h"

namespace weft::conformance {
namespace {

Case plain_dense(const std::string& name, const Spec& kernel, const Spec& activation, layers::Word word) {
  Builder b(name, {6}, "fixed<6,2>");
  const Spec bias = Builder::bits(6, 1);
  b.dense("fc1", 6, 5, &kernel, &bias);
  b.activation("act1", activation);
  const Spec second = Builder::bits(4, 0);
  b.dense("fc2", 5, 3, &second, &bias);
  return b.done(word);
}

void add_activation_cases(std::vector<Case>& out) {
  const Spec kernel = Builder::bits(5, 0);
  const auto add = [&](const std::string& name, const Spec& activation) {
    out.push_back(plain_dense("act_" + name, kernel, activation, layers::Word::Exact));
  };
  using I = std::int64_t;
  add("quantized_bits", Builder::bits(5, 1));
  add("quantized_bits_symmetric",
      Builder::spec("quantized_bits", {{"bits", I{4}}, {"integer", I{1}}, {"symmetric", I{1}}, {"alpha", 1.0}}));
  add("quantized_bits_unsigned",
      Builder::spec("quantized_bits", {{"bits", I{4}}, {"integer", I{1}}, {"keep_negative", I{0}}, {"alpha", 1.0}}));
  add("quantized_linear", Builder::spec("quantized_linear", {{"bits", I{4}}, {"integer", I{1}}, {"alpha", 1.0}}));
  add("quantized_relu", Builder::relu_bits(4, 1));
  add("quantized_relu_wide", Builder::relu_bits(8, 3));
  add("quantized_relu_slope",
      Builder::spec("quantized_relu", {{"bits", I{5}}, {"integer", I{1}}, {"negative_slope", 0.25}}));
  add("quantized_relu_sigmoid",
      Builder::spec("quantized_relu", {{"bits", I{4}}, {"integer", I{1}}, {"use_sigmoid", I{1}}}));
  add("quantized_tanh", Builder::spec("quantized_tanh", {{"bits", I{5}}}));
  add("quantized_tanh_real", Builder::spec("quantized_tanh", {{"bits", I{5}}, {"use_real_tanh", true}}));
  add("quantized_sigmoid", Builder::spec("quantized_sigmoid", {{"bits", I{5}}}));
  add("quantized_hswish", Builder::spec("quantized_hswish", {{"bits", I{5}}, {"integer", I{1}}, {"alpha", 1.0}}));
  add("quantized_po2", Builder::spec("quantized_po2", {{"bits", I{3}}, {"max_value", 2.0}}));
  add("quantized_relu_po2", Builder::spec("quantized_relu_po2", {{"bits", I{3}}, {"max_value", 2.0}}));
  add("binary", Builder::spec("binary", {{"alpha", 1.0}}));
  add("ternary", Builder::spec("ternary", {{"alpha", 1.0}}));
  add("bipolar_quant", Builder::spec("bipolar_quant", {{"scale", std::vector<double>{1.0}}}));
  add("sign", Builder::spec("sign", {}));
  add("qonnx_floor", Builder::spec("qonnx_quant", {{"scale", std::vector<double>{0.25}},
                                                   {"zero_point", std::vector<double>{0.0}},
                                                   {"bits", 4.0},
                                                   {"signed", true},
                                                   {"narrow", false},
                                                   {"rounding", std::string("FLOOR")}}));
  add("qonnx_per_channel", Builder::spec("qonnx_quant", {{"scale", std::vector<double>{0.25, 0.5, 0.125, 1.0, 0.25}},
                                                         {"zero_point", std::vector<double>{0.0}},
                                                         {"bits", 4.0},
                                                         {"signed", true},
                                                         {"narrow", true},
                                                         {"rounding", std::string("ROUND")}}));
  add("multithreshold", Builder::spec("multithreshold", {{"thresholds", std::vector<double>{-1.0, 0.25, 1.5}},
                                                         {"channels", I{1}},
                                                         {"out_scale", 1.0},
                                                         {"out_bias", -1.0}}));
}

void add_kernel_cases(std::vector<Case>& out) {
  using I = std::int64_t;
  const Spec act = Builder::relu_bits(4, 1);
  const auto add = [&](const std::string& name, const Spec& kernel, layers::Word word) {
    out.push_back(plain_dense("kernel_" + name, kernel, act, word));
  };
  add("binary", Builder::spec("binary", {{"alpha", 1.0}}), layers::Word::Exact);
  add("ternary", Builder::spec("ternary", {{"alpha", 1.0}}), layers::Word::Exact);
  add("po2", Builder::spec("quantized_po2", {{"bits", I{3}}, {"max_value", 1.0}}), layers::Word::Exact);
  add("auto_po2",
      Builder::spec("quantized_bits",
                    {{"bits", I{4}}, {"integer", I{0}}, {"symmetric", I{1}}, {"alpha", std::string("auto_po2")}}),
      layers::Word::Exact);
}

std::vector<Case> make_cases() {
  std::vector<Case> out;
  add_activation_cases(out);
  add_kernel_cases(out);
  const Spec kernel = Builder::bits(5, 0);
  const Spec act = Builder::relu_bits(4, 1);
  {
    Builder b("batch_norm_before_quantizer", {4}, "fixed<6,2>");
    b.dense("fc", 4, 3, &kernel);
    auto& bn = b.node("BatchNorm", "bn");
    bn.attributes = {{"epsilon", 1e-3}, {"form", std::string("keras")}, {"inverse", std::string("rsqrt")}};
    for (const char* role : {"gamma", "beta", "mean"}) bn.parameters[role].values = b.tensor({3}, -1.0, 1.0);
    bn.parameters["variance"].values = b.tensor({3}, 0.25, 2.0);
    b.activation("act", act);
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("dense_batchnorm", {4}, "fixed<6,2>");
    auto& n = b.node("DenseBatchnorm", "fc");
    n.attributes = {{"epsilon", 1e-3}, {"inverse", std::string("rsqrt")}};
    n.parameters["kernel"].values = b.tensor({4, 3}, -1.0, 1.0);
    n.parameters["kernel"].quantizer = kernel;
    for (const char* role : {"bias", "gamma", "beta", "mean"}) n.parameters[role].values = b.tensor({3}, -1.0, 1.0);
    n.parameters["bias"].quantizer = kernel;
    n.parameters["variance"].values = b.tensor({3}, 0.25, 2.0);
    n.functions["activation"] = act;
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("rescaling_and_reshape", {2, 3}, "ufixed<6,2>");
    auto& r = b.node("Rescaling", "rescale");
    r.parameters["scale"].values = FloatTensor({}, {2.0F});
    r.parameters["offset"].values = FloatTensor({}, {-1.0F});
    b.node("Permute", "permute").attributes = {{"permutation", std::vector<std::int64_t>{1, 0}}};
    b.node("Reshape", "flatten").attributes = {{"shape", std::vector<std::int64_t>{6}}};
    b.node("Identity", "dropout");
    b.dense("fc", 6, 3, &kernel);
    b.activation("act", act);
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("normalization_before_quantizer", {4}, "fixed<8,3>");
    auto& n = b.node("Normalization", "norm");
    n.parameters["mean"].values = b.tensor({4}, -1.0, 1.0);
    n.parameters["variance"].values = b.tensor({4}, 0.25, 2.0);
    b.activation("act", Builder::bits(5, 1));
    b.dense("fc", 4, 2, &kernel);
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("elementwise_constants", {4}, "fixed<6,2>");
    for (const auto& [op, c] :
         std::vector<std::pair<std::string, float>>{{"Mul", 0.75F}, {"Sub", 0.3F}, {"Div", 1.7F}, {"Add", 0.1F}}) {
      b.node(op, op).parameters["constant"].values = FloatTensor({4}, {c, c * 0.5F, c * 2.0F, c});
    }
    b.activation("quant", Builder::bits(5, 1));
    auto& pow = b.node("Pow", "square");
    pow.parameters["constant"].values = FloatTensor({}, {2.0F});
    b.activation("quant2", Builder::relu_bits(5, 2));
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("two_branches", {4}, "fixed<6,2>");
    const auto x = b.last();
    b.dense("left", 4, 3, &kernel);
    b.activation("left_act", act);
    const auto left = b.last();
    b.set_last(x);
    b.dense("right", 4, 3, &kernel);
    b.activation("right_act", Builder::bits(5, 1));
    auto right = b.last();
    b.node("Add", "sum").inputs = {left, right};
    auto sum = b.last();
    b.node("Sub", "difference").inputs = {sum, left};
    auto difference = b.last();
    b.node("Mul", "product").inputs = {difference, right};
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("argmax", {4}, "fixed<6,2>");
    b.dense("fc", 4, 5, &kernel);
    auto& n = b.node("ArgMax", "top");
    n.attributes = {{"k", std::int64_t{2}}, {"keepdims", true}};
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("softmax_left_to_the_host", {4}, "fixed<6,2>");
    b.dense("fc", 4, 3, &kernel);
    b.node("Softmax", "softmax").attributes = {{"axis", std::int64_t{-1}}};
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    Builder b("softmax_table", {4}, "fixed<6,2>");
    b.dense("fc", 4, 3, &kernel);
    b.node("Softmax", "softmax").attributes = {{"axis", std::int64_t{-1}}};
    b.options().config.layer_name["softmax"].softmax = "table";
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    Builder b("float_network", {4}, "fixed<8,3>");
    b.dense("fc1", 4, 4, nullptr).functions["activation"] = Builder::spec("relu", {});
    b.dense("fc2", 4, 2, nullptr);
    b.options().default_type = {10, 4, true};
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    Builder b("forced_accumulator", {4}, "fixed<6,2>");
    b.dense("fc", 4, 3, &kernel);
    std::string error;
    b.options().config.layer_name["fc"].precision["accum"] =
        fixed::parse_type("fixed<7,3,TRN,WRAP>", true, error).value();
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    Builder b("bipolar_input", {5}, "bipolar");
    const Spec binary = Builder::spec("binary", {{"alpha", 1.0}});
    auto& n = b.node("Dense", "fc");
    n.parameters["kernel"].values = b.tensor({5, 3}, -1.0, 1.0);
    n.parameters["kernel"].quantizer = binary;
    b.activation("act", binary);
    out.push_back(b.done(layers::Word::Exact));
  }
  add_spatial_cases(out);
  add_merge_cases(out);
  add_function_cases(out);
  add_hgq_cases(out);
  add_integer_cases(out);
  add_recurrent_cases(out);
  add_forest_cases(out);
  add_scale_cases(out);
  add_tensor_cases(out);
  return out;
}

}  // namespace

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = make_cases();
  return cases;
}

}  // namespace weft::conformance
