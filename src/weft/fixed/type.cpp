// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/type.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "weft/diag/diag.h"

namespace weft::fixed {
namespace {

constexpr std::array<std::pair<Rounding, std::string_view>, 9> kRoundings{{{Rounding::Trn, "TRN"},
                                                                           {Rounding::TrnZero, "TRN_ZERO"},
                                                                           {Rounding::Rnd, "RND"},
                                                                           {Rounding::RndZero, "RND_ZERO"},
                                                                           {Rounding::RndInf, "RND_INF"},
                                                                           {Rounding::RndMinInf, "RND_MIN_INF"},
                                                                           {Rounding::RndConv, "RND_CONV"},
                                                                           {Rounding::Ceil, "CEIL"},
                                                                           {Rounding::Up, "UP"}}};

constexpr std::array<std::pair<Overflow, std::string_view>, 5> kOverflows{{{Overflow::Wrap, "WRAP"},
                                                                           {Overflow::Sat, "SAT"},
                                                                           {Overflow::SatZero, "SAT_ZERO"},
                                                                           {Overflow::SatSym, "SAT_SYM"},
                                                                           {Overflow::WrapSm, "WRAP_SM"}}};

std::string upper(std::string_view text) {
  std::string out(text);
  for (auto& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

template <class Table>
auto parse_mode(const Table& table, std::string_view text)
    -> std::optional<typename std::remove_cvref_t<decltype(table[0])>::first_type> {
  const std::string name = upper(text);
  std::string_view rest = name;
  for (const std::string_view prefix : {"AP_", "AC_", "SC_"}) {
    if (rest.starts_with(prefix)) {
      rest.remove_prefix(prefix.size());
      break;
    }
  }
  for (const auto& [mode, word] : table) {
    if (rest == word) return mode;
  }
  return std::nullopt;
}

template <class Table, class Mode>
std::string_view name_in(const Table& table, Mode mode) {
  for (const auto& [m, word] : table) {
    if (m == mode) return word;
  }
  diag::internal_error(__FILE__, __LINE__, "mode without a name");
}

}  // namespace

std::string_view to_string(Rounding rounding) { return name_in(kRoundings, rounding); }
std::string_view to_string(Overflow overflow) { return name_in(kOverflows, overflow); }
std::optional<Rounding> parse_rounding(std::string_view text) { return parse_mode(kRoundings, text); }
std::optional<Overflow> parse_overflow(std::string_view text) { return parse_mode(kOverflows, text); }

Int max_code(const FixedType& type) {
  const int bits = type.is_signed ? type.width_bits - 1 : type.width_bits;
  WEFT_CHECK(type.width_bits >= 1 && bits <= 127, "the codes of this type do not fit 128 signed bits");
  return static_cast<Int>((UInt{1} << bits) - 1);
}

Int min_code(const FixedType& type) {
  if (!type.is_signed) return 0;
  // One signed bit has no symmetric range but {0}; ap_fixed saturates to -1 there.
  if (type.overflow == Overflow::SatSym && type.width_bits > 1) return -max_code(type);
  return -max_code(type) - 1;
}

std::string to_string(const FixedType& type) {
  std::string out = fmt::format("{}fixed<{},{},{},{}", type.is_signed ? "" : "u", type.width_bits, type.integer_bits,
                                to_string(type.rounding), to_string(type.overflow));
  if (type.saturation_bits != 0) out += fmt::format(",{}", type.saturation_bits);
  return out + ">";
}

std::string to_string(const TypeSpec& spec) {
  switch (spec.form) {
    case TypeSpec::Form::Binary:
      return "binary";
    case TypeSpec::Form::Bipolar:
      return "bipolar";
    case TypeSpec::Form::Ternary:
      return "ternary";
    case TypeSpec::Form::Auto:
      return "auto";
    case TypeSpec::Form::Fixed:
      break;
  }
  if (spec.modes_given) return to_string(spec.fixed);
  // The ap_ form says "modes not written" together with TRN,WRAP.
  const bool ap = spec.fixed.rounding == Rounding::Trn && spec.fixed.overflow == Overflow::Wrap;
  return fmt::format("{}{}fixed<{},{}>", ap ? "ap_" : "", spec.fixed.is_signed ? "" : "u", spec.fixed.width_bits,
                     spec.fixed.integer_bits);
}

}  // namespace weft::fixed
