// SPDX-License-Identifier: Apache-2.0
// Recurrent layers and their wrappers from Keras' configs, and what is refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

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
  static std::string model(const std::string& class_name, const std::string& config, const std::string& shape) {
    return fmt::format(R"({{"class_name": "Sequential", "keras_version": "2.7.0", "config": {{"name": "m", "layers": [
        {{"class_name": "InputLayer", "config": {{"batch_input_shape": [null, {}], "name": "x"}}}},
        {{"class_name": "{}", "config": {{"name": "l", {}}}}}]}}}})",
                       shape, class_name, config);
  }
  /// A model of one layer with these variables in a Keras 2 weight file: variable k holds ramp(size, k).
  std::optional<nn::Graph> import(const std::string& class_name, const std::string& config,
                                  const std::vector<Variable>& variables, const std::string& shape = "3, 2") {
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
    auto graph =
        read_keras(NamedBytes{"m.json", model(class_name, config, shape)}, NamedBytes{"w.h5", file.bytes()}, ctx);
    if (!graph.ok()) return std::nullopt;
    if (!layers::check(*graph, ctx).ok()) return std::nullopt;
    return std::move(graph).value();
  }
};

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

TEST_F(RecurrentTest, TimeDistributedLayersSeeAllTimes) {
  const auto dense =
      import("TimeDistributed", R"("layer": {"class_name": "Dense", "config": {"name": "d", "units": 4}})",
             {{"kernel", {2, 4}}, {"bias", {4}}});
  ASSERT_TRUE(dense) << messages();
  EXPECT_EQ(dense->at(dense->outputs[0].tensor).shape, (Shape{3, 4}));
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
  engine = std::make_unique<diag::Engine>();
  EXPECT_FALSE(
      import("RNN", R"("cell": {"class_name": "SimpleRNNCell", "config": {"name": "c", "units": 1}})", variables));
  EXPECT_THAT(messages(), HasSubstr("`RNN` is not supported"));
  engine = std::make_unique<diag::Engine>();
  EXPECT_FALSE(import("SimpleRNN", R"("units": 1, "return_state": true)", variables));
  EXPECT_THAT(messages(), HasSubstr("return_state"));
  engine = std::make_unique<diag::Engine>();
  EXPECT_FALSE(import("Bidirectional",
                      R"("merge_mode": "max", "layer": {"class_name": "SimpleRNN", "config": {"units": 1}})",
                      variables));
  EXPECT_THAT(messages(), HasSubstr("merge_mode"));
}

}  // namespace
}  // namespace weft::formats::keras
