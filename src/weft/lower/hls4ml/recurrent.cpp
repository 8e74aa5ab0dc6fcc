// SPDX-License-Identifier: Apache-2.0
// LSTM and GRU as hls4ml computes them: sums, gates and candidates in the accumulator's type, states in the result's
// type, sigmoid and tanh by table. Keras' order of gates. hls4ml's GRU multiplies the reset gate behind the product.
#include <fmt/format.h>

#include <algorithm>

#include "weft/fixed/quantize.h"
#include "weft/lower/hls4ml/lowering.h"

namespace weft::lower::hls4ml {
namespace {

using fixed::FixedType;

struct Cell {
  std::int64_t inputs = 0;
  std::int64_t units = 0;
  Weights kernel;
  Weights recurrent;
  std::vector<Int> bias;
  int bias_frac = 0;
  std::vector<Int> recurrent_bias;
  int recurrent_bias_frac = 0;
  FixedType accum;
  FixedType result;
  std::string activation;
  std::string gate;
};

/// Columns [first, first + count) of a row.
Result<exact::ValueId> part(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId x,
                            std::int64_t first, std::int64_t count) {
  exact::Gather gather{x, {}, 0};
  for (std::int64_t i = 0; i < count; ++i) gather.indices.push_back(first + i);
  return l.add(node, suffix, std::move(gather), l.frac_bits(x), Shape{count});
}

/// x W + b as codes of the accumulator's type.
Result<exact::ValueId> dense(Lowering& l, const nn::Node& node, exact::ValueId x, std::int64_t n_in,
                             const Weights& kernel, const std::vector<Int>& bias, int bias_frac, const Cell& cell) {
  const auto n_out = static_cast<std::int64_t>(kernel.codes.size()) / n_in;
  const ProductSum s{x, n_in, n_out, kernel.codes, kernel.frac_bits, bias, bias_frac, cell.accum, {}};
  WEFT_TRY(const auto sum, accumulate(l, node, s));
  return l.fit(node, "_dense", sum, cell.accum);
}

Result<exact::ValueId> gated(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId a,
                             exact::ValueId b, const std::string& function, const Cell& cell) {
  WEFT_TRY(auto sum, l.sum(node, suffix + "_sum", a, b));
  WEFT_TRY(sum, l.cast(node, suffix + "_input", sum, cell.accum));
  return function_of(l, node, suffix, Variable{sum, cell.accum}, function, cell.accum);
}

struct State {
  exact::ValueId h;
  exact::ValueId c;
};

Result<State> lstm_step(Lowering& l, const nn::Node& node, exact::ValueId x, const State& old, const Cell& cell) {
  WEFT_TRY(const auto from_x, dense(l, node, x, cell.inputs, cell.kernel, cell.bias, cell.bias_frac, cell));
  WEFT_TRY(const auto from_h,
           dense(l, node, old.h, cell.units, cell.recurrent, cell.recurrent_bias, cell.recurrent_bias_frac, cell));
  std::vector<exact::ValueId> gates;
  const std::int64_t n = cell.units;
  for (std::int64_t g = 0; g < 4; ++g) {  // input, forget, candidate, output
    WEFT_TRY(const auto a, part(l, node, "_x", from_x, g * n, n));
    WEFT_TRY(const auto b, part(l, node, "_h", from_h, g * n, n));
    WEFT_TRY(const auto gate, gated(l, node, "_gate", a, b, g == 2 ? cell.activation : cell.gate, cell));
    gates.push_back(gate);
  }
  State out;
  WEFT_TRY(const auto added, l.product(node, "_added", gates[2], gates[0]));
  WEFT_TRY(const auto kept, l.product(node, "_kept", old.c, gates[1]));
  WEFT_TRY(out.c, l.sum(node, "_cell_sum", added, kept));
  WEFT_TRY(out.c, l.cast(node, "_cell", out.c, cell.result));
  WEFT_TRY(const auto seen, function_of(l, node, "_seen", Variable{out.c, cell.result}, cell.activation, cell.accum));
  WEFT_TRY(out.h, l.product(node, "_shown", gates[3], seen));
  WEFT_TRY(out.h, l.cast(node, "_state", out.h, cell.result));
  return out;
}

Result<State> gru_step(Lowering& l, const nn::Node& node, exact::ValueId x, const State& old, const Cell& cell) {
  WEFT_TRY(const auto from_x, dense(l, node, x, cell.inputs, cell.kernel, cell.bias, cell.bias_frac, cell));
  WEFT_TRY(const auto from_h,
           dense(l, node, old.h, cell.units, cell.recurrent, cell.recurrent_bias, cell.recurrent_bias_frac, cell));
  const std::int64_t n = cell.units;
  std::vector<exact::ValueId> gates;
  for (std::int64_t g = 0; g < 2; ++g) {  // update, reset
    WEFT_TRY(const auto a, part(l, node, "_x", from_x, g * n, n));
    WEFT_TRY(const auto b, part(l, node, "_h", from_h, g * n, n));
    WEFT_TRY(const auto gate, gated(l, node, "_gate", a, b, cell.gate, cell));
    gates.push_back(gate);
  }
  WEFT_TRY(const auto x_part, part(l, node, "_x", from_x, 2 * n, n));
  WEFT_TRY(const auto h_part, part(l, node, "_h", from_h, 2 * n, n));
  WEFT_TRY(auto reset, l.product(node, "_reset", gates[1], h_part));
  WEFT_TRY(reset, l.cast(node, "_reset_cast", reset, cell.accum));
  WEFT_TRY(const auto candidate, gated(l, node, "_candidate", x_part, reset, cell.activation, cell));
  WEFT_TRY(const auto one, l.constant(node, "_one", {1}, 0, Shape{1}));
  WEFT_TRY(const auto rest, l.sum(node, "_rest", one, gates[0], true));
  WEFT_TRY(const auto fresh, l.product(node, "_fresh", candidate, rest));
  WEFT_TRY(const auto kept, l.product(node, "_kept", old.h, gates[0]));
  State out;
  WEFT_TRY(out.h, l.sum(node, "_mixed", fresh, kept));
  WEFT_TRY(out.h, l.cast(node, "_state", out.h, cell.result));
  return out;
}

std::string function_name(const nn::Node& node, const std::string& role, const std::string& fallback) {
  const auto it = node.functions.find(role);
  return it == node.functions.end() ? fallback : it->second.family;
}

Result<Cell> cell_of(Lowering& l, const nn::Node& node) {
  Cell cell;
  const Shape& kernel = node.parameters.at("kernel").values.shape;
  cell.inputs = kernel.at(0);
  cell.units = node.parameters.at("recurrent_kernel").values.shape.at(0);
  WEFT_TRY(cell.kernel, l.weights(node, "kernel", "weight"));
  WEFT_TRY(cell.recurrent, l.weights(node, "recurrent_kernel", "recurrent_weight"));
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(const Weights bias, l.weights(node, "bias", "bias"));
    cell.bias = bias.codes;
    cell.bias_frac = bias.frac_bits;
  }
  if (node.parameters.count("recurrent_bias") != 0) {
    WEFT_TRY(const Weights bias, l.weights(node, "recurrent_bias", "recurrent_bias"));
    cell.recurrent_bias = bias.codes;
    cell.recurrent_bias_frac = bias.frac_bits;
  }
  cell.accum = l.type(node, "accum", l.types.model_default());
  cell.result = l.type(node, "result", l.types.model_default());
  cell.activation = function_name(node, "activation", "linear");
  cell.gate = function_name(node, "recurrent_activation", "linear");
  for (const auto& f : {cell.activation, cell.gate})
    if (f != "relu" && f != "sigmoid" && f != "tanh")
      return l.unlike(node, fmt::format("hls4ml's recurrent cells take relu, sigmoid and tanh, not `{}`", f));
  return cell;
}

}  // namespace

Result<void> lower_recurrent(Lowering& l, const nn::Node& node) {
  const bool lstm = node.op == "LSTM";
  if (node.inputs.size() > 1 || node.parameters.count("initial_h") != 0 || node.outputs.size() > 1)
    return l.unlike(node, "hls4ml's recurrent layers begin at 0 and give h alone here");
  if (!lstm && !get_bool(node.attributes, "reset_after", true))
    return l.unlike(node, "hls4ml 1.3 ignores reset_after = False");
  if (node.functions.count("state") != 0 || node.parameters.count("peephole") != 0 ||
      node.parameters.count("projection") != 0 || get_double(node.attributes, "clip", 0.0) != 0.0)
    return l.unlike(node, "hls4ml's recurrent cells have no state quantizer, peepholes, projection or clipping");
  const bool backwards = get_bool(node.attributes, "go_backwards", false);
  // The second half of a Bidirectional is the one layer that hls4ml runs backwards.
  if (backwards && !node.name.ends_with("_backward")) return l.unlike(node, "hls4ml 1.3 ignores go_backwards");
  WEFT_TRY(const Cell cell, cell_of(l, node));
  const Variable x = l.in(node);
  const std::int64_t steps = l.shape(node.inputs[0]).at(0);
  State state;
  WEFT_TRY(state.h, l.constant(node, "_zero", std::vector<Int>(static_cast<std::size_t>(cell.units), 0),
                               cell.result.frac_bits(), Shape{cell.units}));
  state.c = state.h;
  std::vector<exact::ValueId> rows(static_cast<std::size_t>(steps));
  for (std::int64_t t = 0; t < steps; ++t) {
    const std::int64_t at = backwards ? steps - 1 - t : t;
    WEFT_TRY(const auto row, part(l, node, "_step", x.value, at * cell.inputs, cell.inputs));
    if (lstm) {
      WEFT_TRY(state, lstm_step(l, node, row, state, cell));
    } else {
      WEFT_TRY(state, gru_step(l, node, row, state, cell));
    }
    // Sequences of the backward half of a Bidirectional lie where their input lies.
    const bool realign = get_bool(node.attributes, "realign", false);
    rows[static_cast<std::size_t>(backwards && realign ? at : t)] = state.h;
  }
  exact::ValueId y = state.h;
  const int frac = cell.result.frac_bits();
  if (get_bool(node.attributes, "return_sequences", false)) {
    for (auto& row : rows) {
      WEFT_TRY(row, l.add(node, "_row", exact::Reshape{row}, frac, Shape{1, cell.units}));
    }
    WEFT_TRY(y, l.add(node, "_rows", exact::Concat{rows, 0}, frac));
  }
  return l.finish(node, Variable{y, cell.result}, "accumulator " + fixed::to_string(cell.accum));
}

}  // namespace weft::lower::hls4ml
