// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/adder_search.h"

namespace weft::hw {

namespace {

/// FNV-1a over words.
class Hash {
 public:
  void mix(Int word) { value_ = (value_ ^ static_cast<std::uint64_t>(word)) * 1099511628211U; }
  [[nodiscard]] std::size_t value() const { return value_; }

 private:
  std::size_t value_ = 14695981039346656037U;
};

}  // namespace

std::size_t hash_of(const shiftadd::Problem& problem) {
  Hash hash;
  for (const std::int64_t w : problem.matrix) hash.mix(w);
  for (const Int b : problem.bias) hash.mix(b);
  for (const fixed::Range& r : problem.inputs) hash.mix(r.hi);
  return hash.value();
}

const shiftadd::Solution* SolutionCache::find(const shiftadd::Problem& problem, const Slack& slack) const {
  const auto it = entries_.find(hash_of(problem));
  if (it == entries_.end()) return nullptr;
  for (const Entry& entry : it->second) {
    if (entry.slack == slack && entry.problem == problem) return &entry.solution;
  }
  return nullptr;
}

void SolutionCache::add(const shiftadd::Problem& problem, const Slack& slack, shiftadd::Solution solution) {
  entries_[hash_of(problem)].push_back({problem, slack, std::move(solution)});
}

const std::optional<fixed::MultiplyShift>& SolutionCache::multiply_shift(const fixed::Pieces& function,
                                                                         const fixed::Range& range) {
  constexpr int kMaxShift = 40;
  Hash hash;
  for (const Int b : function.breakpoints) hash.mix(b);
  for (const Int v : function.values) hash.mix(v);
  auto& known = forms_[hash.value()];
  for (const Form& form : known) {
    if (form.range == range && form.function == function) return form.form;
  }
  known.push_back({function, range, fixed::find_multiply_shift(function, range, kMaxShift)});
  return known.back().form;
}

Result<shiftadd::Solution> solve(const shiftadd::Problem& problem, const Slack& slack, const shiftadd::CostModel& cost,
                                 Context& ctx) {
  if (!slack.common) {
    return shiftadd::solve(problem, {.extra_levels = slack.levels, .restarts = slack.restarts}, cost, ctx);
  }
  WEFT_TRY(auto fastest, shiftadd::solve(problem, {.extra_levels = 0}, cost, ctx));
  constexpr shiftadd::AdderShape kTypical{.width_bits = 12};
  const double latest = fastest.delay + slack.levels * cost.adder_delay_ps(kTypical);
  // What the search does not reach in time it reports; then the fastest stands.
  diag::Engine quiet;
  Context inner{quiet, ctx.progress, ctx.cancel, ctx.threads, ctx.seed, ctx.limits};
  auto shared = shiftadd::solve(problem, {.max_delay = latest, .restarts = slack.restarts}, cost, inner);
  if (!shared) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "the search for an adder graph was interrupted");
    return fastest;
  }
  if (fastest.lut < shared->lut) return fastest;
  return shared;
}

}  // namespace weft::hw
