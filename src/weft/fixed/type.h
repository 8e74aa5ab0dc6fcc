// SPDX-License-Identifier: Apache-2.0
/// @file
/// Fixed-point types, their rounding and overflow modes, and their text forms.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weft/fixed/integer.h"

namespace weft::fixed {

/// Names as in ap_fixed; CEIL and UP come from QONNX.
enum class Rounding {
  Trn,        ///< toward -inf (floor)
  TrnZero,    ///< toward zero
  Rnd,        ///< nearest, half up (toward +inf)
  RndZero,    ///< nearest, half toward zero
  RndInf,     ///< nearest, half away from zero
  RndMinInf,  ///< nearest, half down (toward -inf)
  RndConv,    ///< nearest, half to even
  Ceil,       ///< toward +inf
  Up,         ///< away from zero
};

enum class Overflow {
  Wrap,     ///< keep the low bits; N > 0 saturation bits as ap_fixed's fifth parameter
  Sat,      ///< clip to the range
  SatZero,  ///< zero when out of range
  SatSym,   ///< clip to the symmetric range (unsigned: as Sat)
  WrapSm,   ///< sign-magnitude wrap
};

std::string_view to_string(Rounding rounding);
std::string_view to_string(Overflow overflow);
/// "RND_CONV", "AP_RND_CONV", "AC_RND_CONV" ...; nullopt when unknown.
std::optional<Rounding> parse_rounding(std::string_view text);
std::optional<Overflow> parse_overflow(std::string_view text);

/// A fixed-point type: value = code * 2^(integer_bits - width_bits). integer_bits includes the sign of a signed type
/// and may be negative or exceed width_bits.
struct FixedType {
  int width_bits = 16;
  int integer_bits = 6;
  bool is_signed = true;
  Rounding rounding = Rounding::RndConv;
  Overflow overflow = Overflow::Sat;
  int saturation_bits = 0;

  [[nodiscard]] int frac_bits() const { return width_bits - integer_bits; }
  bool operator==(const FixedType&) const = default;
};

/// Smallest and largest code (SatSym: -max, but -1 for one signed bit, as ap_fixed has it). Unsigned types up to 127
/// bits, signed ones up to 128; an unsigned 128-bit type has only the *_wide functions.
Int min_code(const FixedType& type);
Int max_code(const FixedType& type);

/// "fixed<16,6,RND_CONV,SAT>"; parse_type reads it back.
std::string to_string(const FixedType& type);

/// What a type option can say.
struct TypeSpec {
  enum class Form { Fixed, Binary, Bipolar, Ternary, Auto } form = Form::Auto;
  FixedType fixed{};  ///< also set for binary (ufixed<1,1>), ternary (fixed<2,2>) and bipolar (fixed<2,2>)
  bool modes_given = false;
  bool operator==(const TypeSpec&) const = default;
};

/// Reads every text form of arithmetic.md: fixed<W,I[,Q,O[,N]]>, ufixed, ap_fixed, ap_ufixed, ac_fixed<W,I,S[,Q,O]>,
/// int<W>, uint<W>, ap_int, ap_uint, ac_int<W,S>, binary, bipolar, ternary, auto. Case and blanks do not matter. Modes
/// not written mean RND_CONV,SAT for fixed/ufixed/int/uint when `own_defaults`, else (and in the ap_/ac_ forms always)
/// TRN,WRAP. On failure returns nullopt and says why in `error`.
std::optional<TypeSpec> parse_type(std::string_view text, bool own_defaults, std::string& error);
std::string to_string(const TypeSpec& spec);

}  // namespace weft::fixed
