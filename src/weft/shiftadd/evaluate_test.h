// SPDX-License-Identifier: Apache-2.0
/// @file
/// For tests of the solver: random problems, and values of a solution beside those of the matrix.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "weft/shiftadd/solver.h"

namespace weft::shiftadd {

struct Fixture {
  diag::Engine engine;
  Context ctx{engine};
};

/// Values of all outputs for one input vector.
inline std::vector<Int> evaluate(const Solution& solution, const std::vector<Int>& x) {
  std::vector<Int> values;
  const auto value_of = [&](const Term& term) {
    const Int shifted = values[static_cast<std::size_t>(term.operand)] * (static_cast<Int>(1) << term.shift);
    return term.negate ? -shifted : shifted;
  };
  for (const Node& node : solution.nodes) {
    Int value = 0;
    if (node.kind == Node::Kind::Input) value = x[static_cast<std::size_t>(node.input)];
    if (node.kind == Node::Kind::Constant) value = node.constant;
    for (int t = 0; t < node.terms(); ++t) value += value_of(node.term(t));
    EXPECT_GE(value, node.range.lo);
    EXPECT_LE(value, node.range.hi);
    EXPECT_GE(fixed::trailing_zeros(value), node.range.step_log2);
    values.push_back(value);
  }
  std::vector<Int> out;
  for (const Term& term : solution.outputs) out.push_back(term.operand < 0 ? 0 : value_of(term));
  return out;
}

inline std::vector<Int> reference(const Problem& problem, const std::vector<Int>& x) {
  std::vector<Int> out(static_cast<std::size_t>(problem.n_out), 0);
  for (std::int64_t o = 0; o < problem.n_out; ++o) {
    Int sum = problem.bias.empty() ? 0 : problem.bias[static_cast<std::size_t>(o)];
    for (std::int64_t i = 0; i < problem.n_in; ++i) {
      sum += static_cast<Int>(problem.matrix[static_cast<std::size_t>(i * problem.n_out + o)]) *
             x[static_cast<std::size_t>(i)];
    }
    out[static_cast<std::size_t>(o)] = sum;
  }
  return out;
}

inline Problem random_problem(std::int64_t n_in, std::int64_t n_out, std::uint64_t seed,
                              const std::function<std::int64_t(std::mt19937_64&)>& draw) {
  std::mt19937_64 random(seed);
  Problem problem;
  problem.n_in = n_in;
  problem.n_out = n_out;
  for (std::int64_t k = 0; k < n_in * n_out; ++k) problem.matrix.push_back(draw(random));
  problem.inputs.assign(static_cast<std::size_t>(n_in), {-128, 127, 0});
  return problem;
}

/// Values of solution and matrix at the corners and at random points.
inline void expect_equal_values(const Problem& problem, const Solution& solution) {
  std::mt19937_64 random(7);
  for (int sample = 0; sample < 40; ++sample) {
    std::vector<Int> x;
    for (const fixed::Range& range : problem.inputs) {
      const Int steps = (range.hi - range.lo) >> range.step_log2;
      const Int pick = sample == 0   ? 0
                       : sample == 1 ? steps
                                     : static_cast<Int>(random() % static_cast<std::uint64_t>(steps + 1));
      x.push_back(range.lo + (pick << range.step_log2));
    }
    EXPECT_EQ(evaluate(solution, x), reference(problem, x)) << "sample " << sample;
  }
}

}  // namespace weft::shiftadd
