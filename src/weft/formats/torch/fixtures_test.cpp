// SPDX-License-Identifier: Apache-2.0
// Programs that PyTorch exported (examples/fixtures/torch), against what eager PyTorch computed.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "tests/paths/paths.h"
#include "weft/formats/torch/torch.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"
#include "weft/support/arrays.h"

namespace weft::formats::torch {
namespace {

std::vector<float> floats(const support::Array& array) {
  if (const auto* f = std::get_if<std::vector<float>>(&array.data)) return *f;
  const auto& d = std::get<std::vector<double>>(array.data);
  return {d.begin(), d.end()};
}

struct Fixtures : testing::TestWithParam<const char*> {};

TEST_P(Fixtures, EqualEagerPyTorch) {
  const std::filesystem::path folder = test::source_dir() / "examples/fixtures/torch";
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto graph = read_pt2(folder / fmt::format("{}.pt2", GetParam()), ctx);
  for (const auto& d : engine.all()) EXPECT_NE(d.severity, diag::Severity::Error) << diag::to_text(d);
  ASSERT_TRUE(graph.ok());
  ASSERT_TRUE(layers::check(*graph, ctx).ok());
  auto arrays = support::read_arrays(folder / fmt::format("{}.npz", GetParam()), ctx);
  ASSERT_TRUE(arrays.ok());
  std::vector<std::vector<float>> inputs;
  std::int64_t batch = 0;
  for (const auto& port : graph->inputs) {
    const auto& x = arrays->at("x:" + port.name);
    batch = x.shape.front();
    inputs.push_back(floats(x));
  }
  auto tensors = layers::run_float(*graph, inputs, batch, ctx);
  ASSERT_TRUE(tensors.ok());
  std::size_t compared = 0;
  for (const auto& port : graph->outputs) {
    const auto wanted = floats(arrays->at("y:" + port.name));
    const auto& seen = (*tensors)[port.tensor.index];
    ASSERT_EQ(seen.size(), wanted.size()) << port.name;
    float largest = 1e-3F;
    for (const float v : wanted) largest = std::max(largest, std::fabs(v));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_NEAR(seen[i], wanted[i], 1e-5F * largest) << port.name << " element " << i;
      ++compared;
    }
  }
  EXPECT_GT(compared, 10U);
}

INSTANTIATE_TEST_SUITE_P(Torch, Fixtures,
                         testing::Values("conv", "network", "core", "quantized", "shared", "operators", "attention",
                                         "recurrent", "recurrent_core"),
                         [](const auto& row) { return std::string(row.param); });

}  // namespace
}  // namespace weft::formats::torch
