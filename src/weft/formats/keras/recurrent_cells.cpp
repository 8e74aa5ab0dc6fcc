// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/recurrent_cells.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/quantizer_spec.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;

Keys joined(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool has_bias(ConfigReader& config) { return config.flag("use_bias", true); }

/// The layer's operator of a cell or layer class; "" for other classes.
std::string op_of(std::string name) {
  if (name.starts_with("Q")) name.erase(0, 1);
  if (name.ends_with("Cell")) name.erase(name.size() - 4);
  return name == "SimpleRNN" || name == "LSTM" || name == "GRU" ? name : "";
}

std::int64_t blocks_of(const std::string& op) { return op == "LSTM" ? 4 : op == "GRU" ? 3 : 1; }

void set_function(LayerImport& in, const char* role, bool quantized) {
  auto choice = read_activation(in.config, role, quantized, in.keras_major);
  if (choice.softmax)
    return in.config.fail(Kind::AttributeUnsupported,
                          fmt::format("`{}` is softmax, which no recurrent layer of hardware computes", role));
  if (choice.function) in.node.functions[role] = std::move(*choice.function);
}

void set_quantizer(LayerImport& in, const char* key, const char* role, bool kernel) {
  auto spec = read_quantizer(in.config, key);
  const auto it = in.node.parameters.find(role);
  if (!spec || it == in.node.parameters.end()) return;
  if (kernel) promote_kernel_quantizer(*spec);
  it->second.quantizer = std::move(spec);
}

/// With `reset_after`, the two biases of a GRU are the rows of one variable, which one quantizer sees.
void split_bias(LayerImport& in, std::int64_t width) {
  const auto it = in.node.parameters.find("bias");
  if (it == in.node.parameters.end()) return;
  nn::Parameter second = it->second;
  if (it->second.quantizer) {
    const auto function = quantizers::make(*it->second.quantizer, in.config.origin(), in.config.context());
    if (!function) return in.config.fail_reported();
    if ((*function)->data_dependent())
      return in.config.fail(Kind::QuantizerUnsupported,
                            "the bias quantizer computes its scale from both biases; give it a fixed alpha");
  }
  auto& first = it->second.values;
  second.values = FloatTensor({width}, {first.data.begin() + width, first.data.end()});
  first = FloatTensor({width}, {first.data.begin(), first.data.begin() + width});
  in.node.parameters["recurrent_bias"] = std::move(second);
}

/// QGRU of QKeras 0.9 without a recurrent quantizer multiplies the state with the kernel of the input.
void follow_gru_defect(LayerImport& in) {
  if (in.keras_major >= 3 || in.config.find("recurrent_quantizer") != nullptr) return;
  const auto kernel = in.node.parameters.find("kernel");
  const auto recurrent = in.node.parameters.find("recurrent_kernel");
  if (kernel == in.node.parameters.end() || recurrent == in.node.parameters.end()) return;
  if (kernel->second.values.shape != recurrent->second.values.shape)
    return in.config.fail(Kind::AttributeUnsupported,
                          "QKeras multiplies the state of a QGRU without `recurrent_quantizer` with the kernel of the "
                          "input, which has another shape here; give it a recurrent quantizer");
  recurrent->second = nn::Parameter{kernel->second.values, {}, {}};
  in.node.attributes["note"] =
      std::string("QKeras' QGRU without recurrent_quantizer uses the input kernel as recurrent kernel; so does this");
}

/// Sets operator, parameters and functions of `in.node` from the config of a layer or a cell; `input` is [T, n].
void read_cell(LayerImport& in, const Shape& input, bool quantized) {
  const std::string op = op_of(in.layer.class_name);
  in.node.op = op;
  const std::int64_t units = in.config.integer("units");
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  if (!in.config.ok()) return;
  if (units < 1 || units > kMost) return in.config.fail(Kind::ModelMalformed, fmt::format("`units` is {}", units));
  if (input.size() != 2)
    return in.config.fail(Kind::ShapeMismatch, fmt::format("a recurrent layer needs [time, features], the input has {}",
                                                           weft::to_string(input)));
  const std::int64_t width = blocks_of(op) * units;
  const bool reset_after = op == "GRU" && in.config.flag("reset_after", !quantized);
  in.take("kernel", "kernel", {input.back(), width});
  in.take("recurrent_kernel", "recurrent_kernel", {units, width});
  if (has_bias(in.config)) in.take("bias", "bias", reset_after ? Shape{2, width} : Shape{width});
  if (op == "GRU") in.node.attributes["reset_after"] = reset_after;
  set_function(in, "activation", quantized);
  if (op != "SimpleRNN") set_function(in, "recurrent_activation", quantized);
  if (quantized) {
    set_quantizer(in, "kernel_quantizer", "kernel", true);
    set_quantizer(in, "recurrent_quantizer", "recurrent_kernel", true);
    set_quantizer(in, "bias_quantizer", "bias", false);
    if (auto state = read_quantizer(in.config, "state_quantizer")) in.node.functions["state"] = std::move(*state);
    if (op == "GRU") follow_gru_defect(in);
  }
  if (reset_after && in.config.ok()) split_bias(in, width);
}

/// A cell in the config, and where its variables lie.
struct CellSource {
  std::string class_name;
  const Json* config = nullptr;
  std::string group;  ///< Keras 3's, "cell" or "cell/cells/lstm_cell_1"
  std::string name;   ///< Keras 2's, "lstm_cell_1"; empty when it is the only one
};

/// The cells of RNN, or the layer itself. Empty after a failure.
std::vector<CellSource> sources_of(LayerImport& in, const std::string& class_name, ConfigReader& config) {
  if (class_name != "RNN") return {{class_name, &config.json(), "cell", ""}};
  const auto refuse = [&](Kind kind, std::string what) {
    in.config.fail(kind, std::move(what));
    return std::vector<CellSource>();
  };
  const auto* cell = config.find("cell");
  const auto* inner = cell == nullptr ? nullptr : member(*cell, "config");
  if (inner == nullptr || !inner->is_object()) return refuse(Kind::ModelMalformed, "the layer has no `cell`");
  const auto cell_class = split_registered(text_member(*cell, "class_name")).second;
  if (cell_class != "StackedRNNCells") return {{cell_class, inner, "cell", ""}};
  for (const auto& [key, value] : inner->items()) {
    const bool known = key == "cells" || key == "name" || key == "trainable" || key == "dtype";
    if (!known && !value.is_null() && value != false)
      return refuse(Kind::AttributeUnknown, fmt::format("unknown attribute `{}` of the stacked cells", key));
  }
  const auto* list = member(*inner, "cells");
  constexpr std::size_t kMost = 256;
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > kMost)
    return refuse(Kind::ModelMalformed, "the stacked cells have no list of `cells`");
  std::vector<CellSource> out;
  std::map<std::string, std::size_t> counts;
  for (const auto& one : *list) {
    const auto* own = member(one, "config");
    if (own == nullptr || !own->is_object()) return refuse(Kind::ModelMalformed, "a cell has no `config`");
    CellSource source{split_registered(text_member(one, "class_name")).second, own, "", text_member(*own, "name")};
    const auto base = snake_case(source.class_name);
    const auto number = counts[base]++;
    source.group = number == 0 ? "cell/cells/" + base : fmt::format("cell/cells/{}_{}", base, number);
    out.push_back(std::move(source));
  }
  return out;
}

/// The variables of one cell by name, taken out of `all`.
std::map<std::string, Hdf5File::Object> taken(std::map<std::string, Hdf5File::Object>& all, const std::string& part,
                                              const CellSource& source, bool bias) {
  std::map<std::string, Hdf5File::Object> out;
  int number = 0;
  for (const auto* name : {"kernel", "recurrent_kernel", "bias"}) {
    if (!bias && name == std::string_view("bias")) break;
    const auto counted = fmt::format("{}{}/vars/{}", part, source.group, number++);
    const auto plain = part + name;
    const auto end = source.name.empty() ? fmt::format("/{}", name) : fmt::format("/{}/{}", source.name, name);
    const auto it = std::find_if(all.begin(), all.end(), [&](const auto& entry) {
      const auto& key = entry.first;
      return key == counted || (source.name.empty() && key == plain) || (key.starts_with(part) && key.ends_with(end));
    });
    if (it == all.end()) continue;
    out.emplace(name, it->second);
    all.erase(it);
  }
  return out;
}

}  // namespace

std::vector<std::string_view> cell_keys(std::string_view op, bool quantized) {
  Keys keys = {"units", "activation", "use_bias"};
  if (op != "SimpleRNN") keys.emplace_back("recurrent_activation");
  if (op == "GRU") keys.emplace_back("reset_after");
  if (!quantized) return keys;
  return joined(keys, {"kernel_quantizer", "recurrent_quantizer", "bias_quantizer", "state_quantizer"});
}

std::vector<std::string_view> cell_keys_ignored(std::string_view op, bool quantized) {
  Keys keys = {"kernel_initializer",
               "recurrent_initializer",
               "bias_initializer",
               "kernel_regularizer",
               "recurrent_regularizer",
               "bias_regularizer",
               "kernel_constraint",
               "recurrent_constraint",
               "bias_constraint",
               "dropout",
               "recurrent_dropout",
               "implementation",
               "seed",
               "enable_caching_device"};
  if (op == "LSTM") keys.emplace_back("unit_forget_bias");
  return quantized ? joined(keys, {"kernel_range", "recurrent_range", "bias_range"}) : keys;
}

std::vector<std::string_view> run_keys() { return {"return_sequences", "return_state", "go_backwards"}; }
std::vector<std::string_view> run_keys_ignored() { return {"unroll", "zero_output_for_mask"}; }
std::vector<std::string_view> run_keys_refused() {
  return {"stateful", "time_major", "num_constants", "quantization_config"};
}

std::optional<Cells> read_cells(LayerImport& in, const std::string& class_name, ConfigReader& config,
                                const std::string& part) {
  const auto sources = sources_of(in, class_name, config);
  if (sources.empty() || !in.input() || !in.variables) return std::nullopt;
  Cells out;
  Shape input = *in.input();
  for (const auto& source : sources) {
    const auto op = op_of(source.class_name);
    const bool quantized = source.class_name.starts_with("Q");
    if (op.empty()) {
      in.config.fail(Kind::LayerUnsupported,
                     fmt::format("cells of `{}` are not supported; SimpleRNN, LSTM and GRU are", source.class_name));
      return std::nullopt;
    }
    ConfigReader own(*source.config, config.origin(), config.context());
    LayerRow keys{.class_name = source.class_name,
                  .package = "",
                  .op = op,
                  .used = cell_keys(op, quantized),
                  .ignored = cell_keys_ignored(op, quantized),
                  .refused = run_keys_refused(),
                  .weights = {}};
    if (!source.class_name.ends_with("Cell")) {
      keys.used = joined(keys.used, run_keys());
      keys.ignored = joined(keys.ignored, run_keys_ignored());
    }
    // Keys of the layer itself are checked for all layers.
    if (source.config != &in.config.json()) check_config(own, keys);
    LayerEntry entry = in.layer;
    entry.class_name = source.class_name;
    LayerImport cell{.layer = entry, .config = own, .keras_major = in.keras_major, .inputs = {}, .variables = {}};
    cell.weights = in.weights;
    cell.variables = taken(*in.variables, part, source, has_bias(own));
    read_cell(cell, input, quantized);
    if (!own.ok()) {
      in.config.fail_reported();
      return std::nullopt;
    }
    input = {input.front(), cell.node.parameters.at("recurrent_kernel").values.shape.front()};
    out.nodes.push_back(std::move(cell.node));
  }
  out.sequences = config.flag("return_sequences", false);
  out.states = config.flag("return_state", false);
  out.backwards = config.flag("go_backwards", false);
  out.unrolled = config.flag("unroll", false);
  if (!config.ok()) in.config.fail_reported();
  return out;
}

std::size_t states_of(const nn::Node& cell) { return cell.op == "LSTM" ? 2 : 1; }

std::size_t states_of(const Cells& cells) {
  std::size_t count = 0;
  for (const auto& node : cells.nodes) count += states_of(node);
  return count;
}

std::optional<CellResults> emit_cells(LayerImport& in, const Cells& cells, const std::string& suffix, nn::TensorId x,
                                      const std::vector<nn::TensorId>& initial, bool realign) {
  CellResults out{x, {}};
  std::size_t next = 0;
  for (std::size_t k = 0; k < cells.nodes.size(); ++k) {
    nn::Node node = cells.nodes[k];
    const bool last = k + 1 == cells.nodes.size();
    node.name = in.layer.name + suffix + (last ? "" : fmt::format("_cell_{}", k));
    node.inputs = {out.output};
    const std::size_t states = states_of(node);
    for (std::size_t i = 0; i < states && !initial.empty(); ++i) node.inputs.push_back(initial.at(next++));
    if (in.mask) {
      node.inputs.push_back(*in.mask);
      node.attributes["masked"] = true;
      // Keras lets both directions of a wrapper give zeros.
      const bool zero = in.layer.class_name.ends_with("Bidirectional") || in.config.flag("zero_output_for_mask", false);
      if (zero && last && cells.sequences) node.attributes["zero_output"] = true;
      if (zero && cells.backwards && cells.unrolled && (cells.sequences || !last)) {
        // K.rnn puts its zeros by the mask in the order of time, its outputs by the reversed one.
        in.config.fail(
            Kind::AttributeUnsupported,
            "an unrolled layer that runs backwards gets a mask of time steps, for which Keras gives zeros at "
            "the wrong steps; save the model with `unroll` False");
        return std::nullopt;
      }
    }
    const bool sequences = cells.sequences || !last;
    if (sequences) node.attributes["return_sequences"] = true;
    // The rows that the first cell gives lie in the order of its steps unless they are realigned.
    if (cells.backwards && (realign || k == 0)) node.attributes["go_backwards"] = true;
    if (cells.backwards && realign && sequences) node.attributes["realign"] = true;
    const auto made = in.emit_all(std::move(node), cells.states ? 1 + states : 1);
    if (made.empty()) return std::nullopt;
    out.output = made[0];
    out.states.insert(out.states.end(), made.begin() + 1, made.end());
  }
  return out;
}

}  // namespace weft::formats::keras
