// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "weft/shiftadd/adder_graph.h"
#include "weft/shiftadd/digits.h"
#include "weft/shiftadd/level_plan.h"
#include "weft/shiftadd/pattern_table.h"

namespace weft::shiftadd {
namespace {

/// Room for partial sums: twice the digits of any coefficient, both operands of a sum, the negation.
constexpr int kMarginBits = 4;
/// Adders near the result are about as wide as it; see plan_levels.
constexpr double kSafeNarrowing = 0.0;
/// A constant behind a sum is taken to widen it by this much when its adder's time is set aside.
constexpr int kConstantBits = 1;

Result<void> check_shape(const Problem& problem, Context& ctx) {
  const auto fail = [&](const std::string& message) { return ctx.fail(Kind::ShapeMismatch, {}, message); };
  if (problem.n_in < 0 || problem.n_out < 0) return fail("a constant matrix has a negative size");
  const auto limit = static_cast<Int>(ctx.limits.tensor_elements);
  if (static_cast<Int>(problem.n_in) * problem.n_out > limit || problem.n_in >= kMaxSymbols || problem.n_out > limit) {
    return ctx.fail(
        Kind::LimitExceeded, {},
        fmt::format("a constant matrix of {} x {} is beyond the limit; split the layer", problem.n_in, problem.n_out));
  }
  if (static_cast<std::int64_t>(problem.matrix.size()) != problem.n_in * problem.n_out) {
    return fail(fmt::format("a constant matrix of {} x {} has {} elements", problem.n_in, problem.n_out,
                            problem.matrix.size()));
  }
  if (!problem.bias.empty() && static_cast<std::int64_t>(problem.bias.size()) != problem.n_out) {
    return fail(fmt::format("{} biases for {} outputs", problem.bias.size(), problem.n_out));
  }
  if (static_cast<std::int64_t>(problem.inputs.size()) != problem.n_in) {
    return fail(fmt::format("{} input ranges for {} inputs", problem.inputs.size(), problem.n_in));
  }
  if (!problem.arrival.empty() && static_cast<std::int64_t>(problem.arrival.size()) != problem.n_in) {
    return fail(fmt::format("{} arrival times for {} inputs", problem.arrival.size(), problem.n_in));
  }
  for (const fixed::Range& range : problem.inputs) {
    if (range.lo > range.hi || range.step_log2 < 0 || range.step_log2 > 126) {
      return ctx.fail(Kind::TypeInvalid, {}, "an input range of a constant matrix is empty or has an impossible step");
    }
  }
  for (const double time : problem.arrival) {
    if (!std::isfinite(time)) return ctx.fail(Kind::TypeInvalid, {}, "an arrival time is not finite");
  }
  return {};
}

UInt magnitude(Int value) { return value < 0 ? UInt{0} - static_cast<UInt>(value) : static_cast<UInt>(value); }
int bit_length(UInt value) {
  int bits = 0;
  for (; value != 0; value >>= 1) ++bits;
  return bits;
}

/// Every partial sum of any signed-digit form stays below this many bits, or the sizes are refused.
Result<void> check_width(const Problem& problem, Context& ctx) {
  for (std::int64_t o = 0; o < problem.n_out; ++o) {
    int bits = problem.bias.empty() ? 0 : bit_length(magnitude(problem.bias[static_cast<std::size_t>(o)]));
    int terms = 1;
    for (std::int64_t i = 0; i < problem.n_in; ++i) {
      const std::int64_t weight = problem.matrix[static_cast<std::size_t>(i * problem.n_out + o)];
      if (weight == 0) continue;
      const fixed::Range& range = problem.inputs[static_cast<std::size_t>(i)];
      bits = std::max(bits,
                      bit_length(magnitude(weight)) + bit_length(std::max(magnitude(range.lo), magnitude(range.hi))));
      ++terms;
    }
    if (bits + bit_length(static_cast<UInt>(terms)) + kMarginBits > 126) {
      return ctx.fail(Kind::TypeTooWide, {},
                      fmt::format("output {} of a constant matrix may need more than 128 bits", o));
    }
  }
  return {};
}

/// The earliest slot by which terms of these slots can be a sum of `width_bits` bits.
int minimal_depth(const std::vector<int>& slots, int width_bits, const Clock& clock) {
  if (slots.empty()) return 0;
  const auto [first, last] = std::minmax_element(slots.begin(), slots.end());
  const auto fits = [&](int depth) {
    const LevelPlans plans = plan_levels(clock, depth, width_bits, *first, kSafeNarrowing);
    TimeBudget budget(plans);
    for (const int slot : slots) budget.add(slot);
    return budget.holds();
  };
  int low = *last;
  if (fits(low)) return low;
  int step = clock.adder(2, width_bits);
  while (!fits(low + step)) {
    low += step;
    step *= 2;
  }
  int high = low + step;  // fits, and low does not
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    (fits(middle) ? high : low) = middle;
  }
  return high;
}

struct Column {
  std::vector<std::pair<std::int32_t, Int>> coefficients;
  Int constant = 0;
};

/// The column of one output over the inputs that vary; constant inputs go into its constant.
Column column_of(const Problem& problem, std::int64_t output) {
  Column column;
  if (!problem.bias.empty()) column.constant = problem.bias[static_cast<std::size_t>(output)];
  for (std::int64_t i = 0; i < problem.n_in; ++i) {
    const Int weight = problem.matrix[static_cast<std::size_t>(i * problem.n_out + output)];
    if (weight == 0) continue;
    const fixed::Range& range = problem.inputs[static_cast<std::size_t>(i)];
    if (range.lo == range.hi) {
      column.constant += weight * range.lo;  // bounded by check_width
    } else {
      column.coefficients.emplace_back(static_cast<std::int32_t>(i), weight);
    }
  }
  return column;
}

class Planner {
 public:
  Planner(const Problem& problem, Plan& plan) : problem_(problem), plan_(plan) {}

  /// `wanted`: the deadline, when there is one; else the earliest possible one.
  void run(std::optional<int> wanted) {
    for (std::int64_t o = 0; o < problem_.n_out; ++o) add_output(o);
    for (auto& [coefficients, outputs] : groups_) order_.emplace_back(outputs.front().output, &coefficients);
    std::sort(order_.begin(), order_.end());
    int depth = 0;
    for (const auto& [first, coefficients] : order_) {
      for (const RowUse& use : groups_[*coefficients])
        depth = std::max(depth, depth_of(*coefficients, use.constant != 0));
    }
    depth_ = wanted.value_or(depth);
    for (const auto& [first, coefficients] : order_) add_rows(*coefficients, groups_[*coefficients]);
  }

 private:
  void add_output(std::int64_t output) {
    Column column = column_of(problem_, output);
    if (column.coefficients.empty()) {
      plan_.constant_outputs.emplace_back(output, column.constant);
      return;
    }
    RowUse use;
    use.output = output;
    use.constant = column.constant;
    use.negate = column.coefficients.front().second < 0;
    use.shift = 127;
    for (const auto& [input, weight] : column.coefficients)
      use.shift = std::min(use.shift, fixed::trailing_zeros(weight));
    for (auto& [input, weight] : column.coefficients) weight = (use.negate ? -weight : weight) >> use.shift;
    groups_[std::move(column.coefficients)].push_back(use);
  }

  /// Width of the sum above its common zeros; the constant takes at most another bit.
  int width_of(const std::vector<std::pair<std::int32_t, Int>>& coefficients, Int constant) const {
    LinearForm form;
    form.terms = coefficients;
    form.constant = constant;
    const auto range = exact_range(form, problem_.inputs);
    WEFT_CHECK(range.has_value(), "a sum beyond its bound");
    const BitSpan span = bit_span(*range);
    return span.msb - span.lsb;
  }

  int depth_of(const std::vector<std::pair<std::int32_t, Int>>& coefficients, bool with_constant) const {
    std::vector<int> slots;
    for (const auto& [input, weight] : coefficients) {
      slots.insert(slots.end(), canonical_digits(weight).size(), plan_.slots[static_cast<std::size_t>(input)]);
    }
    if (with_constant) slots.push_back(0);
    return minimal_depth(slots, plan_.clock.counts_levels() ? 1 : width_of(coefficients, with_constant ? 1 : 0),
                         plan_.clock);
  }

  void push_row(const std::vector<std::pair<std::int32_t, Int>>& coefficients, Int constant, std::vector<RowUse> uses,
                int depth) {
    RowPlan row;
    // The sign that needs no negation behind the row: that of its first use.
    const bool flip = uses.front().negate;
    row.coefficients = coefficients;
    if (flip) {
      for (auto& [input, weight] : row.coefficients) weight = -weight;
    }
    row.constant = flip ? -constant : constant;
    for (RowUse& use : uses) use.negate = use.negate != flip;
    row.uses = std::move(uses);
    row.width_bits = width_of(row.coefficients, row.constant);
    row.depth = depth;
    for (const auto& [input, weight] : row.coefficients)
      plan_.digits += static_cast<std::int64_t>(canonical_digits(weight).size());
    plan_.rows.push_back(std::move(row));
  }

  void add_rows(const std::vector<std::pair<std::int32_t, Int>>& coefficients, const std::vector<RowUse>& uses) {
    // Uses with the same constant in units of the row are one sum.
    std::vector<std::pair<Int, std::vector<RowUse>>> same;
    std::vector<RowUse> odd;  // constants below the row's last bit
    for (RowUse use : uses) {
      if (use.constant != 0 && fixed::trailing_zeros(use.constant) < use.shift) {
        odd.push_back(use);
        continue;
      }
      const Int constant = (use.negate ? -use.constant : use.constant) >> use.shift;
      use.constant = 0;
      auto it = std::find_if(same.begin(), same.end(), [&](const auto& entry) { return entry.first == constant; });
      if (it == same.end()) it = same.insert(same.end(), {constant, {}});
      it->second.push_back(use);
    }
    // The sum once and the constants behind it, where there is time for one more adder.
    const int last_adder = plan_.clock.adder(2, width_of(coefficients, 0) + kConstantBits);
    if (same.size() + odd.size() > 1 && depth_of(coefficients, false) <= depth_ - last_adder) {
      push_row(coefficients, 0, uses, depth_ - last_adder);
      return;
    }
    for (auto& [constant, members] : same) push_row(coefficients, constant, std::move(members), depth_);
    for (RowUse& use : odd) {
      auto shifted = coefficients;
      for (auto& [input, weight] : shifted) weight = weight << use.shift;
      const Int constant = use.negate ? -use.constant : use.constant;
      push_row(shifted, constant, {{use.output, 0, use.negate, 0}}, depth_);
    }
  }

  const Problem& problem_;
  Plan& plan_;
  std::map<std::vector<std::pair<std::int32_t, Int>>, std::vector<RowUse>> groups_;
  std::vector<std::pair<std::int64_t, const std::vector<std::pair<std::int32_t, Int>>*>> order_;
  int depth_ = 0;
};

}  // namespace

Result<Plan> prepare(const Problem& problem, const Options& options, const CostModel& cost, Context& ctx) {
  WEFT_TRY_VOID(check_shape(problem, ctx));
  WEFT_TRY_VOID(check_width(problem, ctx));
  Plan plan{.clock = cost.has_ternary() || options.max_delay ? Clock::ticks(cost) : Clock::levels(cost)};
  plan.slots.assign(static_cast<std::size_t>(problem.n_in), 0);
  double first = 0.0;
  if (!problem.arrival.empty()) {
    first = *std::min_element(problem.arrival.begin(), problem.arrival.end());
    for (std::size_t i = 0; i < plan.slots.size(); ++i) plan.slots[i] = plan.clock.arrival(problem.arrival[i] - first);
  }
  std::optional<int> wanted;
  if (options.max_delay) wanted = plan.clock.deadline(*options.max_delay - first);
  Planner(problem, plan).run(wanted);
  if (!wanted) {
    const int unlimited = 1 << 24;
    const int extra =
        options.extra_levels < 0 ? unlimited : std::min(unlimited, plan.clock.of_levels(options.extra_levels));
    for (RowPlan& row : plan.rows) row.depth += extra;
  }
  if (plan.digits + problem.n_in >= kMaxSymbols) {
    return ctx.fail(Kind::LimitExceeded, {}, "a constant matrix has too many digits; split the layer");
  }
  return plan;
}

}  // namespace weft::shiftadd
