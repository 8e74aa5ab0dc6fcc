// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/tflite/flatbuffer.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <type_traits>

namespace weft::formats::tflite {

template <class T>
T FlatBuffer::number(std::uint64_t at) {
  if (!inside(at, sizeof(T))) {
    fail(fmt::format("an offset leads to byte {}, behind the end of the file", at));
    return T{};
  }
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t,
                                                     std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint8_t>>>;
  Bits bits = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bits = static_cast<Bits>(bits | static_cast<Bits>(Bits{static_cast<unsigned char>(bytes_[at + i])} << (8 * i)));
  return std::bit_cast<T>(bits);
}

bool FlatBuffer::spend(std::uint64_t count) {
  if (count > budget_) {
    fail("its vectors hold more than the file is large: parts of it are shared beyond reason");
    return false;
  }
  budget_ -= count;
  return true;
}

Table FlatBuffer::root() { return Table(*this, number<std::uint32_t>(0)); }

Table::Table(FlatBuffer& buffer, std::uint64_t at) : buffer_(&buffer), at_(at) {
  const auto back = std::int64_t{buffer.number<std::int32_t>(at)};
  const std::int64_t vtable = static_cast<std::int64_t>(at) - back;
  if (vtable < 0 || !buffer.inside(static_cast<std::uint64_t>(vtable), 4)) {
    buffer.fail(fmt::format("the table at byte {} has no vtable inside of the file", at));
  } else {
    vtable_ = static_cast<std::uint64_t>(vtable);
    vtable_bytes_ = buffer.number<std::uint16_t>(vtable_);
    table_bytes_ = buffer.number<std::uint16_t>(vtable_ + 2);
    if (vtable_bytes_ < 4 || !buffer.inside(vtable_, vtable_bytes_) || !buffer.inside(at, table_bytes_))
      buffer.fail(fmt::format("the table at byte {} reaches over the end of the file", at));
  }
  if (buffer.failed()) buffer_ = nullptr;
}

std::optional<std::uint64_t> Table::find(int field, std::uint64_t size) const {
  if (buffer_ == nullptr) return std::nullopt;
  const std::uint64_t slot = 4 + 2 * static_cast<std::uint64_t>(field);
  if (slot + 2 > vtable_bytes_) return std::nullopt;
  const std::uint64_t offset = buffer_->number<std::uint16_t>(vtable_ + slot);
  if (offset == 0) return std::nullopt;
  if (offset + size > table_bytes_) {
    buffer_->fail(fmt::format("field {} of the table at byte {} lies outside of it", field, at_));
    return std::nullopt;
  }
  return at_ + offset;
}

std::optional<std::uint64_t> Table::follow(int field) const {
  const auto at = find(field, 4);
  if (!at) return std::nullopt;
  const std::uint64_t to = *at + buffer_->number<std::uint32_t>(*at);
  if (!buffer_->inside(to, 4)) {
    buffer_->fail(fmt::format("field {} of the table at byte {} refers behind the end of the file", field, at_));
    return std::nullopt;
  }
  return to;
}

Table::Elements Table::elements(int field, std::uint64_t size) const {
  const auto at = follow(field);
  if (!at) return {};
  const std::uint64_t count = buffer_->number<std::uint32_t>(*at);
  if (!buffer_->inside(*at + 4, count * size)) {
    buffer_->fail(fmt::format("a vector of {} elements reaches over the end of the file", count));
    return {};
  }
  return {*at + 4, count};
}

#define WEFT_SCALAR(name, type, result)                                     \
  result Table::name(int field, result fallback) const {                    \
    const auto at = find(field, sizeof(type));                              \
    return at ? static_cast<result>(buffer_->number<type>(*at)) : fallback; \
  }
WEFT_SCALAR(integer8, std::int8_t, std::int64_t)
WEFT_SCALAR(unsigned8, std::uint8_t, std::int64_t)
WEFT_SCALAR(integer32, std::int32_t, std::int64_t)
WEFT_SCALAR(unsigned32, std::uint32_t, std::int64_t)
WEFT_SCALAR(unsigned64, std::uint64_t, std::uint64_t)
WEFT_SCALAR(real, float, float)
#undef WEFT_SCALAR

bool Table::flag(int field, bool fallback) const { return unsigned8(field, fallback ? 1 : 0) != 0; }

Table Table::table(int field) const {
  const auto at = follow(field);
  return at ? Table(*buffer_, *at) : Table();
}

std::string_view Table::bytes(int field) const {
  const auto e = elements(field, 1);
  return e.count == 0 ? std::string_view() : buffer_->bytes().substr(e.first, e.count);
}

std::string Table::text(int field) const {
  const auto content = bytes(field);
  if (buffer_ == nullptr || !buffer_->spend(content.size())) return {};
  return std::string(content);
}

std::vector<std::int64_t> Table::integers32(int field) const {
  std::vector<std::int64_t> out;
  const auto e = elements(field, 4);
  if (e.count == 0 || !buffer_->spend(e.count)) return out;
  for (std::uint64_t i = 0; i < e.count; ++i) out.push_back(buffer_->number<std::int32_t>(e.first + 4 * i));
  return out;
}

std::vector<std::int64_t> Table::integers64(int field) const {
  std::vector<std::int64_t> out;
  const auto e = elements(field, 8);
  if (e.count == 0 || !buffer_->spend(e.count)) return out;
  for (std::uint64_t i = 0; i < e.count; ++i) out.push_back(buffer_->number<std::int64_t>(e.first + 8 * i));
  return out;
}

std::vector<float> Table::reals(int field) const {
  std::vector<float> out;
  const auto e = elements(field, 4);
  if (e.count == 0 || !buffer_->spend(e.count)) return out;
  for (std::uint64_t i = 0; i < e.count; ++i) out.push_back(buffer_->number<float>(e.first + 4 * i));
  return out;
}

std::vector<Table> Table::tables(int field) const {
  std::vector<Table> out;
  const auto e = elements(field, 4);
  if (e.count == 0 || !buffer_->spend(e.count)) return out;
  for (std::uint64_t i = 0; i < e.count && !buffer_->failed(); ++i) {
    const std::uint64_t at = e.first + 4 * i;
    out.push_back(Table(*buffer_, at + buffer_->number<std::uint32_t>(at)));
  }
  return out;
}

}  // namespace weft::formats::tflite
