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
  const auto cells = o.layers < 1 || o.layers > 64 ? 0 : static_cast<std::size_t>(o.layers * directions);
  // A projection (`proj_size`) stands behind each cell's other parameters.
  const std::size_t without = o.biases ? 4 : 2;
  const bool projected = cell.two_states && params.size() == (without + 1) * cells;
  const std::size_t per = without + (projected ? 1 : 0);
  if (cells == 0 || params.size() != per * cells)
    return call.fail(Kind::ModelMalformed, fmt::format("{} parameters for {} layers", params.size(), o.layers));
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
    Values w, r, b, p;
    std::int64_t hidden = 0;
    for (std::int64_t d = 0; d < directions; ++d) {
      const auto at = per * static_cast<std::size_t>(layer * directions + d);
      WEFT_TRY(Constant wi, gates(call, cell, params[at]));
      WEFT_TRY(Constant wh, gates(call, cell, params[at + 1]));
      hidden = wh.shape.back();
      w.emplace_back(std::move(wi));
      r.emplace_back(std::move(wh));
      if (projected) {
        const Value& wp = params[at + without];
        if (!wp.constant || !wp.constant->floating() || wp.constant->shape.size() != 2)
          return call.fail(Kind::LayerUnsupported, "the projection depends on the network's input");
        Shape shape = wp.constant->shape;
        shape.insert(shape.begin(), 1);
        p.emplace_back(onnx::with_shape(*wp.constant, shape));
      }
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
    if (projected) {
      WEFT_TRY(const Value px, joined(call, p, 0));
      inputs.insert(inputs.end(), {Value(), px});
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

/// A cell by itself, as LSTMCell, GRUCell and RNNCell are exported: one step of a sequence.
Result<Values> one_step(AtenCall& call, const Cell& cell, const Values& states) {
  WEFT_TRY(const Value x, call.tensor("input"));
  if (rank_of(x) != 2 || !x.dynamic || x.dynamic->batch_axis != 0)
    return call.fail(Kind::LayerUnsupported, "the input of a cell is not [batch, features]");
  const Value first = int_constant({0});
  WEFT_TRY(const Value step, call.one("Unsqueeze", {x, first}, {}, false));
  Values inputs{step};
  std::int64_t hidden = 0;
  for (const char* role : {"w_ih", "w_hh"}) {
    WEFT_TRY(const Value w, call.tensor(role));
    WEFT_TRY(Constant rows, gates(call, cell, w));
    hidden = rows.shape.back();
    inputs.emplace_back(std::move(rows));
  }
  Values biases;
  for (const char* role : {"b_ih", "b_hh"}) {
    WEFT_TRY(const Value b, call.optional_tensor(role));
    if (!b.present()) continue;
    WEFT_TRY(Constant rows, gates(call, cell, b));
    biases.emplace_back(std::move(rows));
  }
  if (biases.size() == 1) return call.fail(Kind::ModelMalformed, "a cell with one of two biases");
  inputs.emplace_back();
  if (!biases.empty()) {
    WEFT_TRY(inputs.back(), joined(call, biases, 1));
  }
  inputs.emplace_back();
  for (const auto& state : states) {
    if (all_zero(state)) {
      inputs.emplace_back();
      continue;
    }
    WEFT_TRY(Value given, call.one("Unsqueeze", {state, first}, {}, false));
    inputs.push_back(std::move(given));
  }
  Attributes attributes = cell.attributes;
  attributes.emplace("hidden_size", hidden);
  WEFT_TRY(Values y, call.onnx(cell.op, inputs, attributes, true, cell.two_states ? 3 : 2));
  Values out;
  for (std::size_t i = 1; i < y.size(); ++i) {
    WEFT_TRY(Value state, call.one("Squeeze", {y[i], first}, {}, false));
    out.push_back(std::move(state));
  }
  return out;
}

Result<Values> lstm_cell(AtenCall& call) {
  WEFT_TRY(const Values states, call.tensors("hx"));
  if (states.size() != 2) return call.fail(Kind::ModelMalformed, "an LSTM without two initial states");
  return one_step(call, {.op = "LSTM", .order = {0, 3, 1, 2}, .two_states = true}, states);
}
Result<Values> gru_cell(AtenCall& call) {
  WEFT_TRY(const Value state, call.tensor("hx"));
  return one_step(call, {.op = "GRU", .order = {1, 0, 2}, .attributes = {{"linear_before_reset", 1}}}, {state});
}
Result<Values> rnn_cell(AtenCall& call, const char* activation) {
  WEFT_TRY(const Value state, call.tensor("hx"));
  const std::vector<std::string> names{activation};
  return one_step(call, {.op = "RNN", .order = {0}, .attributes = {{"activations", names}}}, {state});
}
Result<Values> rnn_tanh_cell(AtenCall& call) { return rnn_cell(call, "Tanh"); }
Result<Values> rnn_relu_cell(AtenCall& call) { return rnn_cell(call, "Relu"); }

}  // namespace

AtenRows recurrent_rows() {
  return {{"aten.gru.input", gru},
          {"aten.gru_cell", gru_cell},
          {"aten.lstm.input", lstm},
          {"aten.lstm_cell", lstm_cell},
          {"aten.rnn_relu.input", rnn_relu},
          {"aten.rnn_relu_cell", rnn_relu_cell},
          {"aten.rnn_tanh_cell", rnn_tanh_cell},
          {"aten.rnn_tanh.input", rnn_tanh}};
}

}  // namespace weft::formats::torch
