// SPDX-License-Identifier: Apache-2.0
/// @file
/// Typed access to the config object of a layer, with a diagnostic for each value that is not as expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/support/context.h"
#include "weft/support/json.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::keras {

using support::Json;

/// The value of an object's member, or nullptr when it is not there or `json` is no object.
const Json* member(const Json& json, std::string_view key);
/// The text of a member, or "" when it is not text.
std::string text_member(const Json& json, std::string_view key);
/// A value for messages, cut to a readable length.
std::string shown(const Json& json);
/// "keras>Dense" -> {"keras", "Dense"}; the package is empty when none is written.
std::pair<std::string, std::string> split_registered(const std::string& name);

/// Reads values; after a failure it goes on, so that a layer reports all that is wrong with it. Ask ok() at the end.
class ConfigReader {
 public:
  ConfigReader(const Json& config, Origin origin, Context& ctx)
      : config_(config), origin_(std::move(origin)), ctx_(ctx) {}

  /// The value of `key`; nullptr when it is absent or null.
  [[nodiscard]] const Json* find(std::string_view key) const;
  /// Also true for null.
  [[nodiscard]] bool has_key(std::string_view key) const { return member(config_, key) != nullptr; }
  [[nodiscard]] const Json& json() const { return config_; }

  bool flag(std::string_view key, bool fallback);
  std::int64_t integer(std::string_view key, std::optional<std::int64_t> fallback = std::nullopt);
  double number(std::string_view key, std::optional<double> fallback = std::nullopt);
  std::string text(std::string_view key, std::string_view fallback);
  /// A number or a list of whole numbers.
  std::vector<std::int64_t> integers(std::string_view key);
  /// A number (shape []), a list of numbers (shape [n]) or an array that Keras 3 wrote as an object.
  std::optional<FloatTensor> floats(std::string_view key);

  void fail(Kind kind, std::string message);
  /// Remembers a failure that was reported elsewhere.
  void fail_reported() { ok_ = false; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] const Origin& origin() const { return origin_; }
  [[nodiscard]] Context& context() const { return ctx_; }

 private:
  void wrong(std::string_view key, const Json& value, std::string_view wanted);

  const Json& config_;
  Origin origin_;
  Context& ctx_;
  bool ok_ = true;
};

/// The list inside of Keras 3's {"class_name": "__numpy__", "config": {"value": ...}}, or the value itself.
const Json& unwrap_array(const Json& json);

}  // namespace weft::formats::keras
