// SPDX-License-Identifier: Apache-2.0
// Frozen graphs and indices of variables: the seeds of the fuzz target, whole and damaged.
#include "weft/formats/tensorflow/tensorflow.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/paths/paths.h"
#include "weft/formats/tensorflow/bundle.h"
#include "weft/layers/float_run.h"
#include "weft/support/files.h"

namespace weft::formats::tensorflow {
namespace {

std::string seed(const std::string& name) {
  diag::Engine engine;
  Context ctx{engine};
  const auto bytes = support::read_file(test::source_dir() / "tests/fuzz/corpus/tensorflow" / name, ctx);
  return bytes ? *bytes : std::string();
}

TEST(Tensorflow, FrozenGraph) {
  const std::string bytes = seed("graph.pb");
  ASSERT_TRUE(looks_like_graph(bytes));
  EXPECT_FALSE(looks_like_saved_model(bytes));
  diag::Engine engine;
  Context ctx{engine};
  auto graph = read_graph_bytes(bytes, "graph.pb", ctx);
  ASSERT_TRUE(graph.ok());
  ASSERT_TRUE(layers::check(*graph, ctx).ok());
  ASSERT_EQ(graph->inputs.size(), 1U);
  ASSERT_EQ(graph->outputs.size(), 1U);
  EXPECT_EQ(graph->outputs[0].name, "y");
  // w holds i / 8 in rows of two, b is (0.5, -0.5); the BiasAdd is part of the product.
  EXPECT_EQ(graph->nodes.size(), 2U);
  const auto run = layers::run_float(*graph, {{1.0F, 0.0F, -1.0F, 2.0F, -8.0F, 0.0F, 0.0F, 0.0F}}, 2, ctx);
  ASSERT_TRUE(run.ok());
  const std::vector<float> expected{1.5F, 0.75F, 0.5F, 0.0F};
  EXPECT_EQ((*run)[graph->outputs[0].tensor.index], expected);
}

TEST(Tensorflow, DamagedGraphsAreRefused) {
  const std::string bytes = seed("graph.pb");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    diag::Engine engine;
    Context ctx{engine};
    const auto graph = read_graph_bytes(bytes.substr(0, size), "graph.pb", ctx);
    // A cut between two nodes is a graph again: without its last nodes.
    EXPECT_EQ(graph.ok(), !engine.has_errors()) << size;
  }
}

TEST(Tensorflow, IndexOfVariables) {
  const std::string bytes = seed("variables.index");
  diag::Engine engine;
  Context ctx{engine};
  const auto bundle = read_bundle(bytes, "model", ctx);
  ASSERT_TRUE(bundle.ok());
  ASSERT_EQ(bundle->entries.count("v"), 1U);
  const auto& entry = bundle->entries.at("v");
  EXPECT_EQ(entry.type, kFloat);
  EXPECT_EQ(entry.shape, (Shape{2}));
  EXPECT_EQ(entry.size, 8U);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    diag::Engine own;
    Context own_ctx{own};
    const auto result = read_bundle(damaged, "model", own_ctx);
    EXPECT_EQ(result.ok(), !own.has_errors()) << i;
    // All but the padding of the footer and the unused first handle is covered by checksums.
    if (i < bytes.size() - 48) {
      EXPECT_FALSE(result.ok()) << i;
    }
  }
}

TEST(Tensorflow, ChecksumsAndSnappy) {
  // The check value of CRC-32C (RFC 3720, B.4 has others).
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  // A literal "abc" and a copy of 6 bytes from 3 back.
  const std::string packed(
      "\x09\x08"
      "abc"
      "\x09\x03",
      7);
  EXPECT_EQ(unpack_snappy(packed, 100), "abcabcabc");
  EXPECT_FALSE(unpack_snappy(packed, 8).has_value());
  EXPECT_FALSE(unpack_snappy(packed.substr(0, 6), 100).has_value());
  EXPECT_FALSE(unpack_snappy(std::string("\x09\x08"
                                         "abc"
                                         "\x09\x04",
                                         7),
                             100)
                   .has_value());
}

}  // namespace
}  // namespace weft::formats::tensorflow
