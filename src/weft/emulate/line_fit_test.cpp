// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/line_fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "weft/emulate/test_support.h"

namespace weft::emulate {
namespace {

/// round(x * scale + offset) in float32, clipped: what a folded batch normalization and a quantizer make of a sum.
fixed::Pieces affine(float scale, float offset, Int lo, Int hi, const fixed::Range& x) {
  const auto f = [&](Int code) {
    const float y = std::nearbyint(static_cast<float>(code) * scale + offset);
    return y <= static_cast<float>(lo) ? lo : y >= static_cast<float>(hi) ? hi : static_cast<Int>(y);
  };
  return fixed::pieces_of(f, x.lo, x.hi, {});
}

TEST(LineFit, EqualOnEveryCode) {
  exact::Random random(1);
  int fitted = 0;
  int tried = 0;
  for (int round = 0; round < 300; ++round) {
    const Int most = Int{1} << random.between(8, 17);
    const fixed::Range x{-most, most - 1, 0};
    const float scale =
        static_cast<float>(random.between(-20000, 20000)) / 10000.0F / static_cast<float>(most) * 100.0F;
    const float offset = static_cast<float>(random.between(-4000, 4000)) / 100.0F;
    const auto pieces = affine(scale, offset, 0, 127, x);
    if (pieces.breakpoints.empty()) continue;
    ++tried;
    const auto line = fit_line(pieces, x);
    if (!line) continue;
    ++fitted;
    std::size_t at = 0;
    for (Int code = x.lo; code <= x.hi; ++code) {
      while (at < pieces.breakpoints.size() && pieces.breakpoints[at] <= code) ++at;
      ASSERT_EQ(line_value(*line, static_cast<std::int32_t>(code)), static_cast<std::int32_t>(pieces.values[at]))
          << "round " << round;
    }
  }
  // Steps of more than one code have no line; of the others hardly one is missed.
  EXPECT_GT(fitted, tried / 2);
}

TEST(LineFit, RefusesWhatNoLineGives) {
  const fixed::Range x{-100, 100, 0};
  EXPECT_FALSE(fit_line({{0, 10}, {0, 1, 3}}, x).has_value());        // a step of two
  EXPECT_FALSE(fit_line({{0, 10}, {0, 1, 0}}, x).has_value());        // up and down
  EXPECT_FALSE(fit_line({{0, 1, 50}, {0, 1, 2, 3}}, x).has_value());  // no straight line
  EXPECT_FALSE(fit_line({{}, {7}}, x).has_value());
  EXPECT_FALSE(fit_line({{0}, {0, 1}}, {0, Int{1} << 25, 0}).has_value());
  EXPECT_TRUE(fit_line({{5}, {0, 1}}, x).has_value());
  EXPECT_TRUE(fit_line({{5}, {1, 0}}, x).has_value());
}

TEST(LineFit, NetworksWithAffineSteps) {
  for (const std::int64_t outputs : {1, 6, 8}) {
    for (const bool packed : {false, true}) {
      exact::Random random(static_cast<std::uint64_t>(outputs));
      exact::Graph graph;
      const auto x = append_input(graph, {5, 9}, {.type = {.width_bits = 8, .integer_bits = 3}});
      const auto sums = append_dense(graph, x, outputs, 7, random);
      std::vector<fixed::StepFunction> functions;
      for (std::int64_t o = 0; o < outputs; ++o) {
        fixed::Range range{0, 0, 0};
        for (std::size_t e = static_cast<std::size_t>(o); e < graph.at(sums).ranges.size();
             e += static_cast<std::size_t>(outputs))
          range = fixed::unite(range, graph.at(sums).ranges[e]);
        functions.emplace_back(
            affine((o % 2 == 0 ? 1.0F : -1.0F) * 0.0123F, 3.7F + static_cast<float>(o), -60, 67, range));
      }
      auto y = append(graph, exact::Requant{sums, functions, false});
      if (packed) y = append_dense(graph, y, 4, 6, random);
      graph.outputs.push_back({"y", y, {}});
      ASSERT_EQ(exact::verify(graph), "");
      check_codes(graph, random_rows(graph, 40, 3), 40);
    }
  }
}

}  // namespace
}  // namespace weft::emulate
