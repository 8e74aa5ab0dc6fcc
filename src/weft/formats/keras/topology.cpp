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
constexpr int kMaxDepth = 32;
/// Keras 2 marks constants among the tensors: [kConstant, -1, value, {...}].
constexpr std::string_view kConstant = "_CONSTANT_VALUE";

/// What stands beside `config` in a layer object. Anything else could change the result.
constexpr std::string_view kLayerKeys[] = {"class_name",    "config",         "name",
                                           "inbound_nodes", "module",         "registered_name",
                                           "build_config",  "compile_config", "shared_object_id"};

/// "qkeras" from module "qkeras.qlayers" or registered name "qkeras>QDense".
std::string package_of(const Json& layer) {
  const auto module = text_member(layer, "module");
  if (module.find(".ops.") != std::string::npos && module.starts_with("keras")) return "keras.ops";
  for (const auto* key : {"registered_name", "class_name"}) {
    const auto package = split_registered(text_member(layer, key)).first;
    if (!package.empty() && package != "Custom") return package;
  }
  const auto first = module.substr(0, module.find('.'));
  if (first == "tensorflow" || first == "tf_keras" || first == "builtins") return "keras";
  return first;
}

bool is_model(const std::string& class_name) {
  return class_name == "Sequential" || class_name == "Functional" || class_name == "Model";
}

/// A model placed once: its inputs wait for their tensors.
struct Placed {
  std::vector<std::size_t> inputs;
  std::vector<Source> outputs;
};

class Reader {
 public:
  Reader(std::string file, Context& ctx) : file_(std::move(file)), ctx_(ctx) {}

  Result<Topology> read(const Json& architecture) {
    const auto class_name = split_registered(text_member(architecture, "class_name")).second;
    const auto* config = member(architecture, "config");
    if (config == nullptr) return malformed("the architecture has no `config`");
    out_.name = text_member(*config, "name");
    if (out_.name.empty()) out_.name = "model";
    if (!is_model(class_name)) {
      return ctx_.fail(Kind::LayerUnsupported, {.file = file_, .op = class_name},
                       fmt::format("the model is a `{}`; Sequential and Functional models are read, save subclassed "
                                   "models as one of them",
                                   class_name));
    }
    out_.scopes.emplace_back();
    auto whole = place(class_name, *config, "", 0, 0);
    if (ok_) sort();
    if (!ok_) return diag::failure;
    out_.inputs = std::move(whole.inputs);
    out_.outputs = std::move(whole.outputs);
    return std::move(out_);
  }

 private:
  /// A layer of one model: an entry, or a nested model, for each call.
  struct Local {
    const Json* json = nullptr;
    std::size_t first = 0;         ///< entry of the first call
    std::vector<Placed> models{};  ///< of a nested model
    std::size_t calls = 0;
    std::size_t first_call = 0;  ///< the number of its first call in references
    bool model = false;
    bool input = false;
  };
  struct Level {
    std::vector<Local> locals;
    std::map<std::string, std::size_t> by_name;
    std::string prefix;
  };

  diag::Failure malformed(std::string message) {
    ok_ = false;
    return ctx_.fail(Kind::ModelMalformed, {.file = file_}, std::move(message));
  }
  void fail(Kind kind, const Origin& origin, std::string message) {
    ok_ = false;
    ctx_.report(kind, origin, std::move(message));
  }

  /// Places all layers of a model, nested ones too, and connects them. `scope` is where its members are noted.
  Placed place(const std::string& class_name, const Json& config, const std::string& prefix, std::size_t scope,
               int depth) {
    // Keras before 2.3 wrote a Sequential's layers as the config itself.
    const auto* layers = config.is_array() ? &config : member(config, "layers");
    if (layers == nullptr || !layers->is_array() || layers->empty()) {
      malformed(prefix.empty() ? "the architecture has no layers" : "a nested model has no layers");
      return {};
    }
    if (depth > kMaxDepth) {
      fail(Kind::LimitExceeded, {.file = file_}, fmt::format("models are nested more than {} deep", kMaxDepth));
      return {};
    }
    // The first call of a layer has its name, whatever others are called.
    for (const auto& layer : *layers) {
      auto name = text_member(layer, "name");
      const auto* inner = member(layer, "config");
      if (name.empty() && inner != nullptr) name = text_member(*inner, "name");
      names_.insert(prefix + name);
    }
    const bool sequential = class_name == "Sequential";
    Level level;
    level.prefix = prefix;
    std::size_t implied = Scope::kNone;
    if (sequential && layers->front().is_object() &&
        split_registered(text_member(layers->front(), "class_name")).second != "InputLayer")
      implied = add_implied_input(config, layers->front(), prefix, depth);
    for (const auto& layer : *layers) {
      if (!add_layer(level, layer, sequential, scope, depth)) return {};
    }
    if (sequential) return connect_sequence(level, implied);
    number_calls(level, config);
    return connect_functional(level, config);
  }

  bool full(std::size_t more = 1) {
    if (out_.layers.size() + more <= kMaxLayers) return false;
    if (ok_) fail(Kind::LimitExceeded, {.file = file_}, fmt::format("more than {} layers", kMaxLayers));
    return true;
  }

  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  static std::size_t count_calls(const Json& layer, bool sequential) {
    const auto* nodes = member(layer, "inbound_nodes");
    if (sequential || nodes == nullptr || !nodes->is_array()) return 1;
    return std::max<std::size_t>(nodes->size(), 1);
  }

  bool add_layer(Level& level, const Json& json, bool sequential, std::size_t scope, int depth) {
    LayerEntry entry;
    entry.class_name = split_registered(text_member(json, "class_name")).second;
    entry.package = package_of(json);
    entry.config = member(json, "config");
    entry.own_name = text_member(json, "name");
    if (entry.config != nullptr && entry.own_name.empty()) entry.own_name = text_member(*entry.config, "name");
    unwrap_pruning(entry);
    entry.origin = {.file = file_, .node = level.prefix + entry.own_name, .op = entry.class_name};
    Local local{.json = &json, .first = out_.layers.size()};
    local.calls = count_calls(json, sequential);
    local.model = is_model(entry.class_name) && entry.config != nullptr;
    local.input = entry.class_name == "InputLayer";
    if (entry.class_name.empty() || entry.own_name.empty() || entry.config == nullptr) {
      fail(Kind::ModelMalformed, entry.origin,
           fmt::format("layer {} has no class name, no name or no config", level.locals.size()));
    } else if (!level.by_name.emplace(entry.own_name, level.locals.size()).second) {
      fail(Kind::ModelMalformed, entry.origin, "two layers have this name");
    }
    for (const auto& [key, value] : json.items()) {
      if (std::find(std::begin(kLayerKeys), std::end(kLayerKeys), key) == std::end(kLayerKeys)) {
        fail(Kind::AttributeUnknown, entry.origin, fmt::format("unknown key `{}` beside the layer's config", key));
      }
    }
    Scope::Member noted{entry.own_name, entry.class_name, Scope::kNone, Scope::kNone};
    if (local.model) {
      if (scope != Scope::kNone) {
        noted.scope = out_.scopes.size();
        out_.scopes.emplace_back();
      }
      for (std::size_t call = 0; call < local.calls; ++call) {
        const auto begin = out_.layers.size();
        const auto name = call == 0 ? level.prefix + entry.own_name : unique(level.prefix + entry.own_name);
        local.models.push_back(
            place(entry.class_name, *entry.config, name + "/", call == 0 ? noted.scope : Scope::kNone, depth + 1));
        if (!ok_) return false;
        for (auto i = begin; call > 0 && i < out_.layers.size(); ++i)
          out_.layers[i].weights = out_.layers[local.first + (i - begin)].weights;
      }
    } else {
      noted.layer = out_.layers.size();
      if (full(local.calls)) return false;
      for (std::size_t call = 0; call < local.calls; ++call) {
        entry.name = call == 0 ? level.prefix + entry.own_name : unique(level.prefix + entry.own_name);
        entry.origin.node = entry.name;
        entry.weights = local.first;
        out_.layers.push_back(entry);
      }
    }
    if (scope != Scope::kNone) out_.scopes[scope].members.push_back(std::move(noted));
    level.locals.push_back(std::move(local));
    return true;
  }

  /// A wrapper of pruning says nothing at inference but its mask.
  static void unwrap_pruning(LayerEntry& entry) {
    if (entry.class_name != "PruneLowMagnitude" || entry.config == nullptr) return;
    const auto* layer = member(*entry.config, "layer");
    const auto* config = layer == nullptr ? nullptr : member(*layer, "config");
    if (config == nullptr) return;
    const auto class_name = split_registered(text_member(*layer, "class_name")).second;
    if (is_model(class_name)) return;
    entry.class_name = class_name;
    entry.package = package_of(*layer);
    entry.config = config;
    entry.pruned = true;
  }

  /// Sequential models may state the input shape on their first layer or on the model.
  std::size_t add_implied_input(const Json& config, const Json& first, const std::string& prefix, int depth) {
    const Json* shape = nullptr;
    const auto* inner = member(first, "config");
    for (const auto* key : {"batch_input_shape", "batch_shape"}) {
      const auto* found = inner == nullptr ? nullptr : member(*inner, key);
      if (found != nullptr && !found->is_null()) shape = found;
    }
    // A nested model in front may say it on its own first layer.
    for (int deep = 0; shape == nullptr && inner != nullptr && deep < kMaxDepth; ++deep) {
      const auto* layers = member(*inner, "layers");
      if (layers == nullptr || !layers->is_array() || layers->empty()) break;
      inner = member(layers->front(), "config");
      for (const auto* key : {"batch_input_shape", "batch_shape"}) {
        const auto* found = inner == nullptr ? nullptr : member(*inner, key);
        if (found != nullptr && !found->is_null()) shape = found;
      }
    }
    inner = member(first, "config");
    auto name = text_member(first, "name");
    if (name.empty() && inner != nullptr) name = text_member(*inner, "name");
    if (shape == nullptr) shape = member(config, "build_input_shape");
    if (shape == nullptr && depth == 0) {
      fail(Kind::ShapeMismatch, {.file = file_, .node = name, .op = text_member(first, "class_name")},
           "the input shape is not in the file; give the first layer an input shape and save the model again");
    }
    if (full()) return Scope::kNone;
    LayerEntry input;
    input.own_name = name + "_input";
    input.name = unique(prefix + input.own_name);
    input.class_name = "InputLayer";
    input.package = "keras";
    out_.made.push_back(Json{{"name", input.name}});
    if (shape != nullptr) out_.made.back()["batch_input_shape"] = *shape;
    input.config = &out_.made.back();
    input.origin = {.file = file_, .node = input.name, .op = "InputLayer"};
    input.weights = out_.layers.size();
    out_.layers.push_back(std::move(input));
    return out_.layers.size() - 1;
  }

  Placed connect_sequence(const Level& level, std::size_t implied) {
    Placed out;
    std::size_t start = 0;
    if (implied == Scope::kNone) {
      if (!ok_) return out;
      implied = level.locals[0].first;
      start = 1;
    }
    out.inputs = {implied};
    out.outputs = {{implied, 0}};
    for (std::size_t i = start; i < level.locals.size(); ++i) {
      const auto& local = level.locals[i];
      if (local.model) {
        const auto& inner = local.models[0];
        if (inner.inputs.size() != 1 || inner.outputs.size() != 1) {
          fail(Kind::ModelMalformed, {.file = file_}, "a model inside of a Sequential has several inputs or outputs");
          return out;
        }
        out_.layers[inner.inputs[0]].inputs = out.outputs;
        out.outputs = inner.outputs;
        continue;
      }
      auto& entry = out_.layers[local.first];
      if (local.input) fail(Kind::ModelMalformed, entry.origin, "an input layer in the middle of a Sequential model");
      entry.inputs = out.outputs;
      entry.arguments = {{"", nullptr, {0}}};
      out.outputs = {{local.first, 0}};
    }
    return out;
  }

  /// Keras 2 counts the making of a nested model as its call 0, older versions and Keras 3 do not: the last call that
  /// is referred to says which.
  static void number_calls(Level& level, const Json& config) {
    std::size_t budget = kMaxLayers;
    const auto* outputs = member(config, "output_layers");
    if (outputs != nullptr) note_calls(level, *outputs, budget, 0);
    for (const auto& local : level.locals) {
      const auto* nodes = member(*local.json, "inbound_nodes");
      budget = kMaxLayers;
      if (nodes != nullptr) note_calls(level, *nodes, budget, 0);
    }
  }

  static void note_calls(Level& level, const Json& json, std::size_t& budget, int depth) {
    if (budget == 0 || depth > kMaxDepth || !(json.is_array() || json.is_object())) return;
    --budget;
    if (is_reference(json)) {
      const auto it = level.by_name.find(json[0].get<std::string>());
      if (it == level.by_name.end()) return;
      auto& local = level.locals[it->second];
      if (local.model && json[1] == local.calls) local.first_call = 1;
    }
    for (const auto& item : json) note_calls(level, item, budget, depth + 1);
  }

  Placed connect_functional(const Level& level, const Json& config) {
    for (const auto& local : level.locals) {
      if (local.input) continue;
      const auto& origin = local.model ? Origin{.file = file_, .node = text_member(*local.json, "name"), .op = "Model"}
                                       : out_.layers[local.first].origin;
      const auto* nodes = member(*local.json, "inbound_nodes");
      if (nodes == nullptr || !nodes->is_array() || nodes->empty()) {
        fail(Kind::ModelMalformed, origin, "the layer has no inputs");
        continue;
      }
      for (std::size_t call = 0; call < local.calls; ++call) {
        LayerEntry scratch;
        scratch.origin = origin;
        auto& entry = local.model ? scratch : out_.layers[local.first + call];
        read_call(level, (*nodes)[call], entry);
        if (entry.inputs.empty()) fail(Kind::ModelMalformed, origin, "the layer has no inputs");
        if (!local.model) continue;
        const auto& inner = local.models[call];
        if (inner.inputs.size() != entry.inputs.size()) {
          fail(Kind::ModelMalformed, origin,
               fmt::format("the nested model has {} inputs and is called with {}", inner.inputs.size(),
                           entry.inputs.size()));
          continue;
        }
        for (std::size_t i = 0; i < inner.inputs.size(); ++i) out_.layers[inner.inputs[i]].inputs = {entry.inputs[i]};
      }
    }
    Placed out;
    for (const auto& source : ports(level, config, "input_layers")) {
      if (out_.layers[source.layer].class_name != "InputLayer")
        fail(Kind::ModelMalformed, out_.layers[source.layer].origin, "the model's input is not an input layer");
      out.inputs.push_back(source.layer);
    }
    out.outputs = ports(level, config, "output_layers");
    for (const auto& local : level.locals) {
      if (local.input && std::find(out.inputs.begin(), out.inputs.end(), local.first) == out.inputs.end())
        fail(Kind::ModelMalformed, out_.layers[local.first].origin, "the input layer is not among the model's inputs");
    }
    return out;
  }

  std::vector<Source> ports(const Level& level, const Json& config, const char* key) {
    const auto* list = member(config, key);
    if (list == nullptr) {
      malformed(fmt::format("the architecture has no `{}`", key));
      return {};
    }
    LayerEntry scratch;
    scratch.origin = {.file = file_};
    std::size_t budget = kMaxLayers;
    collect(level, *list, scratch, nullptr, budget, 0);
    if (scratch.inputs.empty()) malformed(fmt::format("`{}` is empty", key));
    if (std::set<Source>(scratch.inputs.begin(), scratch.inputs.end()).size() != scratch.inputs.size())
      malformed(fmt::format("`{}` names a layer twice", key));
    return scratch.inputs;
  }

  /// One element of `inbound_nodes`: Keras 3's {args, kwargs}, or a list of [name, call, output, kwargs].
  void read_call(const Level& level, const Json& json, LayerEntry& entry) {
    std::size_t budget = kMaxLayers;
    if (const auto* args = member(json, "args"); args != nullptr) {
      if (args->is_array()) {
        for (const auto& arg : *args) read_argument(level, "", arg, entry, budget);
      }
      if (const auto* kwargs = member(json, "kwargs"); kwargs != nullptr) {
        for (const auto& [key, value] : kwargs->items()) read_argument(level, key, value, entry, budget);
      }
      return;
    }
    Argument argument{"", &json, {}};
    const Json* kwargs = nullptr;
    for (const auto* list = &json; list->is_array() && !list->empty(); list = &list->back()) {
      if (is_reference(*list)) {
        if (list->size() > 3) kwargs = &(*list)[3];
        break;
      }
    }
    collect(level, json, entry, &argument, budget, 0);
    entry.arguments.push_back(std::move(argument));
    if (kwargs == nullptr || !kwargs->is_object()) return;
    for (const auto& [key, value] : kwargs->items()) read_argument(level, key, value, entry, budget);
  }

  void read_argument(const Level& level, const std::string& key, const Json& value, LayerEntry& entry,
                     std::size_t& budget) {
    // Without meaning at inference.
    if (key == "mask" && value.is_null()) return;
    if (key == "training" && (value.is_null() || value == false)) return;
    Argument argument{key, &value, {}};
    collect(level, value, entry, &argument, budget, 0);
    entry.arguments.push_back(std::move(argument));
  }

  static bool is_reference(const Json& json) {
    return json.is_array() && json.size() >= 3 && json.size() <= 4 && json[0].is_string() &&
           json[1].is_number_integer() &&
           (json[2].is_number_integer() || json[0].get_ref<const std::string&>() == kConstant);
  }

  /// Tensors named in any form: ["name", 0, 0, {}], Keras 3's tensor objects, lists and dicts of these, in their order.
  void collect(const Level& level, const Json& json, LayerEntry& entry, Argument* argument, std::size_t& budget,
               int depth) {
    if (budget == 0 || depth > kMaxDepth) return;
    --budget;
    if (is_reference(json)) {
      add_reference(level, json, entry, argument);
    } else if (text_member(json, "class_name") == "__keras_tensor__") {
      const auto* config = member(json, "config");
      const auto* history = config == nullptr ? nullptr : member(*config, "keras_history");
      if (history == nullptr) {
        fail(Kind::ModelMalformed, entry.origin, "a tensor has no `keras_history`");
      } else {
        collect(level, *history, entry, argument, budget, depth + 1);
      }
    } else if (json.is_array() || json.is_object()) {
      for (const auto& item : json) collect(level, item, entry, argument, budget, depth + 1);
    }
  }

  void add_reference(const Level& level, const Json& json, LayerEntry& entry, Argument* argument) {
    const auto name = json[0].get<std::string>();
    if (name == kConstant) return;
    const auto it = level.by_name.find(name);
    if (it == level.by_name.end()) {
      fail(Kind::ModelMalformed, entry.origin,
           fmt::format("an input comes from layer `{}`, which does not exist", name));
      return;
    }
    const auto& local = level.locals[it->second];
    const auto call = json[1].get<std::int64_t>();
    const auto output = json[2].get<std::int64_t>();
    const auto first = static_cast<std::int64_t>(local.first_call);
    Source source;
    bool good =
        call >= first && static_cast<std::uint64_t>(call - first) < local.calls && output >= 0 && output < 65536;
    if (good && local.model) {
      const auto& outputs = local.models[static_cast<std::size_t>(call - first)].outputs;
      good = static_cast<std::size_t>(output) < outputs.size();
      if (good) source = outputs[static_cast<std::size_t>(output)];
    } else if (good) {
      source = {local.first + static_cast<std::size_t>(call - first), static_cast<std::size_t>(output)};
    }
    if (!good) {
      fail(Kind::ModelMalformed, entry.origin,
           fmt::format("an input is output {} of call {} of layer `{}`, which does not exist", json[2].dump(),
                       json[1].dump(), name));
      return;
    }
    if (argument != nullptr) argument->from.push_back(entry.inputs.size());
    entry.inputs.push_back(source);
  }

  /// Kahn's algorithm, taking the earliest layer of the file first: stable and finite also on cycles.
  void sort() {
    const auto n = out_.layers.size();
    std::vector<std::size_t> missing(n, 0);
    std::vector<std::vector<std::size_t>> users(n);
    std::set<std::size_t> ready;
    for (std::size_t i = 0; i < n; ++i) {
      missing[i] = out_.layers[i].inputs.size();
      for (const auto& input : out_.layers[i].inputs) users[input.layer].push_back(i);
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
  std::set<std::string> names_;
  bool ok_ = true;
};

}  // namespace

Result<Topology> read_topology(const Json& architecture, const std::string& file, Context& ctx) {
  return Reader(file, ctx).read(architecture);
}

}  // namespace weft::formats::keras
