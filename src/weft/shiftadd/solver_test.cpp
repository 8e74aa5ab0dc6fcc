// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>

#include "weft/shiftadd/evaluate_test.h"

namespace weft::shiftadd {
namespace {

/// ceil(log2(number of signed digits)) of the worst output: no adder tree can be shallower.
int minimal_depth(const Problem& problem) {
  int depth = 0;
  for (std::int64_t o = 0; o < problem.n_out; ++o) {
    std::uint64_t terms = 0;
    Int constant = problem.bias.empty() ? 0 : problem.bias[static_cast<std::size_t>(o)];
    for (std::int64_t i = 0; i < problem.n_in; ++i) {
      const Int v = problem.matrix[static_cast<std::size_t>(i * problem.n_out + o)];
      const fixed::Range& range = problem.inputs[static_cast<std::size_t>(i)];
      if (range.lo == range.hi) {
        constant += v * range.lo;
        continue;
      }
      const UInt magnitude = v < 0 ? static_cast<UInt>(-v) : static_cast<UInt>(v);
      for (UInt bits = magnitude ^ (3 * magnitude); bits != 0; bits &= bits - 1) ++terms;
    }
    if (terms > 0 && constant != 0) ++terms;
    int levels = 0;
    while ((std::uint64_t{1} << levels) < terms) ++levels;
    depth = std::max(depth, levels);
  }
  return depth;
}

/// Solves, checks symbolically, numerically (corners included), and against the depth bound.
Solution solve_and_check(const Problem& problem, const Options& options = {}, std::uint64_t seed = 0) {
  Fixture f;
  f.ctx.seed = seed;
  auto result = solve(problem, options, unit_cost(), f.ctx);
  EXPECT_TRUE(result.ok());
  if (!result.ok()) return {};
  EXPECT_EQ(check(problem, *result), "");
  if (options.extra_levels >= 0) {
    EXPECT_LE(result->depth, minimal_depth(problem) + options.extra_levels);
  }
  expect_equal_values(problem, *result);
  return std::move(*result);
}

std::int64_t negated_outputs(const Solution& solution) {
  return std::count_if(solution.outputs.begin(), solution.outputs.end(), [](const Term& term) { return term.negate; });
}

TEST(Solver, ManyKindsOfRandomMatrices) {
  using Random = std::mt19937_64;
  const std::vector<std::pair<const char*, std::function<std::int64_t(Random&)>>> kinds = {
      {"8 bit", [](Random& r) { return static_cast<std::int64_t>(r() % 256) - 128; }},
      {"16 bit", [](Random& r) { return static_cast<std::int64_t>(r() % 65536) - 32768; }},
      {"sparse", [](Random& r) { return r() % 10 < 8 ? 0 : static_cast<std::int64_t>(r() % 64) - 32; }},
      {"ternary", [](Random& r) { return static_cast<std::int64_t>(r() % 3) - 1; }},
      {"bipolar", [](Random& r) { return (r() & 1) != 0 ? std::int64_t{1} : std::int64_t{-1}; }},
      {"binary", [](Random& r) { return static_cast<std::int64_t>(r() & 1); }},
      {"negative", [](Random& r) { return -static_cast<std::int64_t>(r() % 30); }},
      {"powers of two", [](Random& r) { return std::int64_t{1} << (r() % 12); }},
      {"same digits", [](Random&) { return std::int64_t{0x5555}; }},
      {"33 bit", [](Random& r) { return static_cast<std::int64_t>(r() >> 31) - (std::int64_t{1} << 32); }},
  };
  std::uint64_t seed = 1;
  for (const auto& [name, draw] : kinds) {
    for (const auto& [n_in, n_out] : {std::pair{1, 1}, {1, 9}, {9, 1}, {5, 7}, {16, 12}, {40, 6}}) {
      for (const int extra : {0, 1, -1}) {
        SCOPED_TRACE(fmt::format("{} {}x{} extra {}", name, n_in, n_out, extra));
        solve_and_check(random_problem(n_in, n_out, ++seed, draw), {.extra_levels = extra});
      }
    }
  }
}

TEST(Solver, BiasAndMixedRanges) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Problem problem = random_problem(
        7, 9, seed, [](std::mt19937_64& r) { return r() % 3 == 0 ? 0 : static_cast<std::int64_t>(r() % 50) - 25; });
    std::mt19937_64 random(seed * 77);
    for (auto& range : problem.inputs) {
      const int step = static_cast<int>(random() % 3);
      const Int lo = (static_cast<Int>(random() % 64) - 40) * (1 << step);
      const Int steps = static_cast<Int>(random() % 4 == 0 ? 0 : random() % 90);
      range = {lo, lo + steps * (1 << step), lo == 0 && steps == 0 ? 0 : step};
    }
    for (std::int64_t o = 0; o < problem.n_out; ++o) problem.bias.push_back(static_cast<Int>(random() % 400) - 200);
    problem.bias[3] = 0;
    const Solution solution = solve_and_check(problem);
    EXPECT_EQ(solution.nodes[0].kind, Node::Kind::Input);
    EXPECT_GE(solution.nodes.size(), 7U);
  }
}

TEST(Solver, FreeColumnsNeedNoAdder) {
  Problem problem;
  problem.n_in = 3;
  problem.n_out = 6;
  problem.inputs.assign(3, {0, 15, 0});
  // zero, x0, 8 x1, -4 x2, 1 x2, x0 again
  problem.matrix = {0, 1, 0, 0, 0, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, -4, 1, 0};
  const Solution solution = solve_and_check(problem);
  EXPECT_EQ(solution.adders, 0);
  EXPECT_EQ(solution.lut, 0.0);
  EXPECT_EQ(solution.depth, 0);
  EXPECT_EQ(solution.outputs[0].operand, -1);
  EXPECT_EQ(solution.outputs[2].shift, 3);
  EXPECT_TRUE(solution.outputs[3].negate);
}

TEST(Solver, EqualShiftedAndNegatedColumnsAreOneSum) {
  Problem problem;
  problem.n_in = 2;
  problem.n_out = 4;
  problem.inputs.assign(2, {-8, 7, 0});
  problem.matrix = {3, 12, -3, 3, 5, 20, -5, 5};
  const Solution one = solve_and_check({.n_in = 2, .n_out = 1, .matrix = {3, 5}, .inputs = problem.inputs});
  const Solution all = solve_and_check(problem);
  EXPECT_EQ(all.adders, one.adders);
  EXPECT_EQ(all.outputs[1].operand, all.outputs[0].operand);
  EXPECT_EQ(all.outputs[1].shift, 2);
  EXPECT_EQ(negated_outputs(all), 1);
  // With constants behind them the shared sum stays one, and nothing is negated.
  problem.bias = {1, -2, 3, 1};
  const Solution biased = solve_and_check(problem, {.extra_levels = 1});
  EXPECT_EQ(biased.adders, one.adders + 3);
  EXPECT_EQ(negated_outputs(biased), 0);
}

TEST(Solver, ConstantInputsAndOutputs) {
  Problem problem;
  problem.n_in = 3;
  problem.n_out = 3;
  problem.inputs = {{5, 5, 0}, {0, 0, 0}, {-4, 3, 0}};
  problem.matrix = {2, 1, -1, 9, 9, 9, 0, 1, 0};
  problem.bias = {-10, 0, 7};
  const Solution solution = solve_and_check(problem);
  EXPECT_EQ(solution.outputs[0].operand, -1);  // 10 - 10
  EXPECT_EQ(solution.adders, 1);               // x2 + 5
  const Node& constant = solution.nodes[static_cast<std::size_t>(solution.outputs[2].operand)];
  EXPECT_EQ(constant.kind, Node::Kind::Constant);
  EXPECT_EQ(evaluate(solution, {5, 0, -4}), (std::vector<Int>{0, 1, 2}));
}

TEST(Solver, RangesAreExactAndNotSummedStepByStep) {
  // x0 + x1 and x0 - x1 recombine to 2 x0: intervals alone would give four times the range.
  Problem problem;
  problem.n_in = 8;
  problem.n_out = 8;
  problem.inputs.assign(8, {-128, 127, 0});
  std::mt19937_64 random(5);
  for (int k = 0; k < 64; ++k) problem.matrix.push_back(static_cast<std::int64_t>(random() % 256) - 128);
  const Solution solution = solve_and_check(problem);
  for (std::int64_t o = 0; o < 8; ++o) {
    Int lo = 0;
    Int hi = 0;
    for (std::int64_t i = 0; i < 8; ++i) {
      const Int w = problem.matrix[static_cast<std::size_t>(i * 8 + o)];
      lo += std::min(w * -128, w * 127);
      hi += std::max(w * -128, w * 127);
    }
    const Term& term = solution.outputs[static_cast<std::size_t>(o)];
    const fixed::Range& range = solution.nodes[static_cast<std::size_t>(term.operand)].range;
    const Int scale = static_cast<Int>(1) << term.shift;
    EXPECT_EQ((term.negate ? -range.hi : range.lo) * scale, lo);
    EXPECT_EQ((term.negate ? -range.lo : range.hi) * scale, hi);
  }
}

TEST(Solver, KnownOptima) {
  const auto adders = [](std::int64_t n_in, std::int64_t n_out, std::vector<std::int64_t> matrix) {
    return solve_and_check({.n_in = n_in,
                            .n_out = n_out,
                            .matrix = std::move(matrix),
                            .inputs = std::vector<fixed::Range>(static_cast<std::size_t>(n_in), {0, 255, 0})},
                           {.extra_levels = 4})
        .adders;
  };
  EXPECT_EQ(adders(1, 1, {7}), 1);   // 8 - 1
  EXPECT_EQ(adders(1, 1, {45}), 2);  // 5 * 9
  EXPECT_EQ(adders(2, 2, {1, 1, 1, -1}), 2);
  EXPECT_EQ(adders(4, 2, {1, 1, 1, 1, 1, 1, 0, 1}), 3);  // a + b + c shared, + d
}

TEST(Solver, FinalNegationsAreAvoidedWhereAnOrderAllowsIt) {
  // -a + b - c: positive term present, so no output may be negated.
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Problem problem =
        random_problem(8, 8, seed, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 3) - 1; });
    for (std::int64_t o = 0; o < 8; ++o) problem.matrix[static_cast<std::size_t>(o)] = 1;
    problem.matrix[8 + 3] = -1;
    EXPECT_EQ(negated_outputs(solve_and_check(problem)), 0) << seed;
  }
}

TEST(Solver, ArrivalTimesCountAsLevels) {
  Problem problem;
  problem.n_in = 5;
  problem.n_out = 1;
  problem.matrix = {1, 1, 1, 1, 1};
  problem.inputs.assign(5, {0, 15, 0});
  problem.arrival = {0, 0, 0, 0, 2};
  const Solution solution = solve_and_check(problem);
  EXPECT_EQ(solution.delay, 3.0);  // the four early ones in two levels, then the late one
}

TEST(Solver, SameInputSameResult) {
  const Problem problem =
      random_problem(20, 10, 3, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 64) - 32; });
  const auto text = [](const Solution& solution) {
    std::string out;
    for (const Node& n : solution.nodes) {
      out += fmt::format("{} {} {} {} {} {} {} {};", static_cast<int>(n.kind), n.a.operand, n.a.shift, n.a.negate,
                         n.b.operand, n.b.shift, n.b.negate, fixed::to_string(n.range.hi));
    }
    return out;
  };
  Fixture threads;
  threads.ctx.threads = 3;
  EXPECT_EQ(text(solve_and_check(problem)), text(*solve(problem, {}, unit_cost(), threads.ctx)));
}

TEST(Solver, TimeOnlyHelps) {
  const Problem problem =
      random_problem(10, 8, 4, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 128) - 64; });
  const Solution once = solve_and_check(problem);
  const Solution longer = solve_and_check(problem, {.seconds = 0.2}, 11);
  EXPECT_LE(longer.lut, once.lut);
}

TEST(Solver, WideValuesAreRefusedNotWrapped) {
  Fixture f;
  Problem problem;
  problem.n_in = 1;
  problem.n_out = 1;
  problem.matrix = {std::numeric_limits<std::int64_t>::min()};
  problem.inputs = {{0, (static_cast<Int>(1) << 30), 0}};
  auto fits = solve(problem, {}, unit_cost(), f.ctx);
  ASSERT_TRUE(fits.ok());
  EXPECT_EQ(check(problem, *fits), "");
  problem.inputs[0].hi = static_cast<Int>(1) << 90;
  EXPECT_FALSE(solve(problem, {}, unit_cost(), f.ctx).ok());
  EXPECT_EQ(f.engine.all().back().kind, Kind::TypeTooWide);
}

TEST(Solver, SizesThatDoNotFitAreReported) {
  const Problem good{.n_in = 2, .n_out = 1, .matrix = {1, 1}, .inputs = {{0, 1, 0}, {0, 1, 0}}};
  const auto kind_of = [](const Problem& problem) {
    Fixture f;
    EXPECT_FALSE(solve(problem, {}, unit_cost(), f.ctx).ok());
    return f.engine.all().empty() ? Kind::Info : f.engine.all().back().kind;
  };
  Problem bad = good;
  bad.matrix.pop_back();
  EXPECT_EQ(kind_of(bad), Kind::ShapeMismatch);
  bad = good;
  bad.bias = {1, 2};
  EXPECT_EQ(kind_of(bad), Kind::ShapeMismatch);
  bad = good;
  bad.inputs.pop_back();
  EXPECT_EQ(kind_of(bad), Kind::ShapeMismatch);
  bad = good;
  bad.arrival = {0.0};
  EXPECT_EQ(kind_of(bad), Kind::ShapeMismatch);
  bad = good;
  bad.inputs[0] = {3, 2, 0};
  EXPECT_EQ(kind_of(bad), Kind::TypeInvalid);
  bad = good;
  bad.n_in = std::int64_t{1} << 40;
  EXPECT_EQ(kind_of(bad), Kind::LimitExceeded);
  Fixture f;
  const auto empty = solve({}, {}, unit_cost(), f.ctx);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(check({}, *empty), "");
}

TEST(Solver, CancellationStops) {
  Fixture f;
  const std::atomic<bool> cancel{true};
  f.ctx.cancel = &cancel;
  const Problem problem =
      random_problem(30, 10, 3, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 64) - 32; });
  EXPECT_FALSE(solve(problem, {}, unit_cost(), f.ctx).ok());
  EXPECT_EQ(f.engine.all().back().kind, Kind::Cancelled);
}

TEST(Check, SeesEveryKindOfDamage) {
  const Problem problem =
      random_problem(6, 5, 9, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 64) - 32; });
  const Solution good = solve_and_check(problem);
  const auto damaged = [&](const std::function<void(Solution&, Node&)>& change) {
    Solution bad = good;
    change(bad, bad.nodes.back());
    return check(problem, bad);
  };
  EXPECT_NE(damaged([](Solution&, Node& n) { n.a.shift += 1; }), "");
  EXPECT_NE(damaged([](Solution&, Node& n) { n.b.negate = !n.b.negate; }), "");
  EXPECT_NE(damaged([](Solution&, Node& n) { n.range.hi -= 1; }), "");
  EXPECT_NE(damaged([](Solution&, Node& n) { n.range.lo += 1; }), "");
  EXPECT_NE(damaged([](Solution&, Node& n) { n.range.step_log2 += 1; }), "");
  EXPECT_NE(damaged([](Solution&, Node& n) { n.level += 1; }), "");
  EXPECT_NE(damaged([](Solution& s, Node& n) { n.a.operand = static_cast<std::int32_t>(s.nodes.size()) - 1; }), "");
  EXPECT_NE(damaged([](Solution& s, Node&) { s.outputs[0].negate = !s.outputs[0].negate; }), "");
  EXPECT_NE(damaged([](Solution& s, Node&) { s.outputs[0].operand = -1; }), "");
  EXPECT_NE(damaged([](Solution& s, Node&) { s.outputs.pop_back(); }), "");
  EXPECT_NE(damaged([](Solution& s, Node&) { s.adders += 1; }), "");
  EXPECT_NE(damaged([](Solution& s, Node&) { s.depth = 0; }), "");
}

TEST(Solver, HugeMatricesAreSplitIntoBlocks) {
  // Far more possible patterns than the table takes; only time and correctness are at stake.
  const Problem problem =
      random_problem(1000, 3, 8, [](std::mt19937_64& r) { return static_cast<std::int64_t>(r() % 256) - 128; });
  Fixture f;
  const auto solution = solve(problem, {}, unit_cost(), f.ctx);
  ASSERT_TRUE(solution.ok());
  EXPECT_EQ(check(problem, *solution), "");
  EXPECT_LE(solution->depth, minimal_depth(problem));
}

}  // namespace
}  // namespace weft::shiftadd
