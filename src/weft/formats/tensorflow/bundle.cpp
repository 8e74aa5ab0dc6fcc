// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/tensorflow/bundle.h"

#include <fmt/format.h>

#include <array>

#include "weft/formats/tensorflow/wire.h"

namespace weft::formats::tensorflow {
namespace {

constexpr std::size_t kFooterBytes = 48;
constexpr std::uint64_t kMagic = 0xdb4775248b80fb57ULL;
constexpr std::size_t kTrailerBytes = 5;  ///< compression and checksum behind every block
constexpr std::size_t kMaxBlockBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxEntries = 1 << 20;
constexpr std::int64_t kMaxExtents = std::int64_t{1} << 40;

std::uint64_t little_endian(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < size; ++i)
    out |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  return out;
}

/// Stored checksums are rotated and shifted, so that checksums of data with checksums in it stay good.
std::uint32_t unmasked(std::uint32_t stored) {
  const std::uint32_t rotated = stored - 0xa282ead8U;
  return rotated >> 17 | rotated << 15;
}

struct Handle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
std::optional<Handle> read_handle(std::string_view bytes, std::size_t& at) {
  const auto offset = read_varint(bytes, at);
  const auto size = offset ? read_varint(bytes, at) : std::nullopt;
  if (!size) return std::nullopt;
  return Handle{*offset, *size};
}

/// Reads blocks; remembers the first problem.
class TableReader {
 public:
  explicit TableReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] const std::string& problem() const { return problem_; }
  std::optional<Handle> index() {
    if (bytes_.size() < kFooterBytes || little_endian(bytes_, bytes_.size() - 8, 8) != kMagic)
      return fail("it does not end as a sorted string table does");
    std::size_t at = bytes_.size() - kFooterBytes;
    if (!read_handle(bytes_, at)) return fail("its footer is damaged");
    const auto out = read_handle(bytes_, at);
    return out ? out : fail("its footer is damaged");
  }

  /// Calls f(key, value) for every entry of a block; false when damaged.
  template <class F>
  bool each(const Handle& handle, F f) {
    std::string unpacked;
    const auto content = block(handle, unpacked);
    if (!content) return false;
    const auto damaged = [&] {
      fail("a block is damaged");
      return false;
    };
    if (content->size() < 4) return damaged();
    const std::uint64_t restarts = little_endian(*content, content->size() - 4, 4);
    if (restarts > content->size() / 4 - 1) return damaged();
    const std::size_t end = content->size() - 4 - 4 * restarts;
    std::string key;
    std::size_t at = 0;
    const auto entries = content->substr(0, end);
    while (at < end) {
      const auto shared = read_varint(entries, at);
      const auto fresh = read_varint(entries, at);
      const auto size = read_varint(entries, at);
      if (!shared || !fresh || !size || *shared > key.size() || *fresh > end - at || *size > end - at - *fresh)
        return damaged();
      if (++entries_ > kMaxEntries || key.size() + *fresh > 65536) {
        fail("it has too many or too long keys");
        return false;
      }
      key.resize(*shared);
      key += entries.substr(at, *fresh);
      at += *fresh;
      if (!f(key, entries.substr(at, *size))) return false;
      at += *size;
    }
    return true;
  }

  std::nullopt_t fail(const std::string& what) {
    if (problem_.empty()) problem_ = what;
    return std::nullopt;
  }

 private:
  std::optional<std::string_view> block(const Handle& handle, std::string& unpacked) {
    if (handle.offset > bytes_.size() || handle.size > bytes_.size() - handle.offset ||
        bytes_.size() - handle.offset - handle.size < kTrailerBytes)
      return fail("a block lies behind the end");
    const auto content = bytes_.substr(handle.offset, handle.size);
    const auto stored = static_cast<std::uint32_t>(little_endian(bytes_, handle.offset + handle.size + 1, 4));
    if (crc32c(bytes_.substr(handle.offset, handle.size + 1)) != unmasked(stored))
      return fail("the checksum of a block is wrong");
    const char compression = bytes_[handle.offset + handle.size];
    if (compression == 0) return content;
    if (compression != 1) return fail(fmt::format("a block has the unknown compression {}", int{compression}));
    auto data = unpack_snappy(content, kMaxBlockBytes);
    unpacked_bytes_ += data ? data->size() : 0;
    if (!data || unpacked_bytes_ > 4 * kMaxBlockBytes) return fail("a compressed block is damaged or too large");
    unpacked = std::move(*data);
    return std::string_view(unpacked);
  }

  std::string_view bytes_;
  std::string problem_;
  std::size_t entries_ = 0;
  std::size_t unpacked_bytes_ = 0;
};

std::optional<BundleEntry> read_entry(std::string_view bytes) {
  BundleEntry out;
  Fields fields(bytes);
  while (const auto f = fields.next()) {
    switch (f->number) {
      case 1:
        out.type = f->integer();
        break;
      case 2: {
        Fields dims(f->bytes);
        std::int64_t elements = 1;
        while (const auto d = dims.next()) {
          if (d->number != 2) continue;
          std::int64_t extent = 0;
          Fields dim(d->bytes);
          while (const auto e = dim.next())
            if (e->number == 1) extent = e->integer();
          if (extent < 0 || (extent > 0 && elements > kMaxExtents / extent) || dim.broken()) return std::nullopt;
          elements *= extent;
          out.shape.push_back(extent);
        }
        if (dims.broken()) return std::nullopt;
        break;
      }
      case 3:
        out.shard = f->integer();
        break;
      case 4:
        out.offset = f->value;
        break;
      case 5:
        out.size = f->value;
        break;
      case 6:
        out.checksum = static_cast<std::uint32_t>(f->value);
        break;
      case 7:
        return std::nullopt;  // a slice of a partitioned variable
      default:
        break;
    }
  }
  if (fields.broken()) return std::nullopt;
  return out;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> out{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? 0x82f63b78U ^ (c >> 1) : c >> 1;
      out[i] = c;
    }
    return out;
  }();
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 255] ^ (crc >> 8);
  return ~crc;
}

std::optional<std::string> unpack_snappy(std::string_view bytes, std::size_t limit) {
  std::size_t at = 0;
  const auto length = read_varint(bytes, at);
  if (!length || *length > limit) return std::nullopt;
  std::string out;
  while (at < bytes.size()) {
    const auto tag = static_cast<unsigned char>(bytes[at++]);
    const int kind = tag & 3;
    std::size_t count = tag >> 2;
    if (kind == 0) {
      if (count >= 60) {
        const std::size_t extra = count - 59;
        if (bytes.size() - at < extra) return std::nullopt;
        count = little_endian(bytes, at, extra);
        at += extra;
      }
      ++count;
      if (count > bytes.size() - at || count > *length - out.size()) return std::nullopt;
      out += bytes.substr(at, count);
      at += count;
      continue;
    }
    const std::size_t width = kind == 1 ? 1 : kind == 2 ? 2 : 4;
    if (bytes.size() - at < width) return std::nullopt;
    std::size_t offset = little_endian(bytes, at, width);
    at += width;
    if (kind == 1) {
      offset |= static_cast<std::size_t>(tag >> 5) << 8;
      count = (count & 7) + 4;
    } else {
      ++count;
    }
    if (offset == 0 || offset > out.size() || count > *length - out.size()) return std::nullopt;
    for (std::size_t i = 0; i < count; ++i) out += out[out.size() - offset];
  }
  if (out.size() != *length) return std::nullopt;
  return out;
}

Result<Bundle> read_bundle(std::string_view index, const std::string& file, Context& ctx) {
  Bundle out;
  TableReader table(index);
  const auto damaged = [&](const std::string& what) {
    return ctx.fail(Kind::ModelMalformed, {.file = file},
                    fmt::format("the index of the variables: {}; save the model again", what));
  };
  const auto top = table.index();
  if (!top) return damaged(table.problem());
  std::string problem;
  const bool ok = table.each(*top, [&](const std::string&, std::string_view value) {
    std::size_t at = 0;
    const auto handle = read_handle(value, at);
    if (!handle) {
      table.fail("a block has no position");
      return false;
    }
    return table.each(*handle, [&](const std::string& key, std::string_view content) {
      if (key.empty()) {
        Fields header(content);
        while (const auto f = header.next()) {
          if (f->number == 1) out.shards = f->integer();
          if (f->number == 2 && f->value != 0) problem = "its numbers are big endian";
        }
        return problem.empty();
      }
      auto entry = read_entry(content);
      if (!entry) {
        problem = fmt::format("the entry `{}` is damaged or a slice", key);
        return false;
      }
      out.entries[key] = std::move(*entry);
      return true;
    });
  });
  if (!ok) return damaged(problem.empty() ? table.problem() : problem);
  return out;
}

Result<std::string_view> entry_bytes(const BundleEntry& entry, std::string_view shard, const std::string& what,
                                     const std::string& file, Context& ctx) {
  if (entry.offset > shard.size() || entry.size > shard.size() - entry.offset)
    return ctx.fail(Kind::ModelMalformed, {.file = file},
                    fmt::format("variable `{}` lies behind the end of its file; save the model again", what));
  const auto bytes = shard.substr(entry.offset, entry.size);
  // Of strings, the checksum is over their decoded form.
  if (entry.type != kString && crc32c(bytes) != unmasked(entry.checksum))
    return ctx.fail(Kind::ModelMalformed, {.file = file},
                    fmt::format("the checksum of variable `{}` is wrong; save the model again", what));
  return bytes;
}

std::string_view single_string(std::string_view stored) {
  std::size_t at = 0;
  const auto size = read_varint(stored, at);
  if (!size || stored.size() - at < 4 || *size != stored.size() - at - 4) return {};
  return stored.substr(at + 4);
}

}  // namespace weft::formats::tensorflow
