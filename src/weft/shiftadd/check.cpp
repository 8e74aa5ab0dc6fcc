// SPDX-License-Identifier: Apache-2.0
// Independent of the solver: dense coefficient vectors are pushed through the nodes in 128-bit checked arithmetic.
#include <fmt/format.h>

#include <map>

#include "weft/shiftadd/solver.h"

namespace weft::shiftadd {
namespace {

/// Coefficients by input; the constant sits at input -1.
using Form = std::map<std::int64_t, Int>;

bool add_scaled(Form& sum, const Form& form, const Term& term) {
  for (const auto& [input, coefficient] : form) {
    const auto shifted = fixed::checked_shift_left(coefficient, term.shift);
    if (!shifted) return false;
    const auto total =
        term.negate ? fixed::checked_sub(sum[input], *shifted) : fixed::checked_add(sum[input], *shifted);
    if (!total) return false;
    sum[input] = *total;
    if (*total == 0) sum.erase(input);
  }
  return true;
}

/// Empty when every value of the form lies in the range and on its grid.
std::string check_range(const Form& form, const fixed::Range& range, const std::vector<fixed::Range>& inputs) {
  Int lo = 0;
  Int hi = 0;
  if (range.step_log2 < 0 || range.step_log2 > 126) return "has an impossible step";
  for (const auto& [input, coefficient] : form) {
    const fixed::Range in = input < 0 ? fixed::Range{1, 1, 0} : inputs[static_cast<std::size_t>(input)];
    const auto x = fixed::checked_mul(coefficient, in.lo);
    const auto y = fixed::checked_mul(coefficient, in.hi);
    if (!x || !y) return "overflows";
    const auto new_lo = fixed::checked_add(lo, std::min(*x, *y));
    const auto new_hi = fixed::checked_add(hi, std::max(*x, *y));
    if (!new_lo || !new_hi) return "overflows";
    lo = *new_lo;
    hi = *new_hi;
    const int step =
        fixed::trailing_zeros(coefficient) + (in.lo == in.hi ? fixed::trailing_zeros(in.lo) : in.step_log2);
    if (step < range.step_log2) return "is finer than its step";
  }
  if (lo < range.lo || hi > range.hi) {
    return fmt::format("runs over [{}, {}], beyond its range [{}, {}]", fixed::to_string(lo), fixed::to_string(hi),
                       fixed::to_string(range.lo), fixed::to_string(range.hi));
  }
  return {};
}

}  // namespace

std::string check(const Problem& problem, const Solution& solution) {
  std::vector<Form> forms;
  const auto is_known = [&](const Term& term) {
    return term.operand >= 0 && static_cast<std::size_t>(term.operand) < forms.size() && term.shift >= 0 &&
           term.shift <= 126;
  };
  std::int64_t adders = 0;
  std::int64_t ternary = 0;
  for (std::size_t n = 0; n < solution.nodes.size(); ++n) {
    const Node& node = solution.nodes[n];
    Form form;
    switch (node.kind) {
      case Node::Kind::Input:
        if (node.input < 0 || node.input >= problem.n_in) return fmt::format("node {} is no input of the problem", n);
        form[node.input] = 1;
        break;
      case Node::Kind::Constant:
        if (node.constant != 0) form[-1] = node.constant;
        break;
      case Node::Kind::Sum: {
        ++adders;
        if (node.terms() == 3) ++ternary;
        int level = 0;
        bool all_negated = true;
        for (int t = 0; t < node.terms(); ++t) {
          const Term& term = node.term(t);
          if (!is_known(term)) return fmt::format("node {} has an operand that is not before it", n);
          all_negated = all_negated && term.negate;
          level = std::max(level, solution.nodes[static_cast<std::size_t>(term.operand)].level + 1);
          if (!add_scaled(form, forms[static_cast<std::size_t>(term.operand)], term))
            return fmt::format("node {} overflows", n);
        }
        if (all_negated) return fmt::format("node {} negates all operands", n);
        if (node.level != level) return fmt::format("node {} is on level {}, not {}", n, level, node.level);
        break;
      }
    }
    const std::string range = check_range(form, node.range, problem.inputs);
    if (!range.empty()) return fmt::format("node {} {}", n, range);
    forms.push_back(std::move(form));
  }
  if (adders != solution.adders) return fmt::format("{} adders are counted, {} are there", solution.adders, adders);
  if (ternary != solution.ternary_adders)
    return fmt::format("{} adders of three inputs are counted, {} are there", solution.ternary_adders, ternary);
  if (static_cast<std::int64_t>(solution.outputs.size()) != problem.n_out) return "the number of outputs differs";

  for (std::int64_t o = 0; o < problem.n_out; ++o) {
    const Term& term = solution.outputs[static_cast<std::size_t>(o)];
    Form have;
    if (term.operand != -1) {
      if (!is_known(term)) return fmt::format("output {} has no operand", o);
      if (solution.nodes[static_cast<std::size_t>(term.operand)].level > solution.depth) {
        return fmt::format("output {} is deeper than the depth {}", o, solution.depth);
      }
      if (!add_scaled(have, forms[static_cast<std::size_t>(term.operand)], term))
        return fmt::format("output {} overflows", o);
    }
    // Inputs that cannot vary are part of the constant on both sides.
    Int have_constant = have.count(-1) != 0 ? have[-1] : 0;
    Int want_constant = problem.bias.empty() ? 0 : problem.bias[static_cast<std::size_t>(o)];
    for (std::int64_t i = 0; i < problem.n_in; ++i) {
      const Int want = problem.matrix[static_cast<std::size_t>(i * problem.n_out + o)];
      const auto it = have.find(i);
      const Int got = it == have.end() ? 0 : it->second;
      const fixed::Range& range = problem.inputs[static_cast<std::size_t>(i)];
      if (range.lo == range.hi) {
        const auto from_have = fixed::checked_mul(got, range.lo);
        const auto from_want = fixed::checked_mul(want, range.lo);
        if (!from_have || !from_want) return fmt::format("output {} overflows", o);
        const auto new_have = fixed::checked_add(have_constant, *from_have);
        const auto new_want = fixed::checked_add(want_constant, *from_want);
        if (!new_have || !new_want) return fmt::format("output {} overflows", o);
        have_constant = *new_have;
        want_constant = *new_want;
      } else if (got != want) {
        return fmt::format("output {} has {} times input {}, not {}", o, fixed::to_string(got), i,
                           fixed::to_string(want));
      }
    }
    if (have_constant != want_constant) {
      return fmt::format("output {} has the constant {}, not {}", o, fixed::to_string(have_constant),
                         fixed::to_string(want_constant));
    }
  }
  return {};
}

}  // namespace weft::shiftadd
