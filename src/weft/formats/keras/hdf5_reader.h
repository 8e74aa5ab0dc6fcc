// SPDX-License-Identifier: Apache-2.0
/// @file
/// A reader for the part of HDF5 that Keras writes, safe on hostile files.
///
/// The HDF5 library of the supported systems crashes on files with a single flipped bit and keeps global state, so
/// model files are read here instead, after the "HDF5 File Format Specification Version 3.0": superblocks 0 to 3,
/// object headers 1 and 2, groups as symbol tables or compact links, attributes in the header, datasets contiguous,
/// compact or chunked with gzip and shuffle. Everything else (external files and links, virtual datasets, other
/// filters, dense attribute and link storage) is refused by name.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/keras/hdf5_bytes.h"
#include "weft/support/context.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::keras {

/// "\x89HDF\r\n\x1a\n" at the begin.
bool has_hdf5_signature(std::string_view bytes);

/// One open file. Work and memory are bounded: every structure is counted, so that cycles and shared parts end.
class Hdf5File {
 public:
  /// A group or dataset, by the address of its header.
  struct Object {
    std::uint64_t address = 0;
    auto operator<=>(const Object&) const = default;
  };

  /// Keeps `bytes`; `name` is for messages.
  static Result<Hdf5File> open(std::string bytes, std::string name, Context& ctx);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Object root() const { return root_; }

  /// Children of a group by name; empty for a dataset.
  Result<std::map<std::string, Object>> members(Object group, Context& ctx);
  /// Follows "a/b/c"; nullopt when a part is not there.
  Result<std::optional<Object>> find(Object from, std::string_view path, Context& ctx);
  /// Text of an attribute, one string per element (fixed or variable length); nullopt when there is none.
  Result<std::optional<std::vector<std::string>>> text_attribute(Object object, std::string_view attribute,
                                                                 Context& ctx);

  Result<bool> is_dataset(Object object, Context& ctx);
  /// Extents of a dataset; empty for a scalar.
  Result<Shape> shape(Object dataset, Context& ctx);
  /// A dataset of IEEE floats of 2, 4 or 8 bytes, rounded to float32.
  Result<FloatTensor> read_floats(Object dataset, Context& ctx);
  /// The same, or integers of at most 4 bytes.
  Result<FloatTensor> read_numbers(Object dataset, Context& ctx);

 private:
  struct Message {
    std::uint16_t type = 0;
    std::uint8_t flags = 0;
    std::string_view body;
  };
  enum class Class { Integer, Float, Text, VariableText, Other };
  struct Datatype {
    Class kind = Class::Other;
    std::uint32_t size = 0;
    bool big_endian = false;
    bool is_signed = false;
    bool space_padded = false;
  };
  struct Chunk {
    std::vector<std::uint64_t> offsets;
    std::uint32_t filter_mask = 0;
    std::string_view stored;
  };
  struct Filter {
    std::uint16_t id = 0;
    std::uint32_t element_bytes = 0;
  };

  Hdf5File() = default;
  diag::Failure malformed(std::string_view why, Context& ctx) const;
  /// Counts `steps` of work; false when the file asks for far more than its size explains.
  bool spend(std::uint64_t steps);
  /// The bytes at a file address; nullopt when they are not all inside of the file.
  [[nodiscard]] std::optional<std::string_view> at(std::uint64_t address, std::uint64_t size) const;
  [[nodiscard]] std::string_view from(std::uint64_t address) const;
  std::uint64_t offset(Cursor& cursor) const;
  std::uint64_t length(Cursor& cursor) const;

  Result<std::vector<Message>> messages(Object object, Context& ctx);
  Result<void> collect_v1(Object object, std::vector<Message>& out, Context& ctx);
  Result<void> collect_v2(Object object, std::vector<Message>& out, Context& ctx);
  Result<void> read_symbol_table(const Message& message, std::map<std::string, Object>& out, Context& ctx);
  Result<void> read_symbol_node(std::uint64_t address, std::string_view heap, std::map<std::string, Object>& out,
                                Context& ctx);
  Result<void> read_link(const Message& message, std::map<std::string, Object>& out, Context& ctx);

  Result<Shape> parse_dataspace(std::string_view body, Context& ctx) const;
  static Datatype parse_datatype(std::string_view body);
  Result<std::vector<std::string>> parse_texts(const Datatype& type, std::size_t count, std::string_view data,
                                               Context& ctx);
  Result<std::string> heap_text(std::uint64_t address, std::uint32_t index, std::uint32_t size, Context& ctx);

  Result<FloatTensor> read_tensor(Object dataset, bool integers, Context& ctx);
  Result<std::string> read_raw(const std::vector<Message>& header, const Shape& shape, std::uint32_t element_bytes,
                               Context& ctx);
  Result<std::string> read_chunked(Cursor layout, const std::vector<Filter>& filters, const Shape& shape,
                                   std::uint32_t element_bytes, Context& ctx);
  Result<std::vector<Chunk>> list_chunks(std::uint64_t tree, std::size_t rank, std::uint64_t count, Context& ctx);
  Result<std::string> decode_chunk(const Chunk& chunk, const std::vector<Filter>& filters, std::size_t chunk_bytes,
                                   Context& ctx);
  Result<std::vector<Filter>> parse_filters(const std::vector<Message>& header, Context& ctx) const;

  std::string bytes_;
  std::string name_;
  Object root_;
  std::size_t offset_bytes_ = 8;
  std::size_t length_bytes_ = 8;
  std::uint64_t steps_left_ = 0;
  std::uint64_t text_bytes_left_ = 0;
  std::uint64_t data_bytes_left_ = 0;
  std::map<std::uint64_t, std::map<std::string, Object>> groups_;
  std::map<std::uint64_t, std::map<std::uint32_t, std::string_view>> heaps_;
};

}  // namespace weft::formats::keras
