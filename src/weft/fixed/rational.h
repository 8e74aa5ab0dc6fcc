// SPDX-License-Identifier: Apache-2.0
/// @file
/// Exact rationals for scales and offsets.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <optional>
#include <string>
#include <vector>

#include "weft/fixed/integer.h"
#include "weft/fixed/type.h"

namespace weft {

using Rational = boost::multiprecision::cpp_rational;

namespace fixed {

/// The exact value of a finite double (or float).
Rational rational_from_double(double value);
/// 2^exponent.
Rational pow2(int exponent);
/// log2 of a positive power of two, nullopt otherwise.
std::optional<int> log2_exact(const Rational& value);
/// Correctly rounded (half to even), also into subnormals; overflow gives infinity.
double to_double(const Rational& value);
float to_float(const Rational& value);
/// Nearest integer by `rounding`.
boost::multiprecision::cpp_int round(const Rational& value, Rounding rounding);
/// "3/1024", "5"; parse_rational reads it back.
std::string to_string(const Rational& value);
std::optional<Rational> parse_rational(std::string_view text);
Rational rational_from_int(Int value);
/// nullopt when it does not fit.
std::optional<Int> to_int(const boost::multiprecision::cpp_int& value);

}  // namespace fixed
}  // namespace weft
