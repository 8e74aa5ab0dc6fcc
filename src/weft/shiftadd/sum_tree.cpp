// SPDX-License-Identifier: Apache-2.0
// Best group first: of all groups of terms that the remaining time allows, the one whose sum is smallest (or whose
// adder is cheapest) is joined. With levels as time the two earliest terms are always allowed (their sum keeps Kraft's
// inequality), so it never gets stuck; with delays it may, and then goes on with the earliest terms.
#include "weft/shiftadd/sum_tree.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <tuple>

#include "weft/shiftadd/pattern_table.h"

namespace weft::shiftadd {
namespace {

/// Above this many terms only near neighbours in bit position are compared.
constexpr std::size_t kAllPairs = 40;
constexpr std::size_t kWindow = 8;
/// Up to this many terms all triples are compared.
constexpr std::size_t kAllTriples = 10;

struct Item {
  Term term;
  Operand operand;
  int slot = 0;
  double magnitude = 0.0;  ///< largest absolute value
  std::size_t id = 0;      ///< its row in the table of pairs, once there is one
};

/// Up to three items by index; the third is kNone in a pair.
constexpr std::size_t kNone = static_cast<std::size_t>(-1);
struct Group {
  std::size_t i = kNone;
  std::size_t j = kNone;
  std::size_t k = kNone;
  [[nodiscard]] int size() const { return k == kNone ? 2 : 3; }
};

class Tree {
 public:
  Tree(AdderGraph& graph, const std::vector<Term>& terms, const LevelPlans& plans, const TreeOptions& options)
      : graph_(graph), options_(options), budget_(plans), has_ternary_(graph.clock().has_ternary()) {
    for (const Term& term : terms) {
      items_.push_back(item_of(term));
      budget_.add(items_.back().slot);
    }
  }

  Term run() {
    while (items_.size() > 1) {
      const Group group = best_group();
      Term terms[3];
      int slots[3] = {};
      std::size_t n = 0;
      for (const std::size_t at : {group.i, group.j, group.k}) {
        if (at == kNone) continue;
        slots[n] = items_[at].slot;
        terms[n++] = items_[at].term;
      }
      const std::size_t id = items_[group.i].id;
      std::size_t kept = 0;
      for (std::size_t at = 0; at < items_.size(); ++at) {
        if (at != group.i && at != group.j && at != group.k) items_[kept++] = items_[at];
      }
      items_.resize(kept);
      items_.push_back(item_of(graph_.add({terms, n})));
      items_.back().id = id;
      if (!pairs_.empty()) offer_pairs_of(items_.size() - 1);
      if (n == 2) {
        budget_.replace({slots[0], slots[1]}, items_.back().slot);
      } else {
        budget_.replace({slots[0], slots[1], slots[2]}, items_.back().slot);
      }
    }
    return items_.front().term;
  }

 private:
  Item item_of(const Term& term) const {
    const fixed::Range& range = graph_.node(term.operand).range;
    const double magnitude =
        std::max(std::fabs(static_cast<double>(range.lo)), std::fabs(static_cast<double>(range.hi)));
    return {term, graph_.operand(term), graph_.slot(term.operand), std::ldexp(magnitude, term.shift)};
  }

  /// The first number decides; then early results, the other measure, and aligned operands.
  using Price = std::tuple<double, int, double, int>;
  struct Offer {
    Price price;
    int ready = 0;  ///< slot of the sum
  };
  [[nodiscard]] Offer offer(std::initializer_list<const Item*> items) const {
    Operand operands[3];
    std::size_t n = 0;
    BitSpan sum;
    int slot = 0;
    int lsb = 0;
    double magnitude = 0.0;
    bool all_negated = true;
    std::uint64_t key = 0;
    for (const Item* item : items) {
      operands[n++] = item->operand;
      all_negated = all_negated && item->term.negate;
      sum.is_signed = sum.is_signed || item->operand.span.is_signed;
      sum.msb = std::max(sum.msb, item->operand.msb());
      slot = std::max(slot, item->slot);
      lsb = n == 1 ? item->operand.lsb() : std::max(lsb, item->operand.lsb());
      magnitude += item->magnitude;
      key = (key << 21) ^ (key >> 43) ^ (static_cast<std::uint64_t>(item->term.operand) << 11) ^
            static_cast<std::uint64_t>(item->term.shift);
    }
    for (std::size_t o = 0; all_negated && o < n; ++o) operands[o].negate = false;
    for (std::size_t o = 0; o < n; ++o) sum.is_signed = sum.is_signed || operands[o].negate;
    sum.msb += n == 3 ? 2 : 1;
    const AdderShape shape = adder_shape({operands, n}, sum);
    const auto terms = static_cast<int>(n);
    // A three-input adder does the work of two.
    const double cost = graph_.cost().lut(terms, shape) / (terms - 1);
    const bool by_cost = options_.order == TreeOptions::Order::Cost;
    double first = by_cost ? cost : magnitude;
    if (options_.noise > 0.0)
      first *= 1.0 + options_.noise * (static_cast<double>(hash_key(key ^ options_.seed) >> 11) * 0x1.0p-53 - 0.5);
    return {{first, slot, by_cost ? magnitude : cost, lsb}, slot + graph_.clock().adder(terms, shape)};
  }

  /// Only the pairs of a new item are new, so the others are kept.
  void offer_pairs_of(std::size_t at) {
    for (std::size_t other = 0; other < items_.size(); ++other) {
      if (other == at) continue;
      const auto& [i, j] = std::minmax(at, other);
      pair_at(items_[i], items_[j]) = pair_at(items_[j], items_[i]) = offer({&items_[i], &items_[j]});
    }
  }
  Offer& pair_at(const Item& x, const Item& y) { return pairs_[x.id * stride_ + y.id]; }

  void keep_pairs() {
    stride_ = items_.size();
    pairs_.resize(stride_ * stride_);
    for (std::size_t i = 0; i < items_.size(); ++i) items_[i].id = i;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      for (std::size_t j = i + 1; j < items_.size(); ++j)
        pair_at(items_[i], items_[j]) = pair_at(items_[j], items_[i]) = offer({&items_[i], &items_[j]});
    }
  }

  Group best_group() {
    Group best;
    Price best_price;
    const bool all = items_.size() <= kAllPairs;
    if (all && pairs_.empty()) keep_pairs();
    const auto consider = [&](std::size_t i, std::size_t j) {
      const Offer here = all ? pair_at(items_[i], items_[j]) : offer({&items_[i], &items_[j]});
      if (best.i != kNone && !(here.price < best_price)) return;
      if (!budget_.allows({items_[i].slot, items_[j].slot}, here.ready)) return;
      best = {i, j, kNone};
      best_price = here.price;
    };
    if (!all) {
      std::stable_sort(items_.begin(), items_.end(), [](const Item& x, const Item& y) {
        return std::tuple(x.slot, x.operand.lsb(), x.operand.msb()) <
               std::tuple(y.slot, y.operand.lsb(), y.operand.msb());
      });
    }
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const std::size_t end = all ? items_.size() : std::min(items_.size(), i + 1 + kWindow);
      for (std::size_t j = i + 1; j < end; ++j) consider(i, j);
    }
    const bool wants_triple = has_ternary_ && items_.size() > 2 && !(options_.pair_first && items_.size() % 2 == 0);
    if (wants_triple) {
      const Group triple = best_triple(best);
      if (triple.i != kNone) return triple;
    }
    return best.i != kNone ? best : earliest();
  }

  /// The best pair with a third item, or without a pair three early ones; nothing when no three fit.
  [[nodiscard]] Group best_triple(const Group& pair) const {
    Group best;
    Price best_price;
    const bool by_magnitude = options_.order == TreeOptions::Order::Magnitude && options_.noise == 0.0;
    const auto consider = [&](std::size_t i, std::size_t j, std::size_t k) {
      // Most triples lose by what is known without the adder.
      if (by_magnitude && best.i != kNone &&
          items_[i].magnitude + items_[j].magnitude + items_[k].magnitude > std::get<0>(best_price))
        return;
      const Offer here = offer({&items_[i], &items_[j], &items_[k]});
      if (best.i != kNone && !(here.price < best_price)) return;
      if (!budget_.allows({items_[i].slot, items_[j].slot, items_[k].slot}, here.ready)) return;
      best = {i, j, k};
      best_price = here.price;
    };
    const std::size_t n = items_.size();
    if (n <= kAllTriples) {
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i + 1; j < n; ++j) {
          for (std::size_t k = j + 1; k < n; ++k) consider(i, j, k);
        }
      }
    } else if (pair.i != kNone) {
      for (std::size_t k = 0; k < n; ++k) {
        if (k != pair.i && k != pair.j) consider(pair.i, pair.j, k);
      }
    }
    return best;
  }

  /// When nothing fits: the two or three that are there first.
  [[nodiscard]] Group earliest() const {
    std::vector<std::size_t> order(items_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t x, std::size_t y) { return items_[x].slot < items_[y].slot; });
    const bool three = has_ternary_ && order.size() > 2 && order.size() != 4;
    return {order[0], order[1], three ? order[2] : kNone};
  }

  AdderGraph& graph_;
  const TreeOptions& options_;
  TimeBudget budget_;
  bool has_ternary_;
  std::vector<Item> items_;
  std::vector<Offer> pairs_;  ///< by id of both, once all pairs are compared
  std::size_t stride_ = 0;
};

}  // namespace

Term sum_terms(AdderGraph& graph, const std::vector<Term>& terms, const LevelPlans& plans, const TreeOptions& options) {
  WEFT_CHECK(!terms.empty(), "a sum of no terms");
  return Tree(graph, terms, plans, options).run();
}

}  // namespace weft::shiftadd
