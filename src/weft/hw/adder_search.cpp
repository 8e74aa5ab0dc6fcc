// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/adder_search.h"

namespace weft::hw {

std::size_t hash_of(const shiftadd::Problem& problem) {
  std::size_t hash = 14695981039346656037U;
  const auto mix = [&](std::uint64_t word) { hash = (hash ^ word) * 1099511628211U; };
  for (const std::int64_t w : problem.matrix) mix(static_cast<std::uint64_t>(w));
  for (const Int b : problem.bias) mix(static_cast<std::uint64_t>(b));
  for (const fixed::Range& r : problem.inputs) mix(static_cast<std::uint64_t>(r.hi));
  return hash;
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

Result<shiftadd::Solution> solve(const shiftadd::Problem& problem, const Slack& slack, double seconds,
                                 const shiftadd::CostModel& cost, Context& ctx) {
  if (!slack.common) {
    return shiftadd::solve(problem, {.extra_levels = slack.levels, .restarts = slack.restarts, .seconds = seconds},
                           cost, ctx);
  }
  WEFT_TRY(auto fastest, shiftadd::solve(problem, {.extra_levels = 0}, cost, ctx));
  constexpr shiftadd::AdderShape kTypical{.width_bits = 12};
  const double latest = fastest.delay + slack.levels * cost.adder_delay_ps(kTypical);
  // What the search does not reach in time it reports; then the fastest stands.
  diag::Engine quiet;
  Context inner{quiet, ctx.progress, ctx.cancel, ctx.threads, ctx.seed, ctx.limits};
  auto shared =
      shiftadd::solve(problem, {.max_delay = latest, .restarts = slack.restarts, .seconds = seconds}, cost, inner);
  if (!shared) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "the search for an adder graph was interrupted");
    return fastest;
  }
  if (fastest.lut < shared->lut) return fastest;
  return shared;
}

}  // namespace weft::hw
