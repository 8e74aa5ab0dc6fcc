// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <set>
#include <unordered_map>

#include "weft/formats/onnx/attempt.h"
#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx {
namespace {

constexpr std::size_t kMaxErrors = 50;
constexpr std::int64_t kMinOpset = 6;
constexpr std::int64_t kMaxOpset = 28;

class Importer {
 public:
  Importer(const SourceModel& source, Context& ctx, bool whole = false) : source_(source), ctx_(ctx) {
    builder_.whole = whole;
  }

  Result<void> prepare();
  Result<std::set<std::string>> inputs_with_time_first();
  Result<void> add_inputs();
  void set_input(const std::string& name, Constant value) { values_[name] = Value(std::move(value)); }
  Result<void> run();
  Result<nn::Graph> finish();
  Result<std::vector<Constant>> constants();
  [[nodiscard]] bool samples_moved() const { return samples_moved_; }

 private:
  Origin origin_of(std::size_t node) const;
  Result<void> find_producers();
  Result<void> find_needed();
  Result<void> sort();
  Result<void> check_operators();
  void name_layers();
  Result<void> run_node(std::size_t node);
  Result<Value> input_value(const std::string& name, const Origin& origin);
  Result<void> check_output(const Value& value, const Origin& origin) const;
  Result<std::int64_t> opset_for(const NodeHead& node, const Origin& origin) const;
  /// For layers at the ports of the graph, where no node of the file stands.
  Call port_call(const NodeHead& head, const std::string& name, const Origin& origin) {
    return {.ctx = ctx_,
            .builder = builder_,
            .node = head,
            .layer_name = name,
            .origin = origin,
            .attributes = {},
            .inputs = {}};
  }

  const SourceModel& source_;
  Context& ctx_;
  Builder builder_;
  std::unordered_map<std::string, std::size_t> producers_;  ///< looked up only, never iterated
  std::unordered_map<std::string, Value> values_;
  std::unordered_map<std::string, std::size_t> uses_;  ///< consumers not yet run
  std::vector<bool> needed_;
  std::vector<std::size_t> order_;
  std::vector<std::string> layer_names_;
  bool samples_moved_ = false;
};

std::string first_output(const NodeHead& node) {
  for (const auto& name : node.outputs) {
    if (!name.empty()) return name;
  }
  return {};
}

Origin Importer::origin_of(std::size_t node) const {
  const NodeHead& head = source_.nodes()[node];
  const std::string name = layer_names_.empty() ? head.name : layer_names_[node];
  return {.file = source_.file(), .node = name, .op = head.op_type, .tensor = first_output(head)};
}

Result<void> Importer::find_producers() {
  for (const auto& port : source_.inputs()) {
    if (!producers_.emplace(port.name, std::numeric_limits<std::size_t>::max()).second) {
      return ctx_.fail(Kind::ModelMalformed, {.file = source_.file(), .tensor = port.name},
                       fmt::format("graph input `{}` is declared twice", port.name));
    }
  }
  for (std::size_t n = 0; n < source_.nodes().size(); ++n) {
    for (const auto& name : source_.nodes()[n].outputs) {
      if (name.empty()) continue;
      if (!producers_.emplace(name, n).second || source_.has_initializer(name) ||
          source_.has_sparse_initializer(name)) {
        return ctx_.fail(Kind::ModelMalformed, origin_of(n), fmt::format("tensor `{}` is made twice", name));
      }
    }
  }
  return {};
}

/// Marks the nodes that the graph outputs depend on. The others are never run by ONNX either.
Result<void> Importer::find_needed() {
  needed_.assign(source_.nodes().size(), false);
  std::vector<std::size_t> stack;
  bool ok = true;
  const auto need = [&](const std::string& name, const Origin& origin) {
    const auto found = producers_.find(name);
    if (found != producers_.end()) {
      const std::size_t n = found->second;
      if (n < needed_.size() && !needed_[n]) {
        needed_[n] = true;
        stack.push_back(n);
      }
      return;
    }
    if (source_.has_initializer(name)) return;
    ok = false;
    const bool sparse = source_.has_sparse_initializer(name);
    if (ctx_.diag.error_count() >= kMaxErrors) return;
    ctx_.report(sparse ? Kind::LayerUnsupported : Kind::ModelMalformed, origin,
                sparse ? fmt::format("tensor `{}` is a sparse initializer; save it dense", name)
                       : fmt::format("tensor `{}` is used but nothing in the file makes it", name));
  };
  if (source_.outputs().empty()) {
    return ctx_.fail(Kind::ModelMalformed, {.file = source_.file()}, "the graph has no output");
  }
  std::set<std::string> seen;
  for (const auto& name : source_.outputs()) {
    if (!seen.insert(name).second) {
      return ctx_.fail(Kind::ModelMalformed, {.file = source_.file(), .tensor = name},
                       fmt::format("graph output `{}` is declared twice", name));
    }
    ++uses_[name];
    need(name, {.file = source_.file(), .tensor = name});
  }
  while (!stack.empty()) {
    const std::size_t n = stack.back();
    stack.pop_back();
    for (const auto& name : source_.nodes()[n].inputs) {
      if (name.empty()) continue;
      ++uses_[name];
      need(name, origin_of(n));
    }
  }
  if (!ok) return diag::failure;
  const auto unused = std::count(needed_.begin(), needed_.end(), false);
  if (unused != 0) {
    ctx_.report(Kind::Info, {.file = source_.file()},
                fmt::format("{} nodes that no graph output depends on were left out", unused));
  }
  return {};
}

/// Topological order; among nodes that are ready, the order of the file.
Result<void> Importer::sort() {
  const auto& nodes = source_.nodes();
  std::vector<std::size_t> waiting(nodes.size(), 0);
  std::vector<std::vector<std::size_t>> followers(nodes.size());
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  std::size_t total = 0;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (!needed_[n]) continue;
    ++total;
    for (const auto& name : nodes[n].inputs) {
      const auto found = producers_.find(name);
      if (found == producers_.end() || found->second >= nodes.size()) continue;
      followers[found->second].push_back(n);
      ++waiting[n];
    }
    if (waiting[n] == 0) ready.push(n);
  }
  while (!ready.empty()) {
    const std::size_t n = ready.top();
    ready.pop();
    order_.push_back(n);
    for (const auto next : followers[n]) {
      if (--waiting[next] == 0) ready.push(next);
    }
  }
  if (order_.size() == total) return {};
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (needed_[n] && waiting[n] != 0) {
      return ctx_.fail(Kind::ModelMalformed, origin_of(n), "the graph has a cycle: this node needs its own output");
    }
  }
  WEFT_CHECK(false, "nodes are missing from the order without a cycle");
  return {};
}

Result<std::int64_t> Importer::opset_for(const NodeHead& node, const Origin& origin) const {
  const auto version = source_.opset("");
  if (version && (*version < kMinOpset || *version > kMaxOpset)) {
    return ctx_.fail(
        Kind::LayerUnsupported, origin,
        fmt::format("operator set version {} is not read; {} to {} are. Convert the model with ONNX's version "
                    "converter",
                    *version, kMinOpset, kMaxOpset));
  }
  // Custom operators follow the standard set where they borrow its operators; old writers leave imports out.
  if (!version && node.domain.empty()) {
    return ctx_.fail(Kind::ModelMalformed, origin,
                     "the model does not say which version of the standard operators it uses");
  }
  return version.value_or(kMaxOpset);
}

/// What to tell about well-known operators without a row; nullptr for the rest.
const char* why_not(const NodeHead& node) {
  if (node.domain.rfind("finn.custom_op.fpgadataflow", 0) == 0) {
    return "these are hardware layers that FINN has built already; give the model from before that step";
  }
  if (node.op_type == "DynamicQuantizeLinear")
    return "its scale is computed from the data, which no hardware does; quantize statically";
  if (node.op_type == "MaxUnpool" || node.op_type == "MaxRoiPool")
    return "it places elements by indices that depend on the data";
  if (node.op_type == "If" || node.op_type == "Loop" || node.op_type == "Scan") {
    return "operators with graphs inside are not read; simplify the model before";
  }
  if (node.op_type.rfind("QLinear", 0) == 0 || node.op_type.find("Integer") != std::string::npos) {
    return "this operator on integers is not read; export with QuantizeLinear and DequantizeLinear pairs";
  }
  return nullptr;
}

/// Reports every operator that has no row in the table, once with a count.
Result<void> Importer::check_operators() {
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> unknown;
  for (const auto n : order_) {
    const NodeHead& node = source_.nodes()[n];
    if (find_operator(node.op_type, node.domain) == nullptr) unknown[{node.domain, node.op_type}].push_back(n);
  }
  if (order_.empty()) return {};
  WEFT_TRY_VOID(opset_for(source_.nodes()[order_.front()], {.file = source_.file()}));
  std::vector<std::pair<std::size_t, std::size_t>> rows;  // first node, count
  for (const auto& [key, nodes] : unknown) rows.emplace_back(nodes.front(), nodes.size());
  std::sort(rows.begin(), rows.end());
  for (std::size_t i = 0; i < rows.size() && i < kMaxErrors; ++i) {
    const NodeHead& node = source_.nodes()[rows[i].first];
    std::vector<std::string> notes;
    if (rows[i].second > 1) notes.push_back(fmt::format("{} nodes use it", rows[i].second));
    if (const auto* reason = why_not(node)) notes.emplace_back(reason);
    const Operator* elsewhere = nullptr;
    for (const auto& row : operator_table()) {
      if (row.name == node.op_type) elsewhere = &row;
    }
    if (elsewhere != nullptr)
      notes.push_back(fmt::format("it is read from operator set `{}`", domain_names(elsewhere->domains).front()));
    ctx_.report(Kind::LayerUnsupported, origin_of(rows[i].first),
                fmt::format("operator `{}` of operator set `{}` is not supported", node.op_type,
                            node.domain.empty() ? "ai.onnx" : node.domain),
                std::move(notes));
  }
  if (!rows.empty()) return diag::failure;
  return {};
}

/// The nodes' own names; unnamed and repeated ones get the name of what they make.
void Importer::name_layers() {
  std::vector<std::string> names(source_.nodes().size());
  for (const auto n : order_) {
    const NodeHead& node = source_.nodes()[n];
    if (!node.name.empty() && builder_.names.insert(node.name).second) names[n] = node.name;
  }
  for (const auto n : order_) {
    const NodeHead& node = source_.nodes()[n];
    if (!names[n].empty()) continue;
    names[n] =
        builder_.unique_name(fmt::format("{}_{}", node.name.empty() ? node.op_type : node.name, first_output(node)));
  }
  layer_names_ = std::move(names);
}

Result<void> Importer::prepare() {
  WEFT_TRY_VOID(find_producers());
  WEFT_TRY_VOID(find_needed());
  WEFT_TRY_VOID(sort());
  name_layers();
  return check_operators();
}

/// Graph inputs that a recurrent operator reads as [time, batch, features] or [directions, batch, units].
Result<std::set<std::string>> Importer::inputs_with_time_first() {
  std::set<std::string> out;
  for (const auto n : order_) {
    const NodeHead& node = source_.nodes()[n];
    if (node.op_type != "RNN" && node.op_type != "LSTM" && node.op_type != "GRU") continue;
    WEFT_TRY(const auto attributes, source_.attributes(n, origin_of(n), ctx_));
    const auto layout = attributes.find("layout");
    if (layout != attributes.end() && layout->second.i == 1) continue;
    for (const std::size_t i : {0, 5, 6})
      if (i < node.inputs.size() && !node.inputs[i].empty()) out.insert(node.inputs[i]);
  }
  return out;
}

Result<void> Importer::add_inputs() {
  builder_.graph.name = source_.graph_name();
  builder_.graph.file = source_.file();
  builder_.graph.framework = nn::Framework::Onnx;
  std::optional<std::int64_t> batch;
  WEFT_TRY(const auto time_first, inputs_with_time_first());
  if (builder_.whole) batch = 1;
  for (const auto& port : source_.inputs()) {
    const std::size_t axis = time_first.count(port.name) != 0 ? 1 : 0;
    const Origin origin{.file = source_.file(), .tensor = port.name};
    const auto fail = [&](Kind kind, const std::string& what) {
      return ctx_.fail(kind, origin, fmt::format("graph input `{}` {}", port.name, what));
    };
    const auto element = element_from_number(port.element_number);
    if (!element)
      return fail(Kind::AttributeUnsupported,
                  fmt::format("holds {}; floats and integers are supported", element_name(port.element_number)));
    if (*element == Element::Float64)
      ctx_.report(Kind::Info, origin,
                  fmt::format("graph input `{}` holds float64; it is computed in float32", port.name));
    if (!port.has_shape)
      return fail(Kind::ShapeMismatch, "has no shape; give it one with a fixed extent for every axis but the batch");
    if (port.shape.empty() && !builder_.whole)
      return fail(Kind::ShapeMismatch, "is a single number without a batch axis");
    if (port.shape.size() > kMaxRank) return fail(Kind::LimitExceeded, fmt::format("has {} axes", port.shape.size()));
    if (port.shape.size() <= axis && !builder_.whole) return fail(Kind::ShapeMismatch, "has no batch axis");
    for (std::size_t d = 0; d < port.shape.size(); ++d) {
      if ((d != axis || builder_.whole) && port.shape[d] < 1) {
        return fail(Kind::ShapeMismatch,
                    fmt::format("has no fixed extent at axis {}; only the batch (axis {}) may be open", d, axis));
      }
    }
    if (builder_.whole) continue;
    // 0 and below also stand for "open" in old files.
    const auto extent = port.shape[axis];
    if (extent < 1) continue;
    if (batch && *batch != extent) {
      return fail(
          Kind::ShapeMismatch,
          fmt::format("has the batch {}, another input {}; axis 0 of every input is the batch", extent, *batch));
    }
    batch = extent;
  }
  builder_.batch = batch.value_or(1);
  builder_.batch_is_fixed = batch.has_value();
  for (const auto& port : source_.inputs()) {
    Dynamic x;
    x.shape = port.shape;
    if (builder_.whole) {
      if (x.shape.empty() || x.shape.front() != 1) x.batch_axis = -1;
    } else {
      x.batch_axis = time_first.count(port.name) != 0 ? 1 : 0;
      x.shape[static_cast<std::size_t>(x.batch_axis)] = builder_.batch;
    }
    x.element = *element_from_number(port.element_number);
    if (x.element == Element::Float64) x.element = Element::Float32;
    if (!checked_count(x.shape, kMaxExtentProduct) || !checked_count(x.sample_shape(), ctx_.limits.tensor_elements)) {
      return ctx_.fail(
          Kind::LimitExceeded, {.file = source_.file(), .tensor = port.name},
          fmt::format("graph input `{}` has more than {} elements", port.name, ctx_.limits.tensor_elements));
    }
    x.tensor = builder_.graph.add_tensor(port.name, x.sample_shape());
    builder_.graph.inputs.push_back({port.name, x.tensor});
    if (is_half(x.element)) {
      const std::string name = builder_.unique_name(port.name + "_single");
      const NodeHead head{.name = name, .op_type = "", .domain = "", .inputs = {port.name}};
      const Origin origin{.file = source_.file(), .node = name, .op = "Identity", .tensor = name};
      const Call call = port_call(head, name, origin);
      WEFT_TRY(x, call.as_single(x, x.element));
    }
    values_[port.name] = Value(std::move(x));
  }
  return {};
}

Result<Value> Importer::input_value(const std::string& name, const Origin& origin) {
  const auto found = values_.find(name);
  if (found != values_.end()) {
    if (!found->second.present()) {
      return ctx_.fail(
          Kind::LayerUnsupported, origin,
          fmt::format("`{}` is a secondary output that is not supported (values of TopK, a mask, statistics)", name));
    }
    return found->second;
  }
  Result<Constant> decoded = source_.initializer(name, ctx_);
  if (!decoded) return diag::failure;
  // Numbers of both widths are held as float32 and meet as such.
  if (decoded->element == Element::Float64) decoded->element = Element::Float32;
  Value value(std::move(decoded).value());
  values_[name] = value;
  return value;
}

Result<void> Importer::check_output(const Value& value, const Origin& origin) const {
  if (!value.present()) return {};
  const Shape& shape = value.constant ? value.constant->shape : value.dynamic->shape;
  if (shape.size() > kMaxRank || !checked_count(shape, kMaxExtentProduct)) {
    return ctx_.fail(Kind::LimitExceeded, origin,
                     fmt::format("the output has {} axes or too many elements", shape.size()));
  }
  return {};
}

Result<void> Importer::run_node(std::size_t n) {
  const NodeHead& node = source_.nodes()[n];
  const Origin origin = origin_of(n);
  const Operator* row = find_operator(node.op_type, node.domain);
  WEFT_CHECK(row != nullptr, "operators are checked before they run");
  WEFT_TRY(const std::int64_t opset, opset_for(node, origin));
  WEFT_TRY(SourceAttributes attributes, source_.attributes(n, origin, ctx_));
  bool ok = true;
  for (const auto& [name, value] : attributes) {
    if (std::find(row->attributes.begin(), row->attributes.end(), name) != row->attributes.end()) continue;
    ok = false;
    ctx_.report(Kind::AttributeUnknown, origin,
                fmt::format("attribute `{}` of operator `{}` is not known", name, node.op_type));
  }
  std::size_t given = node.inputs.size();
  while (given > 0 && node.inputs[given - 1].empty()) --given;
  if (given < row->min_inputs || given > row->max_inputs) {
    return ctx_.fail(
        Kind::ModelMalformed, origin,
        fmt::format("has {} inputs; operator `{}` takes {}", given, node.op_type,
                    row->min_inputs == row->max_inputs ? fmt::format("{}", row->min_inputs)
                                                       : fmt::format("{} to {}", row->min_inputs, row->max_inputs)));
  }
  if (!ok) return diag::failure;
  Call call{.ctx = ctx_,
            .builder = builder_,
            .node = node,
            .layer_name = layer_names_[n],
            .origin = origin,
            .opset = opset,
            .attributes = std::move(attributes),
            .inputs = {}};
  for (const auto& name : node.outputs) {
    const auto found = uses_.find(name);
    call.used.push_back(!name.empty() && found != uses_.end() && found->second != 0);
  }
  for (std::size_t i = 0; i < given; ++i) {
    if (node.inputs[i].empty()) {
      call.inputs.emplace_back();
      continue;
    }
    WEFT_TRY(Value value, input_value(node.inputs[i], origin));
    call.inputs.push_back(std::move(value));
  }
  // Numbers of half precision are float32 numbers where they meet data.
  for (auto& input : call.inputs) {
    if (call.all_constant() || !input.constant || !is_half(input.constant->element)) continue;
    Constant single = *input.constant;
    single.element = Element::Float32;
    input = Value(std::move(single));
  }
  WEFT_TRY_VOID(settle_integers(call));
  WEFT_TRY(Values results, call_operator(*row, call));
  results.resize(std::max(results.size(), node.outputs.size()));
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    WEFT_TRY_VOID(check_output(results[i], origin));
    if (!node.outputs[i].empty()) values_[node.outputs[i]] = std::move(results[i]);
  }
  return {};
}

Result<void> Importer::run() {
  std::unordered_map<std::string, bool> poisoned;  // outputs of nodes that failed; looked up only
  std::size_t failures = 0;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const std::size_t n = order_[i];
    const NodeHead& node = source_.nodes()[n];
    if (ctx_.cancelled())
      return ctx_.fail(Kind::Cancelled, {.file = source_.file()}, "cancelled while the model was read");
    if (ctx_.progress != nullptr && i % 256 == 0) ctx_.progress->update("read", i, order_.size());
    const bool blocked = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](const auto& name) { return poisoned.count(name) != 0; });
    if (blocked || !run_node(n)) {
      if (!blocked && ++failures >= kMaxErrors) return diag::failure;
      for (const auto& name : node.outputs) poisoned[name] = true;
      poisoned.erase("");
    }
    for (const auto& name : node.inputs) {
      const auto found = uses_.find(name);
      if (found == uses_.end() || --found->second != 0) continue;
      // Weights are the bulk of the memory; data and graph outputs stay.
      const auto value = values_.find(name);
      if (value != values_.end() && value->second.constant) values_.erase(value);
    }
  }
  if (failures != 0) return diag::failure;
  return {};
}

Result<nn::Graph> Importer::finish() {
  bool ok = true;
  for (const auto& name : source_.outputs()) {
    const Origin origin{.file = source_.file(), .tensor = name};
    Result<Value> value = input_value(name, origin);
    if (!value) return diag::failure;
    if (!value->dynamic && !builder_.whole) {
      ctx_.report(Kind::LayerUnsupported, origin,
                  fmt::format("graph output `{}` is a constant; remove it from the outputs", name));
      ok = false;
      continue;
    }
    const NodeHead head;
    const Call call = port_call(head, name, origin);
    Dynamic x;
    if (value->constant) {
      WEFT_TRY(x, as_layer(call, *value->constant, static_cast<std::int64_t>(value->constant->shape.size()), -1));
    } else {
      WEFT_TRY(x, ops::as_integers(call, *value->dynamic));
    }
    WEFT_TRY(x, call.in_onnx_order(x));
    samples_moved_ = samples_moved_ || (x.batch_axis > 0 && builder_.batch_is_fixed && builder_.batch > 1);
    builder_.graph.outputs.push_back({name, x.tensor});
  }
  if (!ok) return diag::failure;
  return std::move(builder_.graph);
}

Result<std::vector<Constant>> Importer::constants() {
  std::vector<Constant> out;
  for (const auto& name : source_.outputs()) {
    const Origin origin{.file = source_.file(), .tensor = name};
    Result<Value> value = input_value(name, origin);
    if (!value) return diag::failure;
    if (!value->constant) return ctx_.fail(Kind::LayerUnsupported, origin, "the output does not fold to a constant");
    out.push_back(*value->constant);
  }
  return out;
}

}  // namespace

namespace {

/// `moved`: set when an output of several samples has them elsewhere than on its first axis.
Result<nn::Graph> import_once(const SourceModel& source, bool whole, bool& moved, Context& ctx) {
  Importer importer(source, ctx, whole);
  WEFT_TRY_VOID(importer.prepare());
  WEFT_TRY_VOID(importer.add_inputs());
  WEFT_TRY_VOID(importer.run());
  WEFT_TRY(auto graph, importer.finish());
  moved = importer.samples_moved();
  return graph;
}

bool all_fixed(const SourceModel& source) {
  return std::all_of(source.inputs().begin(), source.inputs().end(), [](const auto& port) {
    return port.has_shape && std::all_of(port.shape.begin(), port.shape.end(), [](auto e) { return e >= 1; });
  });
}

}  // namespace

Result<nn::Graph> import_graph(const SourceModel& source, Context& ctx) {
  bool moved = false;
  if (!all_fixed(source)) return import_once(source, false, moved, ctx);
  // Axis 0 is the batch where every operator keeps samples apart. Else a file of fixed shapes computes one sample.
  diag::Engine batched, whole;
  Context first = quiet(batched, ctx);
  auto graph = import_once(source, false, moved, first);
  if ((graph && !moved) || ctx.cancelled()) {
    copy_diagnostics(batched, ctx);
    return graph;
  }
  Context second = quiet(whole, ctx);
  auto one = import_once(source, true, moved, second);
  if (!one) {
    copy_diagnostics(batched, ctx);
    return graph;
  }
  copy_diagnostics(whole, ctx);
  std::string why = "the samples would lie elsewhere in an output";
  for (const auto& d : batched.all()) {
    if (d.severity != diag::Severity::Error) continue;
    why = d.message;
    break;
  }
  ctx.report(Kind::Info, {.file = source.file()},
             fmt::format("axis 0 is no batch ({}); the file's inputs are read as one sample", why));
  return one;
}

Result<std::vector<Constant>> fold_outputs(const SourceModel& source, const std::map<std::string, Constant>& inputs,
                                           Context& ctx) {
  Importer importer(source, ctx);
  WEFT_TRY_VOID(importer.prepare());
  for (const auto& port : source.inputs()) importer.set_input(port.name, inputs.at(port.name));
  WEFT_TRY_VOID(importer.run());
  return importer.constants();
}

}  // namespace weft::formats::onnx
