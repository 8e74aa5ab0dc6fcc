// SPDX-License-Identifier: Apache-2.0
// Small models, whole and damaged. What they compute is compared in tests/golden and tests/interop.
#include "weft/formats/tflite/tflite.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "tests/paths/paths.h"
#include "weft/layers/layer.h"
#include "weft/support/files.h"

namespace weft::formats::tflite {
namespace {

std::map<std::string, std::string> seeds() {
  std::map<std::string, std::string> out;
  diag::Engine engine;
  Context ctx{engine};
  const auto folder = test::source_dir() / "tests/fuzz/corpus/tflite";
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (const auto bytes = support::read_file(entry.path(), ctx)) out[entry.path().filename().string()] = *bytes;
  return out;
}

TEST(Tflite, SmallModelsAreRead) {
  const auto all = seeds();
  ASSERT_FALSE(all.empty());
  for (const auto& [name, bytes] : all) {
    diag::Engine engine;
    Context ctx{engine};
    ASSERT_TRUE(looks_like_tflite(bytes)) << name;
    auto graph = read_tflite_bytes(bytes, name, ctx);
    ASSERT_TRUE(graph.ok()) << name;
    EXPECT_TRUE(layers::check(*graph, ctx).ok()) << name;
    EXPECT_EQ(graph->inputs.size(), 1U);
  }
}

TEST(Tflite, DamageIsReportedNotFollowed) {
  for (const auto& [name, bytes] : seeds()) {
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
      for (const std::string& damaged : {bytes.substr(0, i), bytes.substr(0, i) + "\xff" + bytes.substr(i + 1)}) {
        diag::Engine engine;
        Context ctx{engine};
        auto graph = read_tflite_bytes(damaged, name, ctx);
        const bool ok = graph.ok() && layers::check(*graph, ctx).ok();
        EXPECT_EQ(ok, !engine.has_errors()) << name << " byte " << i;
      }
    }
  }
}

TEST(Tflite, OtherFilesAreNoModels) {
  diag::Engine engine;
  Context ctx{engine};
  EXPECT_FALSE(looks_like_tflite("TFL3"));
  EXPECT_FALSE(read_tflite_bytes("something else", "x.tflite", ctx).ok());
  EXPECT_TRUE(engine.has_errors());
}

}  // namespace
}  // namespace weft::formats::tflite
