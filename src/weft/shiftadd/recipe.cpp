// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/recipe.h"

#include "weft/shiftadd/digits.h"
#include "weft/shiftadd/finish.h"

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

std::optional<Solution> build(const Problem& problem, const Plan& plan, const CostModel& cost, const Recipe& recipe,
                              const Context& ctx) {
  AdderGraph graph(problem.inputs, problem.arrival, plan.slots, cost);
  std::vector<Row> rows;
  rows.reserve(plan.rows.size());
  std::uint64_t random = recipe.recode_seed;
  for (const RowPlan& planned : plan.rows) {
    Row row;
    row.depth = planned.depth;
    for (const auto& [input, weight] : planned.coefficients) {
      std::uint64_t choice = 0;
      if (recipe.recode > 0.0) {
        for (int bit = 0; bit < 64; ++bit) choice |= std::uint64_t{next_uniform(random) < recipe.recode} << bit;
      }
      for (const SignedDigit& digit : minimal_digits(weight, choice))
        row.terms.push_back({input, digit.shift, digit.negative});
    }
    if (planned.constant != 0) row.reserved = KraftBudget(row.depth).weight(0);
    rows.push_back(std::move(row));
  }
  if (!share_subexpressions(graph, rows, recipe.sharing, ctx)) return std::nullopt;

  std::vector<Term> outputs(static_cast<std::size_t>(problem.n_out));
  for (const auto& [output, value] : plan.constant_outputs) {
    if (value != 0) outputs[static_cast<std::size_t>(output)] = graph.constant(value);
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (ctx.cancelled()) return std::nullopt;
    if (plan.rows[r].constant != 0) rows[r].terms.push_back(graph.constant(plan.rows[r].constant));
    const Term sum = sum_terms(graph, rows[r], recipe.tree);
    for (const RowUse& use : plan.rows[r].uses) {
      Term term{sum.operand, sum.shift + use.shift, sum.negate != use.negate};
      if (use.constant != 0) term = graph.add(term, graph.constant(use.constant));
      outputs[static_cast<std::size_t>(use.output)] = term;
    }
  }
  return finish(graph, std::move(outputs));
}

std::vector<Recipe> first_recipes(std::int64_t digits) {
  using Score = SharingOptions::Score;
  const auto recipe = [](Score score, double recode, double slack_price) {
    Recipe out;
    out.sharing.score = score;
    out.sharing.slack_price = slack_price;
    out.recode = recode;
    return out;
  };
  // Measured on the 27 matrices of the test: the first alone, then what each further one adds.
  std::vector<Recipe> recipes = {recipe(Score::Mixed, 1.0, 0.1), recipe(Score::Overlap, 1.0, 0.5),
                                 recipe(Score::Mixed, 0.0, 0.1), recipe(Score::Overlap, 0.0, 2.0),
                                 recipe(Score::Saved, 1.0, 0.3), recipe(Score::Mixed, 0.5, 0.1)};
  constexpr std::int64_t kLarge = 20000;
  constexpr std::int64_t kMedium = 4000;
  recipes.resize(digits > kLarge ? 1 : digits > kMedium ? 2 : recipes.size());
  return recipes;
}

Recipe random_recipe(std::uint64_t seed) {
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
  return recipe;
}

}  // namespace weft::shiftadd
