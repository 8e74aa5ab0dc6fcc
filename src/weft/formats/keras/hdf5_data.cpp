// SPDX-License-Identifier: Apache-2.0
// Types, attributes and datasets. Section numbers are those of the HDF5 File Format Specification Version 3.0.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "weft/formats/keras/hdf5_reader.h"

namespace weft::formats::keras {
namespace {

constexpr std::uint64_t kUndefined = ~std::uint64_t{0};

constexpr std::uint16_t kDataspace = 0x0001;
constexpr std::uint16_t kDatatype = 0x0003;
constexpr std::uint16_t kExternalFiles = 0x0007;
constexpr std::uint16_t kLayout = 0x0008;
constexpr std::uint16_t kFilters = 0x000B;
constexpr std::uint16_t kAttribute = 0x000C;
constexpr std::uint16_t kAttributeInfo = 0x0015;
constexpr std::uint8_t kShared = 0x02;

constexpr std::uint16_t kDeflate = 1;
constexpr std::uint16_t kShuffle = 2;
/// zlib never packs better than 1032 to 1.
constexpr std::uint64_t kMaxDeflateRatio = 1100;
constexpr std::size_t kMaxRank = 32;
constexpr std::size_t kMaxTexts = std::size_t{1} << 20;
constexpr int kMaxTreeLevel = 16;

float half_to_float(std::uint64_t bits) {
  const int exponent = static_cast<int>((bits >> 10) & 31U);
  const auto mantissa = static_cast<float>(bits & 1023U);
  float value = 0;
  if (exponent == 31) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else {
    value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  }
  return (bits >> 15) != 0 ? -value : value;
}

std::uint64_t to_bits(const char* from, std::uint32_t size, bool big_endian) {
  std::uint64_t bits = 0;
  for (std::uint32_t i = 0; i < size; ++i) {
    bits |= std::uint64_t{static_cast<unsigned char>(from[i])} << (8 * (big_endian ? size - 1 - i : i));
  }
  return bits;
}

/// At most 4 bytes.
float integer_to_float(const char* from, std::uint32_t size, bool big_endian, bool is_signed) {
  auto value = static_cast<std::int64_t>(to_bits(from, size, big_endian));
  const std::int64_t span = std::int64_t{1} << (8 * size);
  if (is_signed && value >= span / 2) value -= span;
  return static_cast<float>(value);
}

float to_float(const char* from, std::uint32_t size, bool big_endian) {
  const auto bits = to_bits(from, size, big_endian);
  if (size == 2) return half_to_float(bits);
  if (size == 4) return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  return static_cast<float>(std::bit_cast<double>(bits));
}

}  // namespace

// IV.A.2.b: the dataspace
Result<Shape> Hdf5File::parse_dataspace(std::string_view body, Context& ctx) const {
  Cursor cursor(body);
  const auto version = cursor.u8();
  const std::size_t rank = cursor.u8();
  cursor.skip(1);
  if (version == 1) {
    cursor.skip(5);
  } else if (version == 2) {
    constexpr std::uint8_t kNull = 2;
    if (cursor.u8() == kNull) return Shape{0};
  } else {
    return malformed("a dataspace is damaged", ctx);
  }
  if (rank > kMaxRank) return malformed("a dataset has more than 32 dimensions", ctx);
  Shape shape;
  std::uint64_t count = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const auto extent = length(cursor);
    if (extent != 0 && count > ctx.limits.tensor_elements / extent) {
      return ctx.fail(Kind::LimitExceeded, {.file = name_},
                      fmt::format("a dataset has more than {} elements", ctx.limits.tensor_elements));
    }
    count *= extent;
    shape.push_back(static_cast<std::int64_t>(std::min(extent, ctx.limits.tensor_elements)));
  }
  if (!cursor.ok()) return malformed("a dataspace is damaged", ctx);
  return shape;
}

// IV.A.2.d: the datatype
Hdf5File::Datatype Hdf5File::parse_datatype(std::string_view body) {
  Cursor cursor(body);
  const auto class_and_version = cursor.u8();
  const auto bits = static_cast<std::uint32_t>(cursor.number(3));
  Datatype type;
  type.size = cursor.u32();
  const auto in_order = [&](std::initializer_list<std::uint8_t> wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](std::uint8_t w) { return cursor.u8() == w; });
  };
  constexpr std::uint32_t kMaxElement = 1U << 24;
  if (type.size == 0 || type.size > kMaxElement) return {};
  switch (class_and_version & 15U) {
    case 0:
      type.kind = Class::Integer;
      type.big_endian = (bits & 1U) != 0;
      type.is_signed = (bits & 8U) != 0;
      break;
    case 1: {
      // IEEE 754: byte order, implied leading one, sign place, then exponent and mantissa as the properties say.
      type.big_endian = (bits & 1U) != 0;
      const bool implied = (bits & 0x40U) == 0 && ((bits >> 4) & 3U) == 2 && ((bits >> 8) & 255U) == 8 * type.size - 1;
      const bool whole = cursor.u16() == 0 && cursor.u16() == 8 * type.size;
      const bool ieee = (type.size == 2 && in_order({10, 5, 0, 10}) && cursor.u32() == 15) ||
                        (type.size == 4 && in_order({23, 8, 0, 23}) && cursor.u32() == 127) ||
                        (type.size == 8 && in_order({52, 11, 0, 52}) && cursor.u32() == 1023);
      if (implied && whole && ieee) type.kind = Class::Float;
      break;
    }
    case 3:
      type.kind = Class::Text;
      type.space_padded = (bits & 15U) == 2;
      break;
    case 9:
      if ((bits & 15U) == 1) type.kind = Class::VariableText;
      break;
    default:
      break;
  }
  return cursor.ok() ? type : Datatype{};
}

// IV.A.2.m: attributes
Result<std::optional<std::vector<std::string>>> Hdf5File::text_attribute(Object object, std::string_view attribute,
                                                                         Context& ctx) {
  using Texts = std::optional<std::vector<std::string>>;
  WEFT_TRY(const auto header, messages(object, ctx));
  for (const auto& message : header) {
    if (message.type == kAttributeInfo) {
      Cursor cursor(message.body);
      cursor.skip(1);
      if ((cursor.u8() & 1U) != 0) cursor.skip(2);
      if (offset(cursor) != kUndefined) {
        return malformed("it uses dense attribute storage; save it with h5py's default settings", ctx);
      }
    }
    if (message.type != kAttribute) continue;
    Cursor cursor(message.body);
    const auto version = cursor.u8();
    const auto flags = cursor.u8();
    const std::size_t name_size = cursor.u16();
    const std::size_t type_size = cursor.u16();
    const std::size_t space_size = cursor.u16();
    if (version == 3) cursor.skip(1);
    const auto part = [&](std::size_t size) {
      const auto out = cursor.view(size);
      if (version == 1) cursor.skip((8 - size % 8) % 8);
      return out;
    };
    const auto name = part(name_size);
    if (name.substr(0, name.find('\0')) != attribute) continue;
    const auto type = parse_datatype(part(type_size));
    const auto space = part(space_size);
    const bool shared = (message.flags & kShared) != 0 || (version > 1 && (flags & 3U) != 0);
    if (!cursor.ok() || version < 1 || version > 3 || shared) {
      return malformed(fmt::format("attribute `{}` is damaged or stored in a way that is not read", attribute), ctx);
    }
    WEFT_TRY(const Shape shape, parse_dataspace(space, ctx));
    const auto count = static_cast<std::size_t>(element_count(shape));
    if (count == 0) return Texts{std::vector<std::string>{}};  // h5py writes an empty list as floats
    if (count > kMaxTexts || !spend(count)) {
      return malformed(fmt::format("attribute `{}` has too many elements", attribute), ctx);
    }
    WEFT_TRY(auto texts, parse_texts(type, count, cursor.view(cursor.left()), ctx));
    return Texts{std::move(texts)};
  }
  return Texts{};
}

Result<std::vector<std::string>> Hdf5File::parse_texts(const Datatype& type, std::size_t count, std::string_view data,
                                                       Context& ctx) {
  std::vector<std::string> out;
  Cursor cursor(data);
  for (std::size_t i = 0; i < count; ++i) {
    if (type.kind == Class::Text) {
      auto text = cursor.view(type.size);
      text = text.substr(0, text.find('\0'));
      if (type.space_padded) text = text.substr(0, text.find_last_not_of(' ') + 1);
      if (!cursor.ok() || text.size() > text_bytes_left_) return malformed("a text attribute is damaged", ctx);
      text_bytes_left_ -= text.size();
      out.emplace_back(text);
    } else if (type.kind == Class::VariableText) {
      const auto size = cursor.u32();
      const auto address = offset(cursor);
      const auto index = cursor.u32();
      if (!cursor.ok()) return malformed("a text attribute is damaged", ctx);
      WEFT_TRY(auto text, heap_text(address, index, size, ctx));
      out.push_back(std::move(text));
    } else {
      return malformed("an attribute that must be text has another type", ctx);
    }
  }
  return out;
}

// III.E: the global heap
Result<std::string> Hdf5File::heap_text(std::uint64_t address, std::uint32_t index, std::uint32_t size, Context& ctx) {
  if (size == 0) return std::string{};
  auto cached = heaps_.find(address);
  if (cached == heaps_.end()) {
    Cursor head(from(address));
    const bool is_heap = head.view(4) == "GCOL" && head.u8() == 1;
    head.skip(3);
    const auto size_bytes = length(head);
    const auto collection = at(address, size_bytes);
    if (!head.ok() || !is_heap || !collection) return malformed("a heap of texts is damaged", ctx);
    Cursor cursor(*collection);
    cursor.skip(head.at());
    std::map<std::uint32_t, std::string_view> objects;
    while (cursor.left() >= 8 + length_bytes_) {
      const auto object = cursor.u16();
      cursor.skip(6);
      const auto object_size = length(cursor);
      if (object == 0) break;  // free space up to the end
      const auto text = cursor.view(object_size);
      cursor.skip((8 - object_size % 8) % 8);
      if (!cursor.ok() || !spend(1)) return malformed("a heap of texts is damaged", ctx);
      objects.emplace(object, text);
    }
    cached = heaps_.emplace(address, std::move(objects)).first;
  }
  const auto object = cached->second.find(index);
  if (object == cached->second.end() || object->second.size() < size || size > text_bytes_left_) {
    return malformed("a text attribute points to nothing", ctx);
  }
  text_bytes_left_ -= size;
  const auto text = object->second.substr(0, size);
  return std::string(text.substr(0, text.find('\0')));
}

Result<bool> Hdf5File::is_dataset(Object object, Context& ctx) {
  WEFT_TRY(const auto header, messages(object, ctx));
  return std::any_of(header.begin(), header.end(), [](const Message& m) { return m.type == kLayout; });
}

Result<Shape> Hdf5File::shape(Object dataset, Context& ctx) {
  WEFT_TRY(const auto header, messages(dataset, ctx));
  for (const auto& message : header) {
    if (message.type == kDataspace && (message.flags & kShared) == 0) return parse_dataspace(message.body, ctx);
  }
  return malformed("a dataset has no shape", ctx);
}

Result<FloatTensor> Hdf5File::read_floats(Object dataset, Context& ctx) { return read_tensor(dataset, false, ctx); }
Result<FloatTensor> Hdf5File::read_numbers(Object dataset, Context& ctx) { return read_tensor(dataset, true, ctx); }

Result<FloatTensor> Hdf5File::read_tensor(Object dataset, bool integers, Context& ctx) {
  WEFT_TRY(const auto header, messages(dataset, ctx));
  WEFT_TRY(auto extents, shape(dataset, ctx));
  Datatype type;
  for (const auto& message : header) {
    if (message.type == kDatatype && (message.flags & kShared) == 0) type = parse_datatype(message.body);
  }
  const bool whole = integers && type.kind == Class::Integer && type.size <= 4;
  if (type.kind != Class::Float && !whole) return malformed("a weight is not stored as 16, 32 or 64 bit floats", ctx);
  const auto count = static_cast<std::uint64_t>(element_count(extents));
  if (count * type.size > data_bytes_left_) {
    return ctx.fail(Kind::LimitExceeded, {.file = name_},
                    fmt::format("the weights need more than {} bytes", ctx.limits.unpacked_bytes));
  }
  data_bytes_left_ -= count * type.size;
  WEFT_TRY(const auto raw, read_raw(header, extents, type.size, ctx));
  std::vector<float> values(count);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const char* at = raw.data() + i * type.size;
    values[i] = whole ? integer_to_float(at, type.size, type.big_endian, type.is_signed)
                      : to_float(at, type.size, type.big_endian);
  }
  return FloatTensor(std::move(extents), std::move(values));
}

// IV.A.2.i: the layout
Result<std::string> Hdf5File::read_raw(const std::vector<Message>& header, const Shape& extents,
                                       std::uint32_t element_bytes, Context& ctx) {
  const auto size = static_cast<std::uint64_t>(element_count(extents)) * element_bytes;
  WEFT_TRY(const auto filters, parse_filters(header, ctx));
  for (const auto& message : header) {
    if (message.type == kExternalFiles) return malformed("a dataset lies in an external file", ctx);
  }
  for (const auto& message : header) {
    if (message.type != kLayout) continue;
    if (size == 0) return std::string{};
    Cursor cursor(message.body);
    const auto version = cursor.u8();
    const auto kind = cursor.u8();
    constexpr std::uint8_t kCompact = 0;
    constexpr std::uint8_t kContiguous = 1;
    constexpr std::uint8_t kChunked = 2;
    if ((message.flags & kShared) != 0 || version < 3 || version > 4) {
      return malformed(fmt::format("a dataset has a layout of version {}, which is not read", version), ctx);
    }
    if (kind == kChunked && version == 3) return read_chunked(cursor, filters, extents, element_bytes, ctx);
    if (kind != kCompact && kind != kContiguous) {
      return malformed("a dataset is virtual or chunked in HDF5's newest form; save it with h5py's default settings",
                       ctx);
    }
    if (!filters.empty()) return malformed("a dataset without chunks has filters", ctx);
    std::optional<std::string_view> data;
    if (kind == kCompact) {
      data = cursor.view(cursor.u16());
    } else {
      const auto address = offset(cursor);
      if (address == kUndefined) return malformed("a dataset was never written", ctx);
      data = at(address, length(cursor));
    }
    if (!cursor.ok() || !data || data->size() != size) {
      return malformed("a dataset's data do not have the size of its shape", ctx);
    }
    return std::string(*data);
  }
  return malformed("a weight is not a dataset", ctx);
}

// IV.A.2.l: filters
Result<std::vector<Hdf5File::Filter>> Hdf5File::parse_filters(const std::vector<Message>& header, Context& ctx) const {
  std::vector<Filter> filters;
  for (const auto& message : header) {
    if (message.type != kFilters) continue;
    Cursor cursor(message.body);
    const auto version = cursor.u8();
    const std::size_t count = cursor.u8();
    if (version == 1) cursor.skip(6);
    for (std::size_t i = 0; i < count; ++i) {
      Filter filter;
      filter.id = cursor.u16();
      const std::size_t name_size = version == 1 || filter.id >= 256 ? cursor.u16() : 0;
      cursor.skip(2);
      const std::size_t parameters = cursor.u16();
      cursor.skip(version == 1 ? (name_size + 7) / 8 * 8 : name_size);
      for (std::size_t p = 0; p < parameters; ++p) {
        const auto value = cursor.u32();
        if (p == 0) filter.element_bytes = value;
      }
      if (version == 1 && parameters % 2 == 1) cursor.skip(4);
      if (!cursor.ok()) break;
      if (filter.id != kDeflate && filter.id != kShuffle) {
        return malformed(fmt::format("a dataset uses filter {}; only gzip and shuffle are read", filter.id), ctx);
      }
      filters.push_back(filter);
    }
    constexpr std::size_t kMaxFilters = 32;
    if (!cursor.ok() || version < 1 || version > 2 || filters.size() > kMaxFilters || (message.flags & kShared) != 0) {
      return malformed("a dataset's filters are damaged", ctx);
    }
  }
  return filters;
}

Result<std::string> Hdf5File::read_chunked(Cursor layout, const std::vector<Filter>& filters, const Shape& extents,
                                           std::uint32_t element_bytes, Context& ctx) {
  const std::size_t rank = extents.size();
  const std::size_t dimensions = layout.u8();
  const auto tree = offset(layout);
  std::vector<std::uint64_t> chunk(rank);
  std::uint64_t chunk_bytes = element_bytes;
  std::uint64_t count = 1;
  bool fits = rank > 0 && dimensions == rank + 1;
  for (std::size_t d = 0; fits && d < rank; ++d) {
    chunk[d] = layout.u32();
    fits = chunk[d] > 0 && chunk_bytes <= (std::uint64_t{1} << 32) / chunk[d];
    if (!fits) break;
    chunk_bytes *= chunk[d];
    count *= (static_cast<std::uint64_t>(extents[d]) + chunk[d] - 1) / chunk[d];
  }
  if (!fits || layout.u32() != element_bytes || !layout.ok()) return malformed("a dataset's chunks are damaged", ctx);
  if (tree == kUndefined) return malformed("a dataset was never written", ctx);
  WEFT_TRY(const auto chunks, list_chunks(tree, rank, count, ctx));
  if (chunks.size() != count) return malformed("a dataset misses some of its chunks", ctx);
  const bool packed = std::any_of(filters.begin(), filters.end(), [](const Filter& f) { return f.id == kDeflate; });
  for (const auto& c : chunks) {
    if (c.stored.size() * (packed ? kMaxDeflateRatio : 1) < chunk_bytes) {
      return malformed("a chunk is smaller than its shape asks", ctx);
    }
  }

  std::string out(static_cast<std::size_t>(element_count(extents)) * element_bytes, '\0');
  const auto strides = strides_of(extents);
  std::set<std::vector<std::uint64_t>> seen;
  for (const auto& c : chunks) {
    for (std::size_t d = 0; d < rank; ++d) {
      if (c.offsets[d] % chunk[d] != 0 || c.offsets[d] >= static_cast<std::uint64_t>(extents[d])) {
        return malformed("a chunk lies outside of its dataset", ctx);
      }
    }
    if (!seen.insert(c.offsets).second) return malformed("a chunk is there twice", ctx);
    if (chunk_bytes > data_bytes_left_) {
      return ctx.fail(Kind::LimitExceeded, {.file = name_}, "the weights unpack to more than the limit");
    }
    data_bytes_left_ -= chunk_bytes;
    WEFT_TRY(const auto data, decode_chunk(c, filters, static_cast<std::size_t>(chunk_bytes), ctx));
    // Rows along the last dimension; chunks at the edge are cut.
    const auto row = std::min(chunk[rank - 1], static_cast<std::uint64_t>(extents[rank - 1]) - c.offsets[rank - 1]);
    const std::uint64_t rows = chunk_bytes / element_bytes / chunk[rank - 1];
    for (std::uint64_t r = 0; r < rows; ++r) {
      std::uint64_t rest = r;
      std::uint64_t target = c.offsets[rank - 1];
      bool inside = true;
      for (std::size_t d = rank - 1; d-- > 0;) {
        const auto index = c.offsets[d] + rest % chunk[d];
        rest /= chunk[d];
        inside = inside && index < static_cast<std::uint64_t>(extents[d]);
        target += index * static_cast<std::uint64_t>(strides[d]);
      }
      if (!inside) continue;
      std::memcpy(out.data() + target * element_bytes, data.data() + r * chunk[rank - 1] * element_bytes,
                  static_cast<std::size_t>(row) * element_bytes);
    }
  }
  return out;
}

// III.A.1: the chunk tree
Result<std::vector<Hdf5File::Chunk>> Hdf5File::list_chunks(std::uint64_t tree, std::size_t rank, std::uint64_t count,
                                                           Context& ctx) {
  struct Pending {
    std::uint64_t address;
    int level;
  };
  std::vector<Pending> pending = {{tree, -1}};
  std::vector<Chunk> chunks;
  while (!pending.empty()) {
    const auto [address, level] = pending.back();
    pending.pop_back();
    Cursor node(from(address));
    const bool is_node = node.view(4) == "TREE" && node.u8() == 1;
    const int node_level = node.u8();
    const std::size_t used = node.u16();
    node.skip(2 * offset_bytes_);
    const bool level_fits = level < 0 ? node_level <= kMaxTreeLevel : node_level == level;
    if (!node.ok() || !is_node || !level_fits || !spend(1 + used)) return malformed("a chunk tree is damaged", ctx);
    for (std::size_t i = 0; i < used; ++i) {
      const auto stored_bytes = node.u32();
      Chunk c;
      c.filter_mask = node.u32();
      for (std::size_t d = 0; d < rank; ++d) c.offsets.push_back(node.number(8));
      node.skip(8);
      const auto child = offset(node);
      if (!node.ok()) return malformed("a chunk tree is damaged", ctx);
      if (node_level > 0) {
        pending.push_back({child, node_level - 1});
        continue;
      }
      const auto stored = at(child, stored_bytes);
      if (!stored) return malformed("a chunk lies outside of the file", ctx);
      if (chunks.size() >= count) return malformed("a dataset has more chunks than its shape", ctx);
      c.stored = *stored;
      chunks.push_back(std::move(c));
    }
  }
  return chunks;
}

Result<std::string> Hdf5File::decode_chunk(const Chunk& chunk, const std::vector<Filter>& filters,
                                           std::size_t chunk_bytes, Context& ctx) {
  std::string data(chunk.stored);
  for (std::size_t f = filters.size(); f-- > 0;) {
    if (((chunk.filter_mask >> f) & 1U) != 0) continue;
    std::string next(chunk_bytes, '\0');
    if (filters[f].id == kDeflate) {
      uLongf size = next.size();
      const int status = uncompress(reinterpret_cast<Bytef*>(next.data()), &size,
                                    reinterpret_cast<const Bytef*>(data.data()), data.size());
      if (status != Z_OK || size != chunk_bytes) return malformed("a chunk cannot be unpacked", ctx);
    } else {
      const std::size_t element = filters[f].element_bytes;
      if (element == 0 || data.size() != chunk_bytes || chunk_bytes % element != 0) {
        return malformed("a chunk cannot be unshuffled", ctx);
      }
      const std::size_t n = chunk_bytes / element;
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t b = 0; b < element; ++b) next[i * element + b] = data[b * n + i];
      }
    }
    data = std::move(next);
  }
  if (data.size() != chunk_bytes) return malformed("a chunk does not have the size of its shape", ctx);
  return data;
}

}  // namespace weft::formats::keras
