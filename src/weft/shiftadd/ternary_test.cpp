// SPDX-License-Identifier: Apache-2.0
// Three-input adders: counts that are known, deadlines, and the same checks as for two-input adders.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "weft/shiftadd/evaluate_test.h"
#include "weft/shiftadd/level_plan.h"

namespace weft::shiftadd {
namespace {

double chain_bits(const AdderShape& shape) { return std::max(0, shape.width_bits - shape.free_bits); }

/// One LUT per bit, an eighth more with three inputs; a three-input adder takes a bit less than 1.5 two-input ones.
CostModel ternary_cost() {
  CostModel cost;
  cost.adder_lut = chain_bits;
  cost.adder_delay_ps = [](const AdderShape& shape) { return 1.0 + 0.02 * shape.width_bits; };
  cost.ternary_lut = [](const AdderShape& shape) { return std::ceil(chain_bits(shape) * 1.125); };
  cost.ternary_delay_ps = [](const AdderShape& shape) { return 1.2 + 0.04 * shape.width_bits; };
  return cost;
}

Solution solve_and_check(const Problem& problem, const Options& options = {}, int threads = 1) {
  Fixture f;
  f.ctx.threads = threads;
  auto result = solve(problem, options, ternary_cost(), f.ctx);
  EXPECT_TRUE(result.ok());
  if (!result.ok()) return {};
  EXPECT_EQ(check(problem, *result), "");
  if (options.max_delay) {
    EXPECT_LE(result->delay, *options.max_delay + 1e-6);
  }
  expect_equal_values(problem, *result);
  return std::move(*result);
}

Problem columns(std::int64_t n_in, std::int64_t n_out, std::vector<std::int64_t> matrix) {
  return {.n_in = n_in,
          .n_out = n_out,
          .matrix = std::move(matrix),
          .inputs = std::vector<fixed::Range>(static_cast<std::size_t>(n_in), {0, 255, 0})};
}

Options relaxed() { return {.extra_levels = 8}; }

TEST(Ternary, SumsOfKnownSize) {
  // n terms need (n - 1) / 2 adders, rounded up.
  for (std::int64_t n = 2; n <= 20; ++n) {
    const Solution solution =
        solve_and_check(columns(n, 1, std::vector<std::int64_t>(static_cast<std::size_t>(n), 1)), relaxed());
    EXPECT_EQ(solution.adders, n / 2) << n;
    EXPECT_EQ(solution.ternary_adders, (n - 1) / 2) << n;
  }
}

TEST(Ternary, APairUsedTwiceIsNotShared) {
  // a + b + c and a + b + d: two adders, not three.
  const Solution solution = solve_and_check(columns(4, 2, {1, 1, 1, 1, 1, 0, 0, 1}), relaxed());
  EXPECT_EQ(solution.adders, 2);
  EXPECT_EQ(solution.ternary_adders, 2);
}

TEST(Ternary, ThreeTermsUsedTwiceAreShared) {
  // a + b + c once, then + d and + e.
  const Solution solution = solve_and_check(columns(5, 2, {1, 1, 1, 1, 1, 1, 1, 0, 0, 1}), relaxed());
  EXPECT_EQ(solution.adders, 3);
  EXPECT_EQ(solution.ternary_adders, 1);
}

TEST(Ternary, RandomMatricesAtSeveralDeadlines) {
  const std::function<std::int64_t(std::mt19937_64&)> draws[] = {
      [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 256) - 128; },
      [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 3) - 1; },
      [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 2); },
      [](std::mt19937_64& r) { return r() % 4 != 0 ? 0 : static_cast<std::int64_t>(r() % 65536) - 32768; },
  };
  std::uint64_t seed = 0;
  for (const auto& draw : draws) {
    for (const std::int64_t size : {1, 3, 9, 20}) {
      Problem problem = random_problem(size, size + 1, ++seed, draw);
      for (std::int64_t o = 0; o < problem.n_out; ++o) problem.bias.push_back(o * 37 - 50);
      problem.inputs[0] = {-4, 12, 2};
      const Solution fastest = solve_and_check(problem);
      double last = fastest.lut;
      for (const double factor : {1.2, 2.0}) {
        const Solution slower = solve_and_check(problem, {.max_delay = fastest.delay * factor});
        // Greedy: more time nearly always helps, and never costs much.
        EXPECT_LE(slower.lut, last * 1.05 + 4.0) << size << " " << seed;
        last = slower.lut;
      }
    }
  }
}

TEST(Ternary, FewerLutsAtNoMoreDelayThanTwoInputAdders) {
  const Problem problem =
      random_problem(16, 16, 5, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 256) - 128; });
  Fixture f;
  CostModel binary = ternary_cost();
  binary.ternary_lut = nullptr;
  binary.ternary_delay_ps = nullptr;
  const auto two = solve(problem, {}, binary, f.ctx);
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->ternary_adders, 0);
  const Solution three = solve_and_check(problem, {.max_delay = two->delay});
  EXPECT_LT(three.lut, two->lut * 0.85);
}

TEST(Ternary, DeadlinesHoldWithoutThreeInputAddersToo) {
  const Problem problem =
      random_problem(12, 6, 6, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 256) - 128; });
  Fixture f;
  CostModel binary = ternary_cost();
  binary.ternary_lut = nullptr;
  binary.ternary_delay_ps = nullptr;
  const auto levels = solve(problem, {}, binary, f.ctx);
  ASSERT_TRUE(levels.ok());
  const auto timed = solve(problem, {.max_delay = levels->delay}, binary, f.ctx);
  ASSERT_TRUE(timed.ok());
  EXPECT_EQ(check(problem, *timed), "");
  EXPECT_LE(timed->delay, levels->delay + 1e-6);
  EXPECT_EQ(timed->ternary_adders, 0);
}

TEST(Ternary, ImpossibleDeadlinesAreRefused) {
  const Problem problem =
      random_problem(12, 6, 6, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 256) - 128; });
  Fixture f;
  EXPECT_FALSE(solve(problem, {.max_delay = 2.0}, ternary_cost(), f.ctx).ok());
  EXPECT_EQ(f.engine.all().back().kind, Kind::DoesNotFit);
  EXPECT_FALSE(solve(problem, {.max_delay = -5.0}, ternary_cost(), f.ctx).ok());
}

TEST(Ternary, LateInputsJoinLate) {
  Problem problem = columns(5, 1, {1, 1, 1, 1, 1});
  problem.arrival = {0, 0, 0, 0, 6};
  const Solution solution = solve_and_check(problem, {.max_delay = 7.3});
  EXPECT_LE(solution.delay, 7.3);  // one two-input adder of 11 bits behind the late input
}

TEST(Ternary, SameForAnyNumberOfThreads) {
  const Problem problem =
      random_problem(20, 10, 3, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 64) - 32; });
  const auto text = [](const Solution& solution) {
    std::string out;
    for (const Node& n : solution.nodes) {
      for (int t = 0; t < n.terms(); ++t)
        out += fmt::format("{} {} {},", n.term(t).operand, n.term(t).shift, n.term(t).negate);
    }
    return out;
  };
  EXPECT_EQ(text(solve_and_check(problem)), text(solve_and_check(problem, {}, 3)));
}

TEST(Ternary, CheckSeesDamageToTheThirdTerm) {
  const Problem problem = columns(3, 1, {1, 1, 1});
  const Solution good = solve_and_check(problem, relaxed());
  ASSERT_EQ(good.ternary_adders, 1);
  const auto damaged = [&](const std::function<void(Solution&, Node&)>& change) {
    Solution bad = good;
    change(bad, bad.nodes.back());
    return check(problem, bad);
  };
  EXPECT_NE(damaged([](Solution&, Node& n) { n.c.operand = -1; }), "");
  EXPECT_NE(damaged([](Solution&, Node& n) { n.c.operand = 7; }), "");
  EXPECT_NE(damaged([](Solution&, Node& n) { n.c.negate = true; }), "");
  EXPECT_NE(damaged([](Solution&, Node& n) { n.c.shift = 1; }), "");
  EXPECT_NE(damaged([](Solution& s, Node& n) {
              n.a.negate = n.b.negate = n.c.negate = true;
              n.range = {-765, 0, 0};
              s.outputs[0].negate = true;
            }),
            "");
  EXPECT_NE(damaged([](Solution& s, Node&) { s.ternary_adders = 0; }), "");
}

/// Least completion time of the terms over all trees, with constant delays.
int best_completion(std::vector<int> slots, int two, int three) {
  if (slots.size() == 1) return slots[0];
  int best = 1 << 20;
  const auto with = [&](std::vector<std::size_t> taken, int delay) {
    std::vector<int> rest;
    int latest = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (std::find(taken.begin(), taken.end(), i) == taken.end()) {
        rest.push_back(slots[i]);
      } else {
        latest = std::max(latest, slots[i]);
      }
    }
    rest.push_back(latest + delay);
    best = std::min(best, best_completion(rest, two, three));
  };
  for (std::size_t i = 0; i < slots.size(); ++i) {
    for (std::size_t j = i + 1; j < slots.size(); ++j) {
      with({i, j}, two);
      for (std::size_t k = j + 1; k < slots.size(); ++k) with({i, j, k}, three);
    }
  }
  return best;
}

TEST(LevelPlan, NeverPromisesTheImpossibleAndMissesLittle) {
  CostModel cost;
  cost.adder_lut = cost.ternary_lut = chain_bits;
  cost.adder_delay_ps = [](const AdderShape&) { return 256.0; };
  cost.ternary_delay_ps = [](const AdderShape&) { return 330.0; };
  const Clock clock = Clock::ticks(cost);
  std::mt19937_64 random(4);
  int exact = 0;
  constexpr int kRuns = 60;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<int> slots;
    for (int i = 0; i < 2 + run % 5; ++i) slots.push_back(static_cast<int>(random() % 4) * 256);
    const int best = best_completion(slots, 256, 330);
    const auto holds = [&](int deadline) {
      const LevelPlans plans = plan_levels(clock, deadline, 8, 0, 0.0);
      TimeBudget budget(plans);
      for (const int slot : slots) budget.add(slot);
      return budget.holds();
    };
    EXPECT_FALSE(holds(best - 1)) << run;
    EXPECT_TRUE(holds(best + 256)) << run;
    exact += holds(best) ? 1 : 0;
  }
  EXPECT_GE(exact, kRuns * 9 / 10);
}

}  // namespace
}  // namespace weft::shiftadd
