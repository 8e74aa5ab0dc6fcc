// SPDX-License-Identifier: Apache-2.0
/// @file
/// An ONNX file under construction. Private to this room.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <vector>

#include "onnx_subset.pb.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::onnx {

/// Appends nodes, initializers and ports; names are counted up.
class ModelWriter {
 public:
  ModelWriter(const std::string& name, std::int64_t opset) {
    model_.set_ir_version(10);
    auto* standard = model_.add_opset_import();
    standard->set_domain("");
    standard->set_version(opset);
    graph_ = model_.mutable_graph();
    graph_->set_name(name.empty() ? "graph" : name);
  }
  void import(const std::string& domain, std::int64_t version) {
    for (const auto& set : model_.opset_import())
      if (set.domain() == domain) return;
    auto* set = model_.add_opset_import();
    set->set_domain(domain);
    set->set_version(version);
  }

  std::string fresh(const std::string& base) { return fmt::format("{}_{}", base, next_++); }

  std::string floats(const std::string& base, const Shape& shape, const std::vector<float>& values) {
    auto* tensor = initializer(base, shape, 1);
    tensor->set_raw_data(std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
    return tensor->name();
  }
  std::string scalar(const std::string& base, float value) { return floats(base, {}, {value}); }
  std::string ints(const std::string& base, const Shape& shape, const std::vector<std::int64_t>& values) {
    auto* tensor = initializer(base, shape, 7);
    tensor->set_raw_data(
        std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(std::int64_t)));
    return tensor->name();
  }
  /// Integers of an ONNX element type with 8 or 16 bits.
  std::string narrow(const std::string& base, const Shape& shape, const std::vector<std::int64_t>& values,
                     std::int32_t element) {
    auto* tensor = initializer(base, shape, element);
    std::string raw;
    for (const auto v : values) {
      raw += static_cast<char>(v & 0xff);
      if (element == 4 || element == 5) raw += static_cast<char>(v >> 8 & 0xff);
    }
    tensor->set_raw_data(raw);
    return tensor->name();
  }

  onnx_proto::NodeProto* node(const std::string& op, const std::vector<std::string>& inputs,
                              const std::vector<std::string>& outputs, const std::string& name,
                              const std::string& domain = "") {
    auto* node = graph_->add_node();
    node->set_op_type(op);
    node->set_name(name);
    node->set_domain(domain);
    for (const auto& input : inputs) node->add_input(input);
    for (const auto& output : outputs) node->add_output(output);
    return node;
  }
  /// A node with one output of a fresh name.
  std::string apply(const std::string& op, const std::vector<std::string>& inputs, const std::string& base,
                    onnx_proto::NodeProto** made = nullptr, const std::string& domain = "") {
    const std::string out = fresh(base);
    auto* n = node(op, inputs, {out}, out, domain);
    if (made != nullptr) *made = n;
    return out;
  }

  static void set(onnx_proto::NodeProto* node, const std::string& name, std::int64_t value) {
    auto* a = attribute(node, name, 2);
    a->set_i(value);
  }
  static void set(onnx_proto::NodeProto* node, const std::string& name, float value) {
    auto* a = attribute(node, name, 1);
    a->set_f(value);
  }
  static void set(onnx_proto::NodeProto* node, const std::string& name, const std::string& value) {
    auto* a = attribute(node, name, 3);
    a->set_s(value);
  }
  static void set(onnx_proto::NodeProto* node, const std::string& name, const std::vector<std::int64_t>& values) {
    auto* a = attribute(node, name, 7);
    for (const auto v : values) a->add_ints(v);
  }
  static void set(onnx_proto::NodeProto* node, const std::string& name, const std::vector<float>& values) {
    auto* a = attribute(node, name, 6);
    for (const auto v : values) a->add_floats(v);
  }
  static void set(onnx_proto::NodeProto* node, const std::string& name, const std::vector<std::string>& values) {
    auto* a = attribute(node, name, 8);
    for (const auto& v : values) a->add_strings(v);
  }

  /// The batch is an open first axis.
  void input(const std::string& name, const Shape& shape) { port(graph_->add_input(), name, shape, 1); }
  void output(const std::string& name, const Shape& shape, std::int32_t element) {
    port(graph_->add_output(), name, shape, element);
  }
  [[nodiscard]] std::string bytes() const { return model_.SerializeAsString(); }

 private:
  static onnx_proto::AttributeProto* attribute(onnx_proto::NodeProto* node, const std::string& name, int type) {
    auto* a = node->add_attribute();
    a->set_name(name);
    a->set_type(type);
    return a;
  }
  onnx_proto::TensorProto* initializer(const std::string& base, const Shape& shape, std::int32_t element) {
    auto* tensor = graph_->add_initializer();
    tensor->set_name(fresh(base));
    tensor->set_data_type(element);
    for (const auto d : shape) tensor->add_dims(d);
    return tensor;
  }
  static void port(onnx_proto::ValueInfoProto* info, const std::string& name, const Shape& shape,
                   std::int32_t element) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(element);
    type->mutable_shape()->add_dim()->set_dim_param("batch");
    for (const auto d : shape) type->mutable_shape()->add_dim()->set_dim_value(d);
  }

  onnx_proto::ModelProto model_;
  onnx_proto::GraphProto* graph_ = nullptr;
  std::uint64_t next_ = 0;
};

}  // namespace weft::formats::onnx
