// SPDX-License-Identifier: Apache-2.0
// The fixed-point quantizers of HGQ2 (kif, kbi) and of HGQ's proxy layers: k, i and f for all, per index of the last
// axis, or per element. Values {n 2^-f} in [-k 2^i, 2^i - 2^-f]; k + i + f <= 0 gives 0.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

using fixed::Rounding;

/// Trained widths stay within 24; this leaves room and keeps 2^i and 2^-f far from float32's ends.
constexpr int kMaxBits = 64;
constexpr int kMaxGridBits = 120;
constexpr int kMantissaBits = 24;
/// Integer bits beyond every sum: what a quantizer that wraps becomes without its wrapping.
constexpr int kUnboundedInteger = 60;

/// None: rounded only, as weights under overflow mode WRAP are.
enum class Limit { Sat, SatSym, Wrap, None };

float round_to(float v, Rounding rounding) {
  const float a = std::fabs(v);
  switch (rounding) {
    case Rounding::Trn:
      return std::floor(v);
    case Rounding::Rnd:
      return std::floor(v + 0.5F);
    case Rounding::TrnZero:
      return std::floor(a) * sign(v);
    case Rounding::RndZero:
      return -std::floor(-a + 0.5F) * sign(v);
    case Rounding::RndMinInf:
      return -std::floor(-v + 0.5F);
    case Rounding::RndInf:
      return std::floor(a + 0.5F) * sign(v);
    default:
      return rint_even(v);
  }
}

/// x mod y with the sign of y > 0, as numpy and TensorFlow have it.
float floor_mod(float x, float y) {
  const float rest = std::fmod(x, y);
  return rest < 0.0F ? rest + y : rest;
}

/// One element's format; `zero` for those that are pruned.
struct Grid {
  bool keep_negative = true;
  int integer = 0;
  int frac = 0;
  bool zero = false;
};

class HgqFixed final : public Function {
 public:
  HgqFixed(std::vector<Grid> grids, Rounding rounding, Limit limit)
      : grids_(std::move(grids)), rounding_(rounding), limit_(limit) {
    for (auto& g : grids_) {
      if (limit_ == Limit::None) continue;
      g.zero = static_cast<int>(g.keep_negative) + g.integer + g.frac <= 0;
      g.integer = std::max(g.integer, -g.frac);
      // The symmetric range of one bit is 0 alone.
      if (limit_ == Limit::SatSym && g.integer + g.frac == 0) g.zero = true;
    }
    set_outputs();
  }

  [[nodiscard]] std::size_t channels() const override { return grids_.size(); }

  [[nodiscard]] float apply(float x, std::size_t channel) const override {
    const Grid& g = at(channel);
    if (g.zero) return 0.0F;
    const float scale = exp2_int(g.frac);
    const float top = exp2_int(g.integer);
    if (limit_ == Limit::Sat || limit_ == Limit::SatSym) {
      const float hi = top - exp2_int(-g.frac);
      x = clip(x, !g.keep_negative ? 0.0F : limit_ == Limit::Sat ? -top : -hi, hi);
    }
    const float scaled = x * scale;
    const float rounded = round_to(scaled, rounding_) / scale;
    if (limit_ != Limit::Wrap) return rounded;
    const float bias = g.keep_negative ? top : 0.0F;
    const float shifted = rounded + bias;
    return floor_mod(shifted, g.keep_negative ? 2.0F * top : top) - bias;
  }

  [[nodiscard]] std::optional<OutputSet> outputs() const override { return outputs_; }

  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    WEFT_CHECK(outputs_.has_value(), "code() of a quantizer without outputs()");
    const float value = apply(x, channel);
    return std::isfinite(value) ? code_on_grid(value, -finest_) : 0;
  }

  [[nodiscard]] std::optional<fixed::FixedType> type(std::size_t channel) const override {
    const Grid& g = at(channel);
    // Beyond float32's mantissa the upper bound 2^i - 2^-f is rounded.
    if (g.zero || limit_ == Limit::None || g.integer + g.frac > kMantissaBits) return std::nullopt;
    fixed::FixedType type;
    type.is_signed = g.keep_negative;
    type.integer_bits = g.integer + (g.keep_negative ? 1 : 0);
    type.width_bits = type.integer_bits + g.frac;
    type.rounding = rounding_;
    type.overflow = limit_ == Limit::Sat      ? fixed::Overflow::Sat
                    : limit_ == Limit::SatSym ? fixed::Overflow::SatSym
                                              : fixed::Overflow::Wrap;
    return type;
  }

  [[nodiscard]] bool cast_is_exact(double magnitude, int step_log2, std::size_t channel) const override {
    const Grid& g = at(channel);
    if (g.zero || magnitude == 0.0) return true;
    // In units of 2^-f: v, a multiple of 2^step, is added to a half and, rounded, to the bias of the wrap.
    const int step = std::min(step_log2 + g.frac, 0);
    const double v = std::ldexp(magnitude, g.frac);
    const bool halves = rounding_ == Rounding::Trn || rounding_ == Rounding::TrnZero || rounding_ == Rounding::RndConv;
    if (!halves && v + 0.5 > std::ldexp(1.0, 24 + std::min(step, -1))) return false;
    return limit_ != Limit::Wrap || v + 1.0 + std::ldexp(1.0, g.integer + g.frac) <= 0x1p24;
  }

  [[nodiscard]] std::shared_ptr<const Function> unwrapped() const override {
    if (limit_ != Limit::Wrap) return nullptr;
    auto grids = grids_;
    for (auto& g : grids)
      if (!g.zero) g = {true, kUnboundedInteger, g.frac, false};
    return std::make_shared<const HgqFixed>(std::move(grids), rounding_, Limit::Sat);
  }

  Result<Quantized> quantize(const FloatTensor& tensor, const Origin& origin, Context& ctx) const override {
    WEFT_TRY_VOID(check_finite(tensor, origin, ctx));
    const std::size_t count = channels();
    if (count != tensor.data.size()) WEFT_TRY_VOID(check_channels(count, tensor.shape, origin, ctx));
    FloatTensor values(tensor.shape);
    for (std::size_t i = 0; i < values.data.size(); ++i) values.data[i] = apply(tensor.data[i], i % count);
    WEFT_TRY_VOID(check_finite(values, origin, ctx));
    return quantized_on_own_grid(std::move(values), origin, ctx);
  }

 private:
  [[nodiscard]] const Grid& at(std::size_t channel) const { return grids_[grids_.size() == 1 ? 0 : channel]; }

  void set_outputs() {
    if (limit_ == Limit::None) return;
    bool any = false;
    int highest = 0;
    for (const auto& g : grids_) {
      if (g.zero) continue;
      finest_ = any ? std::max(finest_, g.frac) : g.frac;
      highest = any ? std::max(highest, g.integer) : g.integer;
      any = true;
    }
    if (any && highest + finest_ + 1 > kMaxGridBits) return;
    Int lo = 0;
    Int hi = 0;
    for (const auto& g : grids_) {
      if (g.zero) continue;
      const int shift = finest_ - g.frac;
      const Int top = Int{1} << (g.integer + g.frac);
      const Int last = g.integer + g.frac > kMantissaBits ? top : top - 1;
      hi = std::max(hi, last << shift);
      if (g.keep_negative) lo = std::min(lo, -(limit_ == Limit::SatSym ? last : top) * (Int{1} << shift));
    }
    outputs_ = power_of_two_set(-finest_, lo, hi);
    if (grids_.size() == 1) outputs_->type = type(0);
  }

  std::vector<Grid> grids_;
  Rounding rounding_;
  Limit limit_;
  /// Fraction bits of the grid that all elements share.
  int finest_ = 0;
  std::optional<OutputSet> outputs_;
};

Rounding read_rounding(Parameters& parameters) {
  const auto word =
      parameters.word("rounding", {"TRN", "RND", "RND_CONV", "TRN_ZERO", "RND_ZERO", "RND_MIN_INF", "RND_INF"});
  return fixed::parse_rounding(word).value_or(Rounding::Rnd);
}

Result<std::shared_ptr<const Function>> make_hgq_fixed(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto k = parameters.numbers("k");
  const auto i = parameters.numbers("i");
  const auto f = parameters.numbers("f");
  const std::size_t count = std::max({k.size(), i.size(), f.size()});
  std::vector<Grid> grids(count);
  for (const auto* list : {&k, &i, &f}) {
    if (list->size() != 1 && list->size() != count) parameters.fail("`k`, `i` and `f` have different lengths");
    const bool whole =
        std::all_of(list->begin(), list->end(), [](float v) { return std::fabs(v) <= kMaxBits && v == std::floor(v); });
    if (!whole) parameters.fail(fmt::format("`k`, `i` and `f` must be whole numbers up to {}", kMaxBits));
  }
  if (!std::all_of(k.begin(), k.end(), [](float v) { return v == 0.0F || v == 1.0F; }))
    parameters.fail("`k` must be 0 or 1");
  const auto rounding = read_rounding(parameters);
  const auto overflow = parameters.word("overflow", {"SAT", "SAT_SYM", "WRAP", "NONE"});
  if (!parameters.ok()) return diag::failure;
  for (std::size_t c = 0; c < count; ++c) {
    grids[c].keep_negative = k[k.size() == 1 ? 0 : c] != 0.0F;
    grids[c].integer = static_cast<int>(i[i.size() == 1 ? 0 : c]);
    grids[c].frac = static_cast<int>(f[f.size() == 1 ? 0 : c]);
  }
  return make_function<HgqFixed>(std::move(grids), rounding,
                                 overflow == "SAT"       ? Limit::Sat
                                 : overflow == "SAT_SYM" ? Limit::SatSym
                                 : overflow == "WRAP"    ? Limit::Wrap
                                                         : Limit::None);
}

}  // namespace

Family hgq_fixed_family() {
  return {.name = "hgq_fixed",
          .summary = "HGQ fixed-point: k, i, f for all, per channel or per element; clipped or wrapped",
          .is_quantizer = true,
          .defaults = {{"k", std::vector<double>{1.0}},
                       {"i", std::vector<double>{2.0}},
                       {"f", std::vector<double>{6.0}},
                       {"rounding", std::string("RND")},
                       {"overflow", std::string("WRAP")}},
          .make = make_hgq_fixed};
}

}  // namespace weft::quantizers
