// SPDX-License-Identifier: Apache-2.0
#include "weft/quantizers/parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace weft::quantizers {
namespace {

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

/// Lists in messages are cut after a few entries.
template <class T>
std::string list_text(const std::vector<T>& values) {
  constexpr std::size_t kShown = 8;
  if (values.size() <= kShown) return fmt::format("[{}]", fmt::join(values, ", "));
  return fmt::format("[{}, ... {} values]", fmt::join(values.begin(), values.begin() + kShown, ", "), values.size());
}

bool finite_as_float(double value) { return std::isfinite(static_cast<float>(value)); }

}  // namespace

std::string to_text(const Attribute& value) {
  struct Visitor {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const { return v.size() <= 64 ? v : v.substr(0, 64) + "..."; }
    std::string operator()(const std::vector<std::int64_t>& v) const { return list_text(v); }
    std::string operator()(const std::vector<double>& v) const { return list_text(v); }
  };
  return std::visit(Visitor{}, value);
}

const Attribute& Parameters::at(const std::string& key) const {
  const auto it = spec_.parameters.find(key);
  WEFT_CHECK(it != spec_.parameters.end(), "parameter `" + key + "` is missing; call quantizers::make()");
  return it->second;
}

std::optional<double> Parameters::as_number(const std::string& key) const {
  const Attribute& value = at(key);
  if (const auto* d = std::get_if<double>(&value)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(&value)) return static_cast<double>(*i);
  if (const auto* b = std::get_if<bool>(&value)) return *b ? 1.0 : 0.0;
  return std::nullopt;
}

void Parameters::fail(const std::string& message) {
  ok_ = false;
  ctx_.report(Kind::QuantizerUnsupported, origin_, fmt::format("`{}`: {}", spec_.family, message));
}

void Parameters::wrong(const std::string& key, std::string_view wanted) {
  fail(fmt::format("`{}` is {}; it must be {}", key, to_text(at(key)), wanted));
}

bool Parameters::is_none(const std::string& key) const {
  const auto* text = std::get_if<std::string>(&at(key));
  return text != nullptr && equal_without_case(*text, "none");
}

bool Parameters::flag(const std::string& key) {
  const auto value = as_number(key);
  if (value && (*value == 0.0 || *value == 1.0)) return *value != 0.0;
  wrong(key, "true or false");
  return false;
}

int Parameters::integer(const std::string& key, int lo, int hi) {
  const auto value = as_number(key);
  if (value && *value >= lo && *value <= hi && *value == std::floor(*value)) return static_cast<int>(*value);
  wrong(key, fmt::format("a whole number from {} to {}", lo, hi));
  return lo;
}

double Parameters::number(const std::string& key) {
  const auto value = as_number(key);
  if (value && finite_as_float(*value)) return *value;
  wrong(key, "a finite number");
  return 0.0;
}

std::optional<double> Parameters::optional_number(const std::string& key) {
  if (is_none(key)) return std::nullopt;
  const auto value = as_number(key);
  if (value && finite_as_float(*value)) return value;
  wrong(key, "a finite number or none");
  return std::nullopt;
}

std::vector<float> Parameters::numbers(const std::string& key, bool allow_infinity) {
  std::vector<double> values;
  if (const auto* list = std::get_if<std::vector<double>>(&at(key))) {
    values = *list;
  } else if (const auto* ints = std::get_if<std::vector<std::int64_t>>(&at(key))) {
    values.assign(ints->begin(), ints->end());
  } else if (const auto one = as_number(key)) {
    values = {*one};
  }
  const bool good = std::all_of(values.begin(), values.end(),
                                [&](double v) { return finite_as_float(v) || (allow_infinity && !std::isnan(v)); });
  if (values.empty() || !good) {
    wrong(key, "one or more finite numbers");
    return {1.0F};
  }
  std::vector<float> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [](double v) { return static_cast<float>(v); });
  return result;
}

std::string Parameters::word(const std::string& key, std::initializer_list<std::string_view> choices) {
  if (const auto* text = std::get_if<std::string>(&at(key))) {
    for (const auto choice : choices) {
      if (equal_without_case(*text, choice)) return std::string(choice);
    }
  }
  wrong(key, fmt::format("one of {}", fmt::join(choices, ", ")));
  return std::string(*choices.begin());
}

Alpha Parameters::alpha(const std::string& key) {
  if (is_none(key)) return {};
  if (const auto* text = std::get_if<std::string>(&at(key))) {
    if (*text == "auto") return {Alpha::Mode::Auto, {}};
    if (*text == "auto_po2") return {Alpha::Mode::AutoPo2, {}};
    wrong(key, "none, a number, a list of numbers, auto or auto_po2");
    return {};
  }
  return {Alpha::Mode::Fixed, numbers(key)};
}

void Parameters::must_be_none(const std::string& key, std::string_view why) {
  if (!is_none(key)) fail(fmt::format("`{}` is {}; {}", key, to_text(at(key)), why));
}

}  // namespace weft::quantizers
