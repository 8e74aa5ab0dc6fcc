// SPDX-License-Identifier: Apache-2.0
// y = units(x) over segments [start, next start): segment = steps(x), t = x - start(segment),
//   y = (base(segment) * 2^b + slope(segment) * t + half) >> (b + g), clipped to the type,
// with base in 2^-g last places and slope in 2^-(b+g) last places per code. Segments are as long as a line stays within
// a quarter of a last place (more when there would be too many). What comes out is then compared with `units`: at every
// code where there are few, else between codes that are close enough for monotony to bound the rest.
#include "weft/layers/wide_function.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/fixed/quantize.h"
#include "weft/fixed/step_function.h"

namespace weft::layers {
namespace {

constexpr int kGuardBits = 4;
constexpr std::size_t kMostSegments = std::size_t{1} << 12;
constexpr double kTolerance = 0.25;
constexpr Int kExhaustive = Int{1} << 20;
/// Signed sums of the straight lines stay below this many bits, for the fast executors.
constexpr int kMostBits = 62;
/// How often borders are put where the error is largest.
constexpr int kRounds = 8;

/// `units`, clipped a little outside of the type so that saturation can still be told.
struct Target {
  const CodeFunction& function;
  double lo, hi;
  double operator()(Int x) const {
    const double u = function.units(x);
    if (std::isnan(u)) return std::clamp(0.0, lo, hi);
    return std::clamp(u, lo - 2.0, hi + 2.0);
  }
  /// What the last right bit of a result of this size is worth.
  [[nodiscard]] double noise(double size) const {
    return size == 0.0 ? 0.0 : std::ldexp(1.0, std::ilogb(size) + 1 - function.significant_bits);
  }
};

struct Segment {
  Int start = 0;
  Int end = 0;
  double base = 0.0;
  double slope = 0.0;
};

/// Where a line over [a, b] is compared with the function: everywhere, or evenly and ever denser towards both ends.
template <class F>
void for_samples(Int a, Int b, const F& f) {
  constexpr Int kAll = 32;
  if (b - a <= kAll) {
    for (Int x = a; x <= b; ++x) f(x);
    return;
  }
  constexpr int kEven = 16;
  const Int stride = (b - a) / kEven;
  for (int i = 0; i <= kEven; ++i) f(a + stride * i);
  f(b);
  for (Int d = 1; d < stride; d *= 2) {
    f(a + d);
    f(b - d);
  }
}

/// The line through both ends, moved to the middle of its errors; `worst` is half their spread, 0 where that is within
/// the function's own noise. A constant where that is as good: long flat tails must not ask for fine slopes.
Segment fit(const Target& u, Int a, Int b, double& worst) {
  Segment s{a, b, u(a), 0.0};
  worst = 0.0;
  if (a == b) return s;
  const double first = s.base;
  s.slope = (u(b) - first) / static_cast<double>(b - a);
  double low = 0.0;
  double high = 0.0;
  double least = first;
  double most = first;
  for_samples(a, b, [&](Int x) {
    const double here = u(x);
    const double error = here - (first + s.slope * static_cast<double>(x - a));
    low = std::min(low, error);
    high = std::max(high, error);
    least = std::min(least, here);
    most = std::max(most, here);
  });
  worst = 0.5 * (high - low);
  s.base += 0.5 * (low + high);
  const double noise = u.noise(std::max(std::fabs(least), std::fabs(most)));
  if (0.5 * (most - least) <= 0.5 * std::max(kTolerance, noise)) {
    worst = 0.5 * (most - least);
    s.slope = 0.0;
    s.base = 0.5 * (most + least);
  }
  if (worst <= noise) worst = 0.0;
  return s;
}

/// Segments of at most `longest` codes within `tolerance` at the samples; `borders` (ascending) begin new ones. Empty
/// when there would be more than `most`, or when cancelled.
std::vector<Segment> segments_of(const Target& u, const fixed::Range& range, const std::vector<Int>& borders,
                                 Int longest, double tolerance, std::size_t most, const Context& ctx) {
  std::vector<Segment> out;
  Int at = range.lo;
  Int first = 1;
  while (true) {
    if (out.size() == most || ctx.cancelled()) return {};
    const auto border = std::upper_bound(borders.begin(), borders.end(), at);
    Int limit = border == borders.end() ? range.hi : std::min(range.hi, *border - 1);
    if (limit - at >= longest) limit = at + longest - 1;
    double worst = 0.0;
    Segment best = fit(u, at, at, worst);
    // The longest that fits: doubled until it does not, then between. Neighbours are about as long as each other.
    Int good = at;
    Int bad = limit + 1;
    for (Int length = first; good < limit; length *= 2) {
      const Int end = limit - at < length ? limit : at + length;
      const Segment longer = fit(u, at, end, worst);
      if (worst > tolerance) {
        bad = end;
        break;
      }
      good = end;
      best = longer;
    }
    while (bad - good > 1) {
      const Int middle = good + (bad - good) / 2;
      const Segment other = fit(u, at, middle, worst);
      (worst > tolerance ? bad : good) = middle;
      if (worst <= tolerance) best = other;
    }
    out.push_back(best);
    first = std::max<Int>((good - at) / 2, 1);
    if (good >= range.hi) return out;
    at = good + 1;
  }
}

/// The lines with integer coefficients.
struct Lines {
  std::vector<Segment> segments;
  std::vector<Int> base, slope;
  fixed::ShiftRound last;
  int slope_bits = 0;

  [[nodiscard]] Int at(std::size_t k, Int x) const {
    return fixed::evaluate(last, (base[k] << slope_bits) + slope[k] * (x - segments[k].start));
  }
};

Int rounded(double value) { return static_cast<Int>(std::nearbyint(value)); }

/// Bounds |lines - units| from above, unless cancelled.
class Checker {
 public:
  Checker(const Lines& lines, const Target& u, const Context& ctx) : lines_(lines), u_(u), ctx_(ctx) {}

  /// Every code.
  double everywhere() {
    for (std::size_t k = 0; k < lines_.segments.size(); ++k)
      for (Int x = lines_.segments[k].start; x <= lines_.segments[k].end && !ctx_.cancelled(); ++x) see(k, x);
    return worst_;
  }

  /// Between codes across which neither moves by more than `slack`: both are monotone there.
  double by_monotony(const std::vector<Int>& turns, double slack) {
    slack_ = slack;
    for (std::size_t k = 0; k < lines_.segments.size(); ++k) {
      Int a = lines_.segments[k].start;
      while (a <= lines_.segments[k].end && !ctx_.cancelled()) {
        const auto turn = std::upper_bound(turns.begin(), turns.end(), a);
        const Int b = turn == turns.end() ? lines_.segments[k].end : std::min(lines_.segments[k].end, *turn - 1);
        bound(k, a, b);
        a = b + 1;
      }
    }
    return worst_;
  }
  /// The code with the largest error that was seen.
  [[nodiscard]] Int worst_at() const { return worst_at_; }

 private:
  [[nodiscard]] double real(Int x) const { return std::clamp(u_(x), u_.lo, u_.hi); }
  void see(std::size_t k, Int x) {
    const double error = std::fabs(static_cast<double>(lines_.at(k, x)) - real(x));
    if (error > worst_) {
      worst_ = error;
      worst_at_ = x;
    }
  }
  void bound(std::size_t k, Int a, Int b) {
    see(k, a);
    see(k, b);
    std::vector<std::pair<Int, Int>> open{{a, b}};
    while (!open.empty() && !ctx_.cancelled()) {
      const auto [p, q] = open.back();
      open.pop_back();
      if (q - p <= 1) {
        see(k, p);
        see(k, q);
        continue;
      }
      const double up = real(p);
      const double uq = real(q);
      const auto yp = static_cast<double>(lines_.at(k, p));
      const auto yq = static_cast<double>(lines_.at(k, q));
      const double most = std::max(std::fabs(yq - up), std::fabs(yp - uq));
      if (most <= worst_ || std::fabs(uq - up) + std::fabs(yq - yp) <= slack_) {
        if (most > worst_) {
          worst_ = most;
          worst_at_ = p;
        }
        continue;
      }
      const Int middle = p + (q - p) / 2;
      open.emplace_back(p, middle);
      open.emplace_back(middle, q);
    }
  }

  const Lines& lines_;
  const Target& u_;
  const Context& ctx_;
  double worst_ = 0.0;
  double slack_ = 0.0;
  Int worst_at_ = 0;
};

struct Made {
  Lines lines;
  double worst = 0.0;
  bool exhaustive = false;
};

/// What all lines of a function share.
struct Frame {
  fixed::FixedType type;
  Int lo_code = 0, hi_code = 0;  ///< of the results
  Int longest = 0;               ///< codes of a segment
  std::size_t most = 0;          ///< segments
  Int exhaustive = 0;            ///< codes up to which all are looked at
  const Context& ctx;            ///< cancelled: the lines are worth nothing, and made soon
};

/// Segments of one function and the tolerance that they needed.
struct Chosen {
  std::vector<Int> borders;
  std::vector<Segment> segments;
  double tolerance = kTolerance;
};

Chosen choose(const Target& u, std::vector<Int> borders, const Frame& frame) {
  std::sort(borders.begin(), borders.end());
  Chosen out{std::move(borders), {}, kTolerance};
  while (true) {
    out.segments = segments_of(u, u.function.range, out.borders, frame.longest, out.tolerance, frame.most, frame.ctx);
    if (!out.segments.empty() || frame.ctx.cancelled()) return out;
    out.tolerance *= 2.0;
  }
}

Target target_of(const CodeFunction& function, const Frame& frame) {
  return {function, static_cast<double>(frame.lo_code), static_cast<double>(frame.hi_code)};
}

/// The lines of one function, and how far they are off.
Made make_lines(const CodeFunction& function, Chosen chosen, const Frame& frame, int slope_bits) {
  const auto& type = frame.type;
  const Int lo_code = frame.lo_code;
  const Int hi_code = frame.hi_code;
  const Target u = target_of(function, frame);
  const double noise = u.noise(std::max(std::fabs(u.lo), std::fabs(u.hi)));
  Made out;
  for (int round = 0;; ++round) {
    if (round > 0) chosen = choose(u, std::move(chosen.borders), frame);
    auto segments = std::move(chosen.segments);
    Lines lines;
    lines.slope_bits = slope_bits;
    lines.last = fixed::ShiftRound{slope_bits + kGuardBits,
                                   type.rounding,
                                   fixed::Overflow::Sat,
                                   lo_code,
                                   hi_code,
                                   type.width_bits,
                                   type.is_signed,
                                   0};
    for (const auto& s : segments) {
      lines.base.push_back(rounded(std::ldexp(s.base, kGuardBits)));
      lines.slope.push_back(rounded(std::ldexp(s.slope, kGuardBits + slope_bits)));
    }
    lines.segments = std::move(segments);
    Checker checker(lines, u, frame.ctx);
    double slack = 0.0;
    out.exhaustive = function.range.hi - function.range.lo < frame.exhaustive;
    if (out.exhaustive) {
      out.worst = checker.everywhere();
    } else {
      double travelled = 0.0;
      for (const auto& s : lines.segments) travelled += std::fabs(u(s.end) - u(s.start));
      slack = std::max(0.125, travelled / 0x1p18);
      out.worst = checker.by_monotony(function.turns, slack);
    }
    out.lines = std::move(lines);
    // Something between the samples: a border there, and once more.
    if (out.worst <= std::max(chosen.tolerance, noise) + slack + 1.0 || round == kRounds || frame.ctx.cancelled())
      return out;
    chosen.borders.push_back(checker.worst_at());
    chosen.borders.push_back(checker.worst_at() + 1);
  }
}

fixed::Pieces steps_to(const std::vector<Segment>& segments) {
  fixed::Pieces out;
  for (std::size_t k = 0; k < segments.size(); ++k) {
    if (k > 0) out.breakpoints.push_back(segments[k].start);
    out.values.push_back(static_cast<Int>(k));
  }
  return out;
}

/// values[k] at k; equal neighbours merged.
fixed::Pieces table(const std::vector<Int>& values) {
  fixed::Pieces out;
  out.values.push_back(values[0]);
  for (std::size_t k = 1; k < values.size(); ++k) {
    if (values[k] == out.values.back()) continue;
    out.breakpoints.push_back(static_cast<Int>(k));
    out.values.push_back(values[k]);
  }
  return out;
}

/// Codes that the results can have: of the type, and no farther than the function reaches.
std::pair<Int, Int> reach(const std::vector<CodeFunction>& functions, const fixed::FixedType& type) {
  const Int min = fixed::min_code(type);
  const Int max = fixed::max_code(type);
  double lo = std::numeric_limits<double>::infinity();
  double hi = -lo;
  for (const auto& f : functions) {
    std::vector<Int> at{f.range.lo, f.range.hi};
    for (const Int t : f.turns)
      for (const Int x : {t - 1, t})
        if (x >= f.range.lo && x <= f.range.hi) at.push_back(x);
    for (const Int x : at) {
      const double u = f.units(x);
      lo = std::min(lo, std::isnan(u) ? 0.0 : u);
      hi = std::max(hi, std::isnan(u) ? 0.0 : u);
    }
  }
  const Int lowest = lo <= static_cast<double>(min) ? min : static_cast<Int>(std::floor(lo));
  const Int highest = hi >= static_cast<double>(max) ? max : static_cast<Int>(std::ceil(hi));
  return {std::clamp(lowest, min, max), std::clamp(highest, min, max)};
}

/// The code of a real number in last places: rounded, then clipped.
Int code_of(double units, const fixed::FixedType& type) {
  if (std::isnan(units)) units = 0.0;
  const fixed::FixedType whole{type.width_bits, type.width_bits, type.is_signed, type.rounding, fixed::Overflow::Sat};
  if (std::isinf(units)) return units < 0.0 ? fixed::min_code(type) : fixed::max_code(type);
  return fixed::from_double(units, whole);
}

}  // namespace

std::string FunctionReport::text() const {
  if (exact) return "exact steps";
  return fmt::format("{} straight lines, {} {:.2f} last places", segments,
                     exhaustive ? "at every code within" : "proven within", worst_ulps);
}

Result<WideResult> add_segments(Recipe& recipe, const Origin& origin, const std::string& name, exact::ValueId x,
                                const std::vector<CodeFunction>& functions, const fixed::FixedType& type,
                                bool count_saturation) {
  const auto [lo, hi] = reach(functions, type);
  const int result_bits = fixed::width_bits(std::min<Int>(lo, -1), hi, true) + kGuardBits + 1;
  if (result_bits > kMostBits - 8)
    return recipe.context().fail(Kind::TypeTooWide, origin,
                                 fmt::format("a function with results in {} needs more than 62 bits inside; give the "
                                             "layer a narrower result type",
                                             fixed::to_string(type)));
  // A line over more codes than this would need more bits; longer ones are cut.
  const int most_length_bits = kMostBits - result_bits;
  std::size_t most = kMostSegments;
  for (std::size_t n = functions.size(); n > 16 && most > 64; n /= 2) most /= 2;
  const Frame frame{type,
                    lo,
                    hi,
                    Int{1} << most_length_bits,
                    most,
                    kExhaustive / static_cast<Int>(std::min<std::size_t>(functions.size(), 64)),
                    recipe.context()};
  for (const auto& f : functions) {
    // Segments of the greatest length, and one more for each border, have to be enough.
    const auto borders_most = static_cast<Int>(f.turns.size()) + 2 + 2 * kRounds;
    if ((f.range.hi - f.range.lo) / frame.longest + borders_most <= static_cast<Int>(most)) continue;
    return recipe.context().fail(
        Kind::TypeTooWide, origin,
        fmt::format("a function of {} codes with results in {} needs more than 62 bits inside; "
                    "give the layer in front or this one a narrower type",
                    fixed::to_string(f.range.hi - f.range.lo + 1), fixed::to_string(type)));
  }
  // The lengths say how fine the slopes must be.
  int slope_bits = 0;
  std::vector<Chosen> chosen;
  for (const auto& f : functions) {
    std::vector<Int> borders = f.turns;
    borders.push_back(0);  // what functions of networks do, they do around zero
    chosen.push_back(choose(target_of(f, frame), std::move(borders), frame));
    if (recipe.context().cancelled()) return recipe.context().fail(Kind::Cancelled, origin, "the run was interrupted");
    for (const auto& s : chosen.back().segments)
      if (s.slope != 0.0) slope_bits = std::max(slope_bits, fixed::width_bits(0, s.end - s.start, false));
  }
  std::vector<Made> made;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    made.push_back(make_lines(functions[i], std::move(chosen[i]), frame, slope_bits));
    if (recipe.context().cancelled()) return recipe.context().fail(Kind::Cancelled, origin, "the run was interrupted");
  }
  WideResult out;
  out.report = {false, 0, 0.0, true};
  std::vector<fixed::StepFunction> to_segment, to_start, to_base, to_slope;
  for (const auto& m : made) {
    out.report.segments = std::max(out.report.segments, m.lines.segments.size());
    out.report.worst_ulps = std::max(out.report.worst_ulps, m.worst);
    out.report.exhaustive = out.report.exhaustive && m.exhaustive;
    std::vector<Int> starts;
    for (const auto& s : m.lines.segments) starts.push_back(s.start);
    to_segment.emplace_back(steps_to(m.lines.segments));
    to_start.emplace_back(table(starts));
    to_base.emplace_back(table(m.lines.base));
    to_slope.emplace_back(table(m.lines.slope));
  }
  // Two figures behind the point, rounded up: the note must hold.
  out.report.worst_ulps = std::ceil(out.report.worst_ulps * 100.0) / 100.0;
  const Scale fine(fixed::pow2(-type.frac_bits() - kGuardBits - slope_bits));
  WEFT_TRY(const auto segment,
           recipe.add(name + "_segment", exact::Requant{x, std::move(to_segment), false}, Scale(), origin));
  const Scale in = recipe.value(x).scale;
  WEFT_TRY(const auto start,
           recipe.add(name + "_start", exact::Requant{segment, std::move(to_start), false}, in, origin));
  WEFT_TRY(const auto offset, recipe.add(name + "_offset", exact::Sub{x, start, 0, 0}, in, origin));
  WEFT_TRY(const auto slope,
           recipe.add(name + "_slope", exact::Requant{segment, std::move(to_slope), false}, fine, origin));
  WEFT_TRY(const auto base, recipe.add(name + "_base", exact::Requant{segment, std::move(to_base), false},
                                       Scale(fixed::pow2(-type.frac_bits() - kGuardBits)), origin));
  WEFT_TRY(const auto rise, recipe.add(name + "_rise", exact::Mul{slope, offset}, fine, origin));
  WEFT_TRY(const auto line, recipe.add(name + "_line", exact::Add{base, rise, slope_bits, 0}, fine, origin));
  WEFT_TRY(out.value, recipe.add(name, exact::Requant{line, {made[0].lines.last}, count_saturation},
                                 Scale(fixed::pow2(-type.frac_bits())), origin));
  return out;
}

Result<WideResult> add_function(Recipe& recipe, const Origin& origin, const std::string& name, exact::ValueId x,
                                const std::vector<CodeFunction>& functions, const fixed::FixedType& type,
                                std::size_t most_steps, bool count_saturation) {
  std::vector<fixed::StepFunction> steps;
  std::size_t total = 0;
  for (const auto& f : functions) {
    if (total >= most_steps) break;
    auto pieces = fixed::pieces_of([&](Int code) { return code_of(f.units(code), type); }, f.range.lo, f.range.hi,
                                   f.turns, most_steps - total, [&] { return recipe.context().cancelled(); });
    if (recipe.context().cancelled()) return recipe.context().fail(Kind::Cancelled, origin, "the run was interrupted");
    if (!pieces) break;
    total += pieces->values.size();
    steps.emplace_back(std::move(*pieces));
  }
  if (steps.size() != functions.size()) return add_segments(recipe, origin, name, x, functions, type, count_saturation);
  WideResult out;
  WEFT_TRY(out.value, recipe.add(name, exact::Requant{x, std::move(steps), count_saturation},
                                 Scale(fixed::pow2(-type.frac_bits())), origin));
  return out;
}

}  // namespace weft::layers
