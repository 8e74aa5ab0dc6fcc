// SPDX-License-Identifier: Apache-2.0
// Recurrent layers of Keras and QKeras, RNN with cells, Bidirectional.
#include <fmt/format.h>

#include "weft/formats/keras/recurrent_cells.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;

Keys joined(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Tensors behind the first input are the first states: all of them, or none.
std::optional<std::vector<nn::TensorId>> initial_states(LayerImport& in, std::size_t wanted) {
  for (const auto& argument : in.layer.arguments) {
    if (argument.key != "initial_state" || !argument.from.empty() || argument.value == nullptr ||
        argument.value->is_null())
      continue;
    in.config.fail(Kind::AttributeUnsupported,
                   fmt::format("`initial_state` is {}; give the states as tensors", shown(*argument.value)));
    return std::nullopt;
  }
  std::vector<nn::TensorId> states(in.tensors.begin() + 1, in.tensors.end());
  if (states.empty() || states.size() == wanted) return states;
  in.config.fail(Kind::ShapeMismatch,
                 fmt::format("the layer is called with {} initial states and has {}", states.size(), wanted));
  return std::nullopt;
}

/// Weights that no cell took would change the result.
void check_all_taken(LayerImport& in) {
  if (!in.config.ok() || in.variables->empty()) return;
  in.config.fail(Kind::ModelMalformed, fmt::format("the layer has a weight `{}` that its config does not explain",
                                                   in.variables->begin()->first));
}

void import_recurrent(LayerImport& in) {
  if (!in.ready() || !in.variables) return in.config.fail_reported();
  const auto cells = read_cells(in, in.layer.class_name, in.config, "");
  if (!cells) return in.config.fail_reported();
  check_all_taken(in);
  const auto initial = initial_states(in, states_of(*cells));
  if (!initial || !in.config.ok()) return;
  const auto made = emit_cells(in, *cells, "", in.tensors[0], *initial, false);
  if (!made) return;
  std::vector<nn::TensorId> results{made->output};
  results.insert(results.end(), made->states.begin(), made->states.end());
  in.finish_all(std::move(results));
}

/// The layer inside of the wrapper, for one direction.
std::optional<Cells> read_direction(LayerImport& in, const Json& layer, const std::string& part) {
  const auto* json = member(layer, "config");
  if (json == nullptr || !json->is_object()) {
    in.config.fail(Kind::ModelMalformed, "what the layer holds has no `config`");
    return std::nullopt;
  }
  const auto class_name = split_registered(text_member(layer, "class_name")).second;
  ConfigReader config(*json, in.config.origin(), in.config.context());
  if (class_name == "RNN") {
    LayerRow keys{.class_name = class_name,
                  .package = "keras",
                  .op = "LSTM",
                  .used = joined(run_keys(), {"cell"}),
                  .ignored = run_keys_ignored(),
                  .refused = run_keys_refused(),
                  .weights = {}};
    check_config(config, keys);
  }
  auto cells = read_cells(in, class_name, config, part);
  if (!config.ok()) in.config.fail_reported();
  return in.config.ok() ? std::move(cells) : std::nullopt;
}

/// Two layers; Keras turns what the second one gives around.
void import_bidirectional(LayerImport& in) {
  // Null means that both outputs are wanted.
  const auto mode = in.config.has_key("merge_mode") && in.config.find("merge_mode") == nullptr
                        ? std::string("none")
                        : in.config.text("merge_mode", "concat");
  static const std::map<std::string, std::string> kOps = {
      {"concat", "Concat"}, {"sum", "Add"}, {"mul", "Mul"}, {"ave", "Average"}, {"none", ""}};
  const auto op = kOps.find(mode);
  if (op == kOps.end())
    return in.config.fail(Kind::AttributeUnsupported,
                          fmt::format("`merge_mode` is `{}`; concat, sum, ave, mul and none are supported", mode));
  const auto* layer = in.config.find("layer");
  if (layer == nullptr) return in.config.fail(Kind::ModelMalformed, "attribute `layer` is missing");
  if (!in.ready() || !in.variables) return in.config.fail_reported();
  const auto* own = in.config.find("backward_layer");
  const auto forward = read_direction(in, *layer, "forward_layer/");
  auto backward = read_direction(in, own != nullptr ? *own : *layer, "backward_layer/");
  if (!forward || !backward) return in.config.fail_reported();
  if (own == nullptr) backward->backwards = !backward->backwards;
  check_all_taken(in);
  if (forward->states != backward->states || forward->sequences != backward->sequences)
    in.config.fail(Kind::ModelMalformed, "the two layers return different things");
  if (backward->sequences && !backward->backwards)
    in.config.fail(Kind::AttributeUnsupported,
                   "the second layer of a bidirectional one runs forwards; give the first one go_backwards False");
  const std::size_t half = states_of(*forward);
  const auto initial = initial_states(in, half + states_of(*backward));
  if (!initial || !in.config.ok()) return;
  const auto cut = initial->begin() + static_cast<std::ptrdiff_t>(initial->empty() ? 0 : half);
  const auto first = emit_cells(in, *forward, "_forward", in.tensors[0], {initial->begin(), cut}, false);
  if (!first) return;
  const auto second = emit_cells(in, *backward, "_backward", in.tensors[0], {cut, initial->end()}, true);
  if (!second) return;
  std::vector<nn::TensorId> results{first->output, second->output};
  if (mode != "none") {
    AttributeMap attributes;
    if (mode == "concat") attributes["axis"] = static_cast<std::int64_t>(in.shape_of(first->output).size()) - 1;
    const auto merged = in.emit("_merged", op->second, results, std::move(attributes));
    if (!merged) return;
    results = {*merged};
  }
  for (const auto* side : {&*first, &*second}) results.insert(results.end(), side->states.begin(), side->states.end());
  in.finish_all(std::move(results));
}

/// Rows of layers that find the weights of what they hold by their paths.
LayerRow row(std::string_view name, std::string_view package, std::string_view op, Keys used, Keys ignored,
             void (*import)(LayerImport&)) {
  LayerRow out{.class_name = name,
               .package = package,
               .op = op,
               .used = std::move(used),
               .ignored = std::move(ignored),
               .refused = run_keys_refused(),
               .weights = {{.name = "kernel"}},
               .import = import,
               .by_path = true,
               .call = {"initial_state"}};
  out.max_inputs = 1024;
  return out;
}

}  // namespace

std::vector<LayerRow> recurrent_rows() {
  std::vector<LayerRow> rows;
  for (const auto& [name, op] :
       {std::pair{"SimpleRNN", "SimpleRNN"}, std::pair{"LSTM", "LSTM"}, std::pair{"GRU", "GRU"},
        std::pair{"QSimpleRNN", "SimpleRNN"}, std::pair{"QLSTM", "LSTM"}, std::pair{"QGRU", "GRU"}}) {
    const bool quantized = name[0] == 'Q';
    rows.push_back(row(name, quantized ? "qkeras" : "keras", op, joined(cell_keys(op, quantized), run_keys()),
                       joined(cell_keys_ignored(op, quantized), run_keys_ignored()), import_recurrent));
  }
  rows.push_back(row("RNN", "keras", "LSTM", joined(run_keys(), {"cell"}), run_keys_ignored(), import_recurrent));
  const Keys bidirectional = joined(run_keys(), {"layer", "backward_layer", "merge_mode"});
  rows.push_back(row("Bidirectional", "keras", "LSTM", bidirectional, run_keys_ignored(), import_bidirectional));
  rows.push_back(row("QBidirectional", "qkeras", "LSTM", bidirectional, run_keys_ignored(), import_bidirectional));
  return rows;
}

}  // namespace weft::formats::keras
