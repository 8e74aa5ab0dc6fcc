// SPDX-License-Identifier: Apache-2.0
/// @file
/// The protobuf wire format (protobuf.dev, "Encoding"), field by field, over bytes that outlive the reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft::formats::tensorflow {

struct Field {
  std::uint64_t number = 0;
  bool is_bytes = false;
  std::uint64_t value = 0;  ///< of a varint, or a 32 or 64-bit number
  std::string_view bytes;

  [[nodiscard]] std::int64_t integer() const { return static_cast<std::int64_t>(value); }
};

/// A varint at `at`, which moves behind it.
std::optional<std::uint64_t> read_varint(std::string_view bytes, std::size_t& at);

class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  /// The next field; nullopt at the end and where the bytes are no message, which `broken` tells apart.
  std::optional<Field> next();
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool broken_ = false;
};

}  // namespace weft::formats::tensorflow
