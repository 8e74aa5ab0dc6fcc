// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rounding, overflow and casts: the only definition of arithmetic in Weft.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>

#include "weft/fixed/type.h"

namespace weft::fixed {

/// Wide enough for every W <= 128 source and destination with shifts.
using Wide = boost::multiprecision::int512_t;

/// round(value * 2^-shift); shift <= 0 multiplies exactly (InternalError when 128 bits overflow).
Int round_shift(Int value, int shift, Rounding rounding);
/// numerator / denominator (> 0) rounded to an integer.
Wide round_div(const Wide& numerator, const Wide& denominator, Rounding rounding);

/// Overflow handling of an already rounded code. In cast() sign-magnitude wrap also looks at bit W of the value before
/// rounding, as ap_fixed does: that differs from this only where the rounding carries into bit W.
Int apply_overflow(Int code, const FixedType& type);
Wide apply_overflow_wide(const Wide& code, const FixedType& type);

/// Code of `type` for the value code * 2^-source_frac_bits, as an ap_fixed assignment does it (round, then overflow).
Int cast(Int code, int source_frac_bits, const FixedType& type);
Wide cast_wide(const Wide& code, int source_frac_bits, const FixedType& type);

/// Code of `type` for a finite double, rounded once from its exact value.
Int from_double(double value, const FixedType& type);

/// code * 2^-frac_bits, correctly rounded (half even) to double or float.
double to_double(Int code, int frac_bits);
float to_float(Int code, int frac_bits);

}  // namespace weft::fixed
