// SPDX-License-Identifier: Apache-2.0
// QKeras' text form: name(arg, arg, key=value). Literals are integers, floats, True, False, None, quoted strings and
// lists of numbers in brackets (QKeras separates them by blanks; commas are read too).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "weft/quantizers/parameters.h"

namespace weft::quantizers {
namespace {

constexpr std::size_t kMaxLength = std::size_t{1} << 20;

bool is_blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_name(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) != 0) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; });
}

/// Splits at commas outside of quotes and brackets; nullopt when those do not close.
std::optional<std::vector<std::string_view>> split_arguments(std::string_view text) {
  std::vector<std::string_view> parts;
  char quote = '\0';
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']') {
      if (--depth < 0) return std::nullopt;
    } else if (c == ',' && depth == 0) {
      parts.push_back(trimmed(text.substr(start, i - start)));
      start = i + 1;
    }
  }
  if (quote != '\0' || depth != 0) return std::nullopt;
  parts.push_back(trimmed(text.substr(start)));
  return parts;
}

/// A Python number without underscores; "1", "-2.5", "1e-3", ".5", "1.".
std::optional<Attribute> parse_number(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  if (text.empty() || text.front() == '+') return std::nullopt;
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto r = std::from_chars(text.data(), end, whole); r.ec == std::errc() && r.ptr == end)
    return Attribute(whole);
  double real = 0.0;
  const auto r = std::from_chars(text.data(), end, real);
  if (r.ec != std::errc() || r.ptr != end || !std::isfinite(real)) return std::nullopt;
  return Attribute(real);
}

std::optional<Attribute> parse_list(std::string_view text) {
  std::vector<double> values;
  std::size_t i = 0;
  while (i < text.size()) {
    if (is_blank(text[i]) || text[i] == ',') {
      ++i;
      continue;
    }
    std::size_t stop = i;
    while (stop < text.size() && !is_blank(text[stop]) && text[stop] != ',') ++stop;
    const auto number = parse_number(text.substr(i, stop - i));
    if (!number) return std::nullopt;
    const auto* whole = std::get_if<std::int64_t>(&*number);
    values.push_back(whole != nullptr ? static_cast<double>(*whole) : std::get<double>(*number));
    i = stop;
  }
  return Attribute(std::move(values));
}

std::optional<Attribute> parse_literal(std::string_view text) {
  if (text == "True") return Attribute(true);
  if (text == "False") return Attribute(false);
  if (text == "None") return Attribute(std::string("none"));
  if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front()) {
    return Attribute(std::string(text.substr(1, text.size() - 2)));
  }
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') return parse_list(text.substr(1, text.size() - 2));
  return parse_number(text);
}

/// Position of '=' outside of quotes and brackets that ends a name; npos for a positional argument.
std::size_t keyword_end(std::string_view argument) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos) return equals;
  return is_name(trimmed(argument.substr(0, equals))) ? equals : std::string_view::npos;
}

/// Reads the arguments into `spec`; the text of what is wrong, or empty.
std::string read_arguments(std::string_view text, const Family& family, Spec& spec) {
  if (trimmed(text).empty()) return {};
  const auto arguments = split_arguments(text);
  if (!arguments) return "quotes or brackets do not close";
  AttributeMap given;
  std::size_t position = 0;
  bool keywords = false;
  for (const std::string_view argument : *arguments) {
    const std::size_t equals = keyword_end(argument);
    std::string key;
    if (equals != std::string_view::npos) {
      keywords = true;
      key = std::string(trimmed(argument.substr(0, equals)));
      if (family.defaults.count(key) == 0) return fmt::format("there is no parameter `{}`", key);
    } else {
      if (keywords) return "a positional argument follows a keyword argument";
      if (position >= family.positional.size()) return "there are too many positional arguments";
      key = family.positional[position++];
    }
    const std::string_view value = equals == std::string_view::npos ? argument : trimmed(argument.substr(equals + 1));
    auto literal = parse_literal(value);
    if (!literal) return fmt::format("`{}` is not a literal", to_text(Attribute(std::string(value))));
    if (!given.emplace(key, *literal).second) return fmt::format("`{}` is given twice", key);
  }
  for (auto& [key, value] : given) spec.parameters[key] = std::move(value);
  return {};
}

}  // namespace

Result<Spec> parse_text(const std::string& text, const Origin& origin, Context& ctx) {
  const auto fail = [&](std::string_view why) {
    return ctx.fail(Kind::QuantizerUnsupported, origin,
                    fmt::format("the quantizer text `{}` cannot be read: {}", to_text(Attribute(text)), why));
  };
  if (text.size() > kMaxLength) return fail("it is too long");
  const std::string_view all = trimmed(text);
  const std::size_t open = all.find('(');
  const std::string_view name = trimmed(all.substr(0, open));
  if (!is_name(name)) return fail("it does not start with a name");
  const Family* family = find_family(std::string(name));
  if (family == nullptr) {
    return ctx.fail(Kind::QuantizerUnsupported, origin,
                    fmt::format("`{}` is not a known quantizer or function", to_text(Attribute(std::string(name)))));
  }
  Spec spec{family->name, family->defaults};
  if (open == std::string_view::npos) return spec;
  if (all.back() != ')') return fail("the closing parenthesis is missing");
  const std::string why = read_arguments(all.substr(open + 1, all.size() - open - 2), *family, spec);
  if (!why.empty()) return fail(why);
  return spec;
}

}  // namespace weft::quantizers
