// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>

#include "weft/hw/adder_circuit.h"
#include "weft/hw/lowering.h"
#include "weft/support/threads.h"

namespace weft::hw {

using exact::Value;
using exact::ValueId;
using netlist::NetId;
using netlist::Term;
using Signals = std::vector<Signal>;

namespace {

/// Steps functions with at most this many results are built from comparators, which take any offset for free.
constexpr std::size_t kComparatorPieces = 4;

/// The constant that `function` adds before it drops bits, when it is the same for all codes.
std::optional<Int> rounding_constant(const fixed::ShiftRound& function) {
  if (function.shift <= 0 || function.shift > 120) return std::nullopt;
  const Int half = Int{1} << (function.shift - 1);
  switch (function.rounding) {
    case fixed::Rounding::Trn:
      return Int{0};
    case fixed::Rounding::Rnd:
    case fixed::Rounding::RndConv:
      return half;
    case fixed::Rounding::RndMinInf:
      return half - 1;
    case fixed::Rounding::Ceil:
      return 2 * half - 1;
    default:
      return std::nullopt;
  }
}

}  // namespace

Int Lowering::wanted_bias(const Sink& sink, const fixed::Range& range, Int bias) {
  if (sink.function == nullptr) return bias;
  const fixed::Range reach = sink.relu ? fixed::Range{0, std::max<Int>(range.hi, 0), 0} : range;
  if (fixed::to_pieces(*sink.function, reach, kComparatorPieces)) return 0;
  if (const auto* shift = std::get_if<fixed::ShiftRound>(sink.function))
    return bias + rounding_constant(*shift).value_or(0);
  return bias;
}

std::vector<Lowering::Sink> Lowering::find_sinks(ValueId value) const {
  const std::size_t count = graph_.at(value).ranges.size();
  std::vector<Sink> none(count);
  bool relu = false;
  // source[e]: the element of `value` that element e of the value looked at holds.
  std::vector<std::size_t> source(count);
  for (std::size_t i = 0; i < count; ++i) source[i] = i;
  ValueId at = value;
  while (true) {
    for (const auto& output : graph_.outputs) {
      if (output.value == at) return none;
    }
    std::optional<ValueId> reader;
    for (std::size_t i = at.index + 1; i < graph_.values.size(); ++i) {
      for (ValueId x : exact::operands(graph_.values[i].primitive)) {
        if (x != at) continue;
        if (reader) return none;
        reader = ValueId{static_cast<std::uint32_t>(i)};
      }
    }
    if (!reader) return none;
    const Value& next = graph_.at(*reader);
    if (const auto* requant = std::get_if<exact::Requant>(&next.primitive)) {
      for (std::size_t e = 0; e < count; ++e) {
        const std::size_t functions = requant->functions.size();
        none[source[e]] = {&requant->functions[functions == count ? e : e % functions], relu};
      }
      // A rounding may follow, which is then done in one step with it.
      if (relu || !is_relu(*requant, graph_.at(at))) return none;
      relu = true;
      at = *reader;
      continue;
    }
    if (relu) return none;
    if (std::holds_alternative<exact::Permute>(next.primitive)) {
      const auto m = exact::movement(graph_, next);
      std::vector<std::size_t> moved(count);
      for (std::size_t e = 0; e < count; ++e) moved[e] = source[m->from[e]];
      source = std::move(moved);
    } else if (!std::holds_alternative<exact::Reshape>(next.primitive)) {
      return none;
    }
    at = *reader;
  }
}

Result<Signals> Lowering::lower(const Value& value, const exact::MatVec& p) {
  if (p.accumulator) return sequential_matvec(value, p);
  const auto sinks = find_sinks(current_);
  const Signals& x = signals(p.x);
  const std::int64_t rows = p.n_out == 0 ? 0 : element_count(value.shape) / p.n_out;
  const std::vector<Int> bias = p.bias.empty() ? std::vector<Int>(static_cast<std::size_t>(p.n_out), 0) : p.bias;
  std::vector<RowSums> sums;
  for (std::int64_t row = 0; row < rows; ++row) {
    if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, {}, "planning was cancelled");
    const Signals row_x(x.begin() + row * p.n_in, x.begin() + (row + 1) * p.n_in);
    const std::vector<Sink> row_sinks(sinks.begin() + row * p.n_out, sinks.begin() + (row + 1) * p.n_out);
    const std::vector<fixed::Range> ranges(value.ranges.begin() + row * p.n_out,
                                           value.ranges.begin() + (row + 1) * p.n_out);
    WEFT_TRY(sums.emplace_back(), row_sums(value, row, row_x, p.weights, bias, row_sinks, ranges));
  }
  const int slots = reuse_factor_of(value, options_);
  if (slots > 1) return fold_matvec(value, p, sinks, std::move(sums), slots);
  return solve_rows(value, std::move(sums), "t");
}

Result<Lowering::RowSums> Lowering::row_sums(const Value& value, std::int64_t row, const std::vector<Signal>& x,
                                             const std::vector<std::int64_t>& weights, const std::vector<Int>& bias,
                                             const std::vector<Sink>& sinks, const std::vector<fixed::Range>& ranges) {
  const auto n_out = static_cast<std::int64_t>(bias.size());
  const auto too_wide = [&] {
    return ctx_.fail(Kind::TypeTooWide, value.origin,
                     fmt::format("the sums of `{}` need more than 126 bits in hardware", value.name));
  };
  // Every distinct net is one input; shifts and signs go into the matrix, offsets into the bias.
  RowSums out;
  out.row = row;
  shiftadd::Problem& problem = out.problem;
  problem.n_out = n_out;
  std::vector<NetId>& nets = out.nets;
  std::map<NetId, std::size_t> index_of;
  std::vector<Int> total = bias;
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::size_t at = 0;
    if (!x[i].is_constant()) {
      const auto [it, is_new] = index_of.emplace(x[i].net, nets.size());
      at = it->second;
      if (is_new) {
        nets.push_back(x[i].net);
        problem.matrix.resize(problem.matrix.size() + static_cast<std::size_t>(n_out), 0);
      }
    }
    for (std::int64_t o = 0; o < n_out; ++o) {
      const std::int64_t w = weights[i * static_cast<std::size_t>(n_out) + static_cast<std::size_t>(o)];
      if (w == 0) continue;
      const auto constant = fixed::checked_mul(w, x[i].offset);
      const auto sum = constant ? fixed::checked_add(total[o], *constant) : std::nullopt;
      if (!sum) return too_wide();
      total[o] = *sum;
      if (x[i].is_constant()) continue;
      const auto scaled_weight = fixed::checked_shift_left(x[i].negate ? -Int{w} : Int{w}, x[i].shift);
      std::int64_t& entry = problem.matrix[at * static_cast<std::size_t>(n_out) + static_cast<std::size_t>(o)];
      const auto merged = scaled_weight ? fixed::checked_add(entry, *scaled_weight) : std::nullopt;
      if (!merged || *merged > (Int{1} << 62) || *merged < -(Int{1} << 62)) return too_wide();
      entry = static_cast<std::int64_t>(*merged);
    }
  }
  problem.n_in = static_cast<std::int64_t>(nets.size());
  if (nets.empty()) {
    out.left = std::move(total);
    return out;
  }
  double earliest = -1.0;
  for (NetId net : nets) {
    problem.inputs.push_back(builder_.range(net));
    problem.arrival.push_back(arrival(net));
    if (earliest < 0 || problem.arrival.back() < earliest) earliest = problem.arrival.back();
  }
  for (double& time : problem.arrival) time -= earliest;
  // Of the offset of each output only what the grid of the sum can hold is added; the rest stays beside it.
  std::vector<Int>& left = out.left;
  left.resize(static_cast<std::size_t>(n_out));
  problem.bias.resize(static_cast<std::size_t>(n_out));
  for (std::int64_t o = 0; o < n_out; ++o) {
    int grid = 127;
    for (std::size_t i = 0; i < nets.size(); ++i) {
      const std::int64_t w = problem.matrix[i * static_cast<std::size_t>(n_out) + static_cast<std::size_t>(o)];
      if (w != 0) grid = std::min(grid, fixed::trailing_zeros(w));
    }
    if (grid == 127) {
      left[o] = total[o];
      continue;
    }
    const Int bias_wanted = wanted_bias(sinks[o], ranges[o], total[o]);
    problem.bias[o] = fixed::floor_shift(bias_wanted, grid) << grid;
    left[o] = total[o] - problem.bias[o];
  }
  return out;
}

Result<Signals> Lowering::solve_rows(const Value& value, std::vector<RowSums> rows, const std::string& prefix) {
  // The same matrix on the same ranges (rows of an image, time steps) is solved once: solver[r] is the row that does.
  std::vector<std::size_t> solver(rows.size());
  std::vector<std::size_t> distinct;
  std::unordered_map<std::size_t, std::vector<std::size_t>> seen;  // by hash
  for (std::size_t r = 0; r < rows.size(); ++r) {
    solver[r] = r;
    if (rows[r].nets.empty()) continue;
    auto& candidates = seen[hash_of(rows[r].problem)];
    const auto same = std::find_if(candidates.begin(), candidates.end(),
                                   [&](std::size_t other) { return rows[other].problem == rows[r].problem; });
    if (same != candidates.end()) {
      solver[r] = *same;
      continue;
    }
    candidates.push_back(r);
    distinct.push_back(r);
  }
  std::vector<std::optional<shiftadd::Solution>> solutions(rows.size());
  const shiftadd::CostModel cost = adder_cost(family_, options_);
  const Slack slack = slack_.at(current_);
  std::erase_if(distinct, [&](std::size_t r) {
    const shiftadd::Solution* known = solved_.find(rows[r].problem, slack);
    if (known != nullptr) solutions[r] = *known;
    return known != nullptr;
  });
  // Many problems share the threads among them, a single one has all. What the solver says is passed on once.
  diag::Engine said;
  Context inner{said, nullptr, ctx_.cancel, ctx_.threads, ctx_.seed, ctx_.limits};
  if (distinct.size() > 1)
    inner.threads = std::max(1, ctx_.threads / static_cast<int>(std::min<std::size_t>(distinct.size(), 4096)));
  else
    inner.progress = ctx_.progress;
  std::atomic<std::size_t> next{0};
  std::size_t solved = 0;
  std::mutex progress;
  const auto work = [&](std::size_t, std::size_t) {
    for (std::size_t d = next++; d < distinct.size(); d = next++) {
      auto solution = solve(rows[distinct[d]].problem, slack, cost, inner);
      if (!solution) return;
      solutions[distinct[d]] = std::move(*solution);
      const std::lock_guard lock(progress);
      if (ctx_.progress != nullptr) ctx_.progress->update("adder graphs of " + value.name, ++solved, distinct.size());
    }
  };
  const auto workers = std::min(distinct.size(), static_cast<std::size_t>(std::max(1, ctx_.threads)));
  support::parallel_blocks(workers, ctx_.threads, work);
  for (const std::size_t d : distinct) {
    if (!solutions[d]) {
      const auto why = said.all().at(0);
      return ctx_.fail(why.kind, value.origin, why.message, why.notes);
    }
    solved_.add(rows[d].problem, slack, *solutions[d]);
  }
  Signals out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    RowSums& row = rows[r];
    if (row.nets.empty()) {
      for (const Int constant : row.left) out.push_back(constant_signal(constant));
      continue;
    }
    shiftadd::Solution solution = *solutions[solver[r]];
    Signals x;
    for (const NetId net : row.nets) x.push_back({.net = net});
    const Signals sums = build_adder_graph(builder_, row.problem, solution, x,
                                           row.row == 0 ? prefix : fmt::format("r{}{}", row.row, prefix));
    for (std::size_t o = 0; o < sums.size(); ++o) {
      const auto y = with_offset(builder_, sums[o], row.left[o]);
      if (!y)
        return ctx_.fail(Kind::TypeTooWide, value.origin,
                         fmt::format("the sums of `{}` need more than 126 bits in hardware", value.name));
      out.push_back(*y);
    }
    result_.adder_graphs.push_back({current_, row.row, std::move(row.problem), std::move(solution)});
  }
  return out;
}

NetId Lowering::scaled(NetId x, Int factor) {
  if (factor == 0) return builder_.constant(0);
  // Canonical signed digits, lowest first; each is one more adder.
  struct Digit {
    int shift;
    bool negate;
  };
  std::vector<Digit> digits;
  Int rest = factor;
  for (int shift = 0; rest != 0; ++shift) {
    if ((rest & 1) != 0) {
      const bool negate = (rest & 3) == 3;
      digits.push_back({shift, negate});
      rest += negate ? 1 : -1;
    }
    rest >>= 1;
  }
  // From the top: a negative factor starts with a negative digit, which then is no first term.
  std::stable_sort(digits.begin(), digits.end(), [](const Digit& a, const Digit& b) { return !a.negate && b.negate; });
  if (digits.size() == 1 && !digits[0].negate) return builder_.concat({{x, digits[0].shift, false}});
  if (digits.size() == 1) return builder_.sum({{x, digits[0].shift, true}});
  Term sum{x, digits[0].shift, digits[0].negate};
  for (std::size_t i = 1; i < digits.size(); ++i) {
    sum = {builder_.sum({sum, {x, digits[i].shift, digits[i].negate}}), 0, false};
  }
  return sum.net;
}

Result<Signals> Lowering::sequential_matvec(const Value& value, const exact::MatVec& p) {
  const auto& forced = *p.accumulator;
  const int shift = forced.lsb_frac_bits - forced.type.frac_bits();
  fixed::ShiftRound cast;
  cast.shift = shift;
  cast.rounding = forced.type.rounding;
  cast.overflow = forced.type.overflow;
  cast.lo = fixed::min_code(forced.type);
  cast.hi = fixed::max_code(forced.type);
  cast.width_bits = forced.type.width_bits;
  cast.is_signed = forced.type.is_signed;
  cast.saturation_bits = forced.type.saturation_bits;
  fixed::ShiftRound keep = cast;  // of a sum that is already on the type's grid
  keep.shift = 0;
  const auto casted = [&](const Signal& x, const fixed::ShiftRound& function) -> std::optional<Signal> {
    const auto range = range_of(builder_, x);
    if (!range) return std::nullopt;
    return requant(x, function, fixed::range_of(function, *range));
  };
  const Signals& x = signals(p.x);
  const auto n_in = static_cast<std::size_t>(p.n_in);
  const auto n_out = static_cast<std::size_t>(p.n_out);
  ctx_.report(Kind::SequentialAccumulator, value.origin,
              fmt::format("`{}` adds its {} products one after the other because its accumulator type is forced",
                          value.name, p.n_in));
  const auto too_wide = [&] {
    return ctx_.fail(Kind::TypeTooWide, value.origin,
                     fmt::format("the sums of `{}` need more than 126 bits in hardware", value.name));
  };
  Signals out;
  const std::size_t rows = n_out == 0 ? 0 : static_cast<std::size_t>(element_count(value.shape)) / n_out;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t o = 0; o < n_out; ++o) {
      auto sum = casted(constant_signal(p.bias.empty() ? 0 : p.bias[o]), cast);
      for (std::size_t i = 0; i < n_in; ++i) {
        const Int w = p.weights[i * n_out + o];
        const Signal& xi = x[row * n_in + i];
        if (!sum) return too_wide();
        if (w == 0) continue;
        Signal product = constant_signal(0);
        if (!xi.is_constant()) {
          product = signal_of(builder_, scaled(xi.net, xi.negate ? -w : w));
          product.shift = xi.shift;
        }
        const auto offset = fixed::checked_mul(xi.offset, w);
        const auto with = offset ? with_offset(builder_, product, *offset) : std::nullopt;
        const auto term = with ? casted(*with, cast) : std::nullopt;
        if (!term) return too_wide();
        sum = casted(hw::add(builder_, *sum, *term, false), keep);
      }
      if (!sum) return too_wide();
      out.push_back(*sum);
    }
  }
  return out;
}

}  // namespace weft::hw
