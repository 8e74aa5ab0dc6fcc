// SPDX-License-Identifier: Apache-2.0
// Recurrent layers and their wrappers from Keras' configs, and what is refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <tuple>

#include "weft/formats/keras/keras.h"
#include "weft/formats/keras/test_files.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::formats::keras {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Variable {
  std::string path;
  Shape shape;
};

struct RecurrentTest : testing::Test {
  std::unique_ptr<diag::Engine> engine = std::make_unique<diag::Engine>();

  std::string messages() const {
    std::string out;
    for (const auto& d : engine->all()) out += diag::to_text(d) + "\n";
    return out;
  }
  /// The architecture with these variables in a Keras 2 weight file: variable k holds ramp(size, k).
  std::optional<nn::Graph> read(const std::string& architecture, const std::vector<Variable>& variables) {
    Context ctx{*engine};
    Hdf5Builder file;
    std::vector<std::string> names;
    for (std::size_t k = 0; k < variables.size(); ++k) {
      const auto& [path, extents] = variables[k];
      names.push_back("l/" + path + ":0");
      file.floats("l/l/" + path + ":0", {extents.begin(), extents.end()},
                  ramp(static_cast<std::size_t>(element_count(extents)), static_cast<float>(k)));
    }
    file.texts("", "layer_names", {"x", "l"});
    file.group("x");
    file.texts("x", "weight_names", {});
    file.texts("l", "weight_names", names);
    auto graph = read_keras(NamedBytes{"m.json", architecture}, NamedBytes{"w.h5", file.bytes()}, ctx);
    if (!graph.ok()) return std::nullopt;
    if (!layers::check(*graph, ctx).ok()) return std::nullopt;
    return std::move(graph).value();
  }
  /// A model of one layer.
  std::optional<nn::Graph> import(const std::string& class_name, const std::string& config,
                                  const std::vector<Variable>& variables, const std::string& shape = "3, 2") {
    return read(one_layer_json(class_name, config, shape), variables);
  }
  /// One layer called with x [3, 2] and states of these extents, of which all `outputs` are outputs of the model.
  std::optional<nn::Graph> call(const std::string& class_name, const std::string& config,
                                const std::vector<Variable>& variables, const std::vector<int>& states, int outputs) {
    std::string inputs = R"({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
                             "config": {"batch_input_shape": [null, 3, 2], "name": "x"}})";
    std::string from = R"(["x", 0, 0, {}])";
    std::string ports = R"(["x", 0, 0])";
    for (std::size_t i = 0; i < states.size(); ++i) {
      inputs += fmt::format(R"(, {{"class_name": "InputLayer", "name": "s{0}", "inbound_nodes": [],
                                  "config": {{"batch_input_shape": [null, {1}], "name": "s{0}"}}}})",
                            i, states[i]);
      from += fmt::format(R"(, ["s{}", 0, 0, {{"initial_state": null}}])", i);
      ports += fmt::format(R"(, ["s{}", 0, 0])", i);
    }
    std::string results;
    for (int i = 0; i < outputs; ++i) results += fmt::format(R"({}["l", 0, {}])", i == 0 ? "" : ", ", i);
    return read(fmt::format(R"({{"class_name": "Functional", "keras_version": "2.14.0", "config": {{"name": "m",
        "layers": [{}, {{"class_name": "{}", "name": "l", "inbound_nodes": [[{}]], "config": {{"name": "l", {}}}}}],
        "input_layers": [{}], "output_layers": [{}]}}}})",
                            inputs, class_name, from, config, ports, results),
                variables);
  }
  /// The outputs for this x and these states.
  std::vector<std::vector<float>> outputs(const std::optional<nn::Graph>& graph,
                                          std::vector<std::vector<float>> states = {}) {
    EXPECT_TRUE(graph) << messages();
    if (!graph) return {};
    states.insert(states.begin(), {1.0F, 2.0F, -1.0F, 0.5F, 3.0F, 1.0F});
    Context ctx{*engine};
    const auto tensors = layers::run_float(*graph, states, 1, ctx);
    EXPECT_TRUE(tensors.ok()) << messages();
    std::vector<std::vector<float>> out;
    for (const auto& port : graph->outputs)
      if (tensors.ok()) out.push_back((*tensors)[port.tensor.index]);
    return out;
  }
};

using Outputs = std::vector<std::vector<float>>;

TEST_F(RecurrentTest, AnLstmBackwards) {
  const auto graph =
      import("LSTM", R"("units": 2, "activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": true,
                        "return_state": false, "go_backwards": true, "unit_forget_bias": true)",
             {{"lstm_cell/kernel", {2, 8}}, {"lstm_cell/recurrent_kernel", {2, 8}}, {"lstm_cell/bias", {8}}});
  ASSERT_TRUE(graph) << messages();
  ASSERT_EQ(graph->nodes.size(), 1U);
  const auto& node = graph->nodes[0];
  EXPECT_EQ(node.op, "LSTM");
  EXPECT_EQ(node.name, "l");
  EXPECT_TRUE(get_bool(node.attributes, "go_backwards", false));
  EXPECT_EQ(graph->at(node.outputs[0]).shape, (Shape{3, 2}));
  EXPECT_EQ(node.functions.at("recurrent_activation").family, "sigmoid");
  EXPECT_EQ(node.parameters.at("recurrent_kernel").values.data, ramp(16, 1.0F));
}

TEST_F(RecurrentTest, TheTwoBiasesOfAGru) {
  const auto graph =
      import("GRU", R"("units": 1, "reset_after": true)",
             {{"gru_cell/kernel", {2, 3}}, {"gru_cell/recurrent_kernel", {1, 3}}, {"gru_cell/bias", {2, 3}}});
  ASSERT_TRUE(graph) << messages();
  const auto all = ramp(6, 2.0F);
  const auto& node = graph->nodes[0];
  EXPECT_EQ(node.parameters.at("bias").values.data, (std::vector<float>{all[0], all[1], all[2]}));
  EXPECT_EQ(node.parameters.at("recurrent_bias").values.data, (std::vector<float>{all[3], all[4], all[5]}));
}

TEST_F(RecurrentTest, ABidirectionalLayerIsTwoAndAMerge) {
  const std::string inner =
      R"("layer": {"class_name": "SimpleRNN", "config": {"name": "r", "units": 1, "use_bias": false,
         "activation": "linear", "return_sequences": true}})";
  const std::vector<Variable> variables = {{"forward_r/simple_rnn_cell/kernel", {2, 1}},
                                           {"forward_r/simple_rnn_cell/recurrent_kernel", {1, 1}},
                                           {"backward_r/simple_rnn_cell/kernel", {2, 1}},
                                           {"backward_r/simple_rnn_cell/recurrent_kernel", {1, 1}}};
  for (const auto& [mode, op] :
       {std::pair{"concat", "Concat"}, std::pair{"sum", "Add"}, std::pair{"mul", "Mul"}, std::pair{"ave", "Average"}}) {
    const auto graph = import("Bidirectional", fmt::format(R"({}, "merge_mode": "{}")", inner, mode), variables);
    ASSERT_TRUE(graph) << messages();
    ASSERT_EQ(graph->nodes.size(), 3U) << mode;
    EXPECT_EQ(graph->nodes[2].op, op);
    EXPECT_EQ(graph->nodes[2].name, "l");
    const auto& forward = graph->nodes[0];
    const auto& backward = graph->nodes[1];
    EXPECT_FALSE(get_bool(forward.attributes, "go_backwards", false));
    EXPECT_TRUE(get_bool(backward.attributes, "go_backwards", false));
    EXPECT_EQ(backward.parameters.at("kernel").values.data, ramp(2, 2.0F));
    // Row t of the merge meets the two states at time t.
    const std::vector<float> x = {1.0F, 2.0F, -1.0F, 0.5F, 3.0F, 1.0F};
    Context ctx{*engine};
    const auto tensors = layers::run_float(*graph, {x}, 1, ctx);
    ASSERT_TRUE(tensors.ok());
    const auto w = forward.parameters.at("kernel").values.data;
    const auto v = backward.parameters.at("kernel").values.data;
    const float first = x[0] * w[0] + x[1] * w[1];
    const float last = x[4] * v[0] + x[5] * v[1];
    const auto& y = (*tensors)[graph->outputs[0].tensor.index];
    const std::size_t columns = mode == std::string_view("concat") ? 2 : 1;
    const auto& backwards = (*tensors)[backward.outputs[0].index];
    EXPECT_EQ(backwards[2], last);
    if (columns == 2) {
      EXPECT_THAT((std::vector<float>{y[0], y[1]}), ElementsAre(first, backwards[0]));
    } else if (mode == std::string_view("ave")) {
      EXPECT_EQ(y[0], (first + backwards[0]) / 2.0F);
    }
  }
}

TEST_F(RecurrentTest, TheDirectionMayStandInTheNameOfTheCell) {
  // As QKeras on Keras 3 writes its files.
  const std::string inner =
      R"("layer": {"class_name": "SimpleRNN", "config": {"name": "r", "units": 1, "use_bias": false,
         "activation": "linear", "return_sequences": true}})";
  const auto graph = import("Bidirectional", inner + R"(, "merge_mode": "sum")",
                            {{"r_1/forward_r/kernel", {2, 1}},
                             {"r_1/forward_r/recurrent_kernel", {1, 1}},
                             {"r_2/backward_r/kernel", {2, 1}},
                             {"r_2/backward_r/recurrent_kernel", {1, 1}}});
  ASSERT_TRUE(graph) << messages();
  ASSERT_EQ(graph->nodes.size(), 3U);
  // The test's variables are numbered through: the third is the kernel of the second direction.
  EXPECT_EQ(graph->nodes[0].parameters.at("kernel").values.data, ramp(2, 0.0F));
  EXPECT_EQ(graph->nodes[1].parameters.at("kernel").values.data, ramp(2, 2.0F));
}

TEST_F(RecurrentTest, TimeDistributedLayersSeeAllTimes) {
  const auto dense =
      import("TimeDistributed", R"("layer": {"class_name": "Dense", "config": {"name": "d", "units": 4}})",
             {{"kernel", {2, 4}}, {"bias", {4}}});
  ASSERT_TRUE(dense) << messages();
  EXPECT_EQ(dense->at(dense->outputs[0].tensor).shape, (Shape{3, 4}));
  // .h5 of Keras 3 has the name of the layer within.
  EXPECT_TRUE(import("TimeDistributed", R"("layer": {"class_name": "Dense", "config": {"name": "d", "units": 4}})",
                     {{"d/kernel", {2, 4}}, {"d/bias", {4}}}))
      << messages();
  const auto conv =
      import("TimeDistributed",
             R"("layer": {"class_name": "Conv1D", "config": {"name": "c", "filters": 2, "kernel_size": [2],
                              "strides": [2], "padding": "valid", "use_bias": false}})",
             {{"kernel", {2, 1, 2}}}, "3, 4, 1");
  ASSERT_TRUE(conv) << messages();
  EXPECT_EQ(conv->at(conv->outputs[0].tensor).shape, (Shape{3, 2, 2}));
  const auto flat =
      import("TimeDistributed", R"("layer": {"class_name": "Flatten", "config": {"name": "f"}})", {}, "3, 4, 2");
  ASSERT_TRUE(flat) << messages();
  EXPECT_EQ(flat->at(flat->outputs[0].tensor).shape, (Shape{3, 8}));
}

const std::string kPlain = R"("units": 1, "activation": "linear", "use_bias": false)";
const std::string kStacked =
    R"("cell": {"class_name": "StackedRNNCells", "config": {"name": "stacked_rnn_cells", "cells": [
    {"class_name": "SimpleRNNCell", "config": {"name": "simple_rnn_cell", "units": 1, "activation": "linear",
     "use_bias": false}},
    {"class_name": "SimpleRNNCell", "config": {"name": "simple_rnn_cell_1", "units": 2, "activation": "linear",
     "use_bias": false}}]}})";

std::vector<Variable> stacked_variables(const std::string& part = "") {
  return {{part + "stacked_rnn_cells/simple_rnn_cell/kernel", {2, 1}},
          {part + "stacked_rnn_cells/simple_rnn_cell/recurrent_kernel", {1, 1}},
          {part + "stacked_rnn_cells/simple_rnn_cell_1/kernel", {1, 2}},
          {part + "stacked_rnn_cells/simple_rnn_cell_1/recurrent_kernel", {2, 2}}};
}

std::vector<Variable> two_directions() {
  return {{"forward_r/simple_rnn_cell/kernel", {2, 1}},
          {"forward_r/simple_rnn_cell/recurrent_kernel", {1, 1}},
          {"backward_r/simple_rnn_cell/kernel", {2, 1}},
          {"backward_r/simple_rnn_cell/recurrent_kernel", {1, 1}}};
}

// The numbers are Keras 2.14's; all of them are exact in float32.
TEST_F(RecurrentTest, CellsOnTopOfEachOther) {
  const std::string both = kStacked + R"(, "return_sequences": true, "return_state": true)";
  EXPECT_EQ(outputs(call("RNN", both, stacked_variables(), {}, 3)),
            (Outputs{{-1.6875F, -1.125F, -12.9375F, -8.625F, -77.87109375F, -51.9140625F},
                     {-1.546875F},
                     {-77.87109375F, -51.9140625F}}));
  EXPECT_EQ(
      outputs(call("RNN", both + R"(, "go_backwards": true)", stacked_variables(), {}, 3)),
      (Outputs{
          {0.5625F, 0.375F, 2.8125F, 1.875F, 13.95703125F, 9.3046875F}, {-0.984375F}, {13.95703125F, 9.3046875F}}));
  EXPECT_EQ(outputs(call("RNN", kStacked, stacked_variables(), {1, 2}, 1), {{2.0F}, {1.0F, -1.0F}}),
            (Outputs{{157.19921875F, 105.0078125F}}));
}

TEST_F(RecurrentTest, OneCellIsALayer) {
  const std::string cell =
      fmt::format(R"("cell": {{"class_name": "SimpleRNNCell", "config": {{"name": "c", {}}}}})", kPlain);
  const std::vector<Variable> variables = {{"c/kernel", {2, 1}}, {"c/recurrent_kernel", {1, 1}}};
  const auto rnn = call("RNN", cell + R"(, "return_state": true)", variables, {1}, 2);
  const auto layer = call("SimpleRNN", kPlain + R"(, "return_state": true)", variables, {1}, 2);
  EXPECT_EQ(outputs(rnn, {{2.0F}}), outputs(layer, {{2.0F}}));
  EXPECT_EQ(outputs(rnn, {{2.0F}})[0], outputs(rnn, {{2.0F}})[1]);
  EXPECT_EQ(rnn->nodes.back().name, "l");
  ASSERT_EQ(rnn->outputs.size(), 2U);
  EXPECT_EQ(rnn->outputs[1].name, "l_1");
}

TEST_F(RecurrentTest, BothDirectionsWithTheirStates) {
  const std::string inner =
      R"("layer": {"class_name": "SimpleRNN", "config": {"name": "r", "return_state": true, )" + kPlain;
  EXPECT_EQ(outputs(call("Bidirectional", inner + R"(, "return_sequences": true}}, "merge_mode": null)",
                         two_directions(), {}, 4)),
            (Outputs{{-0.75F, -1.4375F, -1.546875F}, {87.515625F, 25.3125F, 8.25F}, {-1.546875F}, {87.515625F}}));
  EXPECT_EQ(outputs(call("Bidirectional", inner + "}}", two_directions(), {1, 1}, 3), {{2.0F}, {-1.0F}}),
            (Outputs{{2.359375F, 53.1875F}, {2.359375F}, {53.1875F}}));
  auto variables = stacked_variables("forward_r/");
  for (auto& v : stacked_variables("backward_r/")) variables.push_back(v);
  EXPECT_EQ(outputs(call("Bidirectional",
                         R"("merge_mode": "sum", "layer": {"class_name": "RNN", "config": {"name": "r",
                            "return_sequences": true, )" +
                             kStacked + "}}",
                         variables, {}, 1)),
            (Outputs{{29700.51953125F, 25015.8671875F, 1933.625F, 1643.25F, 23.69140625F, 37.4609375F}}));
}

TEST_F(RecurrentTest, StatesThatDoNotFit) {
  const std::vector<Variable> variables = {{"c/kernel", {2, 1}}, {"c/recurrent_kernel", {1, 1}}};
  EXPECT_FALSE(call("SimpleRNN", kPlain, variables, {1, 1}, 1));
  EXPECT_THAT(messages(), HasSubstr("called with 2 initial states and has 1"));
  engine = std::make_unique<diag::Engine>();
  EXPECT_FALSE(call("SimpleRNN", kPlain, variables, {3}, 1));
  EXPECT_THAT(messages(), HasSubstr("initial state 0 has shape [3]"));
  engine = std::make_unique<diag::Engine>();
  EXPECT_FALSE(call("SimpleRNN", kPlain, variables, {}, 2));
  EXPECT_THAT(messages(), HasSubstr("output 1 of layer `l`, of which 1 are supported"));
}

/// x -> Masking(0) -> SimpleRNN without functions: h = 2 x + h where x is not 0.
Result<nn::Graph> masked_model(const std::string& more, Context& ctx) {
  const auto layer = [](const std::string& class_name, const std::string& name, const std::string& config,
                        const std::string& from) {
    return fmt::format(
        R"({{"class_name": "{}", "name": "{}", "config": {{"name": "{}", {}}}, "inbound_nodes": [[["{}", 0, 0, {{}}]]]}})",
        class_name, name, name, config, from);
  };
  const std::string json =
      R"({"class_name": "Functional", "keras_version": "2.7.0", "config": {"name": "m", "layers": [)"
      R"({"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_input_shape": [null, 4, 1]}, "inbound_nodes": []}, )" +
      layer("Masking", "mask", R"("mask_value": 0.0)", "x") + ", " +
      layer("SimpleRNN", "l",
            R"("units": 1, "use_bias": false, "activation": "linear", "return_sequences": true)" + more, "mask") +
      R"(], "input_layers": [["x", 0, 0]], "output_layers": [["l", 0, 0]]}})";
  Hdf5Builder file;
  file.floats("l/l/simple_rnn_cell/kernel:0", {1, 1}, {2.0F});
  file.floats("l/l/simple_rnn_cell/recurrent_kernel:0", {1, 1}, {1.0F});
  file.texts("", "layer_names", {"x", "mask", "l"});
  for (const char* name : {"x", "mask"}) {
    file.group(name);
    file.texts(name, "weight_names", {});
  }
  file.texts("l", "weight_names", {"l/simple_rnn_cell/kernel:0", "l/simple_rnn_cell/recurrent_kernel:0"});
  return read_keras(NamedBytes{"m.json", json}, NamedBytes{"w.h5", file.bytes()}, ctx);
}

TEST_F(RecurrentTest, AMaskThatTheFrameworkTurnsRoundIsRefused) {
  Context ctx{*engine};
  const std::string zeros = R"(, "zero_output_for_mask": true, "unroll": true)";
  EXPECT_TRUE(masked_model(zeros, ctx).ok()) << messages();
  EXPECT_FALSE(masked_model(zeros + R"(, "go_backwards": true)", ctx).ok());
  EXPECT_THAT(messages(), HasSubstr("save the model with `unroll` False"));
}

TEST_F(RecurrentTest, MaskedStepsAreSkipped) {
  Context ctx{*engine};
  auto graph = masked_model("", ctx);
  ASSERT_TRUE(graph.ok()) << messages();
  ASSERT_TRUE(layers::check(*graph, ctx).ok()) << messages();
  const auto tensors = layers::run_float(*graph, {{1, 0, 3, 0}}, 1, ctx);
  ASSERT_TRUE(tensors.ok()) << messages();
  EXPECT_THAT((*tensors)[graph->outputs.front().tensor.index], ElementsAre(2.0F, 2.0F, 8.0F, 8.0F));
}

TEST_F(RecurrentTest, SaysWhatItRefuses) {
  const std::vector<Variable> variables = {{"c/kernel", {2, 1}}, {"c/recurrent_kernel", {1, 1}}, {"c/bias", {1}}};
  for (const auto& [config, what] :
       {std::pair{R"("units": 1, "stateful": true)", "stateful"},
        std::pair{R"("units": 1, "time_major": true)", "time_major"},
        std::pair{R"("units": 1, "activation": "softmax")", "softmax"}, std::pair{R"("units": 0)", "units"},
        std::pair{R"("units": 1, "surprise": 1)", "surprise"}}) {
    engine = std::make_unique<diag::Engine>();
    EXPECT_FALSE(import("SimpleRNN", config, variables)) << config;
    EXPECT_THAT(messages(), HasSubstr(what));
  }
  for (const auto& [class_name, config, what] :
       {std::tuple{"RNN", R"("cell": {"class_name": "MyCell", "config": {"units": 1}})", "cells of `MyCell`"},
        std::tuple{"RNN", R"("return_state": false)", "no `cell`"},
        std::tuple{"RNN", R"("stateful": true, "cell": {"class_name": "SimpleRNNCell", "config": {"units": 1}})",
                   "`stateful` is true"},
        std::tuple{"RNN", R"("cell": {"class_name": "SimpleRNNCell", "config": {"units": 1, "surprise": 2}})",
                   "unknown attribute `surprise`"},
        std::tuple{"RNN", R"("cell": {"class_name": "SimpleRNNCell", "config": {"units": 2}})", "has shape"},
        std::tuple{"RNN", R"("cell": {"class_name": "SimpleRNNCell", "config": {"units": 1, "use_bias": false}})",
                   "weight `c/bias` that its config does not explain"},
        std::tuple{"RNN", R"("cell": {"class_name": "StackedRNNCells", "config": {"cells": []}})",
                   "no list of `cells`"},
        std::tuple{"RNN", R"("cell": {"class_name": "StackedRNNCells", "config": {"cells": [1]}})", "no `config`"},
        std::tuple{"RNN",
                   R"("cell": {"class_name": "StackedRNNCells", "config": {"reverse_state_order": true, "cells": [
           {"class_name": "SimpleRNNCell", "config": {"units": 1}}]}})",
                   "`reverse_state_order`"},
        std::tuple{"Bidirectional", R"("layer": {"class_name": "SimpleRNN", "config": {"units": 1, "stateful": true}})",
                   "`stateful` is true"},
        std::tuple{"Bidirectional", R"("layer": {"class_name": "SimpleRNN", "config": {"units": 1, "surprise": 1}})",
                   "unknown attribute `surprise`"},
        std::tuple{"Bidirectional", R"("layer": {"class_name": "Dense", "config": {"units": 1}})",
                   "cells of `Dense`"}}) {
    engine = std::make_unique<diag::Engine>();
    EXPECT_FALSE(import(class_name, config, variables)) << config;
    EXPECT_THAT(messages(), HasSubstr(what));
  }
  engine = std::make_unique<diag::Engine>();
  EXPECT_FALSE(import("Bidirectional",
                      R"("merge_mode": "max", "layer": {"class_name": "SimpleRNN", "config": {"units": 1}})",
                      variables));
  EXPECT_THAT(messages(), HasSubstr("merge_mode"));
}

}  // namespace
}  // namespace weft::formats::keras
