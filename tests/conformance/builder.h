// SPDX-License-Identifier: Apache-2.0
/// @file
/// Chains of layers with seeded random parameters, from which the table's rows are built.
#pragma once

#include "cases.h"
#include "weft/exact/random_graph.h"

namespace weft::conformance {

using exact::Random;
using quantizers::Spec;

/// FNV-1a of the name: the same parameters on every platform.
inline std::uint64_t seed_of(const std::string& name) {
  std::uint64_t h = 14695981039346656037ULL;
  for (const unsigned char c : name) h = (h ^ c) * 1099511628211ULL;
  return h;
}

/// Builds chains of layers with seeded random parameters.
class Builder {
 public:
  Builder(std::string name, const Shape& input, const std::string& input_type) : random_(seed_of(name)) {
    graph_.name = std::move(name);
    graph_.file = graph_.name;
    last_ = graph_.add_tensor("x", input);
    graph_.inputs = {{"x", last_}};
    std::string error;
    options_.input_types[""] = fixed::parse_type(input_type, true, error).value();
  }

  static Spec spec(const std::string& family, AttributeMap parameters) {
    const auto* row = quantizers::find_family(family);
    WEFT_CHECK(row != nullptr, "no family " + family);
    Spec out{family, row->defaults};
    for (auto& [key, value] : parameters) out.parameters[key] = value;
    return out;
  }
  static Spec bits(std::int64_t n, std::int64_t integer) {
    return spec("quantized_bits", {{"bits", n}, {"integer", integer}, {"alpha", 1.0}});
  }
  static Spec relu_bits(std::int64_t n, std::int64_t integer) {
    return spec("quantized_relu", {{"bits", n}, {"integer", integer}});
  }

  std::vector<float> numbers(std::size_t n, double lo, double hi) {
    std::vector<float> out(n);
    for (auto& v : out)
      v = static_cast<float>(lo + (hi - lo) * static_cast<double>(random_.between(0, 1 << 20)) / (1 << 20));
    return out;
  }
  FloatTensor tensor(const Shape& shape, double lo, double hi) {
    return {shape, numbers(static_cast<std::size_t>(element_count(shape)), lo, hi)};
  }

  nn::Node& node(const std::string& op, const std::string& name) {
    nn::Node node;
    node.name = name;
    node.op = op;
    node.origin = {graph_.file, name, op, ""};
    node.inputs = {last_};
    last_ = graph_.add_tensor(name, {});
    node.outputs = {last_};
    graph_.nodes.push_back(std::move(node));
    return graph_.nodes.back();
  }
  nn::Node& dense(const std::string& name, std::int64_t in, std::int64_t out, const Spec* quantizer,
                  const Spec* bias_quantizer = nullptr) {
    auto& n = node("Dense", name);
    n.parameters["kernel"].values = tensor({in, out}, -1.0, 1.0);
    if (quantizer != nullptr) n.parameters["kernel"].quantizer = *quantizer;
    n.parameters["bias"].values = tensor({out}, -0.5, 0.5);
    if (quantizer != nullptr) n.parameters["bias"].quantizer = bias_quantizer != nullptr ? *bias_quantizer : *quantizer;
    return n;
  }
  nn::Node& activation(const std::string& name, const Spec& function) {
    auto& n = node("Activation", name);
    n.functions["activation"] = function;
    return n;
  }
  nn::Graph& graph() { return graph_; }
  lower::Options& options() { return options_; }
  [[nodiscard]] nn::TensorId last() const { return last_; }
  void set_last(nn::TensorId id) { last_ = id; }

  Case done(layers::Word word) {
    graph_.outputs = {{"y", last_}};
    return {graph_.name, std::move(graph_), std::move(options_), word};
  }

 private:
  Random random_;
  nn::Graph graph_;
  lower::Options options_;
  nn::TensorId last_;
};

}  // namespace weft::conformance
