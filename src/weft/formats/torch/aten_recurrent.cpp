// SPDX-License-Identifier: Apache-2.0
// RNN, LSTM and GRU of one or more layers. PyTorch orders an LSTM's gates i f g o and a GRU's r z n, ONNX i o f c and
// z r h; PyTorch's GRU resets after the product (linear_before_reset).
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

struct Cell {
  const char* op;
  std::vector<std::size_t> order;  ///< PyTorch's gate at each of ONNX's places
  Attributes attributes{};
  bool two_states = false;
};

struct Options {
  bool biases = true;
  std::int64_t layers = 1;
  bool bidirectional = false;
  bool batch_first = false;
};

/// Rows of a [gates x H, ...] parameter in ONNX's order, with a leading axis for the direction.
Result<Constant> gates(const AtenCall& call, const Cell& cell, const Value& given) {
  if (!given.constant || !given.constant->floating())
    return call.fail(Kind::LayerUnsupported, "a weight depends on the network's input");
  const Constant& c = *given.constant;
  const std::size_t count = cell.order.size();
  if (c.shape.empty() || c.size() == 0 || c.size() % count != 0 || static_cast<std::size_t>(c.shape[0]) % count != 0)
    return call.fail(Kind::ShapeMismatch, fmt::format("a weight of shape {} for {} gates", to_string(c.shape), count));
  const std::size_t block = c.size() / count;
  std::vector<std::size_t> indices;
  indices.reserve(c.size());
  for (const std::size_t gate : cell.order) {
    for (std::size_t i = 0; i < block; ++i) indices.push_back(gate * block + i);
  }
  Shape shape = c.shape;
  shape.insert(shape.begin(), 1);
  return onnx::pick(c, shape, indices);
}

bool all_zero(const Value& value) {
  return value.constant && value.constant->floating() &&
         std::all_of(value.constant->floats.begin(), value.constant->floats.end(), [](float v) { return v == 0.0F; });
}

Result<Value> joined(const AtenCall& call, const Values& parts, std::int64_t axis) {
  if (parts.size() == 1) return parts.front();
  return call.one("Concat", parts, {{"axis", axis}}, false);
}

/// States [layers x directions, batch, H] of one layer; absent when they are zero.
Result<Value> initial(const AtenCall& call, const Value& all, std::int64_t layer, std::int64_t directions,
                      std::int64_t layers) {
  if (!all.present() || all_zero(all)) return Value();
  if (layers == 1) return all;
  return call.one("Slice",
                  {all, int_constant({layer * directions}), int_constant({(layer + 1) * directions}), int_constant({0}),
                   int_constant({1})},
                  {}, false);
}

Result<Values> run(AtenCall& call, const Cell& cell, Values states) {
  WEFT_TRY(Value x, call.tensor("input"));
  WEFT_TRY(const Values params, call.tensors("params"));
  Options o;
  WEFT_TRY(o.biases, call.flag("has_biases", true));
  WEFT_TRY(o.layers, call.integer("num_layers", 1));
  WEFT_TRY(o.bidirectional, call.flag("bidirectional", false));
  WEFT_TRY(o.batch_first, call.flag("batch_first", false));
  call.ignore({"dropout", "train"});  // dropout stands between layers, and `train` without it changes nothing
  WEFT_TRY(const bool training, call.flag("train", false));
  WEFT_TRY(const double dropout, call.real("dropout", 0.0));
  if (training && dropout != 0)
    return call.fail(Kind::AttributeUnsupported, "exported in training mode with dropout; call `.eval()` before");
  const std::int64_t directions = o.bidirectional ? 2 : 1;
  const std::size_t per = o.biases ? 4 : 2;
  if (o.layers < 1 || o.layers > 64 ||
      params.size() != per * static_cast<std::size_t>(o.layers) * static_cast<std::size_t>(directions)) {
    return call.fail(
        Kind::LayerUnsupported,
        fmt::format("{} parameters for {} layers; projections (`proj_size`) are not read", params.size(), o.layers));
  }
  if (rank_of(x) != 3 || !x.dynamic) return call.fail(Kind::ShapeMismatch, "the input has not three axes");
  if (o.batch_first) {
    WEFT_TRY(x, call.one("Transpose", {x}, {{"perm", std::vector<std::int64_t>{1, 0, 2}}}, false));
  }
  if (x.dynamic->batch_axis != 1) {
    return call.fail(Kind::LayerUnsupported,
                     "axis 0 of the layer's input is time, but weft takes it for the batch; build the layer with "
                     "`batch_first=True`");
  }
  Values last_h, last_c;
  for (std::int64_t layer = 0; layer < o.layers; ++layer) {
    Values w, r, b;
    std::int64_t hidden = 0;
    for (std::int64_t d = 0; d < directions; ++d) {
      const auto at = per * static_cast<std::size_t>(layer * directions + d);
      WEFT_TRY(Constant wi, gates(call, cell, params[at]));
      WEFT_TRY(Constant wh, gates(call, cell, params[at + 1]));
      hidden = wh.shape.back();
      w.emplace_back(std::move(wi));
      r.emplace_back(std::move(wh));
      if (!o.biases) continue;
      WEFT_TRY(Constant bi, gates(call, cell, params[at + 2]));
      WEFT_TRY(Constant bh, gates(call, cell, params[at + 3]));
      WEFT_TRY(Value both, joined(call, {Value(std::move(bi)), Value(std::move(bh))}, 1));
      b.push_back(std::move(both));
    }
    WEFT_TRY(const Value wx, joined(call, w, 0));
    WEFT_TRY(const Value rx, joined(call, r, 0));
    Value bx;
    if (o.biases) {
      WEFT_TRY(bx, joined(call, b, 0));
    }
    Values inputs{x, wx, rx, bx, Value()};
    for (const auto& state : states) {
      WEFT_TRY(Value s, initial(call, state, layer, directions, o.layers));
      inputs.push_back(std::move(s));
    }
    Attributes attributes = cell.attributes;
    attributes.emplace("hidden_size", hidden);
    attributes.emplace("direction", o.bidirectional ? "bidirectional" : "forward");
    const bool final = layer + 1 == o.layers;
    WEFT_TRY(Values y, call.onnx(cell.op, inputs, attributes, final, cell.two_states ? 3 : 2));
    last_h.push_back(y[1]);
    if (cell.two_states) last_c.push_back(y[2]);
    // [T, D, B, H] to [T, B, D H].
    if (directions == 1) {
      WEFT_TRY(x, call.one("Squeeze", {y[0], int_constant({1})}, {}, false));
    } else {
      const Shape shape = shape_of(y[0]);
      WEFT_TRY(const Value turned,
               call.one("Transpose", {y[0]}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}}, false));
      WEFT_TRY(x, call.one("Reshape", {turned, int_constant({shape[0], shape[2], shape[1] * shape[3]})}, {}, false));
    }
  }
  Values out;
  if (o.batch_first && call.uses_output(0)) {
    WEFT_TRY(x, call.one("Transpose", {x}, {{"perm", std::vector<std::int64_t>{1, 0, 2}}}, false));
  }
  out.push_back(call.uses_output(0) ? std::move(x) : Value());
  for (const Values* list : {&last_h, &last_c}) {
    if (list->empty()) continue;
    if (!call.uses_output(out.size())) {
      out.emplace_back();
      continue;
    }
    WEFT_TRY(Value state, joined(call, *list, 0));
    out.push_back(std::move(state));
  }
  return out;
}

Result<Values> lstm(AtenCall& call) {
  WEFT_TRY(Values states, call.tensors("hx"));
  if (states.size() != 2) return call.fail(Kind::ModelMalformed, "an LSTM without two initial states");
  return run(call, {.op = "LSTM", .order = {0, 3, 1, 2}, .two_states = true}, std::move(states));
}

Result<Values> gru(AtenCall& call) {
  WEFT_TRY(Value state, call.tensor("hx"));
  return run(call, {.op = "GRU", .order = {1, 0, 2}, .attributes = {{"linear_before_reset", 1}}}, {std::move(state)});
}

Result<Values> rnn(AtenCall& call, const char* activation) {
  WEFT_TRY(Value state, call.tensor("hx"));
  WEFT_TRY(const bool both, call.flag("bidirectional", false));
  const std::vector<std::string> names(both ? 2 : 1, activation);
  return run(call, {.op = "RNN", .order = {0}, .attributes = {{"activations", names}}}, {std::move(state)});
}
Result<Values> rnn_tanh(AtenCall& call) { return rnn(call, "Tanh"); }
Result<Values> rnn_relu(AtenCall& call) { return rnn(call, "Relu"); }

}  // namespace

AtenRows recurrent_rows() {
  return {{"aten.gru.input", gru},
          {"aten.lstm.input", lstm, "without projections"},
          {"aten.rnn_relu.input", rnn_relu},
          {"aten.rnn_tanh.input", rnn_tanh}};
}

}  // namespace weft::formats::torch
