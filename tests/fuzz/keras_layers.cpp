// SPDX-License-Identifier: Apache-2.0
// Recipes of a user's own layers, for a model that has one.
#include "fuzz.h"
#include "weft/formats/keras/keras.h"
#include "weft/layers/layer.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const std::string model = R"({"class_name": "Sequential", "config": {"name": "m", "layers": [
    {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 3, 2], "name": "x"}},
    {"class_name": "Own", "config": {"name": "own", "n": 2, "axes": [0], "activation": "relu"}}]}})";
  auto graph = formats::keras::read_keras(formats::keras::NamedBytes{"m.json", model}, std::nullopt, session.ctx,
                                          formats::keras::NamedBytes{"fuzz.yaml", input});
  check_reported(graph.ok(), session);
  if (!graph) return false;
  const auto checked = layers::check(*graph, session.ctx);
  check_reported(checked.ok(), session);
  return checked.ok();
}

const Target kTarget{"keras_layers",
                     run,
                     {"Own:",
                      "nodes:",
                      "{op: ",
                      "Activation",
                      "Permute",
                      "ReduceSum",
                      "Mul",
                      "Slice",
                      "Take",
                      "inputs: [x]",
                      "parameters: {constant: ",
                      "functions: {activation: ",
                      "attributes: {",
                      "axes: $axes",
                      "$activation",
                      "permute: [",
                      "reshape: [",
                      "quantizer: ",
                      "outputs: [",
                      "&a",
                      "*a"}};

}  // namespace weft::fuzz
