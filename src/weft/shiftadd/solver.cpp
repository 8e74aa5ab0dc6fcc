// SPDX-License-Identifier: Apache-2.0
// A solution is built in three steps: rows of signed digits, sharing of two-term patterns between rows (sharing.cpp),
// and one tree per row (sum_tree.cpp). Small problems are solved with several recipes and the cheapest result is kept;
// with time given, random recipes follow until it is over.
#include "weft/shiftadd/solver.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "weft/shiftadd/recipe.h"
#include "weft/support/threads.h"

namespace weft::shiftadd {
namespace {

/// In time before cheap; of what is late the earlier.
bool better(const Solution& a, const Solution& b, double deadline) {
  const double late_a = std::max(0.0, a.delay - deadline);
  const double late_b = std::max(0.0, b.delay - deadline);
  if (late_a != late_b) return late_a < late_b;
  const auto negations = [](const Solution& s) {
    return std::count_if(s.outputs.begin(), s.outputs.end(), [](const Term& term) { return term.negate; });
  };
  if (a.lut != b.lut) return a.lut < b.lut;
  if (a.adders != b.adders) return a.adders < b.adders;
  return negations(a) < negations(b);
}

}  // namespace

CostModel unit_cost() {
  return {[](const AdderShape& shape) { return static_cast<double>(std::max(0, shape.width_bits - shape.free_bits)); },
          [](const AdderShape&) { return 1.0; }};
}

Result<Solution> solve(const Problem& problem, const Options& options, const CostModel& cost, Context& ctx) {
  WEFT_CHECK(cost.adder_lut && cost.adder_delay_ps, "a cost model without functions");
  using Timer = std::chrono::steady_clock;
  const Timer::time_point start = Timer::now();
  WEFT_TRY(const Plan plan, prepare(problem, options, cost, ctx));
  constexpr double kRounding = 1e-9;  // of sums of delays
  const double deadline =
      options.max_delay ? *options.max_delay * (1.0 + kRounding) : std::numeric_limits<double>::infinity();
  std::optional<Solution> best;
  // Recipes of a batch run side by side; the best is chosen in their order, so threads do not change the result.
  const auto attempt = [&](const std::vector<Recipe>& recipes) {
    std::vector<std::optional<Solution>> solutions(recipes.size());
    support::parallel_blocks(recipes.size(), ctx.threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t r = begin; r < end; ++r) solutions[r] = build(problem, plan, cost, recipes[r], ctx);
    });
    bool complete = true;
    for (auto& solution : solutions) {
      complete = complete && solution.has_value();
      if (solution && (!best || better(*solution, *best, deadline))) best = std::move(solution);
    }
    return complete;
  };
  std::vector<Recipe> recipes = first_recipes(plan.digits, plan.clock.has_ternary());
  if (options.max_delay && !plan.clock.has_ternary()) {
    // A deadline may leave time to wait for other rows.
    for (const int chain : {2, 4}) {
      recipes.push_back(recipes.front());
      recipes.back().chain = chain;
    }
  }
  if (!attempt(recipes)) {
    return ctx.fail(Kind::Cancelled, {}, "the search for an adder graph was interrupted");
  }
  // A deadline that is missed narrowly may still be met by trusting adders to be narrower than they have to be.
  for (const double narrowing : {2.0, 3.0, 4.0}) {
    if (best->delay <= deadline) break;
    for (Recipe& recipe : recipes) recipe.narrowing = narrowing;
    if (!attempt(recipes)) break;
  }
  std::uint64_t random = ctx.seed;
  constexpr int kBatch = 16;  // not by threads, so that their number does not change the result
  for (int drawn = 0; drawn < options.restarts;) {
    std::vector<Recipe> batch;
    for (; drawn < options.restarts && batch.size() < kBatch; ++drawn)
      batch.push_back(random_recipe(next_random(random), plan.clock.has_ternary()));
    if (!attempt(batch)) return ctx.fail(Kind::Cancelled, {}, "the search for an adder graph was interrupted");
  }
  while (options.seconds > 0.0) {
    const double elapsed = std::chrono::duration<double>(Timer::now() - start).count();
    if (elapsed >= options.seconds) break;
    if (ctx.progress != nullptr) {
      ctx.progress->update("adder graphs", static_cast<std::uint64_t>(elapsed * 1000),
                           static_cast<std::uint64_t>(options.seconds * 1000));
    }
    std::vector<Recipe> batch;
    for (int t = 0; t < std::max(1, ctx.threads); ++t)
      batch.push_back(random_recipe(next_random(random), plan.clock.has_ternary()));
    if (!attempt(batch)) break;  // interrupting the restarts keeps what has been found
  }
  if (best->delay > deadline) {
    return ctx.fail(Kind::DoesNotFit, {},
                    fmt::format("the asked delay of {:g} cannot be met: the fastest adder graph found takes {:g}",
                                *options.max_delay, best->delay));
  }
  return std::move(*best);
}

}  // namespace weft::shiftadd
