// SPDX-License-Identifier: Apache-2.0
// Quantizers behind a chain of float32 steps as exact step functions of the integer code.
//
// f(code) = quantizer(steps(float32(scale * code))) is evaluated in the source's own float32 arithmetic; where it is
// monotone between known turning points its breakpoints are found by binary search. When the scale is a power of two,
// no step but a ReLU lies in between and the quantizer is a plain fixed-point cast, the result is a shift with rounding
// instead, which needs no search and is exact for any width.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/fixed/step_function.h"
#include "weft/layers/recipe.h"
#include "weft/layers/scaled_float.h"
#include "weft/layers/wide_function.h"
#include "weft/quantizers/families.h"

namespace weft::layers {
namespace {

constexpr std::size_t kMaxPieces = std::size_t{1} << 22;
constexpr int kFloatBits = 24;

/// A cast to a fixed-point type as a Function.
class FixedCast final : public quantizers::Function {
 public:
  explicit FixedCast(const fixed::FixedType& type) : type_(type) {}
  [[nodiscard]] float apply(float x, std::size_t channel) const override {
    return fixed::to_float(code(x, channel), type_.frac_bits());
  }
  /// Where a function has no value (NaN) the code is 0; where it has no end, the end of the type.
  [[nodiscard]] Int code(float x, std::size_t) const override {
    if (std::isnan(x)) return 0;
    if (std::isinf(x)) return x < 0.0F ? fixed::min_code(type_) : fixed::max_code(type_);
    return fixed::from_double(x, type_);
  }
  [[nodiscard]] std::optional<quantizers::OutputSet> outputs() const override {
    return quantizers::OutputSet{
        Scale(fixed::pow2(-type_.frac_bits())), {fixed::min_code(type_), fixed::max_code(type_), 0}, type_};
  }

 private:
  fixed::FixedType type_;
};

/// True for max(x, 0) and nothing else: monotone, keeps zero, and apply(x) == x for x > 0.
bool is_plain_relu(const Step& step) {
  const auto* function = std::get_if<std::shared_ptr<const quantizers::Function>>(&step);
  if (function == nullptr || (*function)->channels() != 1 || (*function)->outputs() ||
      !(*function)->turning_points().empty())
    return false;
  const auto& f = **function;
  for (const float x : {0x1p-40F, 0.5F, 1.0F, 6.5F, 0x1p+20F, 3.0e30F})
    if (f.apply(x, 0) != x || f.apply(-x, 0) != 0.0F) return false;
  return f.apply(0.0F, 0) == 0.0F;
}

std::size_t last_axis(const exact::Value& value) {
  return value.shape.empty() ? 1 : static_cast<std::size_t>(value.shape.back());
}

/// Channels that need functions of their own: 1, the extent of the last axis, or the number of elements.
std::size_t function_channels(const exact::Value& value, const std::vector<Step>& steps,
                              const quantizers::Function& function) {
  const std::size_t channels = std::max(channels_of(value, steps), function.channels());
  if (channels > last_axis(value)) return channels;
  bool per_channel = !value.scale.per_tensor() || function.channels() != 1;
  if (auto set = function.outputs()) per_channel = per_channel || !set->scale.per_tensor();
  for (const auto& step : steps) {
    if (const auto* s = std::get_if<exact::ReadoutStep>(&step)) per_channel = per_channel || s->operands.size() != 1;
    if (const auto* f = std::get_if<std::shared_ptr<const quantizers::Function>>(&step))
      per_channel = per_channel || (*f)->channels() != 1;
  }
  return per_channel ? channels : 1;
}

/// Whether elements `a` and `b` of `value` have the same range and the same chain of steps into `function`.
bool same_function(const exact::Value& value, const std::vector<Step>& steps, const quantizers::Function& function,
                   std::size_t a, std::size_t b) {
  if (function.channels() != 1 || value.ranges[a] != value.ranges[b] || value.scale.of(a) != value.scale.of(b))
    return false;
  return std::all_of(steps.begin(), steps.end(), [&](const Step& step) {
    if (const auto* f = std::get_if<std::shared_ptr<const quantizers::Function>>(&step)) return (*f)->channels() == 1;
    const auto& operands = std::get<exact::ReadoutStep>(step).operands;
    return operands[a % operands.size()] == operands[b % operands.size()];
  });
}

/// Codes at which the chain of steps followed by `function` may turn: every part between them is monotone. Steps are
/// taken one by one: on a part where the chain so far is monotone, the code where it crosses a turning point of the
/// next step is found by binary search.
std::vector<Int> turning_codes(const std::vector<Step>& steps, const quantizers::Function& function,
                               const ScaledFloat& real, std::size_t channel, const fixed::Range& range) {
  std::vector<Int> turns;
  const auto split = [&](std::size_t prefix, const std::vector<double>& points) {
    if (points.empty()) return;
    const std::vector<Step> chain(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(prefix));
    const auto g = [&](Int x) { return static_cast<double>(run_steps(chain, real(x), channel)); };
    std::vector<Int> more;
    for (std::size_t part = 0; part <= turns.size(); ++part) {
      const Int a = part == 0 ? range.lo : turns[part - 1];
      const Int b = part == turns.size() ? range.hi : turns[part] - 1;
      if (a > b) continue;
      const bool rising = g(a) <= g(b);
      for (const double p : points) {
        Int lo = a;
        Int hi = b + 1;  // first code in [a, b + 1) beyond the point
        while (lo < hi) {
          const Int mid = lo + (hi - lo) / 2;
          const bool beyond = rising ? g(mid) >= p : g(mid) < p;
          if (beyond)
            hi = mid;
          else
            lo = mid + 1;
        }
        if (lo > a && lo <= b) more.push_back(lo);
      }
    }
    turns.insert(turns.end(), more.begin(), more.end());
    std::sort(turns.begin(), turns.end());
    turns.erase(std::unique(turns.begin(), turns.end()), turns.end());
  };
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (const auto* f = std::get_if<std::shared_ptr<const quantizers::Function>>(&steps[i]))
      split(i, (*f)->turning_points());
    if (const auto* s = std::get_if<exact::ReadoutStep>(&steps[i]))
      if (s->op == exact::ReadoutStep::Op::Pow || s->op == exact::ReadoutStep::Op::ReverseDiv)
        split(i, {0.0, 0x1p-149});
  }
  split(steps.size(), function.turning_points());
  return turns;
}

/// The grid of these codes: of what a ReLU by itself was applied to, which keeps it though its range does not say so.
int step_of(const exact::Graph& graph, const exact::Value& value, std::size_t e, std::size_t count) {
  const int own = channel_range(value, e, count).step_log2;
  const auto* requant = std::get_if<exact::Requant>(&value.primitive);
  if (requant == nullptr || requant->functions.size() != 1) return own;
  const auto* relu = std::get_if<fixed::ShiftRound>(&requant->functions[0]);
  const fixed::Range before = channel_range(graph.at(requant->x), e, count);
  if (relu == nullptr || relu->shift != 0 || relu->overflow != fixed::Overflow::Sat || relu->lo != 0 ||
      relu->hi < before.hi)
    return own;
  return std::max(own, before.step_log2);
}

/// The shift form, when the chain is nothing but an exact real number, perhaps a ReLU, and a plain cast.
std::optional<fixed::ShiftRound> shift_form(const Rational& scale, const std::vector<Step>& steps,
                                            const fixed::FixedType& type) {
  const auto log2 = fixed::log2_exact(scale);
  const bool relu = steps.size() == 1 && is_plain_relu(steps[0]);
  if (!log2 || (!steps.empty() && !relu) ||
      (relu && type.overflow != fixed::Overflow::Sat && type.overflow != fixed::Overflow::SatSym))
    return std::nullopt;
  fixed::ShiftRound out;
  out.shift = -*log2 - type.frac_bits();
  out.rounding = type.rounding;
  out.lo = fixed::min_code(type);
  out.hi = fixed::max_code(type);
  if (relu) out.lo = std::max<Int>(out.lo, 0);
  // Symmetric saturation is saturation to the symmetric range.
  out.overflow = type.overflow == fixed::Overflow::SatSym ? fixed::Overflow::Sat : type.overflow;
  out.width_bits = type.width_bits;
  out.is_signed = type.is_signed;
  out.saturation_bits = type.saturation_bits;
  return out;
}

/// Whether no result leaves the type: looked at where the function turns, jumps or ends.
bool stays_within(const CodeFunction& f, const fixed::FixedType& type) {
  const auto lo = static_cast<double>(fixed::min_code(type));
  const auto hi = static_cast<double>(fixed::max_code(type));
  const auto good = [&](Int code) {
    if (code < f.range.lo || code > f.range.hi) return true;
    const double u = f.units(code);
    return u >= lo && u <= hi;
  };
  return good(f.range.lo) && good(f.range.hi) &&
         std::all_of(f.turns.begin(), f.turns.end(), [&](Int t) { return good(t - 1) && good(t); });
}

}  // namespace

Result<Symbol> Recipe::requant(const nn::Node& node, const Symbol& symbol, const quantizers::Function& function,
                               bool chosen) {
  const exact::Value& x = value(symbol.value);
  const auto set = function.outputs();
  if (!set)
    return ctx_.fail(Kind::LoweringUnsupported, node.origin,
                     "this quantizer has no fixed set of values (its scale depends on the data, or its grid needs more "
                     "than 120 bits); "
                     "give it a fixed alpha");
  const std::size_t channels = last_axis(x);
  if (function.channels() != 1 && function.channels() != channels && function.channels() != x.ranges.size())
    return ctx_.fail(
        Kind::ShapeMismatch, node.origin,
        fmt::format("the quantizer has parameters for {} channels, the tensor has {}", function.channels(), channels));
  if (const auto unwrapped = function.unwrapped()) {
    // Wrapping turns at every multiple of its range; a sum or a ReLU of one wraps as it is, all else is rounded first.
    WEFT_TRY(const auto rounded, before_wrap(node, symbol, *unwrapped, chosen));
    if (rounded) return requant(node, *rounded, function, chosen);
  }
  const std::size_t count = function_channels(x, symbol.pending, function);
  std::vector<fixed::StepFunction> functions;
  // How far the codes of a channel with a coarser grid of its own are shifted up behind its function.
  std::vector<int> up(count, 0);
  bool rounds_besides = false;
  std::size_t pieces_total = 0;
  for (std::size_t e = 0; e < count; ++e) {
    const fixed::Range range = channel_range(x, e, count);
    const std::size_t own = e % function.channels();
    const Rational& scale = x.scale.of(e);
    // Channels that were moved to another axis come in runs.
    if (count > channels && e > 0 && same_function(x, symbol.pending, function, e - 1, e)) {
      functions.push_back(functions.back());
      up[e] = up[e - 1];
      continue;
    }
    if (const auto type = function.type(own)) {
      if (const auto shift = shift_form(scale, symbol.pending, *type)) {
        functions.push_back(fixed::restrict(*shift, range));
        const auto finest = fixed::log2_exact(set->scale.of(own));
        WEFT_CHECK(finest.has_value(), "a cast with a scale that is no power of two");
        up[e] = -type->frac_bits() - *finest;
        const double largest = fixed::to_double(scale * fixed::rational_from_int(std::max(range.hi, -range.lo)));
        const int grid = *fixed::log2_exact(scale) + step_of(graph_, x, e, count);
        rounds_besides = rounds_besides || !function.cast_is_exact(largest, grid, own);
        continue;
      }
    }
    const ScaledFloat real(scale);
    const auto f = [&](Int code) { return function.code(run_steps(symbol.pending, real(code), e), own); };
    const std::size_t most = chosen ? std::min(policy_.most_steps(node), kMaxPieces) : kMaxPieces;
    auto pieces = pieces_total >= most
                      ? std::nullopt
                      : fixed::pieces_of(f, range.lo, range.hi, turning_codes(symbol.pending, function, real, e, range),
                                         most - pieces_total, [&] { return ctx_.cancelled(); });
    if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, node.origin, "the run was interrupted");
    if (!pieces && set->type && function.channels() == 1)
      return straight_lines(node, symbol, *set->type, count, chosen);
    if (!pieces)
      return ctx_.fail(
          Kind::LoweringUnsupported, node.origin,
          fmt::format("the step function has more than {} steps; give the layer a narrower result type", kMaxPieces));
    pieces_total += pieces->values.size();
    if (const auto equal = fixed::find_shift_round(*pieces, range))
      functions.emplace_back(*equal);
    else
      functions.emplace_back(std::move(*pieces));
  }
  if (std::all_of(functions.begin(), functions.end(), [&](const auto& f) { return f == functions[0]; }))
    functions.resize(1);
  if (rounds_besides)
    weaken(node, Word::FloatOrder,
           "numbers beyond 2^24 steps of the quantizer are rounded once more by its float32 sums");

  if (!symbol.order_bound.empty()) note_sum(symbol, codes_at_risk(symbol, function, functions));
  if (!chosen) {
    certify_kernels(node, symbol, function, functions, count);
    certify_straight_through(node, symbol, function, count);
  }
  fold(symbol.layer, node.name);
  Scale out_scale = set->scale;
  Symbol out;
  out.layer = node.name;
  exact::Requant step{symbol.value, std::move(functions), chosen};
  if (std::all_of(up.begin(), up.end(), [](int s) { return s == 0; })) {
    WEFT_TRY(out.value, add(node.name, std::move(step), std::move(out_scale), node.origin));
    return out;
  }
  // Own grids: shift and round per channel, then powers of two bring all to the common grid.
  const Shape shape = count == x.ranges.size() ? x.shape : Shape{static_cast<std::int64_t>(count)};
  exact::Constant factors;
  for (const int s : up) factors.codes.push_back(Int{1} << s);
  WEFT_TRY(const auto own, add(node.name + "_own", std::move(step), Scale(), node.origin));
  WEFT_TRY(const auto grid, add(node.name + "_grid", std::move(factors), Scale(out_scale), node.origin, shape));
  WEFT_TRY(out.value, add(node.name, exact::Mul{own, grid}, std::move(out_scale), node.origin));
  return out;
}

/// Too many steps: the float32 chain and then the cast as straight lines.
Result<Symbol> Recipe::straight_lines(const nn::Node& node, const Symbol& symbol, const fixed::FixedType& type,
                                      std::size_t count, bool chosen) {
  const exact::Value& x = value(symbol.value);
  std::vector<CodeFunction> functions;
  const FixedCast cast(type);
  for (std::size_t e = 0; e < count; ++e) {
    const ScaledFloat real(x.scale.of(e));
    const fixed::Range range = channel_range(x, e, count);
    functions.push_back({[&symbol, real, e, up = type.frac_bits()](Int code) {
                           return std::ldexp(static_cast<double>(run_steps(symbol.pending, real(code), e)), up);
                         },
                         range, turning_codes(symbol.pending, cast, real, e, range), kFloatBits});
  }
  // Lines end in a clip. Where nothing leaves the type, that is what its wrapping would do.
  fixed::FixedType clipped = type;
  if (type.overflow != fixed::Overflow::Sat && type.overflow != fixed::Overflow::SatSym) {
    if (!std::all_of(functions.begin(), functions.end(), [&](const auto& f) { return stays_within(f, type); }))
      return ctx_.fail(
          Kind::LoweringUnsupported, node.origin,
          fmt::format("a function of `{}` with too many steps for a table into {}, which wraps; use SAT or "
                      "a narrower type",
                      x.name, fixed::to_string(type)));
    clipped.overflow = fixed::Overflow::Sat;
  }
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(const auto lines, add_segments(*this, node.origin, node.name, symbol.value, functions, clipped, chosen));
  out.value = lines.value;
  weaken(node, Word::Quantized,
         fmt::format("{} as {} by {}", chosen ? "function" : "quantizer", fixed::to_string(type), lines.report.text()));
  if (!symbol.order_bound.empty()) note_sum(symbol, 1);
  fold(symbol.layer, node.name);
  return out;
}

void Recipe::note_sum(const Symbol& symbol, std::uint64_t codes_at_risk) {
  auto& c = certificate(symbol.sum_layer, "");
  c.bound = std::max(c.bound, *std::max_element(symbol.order_bound.begin(), symbol.order_bound.end()));
  c.codes_at_risk += codes_at_risk;
  if (codes_at_risk > 0) c.word = std::max(c.word, Word::FloatOrder);
}

Result<std::optional<Symbol>> Recipe::before_wrap(const nn::Node& node, const Symbol& symbol,
                                                  const quantizers::Function& unwrapped, bool chosen) {
  const exact::Value& x = value(symbol.value);
  const bool dyadic = std::all_of(x.scale.factors.begin(), x.scale.factors.end(),
                                  [](const Rational& f) { return fixed::log2_exact(f).has_value(); });
  if (dyadic && symbol.pending.empty()) return std::optional<Symbol>();
  if (dyadic && symbol.pending.size() == 1 && is_plain_relu(symbol.pending[0])) {
    WEFT_TRY(Symbol positive, relu_alone(node, symbol));
    return std::optional<Symbol>(std::move(positive));
  }
  // Steps that only scale by powers of two leave the codes as they are.
  if (const auto folded = symbol.pending.empty() ? std::nullopt : fold_affine(node, symbol);
      folded && folded->offset == 0 && fixed::log2_exact(value(folded->value).scale.at(0))) {
    Symbol scaled = symbol;
    scaled.value = folded->value;
    scaled.pending.clear();
    scaled.moved.reset();
    return std::optional<Symbol>(std::move(scaled));
  }
  WEFT_TRY(Symbol rounded, requant(node, symbol, unwrapped, chosen));
  return std::optional<Symbol>(std::move(rounded));
}

Result<Symbol> Recipe::relu_alone(const nn::Node& node, const Symbol& symbol) {
  const exact::Value& x = value(symbol.value);
  const fixed::Range all = channel_range(x, 0, 1);
  const fixed::ShiftRound relu{
      0, fixed::Rounding::Trn, fixed::Overflow::Sat, 0, std::max<Int>(all.hi, 0), fixed::width_bits(all), true, 0};
  Symbol positive = symbol;
  positive.pending.clear();
  positive.moved.reset();
  WEFT_TRY(positive.value,
           add(node.name + "_relu", exact::Requant{symbol.value, {relu}, false}, Scale(x.scale), node.origin));
  return positive;
}

/// Functions that have no finite value at some reachable code, or are known up to some |x| only.
Result<void> Recipe::check_domain(const nn::Node& node, const Symbol& symbol, const std::string& family,
                                  const quantizers::Function& function) {
  const exact::Value& x = value(symbol.value);
  const std::size_t channels = std::max(channels_of(x, symbol.pending), function.channels());
  bool finite = true;
  double largest = 0.0;
  for (std::size_t c = 0; c < channels; ++c) {
    const ScaledFloat real(x.scale.of(c));
    const fixed::Range range = channel_range(x, c, channels);
    for (const Int code : {range.lo, std::clamp<Int>(0, range.lo, range.hi), range.hi}) {
      const float v = run_steps(symbol.pending, real(code), c);
      if (!std::isfinite(v)) continue;
      largest = std::max(largest, static_cast<double>(std::fabs(v)));
      finite = finite && std::isfinite(function.apply(v, c % function.channels()));
    }
  }
  if (largest > function.reach())
    return ctx_.fail(Kind::LoweringUnsupported, node.origin,
                     fmt::format("`{}` of numbers up to {:g} is supported up to {:g}; give the layer in front a "
                                 "narrower result type",
                                 family, largest, function.reach()));
  if (!finite)
    weaken(node, Word::Quantized,
           fmt::format("`{}` has no finite value at some reachable inputs; 0, or the end of the type, stands for it",
                       family));
  return {};
}

Result<Symbol> Recipe::apply(const nn::Node& node, Symbol symbol, const quantizers::Spec& spec) {
  WEFT_TRY(auto function, quantizers::make(spec, node.origin, ctx_));
  const auto* family = quantizers::find_family(spec.family);
  if (family != nullptr && family->is_quantizer) return requant(node, symbol, *function, false);
  if (spec.family == "linear") return symbol;
  WEFT_TRY_VOID(check_domain(node, symbol, spec.family, *function));
  auto down = function->with_kernels_moved(-quantizers::kKernelUlps);
  if (down && !symbol.moved) symbol.moved = MovedSteps{{symbol.pending, symbol.pending}, node.name, false};
  if (symbol.moved) {
    if (down) symbol.moved->constant = false;
    auto up = function->with_kernels_moved(quantizers::kKernelUlps);
    symbol.moved->steps[0].emplace_back(down ? std::move(down) : function);
    symbol.moved->steps[1].emplace_back(up ? std::move(up) : function);
  }
  const bool per_element = function->channels() > last_axis(value(symbol.value));
  symbol.pending.emplace_back(std::move(function));
  if (!per_element) return symbol;
  // Only requantizations know of functions per element: the numbers are fixed as codes here.
  symbol.layer = node.name;
  WEFT_TRY(const auto fixed_codes, codes(node, symbol, false));
  Symbol out;
  out.value = fixed_codes.value;
  out.layer = node.name;
  return out;
}

Result<Symbol> Recipe::cast(const nn::Node& node, const Symbol& symbol, const fixed::FixedType& type,
                            std::string_view what) {
  const exact::Value& x = value(symbol.value);
  // A cast that loses nothing leaves the meaning as it is: the codes already lie on the type's grid and in its range.
  const auto log2 = fixed::log2_exact(x.scale.at(0));
  bool lossless = symbol.pending.empty() && x.scale.per_tensor() && log2.has_value();
  for (const auto& r : x.ranges) {
    if (!lossless) break;
    const int shift = type.frac_bits() + *log2;
    const auto lo =
        shift >= 0 ? fixed::checked_shift_left(r.lo, shift) : std::optional<Int>(fixed::floor_shift(r.lo, -shift));
    const auto hi =
        shift >= 0 ? fixed::checked_shift_left(r.hi, shift) : std::optional<Int>(fixed::floor_shift(r.hi, -shift));
    lossless = lo && hi && *lo >= fixed::min_code(type) && *hi <= fixed::max_code(type) &&
               (shift >= 0 || r.step_log2 >= -shift);
  }
  if (lossless) {
    Symbol same = symbol;
    same.typed = true;
    return same;
  }
  if (type.overflow != fixed::Overflow::Sat && type.overflow != fixed::Overflow::SatSym)
    ctx_.report(
        Kind::TypeMayWrap, node.origin,
        fmt::format("values may leave {} and are not clipped; use SAT or a wider type", fixed::to_string(type)));
  weaken(node, Word::Quantized, fmt::format("{} as {}", what, fixed::to_string(type)));
  if (symbol.pending.size() == 1 && is_plain_relu(symbol.pending[0])) {
    // The ReLU by itself: a negative number that becomes 0 is no saturation of the type.
    WEFT_TRY(const Symbol positive, relu_alone(node, symbol));
    return requant(node, positive, FixedCast(type), true);
  }
  return requant(node, symbol, FixedCast(type), true);
}

}  // namespace weft::layers
