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
  std::optional<Built> best;
  // What is varied: the best at first, then anything that costs little more (threshold accepting, Dueck and Scheuer
  // 1990).
  std::optional<Built> current;
  Recipe current_recipe;
  double threshold = 0.0;
  int in_vain = 0;  // recipes since the last that was better than the best
  // Recipes of a batch run side by side; their results count in their order, so threads do not change the result.
  const auto attempt = [&](const std::vector<Recipe>& recipes) {
    std::vector<std::optional<Built>> solutions(recipes.size());
    support::parallel_blocks(recipes.size(), ctx.threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t r = begin; r < end; ++r) solutions[r] = build(problem, plan, cost, recipes[r], ctx);
    });
    bool complete = true;
    for (std::size_t r = 0; r < recipes.size(); ++r) {
      complete = complete && solutions[r].has_value();
      if (!solutions[r]) continue;
      const Solution& found = solutions[r]->solution;
      const bool is_best = !best || better(found, best->solution, deadline);
      in_vain = is_best ? 0 : in_vain + 1;
      if (!current || !better(current->solution, found, deadline) ||
          (found.delay <= std::max(deadline, current->solution.delay) &&
           found.lut <= current->solution.lut * (1.0 + threshold))) {
        current = solutions[r];
        current_recipe = recipes[r];
      }
      if (is_best) best = std::move(solutions[r]);
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
    if (best->solution.delay <= deadline) break;
    for (Recipe& recipe : recipes) recipe.narrowing = narrowing;
    if (!attempt(recipes)) break;
  }
  // Recipes at random first, then variations.
  constexpr double kAtRandom = 0.25;
  constexpr double kThreshold = 0.0003;  // of the LUTs, at first; nothing in the end
  constexpr int kBatch = 2;              // not by threads, so that their number does not change the result
  std::uint64_t random = ctx.seed;
  const auto batch_of = [&](double done, int count) {
    const bool at_random = done < kAtRandom;
    threshold = at_random ? 0.0 : kThreshold * (1.0 - done);
    std::vector<Recipe> batch;
    while (batch.size() < static_cast<std::size_t>(count)) {
      const std::uint64_t seed = next_random(random);
      batch.push_back(at_random ? random_recipe(seed, plan.clock.has_ternary())
                                : varied_recipe(current_recipe, *current, seed));
    }
    return batch;
  };
  // Small problems are done long before: their best graph is found again and again.
  const int patience = std::max(400, options.restarts / 4);
  for (int drawn = 0; drawn < options.restarts; drawn += kBatch) {
    const double done = static_cast<double>(drawn) / options.restarts;
    if (done < kAtRandom) in_vain = 0;
    if (in_vain >= patience) break;
    const auto batch = batch_of(done, std::min(kBatch, options.restarts - drawn));
    if (!attempt(batch)) return ctx.fail(Kind::Cancelled, {}, "the search for an adder graph was interrupted");
  }
  while (options.seconds > 0.0) {
    const double elapsed = std::chrono::duration<double>(Timer::now() - start).count();
    if (elapsed >= options.seconds) break;
    if (ctx.progress != nullptr) {
      ctx.progress->update("adder graphs", static_cast<std::uint64_t>(elapsed * 1000),
                           static_cast<std::uint64_t>(options.seconds * 1000));
    }
    // Interrupting the search keeps what has been found.
    if (!attempt(batch_of(elapsed / options.seconds, std::max(1, ctx.threads)))) break;
  }
  Solution& found = best->solution;
  if (found.delay > deadline) {
    return ctx.fail(Kind::DoesNotFit, {},
                    fmt::format("the asked delay of {:g} cannot be met: the fastest adder graph found takes {:g}",
                                *options.max_delay, found.delay));
  }
  return std::move(found);
}

}  // namespace weft::shiftadd
