// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "weft/fixed/type.h"

namespace weft::fixed {
namespace {

constexpr int kMaxWidthBits = 128;
constexpr int kMaxIntegerBits = 2048;
constexpr std::size_t kMaxTextLength = 256;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// "name < a , b >" split into its words.
struct Words {
  std::string name;
  std::vector<std::string> arguments;
};

std::optional<Words> split(std::string_view text) {
  std::string lower(trim(text));
  for (auto& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const std::string_view all = lower;
  const auto open = all.find('<');
  if (open == std::string_view::npos) return Words{lower, {}};
  if (all.back() != '>') return std::nullopt;
  Words words{std::string(trim(all.substr(0, open))), {}};
  std::string_view rest = all.substr(open + 1, all.size() - open - 2);
  while (true) {
    const auto comma = rest.find(',');
    words.arguments.emplace_back(trim(rest.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return words;
}

std::optional<int> parse_small(const std::string& text) {
  int value = 0;
  const auto* begin = text.data();
  const auto* end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// How one family of names is written.
struct Family {
  std::string_view name;
  bool is_signed;
  bool sign_argument;  ///< ac_fixed<W,I,S>, ac_int<W,S>
  bool is_integer;     ///< no I
  bool own;            ///< defaults may be RND_CONV,SAT
};

constexpr Family kFamilies[] = {
    {"fixed", true, false, false, true},     {"ufixed", false, false, false, true},
    {"int", true, false, true, true},        {"uint", false, false, true, true},
    {"ap_fixed", true, false, false, false}, {"ap_ufixed", false, false, false, false},
    {"ap_int", true, false, true, false},    {"ap_uint", false, false, true, false},
    {"ac_fixed", true, true, false, false},  {"ac_int", true, true, true, false},
};

std::optional<std::string> check(const FixedType& type) {
  if (type.width_bits < 1 || type.width_bits > kMaxWidthBits) {
    return fmt::format("the width must be 1 to {} bits, not {}", kMaxWidthBits, type.width_bits);
  }
  if (type.integer_bits < -kMaxIntegerBits || type.integer_bits > kMaxIntegerBits) {
    return fmt::format("the integer bits must be -{0} to {0}, not {1}", kMaxIntegerBits, type.integer_bits);
  }
  if (type.saturation_bits < 0 || type.saturation_bits > type.width_bits) {
    return fmt::format("the saturation bits must be 0 to the width, not {}", type.saturation_bits);
  }
  if (!type.is_signed && type.overflow == Overflow::WrapSm) return "an unsigned type has no sign-magnitude wrap";
  return std::nullopt;
}

std::optional<TypeSpec> parse_family(const Family& family, const std::vector<std::string>& arguments, bool own_defaults,
                                     std::string& error) {
  const std::size_t sizes = family.is_integer ? 1 : 2;
  const std::size_t required = sizes + (family.sign_argument ? 1 : 0);
  const std::size_t allowed = family.is_integer ? required : required + 3;
  if (arguments.size() < required || arguments.size() > allowed) {
    const std::string count =
        required == allowed ? fmt::format("{}", required) : fmt::format("{} to {}", required, allowed);
    error =
        fmt::format("`{}` takes {} argument{}, not {}", family.name, count, allowed == 1 ? "" : "s", arguments.size());
    return std::nullopt;
  }
  TypeSpec spec{.form = TypeSpec::Form::Fixed};
  FixedType& type = spec.fixed;
  const auto width = parse_small(arguments[0]);
  const auto integer = family.is_integer ? width : parse_small(arguments[1]);
  if (!width || !integer) {
    error = fmt::format("`{}` is not a number of bits", !width ? arguments[0] : arguments[1]);
    return std::nullopt;
  }
  type.width_bits = *width;
  type.integer_bits = *integer;
  type.is_signed = family.is_signed;
  if (family.sign_argument) {
    const std::string& sign = arguments[sizes];
    if (sign != "true" && sign != "false" && sign != "1" && sign != "0") {
      error = fmt::format("`{}` is not `true` or `false`", sign);
      return std::nullopt;
    }
    type.is_signed = sign == "true" || sign == "1";
  }
  const bool own = family.own && own_defaults;
  type.rounding = own ? Rounding::RndConv : Rounding::Trn;
  type.overflow = own ? Overflow::Sat : Overflow::Wrap;
  spec.modes_given = arguments.size() > required;
  if (arguments.size() > required) {
    const auto rounding = parse_rounding(arguments[required]);
    if (!rounding) {
      error = fmt::format("`{}` is not a rounding mode", arguments[required]);
      return std::nullopt;
    }
    type.rounding = *rounding;
  }
  if (arguments.size() > required + 1) {
    const auto overflow = parse_overflow(arguments[required + 1]);
    if (!overflow) {
      error = fmt::format("`{}` is not an overflow mode", arguments[required + 1]);
      return std::nullopt;
    }
    type.overflow = *overflow;
  }
  if (arguments.size() > required + 2) {
    const auto bits = parse_small(arguments[required + 2]);
    if (!bits) {
      error = fmt::format("`{}` is not a number of saturation bits", arguments[required + 2]);
      return std::nullopt;
    }
    type.saturation_bits = *bits;
  }
  if (auto why = check(type)) {
    error = *why;
    return std::nullopt;
  }
  return spec;
}

}  // namespace

std::optional<TypeSpec> parse_type(std::string_view text, bool own_defaults, std::string& error) {
  if (text.size() > kMaxTextLength) {
    error = "the type is too long";
    return std::nullopt;
  }
  const auto words = split(text);
  if (!words) {
    error = fmt::format("`{}` does not end with `>`", text);
    return std::nullopt;
  }
  if (words->arguments.empty()) {
    // Symmetric saturation keeps fixed<2,2> within -1..1.
    const FixedType two_bits{.width_bits = 2, .integer_bits = 2, .overflow = Overflow::SatSym};
    if (words->name == "auto") return TypeSpec{};
    if (words->name == "binary") {
      return TypeSpec{TypeSpec::Form::Binary, {.width_bits = 1, .integer_bits = 1, .is_signed = false}, false};
    }
    if (words->name == "bipolar") return TypeSpec{TypeSpec::Form::Bipolar, two_bits, false};
    if (words->name == "ternary") return TypeSpec{TypeSpec::Form::Ternary, two_bits, false};
  }
  for (const auto& family : kFamilies) {
    if (words->name == family.name) return parse_family(family, words->arguments, own_defaults, error);
  }
  error = fmt::format("`{}` is not a type; write it like `fixed<16,6>`, `ufixed<8,0,RND,SAT>`, `int<8>` or `bipolar`",
                      trim(text));
  return std::nullopt;
}

}  // namespace weft::fixed
