// SPDX-License-Identifier: Apache-2.0
/// @file
/// The integer arithmetic of TensorFlow Lite's reference kernels: multipliers as a 31-bit mantissa and a shift, their
/// roundings, and the fixed-point functions of softmax, logistic and tanh. Sources of the formulas: the public
/// description of quantized inference (Jacob et al., arXiv:1712.05877) and the behaviour of the interpreter, which
/// tests/interop compares bit for bit.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "weft/fixed/integer.h"

namespace weft::fixed::tflite {

/// A real factor mantissa * 2^(shift - 31), mantissa 0 or in [2^30, 2^31).
struct Multiplier {
  std::int32_t mantissa = 0;
  int shift = 0;
  bool operator==(const Multiplier&) const = default;
};

/// The nearest multiplier of a factor that is not negative; 0 below 2^-32.
Multiplier quantize_multiplier(double real);

/// round(a * b / 2^31), half up, saturated: (-2^31)^2 gives 2^31 - 1.
std::int32_t doubling_high_mul(std::int32_t a, std::int32_t b);
/// round(x / 2^exponent), half away from zero; exponent in [0, 31].
std::int32_t divide_by_power(std::int32_t x, int exponent);
/// What int32 arithmetic keeps of x.
std::int32_t wrap_int32(Int x);

/// Factor of an int32 accumulator: left shift, doubling_high_mul, divide_by_power: two roundings.
std::int32_t multiply(std::int32_t x, const Multiplier& m);
/// Factor of an int64 accumulator (int16 activations): a 15-bit mantissa, one rounding, half up. The result is what
/// int32 keeps of it.
std::int32_t multiply_wide(Int x, const Multiplier& m);
/// The mantissa that multiply_wide() computes with.
std::int32_t reduced_mantissa(const Multiplier& m);
/// Either of both.
std::int32_t multiply(Int x, const Multiplier& m, bool wide);

/// Factor as a double: the product in double, rounded half away from zero, saturated.
std::int32_t multiply_real(Int x, double factor);
/// multiply_real() as round_half_away(x * mantissa / 2^shift) on integers.
struct RealFactor {
  std::int64_t mantissa = 0;
  int shift = 0;
};
/// The shortest that agrees with multiply_real() on every x of [x_lo, x_hi] once results are clamped to [lo, hi];
/// nullopt when none of at most 54 bits does. `factor` is positive.
std::optional<RealFactor> integer_factor(double factor, Int x_lo, Int x_hi, Int lo, Int hi);

// --- softmax of int8
/// exp(x) for x <= 0 in Q5.26, as Q0.31.
std::int32_t exp_on_negative(std::int32_t x);
/// Constants of the Newton division 1 / d for d in [1/2, 1): x0 = a - b d in Q2.29.
inline constexpr std::int32_t kNewtonStart = 1515870810;   // 48 / 17
inline constexpr std::int32_t kNewtonSlope = -1010580540;  // -32 / 17
inline constexpr int kNewtonSteps = 3;
/// 1 / (2 half) for half in Q0.31, at least 2^30, as Q0.31.
std::int32_t reciprocal_of_double(std::int32_t half);

// --- tables of int16 functions: 512 steps and the end point
using Table = std::array<std::int16_t, 513>;
/// Of f over [lo, hi] in units of 2^-15, corrected so that linear interpolation errs equally to both sides.
Table make_table(double (*f)(double), double lo, double hi);
/// Linear interpolation.
std::int16_t look_up(const Table& table, std::int16_t x);

/// Logistic and tanh of an int16 code; the factor brings the code to the table's axis (see `int16_input`).
struct Int16Input {
  std::int32_t multiplier = 0;
  int shift = 0;
};
/// For a tensor of this scale.
Int16Input int16_input(double scale);
std::int16_t logistic_int16(std::int16_t x, const Int16Input& input);
std::int16_t tanh_int16(std::int16_t x, const Int16Input& input);

/// Hard swish of a code: `output` is the factor to the output's scale, `relu` that to the scale of (x + 3) / 6, both of
/// the code times 128; in int16 steps.
std::int32_t hard_swish(std::int16_t x, const Multiplier& output, const Multiplier& relu);

/// Logistic and tanh as the integer LSTM kernels compute them: x in Q(integer_bits).(15 - integer_bits), result Q0.15.
std::int16_t lstm_logistic(std::int16_t x, int integer_bits);
std::int16_t lstm_tanh(std::int16_t x, int integer_bits);

}  // namespace weft::fixed::tflite
