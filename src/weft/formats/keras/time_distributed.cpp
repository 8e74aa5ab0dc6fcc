// SPDX-License-Identifier: Apache-2.0
// TimeDistributed: the layer that it holds, over all time steps at once.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/layer_import.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

/// What a wrapper holds: its entry, its config and its import, with the variables below `part`.
struct Inner {
  LayerEntry entry{};
  ConfigReader config;
  LayerImport import;
  Inner(const Json& layer, const Json& json, const LayerImport& outer, const std::vector<WeightRow>& rows,
        const std::string& part)
      : config(json, outer.config.origin(), outer.config.context()),
        import{.layer = entry, .config = config, .keras_major = outer.keras_major, .inputs = {}, .variables = {}} {
    entry.class_name = split_registered(text_member(layer, "class_name")).second;
    entry.name = outer.layer.name;
    entry.config = &json;
    entry.origin = outer.layer.origin;
    import.inputs = outer.inputs;
    import.weights = outer.weights;
    import.node.name = outer.node.name;
    import.node.origin = outer.node.origin;
    import.node.inputs = outer.node.inputs;
    if (!outer.variables) return;
    import.variables.emplace();
    std::map<std::string, std::size_t> numbers;
    for (const auto& row : rows) {
      if (row.present != nullptr && !row.present(config)) continue;
      const std::string owner(row.owner);
      const auto number = numbers[owner]++;
      // Keras 3's path, the name alone below the part, or below the layer's own name (.h5 of Keras 3).
      for (const auto& key : {fmt::format("{}{}{}/vars/{}", part, owner.empty() ? "" : "/", owner, number),
                              fmt::format("{}/{}", part, row.name), std::string(row.name),
                              fmt::format("{}/{}", text_member(json, "name"), row.name)}) {
        const auto it = outer.variables->find(key);
        if (it == outer.variables->end()) continue;
        import.variables->emplace(row.name, it->second);
        break;
      }
    }
  }
};

const Json* inner_config(LayerImport& in, const Json* layer) {
  const auto* config = layer == nullptr ? nullptr : member(*layer, "config");
  if (config == nullptr || !config->is_object())
    in.config.fail(Kind::ModelMalformed, "what the layer holds has no `config`");
  return config != nullptr && config->is_object() ? config : nullptr;
}

/// A node of the inner layer, which sees one time step, as one that sees all of them; false where there is none.
bool over_time(nn::Node& node, std::int64_t steps) {
  static const std::vector<std::string> kLastAxis = {"Activation", "BatchNorm", "Dense",   "DenseBatchnorm",
                                                     "Identity",   "Rescaling", "Softmax", "Add",
                                                     "Sub",        "Mul",       "Div"};
  static const std::vector<std::string> kSpatial = {
      "Conv", "ConvBatchnorm", "DepthwiseConv", "DepthwiseConvBatchnorm", "MaxPool", "AveragePool"};
  const auto is = [&](const auto& list) { return std::find(list.begin(), list.end(), node.op) != list.end(); };
  const auto in_front = [&](const char* key, std::int64_t value) {
    auto list = get_ints(node.attributes, key);
    if (list.empty()) return;
    list.insert(list.begin(), value);
    node.attributes[key] = std::move(list);
  };
  if (is(kLastAxis)) return true;
  if (is(kSpatial)) {
    const auto padding = get_string(node.attributes, "padding", "valid");
    if (padding == "causal") return false;
    for (const char* key : {"strides", "dilations", "pool"}) in_front(key, 1);
    for (const char* key : {"before", "after"}) in_front(key, 0);
    if (const auto it = node.parameters.find("kernel"); it != node.parameters.end())
      it->second.values.shape.insert(it->second.values.shape.begin(), 1);
    return true;
  }
  if (node.op == "GlobalMaxPool" || node.op == "GlobalAveragePool") return false;
  if (node.op == "Reshape") {
    in_front("shape", steps);
    return true;
  }
  if (node.op == "Permute") {
    auto list = get_ints(node.attributes, "permutation");
    for (auto& axis : list) ++axis;
    list.insert(list.begin(), 0);
    node.attributes["permutation"] = std::move(list);
    return true;
  }
  return false;
}

void import_time_distributed(LayerImport& in) {
  const auto* layer = in.config.find("layer");
  const auto* json = inner_config(in, layer);
  if (json == nullptr || !in.input()) return;
  if (in.input()->size() < 2)
    return in.config.fail(Kind::ShapeMismatch, fmt::format("TimeDistributed needs the time and something to apply its "
                                                           "layer to, the input has {}",
                                                           weft::to_string(*in.input())));
  auto package = split_registered(text_member(*layer, "registered_name")).first;
  if (package.empty()) package = text_member(*layer, "module").starts_with("qkeras") ? "qkeras" : "keras";
  const auto class_name = split_registered(text_member(*layer, "class_name")).second;
  const LayerRow* row = find_row(class_name, package);
  if (row == nullptr) row = find_row(class_name, "");
  const auto no_form = [&] {
    in.config.fail(Kind::LayerUnsupported,
                   fmt::format("TimeDistributed of `{}` has no form over all time steps; apply the layer by itself, or "
                               "reshape around it",
                               class_name));
  };
  if (row == nullptr || row->by_path || row->max_inputs != 1) return no_form();
  Inner inner(*layer, *json, in, row->weights, "layer");
  auto& sub = inner.import;
  sub.node.op = row->op;
  sub.inputs = {Shape(in.input()->begin() + 1, in.input()->end())};
  row->import(sub);
  if (!sub.config.ok()) return in.config.fail_reported();
  if (!sub.front.empty() || !sub.output) return sub.front.empty() ? void() : no_form();
  for (auto& node : sub.chain)
    if (!over_time(node, in.input()->front())) return no_form();
  if (!over_time(sub.node, in.input()->front())) return no_form();
  Shape shape = *sub.output;
  shape.insert(shape.begin(), in.input()->front());
  in.chain = std::move(sub.chain);
  in.node = std::move(sub.node);
  in.softmax = sub.softmax;
  in.output = std::move(shape);
}

}  // namespace

std::vector<LayerRow> time_distributed_rows() {
  LayerRow row{.class_name = "TimeDistributed",
               .package = "keras",
               .op = "Dense",
               .used = {"layer"},
               .ignored = {},
               .refused = {},
               .weights = {{.name = "kernel"}},
               .import = import_time_distributed,
               .by_path = true};
  return {row};
}

}  // namespace weft::formats::keras
