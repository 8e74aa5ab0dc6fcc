// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "weft/formats/torch/aten.h"
#include "weft/formats/torch/merged.h"
#include "weft/formats/torch/scores.h"

namespace weft::formats::torch {
namespace {

constexpr std::size_t kMaxErrors = 50;
/// Stands for an open batch: a prime that no other extent is likely to be, so that views show where the batch goes.
constexpr std::int64_t kOpenBatch = 509;

class Importer {
 public:
  Importer(const Program& program, Archive& tensors, Context& ctx) : program_(program), tensors_(tensors), ctx_(ctx) {}
  Result<nn::Graph> run();

 private:
  diag::Failure fail(Kind kind, const std::string& message, const std::string& tensor = "") const {
    return ctx_.fail(kind, {.file = program_.file, .tensor = tensor}, message);
  }
  Result<void> check_signature() const;
  Result<void> find_makers();
  void find_needed();
  void name_layers();
  Result<void> check_operators() const;
  Result<void> add_inputs();
  Result<void> run_nodes();
  Result<void> run_node(std::size_t n);
  Result<Values> run_operator(AtenCall& call, const AtenOperator& row, std::optional<Merge>& merge);
  Result<std::optional<Values>> reshape(AtenCall& call, std::optional<Merge>& merge);
  Result<Values> run_joined(AtenCall& call, const AtenOperator& row, std::optional<Merge>& merge);
  [[nodiscard]] const Merge* merge_of(const Argument& argument) const;
  Result<void> check_shape(const std::string& name, const Shape& shape, const Origin& origin) const;
  Result<void> symbolic(const ProgramNode& node, const Origin& origin);
  Result<nn::Graph> finish();
  Result<Value> value_of(const std::string& name);
  Origin origin_of(std::size_t n) const;

  const Program& program_;
  Archive& tensors_;
  Context& ctx_;
  onnx::Builder builder_;
  std::unordered_map<std::string, std::size_t> makers_;
  std::unordered_map<std::string, Value> values_;
  std::unordered_map<std::string, std::int64_t> integers_;
  std::unordered_map<std::string, Merge> merged_;           ///< values that are held with the batch apart
  std::unordered_map<std::string, std::string> constants_;  ///< value -> name in the module
  std::unordered_map<std::string, std::size_t> uses_;
  std::unordered_map<std::string, std::size_t> softmax_uses_;  ///< those of them that are softmaxes
  std::vector<bool> needed_;
  std::vector<std::string> layer_names_;
};

/// Every name of a value that an argument mentions.
void each_name(const Argument& argument, const std::function<void(const std::string&)>& visit) {
  for (const auto& name : argument.names) {
    if (!name.empty()) visit(name);
  }
  for (const auto& extent : argument.integers) {
    if (!extent.name.empty()) visit(extent.name);
  }
}

std::string first_output(const ProgramNode& node) {
  for (const auto& output : node.outputs) {
    for (const auto& name : output.names) {
      if (!name.empty()) return name;
    }
  }
  return node.outputs.empty() || node.outputs.front().integers.empty() ? std::string()
                                                                       : node.outputs.front().integers.front().name;
}

/// "torch.ops.aten.relu.default" as "aten.relu.default".
std::string operator_name(const ProgramNode& node) {
  constexpr std::string_view kPrefix = "torch.ops.";
  return node.target.rfind(kPrefix, 0) == 0 ? node.target.substr(kPrefix.size()) : node.target;
}

bool is_symbolic(const ProgramNode& node) {
  const std::string name = operator_name(node);
  return name.rfind("aten.sym_size", 0) == 0 || name.rfind("_operator.", 0) == 0 || name == "math.floor" ||
         name == "math.trunc" || name.rfind("torch.sym_", 0) == 0;
}

Origin Importer::origin_of(std::size_t n) const {
  const ProgramNode& node = program_.nodes[n];
  return {.file = program_.file,
          .node = layer_names_.empty() ? first_output(node) : layer_names_[n],
          .op = operator_name(node),
          .tensor = first_output(node)};
}

Result<void> Importer::check_signature() const {
  for (const auto& input : program_.inputs) {
    if (input.type == InputSpec::Type::Other)
      return fail(Kind::LayerUnsupported, fmt::format("the program has an input of the kind `{}`", input.text));
  }
  for (const auto& output : program_.outputs) {
    if (output.user) continue;
    return fail(Kind::LayerUnsupported,
                output.text == "buffer_mutation"
                    ? "the program changes a buffer, as batch normalization does in training; call `.eval()` before "
                      "the export"
                    : fmt::format("the program has an output of the kind `{}`", output.text));
  }
  return {};
}

Result<void> Importer::find_makers() {
  std::set<std::string> inputs;
  for (const auto& input : program_.inputs) {
    if (!input.name.empty() && !inputs.insert(input.name).second)
      return fail(Kind::ModelMalformed, "an input is declared twice", input.name);
  }
  for (std::size_t n = 0; n < program_.nodes.size(); ++n) {
    bool ok = true;
    for (const auto& output : program_.nodes[n].outputs)
      each_name(output, [&](const std::string& name) {
        ok = ok && inputs.count(name) == 0 && makers_.emplace(name, n).second;
      });
    if (!ok) return ctx_.fail(Kind::ModelMalformed, origin_of(n), "a value is made twice");
  }
  return {};
}

void Importer::find_needed() {
  needed_.assign(program_.nodes.size(), false);
  std::vector<std::size_t> stack;
  const auto need = [&](const std::string& name) {
    ++uses_[name];
    const auto maker = makers_.find(name);
    if (maker == makers_.end() || needed_[maker->second]) return;
    needed_[maker->second] = true;
    stack.push_back(maker->second);
  };
  for (const auto& output : program_.outputs) {
    if (!output.name.empty()) need(output.name);
  }
  while (!stack.empty()) {
    const std::size_t n = stack.back();
    stack.pop_back();
    for (const auto& input : program_.nodes[n].inputs) {
      each_name(input.value, need);
      if (is_softmax(program_.nodes[n]))
        each_name(input.value, [&](const std::string& name) { ++softmax_uses_[name]; });
    }
  }
}

/// The module's path where one operator is all of it, else the name of the value.
void Importer::name_layers() {
  std::unordered_map<std::string, std::size_t> in_module;
  for (std::size_t n = 0; n < program_.nodes.size(); ++n) {
    if (needed_[n] && !is_symbolic(program_.nodes[n])) ++in_module[program_.nodes[n].module_path];
  }
  std::vector<std::string> names(program_.nodes.size());
  for (std::size_t n = 0; n < program_.nodes.size(); ++n) {
    const ProgramNode& node = program_.nodes[n];
    const bool alone = !node.module_path.empty() && in_module[node.module_path] == 1;
    if (needed_[n]) names[n] = builder_.unique_name(alone ? node.module_path : first_output(node));
  }
  layer_names_ = std::move(names);
}

Result<void> Importer::check_operators() const {
  bool ok = true;
  for (std::size_t n = 0; n < program_.nodes.size(); ++n) {
    const ProgramNode& node = program_.nodes[n];
    if (!needed_[n] || is_symbolic(node) || find_aten(operator_name(node)) != nullptr) continue;
    ok = false;
    if (ctx_.diag.error_count() >= kMaxErrors) break;
    ctx_.report(Kind::LayerUnsupported, origin_of(n),
                fmt::format("operator `{}` of PyTorch is not supported; `weft ops` lists those that are, and "
                            "`program.run_decompositions()` before saving may replace it",
                            operator_name(node)));
  }
  if (!ok) return diag::failure;
  return {};
}

Result<void> Importer::add_inputs() {
  builder_.graph.name = "main";
  builder_.graph.file = program_.file;
  builder_.graph.framework = nn::Framework::Onnx;
  std::optional<std::int64_t> batch;
  std::vector<std::pair<std::string, Dynamic>> ports;
  for (const auto& input : program_.inputs) {
    if (input.type == InputSpec::Type::Constant) constants_[input.name] = input.value;
    if (input.type != InputSpec::Type::User || input.name.empty()) continue;
    const auto meta = program_.tensors.find(input.name);
    if (meta == program_.tensors.end()) return fail(Kind::ModelMalformed, "an input has no shape", input.name);
    const auto problem = [&](Kind kind, const std::string& what) {
      return fail(kind, fmt::format("input `{}` {}", input.name, what), input.name);
    };
    const auto& [element, element_name, sizes] = meta->second;
    if (!element || (onnx::is_floating(*element) && *element != Element::Float32))
      return problem(Kind::AttributeUnsupported,
                     fmt::format("holds {}; float32 and integers are read. Export `module.float()` with such an input",
                                 element_name));
    if (sizes.empty()) return problem(Kind::ShapeMismatch, "is a single number without a batch axis");
    if (sizes.size() > onnx::kMaxRank) return problem(Kind::LimitExceeded, fmt::format("has {} axes", sizes.size()));
    Dynamic x;
    x.element = *element;
    for (std::size_t d = 0; d < sizes.size(); ++d) {
      if (d > 0 && (!sizes[d].name.empty() || sizes[d].value < 1))
        return problem(Kind::ShapeMismatch,
                       fmt::format("has no fixed extent at axis {}; only the batch (axis 0) may be dynamic", d));
      x.shape.push_back(sizes[d].value);
    }
    if (sizes.front().name.empty()) {
      if (sizes.front().value < 1) return problem(Kind::ShapeMismatch, "has an empty batch");
      if (batch && *batch != sizes.front().value)
        return problem(Kind::ShapeMismatch,
                       fmt::format("has the batch {}, another input {}; axis 0 of every input is the batch",
                                   sizes.front().value, *batch));
      batch = sizes.front().value;
    } else {
      integers_[sizes.front().name] = kOpenBatch;
    }
    ports.emplace_back(input.name, std::move(x));
  }
  builder_.batch = batch.value_or(kOpenBatch);
  builder_.batch_is_fixed = batch.has_value();
  for (auto& [name, x] : ports) {
    x.shape.front() = builder_.batch;
    if (!onnx::checked_count(x.shape, onnx::kMaxExtentProduct) ||
        !onnx::checked_count(x.sample_shape(), ctx_.limits.tensor_elements))
      return fail(Kind::LimitExceeded,
                  fmt::format("input `{}` has more than {} elements", name, ctx_.limits.tensor_elements), name);
    x.tensor = builder_.graph.add_tensor(name, x.sample_shape());
    builder_.graph.inputs.push_back({name, x.tensor});
    values_[name] = Value(x);
  }
  if (ports.empty()) return fail(Kind::ModelMalformed, "the program has no input that is a tensor");
  return {};
}

Result<Value> Importer::value_of(const std::string& name) {
  const auto found = values_.find(name);
  if (found != values_.end()) {
    if (found->second.present()) return found->second;
    return fail(Kind::LayerUnsupported, fmt::format("`{}` is a result that is not supported", name), name);
  }
  const auto constant = constants_.find(name);
  if (constant == constants_.end())
    return fail(Kind::ModelMalformed, fmt::format("value `{}` is used before anything makes it", name), name);
  const Origin origin{.file = program_.file, .tensor = constant->second};
  WEFT_TRY(Constant tensor, tensors_.tensor(constant->second, origin, ctx_));
  const auto meta = program_.tensors.find(name);
  if (meta != program_.tensors.end()) WEFT_TRY_VOID(check_shape(name, tensor.shape, origin));
  return values_.insert_or_assign(name, Value(std::move(tensor))).first->second;
}

/// What the file says of a value's shape must be what was computed.
Result<void> Importer::check_shape(const std::string& name, const Shape& shape, const Origin& origin) const {
  const auto meta = program_.tensors.find(name);
  if (meta == program_.tensors.end()) return {};
  const auto& sizes = meta->second.sizes;
  bool ok = sizes.size() == shape.size();
  for (std::size_t d = 0; ok && d < sizes.size(); ++d) ok = !sizes[d].name.empty() || sizes[d].value == shape[d];
  if (ok) return {};
  Shape said;
  for (const auto& size : sizes) said.push_back(size.name.empty() ? size.value : -1);
  return ctx_.fail(Kind::ModelMalformed, origin,
                   fmt::format("the file says that `{}` has the shape {}, and it comes out as {}", name,
                               to_string(said), to_string(shape)));
}

/// Arithmetic with the size of the batch, which shapes are made of.
Result<void> Importer::symbolic(const ProgramNode& node, const Origin& origin) {
  const auto unknown = [&] {
    return ctx_.fail(Kind::LayerUnsupported, origin,
                     fmt::format("`{}` computes a number that is not known when the file is read", node.target));
  };
  if (node.outputs.size() != 1 || node.outputs.front().integers.size() != 1 || node.inputs.empty()) return unknown();
  const std::string& out = node.outputs.front().integers.front().name;
  const std::string op = operator_name(node);
  const auto operand = [&](std::size_t i) -> std::optional<std::int64_t> {
    if (i >= node.inputs.size() || node.inputs[i].value.type != Argument::Type::Int) return std::nullopt;
    const Extent& extent = node.inputs[i].value.integers.front();
    if (extent.name.empty()) return extent.value;
    const auto found = integers_.find(extent.name);
    return found == integers_.end() ? std::nullopt : std::optional(found->second);
  };
  std::optional<std::int64_t> result;
  if (op.rfind("aten.sym_size", 0) == 0) {
    if (node.inputs.front().value.type != Argument::Type::Tensor) return unknown();
    if (merge_of(node.inputs.front().value) != nullptr) return unknown();
    WEFT_TRY(const Value x, value_of(node.inputs.front().value.names.front()));
    const auto axis = operand(1);
    if (!axis || *axis < -rank_of(x) || *axis >= rank_of(x)) return unknown();
    result = shape_of(x)[static_cast<std::size_t>(*axis < 0 ? *axis + rank_of(x) : *axis)];
  } else {
    const auto a = operand(0);
    const auto b = operand(1);
    std::int64_t value = 0;
    if (!a || !b) return unknown();
    if (op == "_operator.add" && !__builtin_add_overflow(*a, *b, &value)) result = value;
    if (op == "_operator.sub" && !__builtin_sub_overflow(*a, *b, &value)) result = value;
    if (op == "_operator.mul" && !__builtin_mul_overflow(*a, *b, &value)) result = value;
    if (op == "_operator.floordiv" && *a >= 0 && *b > 0) result = *a / *b;
    if (op == "_operator.mod" && *a >= 0 && *b > 0) result = *a % *b;
  }
  if (!result) return unknown();
  integers_[out] = *result;
  return {};
}

Result<void> Importer::run_node(std::size_t n) {
  const ProgramNode& node = program_.nodes[n];
  const Origin origin = origin_of(n);
  if (is_symbolic(node)) return symbolic(node, origin);
  const AtenOperator* row = find_aten(operator_name(node));
  WEFT_CHECK(row != nullptr, "operators are checked before they run");
  AtenCall call(ctx_, builder_, node, layer_names_[n], origin);
  call.find_value = [this](const std::string& name) { return value_of(name); };
  const auto in_softmax = softmax_uses_.find(first_output(node));
  if (adds_mask(node) && in_softmax != softmax_uses_.end() && in_softmax->second == uses_[in_softmax->first])
    call.find_value = [this](const std::string& name) -> Result<Value> {
      WEFT_TRY(const Value value, value_of(name));
      return finite_scores(value);
    };
  call.find_integer = [this](const std::string& name) -> std::optional<std::int64_t> {
    const auto found = integers_.find(name);
    return found == integers_.end() ? std::nullopt : std::optional(found->second);
  };
  std::vector<std::string> outputs;
  for (const auto& output : node.outputs) {
    if (output.type == Argument::Type::None) outputs.emplace_back();
    for (const auto& name : output.names) outputs.push_back(name);
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].empty() && uses_.count(outputs[i]) != 0) call.used_outputs.insert(i);
  }
  std::optional<Merge> merge;
  WEFT_TRY(Values results, run_operator(call, *row, merge));
  WEFT_TRY_VOID(call.check_arguments());
  results.resize(std::max(results.size(), outputs.size()));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].empty()) continue;
    if (results[i].present()) {
      const Shape& shape = shape_of(results[i]);
      WEFT_TRY_VOID(check_shape(outputs[i], merge ? joined_shape(shape, *merge) : shape, origin));
      if (merge) merged_[outputs[i]] = *merge;
    }
    values_[outputs[i]] = std::move(results[i]);
  }
  return {};
}

const Merge* Importer::merge_of(const Argument& argument) const {
  for (const auto& name : argument.names) {
    const auto found = merged_.find(name);
    if (found != merged_.end()) return &found->second;
  }
  return nullptr;
}

Result<Values> Importer::run_operator(AtenCall& call, const AtenOperator& row, std::optional<Merge>& merge) {
  WEFT_TRY(std::optional<Values> reshaped, reshape(call, merge));
  if (reshaped) return std::move(*reshaped);
  const bool joined = std::any_of(call.node.inputs.begin(), call.node.inputs.end(),
                                  [&](const NamedArgument& a) { return merge_of(a.value) != nullptr; });
  if (!joined) {
    WEFT_TRY(std::optional<Values> stacked, join_batches(call, merge));
    if (stacked) return std::move(*stacked);
  }
  return joined ? run_joined(call, row, merge) : row.handler(call);
}

/// Reshapes that join the batch with other axes or start from such a value; nullopt for all other operators.
Result<std::optional<Values>> Importer::reshape(AtenCall& call, std::optional<Merge>& merge) {
  static const std::set<std::string> kReshapes{"aten.view", "aten.reshape", "aten._unsafe_view", "aten.view_copy",
                                               "aten.flatten"};
  const std::string name = call.target().substr(0, call.target().rfind('.'));
  if (kReshapes.count(name) == 0 || call.node.inputs.empty() ||
      call.node.inputs.front().value.type != Argument::Type::Tensor)
    return std::optional<Values>();
  const NamedArgument& first = call.node.inputs.front();
  WEFT_TRY(const Value x, value_of(first.value.names.front()));
  if (!x.dynamic) return std::optional<Values>();
  const Merge* before = merge_of(first.value);
  const Shape seen = before != nullptr ? joined_shape(x.dynamic->shape, *before) : x.dynamic->shape;
  Shape target;
  if (name == "aten.flatten") {
    const auto rank = static_cast<std::int64_t>(seen.size());
    WEFT_TRY(const std::int64_t given_start, call.integer("start_dim", 0));
    WEFT_TRY(const std::int64_t given_end, call.integer("end_dim", -1));
    WEFT_TRY(const std::int64_t start, call.axis(given_start, rank));
    WEFT_TRY(const std::int64_t end, call.axis(given_end, rank));
    for (std::int64_t d = 0; d < rank; ++d) {
      if (d > start && d <= end)
        target.back() *= seen[static_cast<std::size_t>(d)];
      else
        target.push_back(seen[static_cast<std::size_t>(d)]);
    }
  } else {
    WEFT_TRY(target, call.integers(call.has("size") ? "size" : "shape"));
    const auto rest = std::find(target.begin(), target.end(), -1);
    if (rest != target.end()) {
      *rest = 1;
      const auto known = onnx::checked_count(target, onnx::kMaxExtentProduct);
      if (!known || *known == 0 || element_count(seen) % *known != 0)
        return call.fail(Kind::ShapeMismatch, fmt::format("{} cannot take this shape", to_string(seen)));
      *rest = element_count(seen) / *known;
    }
  }
  call.ignore({first.name.c_str()});
  const auto count = onnx::checked_count(target, onnx::kMaxExtentProduct);
  if (!count || *count != element_count(seen))
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("data of shape {} cannot take the shape {}", to_string(seen), to_string(target)));
  const auto held = hold(*x.dynamic, target);
  if (!held)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("a view of shape {} as {} tears the batch (axis {}, {} in this reading)",
                                 to_string(seen), to_string(target), x.dynamic->batch_axis, builder_.batch));
  if (held->merge.count > 1) merge = held->merge;
  if (held->shape == x.dynamic->shape) return std::optional(Values{x});
  WEFT_TRY(Values out, call.onnx("Reshape", {x, int_constant(held->shape)}, {{"allowzero", 1}}));
  return std::optional(std::move(out));
}

/// Operators on values whose batch is joined with other axes for PyTorch, and apart where they are held.
Result<Values> Importer::run_joined(AtenCall& call, const AtenOperator& row, std::optional<Merge>& merge) {
  static const std::set<std::string> kElementwise{
      "aten.abs",      "aten.add",        "aten.alias",     "aten.clamp",  "aten.clone",    "aten.contiguous",
      "aten.detach",   "aten.div",        "aten.dropout",   "aten.elu",    "aten.exp",      "aten.gelu",
      "aten.hardtanh", "aten.leaky_relu", "aten.mul",       "aten.neg",    "aten.relu",     "aten.sigmoid",
      "aten.silu",     "aten.softplus",   "aten.sub",       "aten.tanh",   "aten.addmm",    "aten.linear",
      "aten.mm",       "aten.bmm",        "aten.matmul",    "aten.expand", "aten._softmax", "aten.softmax",
      "aten.permute",  "aten.t",          "aten.transpose", "aten.to",     "aten._to_copy", "aten.baddbmm"};
  const std::string name = call.target().substr(0, call.target().rfind('.'));
  const auto refuse = [&](const std::string& why) {
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("operator `{}` on a view that joins the batch with other axes{}; give the layer its "
                                 "input with the batch as an axis of its own",
                                 call.target(), why));
  };
  if (kElementwise.count(name) == 0) return refuse("");
  std::size_t rank = 0;
  for (const auto& input : call.node.inputs) {
    const Merge* found = merge_of(input.value);
    if (found == nullptr) continue;
    if (merge && *merge != *found) return refuse(" in two ways");
    merge = *found;
    WEFT_TRY(const Value value, value_of(input.value.names.front()));
    rank = joined_shape(shape_of(value), *found).size();
  }
  WEFT_CHECK(merge.has_value(), "a joined operator without joined operand");
  for (const auto& input : call.node.inputs) {
    const bool tensors = input.value.type == Argument::Type::Tensor || input.value.type == Argument::Type::Tensors;
    if (!tensors || merge_of(input.value) != nullptr) continue;
    WEFT_TRY(const Value value, value_of(input.value.names.front()));
    // Constants go along when they have no axis that is joined; weights of a product have axes of their own.
    const bool weight = name == "aten.linear" || name == "aten.addmm" || name == "aten.mm";
    const auto spread = [&](const Shape& shape) {
      return shape.size() <= 1 || (merge->axis == 0 && (shape.size() < rank || shape.front() == 1));
    };
    if (value.constant && (weight || spread(value.constant->shape))) continue;
    return refuse(" together with a tensor where it is not");
  }
  const auto last = static_cast<std::int64_t>(rank) - 1;
  if (name == "aten.permute" || name == "aten.t" || name == "aten.transpose") {
    std::vector<std::int64_t> order(rank);
    for (std::size_t d = 0; d < rank; ++d) order[d] = static_cast<std::int64_t>(d);
    if (name == "aten.permute") {
      WEFT_TRY(order, call.integers("dims"));
    } else {
      WEFT_TRY(const std::int64_t given_a, call.integer("dim0", 0));
      WEFT_TRY(const std::int64_t given_b, call.integer("dim1", 1));
      WEFT_TRY(const std::int64_t a, call.axis(given_a, last + 1));
      WEFT_TRY(const std::int64_t b, call.axis(given_b, last + 1));
      std::swap(order[static_cast<std::size_t>(a)], order[static_cast<std::size_t>(b)]);
    }
    for (auto& axis : order) {
      WEFT_TRY(axis, call.axis(axis, last + 1));
    }
    WEFT_TRY(const Value x, value_of(call.node.inputs.front().value.names.front()));
    call.ignore({"self"});
    const HeldPermutation held = hold_permutation(order, *merge);
    merge = held.merge;
    return call.onnx("Transpose", {x}, {{"perm", held.permutation}});
  }
  if (name == "aten.expand") {
    WEFT_TRY(const Value x, value_of(call.node.inputs.front().value.names.front()));
    WEFT_TRY(const auto size, call.integers("size"));
    call.ignore({"self", "implicit"});
    if (size != joined_shape(shape_of(x), *merge)) return refuse("");
    return Values{x};
  }
  const bool along_last = name == "aten.linear" || name == "aten.addmm" || name == "aten.mm" ||
                          name == "aten._softmax" || name == "aten.softmax";
  if (along_last && merge->axis == last) return refuse(", one of them the last");
  if (name == "aten._softmax" || name == "aten.softmax") {
    WEFT_TRY(const std::int64_t axis, call.integer("dim"));
    if (axis != -1 && axis != last) return refuse("");
    WEFT_TRY(const Value x, value_of(call.node.inputs.front().value.names.front()));
    call.ignore({"self", "half_to_float", "dtype"});
    return call.onnx("Softmax", {x}, {{"axis", -1}});
  }
  const bool product = name == "aten.bmm" || name == "aten.matmul" || name == "aten.baddbmm";
  if (product && (merge->axis != 0 || rank != 3)) return refuse("");
  return row.handler(call);
}

Result<void> Importer::run_nodes() {
  std::set<std::string> poisoned;  // results of nodes that failed
  std::size_t failures = 0;
  for (std::size_t n = 0; n < program_.nodes.size(); ++n) {
    if (!needed_[n]) continue;
    if (ctx_.cancelled()) return fail(Kind::Cancelled, "cancelled while the model was read");
    if (ctx_.progress != nullptr && n % 256 == 0) ctx_.progress->update("read", n, program_.nodes.size());
    const ProgramNode& node = program_.nodes[n];
    bool blocked = false;
    for (const auto& input : node.inputs)
      each_name(input.value, [&](const std::string& name) { blocked = blocked || poisoned.count(name) != 0; });
    if (blocked || !run_node(n)) {
      if (!blocked && ++failures >= kMaxErrors) return diag::failure;
      for (const auto& output : node.outputs)
        each_name(output, [&](const std::string& name) { poisoned.insert(name); });
    }
    for (const auto& input : node.inputs) {
      each_name(input.value, [&](const std::string& name) {
        const auto left = uses_.find(name);
        if (left == uses_.end() || --left->second != 0) return;
        // Weights are the bulk of the memory.
        const auto value = values_.find(name);
        if (value != values_.end() && value->second.constant) values_.erase(value);
      });
    }
  }
  if (failures != 0) return diag::failure;
  return {};
}

Result<nn::Graph> Importer::finish() {
  std::set<std::string> seen;
  for (const auto& output : program_.outputs) {
    if (output.name.empty()) continue;  // None, or a number
    if (!seen.insert(output.name).second) continue;
    WEFT_TRY(const Value value, value_of(output.name));
    const Origin origin{.file = program_.file, .tensor = output.name};
    if (merged_.count(output.name) != 0)
      return ctx_.fail(
          Kind::LayerUnsupported, origin,
          fmt::format("output `{}` joins the batch with other axes; reshape it so that axis 0 is the batch",
                      output.name));
    if (!value.dynamic)
      return ctx_.fail(Kind::LayerUnsupported, origin,
                       fmt::format("output `{}` does not depend on the input; leave it out", output.name));
    if (value.dynamic->pending)
      return ctx_.fail(Kind::LayerUnsupported, origin,
                       fmt::format("output `{}` holds the integers of a quantization; dequantize it", output.name));
    const onnx::NodeHead head{.name = output.name, .op_type = "", .domain = "", .inputs = {output.name}};
    const onnx::Call call{.ctx = ctx_,
                          .builder = builder_,
                          .node = head,
                          .layer_name = output.name,
                          .origin = origin,
                          .attributes = {},
                          .inputs = {}};
    WEFT_TRY(const Dynamic x, call.in_onnx_order(*value.dynamic));
    if (x.batch_axis != 0)
      ctx_.report(Kind::Info, origin,
                  fmt::format("output `{}` has its batch at axis {}; weft gives it first", output.name, x.batch_axis));
    builder_.graph.outputs.push_back({output.name, x.tensor});
  }
  if (builder_.graph.outputs.empty()) return fail(Kind::ModelMalformed, "the program has no output that is a tensor");
  return std::move(builder_.graph);
}

Result<nn::Graph> Importer::run() {
  WEFT_TRY_VOID(check_signature());
  WEFT_TRY_VOID(find_makers());
  find_needed();
  name_layers();
  WEFT_TRY_VOID(check_operators());
  WEFT_TRY_VOID(add_inputs());
  WEFT_TRY_VOID(run_nodes());
  return finish();
}

}  // namespace

Result<nn::Graph> import_program(const Program& program, Archive& tensors, Context& ctx) {
  return Importer(program, tensors, ctx).run();
}

}  // namespace weft::formats::torch
