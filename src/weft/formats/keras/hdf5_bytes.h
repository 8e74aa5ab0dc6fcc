// SPDX-License-Identifier: Apache-2.0
/// @file
/// A cursor over bytes of a hostile file: reading past the end gives zeros and is remembered.
#pragma once

#include <cstdint>
#include <string_view>

namespace weft::formats::keras {

/// Little-endian reads in order. Ask ok() before using what was read.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  /// An unsigned number of `size` bytes, at most 8.
  std::uint64_t number(std::size_t size) {
    const auto raw = view(size);
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < raw.size() && i < 8; ++i) {
      out |= std::uint64_t{static_cast<unsigned char>(raw[i])} << (8 * i);
    }
    return out;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }

  /// The next `size` bytes; empty when there are not as many.
  std::string_view view(std::uint64_t size) {
    if (!ok_ || size > bytes_.size() - at_) {
      ok_ = false;
      return {};
    }
    const auto out = bytes_.substr(at_, static_cast<std::size_t>(size));
    at_ += out.size();
    return out;
  }
  void skip(std::uint64_t size) { (void)view(size); }
  /// Skips up to a multiple of `unit` counted from the begin of the bytes.
  void align(std::size_t unit) { skip((unit - at_ % unit) % unit); }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace weft::formats::keras
