// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/finish.h"

#include <algorithm>

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
      live[at(nodes_[n].a.operand)] = live[at(nodes_[n].b.operand)] = true;
    }
    users_.assign(nodes_.size(), {});
    output_users_.assign(nodes_.size(), {});
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (!live[n] || nodes_[n].kind != Node::Kind::Sum) continue;
      users_[at(nodes_[n].a.operand)].push_back(static_cast<std::int32_t>(n));
      if (nodes_[n].b.operand != nodes_[n].a.operand)
        users_[at(nodes_[n].b.operand)].push_back(static_cast<std::int32_t>(n));
    }
    for (std::size_t o = 0; o < outputs_.size(); ++o) {
      if (outputs_[o].operand >= 0) output_users_[at(outputs_[o].operand)].push_back(o);
    }
  }

  /// Whether -node costs no more than node: a - b turns into b - a, and a + b into -a - b with a turned around.
  [[nodiscard]] bool can_flip(std::int32_t index, int depth) const {
    const Node& node = nodes_[at(index)];
    if (node.kind != Node::Kind::Sum) return node.kind == Node::Kind::Constant;
    if (node.a.negate != node.b.negate) return true;
    return depth > 0 &&
           (flips_alone(node.a.operand, index, depth - 1) || flips_alone(node.b.operand, index, depth - 1));
  }
  [[nodiscard]] bool flips_alone(std::int32_t index, std::int32_t user, int depth) const {
    return users_[at(index)].size() == 1 && users_[at(index)].front() == user && output_users_[at(index)].empty() &&
           can_flip(index, depth) && nodes_[at(user)].a.operand != nodes_[at(user)].b.operand;
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
    if (node.a.negate != node.b.negate) {
      node.a.negate = !node.a.negate;
      node.b.negate = !node.b.negate;
      return;
    }
    // -(a + b) = (-a) - b
    if (flips_alone(node.a.operand, index, depth - 1)) {
      flip(node.a.operand, depth - 1);
      node.b.negate = true;
    } else {
      flip(node.b.operand, depth - 1);
      node.a.negate = true;
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
        if (node.a.operand == node.b.operand) return false;
        const Term& mine = node.a.operand == index ? node.a : node.b;
        const Term& other = node.a.operand == index ? node.b : node.a;
        return mine.negate || !other.negate;
      });
      if (!users_agree) continue;
      flip(index, kSearchDepth);
      for (const std::int32_t user : users_[n]) {
        Node& node = nodes_[at(user)];
        Term& mine = node.a.operand == index ? node.a : node.b;
        mine.negate = !mine.negate;
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
      if (live[n] && nodes_[n].kind == Node::Kind::Sum)
        live[at(nodes_[n].a.operand)] = live[at(nodes_[n].b.operand)] = true;
    }
    std::vector<std::int32_t> number(nodes_.size(), -1);
    Solution solution;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (!live[n]) continue;
      number[n] = static_cast<std::int32_t>(solution.nodes.size());
      Node node = nodes_[n];
      if (node.kind == Node::Kind::Sum) {
        node.a.operand = number[at(node.a.operand)];
        node.b.operand = number[at(node.b.operand)];
        const Node& a = solution.nodes[at(node.a.operand)];
        const Node& b = solution.nodes[at(node.b.operand)];
        const AdderShape shape =
            adder_shape(bit_span(a.range), node.a, bit_span(b.range), node.b, bit_span(node.range));
        node.level = std::max(a.level, b.level) + 1;
        node.delay = std::max(a.delay, b.delay) + cost_.adder_delay_ps(shape.width_bits);
        solution.adders += 1;
        solution.lut += cost_.adder_lut(shape.width_bits, shape.free_bits);
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
