// SPDX-License-Identifier: Apache-2.0
/// @file
/// Step functions as kernels take them: constants of one form for 32-bit sums, and of another for 64-bit lanes. Plain
/// data only, as in kernels.h.
#pragma once

#include <cstdint>

namespace weft::emulate {

/// First part of a step function on 32-bit sums x. "Constant" covers every mode that adds one number before the floor.
enum class RoundForm : std::uint8_t {
  None,      ///< y = x
  Constant,  ///< y = (x + addend) >> shift
  Sign,      ///< the same with sign_addend more where x is negative, that is where x + addend < sign_at
  Even,      ///< the same with bit 0 of y cleared where x + addend has no bit of tie_mask
  Nearest,   ///< as Even for small x: float bits(x + addend) + magic, rounded by the adder, minus magic_bits
  Line,      ///< y = floor(float(x) * slope + start) + post, as line_fit.h says
  Compare    ///< y = base + sum over k of (x > thresholds[k] ? deltas[k] : 0)
};
/// Second part.
enum class FoldForm : std::uint8_t { None, Clamp, WrapSigned, WrapUnsigned };

/// A step function per element: arrays are indexed by element % n_functions. `post` is added last.
struct Epilogue {
  RoundForm round = RoundForm::None;
  FoldForm fold = FoldForm::None;
  bool count = false;
  std::int32_t post = 0;
  std::int32_t n_functions = 1;
  std::int32_t n_thresholds = 0;  ///< per function
  const std::int32_t* addend = nullptr;
  const std::int32_t* shift = nullptr;
  const std::int32_t* sign_at = nullptr;
  const std::int32_t* sign_addend = nullptr;
  const std::int32_t* tie_mask = nullptr;
  const std::int32_t* magic = nullptr;       ///< bits of a float
  const std::int32_t* magic_bits = nullptr;  ///< bits of the sum for y = 0
  const std::int32_t* slope = nullptr;       ///< bits of floats
  const std::int32_t* start = nullptr;
  const std::int32_t* base = nullptr;
  const std::int32_t* thresholds = nullptr;
  const std::int32_t* deltas = nullptr;
  const std::int32_t* lo = nullptr;
  const std::int32_t* hi = nullptr;
  const std::int32_t* wrap_shift = nullptr;  ///< 32 - width
  const std::int32_t* lo_bytes = nullptr;    ///< Layout::Bytes: four neighbours' bounds in one dword
  const std::int32_t* hi_bytes = nullptr;
};

/// A step function on 64-bit lanes: y = fold((x + addend + (x < 0 ? sign_addend : 0)) >> shift), with bit 0 cleared
/// before folding when `even` and nothing was shifted out; a negative shift multiplies.
struct WideFunction {
  enum class Fold : std::uint8_t { None, Clamp, Zero, WrapSigned, WrapUnsigned } fold = Fold::None;
  bool even = false;
  std::int32_t shift = 0;       ///< -62 to 62
  std::int32_t wrap_shift = 0;  ///< 64 - width
  std::int64_t addend = 0;
  std::int64_t sign_addend = 0;
  std::int64_t lo = 0;
  std::int64_t hi = 0;
  /// Pieces when n_breakpoints >= 0: values[number of breakpoints <= x].
  std::int64_t n_breakpoints = -1;
  const std::int64_t* breakpoints = nullptr;
  const std::int64_t* values = nullptr;
};

}  // namespace weft::emulate
