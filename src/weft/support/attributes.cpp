// SPDX-License-Identifier: Apache-2.0
#include "weft/support/attributes.h"

#include "weft/diag/diag.h"

namespace weft {
namespace {

const Attribute* find(const AttributeMap& map, const std::string& key) {
  const auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

[[noreturn]] void wrong_type(const std::string& key) {
  diag::internal_error(__FILE__, __LINE__, "attribute `" + key + "` has an unexpected type");
}

}  // namespace

bool get_bool(const AttributeMap& map, const std::string& key, bool fallback) {
  const auto* a = find(map, key);
  if (a == nullptr) return fallback;
  if (const auto* b = std::get_if<bool>(a)) return *b;
  if (const auto* i = std::get_if<std::int64_t>(a)) return *i != 0;
  if (const auto* d = std::get_if<double>(a)) return *d != 0.0;
  wrong_type(key);
}

std::int64_t get_int(const AttributeMap& map, const std::string& key, std::int64_t fallback) {
  const auto* a = find(map, key);
  if (a == nullptr) return fallback;
  if (const auto* i = std::get_if<std::int64_t>(a)) return *i;
  if (const auto* b = std::get_if<bool>(a)) return *b ? 1 : 0;
  wrong_type(key);
}

double get_double(const AttributeMap& map, const std::string& key, double fallback) {
  const auto* a = find(map, key);
  if (a == nullptr) return fallback;
  if (const auto* d = std::get_if<double>(a)) return *d;
  if (const auto* i = std::get_if<std::int64_t>(a)) return static_cast<double>(*i);
  if (const auto* b = std::get_if<bool>(a)) return *b ? 1.0 : 0.0;
  wrong_type(key);
}

std::string get_string(const AttributeMap& map, const std::string& key, const std::string& fallback) {
  const auto* a = find(map, key);
  if (a == nullptr) return fallback;
  if (const auto* s = std::get_if<std::string>(a)) return *s;
  wrong_type(key);
}

std::vector<std::int64_t> get_ints(const AttributeMap& map, const std::string& key) {
  const auto* a = find(map, key);
  if (a == nullptr) return {};
  if (const auto* v = std::get_if<std::vector<std::int64_t>>(a)) return *v;
  wrong_type(key);
}

std::vector<double> get_doubles(const AttributeMap& map, const std::string& key) {
  const auto* a = find(map, key);
  if (a == nullptr) return {};
  if (const auto* v = std::get_if<std::vector<double>>(a)) return *v;
  if (const auto* i = std::get_if<std::vector<std::int64_t>>(a)) return {i->begin(), i->end()};
  wrong_type(key);
}

}  // namespace weft
