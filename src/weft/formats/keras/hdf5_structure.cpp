// SPDX-License-Identifier: Apache-2.0
// Superblock, object headers and groups. Section numbers are those of the HDF5 File Format Specification Version 3.0.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/hdf5_reader.h"

namespace weft::formats::keras {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr std::uint64_t kUndefined = ~std::uint64_t{0};

constexpr std::uint16_t kLinkInfo = 0x0002;
constexpr std::uint16_t kLink = 0x0006;
constexpr std::uint16_t kContinuation = 0x0010;
constexpr std::uint16_t kSymbolTable = 0x0011;

/// Deeper trees than this do not exist: a level of 16 children each would hold 2^64 members.
constexpr int kMaxTreeLevel = 16;

}  // namespace

bool has_hdf5_signature(std::string_view bytes) { return bytes.starts_with(kSignature); }

diag::Failure Hdf5File::malformed(std::string_view why, Context& ctx) const {
  return ctx.fail(Kind::ModelMalformed, {.file = name_}, fmt::format("the HDF5 file cannot be read: {}", why));
}

bool Hdf5File::spend(std::uint64_t steps) {
  if (steps > steps_left_) return false;
  steps_left_ -= steps;
  return true;
}

std::optional<std::string_view> Hdf5File::at(std::uint64_t address, std::uint64_t size) const {
  if (address > bytes_.size() || size > bytes_.size() - address) return std::nullopt;
  return std::string_view(bytes_).substr(static_cast<std::size_t>(address), static_cast<std::size_t>(size));
}

std::string_view Hdf5File::from(std::uint64_t address) const {
  return address > bytes_.size() ? std::string_view{}
                                 : std::string_view(bytes_).substr(static_cast<std::size_t>(address));
}

std::uint64_t Hdf5File::offset(Cursor& cursor) const {
  const auto value = cursor.number(offset_bytes_);
  const bool undefined = offset_bytes_ < 8 && value == (std::uint64_t{1} << (8 * offset_bytes_)) - 1;
  return undefined ? kUndefined : value;
}

std::uint64_t Hdf5File::length(Cursor& cursor) const { return cursor.number(length_bytes_); }

// II.A: the superblock
Result<Hdf5File> Hdf5File::open(std::string bytes, std::string name, Context& ctx) {
  Hdf5File file;
  file.bytes_ = std::move(bytes);
  file.name_ = std::move(name);
  if (!has_hdf5_signature(file.bytes_)) return file.malformed("the signature is missing", ctx);
  file.steps_left_ = file.bytes_.size() + (std::uint64_t{1} << 20);
  file.text_bytes_left_ = 4 * std::uint64_t{file.bytes_.size()};
  file.data_bytes_left_ = ctx.limits.unpacked_bytes;

  Cursor cursor(file.bytes_);
  cursor.skip(kSignature.size());
  const auto version = cursor.u8();
  if (version > 3) return file.malformed(fmt::format("superblock version {} is unknown", version), ctx);
  if (version < 2) cursor.skip(4);
  file.offset_bytes_ = cursor.u8();
  file.length_bytes_ = cursor.u8();
  for (const auto size : {file.offset_bytes_, file.length_bytes_}) {
    if (size != 2 && size != 4 && size != 8) return file.malformed("addresses have an impossible size", ctx);
  }
  if (version < 2) {
    cursor.skip(version == 0 ? 9 : 13);  // reserved, tree ranks, flags
  } else {
    cursor.skip(1);
  }
  const auto base = file.offset(cursor);
  cursor.skip(file.offset_bytes_);  // free space or extension
  const auto end = file.offset(cursor);
  if (version < 2) cursor.skip(2 * file.offset_bytes_);  // driver block, name of the root entry
  file.root_.address = file.offset(cursor);
  if (!cursor.ok() || base != 0) return file.malformed("the superblock is damaged", ctx);
  if (end > file.bytes_.size()) {
    return file.malformed(fmt::format("it is cut off: {} of {} bytes are there", file.bytes_.size(), end), ctx);
  }
  return file;
}

// IV.A: object headers
Result<std::vector<Hdf5File::Message>> Hdf5File::messages(Object object, Context& ctx) {
  std::vector<Message> out;
  if (from(object.address).starts_with("OHDR")) {
    if (!collect_v2(object, out, ctx)) return diag::failure;
  } else if (!collect_v1(object, out, ctx)) {
    return diag::failure;
  }
  return out;
}

Result<void> Hdf5File::collect_v1(Object object, std::vector<Message>& out, Context& ctx) {
  Cursor head(from(object.address));
  const auto version = head.u8();
  head.skip(1);
  std::uint32_t left = head.u16();
  head.skip(4);
  const std::uint64_t size = head.u32();
  head.align(8);
  const auto first = at(object.address + head.at(), size);
  if (!head.ok() || version != 1 || !first) return malformed("an object header is damaged", ctx);
  std::vector<std::string_view> blocks = {*first};
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    Cursor cursor(blocks[b]);
    while (left > 0 && cursor.left() >= 8) {
      --left;
      Message message;
      message.type = cursor.u16();
      const auto body_size = cursor.u16();
      message.flags = cursor.u8();
      cursor.skip(3);
      message.body = cursor.view(body_size);
      if (!cursor.ok() || !spend(1)) return malformed("an object header is damaged", ctx);
      if (message.type != kContinuation) {
        out.push_back(message);
        continue;
      }
      Cursor next(message.body);
      const auto address = offset(next);
      const auto block = at(address, length(next));
      if (!next.ok() || !block) return malformed("an object header continues outside of the file", ctx);
      blocks.push_back(*block);
    }
  }
  return {};
}

Result<void> Hdf5File::collect_v2(Object object, std::vector<Message>& out, Context& ctx) {
  constexpr std::size_t kChecksum = 4;
  Cursor head(from(object.address));
  head.skip(4);
  const auto version = head.u8();
  const auto flags = head.u8();
  if ((flags & 0x20U) != 0) head.skip(16);  // times
  if ((flags & 0x10U) != 0) head.skip(4);   // attribute phase change
  const auto size = head.number(std::size_t{1} << (flags & 3U));
  const auto first = at(object.address + head.at(), size);
  if (!head.ok() || version != 2 || !first) return malformed("an object header is damaged", ctx);
  const std::size_t message_head = (flags & 4U) != 0 ? 6 : 4;
  std::vector<std::string_view> blocks = {*first};
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    Cursor cursor(blocks[b]);
    while (cursor.left() >= message_head) {
      Message message;
      message.type = cursor.u8();
      const auto body_size = cursor.u16();
      message.flags = cursor.u8();
      cursor.skip(message_head - 4);
      message.body = cursor.view(body_size);
      if (!cursor.ok() || !spend(1)) return malformed("an object header is damaged", ctx);
      if (message.type != kContinuation) {
        out.push_back(message);
        continue;
      }
      Cursor next(message.body);
      const auto address = offset(next);
      const auto block_size = length(next);
      const auto block = at(address, block_size);
      if (!next.ok() || !block || !block->starts_with("OCHK") || block_size < 4 + kChecksum) {
        return malformed("an object header continues outside of the file", ctx);
      }
      blocks.push_back(block->substr(4, static_cast<std::size_t>(block_size) - 4 - kChecksum));
    }
  }
  return {};
}

// III.A.1, III.B, III.D: groups as symbol tables
Result<void> Hdf5File::read_symbol_table(const Message& message, std::map<std::string, Object>& out, Context& ctx) {
  Cursor cursor(message.body);
  const auto tree = offset(cursor);
  const auto heap_address = offset(cursor);
  Cursor heap(from(heap_address));
  const bool is_heap = heap.view(4) == "HEAP" && heap.u8() == 0;
  heap.skip(3);
  const auto heap_size = length(heap);
  (void)length(heap);  // free list
  const auto heap_data = at(offset(heap), heap_size);
  if (!cursor.ok() || !heap.ok() || !is_heap || !heap_data) return malformed("a group's names are damaged", ctx);

  struct Pending {
    std::uint64_t address;
    int level;
  };
  std::vector<Pending> pending = {{tree, -1}};
  while (!pending.empty()) {
    const auto [address, level] = pending.back();
    pending.pop_back();
    Cursor node(from(address));
    const bool is_node = node.view(4) == "TREE" && node.u8() == 0;
    const int node_level = node.u8();
    const std::size_t used = node.u16();
    node.skip(2 * offset_bytes_);
    const bool level_fits = level < 0 ? node_level <= kMaxTreeLevel : node_level == level;
    if (!node.ok() || !is_node || !level_fits || !spend(1 + used)) return malformed("a group's tree is damaged", ctx);
    for (std::size_t i = 0; i < used; ++i) {
      node.skip(length_bytes_);
      const auto child = offset(node);
      if (!node.ok()) return malformed("a group's tree is damaged", ctx);
      if (node_level > 0) {
        pending.push_back({child, node_level - 1});
      } else if (!read_symbol_node(child, *heap_data, out, ctx)) {
        return diag::failure;
      }
    }
  }
  return {};
}

Result<void> Hdf5File::read_symbol_node(std::uint64_t address, std::string_view heap,
                                        std::map<std::string, Object>& out, Context& ctx) {
  Cursor node(from(address));
  const bool is_node = node.view(4) == "SNOD" && node.u8() == 1;
  node.skip(1);
  const std::size_t symbols = node.u16();
  if (!node.ok() || !is_node || !spend(1 + symbols)) return malformed("a group's symbol node is damaged", ctx);
  for (std::size_t i = 0; i < symbols; ++i) {
    const auto name_at = offset(node);
    Object object{offset(node)};
    const auto cache = node.u32();
    node.skip(20);
    if (!node.ok() || name_at >= heap.size()) return malformed("a group's symbol node is damaged", ctx);
    const auto text = heap.substr(static_cast<std::size_t>(name_at));
    const auto end = text.find('\0');
    if (end == std::string_view::npos || end == 0) return malformed("a group's names are damaged", ctx);
    constexpr std::uint32_t kSoftLink = 2;
    if (cache == kSoftLink) object.address = kUndefined;
    if (!spend(end / 8) || !out.emplace(text.substr(0, end), object).second) {
      return malformed("a group has two members of one name", ctx);
    }
  }
  return {};
}

// IV.A.2.g: the link message
Result<void> Hdf5File::read_link(const Message& message, std::map<std::string, Object>& out, Context& ctx) {
  Cursor cursor(message.body);
  const auto version = cursor.u8();
  const auto flags = cursor.u8();
  const auto type = (flags & 8U) != 0 ? cursor.u8() : 0;
  if ((flags & 4U) != 0) cursor.skip(8);
  if ((flags & 16U) != 0) cursor.skip(1);
  const auto name = cursor.view(cursor.number(std::size_t{1} << (flags & 3U)));
  Object object{kUndefined};
  if (type == 0) object.address = offset(cursor);
  if (!cursor.ok() || version != 1 || name.empty()) return malformed("a link is damaged", ctx);
  if (!out.emplace(name, object).second) return malformed("a group has two members of one name", ctx);
  return {};
}

Result<std::map<std::string, Hdf5File::Object>> Hdf5File::members(Object group, Context& ctx) {
  if (const auto cached = groups_.find(group.address); cached != groups_.end()) return cached->second;
  WEFT_TRY(const auto header, messages(group, ctx));
  std::map<std::string, Object> out;
  for (const auto& message : header) {
    if (message.type == kSymbolTable) {
      WEFT_TRY_VOID(read_symbol_table(message, out, ctx));
    } else if (message.type == kLink) {
      WEFT_TRY_VOID(read_link(message, out, ctx));
    } else if (message.type == kLinkInfo) {
      Cursor cursor(message.body);
      cursor.skip(1);
      if ((cursor.u8() & 1U) != 0) cursor.skip(8);
      if (offset(cursor) != kUndefined || !cursor.ok()) {
        return malformed("it uses dense link storage; save it with h5py's default settings", ctx);
      }
    }
  }
  groups_.emplace(group.address, out);
  return out;
}

Result<std::optional<Hdf5File::Object>> Hdf5File::find(Object from_object, std::string_view path, Context& ctx) {
  Object here = from_object;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const auto part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty()) continue;
    WEFT_TRY(const auto children, members(here, ctx));
    const auto child = children.find(std::string(part));
    if (child == children.end()) return std::optional<Object>{};
    if (child->second.address == kUndefined) {
      return malformed(fmt::format("`{}` is a soft or external link; links are not followed", part), ctx);
    }
    here = child->second;
  }
  return std::optional<Object>{here};
}

}  // namespace weft::formats::keras
