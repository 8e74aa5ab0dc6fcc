// SPDX-License-Identifier: Apache-2.0
// Integer layers against published outputs of TensorFlow Lite's integer kernels: the cases of CMSIS-NN (npz files with
// parameters, inputs and outputs). Each case is a graph of one or a few layers; the float run and the exact graph must
// both give the published integers. Cases that the files do not fully describe are listed with the reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "tests/paths/paths.h"
#include "tflite_bench.h"
#include "weft/tensor/tensor.h"

namespace weft::golden {
namespace {

namespace fs = std::filesystem;

/// Files that hold arrays of two generations under one name, of which no pairing of weights, biases, factors and
/// results explains the results.
const std::set<std::string> kMixed = {"conv_2x3_dilation_int4", "conv_3x3_dilation_5x5_input_int4", "conv_5_int4"};

void set_clamp(const Case& c, nn::Node& node, std::int64_t zero, bool wide) {
  node.attributes["lo"] = c.number("OUT_ACTIVATION_MIN", c.number("ACTIVATION_MIN", least(wide))) - zero;
  node.attributes["hi"] = c.number("OUT_ACTIVATION_MAX", c.number("ACTIVATION_MAX", most(wide))) - zero;
}

/// One generation of a file's arrays (files may hold two).
struct Generation {
  const char* weights;
  const char* bias;
  const char* multiplier;
  const char* output;
  /// The numbers of the file belong to another generation: zero point and clamp of the result are what fits.
  bool free_clamp = false;
  /// And the input has no zero point there.
  bool no_offset = false;
};

/// As matches(), but for a zero point and a clamp that are not known: one pair has to explain every element.
bool matches_some_clamp(Bench& bench, const std::vector<Ints>& inputs, std::size_t samples, const Ints& expected) {
  const auto [real, exact] = bench.run(inputs, samples);
  EXPECT_EQ(real, exact);
  if (exact.size() != expected.size()) return false;
  const auto [lo, hi] = std::minmax_element(expected.begin(), expected.end());
  // The clamp must not be what makes them equal.
  if (*hi - *lo < 8) return false;
  for (std::int64_t zero = -128; zero <= 127; ++zero) {
    Ints clamped = plus(exact, zero);
    for (auto& v : clamped) v = std::clamp(v, *lo, *hi);
    if (clamped == expected) return true;
  }
  return false;
}

bool convolution(const Case& c, const Generation& g) {
  const bool depthwise = c.knows("CH_MULT");
  const bool transposed = c.name.find("transpose_conv") != std::string::npos;
  const std::int64_t in = c.number("IN_CH");
  const std::int64_t out = c.number("OUT_CH");
  const std::int64_t fy = c.number("FILTER_Y");
  const std::int64_t fx = c.number("FILTER_X");
  const std::int64_t h = c.number("INPUT_H");
  const std::int64_t w = c.number("INPUT_W");
  const std::int64_t oh = c.number("OUTPUT_H");
  const std::int64_t ow = c.number("OUTPUT_W");
  const Ints& x = c.any({"input", "input_tensor"});
  if (x.size() % static_cast<std::size_t>(h * w * in) != 0) return false;
  const std::size_t samples = x.size() / static_cast<std::size_t>(h * w * in);
  const std::int64_t offset = g.no_offset ? 0 : c.number("INPUT_OFFSET");
  const std::int64_t zero = c.number("OUTPUT_OFFSET");
  const bool wide = c.name.find("int16") != std::string::npos || c.name == "requantize_s64";
  Bench bench(c.name);
  const auto in_id = bench.input("x", {h, w, in}, least(wide) + offset, most(wide) + offset);
  nn::Node node = bench.make(transposed  ? "IntegerTransposedConv"
                             : depthwise ? "IntegerDepthwiseConv"
                                         : "IntegerConv",
                             "y", {in_id});
  std::int64_t groups = 1;
  std::size_t count = static_cast<std::size_t>(fy * fx * out);
  const Ints& packed = c.at(g.weights);
  if (!depthwise) {
    // Grouped convolutions say it only by the number of their weights.
    const bool int4 = c.name.find("int4") != std::string::npos;
    while (!int4 && groups < in &&
           packed.size() * static_cast<std::size_t>(groups) < count * static_cast<std::size_t>(in))
      ++groups;
    count *= static_cast<std::size_t>(in / groups);
  }
  if (packed.size() != count && packed.size() != (count + 1) / 2) return false;
  const IntTensor kernel =
      depthwise ? IntTensor({fy, fx, in, out / in}, unpacked(packed, count))
                : tensor::permute(IntTensor({out, fy, fx, in / groups}, unpacked(packed, count)), {1, 2, 3, 0});
  node.parameters["kernel"] = codes_parameter(kernel.shape, kernel.data);
  bool long_bias = true;
  if (c.has(g.bias)) {
    if (c.at(g.bias).size() != static_cast<std::size_t>(out)) return false;
    node.parameters["bias"] = codes_parameter({out}, c.at(g.bias));
  }
  long_bias = c.name.find("xint32") == std::string::npos;
  node.attributes["multipliers"] = c.at(g.multiplier);
  node.attributes["shifts"] = c.at("output_shift");
  node.attributes["wide"] = wide && long_bias;
  set_clamp(c, node, zero, wide);
  if (g.free_clamp) {
    node.attributes["lo"] = std::int64_t{-(1 << 20)};
    node.attributes["hi"] = std::int64_t{1 << 20};
  }
  const Ints strides{c.number("STRIDE_Y"), c.number("STRIDE_X")};
  const Ints before{c.number("PAD_Y"), c.number("PAD_X")};
  node.attributes["strides"] = strides;
  node.attributes["before"] = before;
  if (transposed) {
    node.attributes["shape"] = Ints{oh, ow};
  } else {
    const Ints dilations{c.number("DILATION_Y", 1), c.number("DILATION_X", 1)};
    const auto after = [&](std::int64_t from, std::int64_t to, std::int64_t k, std::size_t d) {
      return std::max<std::int64_t>((to - 1) * strides[d] + dilations[d] * (k - 1) + 1 - from - before[d], 0);
    };
    node.attributes["padding"] = std::string("explicit");
    node.attributes["dilations"] = dilations;
    node.attributes["after"] = Ints{after(h, oh, fy, 0), after(w, ow, fx, 1)};
    if (groups != 1) node.attributes["groups"] = groups;
  }
  bench.finish(bench.place(std::move(node)));
  if (g.free_clamp) return matches_some_clamp(bench, {plus(x, offset)}, samples, c.at(g.output));
  return matches(bench, {plus(x, offset)}, samples, c.at(g.output), zero);
}

bool fully_connected(const Case& c, const Generation& g) {
  const std::int64_t n_in =
      c.number("ACCUMULATION_DEPTH", c.number("IN_CH") * c.number("INPUT_H", 1) * c.number("INPUT_W", 1));
  const std::int64_t n_out = c.number("OUT_CH");
  const Ints& x = c.any({"input", "input_tensor"});
  const Ints& packed = c.at(g.weights);
  const auto count = static_cast<std::size_t>(n_in * n_out);
  if (x.size() % static_cast<std::size_t>(n_in) != 0 || (packed.size() != count && packed.size() != (count + 1) / 2))
    return false;
  const std::size_t samples = x.size() / static_cast<std::size_t>(n_in);
  const bool wide = c.name.find("int16") != std::string::npos;
  const std::int64_t offset = c.number("INPUT_OFFSET");
  const std::int64_t zero = c.number("OUTPUT_OFFSET");
  Bench bench(c.name);
  const auto in_id = bench.input("x", {n_in}, least(wide) + offset, most(wide) + offset);
  nn::Node node = bench.make("IntegerDense", "y", {in_id});
  const auto kernel =
      tensor::permute(IntTensor({n_out, n_in}, plus(unpacked(packed, count), c.number("FILTER_OFFSET", 0))), {1, 0});
  node.parameters["kernel"] = codes_parameter(kernel.shape, kernel.data);
  if (c.has(g.bias)) {
    if (c.at(g.bias).size() != static_cast<std::size_t>(n_out)) return false;
    node.parameters["bias"] = codes_parameter({n_out}, c.at(g.bias));
  }
  if (c.has(g.multiplier) && c.at(g.multiplier).size() == static_cast<std::size_t>(n_out)) {
    node.attributes["multipliers"] = c.at(g.multiplier);
    node.attributes["shifts"] = c.at("output_shift");
  } else {
    node.attributes["multipliers"] = Ints{c.number("OUTPUT_MULTIPLIER")};
    node.attributes["shifts"] = Ints{c.number("OUTPUT_SHIFT")};
  }
  node.attributes["wide"] = wide;
  set_clamp(c, node, zero, wide);
  bench.finish(bench.place(std::move(node)));
  return matches(bench, {plus(x, offset)}, samples, c.at(g.output), zero);
}

bool elementwise(const Case& c) {
  const bool add = c.name.starts_with("add");
  const bool wide = c.name.find("s16") != std::string::npos;
  const std::string p = add ? "ADD_" : "";
  const auto number = [&](const std::string& key) { return c.knows(key) ? c.number(key) : c.number(p + key); };
  const auto n = static_cast<std::int64_t>(c.at("input1").size());
  const std::int64_t a = number("INPUT1_OFFSET");
  const std::int64_t b = number("INPUT2_OFFSET");
  const std::int64_t zero = number("OUTPUT_OFFSET");
  Bench bench(c.name);
  const auto xa = bench.input("a", {n}, least(wide) + a, most(wide) + a);
  const auto xb = bench.input("b", {n}, least(wide) + b, most(wide) + b);
  nn::Node node = bench.make(add ? "IntegerAdd" : "IntegerMul", "y", {xa, xb});
  if (add) {
    node.attributes["multipliers"] = Ints{number("INPUT1_MULT"), number("INPUT2_MULT"), number("OUTPUT_MULT")};
    node.attributes["shifts"] = Ints{number("INPUT1_SHIFT"), number("INPUT2_SHIFT"), number("OUTPUT_SHIFT")};
    node.attributes["pre_shift"] = number("LEFT_SHIFT");
  } else {
    node.attributes["multipliers"] = Ints{number("OUTPUT_MULT")};
    node.attributes["shifts"] = Ints{number("OUTPUT_SHIFT")};
  }
  node.attributes["lo"] = number("OUT_ACTIVATION_MIN") - zero;
  node.attributes["hi"] = number("OUT_ACTIVATION_MAX") - zero;
  bench.finish(bench.place(std::move(node)));
  return matches(bench, {plus(c.at("input1"), a), plus(c.at("input2"), b)}, 1, c.at("output_ref"), zero);
}

bool pool(const Case& c) {
  const bool max = c.name.starts_with("maxpool");
  const bool wide = c.name.find("int16") != std::string::npos;
  const auto number = [&](const char* one, const char* other) {
    return c.knows(one) ? c.number(one) : c.number(other);
  };
  const std::int64_t ch = number("INPUT_C", "IN_CH");
  const std::int64_t h = number("INPUT_H", "IN_Y");
  const std::int64_t w = number("INPUT_W", "IN_X");
  const Ints kernel{number("FILTER_H", "FILTER_Y"), number("FILTER_W", "FILTER_X")};
  const Ints strides{number("STRIDE_H", "STRIDE_Y"), number("STRIDE_W", "STRIDE_X")};
  const Ints before{number("PADDING_H", "PAD_Y"), number("PADDING_W", "PAD_X")};
  const Ints to{number("OUTPUT_H", "OUT_Y"), number("OUTPUT_W", "OUT_X")};
  const Ints& x = c.any({"input_tensor", "input"});
  const std::size_t samples = x.size() / static_cast<std::size_t>(h * w * ch);
  Bench bench(c.name);
  auto y = bench.input("x", {h, w, ch}, least(wide), most(wide));
  nn::Node node = bench.make(max ? "MaxPool" : "IntegerAveragePool", "pool", {y});
  node.attributes["pool"] = kernel;
  node.attributes["strides"] = strides;
  node.attributes["padding"] = std::string("explicit");
  node.attributes["before"] = before;
  const auto after = [&](std::int64_t from, std::size_t d) {
    return std::max<std::int64_t>((to[d] - 1) * strides[d] + kernel[d] - from - before[d], 0);
  };
  node.attributes["after"] = Ints{after(h, 0), after(w, 1)};
  if (!max) set_clamp(c, node, 0, wide);
  y = bench.place(std::move(node));
  if (max) {
    nn::Node clamp = bench.make("IntegerRescale", "y", {y});
    clamp.attributes["multipliers"] = Ints{1 << 30};
    clamp.attributes["shifts"] = Ints{1};
    set_clamp(c, clamp, 0, wide);
    y = bench.place(std::move(clamp));
  }
  bench.finish(y);
  return matches(bench, {x}, samples, c.any({"output", "output_ref"}), 0);
}

bool softmax(const Case& c) {
  const bool wide = c.name == "softmax_s16";
  const std::int64_t n = c.number("ROW_SIZE");
  Bench bench(c.name);
  const auto x = bench.input("x", {n}, least(wide), most(wide));
  nn::Node node = bench.make("IntegerSoftmax", "y", {x});
  node.attributes["multipliers"] = Ints{c.number("INPUT_MULT")};
  node.attributes["shifts"] = Ints{c.number("INPUT_LEFT_SHIFT")};
  node.attributes["input_bits"] = std::int64_t{wide ? 16 : 8};
  node.attributes["bits"] = std::int64_t{16};
  node.attributes["lo"] = std::int64_t{0};
  node.attributes["hi"] = std::int64_t{wide ? 32767 : 65535};
  bench.finish(bench.place(std::move(node)));
  return matches(bench, {c.at("input")}, static_cast<std::size_t>(c.number("NUM_ROWS")), c.at("output_ref"),
                 wide ? 0 : -32768);
}

bool pad(const Case& c) {
  Bench bench(c.name);
  Ints shape;
  Ints before;
  Ints after;
  for (const auto* axis : {"N", "H", "W", "C"}) {
    shape.push_back(c.number(std::string("INPUT_") + axis));
    before.push_back(c.number(std::string("PRE_PAD_") + axis));
    after.push_back(c.number(std::string("POST_PAD_") + axis));
  }
  nn::Node node = bench.make("Pad", "y", {bench.input("x", shape, -128, 127)});
  node.attributes = {{"before", before}, {"after", after}, {"value", static_cast<double>(c.number("PAD_VALUE"))}};
  bench.finish(bench.place(std::move(node)));
  return matches(bench, {c.at("input_tensor")}, 1, c.at("output"), 0);
}

bool extremum(const Case& c) {
  Bench bench(c.name);
  std::vector<nn::TensorId> inputs;
  for (const auto* i : {"1", "2"}) {
    Ints shape;
    for (const auto* axis : {"BATCH_", "HEIGHT_", "WIDTH_", "CHANNEL_"})
      shape.push_back(c.number(std::string(axis) + i));
    inputs.push_back(bench.input(std::string("x") + i, shape, -128, 127));
  }
  bench.finish(bench.place(bench.make(c.name.starts_with("max") ? "Maximum" : "Minimum", "y", inputs)));
  return matches(bench, {c.at("input_tensor_1"), c.at("input_tensor_2")}, 1, c.at("output"), 0);
}

/// nullopt: there is no runner for this kind of layer.
std::optional<bool> run_case(const Case& c) {
  // Files may hold two generations of weights and results; one of them has to fit as a whole.
  constexpr Generation kGenerations[] = {{"weights", "biases", "output_mult", "output_ref"},
                                         {"input_weights", "input_bias", "output_multiplier", "output"},
                                         {"weights", "bias", "output_multiplier", "output"},
                                         {"weights", "input_bias", "output_multiplier", "output"},
                                         {"weights", "biases", "output_multiplier", "output"},
                                         {"weights", "biases", "output_multiplier", "output_ref"},
                                         {"weights", "none", "output_multiplier", "output"},
                                         {"weights", "biases", "output_mult", "output_ref", true},
                                         {"weights", "biases", "output_mult", "output_ref", true, true}};
  const bool product = c.knows("OUT_CH") && (c.has("weights") || c.has("input_weights"));
  if (product) {
    const bool dense = c.name.starts_with("fully") || c.name.starts_with("fc");
    for (const auto& g : kGenerations) {
      if (!c.has(g.weights) || !c.has(g.output) || (!dense && !c.has(g.multiplier))) continue;
      if (g.free_clamp && (dense || !c.has("output"))) continue;
      if (dense ? fully_connected(c, g) : convolution(c, g)) return true;
    }
    return false;
  }
  if (c.name.starts_with("add") || c.name.starts_with("mul")) return elementwise(c);
  if (c.name.starts_with("avgpool") || c.name.starts_with("maxpool")) return pool(c);
  if (c.name.starts_with("softmax")) return softmax(c);
  if (c.name.starts_with("pad_")) return pad(c);
  if (c.name.starts_with("maximum") || c.name.starts_with("minimum")) return extremum(c);
  return run_network(c);
}

TEST(TfliteGolden, LayersOfCmsisNn) {
  const fs::path folder = test::data_dir() / "golden/cmsis_nn_int";
  if (!fs::exists(folder)) GTEST_SKIP() << "the cases are not here: " << folder;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".npz") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::size_t equal = 0;
  std::vector<std::string> different;
  std::map<std::string, std::string> left_out;
  for (const auto& path : files) {
    const Case c = load_case(path);
    try {
      const auto result = run_case(c);
      if (!result)
        left_out[c.name] = "no runner for this kind of layer";
      else if (*result)
        ++equal;
      else if (kMixed.count(c.name) != 0)
        left_out[c.name] = "it holds arrays of two generations under one name, and none is whole";
      else
        different.push_back(c.name);
    } catch (const std::exception& error) {
      different.push_back(c.name + ": " + error.what());
    }
  }
  RecordProperty("equal", static_cast<int>(equal));
  for (const auto& [name, why] : left_out) std::printf("left out: %s (%s)\n", name.c_str(), why.c_str());
  std::printf("%zu of %zu cases equal, %zu left out\n", equal, files.size(), left_out.size());
  EXPECT_TRUE(different.empty()) << ::testing::PrintToString(different);
  EXPECT_EQ(equal + left_out.size(), files.size());
  EXPECT_EQ(left_out.size(), kMixed.size());
}

}  // namespace
}  // namespace weft::golden
