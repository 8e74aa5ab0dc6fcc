// SPDX-License-Identifier: Apache-2.0
// Patterns of one solution shared again in another, and the search by variation.
#include <gtest/gtest.h>

#include "weft/shiftadd/evaluate_test.h"
#include "weft/shiftadd/recipe.h"

namespace weft::shiftadd {
namespace {

Problem random_problem(std::int64_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Problem problem{
      .n_in = n, .n_out = n, .inputs = std::vector<fixed::Range>(static_cast<std::size_t>(n), {-128, 127, 0})};
  for (std::int64_t k = 0; k < n * n; ++k) problem.matrix.push_back(static_cast<std::int64_t>(random() % 256) - 128);
  return problem;
}

TEST(Variation, ReplayingEverythingGivesTheSameGraph) {
  Fixture f;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Problem problem = random_problem(6, seed);
    const CostModel cost = unit_cost();
    const auto plan = prepare(problem, {.extra_levels = 1}, cost, f.ctx);
    Recipe recipe = random_recipe(seed, false);
    const auto first = build(problem, *plan, cost, recipe, f.ctx);
    ASSERT_GT(first->patterns.size(), 10U);
    recipe.choices = first->choices;
    recipe.sharing.replay = first->patterns;
    recipe.sharing.noise = 0.9;  // nothing is left to chance
    const auto again = build(problem, *plan, cost, recipe, f.ctx);
    EXPECT_EQ(again->solution.adders, first->solution.adders);
    EXPECT_EQ(again->solution.lut, first->solution.lut);
    EXPECT_EQ(again->patterns.size(), first->patterns.size());
    EXPECT_EQ(check(problem, again->solution), "");
  }
}

TEST(Variation, EveryVariationComputesTheMatrix) {
  Fixture f;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Problem problem = random_problem(5, seed / 20);
    const CostModel cost = unit_cost();
    const auto plan = prepare(problem, {.extra_levels = 1}, cost, f.ctx);
    const Recipe recipe = random_recipe(seed, false);
    const auto first = build(problem, *plan, cost, recipe, f.ctx);
    const auto varied = build(problem, *plan, cost, varied_recipe(recipe, *first, seed), f.ctx);
    EXPECT_EQ(check(problem, varied->solution), "") << seed;
  }
}

TEST(Variation, FindsWhatOnePassDoesNot) {
  Fixture f;
  double one_pass = 0;
  double searched = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const Problem problem = random_problem(8, 100 + seed);
    one_pass += solve(problem, {.extra_levels = 1}, unit_cost(), f.ctx)->lut;
    searched += solve(problem, {.extra_levels = 1, .restarts = 200}, unit_cost(), f.ctx)->lut;
  }
  EXPECT_LT(searched, 0.97 * one_pass);
}

}  // namespace
}  // namespace weft::shiftadd
