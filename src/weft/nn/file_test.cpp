// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "weft/nn/graph.h"

namespace weft::nn {
namespace {

Graph sample() {
  Graph g;
  g.name = "net";
  g.file = "net.h5";
  g.framework = Framework::Onnx;
  const auto x = g.add_tensor("x", {3});
  const auto y = g.add_tensor("y", {2});
  Node node;
  node.name = "fc/1";
  node.op = "Dense";
  node.attributes = {{"a", true},
                     {"b", std::int64_t{-4}},
                     {"c", 0.1},
                     {"d", std::string("t")},
                     {"e", std::vector<std::int64_t>{1, 2}},
                     {"f", std::vector<double>{0.5, 1e-30}}};
  node.inputs = {x};
  node.outputs = {y};
  Parameter kernel;
  kernel.values = FloatTensor({3, 2}, {0.1F, 2, 3, 4, 5, -6});
  kernel.quantized = quantizers::Quantized{kernel.values, IntTensor({3, 2}, {1, 2, 3, 4, 5, -6}),
                                           Scale(std::vector<Rational>{Rational(1, 3), Rational(5)})};
  node.parameters["kernel"] = kernel;
  Parameter bias;
  bias.values = FloatTensor({2}, {1, 2});
  bias.quantizer = quantizers::Spec{"quantized_bits", {{"bits", std::int64_t{6}}, {"alpha", std::string("auto")}}};
  node.parameters["bias"] = bias;
  node.functions["activation"] = {"relu", {{"threshold", 0.0}}};
  node.origin = {"net.h5", "fc/1", "Gemm", ""};
  g.nodes.push_back(node);
  g.inputs = {{"x", x}};
  g.outputs = {{"y", y}};
  return g;
}

TEST(WeftFile, RoundTripsByteForByte) {
  diag::Engine engine;
  Context ctx{engine};
  const auto bytes = save(sample(), {{"exact.txt", "hello"}}, ctx);
  ASSERT_TRUE(bytes.ok());
  const auto loaded = load(*bytes, "net.weft", ctx);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->extra.at("exact.txt"), "hello");
  const auto& node = loaded->graph.nodes.at(0);
  EXPECT_EQ(node.attributes, sample().nodes[0].attributes);
  EXPECT_EQ(node.parameters.at("kernel").quantized->scale, sample().nodes[0].parameters.at("kernel").quantized->scale);
  EXPECT_EQ(node.parameters.at("bias").quantizer, sample().nodes[0].parameters.at("bias").quantizer);
  EXPECT_EQ(*save(loaded->graph, loaded->extra, ctx), *bytes);
}

TEST(WeftFile, DamagedFilesAreDiagnostics) {
  diag::Engine engine;
  Context ctx{engine};
  const auto bytes = save(sample(), {}, ctx);
  ASSERT_TRUE(bytes.ok());
  for (std::size_t cut = 0; cut < bytes->size(); cut += 7) {
    diag::Engine e;
    Context c{e};
    const auto loaded = load(bytes->substr(0, cut), "cut.weft", c);
    EXPECT_FALSE(loaded.ok()) << cut;
    EXPECT_TRUE(e.has_errors()) << cut;
  }
}

}  // namespace
}  // namespace weft::nn
