// SPDX-License-Identifier: Apache-2.0
/// @file
/// A parsed model file in plain types; protobuf stays behind this header.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weft/formats/onnx/constant.h"
#include "weft/support/context.h"

namespace weft::onnx_proto {
class ModelProto;
}  // namespace weft::onnx_proto

namespace weft::formats::onnx {

/// An operator's call without its attributes. Empty input and output names mean "not given".
struct NodeHead {
  std::string name;  ///< may be empty or repeated
  std::string op_type;
  std::string domain;
  std::vector<std::string> inputs{};
  std::vector<std::string> outputs{};
};

enum class AttributeType { Float = 1, Int = 2, String = 3, Tensor = 4, Floats = 6, Ints = 7, Strings = 8, Other = 0 };

struct SourceAttribute {
  AttributeType type = AttributeType::Other;
  float f = 0;
  std::int64_t i = 0;
  std::string s;
  std::vector<float> floats;
  std::vector<std::int64_t> ints;
  std::vector<std::string> strings;
  ConstantPtr tensor;
};
using SourceAttributes = std::map<std::string, SourceAttribute>;

/// A graph input or output as declared.
struct PortInfo {
  std::string name;
  std::int32_t element_number = 0;
  bool has_shape = false;
  Shape shape;  ///< -1 where an extent is symbolic or missing
};

/// Names are valid UTF-8; counts are bounded. Everything else is checked when it is asked for.
class SourceModel {
 public:
  /// `folder` is where external data may lie; empty refuses it.
  static Result<SourceModel> parse(const std::string& bytes, const std::string& file,
                                   const std::filesystem::path& folder, Context& ctx);
  ~SourceModel();
  SourceModel(SourceModel&&) noexcept;

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] const std::string& graph_name() const { return graph_name_; }
  /// Imported version of an operator set; nullopt when the file does not import it.
  [[nodiscard]] std::optional<std::int64_t> opset(const std::string& domain) const;
  [[nodiscard]] const std::vector<NodeHead>& nodes() const { return nodes_; }
  /// Graph inputs that have no default among the initializers.
  [[nodiscard]] const std::vector<PortInfo>& inputs() const { return inputs_; }
  [[nodiscard]] const std::vector<std::string>& outputs() const { return outputs_; }
  [[nodiscard]] bool has_initializer(const std::string& name) const { return initializers_.count(name) != 0; }
  [[nodiscard]] bool has_sparse_initializer(const std::string& name) const { return sparse_.count(name) != 0; }

  /// Decodes an initializer.
  Result<Constant> initializer(const std::string& name, Context& ctx) const;
  /// Decodes the attributes of a node.
  Result<SourceAttributes> attributes(std::size_t node, const Origin& origin, Context& ctx) const;

 private:
  SourceModel();
  Result<void> index(Context& ctx);

  std::unique_ptr<onnx_proto::ModelProto> model_;
  std::string file_;
  std::filesystem::path folder_;
  std::string graph_name_;
  std::map<std::string, std::int64_t> opsets_;
  std::vector<NodeHead> nodes_;
  std::vector<PortInfo> inputs_;
  std::vector<std::string> outputs_;
  std::map<std::string, int> initializers_;
  std::map<std::string, int> sparse_;
};

}  // namespace weft::formats::onnx
