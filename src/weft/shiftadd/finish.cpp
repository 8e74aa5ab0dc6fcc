// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/finish.h"

#include <algorithm>
#include <array>

namespace weft::shiftadd {
namespace {

class Finisher {
 public:
  Finisher(const AdderGraph& graph, std::vector<Term> outputs)
      : cost_(graph.cost()), nodes_(graph.nodes()), outputs_(std::move(outputs)) {}

  Solution run() {
    find_users();
    remove_negations();
    return collect();
  }

 private:
  [[nodiscard]] static std::size_t at(std::int32_t index) { return static_cast<std::size_t>(index); }

  void find_users() {
    std::vector<bool> live(nodes_.size(), false);
    for (const Term& term : outputs_) {
      if (term.operand >= 0) live[at(term.operand)] = true;
    }
    for (std::size_t n = nodes_.size(); n-- > 0;) {
      if (!live[n] || nodes_[n].kind != Node::Kind::Sum) continue;
      for (int t = 0; t < nodes_[n].terms(); ++t) live[at(nodes_[n].term(t).operand)] = true;
    }
    users_.assign(nodes_.size(), {});
    output_users_.assign(nodes_.size(), {});
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (!live[n] || nodes_[n].kind != Node::Kind::Sum) continue;
      for (int t = 0; t < nodes_[n].terms(); ++t) {
        auto& users = users_[at(nodes_[n].term(t).operand)];
        if (users.empty() || users.back() != static_cast<std::int32_t>(n))
          users.push_back(static_cast<std::int32_t>(n));
      }
    }
    for (std::size_t o = 0; o < outputs_.size(); ++o) {
      if (outputs_[o].operand >= 0) output_users_[at(outputs_[o].operand)].push_back(o);
    }
  }

  [[nodiscard]] static bool any_negated(const Node& node) {
    return node.a.negate || node.b.negate || (node.terms() == 3 && node.c.negate);
  }
  [[nodiscard]] static int occurrences(const Node& node, std::int32_t operand) {
    int count = 0;
    for (int t = 0; t < node.terms(); ++t) count += node.term(t).operand == operand ? 1 : 0;
    return count;
  }

  /// Whether -node costs no more than node: a - b turns into b - a, and a + b into -a - b with a turned around.
  [[nodiscard]] bool can_flip(std::int32_t index, int depth) const {
    const Node& node = nodes_[at(index)];
    if (node.kind != Node::Kind::Sum) return node.kind == Node::Kind::Constant;
    if (any_negated(node)) return true;
    for (int t = 0; depth > 0 && t < node.terms(); ++t) {
      if (flips_alone(node.term(t).operand, index, depth - 1)) return true;
    }
    return false;
  }
  [[nodiscard]] bool flips_alone(std::int32_t index, std::int32_t user, int depth) const {
    return users_[at(index)].size() == 1 && users_[at(index)].front() == user && output_users_[at(index)].empty() &&
           can_flip(index, depth) && occurrences(nodes_[at(user)], index) == 1;
  }
  void flip(std::int32_t index, int depth) {
    Node& node = nodes_[at(index)];
    const fixed::Range old = node.range;
    node.range.lo = -old.hi;
    node.range.hi = -old.lo;
    if (node.kind == Node::Kind::Constant) {
      node.constant = -node.constant;
      return;
    }
    int kept = -1;
    if (!any_negated(node)) {
      // -(a + b) = (-a) - b
      kept = 0;
      while (!flips_alone(node.term(kept).operand, index, depth - 1)) ++kept;
      flip(node.term(kept).operand, depth - 1);
    }
    for (int t = 0; t < node.terms(); ++t) {
      if (t != kept) node.term(t).negate = !node.term(t).negate;
    }
  }

  void remove_negations() {
    constexpr int kSearchDepth = 16;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      const auto index = static_cast<std::int32_t>(n);
      std::int64_t gain = 0;
      for (const std::size_t o : output_users_[n]) gain += outputs_[o].negate ? 1 : -1;
      if (gain <= 0 || nodes_[n].kind != Node::Kind::Sum || !can_flip(index, kSearchDepth)) continue;
      const bool users_agree = std::all_of(users_[n].begin(), users_[n].end(), [&](std::int32_t user) {
        const Node& node = nodes_[at(user)];
        if (occurrences(node, index) != 1) return false;
        bool positive = false;  // another term that is not negated, or this one afterwards
        for (int t = 0; t < node.terms(); ++t)
          positive = positive || node.term(t).negate == (node.term(t).operand == index);
        return positive;
      });
      if (!users_agree) continue;
      flip(index, kSearchDepth);
      for (const std::int32_t user : users_[n]) {
        Node& node = nodes_[at(user)];
        for (int t = 0; t < node.terms(); ++t) {
          if (node.term(t).operand == index) node.term(t).negate = !node.term(t).negate;
        }
      }
      for (const std::size_t o : output_users_[n]) outputs_[o].negate = !outputs_[o].negate;
    }
  }

  Solution collect() {
    std::vector<bool> live(nodes_.size(), false);
    for (const Term& term : outputs_) {
      if (term.operand >= 0) live[at(term.operand)] = true;
    }
    for (std::size_t n = nodes_.size(); n-- > 0;) {
      if (nodes_[n].kind == Node::Kind::Input) live[n] = true;
      for (int t = 0; live[n] && t < nodes_[n].terms(); ++t) live[at(nodes_[n].term(t).operand)] = true;
    }
    std::vector<std::int32_t> number(nodes_.size(), -1);
    Solution solution;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (!live[n]) continue;
      number[n] = static_cast<std::int32_t>(solution.nodes.size());
      Node node = nodes_[n];
      if (node.kind == Node::Kind::Sum) {
        std::array<Operand, 3> operands{};
        node.level = 0;
        node.delay = 0.0;
        for (int t = 0; t < node.terms(); ++t) {
          Term& term = node.term(t);
          term.operand = number[at(term.operand)];
          const Node& from = solution.nodes[at(term.operand)];
          operands[static_cast<std::size_t>(t)] = {bit_span(from.range), term.shift, term.negate};
          node.level = std::max(node.level, from.level + 1);
          node.delay = t == 0 ? from.delay : std::max(node.delay, from.delay);
        }
        const auto terms = static_cast<std::size_t>(node.terms());
        const AdderShape shape = adder_shape({operands.data(), terms}, bit_span(node.range));
        node.delay += cost_.delay_ps(node.terms(), shape);
        solution.adders += 1;
        solution.ternary_adders += terms == 3 ? 1 : 0;
        solution.lut += cost_.lut(node.terms(), shape);
      }
      solution.nodes.push_back(node);
    }
    for (Term term : outputs_) {
      if (term.operand >= 0) {
        term.operand = number[at(term.operand)];
        solution.depth = std::max(solution.depth, solution.nodes[at(term.operand)].level);
        solution.delay = std::max(solution.delay, solution.nodes[at(term.operand)].delay);
      }
      solution.outputs.push_back(term);
    }
    return solution;
  }

  const CostModel& cost_;
  std::vector<Node> nodes_;
  std::vector<Term> outputs_;
  std::vector<std::vector<std::int32_t>> users_;
  std::vector<std::vector<std::size_t>> output_users_;
};

}  // namespace

Solution finish(const AdderGraph& graph, std::vector<Term> outputs) {
  return Finisher(graph, std::move(outputs)).run();
}

}  // namespace weft::shiftadd
