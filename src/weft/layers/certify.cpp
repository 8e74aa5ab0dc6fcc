// SPDX-License-Identifier: Apache-2.0
// What could make the source framework answer differently: the order of its float additions, the last places of its
// library kernels, its straight-through form. Each is counted over the reachable codes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/layers/recipe.h"
#include "weft/layers/scaled_float.h"
#include "weft/layers/steps.h"

namespace weft::layers {

std::vector<float> kernel_uncertainty(const quantizers::Function& function, const FloatTensor& values,
                                      const FloatTensor& ours, const Origin& origin) {
  std::vector<float> out(ours.data.size(), 0.0F);
  for (const int ulps : {-quantizers::kKernelUlps, quantizers::kKernelUlps}) {
    const auto moved = function.with_kernels_moved(ulps);
    if (!moved) break;
    diag::Engine quiet;  // what there is to say was said for the parameter itself
    Context silent{quiet};
    const auto other = moved->quantize(values, origin, silent);
    if (!other) continue;
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = std::max(out[i], std::fabs(other->values.data[i] - ours.data[i]));
  }
  return out;
}

std::uint64_t Recipe::codes_at_risk(const Symbol& symbol, const quantizers::Function& function,
                                    const std::vector<fixed::StepFunction>& functions) const {
  const exact::Value& x = value(symbol.value);
  const std::size_t channels = std::max({functions.size(), symbol.order_bound.size(), x.scale.factors.size()});
  std::uint64_t total = 0;
  // One by one up to here; beyond, every code within the bound of a breakpoint counts.
  std::int64_t budget = 1 << 20;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto& f = functions[c % functions.size()];
    const double bound = symbol.order_bound[c % symbol.order_bound.size()];
    const Rational& scale = x.scale.of(c);
    const ScaledFloat real(scale);
    const fixed::Range range = channel_range(x, c, channels);
    const double codes = std::ceil(bound / fixed::to_double(scale)) + 1.0;
    const auto pieces = fixed::to_pieces(f, range, std::size_t{1} << 16);
    if (!pieces || codes > 1e15) {
      total += 1;  // too many to count one by one: at least one, and the bound is stated
      continue;
    }
    const Int width = static_cast<Int>(codes);
    Int counted_to = range.lo - 1;
    for (const Int t : pieces->breakpoints) {
      const Int from = std::max({range.lo, t - width, counted_to + 1});
      const Int to = std::min(range.hi, t + width);
      if (to < from) continue;
      budget -= static_cast<std::int64_t>(std::min<Int>(to - from + 1, budget + 1));
      if (budget < 0) {
        total += static_cast<std::uint64_t>(to - from + 1);
        counted_to = to;
        continue;
      }
      for (Int k = from; k <= to; ++k) {
        // Outside of the float32 sum the source rounds alike, so only the sum moves within the bound.
        const float at = real(k);
        const auto q = [&](double v) {
          return function.code(run_steps(symbol.pending, static_cast<float>(v), c), c % function.channels());
        };
        const float below = std::nextafter(static_cast<float>(at - bound), -INFINITY);
        const float above = std::nextafter(static_cast<float>(at + bound), INFINITY);
        const Int here = q(at);
        if (q(below) != here || q(above) != here) ++total;
      }
      counted_to = std::max(counted_to, to);
    }
  }
  return total;
}

/// Counts the reachable codes whose result differs when a kernel of the framework is moved. Such codes lie around the
/// breakpoints of the step function, in unbroken runs.
void Recipe::certify_kernels(const nn::Node& node, const Symbol& symbol, const quantizers::Function& function,
                             const std::vector<fixed::StepFunction>& functions, std::size_t channels) {
  const std::array<std::shared_ptr<const quantizers::Function>, 2> moved{
      function.with_kernels_moved(-quantizers::kKernelUlps), function.with_kernels_moved(quantizers::kKernelUlps)};
  if (!symbol.moved && !moved[0]) return;
  const exact::Value& x = value(symbol.value);
  std::uint64_t total = 0;
  bool counted = true;
  for (std::size_t c = 0; c < channels; ++c) {
    const std::size_t own = c % function.channels();
    const ScaledFloat real(x.scale.of(c));
    const fixed::Range range = channel_range(x, c, channels);
    const auto pieces = fixed::to_pieces(functions[c % functions.size()], range, std::size_t{1} << 16);
    if (!pieces) {
      counted = false;
      continue;
    }
    const auto differs = [&](Int k) {
      const float v = real(k);
      const Int here = function.code(run_steps(symbol.pending, v, c), own);
      for (std::size_t side = 0; side < 2; ++side) {
        const float at = run_steps(symbol.moved ? symbol.moved->steps[side] : symbol.pending, v, c);
        if ((moved[side] ? *moved[side] : function).code(at, own) != here) return true;
      }
      return false;
    };
    // Length of the run of differing codes that starts at `from` and goes up or down to `end`.
    const auto run_length = [&](Int from, Int end, Int direction) -> Int {
      const Int most = (end - from) * direction + 1;
      if (most < 1 || !differs(from)) return 0;
      Int known = 1;
      Int probe = 2;
      while (probe <= most && differs(from + (probe - 1) * direction)) {
        known = probe;
        probe *= 2;
      }
      Int beyond = std::min(probe, most + 1);
      while (beyond - known > 1) {
        const Int middle = known + (beyond - known) / 2;
        (differs(from + (middle - 1) * direction) ? known : beyond) = middle;
      }
      return known;
    };
    Int counted_to = range.lo - 1;
    const auto count = [&](Int at) {  // around the border between at - 1 and at
      const Int down = run_length(at - 1, counted_to + 1, -1);
      const Int up = run_length(std::max(at, counted_to + 1), range.hi, 1);
      // Near its ends a run has holes, because float32 functions are monotone only up to their own noise.
      constexpr Int kOneByOne = 10000;
      const Int reach = down + up < kOneByOne ? 2 * (down + up) + 16 : 0;
      const Int first = std::max(at - std::max(down, reach), counted_to + 1);
      const Int last = std::min(at - 1 + std::max(up, reach), range.hi);
      if (reach == 0) total += static_cast<std::uint64_t>(down + up);
      for (Int k = first; reach != 0 && k <= last; ++k) total += differs(k) ? 1 : 0;
      counted_to = std::max(counted_to, last);
    };
    count(range.lo);
    for (const Int t : pieces->breakpoints)
      if (t > range.lo && t <= range.hi) count(t);
    count(range.hi + 1);
  }
  if (total == 0 && counted) return;
  if (!moved[0] && symbol.moved->constant) {
    auto& c = certificate(symbol.moved->layer, "");
    c.notes.push_back(fmt::format(
        "rsqrt taken as IEEE 1 / sqrt: the framework's kernel differs in the last places between processors, which "
        "could change the result at {} codes of the sum",
        counted ? fmt::format("{} reachable", total) : fmt::format("more than {}", total)));
    return;
  }
  auto& c = certificate(node.name, node.op);
  c.word = std::max(c.word, Word::FloatOrder);
  c.codes_at_risk += total;
  c.notes.push_back(fmt::format(
      "the framework's kernel (log, exp, tanh ...) is taken as good to {} ulps: {} results could differ",
      quantizers::kKernelUlps, counted ? fmt::format("{} reachable", total) : fmt::format("more than {}", total)));
}

/// QKeras adds the rounding to its input, x + (xq - x): float32 loses xq's last bits for results far beyond the
/// quantizer's range, and anywhere when xq is no short binary fraction (a scale that is no power of two). Seen, not
/// proven: on evenly spread codes and on the ends of the range.
void Recipe::certify_straight_through(const nn::Node& node, const Symbol& symbol, const quantizers::Function& function,
                                      std::size_t channels) {
  constexpr Int kSamples = 512;
  const exact::Value& x = value(symbol.value);
  const auto set = function.outputs();
  std::uint64_t different = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const std::size_t own = c % function.channels();
    const ScaledFloat real(x.scale.of(c));
    const ScaledFloat result(set->scale.of(own));
    const fixed::Range range = channel_range(x, c, channels);
    const Int stride = std::max<Int>((range.hi - range.lo) / kSamples, 1);
    const auto check = [&](Int code) {
      const float v = run_steps(symbol.pending, real(code), c);
      different += function.apply(v, own) != result(function.code(v, own)) ? 1 : 0;
    };
    for (Int k = 0; k * stride <= range.hi - range.lo; ++k) check(range.lo + k * stride);
    for (Int k = 0; k < kSamples / 8 && k <= range.hi - range.lo; ++k) {
      check(range.lo + k);
      check(range.hi - k);
    }
  }
  if (different > 0)
    weaken(node, Word::FloatOrder, "the framework's x + (quantized - x) rounds in the last places of some results");
}

}  // namespace weft::layers
