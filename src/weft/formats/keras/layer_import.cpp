// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/layer_import.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/hgq_rows.h"
#include "weft/formats/keras/keras.h"
#include "weft/formats/keras/masks.h"
#include "weft/formats/keras/ops_rows.h"
#include "weft/formats/keras/row_parts.h"
#include "weft/formats/keras/spatial_parts.h"
#include "weft/layers/layer.h"

namespace weft::formats::keras {
namespace {

bool fits(const Shape& have, const Shape& wanted) {
  return std::equal(have.begin(), have.end(), wanted.begin(), wanted.end(),
                    [](std::int64_t h, std::int64_t w) { return w == -1 || h == w; });
}

/// Keys that every layer has.
constexpr std::string_view kCommonKeys[] = {
    "name", "dtype", "trainable", "batch_input_shape", "batch_shape", "activity_regularizer"};

struct Hint {
  std::string_view class_name;
  std::string_view text;
};
constexpr Hint kHints[] = {
    {"PruneLowMagnitude", "call strip_pruning() on the model before saving it"},
    {"Lambda", "the function is Python code inside of the file, which is never run; use a layer instead"},
    {"QAdaptiveActivation", "its learned range is not in the file; use QActivation with the quantizer it found"},
};

}  // namespace

void LayerImport::infer_output() {
  if (!config.ok() || !variables_known()) return;
  nn::Graph scratch;
  std::vector<nn::TensorId> previous;
  for (const auto& shape : inputs) {
    if (!shape) return;
    previous.push_back(scratch.add_tensor("", *shape));
  }
  auto nodes = chain;
  nodes.push_back(node);
  for (auto& n : nodes) {
    n.inputs = previous;
    const auto shape = layers::find_layer(n.op)->infer_shape(scratch, n, config.context());
    if (!shape) return config.fail_reported();
    output = *shape;
    previous = {scratch.add_tensor("", *shape)};
    n.outputs = previous;
  }
}

bool LayerImport::variables_known() const {
  // Without a weight file there are no kernels, and no shapes behind them; that was reported once for the model.
  const auto lacks = [](const nn::Node& n) {
    const auto* row = layers::find_layer(n.op);
    return std::any_of(row->required_parameters.begin(), row->required_parameters.end(),
                       [&](auto role) { return n.parameters.count(std::string(role)) == 0; });
  };
  return !lacks(node) && std::none_of(chain.begin(), chain.end(), lacks);
}

std::optional<nn::TensorId> LayerImport::emit(nn::Node made) {
  const auto tensors_made = emit_all(std::move(made), 1);
  return tensors_made.empty() ? std::nullopt : std::optional(tensors_made[0]);
}

std::vector<nn::TensorId> LayerImport::emit_all(nn::Node made, std::size_t count) {
  if (!config.ok()) return {};
  if (graph == nullptr || names == nullptr) {
    config.fail(Kind::LayerUnsupported, "the layer is several operators, which a wrapper around it cannot hold");
    return {};
  }
  const std::string wanted = made.name;
  for (int i = 1; !names->insert(made.name).second; ++i) made.name = fmt::format("{}_{}", wanted, i);
  made.origin = node.origin;
  WEFT_CHECK(layers::find_layer(made.op) != nullptr, "an operator that layers/ has");
  made.outputs.assign(count, {});
  const auto shapes = layers::output_shapes(*graph, made, config.context());
  if (!shapes) {
    config.fail_reported();
    return {};
  }
  for (const auto& shape : *shapes) {
    if (within_limits(shape, config.context())) continue;
    config.fail(Kind::LimitExceeded,
                fmt::format("a part of the layer has more than {} elements", config.context().limits.tensor_elements));
    return {};
  }
  for (std::size_t i = 0; i < count; ++i)
    made.outputs[i] = graph->add_tensor(i == 0 ? made.name : fmt::format("{}_{}", made.name, i), shapes->at(i));
  auto out = made.outputs;
  graph->nodes.push_back(std::move(made));
  return out;
}

std::optional<nn::TensorId> LayerImport::emit(const std::string& suffix, const std::string& op,
                                              std::vector<nn::TensorId> from, AttributeMap attributes) {
  nn::Node made;
  made.name = node.name + suffix;
  made.op = op;
  made.inputs = std::move(from);
  made.attributes = std::move(attributes);
  return emit(std::move(made));
}

void LayerImport::finish(std::optional<nn::TensorId> tensor) {
  if (tensor && (graph->nodes.empty() || graph->nodes.back().outputs[0] != *tensor))
    tensor = emit("", "Identity", {*tensor});
  if (!tensor) return config.fail_reported();
  finish_all({*tensor});
}

void LayerImport::finish_all(std::vector<nn::TensorId> outputs) {
  auto& last = graph->nodes.back();
  if (last.outputs[0] == outputs.at(0)) {
    names->erase(last.name);
    last.name = layer.name;
    graph->tensors[outputs[0].index].name = layer.name;
  }
  results = std::move(outputs);
}

bool LayerImport::ready() const {
  return config.ok() && std::all_of(inputs.begin(), inputs.end(), [](const auto& shape) { return shape.has_value(); });
}

const Argument* LayerImport::argument(std::string_view key, std::size_t place) const {
  std::size_t next = 0;
  for (const auto& a : layer.arguments) {
    if (a.key.empty() ? next++ == place : a.key == key) return &a;
  }
  return nullptr;
}

bool within_limits(const Shape& shape, const Context& ctx) {
  std::uint64_t count = 1;
  for (const auto extent : shape) {
    if (extent < 1 || static_cast<std::uint64_t>(extent) > ctx.limits.tensor_elements / count) return false;
    count *= static_cast<std::uint64_t>(extent);
  }
  return true;
}

void LayerImport::take(std::string_view variable, const std::string& role, const Shape& shape) {
  if (!variables) return;  // reported once for the model
  const Origin origin{config.origin().file, config.origin().node, config.origin().op, std::string(variable)};
  auto& ctx = config.context();
  const auto it = variables->find(std::string(variable));
  if (it == variables->end()) {
    ctx.report(Kind::WeightMissing, origin,
               fmt::format("weight `{}` is not in `{}`", variable, weights->hdf5().name()));
    return config.fail_reported();
  }
  const auto have = weights->hdf5().shape(it->second, ctx);
  if (!have) return config.fail_reported();
  if (!fits(*have, shape)) {
    ctx.report(Kind::ShapeMismatch, origin,
               fmt::format("weight `{}` has shape {}, the layer needs {}", variable, weft::to_string(*have),
                           weft::to_string(shape)));
    return config.fail_reported();
  }
  auto values = weights->hdf5().read_floats(it->second, ctx);
  if (!values) return config.fail_reported();
  node.parameters[role].values = std::move(values).value();
}

void check_key(ConfigReader& config, const std::string& key, const Json& value,
               const std::vector<std::string_view>& known, const std::vector<std::string_view>& refused) {
  if (std::find(known.begin(), known.end(), key) != known.end()) return;
  if (std::find(refused.begin(), refused.end(), key) == refused.end())
    return config.fail(Kind::AttributeUnknown, fmt::format("unknown attribute `{}`", key));
  if (value.is_null() || value == false) return;
  config.fail(Kind::AttributeUnsupported,
              fmt::format("attribute `{}` is {}, which is not supported", key, shown(value)));
}

void check_config(ConfigReader& config, const LayerRow& row) {
  check_dtype(config);
  std::vector<std::string_view> known(std::begin(kCommonKeys), std::end(kCommonKeys));
  known.insert(known.end(), row.used.begin(), row.used.end());
  known.insert(known.end(), row.ignored.begin(), row.ignored.end());
  if (!config.json().is_object()) return config.fail(Kind::ModelMalformed, "the layer's config is no object");
  for (const auto& [key, value] : config.json().items()) check_key(config, key, value, known, row.refused);
}

/// "float32", or Keras' policy object of that name.
void check_dtype(ConfigReader& config) {
  const auto* dtype = config.find("dtype");
  if (dtype == nullptr) return;
  std::string name;
  if (dtype->is_string()) {
    name = dtype->get<std::string>();
  } else if (const auto* inner = member(*dtype, "config"); inner != nullptr) {
    name = text_member(*inner, "name");
  }
  if (name == "float32") return;
  // Whole numbers are given as such to an input.
  const bool whole = name == "int32" || name == "int64" || name == "int16" || name == "int8" || name == "uint8";
  if (whole && config.origin().op == "InputLayer") return;
  config.fail(
      Kind::AttributeUnsupported,
      fmt::format("the layer computes in {}; only float32 is reproduced exactly, set the layer's dtype to float32",
                  name.empty() ? shown(*dtype) : fmt::format("`{}`", name)));
}

const std::vector<LayerRow>& layer_rows() {
  static const std::vector<LayerRow> rows = [] {
    auto all = keras_rows();
    auto more = qkeras_rows();
    std::move(more.begin(), more.end(), std::back_inserter(all));
    for (auto& row : hgq_rows()) all.push_back(std::move(row));
    for (auto& row : function_rows()) all.push_back(std::move(row));
    for (auto& row : hgq_layer_rows()) all.push_back(std::move(row));
    for (auto& row : operation_rows()) all.push_back(std::move(row));
    for (auto& row : custom_rows()) all.push_back(std::move(row));
    for (auto& row : qkeras_layer_rows()) all.push_back(std::move(row));
    for (auto& row : attention_rows()) all.push_back(std::move(row));
    for (auto& row : hgq_attention_rows()) all.push_back(std::move(row));
    for (auto& row : recurrent_rows()) all.push_back(std::move(row));
    for (auto& row : time_distributed_rows()) all.push_back(std::move(row));
    for (auto& row : mask_rows()) all.push_back(std::move(row));
    for (auto& row : resize_rows()) all.push_back(std::move(row));
    for (auto& row : transposed_rows()) all.push_back(std::move(row));
    auto spatial = spatial_rows();
    std::move(spatial.begin(), spatial.end(), std::back_inserter(all));
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.class_name < b.class_name; });
    return all;
  }();
  return rows;
}

const LayerRow* find_row(std::string_view class_name, std::string_view package) {
  for (const auto& row : layer_rows()) {
    // Files that name no package are of Keras 2, which HGQ2 does not have.
    const bool here = package.empty() ? row.package != "hgq" && row.package != "keras.ops" : row.package == package;
    if (row.class_name == class_name && here) return &row;
  }
  return nullptr;
}

std::vector<LayerClass> layer_classes() {
  std::vector<LayerClass> out;
  for (const auto& row : layer_rows()) out.push_back({row.class_name, row.package, row.op});
  return out;
}

std::string way_out(const LayerEntry& layer) {
  for (const auto& hint : kHints) {
    if (layer.class_name == hint.class_name) return std::string(hint.text);
  }
  return "build the model from the layers that `weft ops` lists";
}

}  // namespace weft::formats::keras
