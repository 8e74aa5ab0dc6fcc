// SPDX-License-Identifier: Apache-2.0
#include "weft/exact/text_cursor.h"

#include <fmt/format.h>

#include <charconv>

namespace weft::exact::text {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// What a message shows of the text.
std::string excerpt(std::string_view text) {
  constexpr std::size_t kShown = 24;
  std::string out;
  for (const char c : text.substr(0, kShown)) out += c >= ' ' && c < 0x7f ? c : '?';
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

void Cursor::fail(std::string what) {
  if (error_.empty()) error_ = fmt::format("{} at `{}`", what, excerpt(rest_));
  rest_ = {};
}

void Cursor::skip_blanks() {
  while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
}

bool Cursor::at_end() {
  skip_blanks();
  return rest_.empty();
}

bool Cursor::take_char(char c) {
  skip_blanks();
  if (rest_.empty() || rest_.front() != c) return false;
  rest_.remove_prefix(1);
  return true;
}

std::string_view Cursor::word() {
  skip_blanks();
  std::size_t n = 0;
  while (n < rest_.size() && !is_blank(rest_[n]) && rest_[n] != '[' && rest_[n] != ']') ++n;
  const auto out = rest_.substr(0, n);
  rest_.remove_prefix(n);
  return out;
}

bool Cursor::take(std::string_view expected) {
  skip_blanks();
  if (!rest_.starts_with(expected)) return false;
  if (rest_.size() > expected.size()) {
    const char next = rest_[expected.size()];
    if (!is_blank(next) && next != '[' && next != ']') return false;
  }
  rest_.remove_prefix(expected.size());
  return true;
}

void Cursor::expect(std::string_view expected) {
  if (!failed() && !take(expected)) fail(fmt::format("`{}` is missing", expected));
}

std::string Cursor::quoted() {
  std::string out;
  if (failed()) return out;
  if (!take_char('"')) {
    fail("a quoted string is missing");
    return out;
  }
  while (!rest_.empty() && rest_.front() != '"') {
    char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '\\') {
      if (rest_.starts_with("x") && rest_.size() >= 3 && hex_digit(rest_[1]) >= 0 && hex_digit(rest_[2]) >= 0) {
        c = static_cast<char>(hex_digit(rest_[1]) * 16 + hex_digit(rest_[2]));
        rest_.remove_prefix(3);
      } else if (rest_.starts_with("\"") || rest_.starts_with("\\")) {
        c = rest_.front();
        rest_.remove_prefix(1);
      } else {
        fail("an unknown escape");
        return out;
      }
    }
    out += c;
  }
  if (!take_char('"')) fail("a quoted string does not end");
  return out;
}

std::int64_t Cursor::int64() {
  skip_blanks();
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  if (error != std::errc{}) {
    fail("an integer is missing or too large");
    return 0;
  }
  rest_.remove_prefix(static_cast<std::size_t>(stop - rest_.data()));
  return value;
}

int Cursor::small(int lo, int hi) {
  const std::int64_t value = int64();
  if (failed()) return lo;
  if (value < lo || value > hi) {
    fail(fmt::format("{} is not between {} and {}", value, lo, hi));
    return lo;
  }
  return static_cast<int>(value);
}

Int Cursor::integer() {
  skip_blanks();
  std::size_t n = rest_.starts_with("-") ? 1 : 0;
  while (n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') ++n;
  if (n < 19) return int64();
  const auto value = fixed::parse_int(rest_.substr(0, n));
  if (!value) {
    fail("an integer does not fit 128 bits");
    return 0;
  }
  rest_.remove_prefix(n);
  return *value;
}

float Cursor::real() {
  skip_blanks();
  float value = 0;
  const auto [stop, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  if (error != std::errc{}) {
    fail("a number is missing or out of range");
    return 0;
  }
  rest_.remove_prefix(static_cast<std::size_t>(stop - rest_.data()));
  return value;
}

std::string_view Cursor::fraction() {
  skip_blanks();
  const auto end = rest_.find_first_not_of("-0123456789/");
  const auto out = rest_.substr(0, end);
  rest_.remove_prefix(out.size());
  return out;
}

std::string_view Cursor::call() {
  skip_blanks();
  const auto end = rest_.find(')');
  if (end == std::string_view::npos) {
    fail("`)` is missing");
    return {};
  }
  const auto out = rest_.substr(0, end + 1);
  rest_.remove_prefix(end + 1);
  return out;
}

std::int64_t Cursor::repeat() {
  if (rest_.empty() || rest_.front() != '*') return 1;
  rest_.remove_prefix(1);
  const std::int64_t count = int64();
  if (!failed() && count < 1) fail("a repeat count is not positive");
  return failed() ? 1 : count;
}

}  // namespace weft::exact::text
