// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/regroup.h"

#include <algorithm>
#include <functional>
#include <tuple>

namespace weft::shiftadd {
namespace {

class Regrouper {
 public:
  Regrouper(const AdderGraph& from, AdderGraph& to, const RegroupOptions& options)
      : from_(from), to_(to), options_(options), nodes_(from.nodes().size()) {}

  void run(std::vector<Row>& rows) {
    sums_.resize(nodes_ + rows.size());
    flatten(rows);
    for (int pass = 0; options_.dissolve && pass < kPasses && dissolve_shared(rows); ++pass) {
    }
    std::vector<Term> moved(nodes_);
    const auto move_terms = [&](const std::vector<Term>& terms) {
      std::vector<Term> out;
      for (const Term& term : terms) out.push_back(within(moved[at(term.operand)], term));
      return out;
    };
    for (std::size_t n = 0; n < nodes_; ++n) {
      if (from_.nodes()[n].kind != Node::Kind::Sum) {
        moved[n] = {static_cast<std::int32_t>(n), 0, false};
      } else if (!sums_[n].users.empty()) {
        moved[n] = build(n, move_terms(sums_[n].terms));
      }
    }
    for (std::size_t r = 0; r < rows.size(); ++r) rows[r].terms = move_terms(sums_[nodes_ + r].terms);
  }

 private:
  static constexpr int kPasses = 3;
  /// Sums that are used more often are not worth the look: dissolving them takes more adders.
  static constexpr std::size_t kFewUsers = 3;

  /// A node that stays, or a row.
  struct Sum {
    std::vector<Term> terms;         ///< over nodes of `from` that are inputs or stay
    std::vector<std::size_t> users;  ///< sums, once for each term
    int width_bits = 1;
  };

  static std::size_t at(std::int32_t index) { return static_cast<std::size_t>(index); }
  /// `term` of a sum that is itself the term `outer`.
  static Term within(const Term& term, const Term& outer) {
    return {term.operand, term.shift + outer.shift, term.negate != outer.negate};
  }

  /// Fills the terms of rows and of nodes that are used more than once; what is used once becomes part of its user.
  void flatten(const std::vector<Row>& rows) {
    std::vector<std::int32_t> uses(nodes_, 0);
    for (const Row& row : rows) {
      for (const Term& term : row.terms) ++uses[at(term.operand)];
    }
    for (std::size_t n = nodes_; n-- > 0;) {
      const Node& node = from_.nodes()[n];
      for (int t = 0; uses[n] > 0 && t < node.terms(); ++t) ++uses[at(node.term(t).operand)];
    }
    const std::function<void(const Term&, std::size_t)> put = [&](const Term& term, std::size_t user) {
      const Node& node = from_.node(term.operand);
      if (node.kind == Node::Kind::Sum && uses[at(term.operand)] == 1) {
        for (int t = 0; t < node.terms(); ++t) put(within(node.term(t), term), user);
        return;
      }
      sums_[user].terms.push_back(term);
      sums_[at(term.operand)].users.push_back(user);
    };
    for (std::size_t n = 0; n < nodes_; ++n) {
      const Node& node = from_.nodes()[n];
      const BitSpan& span = from_.span(static_cast<std::int32_t>(n));
      sums_[n].width_bits = span.msb - span.lsb;
      if (uses[n] < 2) continue;
      for (int t = 0; t < node.terms(); ++t) put(node.term(t), n);
    }
    for (std::size_t r = 0; r < rows.size(); ++r) {
      Sum& sum = sums_[nodes_ + r];
      for (const Term& term : rows[r].terms) put(term, nodes_ + r);
      for (const Term& term : sum.terms) sum.width_bits = std::max(sum.width_bits, sums_[at(term.operand)].width_bits);
    }
  }

  /// Adders of a sum of so many terms.
  static std::int64_t adders(std::size_t terms) { return static_cast<std::int64_t>(terms / 2); }

  /// An even number of terms leaves one adder with a free input; a shared sum that all its users can take up there is
  /// dissolved. False when there was none.
  bool dissolve_shared(const std::vector<Row>& rows) {
    bool changed = false;
    for (std::size_t n = nodes_; n-- > 0;) {
      const Sum& sum = sums_[n];
      if (sum.terms.empty() || sum.users.empty() || sum.users.size() > kFewUsers) continue;
      std::int64_t bits = -adders(sum.terms.size()) * sum.width_bits;
      bool possible = true;
      for (const std::size_t user : sum.users) {
        possible = possible && std::count(sum.users.begin(), sum.users.end(), user) == 1;
        const std::size_t before = terms_of(user, rows);
        bits += (adders(before - 1 + sum.terms.size()) - adders(before)) * sums_[user].width_bits;
      }
      if (!possible || bits >= 0 || !users_have_time(n, rows)) continue;
      dissolve(n);
      changed = true;
    }
    return changed;
  }

  [[nodiscard]] std::size_t terms_of(std::size_t sum, const std::vector<Row>& rows) const {
    std::size_t terms = sums_[sum].terms.size();
    if (sum >= nodes_ && rows[sum - nodes_].constant != 0) ++terms;
    if (sum >= nodes_ && rows[sum - nodes_].late) ++terms;
    return terms;
  }

  /// Whether the rows that use a node can add its terms themselves. Nodes are built as early as possible anyway.
  [[nodiscard]] bool users_have_time(std::size_t n, const std::vector<Row>& rows) const {
    for (const std::size_t user : sums_[n].users) {
      if (user < nodes_) continue;
      const Row& row = rows[user - nodes_];
      TimeBudget budget(*row.plans);
      if (row.constant != 0) budget.add(0);
      if (row.late) budget.add(*row.late);
      for (const Term& term : sums_[user].terms) {
        if (at(term.operand) != n) budget.add(from_.slot(term.operand));
      }
      for (const Term& term : sums_[n].terms) budget.add(from_.slot(term.operand));
      if (!budget.holds()) return false;
    }
    return true;
  }

  void dissolve(std::size_t n) {
    Sum gone;
    std::swap(gone, sums_[n]);
    for (const Term& term : gone.terms) std::erase(sums_[at(term.operand)].users, n);
    for (const std::size_t user : gone.users) {
      auto& terms = sums_[user].terms;
      const auto it = std::find_if(terms.begin(), terms.end(), [&](const Term& t) { return at(t.operand) == n; });
      const Term outer = *it;
      terms.erase(it);
      for (const Term& term : gone.terms) {
        terms.push_back(within(term, outer));
        sums_[at(term.operand)].users.push_back(user);
      }
    }
  }

  Term build(std::size_t n, const std::vector<Term>& terms) {
    int first = to_.slot(terms.front().operand);
    for (const Term& term : terms) first = std::min(first, to_.slot(term.operand));
    const int deadline = from_.slot(static_cast<std::int32_t>(n));
    return best_sum(to_, terms, plan_levels(to_.clock(), deadline, sums_[n].width_bits, first, options_.narrowing),
                    options_.tree);
  }

  const AdderGraph& from_;
  AdderGraph& to_;
  const RegroupOptions& options_;
  std::size_t nodes_;
  std::vector<Sum> sums_;  ///< nodes of `from`, then rows
};

}  // namespace

void regroup(const AdderGraph& shared, std::vector<Row>& rows, AdderGraph& out, const RegroupOptions& options) {
  Regrouper(shared, out, options).run(rows);
}

Term best_sum(AdderGraph& graph, const std::vector<Term>& terms, const LevelPlans& plans, const TreeOptions& options) {
  if (terms.size() < 3 || !graph.clock().has_ternary()) return sum_terms(graph, terms, plans, options);
  using Measure = std::tuple<int, double, int>;  // slots too late, LUTs, slot
  TreeOptions best = options;
  std::optional<Measure> least;
  const std::size_t size = graph.nodes().size();
  for (const bool pair_first : {true, false}) {
    if (!pair_first && terms.size() % 2 != 0) break;
    for (const auto order : {TreeOptions::Order::Magnitude, TreeOptions::Order::Cost}) {
      TreeOptions trial = options;
      trial.order = order;
      trial.pair_first = pair_first;
      const int slot = graph.slot(sum_terms(graph, terms, plans, trial).operand);
      const Measure here{std::max(0, slot - plans.front().deadline()), graph.lut_since(size), slot};
      graph.shrink(size);
      if (least && *least <= here) continue;
      least = here;
      best = trial;
    }
  }
  return sum_terms(graph, terms, plans, best);
}

}  // namespace weft::shiftadd
