// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/tflite.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "weft/diag/diag.h"

namespace weft::fixed::tflite {
namespace {

constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();

std::int32_t saturate(Int x) { return static_cast<std::int32_t>(std::clamp<Int>(x, kMin, kMax)); }
std::int16_t saturate16(Int x) { return static_cast<std::int16_t>(std::clamp<Int>(x, -32768, 32767)); }

/// x * 2^shift saturated, shift >= 0.
std::int32_t shift_up(std::int32_t x, int shift) { return saturate(Int{x} << shift); }

/// The same for 16-bit fixed-point numbers.
std::int16_t high_mul16(std::int16_t a, std::int16_t b) {
  if (a == b && a == -32768) return 32767;
  return static_cast<std::int16_t>((Int{a} * b + (1 << 14)) >> 15);
}
std::int16_t divide_by_power16(std::int16_t x, int exponent) {
  const int mask = (1 << exponent) - 1;
  const int rest = x & mask;
  const int threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return static_cast<std::int16_t>((x >> exponent) + (rest > threshold ? 1 : 0));
}

/// exp(-2^e) in Q0.31 for e = -2 ... 4, rounded.
constexpr std::int32_t kExpOfPower[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
constexpr std::int32_t kExpMinusEighth = 1895147668;
constexpr std::int32_t kThird = 715827883;

/// exp(x) for x in [-1/4, 0) in Q0.31: four terms of the series around -1/8.
std::int32_t exp_near_zero(std::int32_t a) {
  const std::int32_t x = a + (1 << 28);
  const std::int32_t x2 = doubling_high_mul(x, x);
  const std::int32_t x3 = doubling_high_mul(x2, x);
  const std::int32_t x4 = doubling_high_mul(x2, x2);
  const std::int32_t inner = doubling_high_mul(divide_by_power(x4, 2) + x3, kThird) + x2;
  const std::int32_t tail = divide_by_power(inner, 1);
  return kExpMinusEighth + doubling_high_mul(kExpMinusEighth, x + tail);
}

/// A Q0.31 constant as Q0.15.
std::int16_t constant16(std::int32_t c) { return static_cast<std::int16_t>(divide_by_power(c, 16)); }
std::int16_t add16(Int a, Int b) { return saturate16(a + b); }

std::int16_t exp_near_zero16(std::int16_t a) {
  const auto x = static_cast<std::int16_t>(a + (1 << 12));
  const std::int16_t x2 = high_mul16(x, x);
  const std::int16_t x3 = high_mul16(x2, x);
  const std::int16_t x4 = high_mul16(x2, x2);
  const auto sum = static_cast<std::int16_t>(divide_by_power16(x4, 2) + x3);
  const auto inner = static_cast<std::int16_t>(high_mul16(sum, constant16(kThird)) + x2);
  const std::int16_t tail = divide_by_power16(inner, 1);
  const std::int16_t base = constant16(kExpMinusEighth);
  return add16(base, high_mul16(base, static_cast<std::int16_t>(x + tail)));
}

/// exp(a) for a <= 0 in Q(integer_bits).(15 - integer_bits), as Q0.15.
std::int16_t exp_on_negative16(std::int16_t a, int integer_bits) {
  const int frac = 15 - integer_bits;
  if (a == 0) return 32767;
  if (integer_bits > 5 && a < -(1 << (frac + 5))) return 0;
  const int quarter = 1 << (frac - 2);
  const int below = (a & (quarter - 1)) - quarter;
  std::int16_t result = exp_near_zero16(saturate16(Int{below} << integer_bits));
  const int rest = below - a;
  for (int e = -2; e <= 4; ++e)
    if (integer_bits > e && (rest & (1 << (frac + e))) != 0)
      result = high_mul16(result, constant16(kExpOfPower[e + 2]));
  return result;
}

/// Newton's division in Q2.13; `half` in Q0.15, at least 2^14: 1 / half in Q2.13.
std::int16_t newton16(std::int16_t half) {
  constexpr std::int16_t kOne = 1 << 13;
  std::int16_t x = static_cast<std::int16_t>(constant16(kNewtonStart) + high_mul16(half, constant16(kNewtonSlope)));
  for (int i = 0; i < kNewtonSteps; ++i) {
    const auto rest = static_cast<std::int16_t>(kOne - high_mul16(half, x));
    x = static_cast<std::int16_t>(x + saturate16(Int{high_mul16(x, rest)} << 2));
  }
  return x;
}

/// (a + 1) / 2 in Q0.15, where 1 is 32767, rounded half away from zero.
std::int16_t half_sum_with_one(std::int16_t a) {
  const int sum = a + 32767;
  return static_cast<std::int16_t>((sum + (sum >= 0 ? 1 : -1)) / 2);
}

}  // namespace

Multiplier quantize_multiplier(double real) {
  if (real == 0.0) return {};
  Multiplier out;
  const double fraction = std::frexp(real, &out.shift);
  auto mantissa = static_cast<std::int64_t>(std::round(std::ldexp(fraction, 31)));
  if (mantissa == (std::int64_t{1} << 31)) {
    mantissa /= 2;
    ++out.shift;
  }
  if (out.shift < -31) return {};
  out.mantissa = static_cast<std::int32_t>(mantissa);
  return out;
}

std::int32_t doubling_high_mul(std::int32_t a, std::int32_t b) { return saturate((Int{a} * b + (Int{1} << 30)) >> 31); }

std::int32_t divide_by_power(std::int32_t x, int exponent) {
  const std::int64_t mask = (std::int64_t{1} << exponent) - 1;
  const std::int64_t rest = x & mask;
  const std::int64_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return static_cast<std::int32_t>((std::int64_t{x} >> exponent) + (rest > threshold ? 1 : 0));
}

std::int32_t wrap_int32(Int x) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<UInt>(x))); }

std::int32_t multiply(std::int32_t x, const Multiplier& m) {
  const int left = std::max(m.shift, 0);
  const int right = std::max(-m.shift, 0);
  return divide_by_power(doubling_high_mul(wrap_int32(Int{x} << left), m.mantissa), right);
}

std::int32_t reduced_mantissa(const Multiplier& m) {
  return m.mantissa < 0x7FFF0000 ? (m.mantissa + (1 << 15)) >> 16 : 0x7FFF;
}

std::int32_t multiply_wide(Int x, const Multiplier& m) {
  const int shift = 15 - m.shift;
  return wrap_int32((x * reduced_mantissa(m) + (Int{1} << (shift - 1))) >> shift);
}

std::int32_t multiply(Int x, const Multiplier& m, bool wide) {
  return wide ? multiply_wide(x, m) : multiply(wrap_int32(x), m);
}

std::int32_t multiply_real(Int x, double factor) {
  const double product = std::round(static_cast<double>(x) * factor);
  return static_cast<std::int32_t>(std::clamp(product, static_cast<double>(kMin), static_cast<double>(kMax)));
}

std::optional<RealFactor> integer_factor(double factor, Int x_lo, Int x_hi, Int lo, Int hi) {
  const auto real = [&](Int x) { return std::clamp<Int>(multiply_real(x, factor), lo, hi); };
  // Both functions rise, so they agree when every step of one is a step of the other.
  std::vector<std::pair<Int, Int>> steps;  // result k or more from this x on
  for (Int k = real(x_lo) + 1; k <= real(x_hi); ++k) {
    auto x = static_cast<Int>(std::ceil((static_cast<double>(k) - 0.5) / factor));
    while (real(x) >= k) --x;
    while (real(x) < k) ++x;
    steps.emplace_back(k, x);
  }
  int exponent = 0;
  const double fraction = std::frexp(factor, &exponent);
  for (int bits = 8; bits <= 54; ++bits) {
    const double scaled = std::ldexp(fraction, bits);
    const int shift = bits - exponent;
    if (shift < 0) continue;
    for (const double mantissa : {std::floor(scaled), std::floor(scaled) + 1.0}) {
      const auto m = static_cast<std::int64_t>(mantissa);
      const Int half = shift > 0 ? Int{1} << (shift - 1) : 0;
      const auto rounded = [&](Int x) {
        const Int product = x * m;
        return std::clamp<Int>(product >= 0 ? (product + half) >> shift : -((half - product) >> shift), lo, hi);
      };
      if (rounded(x_lo) == real(x_lo) && std::all_of(steps.begin(), steps.end(), [&](const auto& step) {
            return rounded(step.second) >= step.first && rounded(step.second - 1) < step.first;
          }))
        return RealFactor{m, shift};
    }
  }
  return std::nullopt;
}

std::int32_t exp_on_negative(std::int32_t x) {
  constexpr int kFrac = 26;
  if (x == 0) return kMax;
  constexpr std::int32_t kQuarter = 1 << (kFrac - 2);
  const std::int32_t below = (x & (kQuarter - 1)) - kQuarter;
  std::int32_t result = exp_near_zero(shift_up(below, 5));
  const auto rest = static_cast<std::int32_t>(std::int64_t{below} - x);
  for (int e = -2; e <= 4; ++e)
    if ((rest & (1 << (kFrac + e))) != 0) result = doubling_high_mul(result, kExpOfPower[e + 2]);
  return result;
}

std::int32_t reciprocal_of_double(std::int32_t half) {
  constexpr std::int32_t kOne = 1 << 29;
  std::int32_t x = kNewtonStart + doubling_high_mul(half, kNewtonSlope);
  for (int i = 0; i < kNewtonSteps; ++i) x += shift_up(doubling_high_mul(x, kOne - doubling_high_mul(half, x)), 2);
  return shift_up(x, 1);
}

Table make_table(double (*f)(double), double lo, double hi) {
  constexpr int kSteps = 512;
  const double step = (hi - lo) / kSteps;
  const double half = step / 2.0;
  Table out{};
  for (int i = 0; i < kSteps; ++i) {
    const double at = std::round(f(lo + i * step) * 32768.0);
    const double next = f(lo + (i + 1) * step) * 32768.0;
    const double interpolated = std::round((next + at) / 2.0);
    const double middle = std::round(f(lo + i * step + half) * 32768.0);
    const double bias = std::round((interpolated - middle) / 2.0);
    out[static_cast<std::size_t>(i)] = static_cast<std::int16_t>(std::clamp(at - bias, -32768.0, 32767.0));
  }
  out[kSteps] = static_cast<std::int16_t>(std::clamp(std::round(f(hi) * 32768.0), -32768.0, 32767.0));
  return out;
}

std::int16_t look_up(const Table& table, std::int16_t x) {
  const auto index = static_cast<std::size_t>(256 + (x >> 7));
  const int offset = x & 0x7f;
  const int slope = table[index + 1] - table[index];
  return static_cast<std::int16_t>(table[index] + ((slope * offset + 64) >> 7));
}

namespace {

/// Logistic at i / 24 in units of 2^-16, i = 0 ... 255, raised by half of what a straight line to the next point lacks
/// in its middle, so that interpolation errs equally to both sides. The last entry is the limit.
const std::array<std::uint32_t, 256>& logistic_table() {
  static const auto table = [] {
    std::array<std::uint32_t, 256> out{};
    const auto logistic = [](double i) { return 65536.0 / (1.0 + std::exp(-i / 24.0)); };
    for (std::size_t i = 0; i + 1 < out.size(); ++i) {
      const auto at = static_cast<double>(i);
      const double lacking = logistic(at + 0.5) - (logistic(at) + logistic(at + 1.0)) / 2.0;
      out[i] = static_cast<std::uint32_t>(std::round(logistic(at) + lacking / 2.0));
    }
    out.back() = 65535;
    return out;
  }();
  return table;
}

std::int32_t on_axis(std::int16_t x, const Int16Input& input) {
  const std::int64_t round = input.shift > 0 ? std::int64_t{1} << (input.shift - 1) : 0;
  return static_cast<std::int32_t>((std::int64_t{x} * input.multiplier + round) >> input.shift);
}

}  // namespace

Int16Input int16_input(double scale) {
  // The table's axis has 3 * 4096 units per 1; scales that are powers of two come out exactly.
  double multiplier = scale * 4096.0 * 3.0;
  int shift = 0;
  while (multiplier <= 32767.0 / 2.0 && shift <= 30) {
    ++shift;
    multiplier *= 2.0;
  }
  return {static_cast<std::int32_t>(multiplier), shift};
}

std::int16_t logistic_int16(std::int16_t x, const Int16Input& input) {
  const auto& table = logistic_table();
  const std::int32_t at = on_axis(x, input);
  const auto magnitude = static_cast<std::uint32_t>(at < 0 ? -std::int64_t{at} : at);
  const std::uint32_t index = magnitude >> 9;
  std::uint32_t result = std::uint32_t{0x7FFF} << 10;
  if (index < 255) result = (table[index] << 9) + (magnitude & 0x1FF) * (table[index + 1] - table[index]);
  result = at >= 0 ? result + (1U << 9) : (1U << 25) - result + (1U << 9) - 1;
  return static_cast<std::int16_t>(result >> 10);
}

std::int16_t tanh_int16(std::int16_t x, const Int16Input& input) {
  const auto& table = logistic_table();
  const std::int32_t at = on_axis(x, input);
  const auto magnitude = static_cast<std::uint32_t>(at < 0 ? -std::int64_t{at} : at);
  const std::uint32_t index = magnitude >> 8;
  std::int32_t result = 0xFFFF << 8;
  if (index < 255)
    result = static_cast<std::int32_t>((table[index] << 8) + (magnitude & 0xFF) * (table[index + 1] - table[index]));
  constexpr std::int32_t kHalf = 1 << 23;
  constexpr std::int32_t kRound = 1 << 7;
  result = at >= 0 ? result - kHalf + kRound : -result + kHalf + kRound - 1;
  return static_cast<std::int16_t>(result >> 8);
}

std::int32_t hard_swish(std::int16_t x, const Multiplier& output, const Multiplier& relu) {
  const auto narrow = [](std::int32_t m) { return saturate16((Int{m} + (1 << 15)) >> 16); };
  const std::int16_t hires = saturate16(Int{x} * 128);
  const std::int16_t scaled = high_mul16(hires, narrow(output.mantissa));
  std::int16_t gate = hires;
  if (relu.shift > 0) gate = saturate16(Int{gate} << (relu.shift - 1));
  gate = high_mul16(gate, narrow(relu.mantissa));
  if (relu.shift > 0) gate = saturate16(Int{gate} << 1);
  if (relu.shift < 0) gate = divide_by_power16(gate, -relu.shift);
  gate = static_cast<std::int16_t>((gate + (1 << 15)) >> 1);
  // This one product is not rounded: the division truncates toward zero.
  const bool overflow = gate == scaled && gate == -32768;
  const auto product = overflow ? std::int16_t{32767} : static_cast<std::int16_t>(Int{gate} * scaled / (1 << 15));
  return divide_by_power16(product, -output.shift);
}

std::int16_t lstm_logistic(std::int16_t x, int integer_bits) {
  constexpr std::int16_t kHalf = 1 << 14;
  if (x == 0) return kHalf;
  // logistic(|x|) = 1 / (1 + exp(-|x|)), and 1 minus it for negative x.
  const auto negative = static_cast<std::int16_t>(x > 0 ? -x : x);
  const std::int16_t exponential = exp_on_negative16(negative, integer_bits);
  const std::int16_t quotient = newton16(half_sum_with_one(exponential));
  const std::int16_t positive = saturate16(Int{quotient} << 1);
  return x > 0 ? positive : static_cast<std::int16_t>(32767 - positive);
}

std::int16_t lstm_tanh(std::int16_t x, int integer_bits) {
  if (x == 0) return 0;
  // tanh(|x|) = (1 - e) / (1 + e), e = exp(-2 |x|): the factor 2 is one integer bit more.
  const auto negative = static_cast<std::int16_t>(x > 0 ? -x : x);
  const std::int16_t exponential = exp_on_negative16(negative, integer_bits + 1);
  const std::int16_t quotient = newton16(half_sum_with_one(exponential));
  // 1 / half = 2 / (1 + e) in Q2.13; minus 1, to Q0.15.
  const std::int16_t positive = saturate16(Int{quotient - (1 << 13)} << 2);
  return x > 0 ? positive : static_cast<std::int16_t>(-positive);
}

}  // namespace weft::fixed::tflite
