// SPDX-License-Identifier: Apache-2.0
/// @file
/// One way to build an adder graph from a plan; the solver tries several.
#pragma once

#include <optional>
#include <vector>

#include "weft/shiftadd/prepare.h"
#include "weft/shiftadd/sum_tree.h"

namespace weft::shiftadd {

struct Recipe {
  SharingOptions sharing;
  TreeOptions tree;
  double narrowing = 1.0;  ///< see plan_levels
  int chain = 0;           ///< rows that may build on each other, see with_differences
  bool dissolve = true;    ///< see RegroupOptions
  double recode = 0.0;     ///< share of the digit pairs that leave the canonical form
  std::uint64_t recode_seed = 0;
  /// Digit forms of the coefficients in the order of the rows, in place of recode; empty: drawn.
  std::vector<std::uint64_t> choices{};
};

/// A solution and the choices that led to it.
struct Built {
  Solution solution;
  std::vector<std::uint64_t> choices;   ///< as in Recipe
  std::vector<SharedPattern> patterns;  ///< shared, in their order
};

/// A solution of the planned problem; nothing when cancelled.
std::optional<Built> build(const Problem& problem, const Plan& plan, const CostModel& cost, const Recipe& recipe,
                           const Context& ctx);

/// Recipes of the single pass, by the number of signed digits of the problem and the adders there are.
std::vector<Recipe> first_recipes(std::int64_t digits, bool has_ternary);

/// A recipe drawn from a seed.
Recipe random_recipe(std::uint64_t seed, bool has_ternary);

/// The recipe of `built` with some of its choices left open or made anew, by a seed.
Recipe varied_recipe(const Recipe& recipe, const Built& built, std::uint64_t seed);

/// The next number of a splitmix64 sequence.
std::uint64_t next_random(std::uint64_t& state);

}  // namespace weft::shiftadd
