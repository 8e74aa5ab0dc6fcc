// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/keras.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

#include "weft/formats/keras/hgq_rows.h"
#include "weft/formats/keras/layer_import.h"
#include "weft/formats/keras/masks.h"
#include "weft/formats/keras/user_layers.h"
#include "weft/support/archive.h"
#include "weft/support/files.h"

namespace weft::formats::keras {
namespace {

/// An architecture and where its weights are.
struct Opened {
  std::string file;
  Json architecture;
  int keras_major = 2;
  std::optional<WeightFile> weights;
};

bool is_zip(std::string_view bytes) { return bytes.starts_with("PK\x03\x04"); }

/// "3.14.1" -> 3.
std::optional<int> major_of(const std::string& version) {
  int out = 0;
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), out);
  if (error != std::errc() || out < 1 || out > 99) return std::nullopt;
  return out;
}

/// Some files hold the JSON text as a JSON string.
Result<Json> parse_architecture(const std::string& text, const std::string& file, Context& ctx) {
  WEFT_TRY(auto json, support::parse_json(text, file, ctx));
  if (json.is_string()) {
    const auto inner = json.get<std::string>();
    WEFT_TRY(json, support::parse_json(inner, file, ctx));
  }
  return json;
}

Result<Opened> open_hdf5(NamedBytes model, Context& ctx) {
  Opened source{.file = model.name, .architecture = {}, .keras_major = 2, .weights = {}};
  WEFT_TRY(auto weights, WeightFile::open(std::move(model), ctx));
  WEFT_TRY(const auto config, weights.root_text("model_config", ctx));
  if (!config) {
    return ctx.fail(
        Kind::ModelMalformed, {.file = source.file},
        "the file has weights but no architecture; give the architecture's .json and this file with --weights");
  }
  WEFT_TRY(source.architecture, parse_architecture(*config, source.file, ctx));
  WEFT_TRY(const auto version, weights.root_text("keras_version", ctx));
  source.keras_major = major_of(version.value_or("")).value_or(2);
  source.weights = std::move(weights);
  return source;
}

Result<Opened> open_zip(const NamedBytes& model, Context& ctx) {
  Opened source{.file = model.name, .architecture = {}, .keras_major = 3, .weights = {}};
  WEFT_TRY(auto members, support::read_zip(model.bytes, model.name, ctx));
  const auto config = members.find("config.json");
  const auto weights = members.find("model.weights.h5");
  if (config == members.end() || weights == members.end()) {
    return ctx.fail(Kind::ModelMalformed, {.file = model.name},
                    "the archive has no `config.json` or no `model.weights.h5`");
  }
  WEFT_TRY(source.architecture, parse_architecture(config->second, model.name + ": config.json", ctx));
  if (const auto metadata = members.find("metadata.json"); metadata != members.end()) {
    WEFT_TRY(const auto json, support::parse_json(metadata->second, model.name + ": metadata.json", ctx));
    source.keras_major = major_of(text_member(json, "keras_version")).value_or(3);
  }
  WEFT_TRY(source.weights, WeightFile::open({model.name + ": model.weights.h5", std::move(weights->second)}, ctx));
  return source;
}

Result<Opened> open_json(const NamedBytes& model, Context& ctx) {
  Opened source{.file = model.name, .architecture = {}, .keras_major = 2, .weights = {}};
  WEFT_TRY(source.architecture, parse_architecture(model.bytes, model.name, ctx));
  const auto version = text_member(source.architecture, "keras_version");
  // Keras 3 writes no version here, but says the module of each class.
  const bool has_module = member(source.architecture, "module") != nullptr;
  source.keras_major = major_of(version).value_or(has_module ? 3 : 2);
  return source;
}

Result<Opened> open_source(NamedBytes model, std::optional<NamedBytes> weights, Context& ctx) {
  const bool hdf5 = has_hdf5_signature(model.bytes);
  const bool zip = is_zip(model.bytes);
  WEFT_TRY(auto source, hdf5 ? open_hdf5(std::move(model), ctx) : zip ? open_zip(model, ctx) : open_json(model, ctx));
  if (weights) {
    if (is_zip(weights->bytes)) {
      WEFT_TRY(auto members, support::read_zip(weights->bytes, weights->name, ctx));
      const auto inner = members.find("model.weights.h5");
      if (inner == members.end()) {
        return ctx.fail(Kind::ModelMalformed, {.file = weights->name}, "the archive has no `model.weights.h5`");
      }
      weights->name += ": model.weights.h5";
      weights->bytes = std::move(inner->second);
    }
    WEFT_TRY(source.weights, WeightFile::open(std::move(*weights), ctx));
  }
  return source;
}

/// Builds the graph layer by layer; a layer that fails leaves its output's shape unknown and the others go on.
class Importer {
 public:
  Importer(Opened source, UserLayers user, Context& ctx)
      : source_(std::move(source)), user_(std::move(user)), ctx_(ctx) {}

  Result<nn::Graph> run() {
    WEFT_TRY(auto topology, read_topology(source_.architecture, source_.file, ctx_));
    for (auto& layer : topology.layers) {
      // HDF5 files of Keras 3 name no module; what is no layer may be an operation.
      if (layer.package.empty() && row_of(layer) == nullptr && find_row(layer.class_name, "keras.ops") != nullptr)
        layer.package = "keras.ops";
    }
    graph_.name = topology.name;
    graph_.file = source_.file;
    graph_.framework = nn::Framework::Keras;
    bind_weights(topology);
    for (const auto& layer : topology.layers) names_.insert(layer.name);
    tensors_.resize(topology.layers.size());
    known_.resize(topology.layers.size());
    masks_.resize(topology.layers.size());
    const std::set<std::size_t> ports(topology.inputs.begin(), topology.inputs.end());
    for (const auto i : topology.order) {
      if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, {.file = source_.file}, "interrupted");
      const auto& layer = topology.layers[i];
      if (layer.class_name != "InputLayer" || ports.count(i) != 0) {
        add_layer(topology, i);
        continue;
      }
      // The input of a nested model is what it was called with.
      if (layer.inputs.empty()) return ctx_.fail(Kind::ModelMalformed, layer.origin, "the input layer has no source");
      tensors_[i] = {tensor_of(topology, layer.inputs.at(0), layer.origin)};
      known_[i] = known_[layer.inputs[0].layer];
      if (layer.inputs[0].output == 0) masks_[i] = masks_[layer.inputs[0].layer];
    }
    for (const auto i : topology.inputs) graph_.inputs.push_back({topology.layers[i].name, tensors_[i].at(0)});
    for (const auto& source : topology.outputs) {
      const auto& layer = topology.layers[source.layer];
      const auto tensor = tensor_of(topology, source, {.file = source_.file});
      graph_.outputs.push_back(
          {source.output == 0 ? layer.name : fmt::format("{}_{}", layer.name, source.output), tensor});
    }
    if (!ok_) return diag::failure;
    add_input_grids(graph_);
    return std::move(graph_);
  }

 private:
  void fail(Kind kind, const Origin& origin, std::string message) {
    ok_ = false;
    ctx_.report(kind, origin, std::move(message));
  }

  /// The tensor of an output of a layer that was added before.
  nn::TensorId tensor_of(const Topology& topology, const Source& source, const Origin& origin) {
    const auto& made = tensors_[source.layer];
    if (source.output < made.size()) return made[source.output];
    const auto& layer = topology.layers[source.layer];
    if (known_[source.layer]) {
      fail(Kind::LayerUnsupported, origin,
           fmt::format("an input is output {} of layer `{}`, of which {} are supported", source.output, layer.name,
                       made.size()));
    }
    return made.empty() ? nn::TensorId{} : made[0];
  }

  const LayerRow* row_of(const LayerEntry& layer) const {
    if (const auto* user = find_user_layer(user_, layer.class_name, layer.package)) return &user->row;
    return find_row(layer.class_name, layer.package);
  }

  void bind_weights(const Topology& topology) {
    std::vector<bool> weighted(topology.layers.size(), false);
    for (std::size_t i = 0; i < weighted.size(); ++i) {
      const auto& layer = topology.layers[i];
      const auto* row = row_of(layer);
      if (row == nullptr) {
        // Reported later; the others are found by their names all the same.
        continue;
      }
      weighted[i] = !present_rows(*row, layer).empty();
    }
    if (!source_.weights) {
      if (std::find(weighted.begin(), weighted.end(), true) != weighted.end()) {
        fail(Kind::WeightMissing, {.file = source_.file},
             "the file is an architecture without weights; give --weights");
      }
      return;
    }
    if (!source_.weights->bind(topology, weighted, ctx_)) {
      ok_ = false;
      source_.weights.reset();
    }
  }

  /// The variables that a layer has; problems of its config are reported when it is imported.
  static std::vector<WeightRow> present_rows(const LayerRow& row, const LayerEntry& layer) {
    diag::Engine ignored;
    Context quiet{ignored};
    ConfigReader config(*layer.config, layer.origin, quiet);
    std::vector<WeightRow> out;
    for (const auto& weight : row.weights) {
      if (weight.present == nullptr || weight.present(config)) out.push_back(weight);
    }
    return out;
  }

  void add_layer(const Topology& topology, std::size_t index) {
    const auto& layer = topology.layers[index];
    ConfigReader config(*layer.config, layer.origin, ctx_);
    if (layer.class_name == "InputLayer") {
      check_dtype(config);
      add_input(config, layer, index);
      ok_ = ok_ && config.ok();
      return;
    }
    const auto* row = row_of(layer);
    if (row == nullptr) {
      const auto package =
          layer.package.empty() || layer.package == "keras" ? "" : fmt::format(" of `{}`", layer.package);
      fail(Kind::LayerUnsupported, layer.origin,
           fmt::format("layer class `{}`{} is not supported; {}", layer.class_name, package, way_out(layer)));
      tensors_[index] = {graph_.add_tensor(layer.name, {})};
      return;
    }
    check_config(config, *row);
    LayerImport in{.layer = layer, .config = config, .keras_major = source_.keras_major, .inputs = {}, .variables = {}};
    in.user = find_user_layer(user_, layer.class_name, layer.package);
    in.graph = &graph_;
    in.names = &names_;
    in.node.name = layer.name;
    in.node.op = row->op;
    in.node.origin = layer.origin;
    for (const auto& input : layer.inputs) {
      const auto tensor = tensor_of(topology, input, layer.origin);
      in.inputs.push_back(known_[input.layer] ? std::optional(graph_.at(tensor).shape) : std::nullopt);
      in.node.inputs.push_back(tensor);
    }
    in.tensors = in.node.inputs;
    find_mask(in);
    check_call(config, layer, *row, in.mask.has_value());
    if (in.inputs.size() < row->min_inputs || in.inputs.size() > row->max_inputs) {
      config.fail(Kind::AttributeUnsupported,
                  fmt::format("the layer has {} inputs; {} are supported", in.inputs.size(), row->min_inputs));
    } else {
      import(*row, layer.weights, in);
    }
    masks_[index] = in.output_mask;
    finish(in, index);
    ok_ = ok_ && config.ok();
  }

  /// The mask that the call names, or that of the first input; several masked inputs have no mask.
  void find_mask(LayerImport& in) const {
    take_mask(in);
    if (in.mask) return;
    for (std::size_t i = 0; i < in.layer.inputs.size(); ++i) {
      const auto& mask = masks_[in.layer.inputs[i].layer];
      if (in.layer.inputs[i].output != 0 || !mask) continue;
      if (i == 0) in.mask = mask;
      if (in.mask != mask || in.layer.inputs.size() > 1)
        in.config.fail(Kind::AttributeUnsupported,
                       "the layer joins tensors with a mask of time steps (from Masking or Embedding(mask_zero=True)); "
                       "masks are followed through layers of one input");
    }
  }

  void import(const LayerRow& row, std::size_t index, LayerImport& in) {
    if (source_.weights) {
      in.weights = &*source_.weights;
      const auto rows = present_rows(row, in.layer);
      if (!row.any_weights && !row.weights.empty()) {
        auto variables = row.by_path ? source_.weights->all_variables(index, in.layer, ctx_)
                                     : source_.weights->variables(index, in.layer, rows, ctx_);
        if (variables) {
          in.variables = std::move(variables).value();
        } else {
          in.config.fail_reported();
        }
      }
    }
    if (!in.mask || !follow_mask(in)) row.import(in);
    if (in.layer.pruned) apply_masks(in);
    if (in.output && !within_limits(*in.output, ctx_)) {
      in.config.fail(Kind::LimitExceeded,
                     fmt::format("the output has more than {} elements", ctx_.limits.tensor_elements));
      in.output.reset();
    }
  }

  /// A pruning wrapper multiplies its masks onto the variables before each call, at inference too.
  static void apply_masks(LayerImport& in) {
    if (!in.variables) return;
    std::vector<FloatTensor> masks;
    for (const auto& [name, object] : *in.variables) {
      if (!name.starts_with("mask")) continue;
      auto values = in.weights->hdf5().read_floats(object, in.config.context());
      if (!values) return in.config.fail_reported();
      masks.push_back(std::move(values).value());
    }
    std::vector<nn::Parameter*> kernels;
    for (auto& made : in.chain) {
      if (const auto it = made.parameters.find("kernel"); it != made.parameters.end()) kernels.push_back(&it->second);
    }
    if (const auto it = in.node.parameters.find("kernel"); it != in.node.parameters.end())
      kernels.push_back(&it->second);
    for (const auto& mask : masks) {
      const auto kernel = std::find_if(kernels.begin(), kernels.end(),
                                       [&](const auto* k) { return k != nullptr && k->values.shape == mask.shape; });
      if (kernel == kernels.end()) {
        return in.config.fail(Kind::ShapeMismatch,
                              fmt::format("a pruning mask has shape {}, which is that of no kernel of the layer",
                                          weft::to_string(mask.shape)));
      }
      for (std::size_t e = 0; e < mask.data.size(); ++e) (*kernel)->values.data[e] *= mask.data[e];
      *kernel = nullptr;
    }
  }

  void finish(LayerImport& in, std::size_t index) {
    if (!in.results.empty()) {
      known_[index] = in.config.ok();
      tensors_[index] = in.results;
      return;
    }
    known_[index] = in.output.has_value() && in.config.ok();
    const Shape shape = in.output.value_or(Shape{});
    for (std::size_t i = 0; i < in.front.size(); ++i) {
      nn::Node& front = in.front[i];
      front.name = unique(front.name);
      front.outputs = {graph_.add_tensor(front.name, Shape{})};
      (in.chain.empty() ? in.node : in.chain.front()).inputs.at(i) = front.outputs[0];
      graph_.nodes.push_back(std::move(front));
    }
    for (std::size_t i = 0; i < in.chain.size(); ++i) {
      nn::Node& front = in.chain[i];
      nn::Node& next = i + 1 < in.chain.size() ? in.chain[i + 1] : in.node;
      front.name = unique(front.name);
      // Its shape is filled in by the check of the whole graph.
      const auto tensor = graph_.add_tensor(front.name, Shape{});
      front.outputs = {tensor};
      next.inputs.at(0) = tensor;
      graph_.nodes.push_back(std::move(front));
    }
    if (!in.softmax) {
      tensors_[index] = {graph_.add_tensor(in.node.name, shape)};
      in.node.outputs = tensors_[index];
      graph_.nodes.push_back(std::move(in.node));
      return;
    }
    // Softmax is not a scalar function: a node of its own behind the layer.
    nn::Node softmax;
    softmax.name = unique(in.node.name + "_softmax");
    softmax.op = "Softmax";
    softmax.origin = in.node.origin;
    softmax.attributes["axis"] = std::int64_t{-1};
    in.node.outputs = {graph_.add_tensor(in.node.name, shape)};
    softmax.inputs = in.node.outputs;
    graph_.nodes.push_back(std::move(in.node));
    tensors_[index] = {graph_.add_tensor(softmax.name, shape)};
    softmax.outputs = tensors_[index];
    graph_.nodes.push_back(std::move(softmax));
  }

  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
  }

  void add_input(ConfigReader& config, const LayerEntry& layer, std::size_t index) {
    for (const auto& [key, value] : layer.config->items())
      check_key(config, key, value, {"name", "dtype", "batch_input_shape", "batch_shape", "trainable"},
                {"sparse", "ragged", "optional"});
    Shape shape;
    const auto* batched = config.find("batch_input_shape");
    if (batched == nullptr) batched = config.find("batch_shape");
    if (batched == nullptr || !batched->is_array() || batched->empty() || batched->size() > 32) {
      config.fail(Kind::ModelMalformed, "the input layer has no shape");
    } else {
      for (std::size_t i = 1; i < batched->size(); ++i) {
        const auto& extent = (*batched)[i];
        if (extent.is_null()) {
          config.fail(
              Kind::AttributeUnsupported,
              fmt::format("the input shape {} has an open axis; build the model with fixed extents", shown(*batched)));
          break;
        }
        if (!extent.is_number_integer() || extent.get<double>() < 1 || extent.get<double>() > 0x1p53) {
          config.fail(Kind::ModelMalformed, fmt::format("the input shape is {}", shown(*batched)));
          break;
        }
        shape.push_back(extent.get<std::int64_t>());
      }
    }
    if (config.ok() && !within_limits(shape, ctx_)) {
      config.fail(Kind::LimitExceeded, fmt::format("the input has more than {} elements", ctx_.limits.tensor_elements));
    }
    known_[index] = config.ok();
    tensors_[index] = {graph_.add_tensor(layer.name, config.ok() ? shape : Shape{})};
  }

  /// Arguments of the call, besides tensors in front and a mask that was taken, that the row does not read.
  static void check_call(ConfigReader& config, const LayerEntry& layer, const LayerRow& row, bool taken) {
    if (row.any_call) return;
    for (const auto& argument : layer.arguments) {
      const bool positional = argument.key.empty();
      if (positional && !argument.from.empty()) continue;
      if (taken && argument.key == "mask") continue;
      const bool known = !positional && std::find(row.call.begin(), row.call.end(), argument.key) != row.call.end();
      if (known || argument.value == nullptr || argument.value->is_null()) continue;
      config.fail(Kind::AttributeUnsupported,
                  positional ? fmt::format("the layer is called with {} besides tensors; remove the argument",
                                           shown(*argument.value))
                             : fmt::format("the layer is called with `{}={}`; remove the argument", argument.key,
                                           shown(*argument.value)));
    }
  }

  Opened source_;
  UserLayers user_;
  Context& ctx_;
  nn::Graph graph_;
  std::set<std::string> names_;
  std::vector<std::vector<nn::TensorId>> tensors_;  ///< of each layer's outputs
  std::vector<std::optional<nn::TensorId>> masks_;  ///< of each layer's first output
  std::vector<bool> known_;                         ///< whether the shape of the layer's output is known
  bool ok_ = true;
};

}  // namespace

bool looks_like_keras(std::string_view bytes) {
  if (has_hdf5_signature(bytes)) return true;
  if (is_zip(bytes)) {
    return bytes.find("config.json") != std::string_view::npos &&
           bytes.find("model.weights.h5") != std::string_view::npos;
  }
  const auto first = bytes.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (bytes[first] != '{' && bytes[first] != '"')) return false;
  return bytes.find("class_name") != std::string_view::npos && bytes.find("config") != std::string_view::npos;
}

bool looks_like_keras_file(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  std::ifstream in(path, std::ios::binary);
  constexpr std::size_t kWindow = 65536;
  std::string bytes(kWindow, '\0');
  in.read(bytes.data(), kWindow);
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  // The directory of a zip lies at its end.
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kWindow) {
    std::string tail(kWindow, '\0');
    in.clear();
    in.seekg(-static_cast<std::streamoff>(std::min<std::uintmax_t>(kWindow, size - kWindow)), std::ios::end);
    in.read(tail.data(), kWindow);
    bytes.append(tail, 0, static_cast<std::size_t>(in.gcount()));
  }
  return looks_like_keras(std::string_view(bytes));
}

Result<nn::Graph> read_keras(NamedBytes model, std::optional<NamedBytes> weights, Context& ctx,
                             const std::optional<NamedBytes>& layers) {
  UserLayers user;
  if (layers) {
    WEFT_TRY(user, read_user_layers(layers->bytes, layers->name, ctx));
  }
  WEFT_TRY(auto source, open_source(std::move(model), std::move(weights), ctx));
  return Importer(std::move(source), std::move(user), ctx).run();
}

Result<nn::Graph> read_keras(const std::filesystem::path& path, const std::optional<std::filesystem::path>& weights,
                             Context& ctx, const std::optional<std::filesystem::path>& layers) {
  NamedBytes model{path.string(), {}};
  WEFT_TRY(model.bytes, support::read_file(path, ctx));
  std::optional<NamedBytes> weight_file;
  if (weights) {
    weight_file = NamedBytes{weights->string(), {}};
    WEFT_TRY(weight_file->bytes, support::read_file(*weights, ctx));
  }
  std::optional<NamedBytes> layer_file;
  if (layers) {
    layer_file = NamedBytes{layers->string(), {}};
    WEFT_TRY(layer_file->bytes, support::read_file(*layers, ctx));
  }
  return read_keras(std::move(model), std::move(weight_file), ctx, layer_file);
}

}  // namespace weft::formats::keras
