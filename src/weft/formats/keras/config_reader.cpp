// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/config_reader.h"

#include <fmt/format.h>

#include <cmath>

namespace weft::formats::keras {
namespace {

/// A whole number that int64 holds, also when it is written as 3.0.
std::optional<std::int64_t> whole(const Json& json) {
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t{1} << 62) return std::nullopt;
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (!json.is_number_float()) return std::nullopt;
  const double value = json.get<double>();
  if (!(std::fabs(value) < 0x1p53) || value != std::floor(value)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace

const Json* member(const Json& json, std::string_view key) {
  if (!json.is_object()) return nullptr;
  const auto it = json.find(key);
  return it == json.end() ? nullptr : &*it;
}

std::string text_member(const Json& json, std::string_view key) {
  const auto* value = member(json, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string{};
}

std::string shown(const Json& json) {
  constexpr std::size_t kLongest = 60;
  auto text = support::dump_json(json, -1);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

std::pair<std::string, std::string> split_registered(const std::string& name) {
  const auto at = name.find('>');
  if (at == std::string::npos) return {"", name};
  return {name.substr(0, at), name.substr(at + 1)};
}

const Json& unwrap_array(const Json& json) {
  const auto class_name = text_member(json, "class_name");
  if (class_name != "__numpy__" && class_name != "__tensor__") return json;
  const auto* config = member(json, "config");
  const auto* value = config == nullptr ? nullptr : member(*config, "value");
  return value == nullptr ? json : *value;
}

const Json* ConfigReader::find(std::string_view key) const {
  const auto* value = member(config_, key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void ConfigReader::fail(Kind kind, std::string message) {
  ctx_.report(kind, origin_, std::move(message));
  ok_ = false;
}

void ConfigReader::wrong(std::string_view key, const Json& value, std::string_view wanted) {
  fail(Kind::ModelMalformed, fmt::format("attribute `{}` is {}, not {}", key, shown(value), wanted));
}

bool ConfigReader::flag(std::string_view key, bool fallback) {
  const auto* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  if (const auto n = whole(*value); n == 0 || n == 1) return *n != 0;
  wrong(key, *value, "true or false");
  return fallback;
}

std::int64_t ConfigReader::integer(std::string_view key, std::optional<std::int64_t> fallback) {
  const auto* value = find(key);
  if (value == nullptr) {
    if (!fallback) fail(Kind::ModelMalformed, fmt::format("attribute `{}` is missing", key));
    return fallback.value_or(1);
  }
  if (const auto n = whole(*value)) return *n;
  wrong(key, *value, "a whole number");
  return fallback.value_or(1);
}

double ConfigReader::number(std::string_view key, std::optional<double> fallback) {
  const auto* value = find(key);
  if (value == nullptr) {
    if (!fallback) fail(Kind::ModelMalformed, fmt::format("attribute `{}` is missing", key));
    return fallback.value_or(1);
  }
  if (value->is_number() && std::isfinite(static_cast<float>(value->get<double>()))) return value->get<double>();
  wrong(key, *value, "a number");
  return fallback.value_or(1);
}

std::string ConfigReader::text(std::string_view key, std::string_view fallback) {
  const auto* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (value->is_string()) return value->get<std::string>();
  wrong(key, *value, "text");
  return std::string(fallback);
}

std::vector<std::int64_t> ConfigReader::integers(std::string_view key) {
  const auto* value = find(key);
  if (value == nullptr) {
    fail(Kind::ModelMalformed, fmt::format("attribute `{}` is missing", key));
    return {};
  }
  std::vector<std::int64_t> out;
  if (const auto n = whole(*value)) return {*n};
  const auto& list = unwrap_array(*value);
  bool good = list.is_array();
  for (std::size_t i = 0; good && i < list.size(); ++i) {
    const auto n = whole(list[i]);
    good = n.has_value();
    out.push_back(n.value_or(0));
  }
  if (good) return out;
  wrong(key, *value, "a list of whole numbers");
  return {};
}

std::optional<FloatTensor> ConfigReader::floats(std::string_view key) {
  const auto* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto& list = unwrap_array(*value);
  if (list.is_number()) return FloatTensor({}, {static_cast<float>(list.get<double>())});
  std::vector<float> out;
  bool good = list.is_array();
  for (std::size_t i = 0; good && i < list.size(); ++i) {
    good = list[i].is_number();
    if (good) out.push_back(static_cast<float>(list[i].get<double>()));
  }
  if (!good) {
    wrong(key, *value, "a number or a list of numbers");
    return std::nullopt;
  }
  const auto count = static_cast<std::int64_t>(out.size());
  return FloatTensor({count}, std::move(out));
}

}  // namespace weft::formats::keras
