// SPDX-License-Identifier: Apache-2.0
// Models and predictions of the libraries themselves: margins are equal, to the last bit.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

#include "tests/paths/paths.h"
#include "weft/formats/trees/trees.h"
#include "weft/layers/float_run.h"
#include "weft/layers/forest.h"
#include "weft/layers/layer.h"
#include "weft/support/arrays.h"

namespace weft::formats::trees {
namespace {

namespace fs = std::filesystem;

class TreeData : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = test::data_dir() / "models/trees";
    if (!fs::exists(folder_)) GTEST_SKIP() << "no " << folder_;
  }

  nn::Graph read(const std::string& name) {
    diag::Engine engine;
    Context ctx{engine};
    auto graph = read_trees(folder_ / name, ctx);
    if (graph) {
      const auto fits = layers::check(*graph, ctx);
      EXPECT_TRUE(fits.ok()) << name;
    }
    for (const auto& d : engine.all())
      if (d.severity == diag::Severity::Error) ADD_FAILURE() << diag::to_text(d);
    return graph ? std::move(*graph) : nn::Graph{};
  }
  std::map<std::string, support::Array> golden(const std::string& name) {
    diag::Engine engine;
    Context ctx{engine};
    auto arrays = support::read_arrays(folder_ / name, ctx);
    EXPECT_TRUE(arrays.ok());
    return arrays ? std::move(*arrays) : std::map<std::string, support::Array>{};
  }
  static std::vector<float> floats(const support::Array& array) {
    if (const auto* f = std::get_if<std::vector<float>>(&array.data)) return *f;
    const auto& n = std::get<std::vector<std::int64_t>>(array.data);
    return {n.begin(), n.end()};
  }
  /// Results of the layers named.
  std::map<std::string, std::vector<float>> run(const nn::Graph& graph, const std::vector<float>& x,
                                                std::int64_t rows) {
    diag::Engine engine;
    Context ctx{engine};
    std::map<std::string, std::vector<float>> out;
    auto tensors = layers::run_float(graph, {x}, rows, ctx);
    EXPECT_TRUE(tensors.ok());
    if (!tensors) return out;
    for (const auto& node : graph.nodes) out[node.name] = (*tensors)[node.outputs[0].index];
    return out;
  }
  static void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-6) << i;
  }

  fs::path folder_;
};

TEST_F(TreeData, HiggsMarginsAreEqual) {
  const auto arrays = golden("xgb174_higgs_d4_n20_golden.npz");
  const auto got = run(read("xgb174_higgs_d4_n20.json"), floats(arrays.at("x")), 375);
  EXPECT_EQ(got.at("trees"), floats(arrays.at("margin")));
  expect_near(got.at("objective"), floats(arrays.at("prob")));
}

TEST_F(TreeData, OptdigitsMarginsOfTenClassesAreEqual) {
  const auto arrays = golden("xgb174_optdigits_d3_n8_golden.npz");
  const auto got = run(read("xgb174_optdigits_d3_n8.json"), floats(arrays.at("x")), 1347);
  EXPECT_EQ(got.at("trees"), floats(arrays.at("margin")));
  expect_near(got.at("objective"), floats(arrays.at("prob")));
}

TEST_F(TreeData, MushroomGoesWhereMissingValuesGoInAllThreeFormats) {
  const auto arrays = golden("xgb_mushroom_golden.npz");
  std::vector<float> x = floats(arrays.at("x_present"));
  std::vector<float> with_nan = x;
  for (float& v : with_nan)
    if (v == 0.0F) v = std::numeric_limits<float>::quiet_NaN();
  for (const char* name : {"xgb_mushroom.json", "xgb_mushroom.model"}) {
    nn::Graph graph = read(name);
    const auto got = run(graph, with_nan, 1187);
    EXPECT_EQ(got.at("trees"), floats(arrays.at("margin"))) << name;
    expect_near(got.at("objective"), floats(arrays.at("prob")));
    // The library's own option: a number that means missing.
    graph.nodes[0].attributes["missing"] = 0.0;
    EXPECT_EQ(run(graph, x, 1187).at("trees"), floats(arrays.at("margin"))) << name;
  }
  // The dump names features up to 109 only.
  const nn::Graph dump = read("xgb_mushroom.dump.txt");
  ASSERT_EQ(dump.tensors[0].shape, Shape{110});
  std::vector<float> narrow;
  for (std::size_t row = 0; row < 1187; ++row)
    narrow.insert(narrow.end(), with_nan.begin() + static_cast<std::ptrdiff_t>(row * 127),
                  with_nan.begin() + static_cast<std::ptrdiff_t>(row * 127 + 110));
  EXPECT_EQ(run(dump, narrow, 1187).at("trees"), floats(arrays.at("margin")));
}

TEST_F(TreeData, LightgbmSumsOfCategoricalTreesAreEqualInDouble) {
  const nn::Graph graph = read("lgbm_toy_categorical_model.txt");
  std::ifstream test(folder_ / "lgbm_toy_categorical.test");
  std::ifstream pred(folder_ / "lgbm_toy_categorical.test.pred");
  diag::Engine engine;
  Context ctx{engine};
  const auto trees = layers::trees_of(graph.nodes.at(0), 2, ctx);
  ASSERT_TRUE(trees.ok());
  std::string line;
  std::string expected;
  int rows = 0;
  while (std::getline(test, line) && std::getline(pred, expected)) {
    std::istringstream words(line);
    std::string word;
    std::vector<float> x(2, 0.0F);  // what a row leaves out is zero
    words >> word;                  // the label
    while (words >> word) {
      const auto colon = word.find(':');
      x.at(std::stoul(word.substr(0, colon))) = std::stof(word.substr(colon + 1));
    }
    double y = 0;
    layers::evaluate_trees(*trees, x.data(), &y);
    EXPECT_EQ(y, std::stod(expected)) << line;
    ++rows;
  }
  EXPECT_GT(rows, 100);
}

}  // namespace
}  // namespace weft::formats::trees
