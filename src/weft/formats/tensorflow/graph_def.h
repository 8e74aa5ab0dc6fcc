// SPDX-License-Identifier: Apache-2.0
/// @file
/// A serialized TensorFlow graph as plain data. Field numbers are those of the published message definitions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/support/context.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::tensorflow {

struct NodeDef {
  std::string name;
  std::string op;
  std::vector<std::string> inputs;
  std::map<std::string, std::string_view> attributes;  ///< serialized values
};

struct FunctionDef {
  std::string name;
  std::vector<std::string> arguments;
  std::vector<std::string> results;            ///< names of the output arguments
  std::map<std::string, std::string> returns;  ///< output argument to a tensor of the body
  std::vector<NodeDef> nodes;
};

struct GraphDef {
  std::vector<NodeDef> nodes;
  std::map<std::string, FunctionDef> functions;
};

/// One signature: names to tensors ("node:0").
struct Signature {
  std::map<std::string, std::string> inputs;
  std::map<std::string, std::string> outputs;
};

struct SavedModel {
  GraphDef graph;
  std::map<std::string, Signature> signatures;
};

/// A constant tensor: floats, integers (bool as 0 and 1), or neither (strings).
struct TensorValue {
  std::int64_t type = 0;
  Shape shape;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;
};

Result<GraphDef> read_graph(std::string_view bytes, const std::string& file, Context& ctx);
Result<SavedModel> read_saved_model_message(std::string_view bytes, const std::string& file, Context& ctx);

/// Values of attributes; nullopt when the attribute is absent or of another kind.
std::optional<std::int64_t> integer_attribute(const NodeDef& node, const std::string& name);
std::optional<float> real_attribute(const NodeDef& node, const std::string& name);
std::optional<bool> bool_attribute(const NodeDef& node, const std::string& name);
std::optional<std::int64_t> type_attribute(const NodeDef& node, const std::string& name);
std::optional<std::string> text_attribute(const NodeDef& node, const std::string& name);
std::optional<std::vector<std::int64_t>> integers_attribute(const NodeDef& node, const std::string& name);
std::optional<std::string> function_attribute(const NodeDef& node, const std::string& name);
/// Extents, -1 for unknown ones; nullopt also for unknown rank.
std::optional<Shape> shape_attribute(const NodeDef& node, const std::string& name);
/// Serialized tensor.
std::optional<std::string_view> tensor_attribute(const NodeDef& node, const std::string& name);

/// nullopt when damaged, of an element type that is not read, or longer than `limit` elements.
std::optional<TensorValue> read_tensor(std::string_view bytes, std::uint64_t limit);
/// Elements of raw little-endian bytes; nullopt when they do not fit the shape or the type is not read.
std::optional<TensorValue> decode_elements(std::int64_t type, Shape shape, std::string_view bytes);

/// Variable names to keys of the checkpoint, from its graph of objects.
std::map<std::string, std::string> checkpoint_keys(std::string_view objects);

}  // namespace weft::formats::tensorflow
