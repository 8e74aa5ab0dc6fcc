// SPDX-License-Identifier: Apache-2.0
/// @file
/// Small models for the tests, written with the protobuf classes themselves.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "onnx_subset.pb.h"
#include "tests/paths/paths.h"
#include "weft/formats/onnx/importer.h"
#include "weft/formats/onnx/onnx.h"
#include "weft/formats/onnx/source.h"

namespace weft::formats::onnx {

/// A node under construction.
class TestNode {
 public:
  explicit TestNode(onnx_proto::NodeProto* node) : node_(node) {}
  TestNode& domain(const std::string& name) {
    node_->set_domain(name);
    return *this;
  }
  TestNode& named(const std::string& name) {
    node_->set_name(name);
    return *this;
  }
  TestNode& attribute(const std::string& name, std::int64_t value) {
    auto* a = add(name, 2);
    a->set_i(value);
    return *this;
  }
  TestNode& attribute(const std::string& name, float value) {
    auto* a = add(name, 1);
    a->set_f(value);
    return *this;
  }
  TestNode& attribute(const std::string& name, const char* value) { return attribute(name, std::string(value)); }
  TestNode& attribute(const std::string& name, const std::string& value) {
    auto* a = add(name, 3);
    a->set_s(value);
    return *this;
  }
  TestNode& attribute(const std::string& name, const std::vector<std::int64_t>& values) {
    auto* a = add(name, 7);
    for (const auto v : values) a->add_ints(v);
    return *this;
  }
  onnx_proto::NodeProto* proto() { return node_; }

 private:
  onnx_proto::AttributeProto* add(const std::string& name, int type) {
    auto* a = node_->add_attribute();
    a->set_name(name);
    a->set_type(type);
    return a;
  }
  onnx_proto::NodeProto* node_;
};

/// A model under construction; opset 13 unless said otherwise.
class TestModel {
 public:
  explicit TestModel(std::int64_t opset = 13) {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(opset);
    model.mutable_graph()->set_name("g");
  }
  /// -1 is a symbolic extent.
  TestModel& input(const std::string& name, const std::vector<std::int64_t>& shape, int element = 1) {
    port(model.mutable_graph()->add_input(), name, shape, element);
    return *this;
  }
  TestModel& output(const std::string& name) {
    port(model.mutable_graph()->add_output(), name, {}, 1);
    return *this;
  }
  TestNode node(const std::string& op, const std::vector<std::string>& inputs,
                const std::vector<std::string>& outputs) {
    auto* node = model.mutable_graph()->add_node();
    node->set_op_type(op);
    for (const auto& name : inputs) node->add_input(name);
    for (const auto& name : outputs) node->add_output(name);
    return TestNode(node);
  }
  onnx_proto::TensorProto* floats(const std::string& name, const std::vector<std::int64_t>& shape,
                                  const std::vector<float>& values) {
    auto* tensor = model.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(1);
    for (const auto d : shape) tensor->add_dims(d);
    std::string raw(values.size() * 4, '\0');
    if (!values.empty()) std::memcpy(raw.data(), values.data(), raw.size());
    tensor->set_raw_data(raw);
    return tensor;
  }
  onnx_proto::TensorProto* ints(const std::string& name, const std::vector<std::int64_t>& shape,
                                const std::vector<std::int64_t>& values) {
    auto* tensor = model.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(7);
    for (const auto d : shape) tensor->add_dims(d);
    for (const auto v : values) tensor->add_int64_data(v);
    return tensor;
  }
  [[nodiscard]] std::string bytes() const { return model.SerializeAsString(); }

  onnx_proto::ModelProto model;

 private:
  static void port(onnx_proto::ValueInfoProto* info, const std::string& name, const std::vector<std::int64_t>& shape,
                   int element) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(element);
    auto* dims = type->mutable_shape();
    for (const auto d : shape) {
      if (d < 0)
        dims->add_dim()->set_dim_param("N");
      else
        dims->add_dim()->set_dim_value(d);
    }
  }
};

/// What reading gave: a graph or diagnostics.
struct Read {
  std::optional<nn::Graph> graph;
  std::vector<diag::Diagnostic> diagnostics;

  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& d : diagnostics) out += diag::to_text(d) + "\n";
    return out;
  }
  [[nodiscard]] bool has(Kind kind) const {
    for (const auto& d : diagnostics) {
      if (d.kind == kind) return true;
    }
    return false;
  }
  /// "Dense:Relu1 ..." in order: operators only.
  [[nodiscard]] std::string ops() const {
    std::string out;
    if (!graph) return "(failed)";
    for (const auto& node : graph->nodes) out += (out.empty() ? "" : " ") + node.op;
    return out;
  }
  [[nodiscard]] const nn::Node& node(std::size_t i) const { return graph->nodes.at(i); }
  [[nodiscard]] const Shape& output_shape(std::size_t i = 0) const {
    return graph->at(graph->outputs.at(i).tensor).shape;
  }
};

inline Read read_bytes(const std::string& bytes) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  Read out;
  auto result = read_onnx_bytes(bytes, "test.onnx", ctx);
  if (result) out.graph = std::move(result).value();
  out.diagnostics = engine.all();
  EXPECT_EQ(out.graph.has_value(), !engine.has_errors());
  return out;
}
inline Read read_model(const TestModel& model) { return read_bytes(model.bytes()); }

inline Read read_file(const std::filesystem::path& path) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  Read out;
  auto result = read_onnx(path, ctx);
  if (result) out.graph = std::move(result).value();
  out.diagnostics = engine.all();
  EXPECT_EQ(out.graph.has_value(), !engine.has_errors()) << path;
  return out;
}

using test::data_dir;

}  // namespace weft::formats::onnx
