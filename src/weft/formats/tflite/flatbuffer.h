// SPDX-License-Identifier: Apache-2.0
/// @file
/// Bounded reading of FlatBuffers: every offset and length is checked against the bytes before it is followed.
///
/// The wire form (flatbuffers.dev, "internals"): little endian; a table starts with a signed offset back to its vtable
/// of 16-bit field offsets; references are unsigned 32-bit offsets forward; a vector is a 32-bit count and its
/// elements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::formats::tflite {

class Table;

/// The bytes and the first problem that was met. Reads never fail hard: they give defaults and remember.
class FlatBuffer {
 public:
  explicit FlatBuffer(std::string_view bytes) : bytes_(bytes), budget_(4 * bytes.size() + 4096) {}

  [[nodiscard]] Table root();
  [[nodiscard]] bool failed() const { return !problem_.empty(); }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] std::string_view bytes() const { return bytes_; }

 private:
  friend class Table;
  void fail(std::string what) {
    if (problem_.empty()) problem_ = std::move(what);
  }
  [[nodiscard]] bool inside(std::uint64_t at, std::uint64_t count) const {
    return at <= bytes_.size() && count <= bytes_.size() - at;
  }
  template <class T>
  T number(std::uint64_t at);
  /// Counts elements handed out; vectors that many tables share cannot make a small file costly.
  bool spend(std::uint64_t count);

  std::string_view bytes_;
  std::uint64_t budget_;
  std::string problem_;
};

/// A table, or nothing (of which every field has its default). Fields by their id in the schema.
class Table {
 public:
  Table() = default;
  [[nodiscard]] bool present() const { return buffer_ != nullptr; }

  [[nodiscard]] std::int64_t integer8(int field, std::int64_t fallback = 0) const;
  [[nodiscard]] std::int64_t unsigned8(int field, std::int64_t fallback = 0) const;
  [[nodiscard]] std::int64_t integer32(int field, std::int64_t fallback = 0) const;
  [[nodiscard]] std::int64_t unsigned32(int field, std::int64_t fallback = 0) const;
  [[nodiscard]] std::uint64_t unsigned64(int field, std::uint64_t fallback = 0) const;
  [[nodiscard]] float real(int field, float fallback = 0.0F) const;
  [[nodiscard]] bool flag(int field, bool fallback = false) const;
  [[nodiscard]] Table table(int field) const;
  [[nodiscard]] std::string text(int field) const;
  /// The bytes of a vector of bytes; empty when absent.
  [[nodiscard]] std::string_view bytes(int field) const;
  [[nodiscard]] std::vector<std::int64_t> integers32(int field) const;
  [[nodiscard]] std::vector<std::int64_t> integers64(int field) const;
  [[nodiscard]] std::vector<float> reals(int field) const;
  [[nodiscard]] std::vector<Table> tables(int field) const;

 private:
  friend class FlatBuffer;
  Table(FlatBuffer& buffer, std::uint64_t at);

  /// Position of the field's inline value of `size` bytes; nullopt when it has its default.
  [[nodiscard]] std::optional<std::uint64_t> find(int field, std::uint64_t size) const;
  /// Position behind the reference in the field.
  [[nodiscard]] std::optional<std::uint64_t> follow(int field) const;
  struct Elements {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
  };
  [[nodiscard]] Elements elements(int field, std::uint64_t size) const;

  FlatBuffer* buffer_ = nullptr;
  std::uint64_t at_ = 0;
  std::uint64_t vtable_ = 0;
  std::uint64_t vtable_bytes_ = 0;
  std::uint64_t table_bytes_ = 0;
};

}  // namespace weft::formats::tflite
