// SPDX-License-Identifier: Apache-2.0
// Recipes for classes that Weft does not know.
#include "weft/formats/keras/user_layers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weft/formats/keras/keras.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/test_files.h"
#include "weft/layers/layer.h"

namespace weft::formats::keras {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kGate = R"YAML(
SquareGate:
  config: {units: required, activation: sigmoid, axes: [0]}
  ignore: [dropout]
  weights: [kernel, bias, scale]
  nodes:
    - {name: h, op: Dense, inputs: [x], parameters: {kernel: {weight: kernel, permute: [1, 0],
       quantizer: "quantized_bits(4,0,alpha=1)"}, bias: bias}}
    - {name: g, op: Activation, inputs: [h], functions: {activation: $activation}}
    - {name: p, op: Mul, inputs: [h, g]}
    - {name: s, op: ReduceSum, inputs: [p], attributes: {axes: $axes, keepdims: true}}
    - {name: y, op: Mul, inputs: [s], parameters: {constant: scale}}
    - {name: z, op: Add, inputs: [y], parameters: {constant: {value: 0.5}}}
  outputs: [z]
)YAML";

struct UserLayersTest : testing::Test {
  static std::string model(const std::string& config) {
    return fmt::format(R"({{"class_name": "Sequential", "config": {{"name": "m", "layers": [
        {{"class_name": "InputLayer", "config": {{"batch_input_shape": [null, 5, 3], "name": "x"}}}},
        {{"class_name": "SquareGate", "config": {{"name": "l"{}}}}},
        {{"class_name": "ReLU", "config": {{"name": "r"}}}}]}}}})",
                       config);
  }
  static std::string weights() {
    Hdf5Builder file;
    file.floats("l/l/kernel:0", {2, 3}, ramp(6));
    file.floats("l/l/bias:0", {2}, ramp(2));
    file.floats("l/l/scale:0", {2}, {2.0F, 3.0F});
    file.texts("", "layer_names", {"x", "l", "r"});
    file.layer("", "l", {"kernel", "bias", "scale"});
    return file.bytes();
  }
  /// The graph, or nothing with the messages in `said`.
  std::optional<nn::Graph> read(const std::string& recipes, const std::string& config) {
    diag::Engine engine;
    Context ctx{engine};
    auto graph = read_keras(NamedBytes{"m.json", model(config)}, NamedBytes{"w.h5", weights()}, ctx,
                            NamedBytes{"r.yaml", recipes});
    EXPECT_TRUE(!graph.ok() || layers::check(*graph, ctx).ok());
    said.clear();
    for (const auto& d : engine.all()) said += diag::to_text(d) + "\n";
    if (!graph.ok()) return std::nullopt;
    return std::move(graph).value();
  }
  std::string said;
};

TEST_F(UserLayersTest, ARecipeBecomesNodes) {
  const auto graph = read(kGate, R"(, "units": 2, "dropout": 0.5)");
  ASSERT_TRUE(graph) << said;
  std::vector<std::string> names;
  for (const auto& node : graph->nodes) names.push_back(node.name + ":" + node.op);
  EXPECT_THAT(names, ElementsAre("l_h:Dense", "l_g:Activation", "l_p:Mul", "l_s:ReduceSum", "l_y:Mul", "l:Add",
                                 "r:Activation"));
  const auto& kernel = graph->nodes[0].parameters.at("kernel");
  const auto stored = ramp(6);
  EXPECT_EQ(kernel.values.shape, (Shape{3, 2}));
  EXPECT_EQ(kernel.values.data, (std::vector<float>{stored[0], stored[3], stored[1], stored[4], stored[2], stored[5]}));
  ASSERT_TRUE(kernel.quantizer);
  EXPECT_EQ(kernel.quantizer->family, "quantized_bits");
  EXPECT_EQ(graph->nodes[1].functions.at("activation"), make_spec("sigmoid"));
  EXPECT_EQ(graph->nodes[5].parameters.at("constant").values, FloatTensor({}, {0.5F}));
  EXPECT_EQ(graph->at(graph->nodes[5].outputs[0]).shape, (Shape{1, 2}));
  EXPECT_EQ(graph->nodes[6].inputs, graph->nodes[5].outputs);
}

TEST_F(UserLayersTest, TheConfigDecides) {
  ASSERT_TRUE(read(kGate, R"(, "units": 2, "activation": "relu", "axes": [0])")) << said;
  const auto graph = read(kGate, R"(, "units": 2, "activation": "linear", "axes": [0])");
  ASSERT_TRUE(graph) << said;
  EXPECT_EQ(graph->nodes[1].op, "Identity");
  EXPECT_FALSE(read(kGate, R"(, "rate": 2)"));
  EXPECT_THAT(said, HasSubstr("unknown attribute `rate`"));
  EXPECT_FALSE(
      read("SquareGate: {config: {n: required}, nodes: [{op: ReduceSum, inputs: [x], attributes: {axes: $n}}]}", ""));
  EXPECT_THAT(said, HasSubstr("attribute `n` is missing"));
}

TEST_F(UserLayersTest, WrongRecipesAreNamed) {
  const auto says = [&](const std::string& recipe, const std::string& part) {
    EXPECT_FALSE(read("SquareGate: " + recipe, "")) << recipe;
    EXPECT_THAT(said, HasSubstr(part)) << recipe;
    EXPECT_THAT(said, testing::Not(HasSubstr("internal"))) << recipe;
  };
  says("1", "a recipe is a map");
  says("{node: []}", "unknown key `node`");
  says("{config: 1, nodes: []}", "`config` is a map");
  says("{weights: kernel, nodes: []}", "`weights` is a list of names");
  says("{nodes: []}", "`nodes` is a list");
  says("{nodes: [{op: Nothing, inputs: [x]}]}", "operator `Nothing` does not exist");
  says("{nodes: [{op: Add, inputs: []}]}", "operator `Add` has 0 inputs");
  says("{nodes: [{op: Permute, inputs: [h]}]}", "input \"h\" is neither x");
  says("{nodes: [{op: Permute, inputs: [x], attributes: {rate: 1}}]}", "has no `rate` among its attributes");
  says("{nodes: [{op: Dense, inputs: [x]}]}", "needs the parameter `kernel`");
  says("{nodes: [{op: Identity, inputs: [x], name: x}]}", "cannot have the name `x`");
  says("{nodes: [{op: Identity, inputs: [x], call: 1}]}", "unknown key `call`");
  says("{nodes: [{op: Identity, inputs: [x]}], outputs: [y]}", "output `y` is no node");
  says("{nodes: [{op: Identity, inputs: [x3]}]}", "the recipe reads input 3 of 1");
  says("{nodes: [{op: Dense, inputs: [x], parameters: {kernel: w}}]}", "`w` is not among the recipe's weights");
  says(
      "{weights: [kernel, bias, scale], nodes: [{op: Dense, inputs: [x], parameters: {kernel: {weight: kernel, "
      "reshape: [7]}}}]}",
      "`reshape` [7] does not fit");
  says(
      "{weights: [kernel, bias, scale], nodes: [{op: Dense, inputs: [x], parameters: {kernel: {weight: kernel, "
      "permute: [1, 1]}}}]}",
      "`permute` [1,1] does not fit");
  says("{nodes: [{op: Permute, inputs: [x], attributes: {permutation: text}}]}", "operator `Permute` cannot have");
  says("[", "not readable as YAML");
  says(std::string(200, '['), "nested too deeply");
  says("{nodes: [{op: Activation, inputs: [x], functions: {activation: nonsense(}}]}", "error");
}

}  // namespace
}  // namespace weft::formats::keras
