// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/narrow_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <random>

#include "weft/netlist/netlist.h"

namespace weft::hw {
namespace {

/// The matrix that the groups stand for.
std::vector<std::int64_t> matrix_of(const GroupedInputs& grouped, const shiftadd::Problem& problem) {
  const auto columns = static_cast<std::size_t>(problem.n_out);
  std::vector<std::int64_t> matrix(problem.matrix.size(), 0);
  for (std::size_t k = 0; k < grouped.inputs.size(); ++k) {
    for (const auto& [input, weight] : grouped.inputs[k]) {
      for (std::size_t c = 0; c < columns; ++c) matrix[input * columns + c] += weight * grouped.matrix[k * columns + c];
    }
  }
  return matrix;
}

shiftadd::Problem drawn(std::uint32_t seed, Int least, Int greatest) {
  std::mt19937 random(seed);
  shiftadd::Problem problem{.n_in = 2 + static_cast<std::int64_t>(random() % 12),
                            .n_out = 1 + static_cast<std::int64_t>(random() % 6)};
  for (std::int64_t i = 0; i < problem.n_in; ++i) {
    const Int size = Int{1} << (1 + random() % 4);
    const bool is_signed = random() % 2 == 0;
    problem.inputs.push_back({is_signed ? -size : 0, size - 1, 0});
    for (std::int64_t o = 0; o < problem.n_out; ++o) {
      const auto weight = static_cast<std::int64_t>(least) +
                          static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(greatest - least + 1));
      problem.matrix.push_back(random() % 3 == 0 ? 0 : weight);
    }
  }
  return problem;
}

TEST(NarrowInputs, TheGroupsAreTheSameProduct) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    const shiftadd::Problem problem = seed % 2 == 0 ? drawn(seed, -100, 100) : drawn(seed, -1, 1);
    const GroupedInputs grouped = group_inputs(problem, 5);
    ASSERT_EQ(matrix_of(grouped, problem), problem.matrix) << seed;
    for (const auto& combination : grouped.inputs) {
      int bits = 0;
      for (const auto& [input, weight] : combination) bits += netlist::width_of(problem.inputs[input]);
      if (combination.size() == 1 && combination[0].second == 1) continue;
      EXPECT_LE(bits, 5);
      EXPECT_GT(combination[0].second, 0);
    }
    for (std::size_t k = 0; k < grouped.inputs.size(); ++k) {
      const bool is_wide =
          grouped.inputs[k].size() == 1 && netlist::width_of(problem.inputs[grouped.inputs[k][0].first]) > 5;
      for (std::int64_t o = 0; o < problem.n_out && !is_wide; ++o) {
        const auto factor = static_cast<std::uint64_t>(
            std::abs(grouped.matrix[k * static_cast<std::size_t>(problem.n_out) + static_cast<std::size_t>(o)]));
        EXPECT_LE(std::popcount(factor), 1) << "what is left are shifts";
      }
    }
  }
}

TEST(NarrowInputs, OneBitInputsAreSummedFiveAtATime) {
  shiftadd::Problem problem{.n_in = 10, .n_out = 1};
  for (std::int64_t i = 0; i < problem.n_in; ++i) {
    problem.inputs.push_back({0, 1, 0});
    problem.matrix.push_back(i % 2 == 0 ? 1 : -1);
  }
  const GroupedInputs grouped = group_inputs(problem, 5);
  EXPECT_EQ(grouped.inputs.size(), 2U);
}

TEST(NarrowInputs, WideInputsKeepTheirWeights) {
  const shiftadd::Problem problem{.n_in = 2, .n_out = 1, .matrix = {5, -12}, .inputs = {{-128, 127, 0}, {0, 255, 0}}};
  const GroupedInputs grouped = group_inputs(problem, 5);
  ASSERT_EQ(grouped.inputs.size(), 2U);
  EXPECT_EQ(grouped.matrix, problem.matrix);
}

}  // namespace
}  // namespace weft::hw
