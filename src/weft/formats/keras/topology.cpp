// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {
namespace {

constexpr std::size_t kMaxLayers = 65536;

/// What stands beside `config` in a layer object. Anything else could change the result.
constexpr std::string_view kLayerKeys[] = {"class_name",    "config",         "name",
                                           "inbound_nodes", "module",         "registered_name",
                                           "build_config",  "compile_config", "shared_object_id"};

/// "qkeras" from module "qkeras.qlayers" or registered name "qkeras>QDense".
std::string package_of(const Json& layer) {
  for (const auto* key : {"registered_name", "class_name"}) {
    const auto package = split_registered(text_member(layer, key)).first;
    if (!package.empty() && package != "Custom") return package;
  }
  const auto module = text_member(layer, "module");
  const auto first = module.substr(0, module.find('.'));
  if (first == "tensorflow" || first == "tf_keras" || first == "builtins") return "keras";
  return first;
}

class Reader {
 public:
  Reader(std::string file, Context& ctx) : file_(std::move(file)), ctx_(ctx) {}

  Result<Topology> read(const Json& architecture) {
    const auto class_name = split_registered(text_member(architecture, "class_name")).second;
    const auto* config = member(architecture, "config");
    if (config == nullptr) return malformed("the architecture has no `config`");
    out_.name = text_member(*config, "name");
    if (out_.name.empty()) out_.name = "model";
    // Keras before 2.3 wrote a Sequential's layers as the config itself.
    const auto* layers = config->is_array() ? config : member(*config, "layers");
    if (class_name != "Sequential" && class_name != "Functional" && class_name != "Model") {
      return ctx_.fail(Kind::LayerUnsupported, {.file = file_, .op = class_name},
                       fmt::format("the model is a `{}`; Sequential and Functional models are read, save subclassed "
                                   "models as one of them",
                                   class_name));
    }
    if (layers == nullptr || !layers->is_array() || layers->empty()) return malformed("the architecture has no layers");
    if (layers->size() > kMaxLayers) {
      return ctx_.fail(Kind::LimitExceeded, {.file = file_}, fmt::format("more than {} layers", kMaxLayers));
    }
    for (const auto& layer : *layers) add_layer(layer);
    if (class_name == "Sequential") {
      connect_sequence(*config);
    } else {
      connect_functional(*layers, *config);
    }
    if (ok_) sort();
    if (!ok_) return diag::failure;
    return std::move(out_);
  }

 private:
  diag::Failure malformed(std::string message) {
    ok_ = false;
    return ctx_.fail(Kind::ModelMalformed, {.file = file_}, std::move(message));
  }
  void fail(Kind kind, const Origin& origin, std::string message) {
    ok_ = false;
    ctx_.report(kind, origin, std::move(message));
  }

  void add_layer(const Json& layer) {
    LayerEntry entry;
    entry.class_name = split_registered(text_member(layer, "class_name")).second;
    entry.package = package_of(layer);
    entry.config = member(layer, "config");
    entry.name = text_member(layer, "name");
    if (entry.config != nullptr && entry.name.empty()) entry.name = text_member(*entry.config, "name");
    entry.origin = {.file = file_, .node = entry.name, .op = entry.class_name};
    if (entry.class_name.empty() || entry.name.empty() || entry.config == nullptr) {
      fail(Kind::ModelMalformed, entry.origin,
           fmt::format("layer {} has no class name, no name or no config", out_.layers.size()));
    } else if (!by_name_.emplace(entry.name, out_.layers.size()).second) {
      fail(Kind::ModelMalformed, entry.origin, "two layers have this name");
    }
    for (const auto& [key, value] : layer.items()) {
      if (std::find(std::begin(kLayerKeys), std::end(kLayerKeys), key) == std::end(kLayerKeys)) {
        fail(Kind::AttributeUnknown, entry.origin, fmt::format("unknown key `{}` beside the layer's config", key));
      }
    }
    out_.layers.push_back(std::move(entry));
  }

  void connect_sequence(const Json& config) {
    auto& layers = out_.layers;
    if (layers[0].class_name != "InputLayer") add_implied_input(config);
    for (std::size_t i = 1; i < layers.size(); ++i) {
      if (layers[i].class_name == "InputLayer") {
        fail(Kind::ModelMalformed, layers[i].origin, "an input layer in the middle of a Sequential model");
      }
      layers[i].inputs = {i - 1};
    }
    out_.inputs = {0};
    out_.outputs = {layers.size() - 1};
  }

  /// Sequential models may state the input shape on their first layer or on the model.
  void add_implied_input(const Json& config) {
    auto& layers = out_.layers;
    const Json* shape = nullptr;
    if (layers[0].config != nullptr) {
      for (const auto* key : {"batch_input_shape", "batch_shape"}) {
        if (const auto* found = member(*layers[0].config, key); found != nullptr && !found->is_null()) shape = found;
      }
    }
    if (shape == nullptr) shape = member(config, "build_input_shape");
    if (shape == nullptr) {
      fail(Kind::ShapeMismatch, layers[0].origin,
           "the input shape is not in the file; give the first layer an input shape and save the model again");
      return;
    }
    LayerEntry input;
    input.name = layers[0].name + "_input";
    input.class_name = "InputLayer";
    input.package = "keras";
    out_.made.push_back(Json{{"name", input.name}, {"batch_input_shape", *shape}});
    input.config = &out_.made.back();
    input.origin = {.file = file_, .node = input.name, .op = "InputLayer"};
    layers.insert(layers.begin(), std::move(input));
  }

  void connect_functional(const Json& layers, const Json& config) {
    for (std::size_t i = 0; i < out_.layers.size(); ++i) {
      auto& entry = out_.layers[i];
      const auto* nodes = member(layers[i], "inbound_nodes");
      if (entry.class_name == "InputLayer") continue;
      if (nodes == nullptr || !nodes->is_array() || nodes->empty()) {
        fail(Kind::ModelMalformed, entry.origin, "the layer has no inputs");
        continue;
      }
      if (nodes->size() > 1) {
        fail(Kind::LayerUnsupported, entry.origin,
             fmt::format("the layer is applied {} times; shared layers are not supported yet, use one layer for each",
                         nodes->size()));
        continue;
      }
      entry.inputs = references(nodes->front(), entry.origin);
      if (entry.inputs.empty()) fail(Kind::ModelMalformed, entry.origin, "the layer has no inputs");
    }
    out_.inputs = ports(config, "input_layers");
    out_.outputs = ports(config, "output_layers");
    for (const auto input : out_.inputs) {
      if (out_.layers[input].class_name != "InputLayer") {
        fail(Kind::ModelMalformed, out_.layers[input].origin, "the model's input is not an input layer");
      }
    }
    for (std::size_t i = 0; i < out_.layers.size(); ++i) {
      if (out_.layers[i].class_name == "InputLayer" &&
          std::find(out_.inputs.begin(), out_.inputs.end(), i) == out_.inputs.end()) {
        fail(Kind::ModelMalformed, out_.layers[i].origin, "the input layer is not among the model's inputs");
      }
    }
  }

  std::vector<std::size_t> ports(const Json& config, const char* key) {
    const auto* list = member(config, key);
    if (list == nullptr) {
      malformed(fmt::format("the architecture has no `{}`", key));
      return {};
    }
    auto out = references(*list, {.file = file_});
    if (out.empty()) malformed(fmt::format("`{}` is empty", key));
    if (std::set<std::size_t>(out.begin(), out.end()).size() != out.size()) {
      malformed(fmt::format("`{}` names a layer twice", key));
    }
    return out;
  }

  /// Layers named in any form: ["name", 0, 0, {}], Keras 3's tensor objects, lists and dicts of these, in their order.
  std::vector<std::size_t> references(const Json& json, const Origin& origin) {
    std::vector<std::size_t> out;
    collect(json, origin, out);
    return out;
  }

  void collect(const Json& json, const Origin& origin, std::vector<std::size_t>& out) {
    if (out.size() > kMaxLayers) return;
    const bool reference = json.is_array() && json.size() >= 3 && json[0].is_string() && json[1].is_number_integer() &&
                           json[2].is_number_integer();
    if (reference) {
      add_reference(json, origin, out);
    } else if (json.is_array()) {
      for (const auto& item : json) collect(item, origin, out);
    } else if (text_member(json, "class_name") == "__keras_tensor__") {
      const auto* config = member(json, "config");
      const auto* history = config == nullptr ? nullptr : member(*config, "keras_history");
      if (history == nullptr) {
        fail(Kind::ModelMalformed, origin, "a tensor has no `keras_history`");
      } else {
        collect(*history, origin, out);
      }
    } else if (const auto* args = member(json, "args"); args != nullptr) {
      collect(*args, origin, out);
      if (const auto* kwargs = member(json, "kwargs")) check_call_arguments(*kwargs, origin);
    } else if (json.is_object() && !json.empty()) {
      for (const auto& item : json) collect(item, origin, out);
    } else if (find_row(origin.op, "") != nullptr) {  // layers of other classes are refused as such
      fail(Kind::AttributeUnsupported, origin,
           fmt::format("the layer is called with {} besides tensors; remove the argument", shown(json)));
    }
  }

  void add_reference(const Json& json, const Origin& origin, std::vector<std::size_t>& out) {
    const auto name = json[0].get<std::string>();
    const auto it = by_name_.find(name);
    if (it == by_name_.end()) {
      fail(Kind::ModelMalformed, origin, fmt::format("an input comes from layer `{}`, which does not exist", name));
      return;
    }
    if (json[1] != 0 || json[2] != 0) {
      fail(Kind::LayerUnsupported, origin,
           fmt::format("an input is output {} of call {} of layer `{}`; layers with several outputs or calls are not "
                       "supported yet",
                       json[2].dump(), json[1].dump(), name));
      return;
    }
    if (json.size() > 3) check_call_arguments(json[3], origin);
    out.push_back(it->second);
  }

  /// Arguments of the call that say nothing at inference.
  void check_call_arguments(const Json& kwargs, const Origin& origin) {
    if (kwargs.is_null() || find_row(origin.op, "") == nullptr) return;
    for (const auto& [key, value] : kwargs.items()) {
      const bool harmless = (key == "training" && value == false) || value.is_null();
      if (!harmless) {
        fail(Kind::AttributeUnsupported, origin,
             fmt::format("the layer is called with `{}={}`; remove the argument", key, shown(value)));
      }
    }
  }

  /// Kahn's algorithm, taking the earliest layer of the file first: stable and finite also on cycles.
  void sort() {
    const auto n = out_.layers.size();
    std::vector<std::size_t> missing(n, 0);
    std::vector<std::vector<std::size_t>> users(n);
    std::set<std::size_t> ready;
    for (std::size_t i = 0; i < n; ++i) {
      missing[i] = out_.layers[i].inputs.size();
      for (const auto input : out_.layers[i].inputs) users[input].push_back(i);
      if (missing[i] == 0) ready.insert(i);
    }
    while (!ready.empty()) {
      const auto i = *ready.begin();
      ready.erase(ready.begin());
      out_.order.push_back(i);
      for (const auto user : users[i]) {
        if (--missing[user] == 0) ready.insert(user);
      }
    }
    if (out_.order.size() != n) malformed("the layers form a cycle");
  }

  std::string file_;
  Context& ctx_;
  Topology out_;
  std::map<std::string, std::size_t> by_name_;
  bool ok_ = true;
};

}  // namespace

Result<Topology> read_topology(const Json& architecture, const std::string& file, Context& ctx) {
  return Reader(file, ctx).read(architecture);
}

}  // namespace weft::formats::keras
