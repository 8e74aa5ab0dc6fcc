// SPDX-License-Identifier: Apache-2.0
// Recurrent layers of Keras and QKeras, Bidirectional and TimeDistributed.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/layer_import.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/layers/layer.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;

Keys joined(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool has_bias(ConfigReader& config) { return config.flag("use_bias", true); }

std::vector<WeightRow> cell_weights(std::string_view owner) {
  return {{.name = "kernel", .owner = owner},
          {.name = "recurrent_kernel", .owner = owner},
          {.name = "bias", .present = has_bias, .owner = owner}};
}

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

void set_runs(LayerImport& in, nn::Node& node, bool flip) {
  if (in.config.flag("stateful", false) || in.config.flag("time_major", false))
    in.config.fail(Kind::AttributeUnsupported, "`stateful` and `time_major` are not supported");
  if (in.config.flag("return_sequences", false)) node.attributes["return_sequences"] = true;
  if (in.config.flag("go_backwards", false) != flip) node.attributes["go_backwards"] = true;
}

void import_recurrent(LayerImport& in, bool quantized) {
  if (in.config.flag("return_state", false))
    return in.config.fail(Kind::AttributeUnsupported, "`return_state` is not supported; build the model without it");
  if (!in.input() || !in.variables) return;
  read_cell(in, *in.input(), quantized);
  set_runs(in, in.node, false);
  if (!in.config.ok()) return;
  nn::Graph graph;
  nn::Node node = in.node;
  node.inputs.clear();
  for (const auto& shape : in.inputs) {
    if (!shape) return;
    node.inputs.push_back(graph.add_tensor("", *shape));
  }
  const auto shape = layers::find_layer(node.op)->infer_shape(graph, node, in.config.context());
  if (!shape) return in.config.fail_reported();
  in.output = *shape;
}

void import_keras(LayerImport& in) { import_recurrent(in, false); }
void import_qkeras(LayerImport& in) { import_recurrent(in, true); }

// --- layers inside of layers

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
      // Keras 3's path, or the name alone below the part.
      for (const auto& key : {fmt::format("{}{}{}/vars/{}", part, owner.empty() ? "" : "/", owner, number),
                              fmt::format("{}/{}", part, row.name), std::string(row.name)}) {
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

/// One direction as a node in front of the merge.
void add_direction(LayerImport& in, const Json& layer, const std::string& suffix, const std::string& part, bool flip,
                   bool second) {
  const auto* json = inner_config(in, &layer);
  if (json == nullptr) return;
  Inner inner(layer, *json, in, cell_weights("cell"), part);
  auto& sub = inner.import;
  if (op_of(inner.entry.class_name).empty())
    return in.config.fail(Kind::LayerUnsupported,
                          fmt::format("`{}` inside of the wrapper is not supported; SimpleRNN, LSTM and GRU are",
                                      inner.entry.class_name));
  read_cell(sub, *in.input(), inner.entry.class_name.starts_with("Q"));
  set_runs(sub, sub.node, flip);
  if (sub.config.flag("return_state", false))
    sub.config.fail(Kind::AttributeUnsupported, "`return_state` of a bidirectional layer is not supported");
  if (!sub.config.ok()) return in.config.fail_reported();
  // Keras turns what the second layer gives around.
  const bool sequences = get_bool(sub.node.attributes, "return_sequences", false);
  if (second && sequences) {
    if (!get_bool(sub.node.attributes, "go_backwards", false))
      return in.config.fail(Kind::AttributeUnsupported,
                            "the second layer of a bidirectional one runs forwards; give the first one go_backwards "
                            "False");
    sub.node.attributes["realign"] = true;
  }
  sub.node.name = in.node.name + suffix;
  sub.node.inputs = {in.node.inputs[0]};
  in.front.push_back(std::move(sub.node));
}

void import_bidirectional(LayerImport& in) {
  const auto mode = in.config.text("merge_mode", "none");
  static const std::map<std::string, std::string> kOps = {
      {"concat", "Concat"}, {"sum", "Add"}, {"mul", "Mul"}, {"ave", "Average"}};
  const auto op = kOps.find(mode);
  if (op == kOps.end())
    return in.config.fail(Kind::AttributeUnsupported,
                          fmt::format("`merge_mode` is `{}`; concat, sum, ave and mul are supported", mode));
  const auto* layer = in.config.find("layer");
  if (layer == nullptr) return in.config.fail(Kind::ModelMalformed, "attribute `layer` is missing");
  if (!in.input() || !in.variables) return;
  const auto* own = in.config.find("backward_layer");
  add_direction(in, *layer, "_forward", "forward_layer", false, false);
  add_direction(in, own != nullptr ? *own : *layer, "_backward", "backward_layer", own == nullptr, true);
  if (!in.config.ok() || in.front.size() != 2) return;
  nn::Graph graph;
  std::vector<Shape> parts;
  for (nn::Node part : in.front) {
    part.inputs = {graph.add_tensor("", *in.input())};
    const auto shape = layers::find_layer(part.op)->infer_shape(graph, part, in.config.context());
    if (!shape) return in.config.fail_reported();
    parts.push_back(*shape);
  }
  in.node.op = op->second;
  if (mode == "concat") in.node.attributes["axis"] = static_cast<std::int64_t>(parts[0].size()) - 1;
  in.node.inputs = {in.node.inputs[0], in.node.inputs[0]};
  nn::Node merge = in.node;
  merge.inputs = {graph.add_tensor("", parts[0]), graph.add_tensor("", parts[1])};
  const auto shape = layers::find_layer(merge.op)->infer_shape(graph, merge, in.config.context());
  if (!shape) return in.config.fail_reported();
  in.output = *shape;
}

// --- TimeDistributed

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

std::vector<LayerRow> recurrent_rows() {
  const Keys used = {"units", "activation", "use_bias", "return_sequences", "return_state", "go_backwards"};
  const Keys ignored = {"kernel_initializer",
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
                        "unroll",
                        "implementation",
                        "zero_output_for_mask",
                        "seed",
                        "enable_caching_device"};
  const Keys refused = {"stateful", "time_major", "quantization_config"};
  const Keys gates = {"recurrent_activation"};
  const Keys quantizers = {"kernel_quantizer", "recurrent_quantizer", "bias_quantizer", "state_quantizer"};
  const Keys ranges = {"kernel_range", "recurrent_range", "bias_range"};
  std::vector<LayerRow> out;
  for (const auto& [name, op] :
       {std::pair{"SimpleRNN", "SimpleRNN"}, std::pair{"LSTM", "LSTM"}, std::pair{"GRU", "GRU"},
        std::pair{"QSimpleRNN", "SimpleRNN"}, std::pair{"QLSTM", "LSTM"}, std::pair{"QGRU", "GRU"}}) {
    const bool quantized = name[0] == 'Q';
    const std::string_view kind = op;
    LayerRow row{.class_name = name,
                 .package = quantized ? "qkeras" : "keras",
                 .op = op,
                 .used = joined(used, quantized ? quantizers : Keys{}),
                 .ignored = joined(ignored, quantized ? ranges : Keys{}),
                 .refused = refused,
                 .weights = cell_weights("cell"),
                 .max_inputs = kind == "LSTM" ? 3U : 2U,
                 .import = quantized ? import_qkeras : import_keras};
    if (kind != "SimpleRNN") row.used = joined(row.used, gates);
    if (kind == "LSTM") row.ignored.emplace_back("unit_forget_bias");
    if (kind == "GRU") row.used.emplace_back("reset_after");
    out.push_back(std::move(row));
  }
  // Wrappers find the weights of what they hold by their paths.
  const auto wrapper = [](std::string_view name, std::string_view package, std::string_view op, Keys own,
                          void (*import)(LayerImport&)) {
    return LayerRow{.class_name = name,
                    .package = package,
                    .op = op,
                    .used = std::move(own),
                    .ignored = {"unroll", "zero_output_for_mask"},
                    .refused = {"stateful", "time_major", "num_constants", "return_state"},
                    .weights = {{.name = "kernel"}},
                    .import = import,
                    .by_path = true};
  };
  const Keys bidirectional = {"layer", "backward_layer", "merge_mode", "return_sequences", "go_backwards"};
  out.push_back(wrapper("Bidirectional", "keras", "LSTM", bidirectional, import_bidirectional));
  out.push_back(wrapper("QBidirectional", "qkeras", "LSTM", bidirectional, import_bidirectional));
  out.push_back(wrapper("TimeDistributed", "keras", "Dense", {"layer"}, import_time_distributed));
  return out;
}

}  // namespace weft::formats::keras
