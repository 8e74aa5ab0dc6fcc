// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/wire.h"

#include <optional>

namespace weft::formats::onnx {
namespace {

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  std::uint32_t type = 0;
  std::uint64_t value = 0;     ///< of varints
  std::string_view content{};  ///< of length-delimited fields; shorter than announced when `truncated`
  bool truncated = false;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }

  /// nullopt at a malformed field; a length-delimited field that runs over the end is returned as truncated.
  std::optional<Field> next() {
    const auto tag = varint();
    if (!tag) return std::nullopt;
    Field field{.number = *tag >> 3, .type = static_cast<std::uint32_t>(*tag & 7)};
    if (field.number == 0 || field.number >= (1U << 29)) return std::nullopt;
    switch (field.type) {
      case kVarint: {
        const auto value = varint();
        if (!value) return std::nullopt;
        field.value = *value;
        return field;
      }
      case kFixed64:
        return skip(8) ? std::optional(field) : std::nullopt;
      case kFixed32:
        return skip(4) ? std::optional(field) : std::nullopt;
      case kLength: {
        const auto size = varint();
        if (!size) return std::nullopt;
        const std::uint64_t rest = bytes_.size() - position_;
        field.truncated = *size > rest;
        field.content = bytes_.substr(position_, static_cast<std::size_t>(field.truncated ? rest : *size));
        position_ += field.content.size();
        return field;
      }
      default:
        return std::nullopt;
    }
  }

 private:
  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (position_ == bytes_.size()) return std::nullopt;
      const auto byte = static_cast<unsigned char>(bytes_[position_++]);
      if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }
  bool skip(std::size_t count) {
    if (bytes_.size() - position_ < count) return false;
    position_ += count;
    return true;
  }

  std::string_view bytes_;
  std::size_t position_ = 0;
};

/// The messages of onnx_subset.proto whose number matters, and where they nest. The nesting is finite.
enum class Message { Model, Graph, Node, Attribute, Tensor, SparseTensor, ValueInfo, Type, TensorType, ShapeOf, Leaf };

Message child(Message parent, std::uint64_t number) {
  switch (parent) {
    case Message::Model:
      return number == 7 ? Message::Graph : Message::Leaf;
    case Message::Graph:
      if (number == 1) return Message::Node;
      if (number == 5) return Message::Tensor;
      if (number == 15) return Message::SparseTensor;
      return number == 11 || number == 12 ? Message::ValueInfo : Message::Leaf;
    case Message::Node:
      return number == 5 ? Message::Attribute : Message::Leaf;
    case Message::Attribute:
      return number == 5 ? Message::Tensor : Message::Leaf;
    case Message::SparseTensor:
      return number == 1 ? Message::Tensor : Message::Leaf;
    case Message::ValueInfo:
      return number == 2 ? Message::Type : Message::Leaf;
    case Message::Type:
      return number == 1 ? Message::TensorType : Message::Leaf;
    case Message::TensorType:
      return number == 2 ? Message::ShapeOf : Message::Leaf;
    default:
      return Message::Leaf;
  }
}

void count(Message message, std::string_view bytes, std::uint64_t limit, WireCounts& counts) {
  Reader reader(bytes);
  while (counts.well_formed && counts.objects <= limit && !reader.at_end()) {
    const auto field = reader.next();
    if (!field || field->truncated) {
      counts.well_formed = false;
      return;
    }
    if (field->type != kLength) continue;
    ++counts.objects;
    const Message inner = child(message, field->number);
    if (inner == Message::Node) ++counts.nodes;
    if (inner != Message::Leaf) count(inner, field->content, limit, counts);
  }
}

}  // namespace

WireCounts count_objects(std::string_view model, std::uint64_t limit) {
  WireCounts counts;
  count(Message::Model, model, limit, counts);
  return counts;
}

bool starts_like_model(std::string_view bytes) {
  Reader reader(bytes);
  bool has_version = false;
  bool has_content = false;
  while (!reader.at_end()) {
    const auto field = reader.next();
    if (!field) break;
    switch (field->number) {
      case 1:  // ir_version
        if (field->type != kVarint || field->value == 0 || field->value > 1000) return false;
        has_version = true;
        break;
      case 5:  // model_version
        if (field->type != kVarint) return false;
        break;
      case 7:
      case 8:
      case 20:
      case 25:  // graph, opset_import, training_info, functions
        if (field->type != kLength) return false;
        has_content = true;
        break;
      case 2:
      case 3:
      case 4:
      case 6:
      case 14:
      case 26:  // producer, domain, documentation, metadata, configuration
        if (field->type != kLength) return false;
        break;
      default:
        return false;
    }
    if (field->truncated) break;
  }
  return has_version && has_content;
}

}  // namespace weft::formats::onnx
