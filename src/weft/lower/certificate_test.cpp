// SPDX-License-Identifier: Apache-2.0
// What the framework's kernels and its straight-through form do to the certificate.
#include <gtest/gtest.h>

#include <cmath>

#include "weft/layers/layer.h"
#include "weft/lower/lower.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/quantizer.h"

namespace weft::lower {
namespace {

/// A chain of layers on one input x.
class Chain {
 public:
  explicit Chain(std::int64_t width) {
    graph_.name = "net";
    graph_.file = "net.h5";
    last_ = graph_.add_tensor("x", {width});
    graph_.inputs = {{"x", last_}};
  }
  nn::Node& add(const std::string& op, const std::string& name) {
    nn::Node n;
    n.name = name;
    n.op = op;
    n.origin = {graph_.file, name, op, ""};
    n.inputs = {last_};
    last_ = graph_.add_tensor(name, {});
    n.outputs = {last_};
    graph_.nodes.push_back(std::move(n));
    return graph_.nodes.back();
  }
  Chain& activation(const std::string& name, const std::string& text) {
    add("Activation", name).functions["activation"] = parse(text);
    return *this;
  }
  quantizers::Spec parse(const std::string& text) {
    diag::Engine engine;
    Context ctx{engine};
    auto spec = quantizers::parse_text(text, {}, ctx);
    EXPECT_TRUE(spec.ok()) << text;
    return *spec;
  }
  /// Certificate by layer.
  std::map<std::string, layers::LayerCertificate> certify(const std::string& input_type) {
    graph_.outputs = {{"y", last_}};
    diag::Engine engine;
    Context ctx{engine};
    Options options;
    std::string error;
    const auto type = fixed::parse_type(input_type, true, error);
    EXPECT_TRUE(type.has_value()) << error;
    if (type) options.input_types[""] = *type;
    std::map<std::string, layers::LayerCertificate> out;
    const bool good = layers::check(graph_, ctx).ok();
    const auto lowered = good ? lower(graph_, options, ctx) : Result<Lowered>(diag::failure);
    for (const auto& d : engine.all()) EXPECT_NE(d.severity, diag::Severity::Error) << diag::to_text(d);
    EXPECT_TRUE(lowered.ok());
    if (lowered)
      for (const auto& c : lowered->certificate) out[c.layer] = c;
    return out;
  }

 private:
  nn::Graph graph_;
  nn::TensorId last_{};
};

std::string notes(const layers::LayerCertificate& c) {
  std::string all;
  for (const auto& n : c.notes) all += n + "\n";
  return all;
}

TEST(Certificate, PowersOfTwoAreExactOnACoarseGridOnly) {
  const auto coarse = Chain(1).activation("q", "quantized_po2(4)").certify("fixed<12,4>").at("q");
  EXPECT_EQ(coarse.word, layers::Word::Exact) << notes(coarse);
  const auto fine = Chain(1).activation("q", "quantized_po2(4)").certify("fixed<24,2>").at("q");
  EXPECT_EQ(fine.word, layers::Word::FloatOrder);
  // All codes, one by one: exponents -4 to 3, decided by a logarithm that may be off.
  std::uint64_t expected = 0;
  for (std::int64_t code = 1; code < (1 << 23); ++code) {
    const float x = std::ldexp(static_cast<float>(code), -22);
    if (x < quantizers::kEpsilon) continue;
    const auto exponent = [&](int ulps) {
      const float log = quantizers::moved(quantizers::log_f32(x), ulps) / quantizers::kLn2;
      return std::clamp(std::nearbyint(log), -4.0F, 3.0F);
    };
    if (exponent(-quantizers::kKernelUlps) != exponent(0) || exponent(quantizers::kKernelUlps) != exponent(0))
      expected += 2;  // and the negative one
  }
  EXPECT_GT(expected, 0U);
  EXPECT_EQ(fine.codes_at_risk, expected);
}

TEST(Certificate, MeansOfRoundedNumbersCount) {
  const auto mean_of_two = [](const std::string& elements) {
    Chain c(2);
    c.activation("a", elements);
    c.add("Reshape", "r").attributes["shape"] = std::vector<std::int64_t>{2, 1};
    c.add("AveragePool", "mean").attributes["pool"] = std::vector<std::int64_t>{2};
    return c.activation("q", "quantized_bits(4,0,1)").certify("fixed<8,2>");
  };
  for (const auto& [layer, c] : mean_of_two("quantized_bits(4,0,1)")) EXPECT_EQ(c.word, layers::Word::Exact) << layer;
  // The mean of two codes with the sum s is 0.15 s steps of the result: ties at s = 10 and s = -10.
  const auto fine = mean_of_two("quantized_bits(4,0,1,alpha=0.3)").at("mean");
  EXPECT_EQ(fine.word, layers::Word::FloatOrder) << notes(fine);
  EXPECT_EQ(fine.codes_at_risk, 2U);
}

TEST(Certificate, AKernelInFrontOfAQuantizerCounts) {
  const auto fine = Chain(1).activation("f", "tanh").activation("q", "quantized_bits(16,0)").certify("fixed<24,4>");
  EXPECT_EQ(fine.at("q").word, layers::Word::FloatOrder);
  EXPECT_GT(fine.at("q").codes_at_risk, 0U);
  const auto coarse = Chain(1).activation("f", "tanh").activation("q", "quantized_bits(4,0)").certify("fixed<6,3>");
  EXPECT_EQ(coarse.at("q").word, layers::Word::Exact) << notes(coarse.at("q"));
  const auto ieee =
      Chain(1).activation("f", "hard_tanh").activation("q", "quantized_bits(16,0)").certify("fixed<24,4>");
  EXPECT_EQ(ieee.at("q").word, layers::Word::Exact) << notes(ieee.at("q"));
}

TEST(Certificate, NotesWhatAnotherRsqrtCouldChange) {
  const auto with_form = [](const std::string& form) {
    Chain chain(2);
    auto& bn = chain.add("BatchNorm", "bn");
    bn.attributes = {{"epsilon", 0.001}, {"form", form}};
    bn.parameters["mean"].values = FloatTensor({2}, {0.25F, -0.3F});
    bn.parameters["variance"].values = FloatTensor({2}, {0.7F, 1.9F});
    return chain.activation("q", "quantized_bits(8,2)").certify("fixed<24,4>");
  };
  const auto keras = with_form("keras");
  EXPECT_NE(notes(keras.at("bn")).find("rsqrt"), std::string::npos);
  EXPECT_EQ(keras.at("bn").word, layers::Word::Exact);
  EXPECT_EQ(notes(with_form("onnx").at("bn")).find("rsqrt"), std::string::npos);
}

TEST(Certificate, ParametersOfABatchNormalizationAtTheirDecisionPoints) {
  const auto with_variance = [](float variance) {
    Chain chain(1);
    auto& bn = chain.add("BatchNorm", "bn");
    bn.attributes = {{"epsilon", 0.001}, {"form", std::string("keras")}};
    bn.parameters["mean"].values = FloatTensor({1}, {0.25F});
    bn.parameters["variance"].values = FloatTensor({1}, {variance});
    bn.parameters["variance"].quantizer = chain.parse("quantized_relu_po2(6,quadratic_approximation=True)");
    return chain.activation("q", "quantized_bits(8,2)").certify("fixed<8,4>").at("bn");
  };
  // log2(sqrt(0.5)) = -1/2 lies between the powers 0 and -1.
  EXPECT_EQ(with_variance(0.5F).word, layers::Word::FloatOrder);
  EXPECT_EQ(with_variance(0.9F).word, layers::Word::Exact);
}

TEST(Certificate, ScalesFromTheWeightsCarryTheFrameworksSums) {
  const auto with = [](const std::string& quantizer) {
    Chain chain(3);
    auto& dense = chain.add("Dense", "fc");
    dense.parameters["kernel"].values = FloatTensor({3, 2}, {0.31F, -0.27F, -0.11F, 0.93F, 0.57F, -0.2F});
    dense.parameters["kernel"].quantizer = chain.parse(quantizer);
    return chain.activation("q", "quantized_bits(12,2)").certify("fixed<16,2>").at("fc");
  };
  const auto automatic = with("binary(alpha='auto')");
  EXPECT_GT(automatic.bound, 0.0);
  EXPECT_GT(automatic.codes_at_risk, 0U);
  EXPECT_EQ(automatic.word, layers::Word::FloatOrder);
  EXPECT_EQ(with("binary(alpha=1)").word, layers::Word::Exact);
}

TEST(Certificate, TheStraightThroughFormLosesBitsFarOutside) {
  EXPECT_EQ(Chain(1).activation("q", "quantized_bits(6,0)").certify("fixed<16,6>").at("q").word, layers::Word::Exact);
  const auto far = Chain(1).activation("q", "quantized_bits(6,0)").certify("fixed<40,32>").at("q");
  EXPECT_EQ(far.word, layers::Word::FloatOrder);
}

}  // namespace
}  // namespace weft::lower
