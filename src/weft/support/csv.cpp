// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "weft/support/arrays.h"

namespace weft::support {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A semicolon anywhere wins, then a comma; otherwise runs of blanks separate.
char separator_of(std::string_view line) {
  for (const char c : {';', ','}) {
    if (line.find(c) != std::string_view::npos) return c;
  }
  return ' ';
}

/// Calls `field(text)` for each field; stops when it returns false.
template <class Field>
bool for_each_field(std::string_view line, char separator, const Field& field) {
  if (separator == ' ') {
    for (line = trim(line); !line.empty(); line = trim(line)) {
      const auto end = std::min(line.find_first_of(kBlanks), line.size());
      if (!field(line.substr(0, end))) return false;
      line.remove_prefix(end);
    }
    return true;
  }
  while (true) {
    const auto end = line.find(separator);
    if (!field(trim(line.substr(0, end)))) return false;
    if (end == std::string_view::npos) return true;
    line.remove_prefix(end + 1);
  }
}

}  // namespace

Result<Array> parse_csv(const std::string& text, const std::string& name, Context& ctx) {
  std::string_view rest = text;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::vector<double> values;
  std::size_t columns = 0;
  std::size_t rows = 0;
  bool header_seen = false;
  char separator = ' ';
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.front() == '#') continue;
    if (rows == 0) separator = separator_of(line);
    const std::size_t before = values.size();
    std::string_view bad;
    const bool numeric = for_each_field(line, separator, [&](std::string_view field) {
      const auto value = parse_number(field);
      if (!value) {
        bad = field;
        return false;
      }
      values.push_back(*value);
      return true;
    });
    if (!numeric) {
      values.resize(before);
      if (rows == 0 && !header_seen) {
        header_seen = true;
        continue;
      }
      constexpr std::size_t kShown = 40;
      return ctx.fail(Kind::ArrayMalformed, {.file = name},
                      fmt::format("line {}: `{}` is not a number", number, bad.substr(0, kShown)));
    }
    const std::size_t fields = values.size() - before;
    if (rows == 0) columns = fields;
    if (fields != columns) {
      return ctx.fail(Kind::ArrayMalformed, {.file = name},
                      fmt::format("line {} has {} numbers, the lines before have {}", number, fields, columns));
    }
    ++rows;
    if (values.size() > ctx.limits.tensor_elements) {
      return ctx.fail(Kind::LimitExceeded, {.file = name},
                      fmt::format("the table has more than {} numbers", ctx.limits.tensor_elements));
    }
  }
  if (rows == 0) return ctx.fail(Kind::ArrayMalformed, {.file = name}, "the table holds no numbers");
  return Array{{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)}, std::move(values), "f8"};
}

}  // namespace weft::support
