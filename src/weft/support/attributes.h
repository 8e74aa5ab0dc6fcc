// SPDX-License-Identifier: Apache-2.0
/// @file
/// Typed attribute maps: what a layer or a quantizer carries besides its tensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace weft {

/// float32 values are stored as doubles, which hold them exactly.
using Attribute = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>>;
using AttributeMap = std::map<std::string, Attribute>;

/// The value of `key`, or `fallback` when absent. A present value of another type is an InternalError, except that
/// integers and bools are widened to double and int64 where asked.
bool get_bool(const AttributeMap& map, const std::string& key, bool fallback);
std::int64_t get_int(const AttributeMap& map, const std::string& key, std::int64_t fallback);
double get_double(const AttributeMap& map, const std::string& key, double fallback);
std::string get_string(const AttributeMap& map, const std::string& key, const std::string& fallback);
std::vector<std::int64_t> get_ints(const AttributeMap& map, const std::string& key);
std::vector<double> get_doubles(const AttributeMap& map, const std::string& key);
inline bool has(const AttributeMap& map, const std::string& key) { return map.count(key) != 0; }

}  // namespace weft
