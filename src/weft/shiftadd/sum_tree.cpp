// SPDX-License-Identifier: Apache-2.0
// Best pair first: of all pairs that the row's remaining depth allows, the one whose sum is smallest (or whose adder is
// cheapest) is joined. The two earliest terms are always allowed (their sum keeps Kraft's inequality for a sum of
// powers of two), so it never gets stuck.
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

struct Item {
  Term term;
  BitSpan span;
  int slot = 0;
  double magnitude = 0.0;  ///< largest absolute value
};

class Tree {
 public:
  Tree(AdderGraph& graph, const Row& row, const TreeOptions& options)
      : graph_(graph), options_(options), budget_(row.depth) {
    std::uint64_t used = 0;
    for (const Term& term : row.terms) {
      items_.push_back(item_of(term));
      used += budget_.weight(items_.back().slot);
    }
    slack_ = static_cast<std::int64_t>(budget_.capacity()) - static_cast<std::int64_t>(used);
  }

  Term run() {
    while (items_.size() > 1) {
      const auto [i, j] = best_pair();
      const Item a = items_[i];
      const Item b = items_[j];
      slack_ -= budget_.growth(a.slot, b.slot);
      items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(std::max(i, j)));
      items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(std::min(i, j)));
      items_.push_back(item_of(join(a.term, b.term)));
    }
    return items_.front().term;
  }

 private:
  Item item_of(const Term& term) const {
    const fixed::Range& range = graph_.node(term.operand).range;
    const double magnitude =
        std::max(std::fabs(static_cast<double>(range.lo)), std::fabs(static_cast<double>(range.hi)));
    return {term, graph_.span(term.operand), graph_.slot(term.operand), std::ldexp(magnitude, term.shift)};
  }

  Term join(Term a, Term b) {
    const bool outer = a.negate && b.negate;
    if (outer) a.negate = b.negate = false;
    Term sum = graph_.add(a, b);
    sum.negate = sum.negate != outer;
    return sum;
  }

  /// The first number decides; then early results, the other measure, and aligned operands.
  using Price = std::tuple<double, int, double, int>;
  Price price(const Item& a, const Item& b) const {
    Term ta = a.term;
    Term tb = b.term;
    if (ta.negate && tb.negate) ta.negate = tb.negate = false;
    BitSpan sum;
    sum.is_signed = a.span.is_signed || b.span.is_signed || ta.negate || tb.negate;
    sum.msb = std::max(a.span.msb + ta.shift, b.span.msb + tb.shift) + 1;
    const AdderShape shape = adder_shape(a.span, ta, b.span, tb, sum);
    const double cost = graph_.cost().adder_lut(shape.width_bits, shape.free_bits);
    const double magnitude = a.magnitude + b.magnitude;
    double first = options_.order == TreeOptions::Order::Cost ? cost : magnitude;
    if (options_.noise > 0.0) {
      const std::uint64_t key = (static_cast<std::uint64_t>(ta.operand) << 32) ^
                                static_cast<std::uint64_t>(tb.operand) ^
                                (static_cast<std::uint64_t>(ta.shift - tb.shift) << 20);
      first *= 1.0 + options_.noise * (static_cast<double>(hash_key(key ^ options_.seed) >> 11) * 0x1.0p-53 - 0.5);
    }
    return {first, std::max(a.slot, b.slot), options_.order == TreeOptions::Order::Cost ? magnitude : cost,
            std::max(a.span.lsb + ta.shift, b.span.lsb + tb.shift)};
  }

  std::pair<std::size_t, std::size_t> best_pair() {
    std::pair<std::size_t, std::size_t> best{0, 0};
    Price best_price;
    bool found = false;
    const auto consider = [&](std::size_t i, std::size_t j) {
      if (budget_.growth(items_[i].slot, items_[j].slot) > slack_) return;
      const Price here = price(items_[i], items_[j]);
      if (found && !(here < best_price)) return;
      best = {i, j};
      best_price = here;
      found = true;
    };
    const bool all = items_.size() <= kAllPairs;
    if (!all) {
      std::stable_sort(items_.begin(), items_.end(), [](const Item& x, const Item& y) {
        const int low_x = x.span.lsb + x.term.shift;
        const int low_y = y.span.lsb + y.term.shift;
        return std::tuple(x.slot, low_x, x.span.msb + x.term.shift) <
               std::tuple(y.slot, low_y, y.span.msb + y.term.shift);
      });
    }
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const std::size_t end = all ? items_.size() : std::min(items_.size(), i + 1 + kWindow);
      for (std::size_t j = i + 1; j < end; ++j) consider(i, j);
    }
    if (!found) {
      // Nothing fits: the two earliest.
      std::size_t first = 0;
      for (std::size_t i = 1; i < items_.size(); ++i) {
        if (items_[i].slot < items_[first].slot) first = i;
      }
      std::size_t second = first == 0 ? 1 : 0;
      for (std::size_t i = 0; i < items_.size(); ++i) {
        if (i != first && items_[i].slot < items_[second].slot) second = i;
      }
      best = {first, second};
    }
    return best;
  }

  AdderGraph& graph_;
  const TreeOptions& options_;
  KraftBudget budget_;
  std::vector<Item> items_;
  std::int64_t slack_ = 0;
};

}  // namespace

Term sum_terms(AdderGraph& graph, const Row& row, const TreeOptions& options) {
  WEFT_CHECK(!row.terms.empty(), "a sum of no terms");
  return Tree(graph, row, options).run();
}

}  // namespace weft::shiftadd
