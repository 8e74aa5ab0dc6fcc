// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <string_view>

#include "weft/fixed/step_function.h"

namespace weft::fixed {
namespace {

void append_list(std::string& out, const std::vector<Int>& list) {
  out += '[';
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i != 0) out += ',';
    out += to_string(list[i]);
  }
  out += ']';
}

/// Walks over the text without copying; every take_ leaves the cursor after what it took.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  bool take(std::string_view token) {
    skip_blanks();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  /// Up to the next delimiter.
  std::string_view word() {
    skip_blanks();
    const auto end = rest_.find_first_of(",)] \t\n\r");
    const auto out = rest_.substr(0, end);
    rest_.remove_prefix(out.size());
    return out;
  }
  std::optional<Int> integer() { return parse_int(word()); }
  std::optional<int> small() {
    const auto value = integer();
    if (!value || *value < -100000 || *value > 100000) return std::nullopt;
    return static_cast<int>(*value);
  }
  std::optional<std::vector<Int>> list() {
    if (!take("[")) return std::nullopt;
    std::vector<Int> out;
    if (take("]")) return out;
    while (true) {
      const auto value = integer();
      if (!value) return std::nullopt;
      out.push_back(*value);
      if (take("]")) return out;
      if (!take(",")) return std::nullopt;
    }
  }
  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }

 private:
  void skip_blanks() {
    while (!rest_.empty() &&
           (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\n' || rest_.front() == '\r')) {
      rest_.remove_prefix(1);
    }
  }
  std::string_view rest_;
};

std::optional<StepFunction> parse_shift(Cursor& cursor) {
  ShiftRound f;
  const auto shift = cursor.small();
  if (!shift || !cursor.take(",")) return std::nullopt;
  const auto rounding = parse_rounding(cursor.word());
  if (!rounding || !cursor.take(",")) return std::nullopt;
  const auto overflow = parse_overflow(cursor.word());
  if (!overflow || !cursor.take(",")) return std::nullopt;
  const auto lo = cursor.integer();
  if (!lo || !cursor.take(",")) return std::nullopt;
  const auto hi = cursor.integer();
  if (!hi) return std::nullopt;
  f = {.shift = *shift, .rounding = *rounding, .overflow = *overflow, .lo = *lo, .hi = *hi};
  if (cursor.take(",")) {
    const auto width = cursor.small();
    if (!width || !cursor.take(",")) return std::nullopt;
    const auto sign = cursor.word();
    if ((sign != "s" && sign != "u") || !cursor.take(",")) return std::nullopt;
    const auto saturation = cursor.small();
    if (!saturation) return std::nullopt;
    f.width_bits = *width;
    f.is_signed = sign == "s";
    f.saturation_bits = *saturation;
  }
  if (!cursor.take(")") || !cursor.at_end()) return std::nullopt;
  return f;
}

std::optional<StepFunction> parse_pieces(Cursor& cursor) {
  auto breakpoints = cursor.list();
  if (!breakpoints || !cursor.take(",")) return std::nullopt;
  auto values = cursor.list();
  if (!values || !cursor.take(")") || !cursor.at_end()) return std::nullopt;
  return Pieces{std::move(*breakpoints), std::move(*values)};
}

}  // namespace

std::string to_string(const StepFunction& function) {
  std::string out;
  if (const auto* f = std::get_if<ShiftRound>(&function)) {
    out = fmt::format("shift({},{},{},{},{}", f->shift, to_string(f->rounding), to_string(f->overflow),
                      to_string(f->lo), to_string(f->hi));
    if (f->width_bits != 0 || !f->is_signed || f->saturation_bits != 0) {
      out += fmt::format(",{},{},{}", f->width_bits, f->is_signed ? "s" : "u", f->saturation_bits);
    }
    return out + ")";
  }
  const auto& f = std::get<Pieces>(function);
  out = "pieces(";
  append_list(out, f.breakpoints);
  out += ',';
  append_list(out, f.values);
  return out + ")";
}

std::optional<StepFunction> parse_step_function(const std::string& text) {
  Cursor cursor(text);
  std::optional<StepFunction> out;
  if (cursor.take("shift(")) {
    out = parse_shift(cursor);
  } else if (cursor.take("pieces(")) {
    out = parse_pieces(cursor);
  }
  if (out && !is_valid(*out)) return std::nullopt;
  return out;
}

}  // namespace weft::fixed
