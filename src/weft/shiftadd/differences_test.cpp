// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/differences.h"

#include <gtest/gtest.h>

#include <map>

#include "weft/shiftadd/evaluate_test.h"
#include "weft/shiftadd/recipe.h"

namespace weft::shiftadd {
namespace {

/// Columns that differ from a common one in a few places.
Problem alike(std::int64_t n_in, std::int64_t n_out, std::uint64_t seed) {
  Problem problem =
      random_problem(n_in, n_out, seed, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 256) - 128; });
  std::mt19937_64 random(seed);
  for (std::int64_t i = 0; i < n_in; ++i) {
    for (std::int64_t o = 1; o < n_out; ++o) {
      if (random() % 8 == 0) continue;
      const std::int64_t common = problem.matrix[static_cast<std::size_t>(i * n_out)];
      problem.matrix[static_cast<std::size_t>(i * n_out + o)] = o % 2 == 0 ? common : -common;
    }
    problem.bias.resize(static_cast<std::size_t>(n_out), 5);
  }
  return problem;
}

TEST(Differences, RowsAddUpToTheOriginalOnes) {
  Fixture f;
  const Problem problem = alike(12, 9, 1);
  const CostModel cost = unit_cost();
  const auto plan = prepare(problem, {.extra_levels = 4}, cost, f.ctx);
  ASSERT_TRUE(plan.ok());
  std::map<std::int64_t, const RowPlan*> original;  // by first output
  for (const RowPlan& row : plan->rows) original[row.uses.front().output] = &row;
  for (const int longest : {1, 2, 4}) {
    const Plan chained = with_differences(*plan, longest, 1.0);
    ASSERT_EQ(chained.rows.size(), plan->rows.size());
    int built_on = 0;
    std::vector<LinearForm> sums;
    std::vector<int> lengths;
    for (std::size_t r = 0; r < chained.rows.size(); ++r) {
      const RowPlan& row = chained.rows[r];
      LinearForm sum;
      sum.terms = row.coefficients;
      sum.constant = row.constant;
      int length = 0;
      if (row.base) {
        ++built_on;
        ASSERT_LT(row.base->row, static_cast<std::int64_t>(r));
        EXPECT_LT(row.base->slot, row.depth);
        EXPECT_EQ(row.base->slot, chained.rows[static_cast<std::size_t>(row.base->row)].depth);
        sum = *combine(sum, 0, false, sums[static_cast<std::size_t>(row.base->row)], 0, row.base->negate);
        length = lengths[static_cast<std::size_t>(row.base->row)] + 1;
      }
      EXPECT_LE(length, longest);
      EXPECT_EQ(sum.terms, original.at(row.uses.front().output)->coefficients);
      EXPECT_EQ(sum.constant, original.at(row.uses.front().output)->constant);
      sums.push_back(std::move(sum));
      lengths.push_back(length);
    }
    EXPECT_GT(built_on, 4) << longest;
  }
}

TEST(Differences, NothingIsBuiltOnWhatComesTooLate) {
  Fixture f;
  // At minimal depth no row can wait for another one that is as long.
  const Problem problem = alike(16, 4, 2);
  const auto plan = prepare(problem, {}, unit_cost(), f.ctx);
  ASSERT_TRUE(plan.ok());
  const Plan chained = with_differences(*plan, 3, 1.0);
  for (const RowPlan& row : chained.rows) {
    EXPECT_LE(row.depth, plan->rows.front().depth);
  }
  Recipe recipe;
  recipe.chain = 3;
  const auto solution = build(problem, *plan, unit_cost(), recipe, f.ctx);
  ASSERT_TRUE(solution.has_value());
  EXPECT_EQ(check(problem, solution->solution), "");
  EXPECT_LE(solution->solution.depth, plan->rows.front().depth);
}

TEST(Differences, GraphsComputeTheMatrixAndAreSmallerWhereColumnsAreAlike) {
  Fixture f;
  CostModel ternary = unit_cost();
  ternary.ternary_lut = ternary.adder_lut;
  ternary.ternary_delay_ps = [](const AdderShape&) { return 1.5; };
  for (const CostModel& cost : {unit_cost(), ternary}) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      const Problem problem = alike(12, 9, seed);
      const auto plan = prepare(problem, {.extra_levels = 4}, cost, f.ctx);
      ASSERT_TRUE(plan.ok());
      double plain = 0.0;
      for (const int chain : {0, 1, 3}) {
        Recipe recipe;
        recipe.chain = chain;
        const auto solution = build(problem, *plan, cost, recipe, f.ctx);
        ASSERT_TRUE(solution.has_value());
        EXPECT_EQ(check(problem, solution->solution), "");
        expect_equal_values(problem, solution->solution);
        if (chain == 0) plain = solution->solution.lut;
        if (chain == 3) {
          EXPECT_LT(solution->solution.lut, plain) << seed;
        }
      }
    }
  }
}

TEST(Differences, ADeadlineWithTimeToWaitIsUsed) {
  // All entries share their top bit, so that columns differ by less than they hold.
  const Problem problem =
      random_problem(16, 16, 3, [](std::mt19937_64& r) { return static_cast<std::int64_t>(129 + r() % 127); });
  Fixture f;
  const auto early = solve(problem, {.max_delay = 6.0}, unit_cost(), f.ctx);
  const auto late = solve(problem, {.max_delay = 8.0}, unit_cost(), f.ctx);
  ASSERT_TRUE(early.ok() && late.ok());
  EXPECT_EQ(check(problem, *late), "");
  EXPECT_LE(late->depth, 8);
  EXPECT_LT(static_cast<double>(late->adders), 0.9 * static_cast<double>(early->adders));
}

}  // namespace
}  // namespace weft::shiftadd
