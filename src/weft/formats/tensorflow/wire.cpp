// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/tensorflow/wire.h"

namespace weft::formats::tensorflow {

std::optional<std::uint64_t> read_varint(std::string_view bytes, std::size_t& at) {
  std::uint64_t out = 0;
  for (int shift = 0; shift < 70 && at < bytes.size(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    if (shift < 64) out |= static_cast<std::uint64_t>(byte & 127) << shift;
    if (byte < 128) return out;
  }
  return std::nullopt;
}

std::optional<Field> Fields::next() {
  if (broken_ || at_ >= bytes_.size()) return std::nullopt;
  const auto fail = [&]() -> std::optional<Field> {
    broken_ = true;
    return std::nullopt;
  };
  const auto key = read_varint(bytes_, at_);
  if (!key || *key >> 3 == 0 || *key >> 3 > 0x1FFFFFFF) return fail();
  Field out;
  out.number = *key >> 3;
  switch (*key & 7) {
    case 0: {
      const auto value = read_varint(bytes_, at_);
      if (!value) return fail();
      out.value = *value;
      return out;
    }
    case 1:
    case 5: {
      const std::size_t size = (*key & 7) == 1 ? 8 : 4;
      if (bytes_.size() - at_ < size) return fail();
      out.bytes = bytes_.substr(at_, size);
      for (std::size_t i = 0; i < size; ++i)
        out.value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[at_ + i])) << (8 * i);
      at_ += size;
      return out;
    }
    case 2: {
      const auto size = read_varint(bytes_, at_);
      if (!size || *size > bytes_.size() - at_) return fail();
      out.is_bytes = true;
      out.bytes = bytes_.substr(at_, *size);
      at_ += *size;
      return out;
    }
    default:
      return fail();  // groups are not in use
  }
}

}  // namespace weft::formats::tensorflow
