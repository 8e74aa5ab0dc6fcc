// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reading and checking the parameters of a Spec; every bad value is reported, none throws.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weft/quantizers/quantizer.h"

namespace weft::quantizers {

/// QKeras' alpha: None, numbers (one, or one per index of the last axis), or computed from the tensor.
struct Alpha {
  enum class Mode { None, Fixed, Auto, AutoPo2 } mode = Mode::None;
  std::vector<float> values{};
  [[nodiscard]] bool automatic() const { return mode == Mode::Auto || mode == Mode::AutoPo2; }
};

/// Reads typed values out of a Spec. After all reads ask ok(): the failures have been reported by then.
class Parameters {
 public:
  Parameters(const Spec& spec, const Origin& origin, Context& ctx) : spec_(spec), origin_(origin), ctx_(ctx) {}

  /// bool, or a number that is 0 or 1.
  bool flag(const std::string& key);
  /// A whole number in [lo, hi].
  int integer(const std::string& key, int lo, int hi);
  /// A number that is finite as float32.
  double number(const std::string& key);
  /// The same or "none".
  std::optional<double> optional_number(const std::string& key);
  /// One number or a list; never empty. Infinities only when `allow_infinity`.
  std::vector<float> numbers(const std::string& key, bool allow_infinity = false);
  /// A string in `choices`, compared without case and returned as the choice.
  std::string word(const std::string& key, std::initializer_list<std::string_view> choices);
  Alpha alpha(const std::string& key);
  /// Fails unless the value is "none".
  void must_be_none(const std::string& key, std::string_view why);
  [[nodiscard]] bool is_none(const std::string& key) const;

  /// Reports QuantizerUnsupported.
  void fail(const std::string& message);
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  const Attribute& at(const std::string& key) const;
  std::optional<double> as_number(const std::string& key) const;
  void wrong(const std::string& key, std::string_view wanted);

  const Spec& spec_;
  const Origin& origin_;
  Context& ctx_;
  bool ok_ = true;
};

/// A new T as what Family::make returns.
template <class T, class... Args>
Result<std::shared_ptr<const Function>> make_function(Args&&... args) {
  return std::shared_ptr<const Function>(std::make_shared<const T>(std::forward<Args>(args)...));
}

/// "8", "[1, 2]", "none": a value as messages show it.
std::string to_text(const Attribute& value);

}  // namespace weft::quantizers
