// SPDX-License-Identifier: Apache-2.0
/// @file
/// An exported program in plain types, as its JSON says it; nothing is interpreted yet.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/formats/onnx/constant.h"
#include "weft/support/context.h"

namespace weft::formats::torch {

/// An integer, or the name of a symbolic one (an open batch).
struct Extent {
  std::string name;
  std::int64_t value = 0;
};

/// An operator's argument or result.
struct Argument {
  enum class Type { None, Tensor, Tensors, Int, Ints, Float, Floats, Bool, Bools, Text, Other };
  Type type = Type::None;
  /// Tensor, Tensors: names of values, empty where an optional one is absent.
  std::vector<std::string> names{};
  /// Int, Ints, Bool, Bools; element types too.
  std::vector<Extent> integers{};
  std::vector<double> floats{};
  /// Text; for Other the kind of argument that the file names.
  std::string text{};
};

struct NamedArgument {
  std::string name;
  Argument value;
};

/// One call of an operator.
struct ProgramNode {
  std::string target;  ///< "torch.ops.aten.conv2d.default"
  std::vector<NamedArgument> inputs;
  std::vector<Argument> outputs;
  /// The innermost module that the call belongs to ("features.0") and its class ("torch.nn.modules.conv.Conv2d").
  std::string module_path;
  std::string module_type;
};

/// What the file says of a value.
struct TensorMeta {
  std::optional<onnx::Element> element;
  std::string element_name;
  std::vector<Extent> sizes;
};

/// An input of the graph: the user's, or a constant under its name in the module.
struct InputSpec {
  enum class Type { User, Constant, Other };
  Type type = Type::User;
  std::string name;   ///< in the graph; empty for inputs that are no tensors
  std::string value;  ///< Constant: "features.0.weight"
  std::string text;   ///< Other: the kind of input that the file names
};

struct OutputSpec {
  bool user = true;
  std::string name;  ///< empty when it is no tensor
  std::string text;  ///< the kind of output that the file names, for messages
};

struct Program {
  std::string file;
  std::vector<ProgramNode> nodes;
  std::vector<InputSpec> inputs;
  std::vector<OutputSpec> outputs;
  std::map<std::string, TensorMeta> tensors;
};

/// Element type by PyTorch's serialization number (7 is float32); nullopt for complex, 8-bit floats and unknown ones.
std::optional<onnx::Element> element_from_scalar_type(std::int64_t number);
/// "float16", "complex64", "element type 99".
std::string scalar_type_name(std::int64_t number);

/// Parses the JSON of an exported program. Contradictions are ModelMalformed.
Result<Program> parse_program(const std::string& text, const std::string& file, Context& ctx);

}  // namespace weft::formats::torch
