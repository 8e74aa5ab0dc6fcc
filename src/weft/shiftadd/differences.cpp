// SPDX-License-Identifier: Apache-2.0
// A minimum spanning tree of bounded height (Prim) over the rows and an empty row, with the digits of the difference as
// distance; then deadlines from the leaves, and whatever cannot be in time is taken back.
#include "weft/shiftadd/differences.h"

#include <algorithm>
#include <map>

#include "weft/shiftadd/digits.h"
#include "weft/shiftadd/level_plan.h"

namespace weft::shiftadd {
namespace {

using Coefficients = std::vector<std::pair<std::int32_t, Int>>;

/// a - b, or a + b. Sums of two rows stay within the margin that prepare has left.
RowPlan difference(const RowPlan& a, const RowPlan& b, bool add) {
  RowPlan out = a;
  LinearForm fa;
  fa.terms = a.coefficients;
  fa.constant = a.constant;
  LinearForm fb;
  fb.terms = b.coefficients;
  fb.constant = b.constant;
  auto form = combine(fa, 0, false, fb, 0, !add);
  WEFT_CHECK(form.has_value(), "a difference of rows beyond its bound");
  out.coefficients = std::move(form->terms);
  out.constant = form->constant;
  return out;
}

std::int64_t digits_of(const RowPlan& row) {
  std::int64_t digits = row.constant != 0 ? 1 : 0;
  for (const auto& [input, weight] : row.coefficients) {
    // Non-zero positions of the canonical form.
    const UInt magnitude = weight < 0 ? UInt{0} - static_cast<UInt>(weight) : static_cast<UInt>(weight);
    for (UInt bits = magnitude ^ (3 * magnitude); bits != 0; bits &= bits - 1) ++digits;
  }
  return digits;
}

class Chainer {
 public:
  Chainer(const Plan& plan, int longest, double narrowing)
      : plan_(plan), longest_(longest), narrowing_(narrowing), links_(plan.rows.size()) {}

  Plan run() {
    grow();
    while (take_back()) {
    }
    return ordered();
  }

 private:
  struct Link {
    std::int64_t base = -1;
    bool negate = false;
    int level = 0;  ///< rows it builds on
    std::int64_t digits = 0;
    int deadline = 0;
  };

  static std::size_t at(std::int64_t row) { return static_cast<std::size_t>(row); }

  void grow() {
    const std::size_t n = plan_.rows.size();
    std::vector<bool> done(n, false);
    for (std::size_t r = 0; r < n; ++r) links_[r].digits = digits_of(plan_.rows[r]);
    for (std::size_t step = 0; step < n; ++step) {
      std::size_t next = n;
      for (std::size_t r = 0; r < n; ++r) {
        if (!done[r] && (next == n || links_[r].digits < links_[next].digits)) next = r;
      }
      done[next] = true;
      if (links_[next].level >= longest_) continue;
      for (std::size_t r = 0; r < n; ++r) {
        if (done[r]) continue;
        for (const bool negate : {false, true}) {
          const RowPlan rest = difference(plan_.rows[r], plan_.rows[next], negate);
          const std::int64_t digits = digits_of(rest) + 1;
          if (rest.coefficients.empty() || digits >= links_[r].digits) continue;
          links_[r] = {static_cast<std::int64_t>(next), negate, links_[next].level + 1, digits, 0};
        }
      }
    }
  }

  /// Time between a row and one that builds on it.
  [[nodiscard]] int gap(const RowPlan& row) const {
    return plan_.clock.adder(plan_.clock.has_ternary() ? 3 : 2, row.width_bits + 1);
  }

  [[nodiscard]] bool fits(std::size_t r) const {
    const Link& link = links_[r];
    const RowPlan& row = plan_.rows[r];
    const LevelPlans plans = plan_levels(plan_.clock, link.deadline, row.width_bits, 0, narrowing_);
    TimeBudget budget(plans);
    const RowPlan rest = link.base < 0 ? row : difference(row, plan_.rows[at(link.base)], link.negate);
    if (link.base >= 0) budget.add(links_[at(link.base)].deadline);
    if (rest.constant != 0) budget.add(0);
    for (const auto& [input, weight] : rest.coefficients) {
      for (std::size_t d = canonical_digits(weight).size(); d-- > 0;) budget.add(plan_.slots[at(input)]);
    }
    return budget.holds();
  }

  /// Deadlines from the leaves; then frees the first row that cannot meet its own. False when there is none.
  bool take_back() {
    const std::size_t n = links_.size();
    for (std::size_t r = 0; r < n; ++r) links_[r].deadline = plan_.rows[r].depth;
    for (int level = longest_; level > 0; --level) {
      for (std::size_t r = 0; r < n; ++r) {
        const Link& link = links_[r];
        if (link.base < 0 || link.level != level) continue;
        int& deadline = links_[at(link.base)].deadline;
        deadline = std::min(deadline, link.deadline - gap(plan_.rows[r]));
      }
    }
    for (std::size_t r = 0; r < n; ++r) {
      const bool is_plain = links_[r].base < 0 && links_[r].deadline == plan_.rows[r].depth;
      if (is_plain || fits(r)) continue;
      if (links_[r].base >= 0) {
        free(r);
      } else {
        for (std::size_t user = 0; user < n; ++user) {
          if (links_[user].base == static_cast<std::int64_t>(r)) free(user);
        }
      }
      return true;
    }
    return false;
  }

  void free(std::size_t row) {
    links_[row].base = -1;
    relevel(row, 0);
  }
  void relevel(std::size_t row, int level) {
    links_[row].level = level;
    for (std::size_t user = 0; user < links_.size(); ++user) {
      if (links_[user].base == static_cast<std::int64_t>(row)) relevel(user, level + 1);
    }
  }

  Plan ordered() const {
    std::vector<std::size_t> order(links_.size());
    for (std::size_t r = 0; r < order.size(); ++r) order[r] = r;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t x, std::size_t y) { return links_[x].level < links_[y].level; });
    std::vector<std::int64_t> place(order.size());
    for (std::size_t p = 0; p < order.size(); ++p) place[order[p]] = static_cast<std::int64_t>(p);
    Plan out = plan_;
    out.rows.clear();
    for (const std::size_t r : order) {
      const Link& link = links_[r];
      RowPlan row = plan_.rows[r];
      if (link.base >= 0) {
        row = difference(row, plan_.rows[at(link.base)], link.negate);
        row.base = RowBase{place[at(link.base)], link.negate, links_[at(link.base)].deadline};
      }
      row.depth = link.deadline;
      out.rows.push_back(std::move(row));
    }
    return out;
  }

  const Plan& plan_;
  int longest_;
  double narrowing_;
  std::vector<Link> links_;
};

}  // namespace

Plan with_differences(const Plan& plan, int longest, double narrowing) {
  return Chainer(plan, longest, narrowing).run();
}

}  // namespace weft::shiftadd
