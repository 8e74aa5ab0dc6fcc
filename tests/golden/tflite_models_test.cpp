// SPDX-License-Identifier: Apache-2.0
// Published TensorFlow Lite models of one int16 layer with inputs and outputs (tflite-micro's SEANet): read, lowered
// and run on codes; the float run too where its float32 holds the codes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <sstream>

#include "tests/paths/paths.h"
#include "weft/emulate/emulator.h"
#include "weft/formats/tflite/tflite.h"
#include "weft/layers/float_run.h"
#include "weft/lower/lower.h"
#include "weft/support/files.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string said(const diag::Engine& engine) {
  std::string out;
  for (const auto& d : engine.all()) out += diag::to_text(d);
  return out;
}

std::vector<Int> read_codes(const fs::path& path, Context& ctx) {
  const auto text = support::read_file(path, ctx);
  std::vector<Int> out;
  if (!text) return out;
  std::string number;
  for (const char c : *text + ",") {
    if ((c >= '0' && c <= '9') || c == '-') {
      number += c;
    } else if (!number.empty()) {
      out.push_back(std::stoll(number));
      number.clear();
    }
  }
  return out;
}

/// Empty when the model gives the published codes.
std::string problem_of(const fs::path& model) {
  diag::Engine engine;
  Context ctx{engine};
  auto graph = formats::tflite::read_tflite(model, ctx);
  if (!graph || !layers::check(*graph, ctx)) return said(engine);
  const auto lowered = lower::lower(*graph, {}, ctx);
  if (!lowered) return said(engine);
  if (lowered->network != layers::Word::Exact) return "it is not certified `exact`";
  const std::string stem = model.stem().string();
  std::vector<Int> expected;
  std::vector<std::vector<Int>> inputs;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(model.parent_path()))
    if (entry.path().filename().string().starts_with(stem + "_")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    auto codes = read_codes(path, ctx);
    if (path.string().find("_golden_") != std::string::npos) {
      expected = std::move(codes);
      continue;
    }
    // The shape that transposed convolutions list as an input is no input of the graph.
    const std::size_t next = inputs.size();
    if (next < lowered->graph.inputs.size() &&
        codes.size() == lowered->graph.at(lowered->graph.inputs[next].value).ranges.size())
      inputs.push_back(std::move(codes));
  }
  if (inputs.size() != lowered->graph.inputs.size() || expected.empty()) return "its inputs or outputs are missing";
  const auto result = emulate::run_plain(lowered->graph, inputs);
  const auto& y = result.values[lowered->graph.outputs[0].value.index];
  if (y != expected) {
    std::size_t different = 0;
    for (std::size_t i = 0; i < std::min(y.size(), expected.size()); ++i) different += y[i] != expected[i] ? 1 : 0;
    return std::to_string(different) + " of " + std::to_string(expected.size()) + " codes differ";
  }
  std::vector<std::vector<float>> reals;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& scale = lowered->graph.at(lowered->graph.inputs[i].value).scale;
    std::vector<float> row;
    for (const Int code : inputs[i]) {
      if (code > (1 << 22) || code < -(1 << 22)) return "";
      row.push_back(fixed::to_float(Rational(scale.at(0) * fixed::rational_from_int(code))));
    }
    reals.push_back(std::move(row));
  }
  const auto floats = layers::run_float(*graph, reals, 1, ctx);
  if (!floats) return said(engine);
  const double scale = fixed::to_double(lowered->graph.at(lowered->graph.outputs[0].value).scale.at(0));
  const auto& values = (*floats)[graph->outputs[0].tensor.index];
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (std::llround(values.at(i) / scale) != expected[i])
      return "the float run differs at element " + std::to_string(i);
  return "";
}

TEST(TfliteGolden, LayersOfSeanet) {
  const fs::path folder = test::data_dir() / "golden/tflm_seanet";
  if (!fs::exists(folder)) GTEST_SKIP() << "the models are not here: " << folder;
  std::vector<fs::path> models;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".tflite") models.push_back(entry.path());
  std::sort(models.begin(), models.end());
  std::size_t equal = 0;
  for (const auto& model : models) {
    const std::string problem = problem_of(model);
    equal += problem.empty() ? 1 : 0;
    EXPECT_EQ(problem, "") << model.filename();
  }
  std::printf("%zu of %zu models equal\n", equal, models.size());
}

/// Models of several layers, against what the interpreter's reference kernels gave for an input of every integer in
/// turn with steps of 37 (tests/interop/tflite_models.py --codes).
TEST(TfliteGolden, AnswersOfTheInterpreter) {
  const fs::path models = test::data_dir() / "models";
  if (!fs::exists(models)) GTEST_SKIP() << "the models are not here: " << models;
  std::map<std::string, fs::path> by_name;
  for (const auto* folder : {"tflite_micro", "mlperf_tiny/reference"})
    for (const auto& entry : fs::directory_iterator(models / folder))
      if (entry.path().extension() == ".tflite") by_name[entry.path().stem().string()] = entry.path();
  std::size_t compared = 0;
  for (const auto& kept : fs::directory_iterator(WEFT_TFLITE_KEPT)) {
    const std::string name = kept.path().stem().string();
    SCOPED_TRACE(name);
    diag::Engine engine;
    Context ctx{engine};
    ASSERT_EQ(by_name.count(name), 1U);
    auto graph = formats::tflite::read_tflite(by_name.at(name), ctx);
    ASSERT_TRUE(graph && layers::check(*graph, ctx)) << said(engine);
    const auto lowered = lower::lower(*graph, {}, ctx);
    ASSERT_TRUE(lowered) << said(engine);
    EXPECT_EQ(lowered->network, layers::Word::Exact);
    ASSERT_EQ(lowered->graph.inputs.size(), 1U);
    const auto& input = lowered->graph.at(lowered->graph.inputs[0].value);
    const Int least = input.ranges[0].lo;
    const Int codes = input.ranges[0].hi - least + 1;
    std::vector<Int> x;
    for (std::size_t i = 0; i < input.ranges.size(); ++i) x.push_back((static_cast<Int>(i) * 37 + 11) % codes + least);
    const auto result = emulate::run_plain(lowered->graph, {x});
    const auto& y = result.values[lowered->graph.outputs[0].value.index];
    // The zero point of the file's integers, then those.
    auto expected = read_codes(kept.path(), ctx);
    ASSERT_EQ(y.size() + 1, expected.size());
    std::size_t different = 0;
    for (std::size_t i = 0; i < y.size(); ++i) different += y[i] + expected[0] != expected[i + 1] ? 1 : 0;
    EXPECT_EQ(different, 0U) << "of " << y.size();
    ++compared;
  }
  std::printf("%zu models equal to the interpreter's kept answers\n", compared);
  EXPECT_GE(compared, 6U);
}

}  // namespace
}  // namespace weft
