// SPDX-License-Identifier: Apache-2.0
// Plain functions in front of a quantizer and with chosen types, softmax and normalizations along any axis.
#include "builder.h"

namespace weft::conformance {
namespace {

using Ints = std::vector<std::int64_t>;

fixed::TypeSpec type(const std::string& text) {
  std::string error;
  return fixed::parse_type(text, true, error).value();
}

/// x -> function -> quantizer, on every code of a narrow input.
Case quantized(const std::string& name, const Spec& function, layers::Word word) {
  Builder b("function_" + name, {2, 3}, "fixed<7,4>");
  b.activation("function", function);
  b.activation("quantizer", Builder::bits(7, 3));
  return b.done(word);
}

nn::Node& norm(Builder& b, const std::string& statistic, Ints axes, double epsilon) {
  auto& n = b.node("LayerNorm", "norm");
  n.attributes = {{"axes", std::move(axes)}, {"epsilon", epsilon}, {"statistic", statistic}};
  return n;
}

}  // namespace

void add_function_cases(std::vector<Case>& out) {
  for (const char* family : {"abs", "ceil", "floor", "floor_divide", "modulo", "hard_shrink", "hard_swish", "negative",
                             "round", "soft_shrink", "sparse_plus", "sparse_sigmoid", "square", "threshold"})
    out.push_back(quantized(family, Builder::spec(family, {}), layers::Word::Exact));
  for (const char* family : {"atan", "celu", "erf", "log_sigmoid", "mish", "tanh_shrink", "sinh", "erfc", "expm1"})
    out.push_back(quantized(family, Builder::spec(family, {}), layers::Word::Exact));
  out.push_back(quantized("prelu_channels", Builder::spec("prelu", {{"alpha", std::vector<double>{0.3, -1.5, 0.0}}}),
                          layers::Word::Exact));
  out.push_back(quantized("table",
                          Builder::spec("table", {{"x", std::vector<double>{-3.0, -0.5, 0.0, 2.5}},
                                                  {"y", std::vector<double>{1.0, -2.0, 0.25, 3.0}}}),
                          layers::Word::Exact));
  {
    // Slopes per element: the numbers get a type of their own.
    Builder b("function_prelu_elements", {2, 3}, "fixed<7,3>");
    b.activation("function", Builder::spec("prelu", {{"alpha", std::vector<double>{0.5, -1.5, 0.0, 0.25, 2.0, 1.0}}}));
    b.dense("fc", 3, 2, nullptr);
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    // A 20-bit result of a 20-bit input: straight lines.
    Builder b("function_straight_lines", {4}, "fixed<20,5>");
    b.activation("gelu", Builder::spec("gelu", {}));
    b.options().config.layer_name["gelu"].precision["result"] = type("fixed<20,5>");
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    Builder b("function_few_steps", {4}, "fixed<12,4>");
    b.activation("tanh", Builder::spec("tanh", {}));
    b.options().config.layer_name["tanh"].precision["result"] = type("fixed<12,2>");
    b.options().config.layer_name["tanh"].steps = 32;
    out.push_back(b.done(layers::Word::Quantized));
  }
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const std::int64_t axis : {0, 1, 2}) {
      Builder b(std::string(op) + "_axis_" + std::to_string(axis), {2, 3, 2}, "fixed<8,4>");
      b.node(op, "softmax").attributes = {{"axis", axis}};
      b.options().config.layer_name["softmax"].softmax = "table";
      b.options().config.layer_name["softmax"].precision["result"] = type("fixed<14,6>");
      out.push_back(b.done(layers::Word::Quantized));
    }
    Builder b(std::string(op) + "_wide", {5}, "fixed<24,8>");
    b.node(op, "softmax").attributes = {{"axis", std::int64_t{-1}}};
    b.options().config.layer_name["softmax"].softmax = "table";
    b.options().config.layer_name["softmax"].precision["result"] = type("fixed<18,10>");
    out.push_back(b.done(layers::Word::Quantized));
  }
  const auto finish = [&](Builder& b, const std::string& result) {
    b.options().config.layer_name["norm"].precision["result"] = type(result);
    out.push_back(b.done(layers::Word::Quantized));
  };
  for (const char* statistic : {"variance", "mean_square", "sum_square", "sum_abs"}) {
    {
      Builder b(std::string("norm_") + statistic, {3, 4}, "fixed<8,4>");
      auto& n = norm(b, statistic, {1}, 1e-3);
      n.parameters["gamma"].values = b.tensor({4}, -1.5, 1.5);
      n.parameters["beta"].values = b.tensor({4}, -1.0, 1.0);
      finish(b, "fixed<14,5>");
    }
    {
      Builder b(std::string("norm_wide_") + statistic, {12}, "fixed<28,12>");
      norm(b, statistic, {0}, 1e-3);
      finish(b, "fixed<16,5>");
    }
  }
  {
    Builder b("norm_large_epsilon", {6}, "fixed<30,2>");
    norm(b, "variance", {0}, 0.5);
    finish(b, "fixed<16,4>");
  }
  {
    Builder b("norm_groups", {2, 2, 6}, "fixed<8,4>");
    auto& n = norm(b, "variance", {0, 1, 2}, 1e-5);
    n.attributes["groups"] = std::int64_t{3};
    n.parameters["gamma"].values = b.tensor({6}, -1.5, 1.5);
    finish(b, "fixed<14,5>");
  }
  {
    Builder b("norm_instance", {2, 3, 2}, "fixed<8,4>");
    norm(b, "variance", {0, 1}, 1e-5).attributes["form"] = std::string("keras");
    finish(b, "fixed<14,5>");
  }
}

}  // namespace weft::conformance
