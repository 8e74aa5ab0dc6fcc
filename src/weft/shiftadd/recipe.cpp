// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/recipe.h"

#include <algorithm>
#include <map>

#include "weft/shiftadd/differences.h"
#include "weft/shiftadd/digits.h"
#include "weft/shiftadd/finish.h"
#include "weft/shiftadd/regroup.h"

namespace weft::shiftadd {
namespace {

double next_uniform(std::uint64_t& state) { return static_cast<double>(next_random(state) >> 11) * 0x1.0p-53; }

}  // namespace

std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

std::optional<Built> build(const Problem& problem, const Plan& whole, const CostModel& cost, const Recipe& recipe,
                           const Context& ctx) {
  std::optional<Plan> chained;
  Built built;
  if (recipe.chain > 0) chained = with_differences(whole, recipe.chain, recipe.narrowing);
  const Plan& plan = chained ? *chained : whole;
  AdderGraph graph(problem.inputs, problem.arrival, plan.slots, cost, plan.clock);
  const int first_slot = plan.slots.empty() ? 0 : *std::min_element(plan.slots.begin(), plan.slots.end());
  std::map<std::pair<int, int>, std::shared_ptr<const LevelPlans>> plans;  // rows with one deadline and width share
  std::vector<Row> rows;
  rows.reserve(plan.rows.size());
  std::uint64_t random = recipe.recode_seed;
  for (const RowPlan& planned : plan.rows) {
    Row row;
    row.constant = planned.constant;
    if (planned.base) row.late = planned.base->slot;
    auto& row_plans = plans[{planned.depth, plan.clock.counts_levels() ? 1 : planned.width_bits}];
    if (!row_plans) {
      row_plans = std::make_shared<const LevelPlans>(
          plan_levels(plan.clock, planned.depth, planned.width_bits, std::min(0, first_slot), recipe.narrowing));
    }
    row.plans = row_plans;
    for (const auto& [input, weight] : planned.coefficients) {
      std::uint64_t choice = 0;
      if (!recipe.choices.empty()) {
        choice = recipe.choices[built.choices.size()];
      } else if (recipe.recode > 0.0) {
        for (int bit = 0; bit < 64; ++bit) choice |= std::uint64_t{next_uniform(random) < recipe.recode} << bit;
      }
      built.choices.push_back(choice);
      for (const SignedDigit& digit : minimal_digits(weight, choice))
        row.terms.push_back({input, digit.shift, digit.negative});
    }
    rows.push_back(std::move(row));
  }
  auto shared = share_subexpressions(graph, rows, recipe.sharing, ctx);
  if (!shared) return std::nullopt;
  built.patterns = std::move(*shared);
  if (plan.clock.has_ternary()) {
    AdderGraph grouped(problem.inputs, problem.arrival, plan.slots, cost, plan.clock);
    regroup(graph, rows, grouped, {recipe.tree, recipe.narrowing, recipe.dissolve});
    graph = std::move(grouped);
  }

  std::vector<Term> outputs(static_cast<std::size_t>(problem.n_out));
  for (const auto& [output, value] : plan.constant_outputs) {
    if (value != 0) outputs[static_cast<std::size_t>(output)] = graph.constant(value);
  }
  std::vector<Term> sums;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (ctx.cancelled()) return std::nullopt;
    Row& row = rows[r];
    if (row.constant != 0) row.terms.push_back(graph.constant(row.constant));
    if (const auto& base = plan.rows[r].base) {
      const Term& term = sums[static_cast<std::size_t>(base->row)];
      // The rest is the row plus or minus its base.
      row.terms.push_back({term.operand, term.shift, term.negate != base->negate});
    }
    const Term sum = best_sum(graph, row.terms, *row.plans, recipe.tree);
    sums.push_back(sum);
    for (const RowUse& use : plan.rows[r].uses) {
      Term term{sum.operand, sum.shift + use.shift, sum.negate != use.negate};
      if (use.constant != 0) term = graph.add(term, graph.constant(use.constant));
      outputs[static_cast<std::size_t>(use.output)] = term;
    }
  }
  built.solution = finish(graph, std::move(outputs));
  return built;
}

std::vector<Recipe> first_recipes(std::int64_t digits, bool has_ternary) {
  using Score = SharingOptions::Score;
  const auto recipe = [](Score score, double recode, double slack_price) {
    Recipe out;
    out.sharing.score = score;
    out.sharing.slack_price = slack_price;
    out.recode = recode;
    return out;
  };
  std::vector<Recipe> recipes;
  if (has_ternary) {
    recipes = {recipe(Score::Mixed, 0.0, 0.1), recipe(Score::Mixed, 1.0, 0.1),   recipe(Score::Overlap, 0.0, 0.1),
               recipe(Score::Saved, 1.0, 0.1), recipe(Score::Overlap, 1.0, 0.1), recipe(Score::Mixed, 1.0, 0.1)};
    constexpr double kWorth[] = {1.0, 0.7, 1.0, 0.4, 1.0, 1.0};
    constexpr int kChain[] = {0, 0, 0, 0, 3, 5};
    for (std::size_t r = 0; r < recipes.size(); ++r) {
      recipes[r].sharing.worth = kWorth[r];
      recipes[r].chain = kChain[r];
      recipes[r].dissolve = kWorth[r] > 0.5;
    }

  } else {
    // Measured on the 27 matrices of the test: the first alone, then what each further one adds.
    recipes = {recipe(Score::Mixed, 1.0, 0.1),   recipe(Score::Overlap, 1.0, 0.5), recipe(Score::Mixed, 0.0, 0.1),
               recipe(Score::Overlap, 0.0, 2.0), recipe(Score::Saved, 1.0, 0.3),   recipe(Score::Mixed, 0.5, 0.1)};
  }
  constexpr std::int64_t kLarge = 20000;
  constexpr std::int64_t kMedium = 4000;
  recipes.resize(digits > kLarge ? 1 : digits > kMedium ? 2 : recipes.size());
  return recipes;
}

Recipe random_recipe(std::uint64_t seed, bool has_ternary) {
  using Score = SharingOptions::Score;
  std::uint64_t state = seed;
  Recipe recipe;
  constexpr Score kScores[] = {Score::Mixed, Score::Mixed, Score::Mixed, Score::Overlap, Score::Overlap, Score::Saved};
  recipe.sharing.score = kScores[next_random(state) % 6];
  const double u = next_uniform(state);
  recipe.sharing.noise = 0.3 * u * u;
  recipe.sharing.seed = next_random(state);
  recipe.sharing.slack_price = 0.5 * next_uniform(state);
  recipe.recode_seed = next_random(state);
  constexpr double kRecode[] = {1.0, 0.9, 0.0, 0.5};
  recipe.recode = kRecode[next_random(state) % 4];
  recipe.tree.noise = next_random(state) % 4 != 0 ? 0.0 : 0.05 * next_uniform(state);
  recipe.tree.seed = next_random(state);
  if (has_ternary) {
    recipe.sharing.worth = 0.4 + 0.6 * next_uniform(state);
    recipe.narrowing = next_uniform(state);
    recipe.dissolve = next_random(state) % 2 == 0;
    recipe.chain = next_random(state) % 2 == 0 ? 0 : static_cast<int>(1 + next_random(state) % 6);
  }
  return recipe;
}

Recipe varied_recipe(const Recipe& recipe, const Built& built, std::uint64_t seed) {
  std::uint64_t state = seed;
  Recipe out = recipe;
  const double u = next_uniform(state);
  const double dropped = 0.005 + 0.1 * u * u;
  out.sharing.replay = built.patterns;
  for (SharedPattern& pattern : out.sharing.replay) pattern.skip = next_uniform(state) < dropped;
  const double v = next_uniform(state);
  out.sharing.noise = 0.3 * v * v;
  out.sharing.seed = next_random(state);
  out.choices = built.choices;
  const double redrawn = 0.02 * next_uniform(state);
  for (std::uint64_t& choice : out.choices) {
    if (next_uniform(state) < redrawn) choice ^= next_random(state) & next_random(state);
  }
  return out;
}

}  // namespace weft::shiftadd
