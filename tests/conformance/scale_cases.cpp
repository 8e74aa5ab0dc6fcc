// SPDX-License-Identifier: Apache-2.0
// Scales, pending arithmetic and bounds per output channel whose channels leave the last axis, as channels-first
// sources have them: to outputs, quantizers, products, sums and comparisons.
#include "builder.h"

namespace weft::conformance {
namespace {

using I = std::int64_t;
using Ints = std::vector<I>;

/// Weights of 4 bits with a scale per output channel: powers of two, or any.
nn::Node& scaled_conv(Builder& b, bool dyadic) {
  auto& n = b.node("Conv", "conv");
  n.attributes = {{"strides", Ints{1, 1}}, {"dilations", Ints{1, 1}}, {"padding", std::string("valid")}};
  n.parameters["kernel"].values = b.tensor({2, 2, 2, 3}, -1.0, 1.0);
  n.parameters["kernel"].quantizer = Builder::spec(
      "qonnx_quant", {{"scale", dyadic ? std::vector<double>{0.25, 0.125, 0.5} : std::vector<double>{0.3, 0.17, 0.26}},
                      {"bits", 4.0}});
  return n;
}

Builder first(const std::string& name, bool dyadic) {
  Builder b("scales_" + name + (dyadic ? "_dyadic" : "_any"), {4, 3, 2}, "fixed<6,2>");
  scaled_conv(b, dyadic);
  return b;
}

void turn(Builder& b) { b.node("Permute", "channels_first").attributes = {{"permutation", Ints{2, 0, 1}}}; }

}  // namespace

void add_scale_cases(std::vector<Case>& out) {
  using layers::Word;
  for (const bool dyadic : {true, false}) {
    const Word sums = dyadic ? Word::Exact : Word::FloatOrder;
    {
      Builder b = first("output", dyadic);
      turn(b);
      out.push_back(b.done(sums));
    }
    {
      // Arithmetic per channel waits behind the sums.
      Builder b = first("affine", dyadic);
      auto& bn = b.node("BatchNorm", "bn");
      bn.attributes = {{"epsilon", 0.0}, {"form", std::string("onnx")}};
      bn.parameters["mean"].values = FloatTensor({3}, {0.5F, -0.25F, 1.0F});
      bn.parameters["variance"].values = FloatTensor({3}, {4.0F, 0.3F, 0.7F});
      turn(b);
      b.node("Reshape", "flat").attributes = {{"shape", Ints{18}}};
      out.push_back(b.done(sums));
    }
    if (dyadic) {
      // Off the dyadic grid float32 sums differ in their last bits, though no code behind the quantizer does.
      Builder b = first("quantizer", dyadic);
      turn(b);
      b.activation("act", Builder::bits(9, 2));
      out.push_back(b.done(Word::Exact));
    }
    {
      Builder b = first("padded", dyadic);
      turn(b);
      b.node("Pad", "pad").attributes = {{"before", Ints{0, 1, 0}}, {"after", Ints{1, 0, 1}}};
      b.node("Slice", "cut").attributes = {{"begin", Ints{1, 0, 0}}, {"end", Ints{4, 4, 3}}, {"step", Ints{1, 2, 1}}};
      out.push_back(b.done(sums));
    }
    {
      Builder b = first("product", dyadic);
      turn(b);
      b.node("Reshape", "flat").attributes = {{"shape", Ints{18}}};
      const Spec four = Builder::bits(4, 0);
      b.dense("fc", 18, 2, &four);
      out.push_back(b.done(sums));
    }
    {
      Builder b = first("reduced", dyadic);
      turn(b);
      b.node("ReduceSum", "sums").attributes = {{"axes", Ints{0, 2}}, {"keepdims", false}};
      out.push_back(b.done(sums));
    }
    {
      Builder b = first("largest", dyadic);
      b.node("ArgMax", "place").attributes = {{"k", I{1}}, {"keepdims", false}};
      out.push_back(b.done(sums));
    }
  }
}

}  // namespace weft::conformance
