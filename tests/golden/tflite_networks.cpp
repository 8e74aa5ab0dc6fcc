// SPDX-License-Identifier: Apache-2.0
// Runners for published cases that are more than one product: LSTM, SVDF over a sequence, products of two tensors,
// transpositions, and the keyword-spotting networks.
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "tflite_bench.h"
#include "weft/tensor/tensor.h"

namespace weft::golden {
namespace {

/// Arrays of one gate's weights [units, n] beside each other as [n, 4 units].
Ints beside(const Case& c, const std::string& tail, std::int64_t n, std::int64_t units) {
  Ints out;
  for (std::int64_t i = 0; i < n; ++i)
    for (const auto* gate : {"input", "forget", "cell", "output"})
      for (std::int64_t u = 0; u < units; ++u)
        out.push_back(c.at(std::string(gate) + "_gate_" + tail).at(static_cast<std::size_t>(u * n + i)));
  return out;
}

bool lstm(const Case& c) {
  const bool wide = c.name.ends_with("s16");
  // All are Micro's results but for one, which the interpreter gave.
  const bool micro = c.name != "lstm_stateful_batch_major_multibatch";
  const std::int64_t steps = c.number("TIME_STEPS");
  const std::int64_t inputs = c.number("INPUT_SIZE");
  const std::int64_t units = c.number("HIDDEN_SIZE");
  const std::int64_t batch = c.number("BATCH_SIZE");
  const std::int64_t zero = c.number("OUTPUT_ZERO_POINT");
  const std::int64_t offset = c.number("INPUT_ZERO_POINT");
  if (batch != 1 && c.numbers.at("TIME_MAJOR") == "true") return false;
  Bench bench(c.name);
  nn::Node node =
      bench.make("IntegerLstm", "y", {bench.input("x", {steps, inputs}, least(wide) + offset, most(wide) + offset)});
  Ints multipliers;
  Ints shifts;
  const auto add = [&](const std::string& name) {
    multipliers.push_back(c.number(name + "_MULTIPLIER"));
    shifts.push_back(c.number(name + "_SHIFT"));
  };
  for (const auto* of : {"_GATE_INPUT", "_GATE_HIDDEN"})
    for (const auto* gate : {"INPUT", "FORGET", "CELL", "OUTPUT"}) add(std::string(gate) + of);
  add("OUTPUT");
  if (micro) {
    add("FORGET_TO_CELL");
    add("INPUT_TO_CELL");
  }
  node.attributes["multipliers"] = multipliers;
  node.attributes["shifts"] = shifts;
  node.attributes["kernel"] = std::string(micro ? "micro" : "interpreter");
  node.attributes["cell_power"] = c.number("CELL_SCALE_POWER");
  node.attributes["clip"] = c.number("CELL_CLIP");
  node.attributes["wide"] = wide;
  node.attributes["lo"] = least(wide) - zero;
  node.attributes["hi"] = most(wide) - zero;
  node.parameters["kernel"] = codes_parameter({inputs, 4 * units}, beside(c, "input_weights", inputs, units));
  node.parameters["recurrent_kernel"] = codes_parameter({units, 4 * units}, beside(c, "hidden_weights", units, units));
  // Files of two generations hold the biases of the older one under the name of the newer, in which they are 0.
  if (!c.has("input_to_cell_eff_bias"))
    node.parameters["bias"] = codes_parameter({4 * units}, beside(c, "bias", 1, units));
  bench.finish(bench.place(std::move(node)));
  return matches(bench, {plus(c.at("input_tensor"), offset)}, static_cast<std::size_t>(batch), c.at("output"), zero);
}

bool batch_matmul(const Case& c) {
  const bool wide = c.name.ends_with("s16");
  Bench bench(c.name);
  std::vector<nn::TensorId> operands;
  std::vector<Ints> codes;
  for (const auto& [side, array] : {std::pair{"LHS_", "lhs_input_tensor"}, {"RHS_", "rhs_input_tensor"}}) {
    Shape shape;
    for (const auto* axis : {"BATCH", "HEIGHT", "ROWS", "COLS"}) shape.push_back(c.number(std::string(side) + axis));
    const std::int64_t offset = c.number(std::string(side) + "OFFSET");
    operands.push_back(bench.input(side, shape, least(wide) + offset, most(wide) + offset));
    codes.push_back(plus(c.at(array), offset));
  }
  nn::Node node = bench.make("IntegerEinsum", "y", operands);
  node.attributes["equation"] =
      std::string(c.number("ADJ_X") != 0 ? "abkr" : "abrk") + (c.number("ADJ_Y") != 0 ? ",abck" : ",abkc") + "->abrc";
  const std::int64_t zero = c.number("OUTPUT_OFFSET");
  node.attributes["multipliers"] = Ints{c.number("OUTPUT_MULTIPLIER")};
  node.attributes["shifts"] = Ints{c.number("OUTPUT_SHIFT")};
  node.attributes["wide"] = wide;
  node.attributes["lo"] = c.number("ACTIVATION_MIN") - zero;
  node.attributes["hi"] = c.number("ACTIVATION_MAX") - zero;
  bench.finish(bench.place(std::move(node)));
  return matches(bench, codes, 1, c.at("output"), zero);
}

/// A sequence from a state of zeros: the file has the result of the last step.
bool svdf(const Case& c) {
  const std::int64_t inputs = c.number("INPUT_SIZE");
  const std::int64_t filters = c.number("FEATURE_BATCHES");
  const std::int64_t memory = c.number("TIME_BATCHES");
  const std::int64_t units = filters / c.number("RANK");
  const std::int64_t batch = c.number("INPUT_BATCHES");
  const std::int64_t offset = -c.number("INPUT_OFFSET");
  const Ints& sequence = c.at("input_sequence");
  const std::int64_t steps = static_cast<std::int64_t>(sequence.size()) / (inputs * batch);
  if (steps > memory) return false;
  // [steps, batch, inputs] in the file.
  Ints x;
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t t = 0; t < steps; ++t)
      for (std::int64_t i = 0; i < inputs; ++i)
        x.push_back(sequence.at(static_cast<std::size_t>((t * batch + b) * inputs + i)) + offset);
  Bench bench(c.name);
  nn::Node features =
      bench.make("IntegerDense", "features", {bench.input("x", {steps, inputs}, offset - 128, offset + 127)});
  const auto w = tensor::permute(IntTensor({filters, inputs}, c.at("weights_feature")), {1, 0});
  features.parameters["kernel"] = codes_parameter(w.shape, w.data);
  features.attributes["multipliers"] = Ints{c.number("MULTIPLIER_IN")};
  features.attributes["shifts"] = Ints{c.number("SHIFT_1")};
  features.attributes["lo"] = c.number("IN_ACTIVATION_MIN");
  features.attributes["hi"] = c.number("IN_ACTIVATION_MAX");
  nn::Node older = bench.make("Pad", "older", {bench.place(std::move(features))});
  older.attributes = {{"before", Ints{memory - steps, 0}}, {"after", Ints{0, 0}}};
  nn::Node by_filter = bench.make("Permute", "by_filter", {bench.place(std::move(older))});
  by_filter.attributes = {{"permutation", Ints{1, 0}}};
  nn::Node flat = bench.make("Reshape", "flat", {bench.place(std::move(by_filter))});
  flat.attributes = {{"shape", Ints{filters * memory}}};
  nn::Node node = bench.make("IntegerDense", "y", {bench.place(std::move(flat))});
  Ints taps(static_cast<std::size_t>(filters * memory * units), 0);
  for (std::int64_t i = 0; i < filters * memory; ++i)
    taps[static_cast<std::size_t>(i * units + i / memory / c.number("RANK"))] =
        c.at("weights_time").at(static_cast<std::size_t>(i));
  node.parameters["kernel"] = codes_parameter({filters * memory, units}, taps);
  node.parameters["bias"] = codes_parameter({units}, c.at("biases"));
  const std::int64_t zero = c.number("OUTPUT_OFFSET");
  node.attributes["multipliers"] = Ints{c.number("MULTIPLIER_OUT")};
  node.attributes["shifts"] = Ints{c.number("SHIFT_2")};
  node.attributes["lo"] = c.number("OUT_ACTIVATION_MIN") - zero;
  node.attributes["hi"] = c.number("OUT_ACTIVATION_MAX") - zero;
  bench.finish(bench.place(std::move(node)));
  return matches(bench, {x}, static_cast<std::size_t>(batch), c.at("output_ref"), zero);
}

/// y[i_perm] = x[i], element by element.
Ints transposed(const Ints& x, const Shape& shape, const Ints& permutation) {
  const std::size_t rank = shape.size();
  Ints strides(rank, 1);
  for (std::size_t d = rank - 1; d-- > 0;) strides[d] = strides[d + 1] * shape[d + 1];
  Ints out;
  Ints index(rank, 0);
  for (std::size_t n = 0; n < x.size(); ++n) {
    std::int64_t at = 0;
    for (std::size_t d = 0; d < rank; ++d) at += index[d] * strides[static_cast<std::size_t>(permutation[d])];
    out.push_back(x[static_cast<std::size_t>(at)]);
    for (std::size_t d = rank; d-- > 0;) {
      if (++index[d] < shape[static_cast<std::size_t>(permutation[d])]) break;
      index[d] = 0;
    }
  }
  return out;
}

/// The file has no shape: the one shape without axes of one, and its permutation, that explain every element.
bool transpose(const Case& c) {
  const Ints& x = c.at("input_tensor");
  const auto rank = static_cast<std::size_t>(c.number("PERM_SIZE"));
  std::vector<std::pair<Shape, Ints>> found;
  Shape shape;
  const std::function<void(std::int64_t)> choose = [&](std::int64_t rest) {
    if (shape.size() + 1 == rank) {
      if (rest < 2) return;
      shape.push_back(rest);
      Ints permutation(rank);
      std::iota(permutation.begin(), permutation.end(), 0);
      // A transposition that moves nothing is none.
      while (std::next_permutation(permutation.begin(), permutation.end()))
        if (transposed(x, shape, permutation) == c.at("output")) found.emplace_back(shape, permutation);
      shape.pop_back();
      return;
    }
    for (std::int64_t d = 2; d <= rest; ++d) {
      if (rest % d != 0) continue;
      shape.push_back(d);
      choose(rest / d);
      shape.pop_back();
    }
  };
  choose(static_cast<std::int64_t>(x.size()));
  if (found.empty()) return false;
  for (const auto& [extents, permutation] : found) {
    Bench bench(c.name);
    nn::Node node = bench.make("Permute", "y", {bench.input("x", extents, -128, 127)});
    node.attributes = {{"permutation", permutation}};
    bench.finish(bench.place(std::move(node)));
    if (!matches(bench, {x}, 1, c.at("output"), 0)) return false;
  }
  return true;
}

/// Layers 1, 2, ... with numbers KIND_i_... and arrays layer_i_kind_...
bool keyword_network(const Case& c) {
  const auto offset = c.number("CONV_2D_1_INPUT_OFFSET");
  Bench bench(c.name);
  auto x =
      bench.input("x", {c.number("CONV_2D_1_INPUT_H"), c.number("CONV_2D_1_INPUT_W"), 1}, offset - 128, offset + 127);
  std::int64_t zero = 0;
  for (int i = 1; i < 20; ++i) {
    const auto number = std::to_string(i);
    const auto is = [&](const std::string& kind) { return c.knows(kind + "_" + number + "_DST_SIZE"); };
    const bool depthwise = is("DEPTHWISE_CONV_2D");
    if (depthwise || is("CONV_2D")) {
      const std::string kind = std::string(depthwise ? "DEPTHWISE_CONV_2D_" : "CONV_2D_") + number + "_";
      const std::string array = "layer_" + number + (depthwise ? "_depthwise_conv_2d_" : "_conv_2d_");
      nn::Node node = bench.make(depthwise ? "IntegerDepthwiseConv" : "IntegerConv", "conv" + number, {x});
      const std::int64_t in = c.number(kind + "IN_CH");
      const std::int64_t out = c.number(kind + "OUT_CH");
      const Ints kernel{c.number(kind + "FILTER_Y"), c.number(kind + "FILTER_X")};
      const Ints strides{c.number(kind + "STRIDE_Y"), c.number(kind + "STRIDE_X")};
      const Ints before{c.number(kind + "PAD_Y"), c.number(kind + "PAD_X")};
      const Ints from{c.number(kind + "INPUT_H"), c.number(kind + "INPUT_W")};
      const Ints to{c.number(kind + "OUTPUT_H"), c.number(kind + "OUTPUT_W")};
      const IntTensor w =
          depthwise
              ? IntTensor({kernel[0], kernel[1], in, out / in}, c.at(array + "weights"))
              : tensor::permute(IntTensor({out, kernel[0], kernel[1], in}, c.at(array + "weights")), {1, 2, 3, 0});
      node.parameters["kernel"] = codes_parameter(w.shape, w.data);
      node.parameters["bias"] = codes_parameter({out}, c.at(array + "bias"));
      node.attributes["multipliers"] = c.at(array + "output_mult");
      node.attributes["shifts"] = c.at(array + "output_shift");
      Ints after;
      for (std::size_t d = 0; d < 2; ++d)
        after.push_back(std::max<std::int64_t>((to[d] - 1) * strides[d] + kernel[d] - from[d] - before[d], 0));
      zero = c.number(kind + "OUTPUT_OFFSET");
      node.attributes.merge(AttributeMap{{"padding", std::string("explicit")},
                                         {"strides", strides},
                                         {"before", before},
                                         {"after", after},
                                         {"lo", c.number(kind + "OUT_ACTIVATION_MIN") - zero},
                                         {"hi", c.number(kind + "OUT_ACTIVATION_MAX") - zero}});
      x = bench.place(std::move(node));
    } else if (is("AVERAGE_POOL_2D")) {
      const std::string kind = "AVERAGE_POOL_2D_" + number + "_";
      nn::Node node = bench.make("IntegerAveragePool", "pool", {x});
      node.attributes.merge(AttributeMap{{"pool", Ints{c.number(kind + "FILTER_Y"), c.number(kind + "FILTER_X")}},
                                         {"strides", Ints{1, 1}},
                                         {"padding", std::string("valid")},
                                         {"zero_point", zero},
                                         {"lo", -128 - zero},
                                         {"hi", 127 - zero}});
      nn::Node flat = bench.make("Reshape", "flat", {bench.place(std::move(node))});
      flat.attributes = {{"shape", Ints{c.number(kind + "IN_CH")}}};
      x = bench.place(std::move(flat));
    } else if (is("FULLY_CONNECTED")) {
      const std::string kind = "FULLY_CONNECTED_" + number + "_";
      nn::Node node = bench.make("IntegerDense", "dense", {x});
      const std::int64_t out = c.number(kind + "IN_CH");
      const std::int64_t in = c.number(kind + "OUT_CH");
      const auto w =
          tensor::permute(IntTensor({out, in}, c.at("layer_" + number + "_fully_connected_weights")), {1, 0});
      node.parameters["kernel"] = codes_parameter(w.shape, w.data);
      node.parameters["bias"] = codes_parameter({out}, c.at("layer_" + number + "_fully_connected_bias"));
      zero = c.number(kind + "OUTPUT_OFFSET");
      node.attributes.merge(AttributeMap{{"multipliers", Ints{c.number(kind + "OUTPUT_MULTIPLIER")}},
                                         {"shifts", Ints{c.number(kind + "OUTPUT_SHIFT")}},
                                         {"lo", -128 - zero},
                                         {"hi", 127 - zero}});
      x = bench.place(std::move(node));
    } else if (is("SOFTMAX")) {
      nn::Node node = bench.make("IntegerSoftmax", "softmax", {x});
      node.attributes.merge(AttributeMap{{"multipliers", Ints{c.number("SOFTMAX_" + number + "_MULT")}},
                                         {"shifts", Ints{c.number("SOFTMAX_" + number + "_SHIFT")}},
                                         {"lo", std::int64_t{0}},
                                         {"hi", std::int64_t{255}}});
      x = bench.place(std::move(node));
    }
  }
  bench.finish(x);
  return matches(bench, {plus(c.at("input"), offset)}, 1, c.at("output_ref"), -128);
}

}  // namespace

std::optional<bool> run_network(const Case& c) {
  if (c.name.starts_with("lstm")) return lstm(c);
  if (c.name.starts_with("batch_matmul")) return batch_matmul(c);
  if (c.name.starts_with("svdf")) return svdf(c);
  if (c.name.starts_with("transpose_")) return transpose(c);
  if (c.name.starts_with("ds_cnn")) return keyword_network(c);
  return std::nullopt;
}

}  // namespace weft::golden
