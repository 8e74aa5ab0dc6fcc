// SPDX-License-Identifier: Apache-2.0
// Walks the graph from its outputs; calls of functions are walked in place.
#include "weft/formats/tensorflow/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "weft/layers/layer.h"

namespace weft::formats::tensorflow {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::uint64_t kMaxNodes = 1 << 18;
constexpr std::uint64_t kMaxConstantElements = std::uint64_t{1} << 28;

struct Reference {
  std::string node;
  std::size_t index = 0;
};

/// "node", "node:1" and, in functions, "node:output:1".
Reference parse_reference(const std::string& text) {
  Reference out;
  const auto colon = text.find(':');
  out.node = text.substr(0, colon);
  if (colon == std::string::npos) return out;
  const auto last = text.rfind(':');
  std::from_chars(text.data() + last + 1, text.data() + text.size(), out.index);
  return out;
}

/// One text per tensor: "node" is "node:0".
std::string key_of(const std::string& reference) {
  const auto r = parse_reference(reference);
  return fmt::format("{}:{}", r.node, r.index);
}

bool is_control(const std::string& input) { return !input.empty() && input[0] == '^'; }

bool is_call(const NodeDef& node) { return node.op == "PartitionedCall" || node.op == "StatefulPartitionedCall"; }

class Importer {
 public:
  Importer(const GraphDef& source, const Variables& variables, const std::string& file, Context& ctx)
      : source_(source), variables_(variables), ctx_(ctx) {
    builder_.graph.file = file;
    builder_.graph.name = file.substr(0, file.rfind('.'));
    builder_.graph.framework = nn::Framework::Keras;
  }

  Result<nn::Graph> run(const Signature& signature);

 private:
  using Values = std::unordered_map<std::string, std::vector<Value>>;
  /// Values of `wanted` tensors of a body, whose arguments are in `values` already.
  Result<std::vector<Value>> run_body(const std::vector<NodeDef>& nodes, Values values,
                                      const std::vector<std::string>& wanted, const std::string& prefix, int depth);
  Result<std::vector<std::size_t>> order(const std::vector<NodeDef>& nodes, const Values& known,
                                         const std::vector<std::string>& wanted, const std::string& prefix);
  Result<void> run_node(const NodeDef& node, Values& values, const std::map<std::string, std::size_t>& uses,
                        const std::string& prefix, int depth);
  Result<Value> value(const std::string& reference, const Values& values, const Origin& origin) const;

  const GraphDef& source_;
  const Variables& variables_;
  Context& ctx_;
  Builder builder_;
};

Result<std::vector<std::size_t>> Importer::order(const std::vector<NodeDef>& nodes, const Values& known,
                                                 const std::vector<std::string>& wanted, const std::string& prefix) {
  std::unordered_map<std::string, std::size_t> by_name;
  for (std::size_t i = 0; i < nodes.size(); ++i) by_name.emplace(nodes[i].name, i);
  std::vector<std::size_t> out;
  std::vector<char> state(nodes.size(), 0);  // 1: open, 2: done
  std::vector<std::pair<std::size_t, std::size_t>> stack;
  const auto push = [&](const std::string& reference) -> Result<void> {
    const auto name = parse_reference(reference).node;
    if (known.count(name) != 0) return {};
    const auto found = by_name.find(name);
    if (found == by_name.end())
      return ctx_.fail(Kind::ModelMalformed, {.file = builder_.graph.file, .node = prefix + name},
                       fmt::format("tensor `{}` is used but nothing makes it", reference));
    if (state[found->second] == 1)
      return ctx_.fail(Kind::LayerUnsupported, {.file = builder_.graph.file, .node = prefix + name},
                       "the graph has a loop, which is not read");
    if (state[found->second] == 0) {
      state[found->second] = 1;
      stack.emplace_back(found->second, 0);
    }
    return {};
  };
  for (const auto& reference : wanted) {
    WEFT_TRY_VOID(push(reference));
    while (!stack.empty()) {
      const auto [index, next] = stack.back();
      if (next == nodes[index].inputs.size()) {
        state[index] = 2;
        out.push_back(index);
        stack.pop_back();
        continue;
      }
      ++stack.back().second;
      const auto& input = nodes[index].inputs[next];
      if (!is_control(input)) WEFT_TRY_VOID(push(input));
    }
  }
  return out;
}

Result<Value> Importer::value(const std::string& reference, const Values& values, const Origin& origin) const {
  const auto r = parse_reference(reference);
  const auto found = values.find(r.node);
  if (found == values.end() || r.index >= found->second.size())
    return ctx_.fail(Kind::ModelMalformed, origin, fmt::format("tensor `{}` is used but nothing makes it", reference));
  return found->second[r.index];
}

Result<void> Importer::run_node(const NodeDef& node, Values& values, const std::map<std::string, std::size_t>& uses,
                                const std::string& prefix, int depth) {
  Origin origin{.file = builder_.graph.file, .node = prefix + node.name, .op = node.op, .tensor = node.name};
  if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, origin, "the run was interrupted");
  if (++builder_.nodes_run > kMaxNodes)
    return ctx_.fail(Kind::LimitExceeded, origin, "the functions of the graph unfold to too many nodes");
  std::vector<Value> inputs;
  for (const auto& input : node.inputs) {
    if (is_control(input)) continue;
    WEFT_TRY(auto v, value(input, values, origin));
    const auto used = uses.find(key_of(input));
    v.shared = v.shared || (used != uses.end() && used->second > 1);
    inputs.push_back(std::move(v));
  }
  std::vector<Value> outputs;
  if (is_call(node)) {
    const auto name = function_attribute(node, "f");
    const auto function = name ? source_.functions.find(*name) : source_.functions.end();
    if (function == source_.functions.end() || depth >= kMaxDepth || inputs.size() != function->second.arguments.size())
      return ctx_.fail(Kind::ModelMalformed, origin, "the call of a function does not fit any, or calls itself");
    Values arguments;
    for (std::size_t i = 0; i < inputs.size(); ++i) arguments[function->second.arguments[i]] = {inputs[i]};
    std::vector<std::string> wanted;
    for (const auto& result : function->second.results) {
      const auto it = function->second.returns.find(result);
      if (it == function->second.returns.end())
        return ctx_.fail(Kind::ModelMalformed, origin, fmt::format("function `{}` gives no `{}`", *name, result));
      wanted.push_back(it->second);
    }
    // Names of calls say little: the layer's name is in front of them.
    std::string scope = node.name;
    for (const auto* plain : {"StatefulPartitionedCall", "PartitionedCall"})
      if (const auto at = scope.find(plain); at != std::string::npos && (at == 0 || scope[at - 1] == '/'))
        scope.erase(at);
    while (scope.ends_with('/')) scope.pop_back();
    WEFT_TRY(outputs, run_body(function->second.nodes, std::move(arguments), wanted,
                               scope.empty() ? prefix : prefix + scope + "/", depth + 1));
  } else if (node.op == "VarHandleOp") {
    Value v;
    v.variable = text_attribute(node, "shared_name").value_or("");
    if (v.variable.empty()) v.variable = node.name;
    outputs = {v};
  } else if (node.op == "ReadVariableOp") {
    if (inputs.size() != 1 || (inputs[0].variable.empty() && !inputs[0].constant))
      return ctx_.fail(Kind::ModelMalformed, origin, "there is no variable to read");
    Value v = inputs[0];
    if (!v.constant) {
      WEFT_TRY(v.constant, variables_.read(v.variable, origin, ctx_));
    }
    v.variable.clear();
    outputs = {v};
  } else if (node.op == "Const") {
    const auto bytes = tensor_attribute(node, "value");
    auto tensor = bytes ? read_tensor(*bytes, kMaxConstantElements - builder_.constant_elements) : std::nullopt;
    if (!tensor) return ctx_.fail(Kind::ModelMalformed, origin, "the constant is damaged or too large");
    builder_.constant_elements += static_cast<std::uint64_t>(element_count(tensor->shape));
    Value v;
    v.constant = std::make_shared<const TensorValue>(std::move(*tensor));
    outputs = {v};
  } else {
    const auto row = operators().find(node.op);
    if (row == operators().end())
      return ctx_.fail(Kind::LayerUnsupported, origin,
                       fmt::format("operator {} is not supported; run `weft ops` for those that are", node.op));
    const std::string name = builder_.unique_name(prefix + node.name);
    origin.node = name;
    const Call call{ctx_, builder_, node, name, origin, std::move(inputs), outputs};
    WEFT_TRY_VOID(row->second.read(call));
  }
  values[node.name] = std::move(outputs);
  return {};
}

Result<std::vector<Value>> Importer::run_body(const std::vector<NodeDef>& nodes, Values values,
                                              const std::vector<std::string>& wanted, const std::string& prefix,
                                              int depth) {
  WEFT_TRY(const auto list, order(nodes, values, wanted, prefix));
  std::map<std::string, std::size_t> uses;
  for (const auto index : list)
    for (const auto& input : nodes[index].inputs) ++uses[key_of(input)];
  for (const auto& reference : wanted) ++uses[key_of(reference)];
  for (const auto index : list) {
    if (values.count(nodes[index].name) != 0) continue;
    WEFT_TRY_VOID(run_node(nodes[index], values, uses, prefix, depth));
  }
  std::vector<Value> out;
  for (const auto& reference : wanted) {
    WEFT_TRY(auto v, value(reference, values, {.file = builder_.graph.file, .node = prefix + reference}));
    v.shared = v.shared || uses[key_of(reference)] > 1;
    out.push_back(std::move(v));
  }
  return out;
}

Result<nn::Graph> Importer::run(const Signature& signature) {
  std::unordered_map<std::string, const NodeDef*> by_name;
  for (const auto& node : source_.nodes) by_name.emplace(node.name, &node);
  Values values;
  for (const auto& [key, tensor] : signature.inputs) {
    const auto r = parse_reference(tensor);
    const Origin origin{.file = builder_.graph.file, .node = r.node, .tensor = key};
    const auto found = by_name.find(r.node);
    if (found == by_name.end() || r.index != 0)
      return ctx_.fail(Kind::ModelMalformed, origin, fmt::format("input `{}` is not in the graph", key));
    auto shape = shape_attribute(*found->second, "shape");
    if (!shape || shape->empty())
      return ctx_.fail(Kind::ShapeMismatch, origin,
                       fmt::format("input `{}` has an unknown shape; save the model with fixed shapes", key));
    if (type_attribute(*found->second, "dtype").value_or(1) != 1)
      return ctx_.fail(Kind::LayerUnsupported, origin, fmt::format("input `{}` is not float32", key));
    if ((*shape)[0] > 1)
      return ctx_.fail(
          Kind::LayerUnsupported, origin,
          fmt::format("input `{}` has the fixed batch {}; save the model with a free batch", key, (*shape)[0]));
    shape->erase(shape->begin());
    std::int64_t elements = 1;
    for (const auto d : *shape) {
      if (d < 1 || elements > (std::int64_t{1} << 32) / d)
        return ctx_.fail(
            Kind::ShapeMismatch, origin,
            fmt::format("input `{}` has an unknown or impossible extent; save the model with fixed shapes", key));
      elements *= d;
    }
    const auto id = builder_.graph.add_tensor(key, *shape);
    builder_.graph.inputs.push_back({key, id});
    Value v;
    v.tensor = id;
    values[r.node] = {v};
  }
  std::vector<std::string> wanted;
  for (const auto& [key, tensor] : signature.outputs) wanted.push_back(tensor);
  WEFT_TRY(const auto results, run_body(source_.nodes, std::move(values), wanted, "", 0));
  std::size_t i = 0;
  for (const auto& [key, tensor] : signature.outputs) {
    const auto& v = results[i++];
    if (!v.tensor)
      return ctx_.fail(Kind::LayerUnsupported, {.file = builder_.graph.file, .tensor = key},
                       fmt::format("output `{}` does not depend on the inputs", key));
    builder_.graph.outputs.push_back({key, *v.tensor});
  }
  return std::move(builder_.graph);
}

}  // namespace

std::string Builder::unique_name(const std::string& wanted) {
  std::string name = wanted;
  for (int i = 1; !names.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
  return name;
}

Result<ConstantPtr> Call::constant(std::size_t i, const std::string& what) const {
  if (i >= inputs.size()) return fail(Kind::ModelMalformed, fmt::format("{} is missing", what));
  if (!inputs[i].constant) return fail(Kind::LayerUnsupported, fmt::format("{} must be constant", what));
  return inputs[i].constant;
}

Result<std::vector<std::int64_t>> Call::integers(std::size_t i, const std::string& what) const {
  WEFT_TRY(const auto c, constant(i, what));
  if (!c->reals.empty()) return fail(Kind::ModelMalformed, fmt::format("{} must be integers", what));
  return c->integers;
}

Result<FloatTensor> Call::reals(std::size_t i, const std::string& what) const {
  WEFT_TRY(const auto c, constant(i, what));
  if (c->reals.size() != static_cast<std::size_t>(element_count(c->shape)))
    return fail(Kind::LayerUnsupported, fmt::format("{} must be floats", what));
  return FloatTensor(c->shape, c->reals);
}

Result<nn::TensorId> Call::data(std::size_t i) const {
  if (i >= inputs.size()) return fail(Kind::ModelMalformed, fmt::format("input {} is missing", i));
  if (!inputs[i].tensor)
    return fail(Kind::LayerUnsupported, fmt::format("input {} is not computed from the model's inputs", i));
  return *inputs[i].tensor;
}

Result<std::int64_t> Call::sample_axis(std::int64_t axis, std::size_t sample_rank) const {
  const auto rank = static_cast<std::int64_t>(sample_rank) + 1;
  if (axis < -rank || axis >= rank) return fail(Kind::ModelMalformed, fmt::format("axis {} of {}", axis, rank));
  if (axis < 0) axis += rank;
  if (axis == 0) return fail(Kind::LayerUnsupported, "the batch cannot be moved, joined or summed");
  return axis - 1;
}

Result<void> Call::require_channels_last() const {
  const auto format = text_attribute(node, "data_format").value_or("NHWC");
  if (format == "NHWC") return {};
  return fail(Kind::AttributeUnsupported, fmt::format("data_format {}; only NHWC is read", format));
}

void Call::set(nn::TensorId tensor, std::size_t i) const {
  if (outputs.size() <= i) outputs.resize(i + 1);
  outputs[i].tensor = tensor;
}

void Call::set(TensorValue constant, std::size_t i) const {
  if (outputs.size() <= i) outputs.resize(i + 1);
  outputs[i].constant = std::make_shared<const TensorValue>(std::move(constant));
}

Result<void> Call::add(LayerDraft draft) const {
  nn::Node layer;
  layer.name = layer_name;
  layer.op = std::move(draft.op);
  layer.attributes = std::move(draft.attributes);
  layer.inputs = std::move(draft.inputs);
  layer.parameters = std::move(draft.parameters);
  layer.functions = std::move(draft.functions);
  layer.origin = origin;
  const auto id = builder.graph.add_tensor(layer_name, {});
  layer.outputs = {id};
  // Later operators need the shape.
  const auto* row = layers::find_layer(layer.op);
  WEFT_CHECK(row != nullptr, "a layer without a row");
  WEFT_TRY(builder.graph.tensors[id.index].shape, row->infer_shape(builder.graph, layer, ctx));
  builder.graph.nodes.push_back(std::move(layer));
  set(id);
  return {};
}

const std::map<std::string, Operator, std::less<>>& operators() {
  static const auto all = [] {
    std::map<std::string, Operator, std::less<>> out;
    for (const auto& list : {layer_operators(), movement_operators(), arithmetic_operators()})
      for (const auto& row : list) out.emplace(row.name, row);
    return out;
  }();
  return all;
}

Result<nn::Graph> import_graph(const GraphDef& source, const Signature& signature, const Variables& variables,
                               const std::string& file, Context& ctx) {
  Importer importer(source, variables, file, ctx);
  return importer.run(signature);
}

}  // namespace weft::formats::tensorflow
