// SPDX-License-Identifier: Apache-2.0
/// @file
/// Cursor over the text form: tokens, numbers and lists, with bounds and without copies.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/fixed/integer.h"

namespace weft::exact::text {

/// Reads one line. After the first failure every further call fails too; `failed()` and `error()` tell.
class Cursor {
 public:
  explicit Cursor(std::string_view line) : rest_(line) {}

  [[nodiscard]] bool failed() const { return !error_.empty(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  /// Keeps the first failure.
  void fail(std::string what);

  bool at_end();
  /// Takes the word when it comes next.
  bool take(std::string_view word);
  /// The word must come next.
  void expect(std::string_view word);
  /// Up to the next blank or bracket.
  std::string_view word();
  /// A "quoted" string.
  std::string quoted();
  std::int64_t int64();
  int small(int lo, int hi);
  Int integer();
  float real();
  /// The characters of "-3/1024".
  std::string_view fraction();
  /// Whether the next character is c, taken when it is.
  bool take_char(char c);

  /// [a b c]: calls item() until the bracket closes.
  template <class F>
  void list(const F& item) {
    if (!take_char('[')) return fail("`[` is missing");
    while (!failed() && !take_char(']')) {
      if (rest_.empty()) return fail("`]` is missing");
      item();
    }
  }
  /// The text up to and with the closing parenthesis.
  std::string_view call();
  /// The repeat count behind an item: "*4" or nothing (1).
  std::int64_t repeat();

 private:
  void skip_blanks();
  std::string_view rest_;
  std::string error_;
};

}  // namespace weft::exact::text
