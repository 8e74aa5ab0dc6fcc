// SPDX-License-Identifier: Apache-2.0
// Recurrent and spiking layers: every cell with the model's own quantizers (exact) and as float layers with types by
// default, in both directions, with states in and out.
#include "builder.h"

namespace weft::conformance {
namespace {

using I = std::int64_t;

Spec tanh_bits(I n) { return Builder::spec("quantized_tanh", {{"bits", n}}); }
Spec sigmoid_bits(I n) { return Builder::spec("quantized_sigmoid", {{"bits", n}}); }
Spec plain(const std::string& family) { return Builder::spec(family, {}); }

struct Cell {
  std::string op;
  I inputs = 3;
  I units = 3;
  bool bias = true;
  bool quantized = false;
  bool state_quantizer = true;
};

I blocks(const std::string& op) { return op == "LSTM" ? 4 : op == "GRU" ? 3 : 1; }

nn::Node& cell(Builder& b, const std::string& name, const Cell& c, AttributeMap attributes) {
  auto& n = b.node(c.op, name);
  n.attributes = std::move(attributes);
  const I width = blocks(c.op) * c.units;
  n.parameters["kernel"].values = b.tensor({c.inputs, width}, -1.0, 1.0);
  n.parameters["recurrent_kernel"].values = b.tensor({c.units, width}, -0.75, 0.75);
  if (c.bias) n.parameters["bias"].values = b.tensor({width}, -0.5, 0.5);
  if (c.bias && c.op == "GRU" && get_bool(n.attributes, "reset_after", false))
    n.parameters["recurrent_bias"].values = b.tensor({width}, -0.5, 0.5);
  if (c.quantized) {
    n.parameters["kernel"].quantizer = Builder::bits(4, 0);
    n.parameters["recurrent_kernel"].quantizer = Builder::bits(5, 0);
    for (const auto* role : {"bias", "recurrent_bias"})
      if (n.parameters.count(role) != 0) n.parameters[role].quantizer = Builder::bits(6, 1);
    if (c.state_quantizer) n.functions["state"] = Builder::bits(6, 1);
    n.functions["activation"] = tanh_bits(5);
    if (c.op != "SimpleRNN") n.functions["recurrent_activation"] = sigmoid_bits(5);
  } else {
    // Tables of 11 bits keep the emitted designs of this test small.
    b.options().default_type = {11, 4, true};
    n.functions["activation"] = plain("tanh");
    if (c.op != "SimpleRNN") n.functions["recurrent_activation"] = plain("sigmoid");
  }
  return n;
}

/// Adds outputs for the states of the last node and their sum with what follows, so that all of them are compared.
void join_states(Builder& b, nn::Node& n) {
  auto& graph = b.graph();
  const auto h = graph.add_tensor(n.name + "_h", {});
  const auto c = graph.add_tensor(n.name + "_c", {});
  n.outputs.push_back(h);
  if (n.op == "LSTM") n.outputs.push_back(c);
  const bool lstm = n.op == "LSTM";
  auto& joined = b.node("Concat", "states");
  joined.attributes["axis"] = I{0};
  joined.inputs = {joined.inputs[0], h};
  if (lstm) joined.inputs.push_back(c);
}

}  // namespace

void add_recurrent_cases(std::vector<Case>& out) {
  const AttributeMap sequences = {{"return_sequences", true}};
  for (const std::string op : {"SimpleRNN", "LSTM", "GRU"}) {
    {
      Builder b("q" + op, {4, 3}, "fixed<6,2>");
      cell(b, "rnn", {.op = op, .quantized = true}, sequences);
      out.push_back(b.done(layers::Word::Exact));
    }
    {
      Builder b("q" + op + "_backwards_no_bias", {3, 2}, "fixed<5,1>");
      auto& n = cell(b, "rnn", {.op = op, .inputs = 2, .units = 2, .bias = false, .quantized = true},
                     {{"go_backwards", true}});
      join_states(b, n);
      out.push_back(b.done(layers::Word::Exact));
    }
    {
      Builder b("float_" + op, {3, 2}, "fixed<8,2>");
      cell(b, "rnn", {.op = op, .inputs = 2, .units = 2},
           {{"return_sequences", true}, {"go_backwards", true}, {"realign", true}});
      out.push_back(b.done(layers::Word::Quantized));
    }
  }
  for (const std::string op : {"SimpleRNN", "LSTM", "GRU"}) {
    // The functions of the gates as straight lines, shared by the time steps.
    Builder b("float_" + op + "_straight_lines", {3, 2}, "fixed<10,3>");
    cell(b, "rnn", {.op = op, .inputs = 2, .units = 1}, sequences);
    b.options().default_type = {16, 5, true};
    b.options().config.layer_name["rnn"].steps = 16;
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    Builder b("qGRU_reset_after", {3, 3}, "fixed<6,2>");
    cell(b, "rnn", {.op = "GRU", .quantized = true}, {{"reset_after", true}, {"return_sequences", true}});
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    // One unit: a block of gates has one column, with a scale of its own.
    Builder b("qGRU_one_unit_scale_per_column", {3, 3}, "fixed<6,2>");
    auto& n = cell(b, "rnn", {.op = "GRU", .units = 1, .quantized = true}, sequences);
    n.parameters["kernel"].quantizer =
        Builder::spec("quantized_bits", {{"bits", I{2}}, {"integer", I{0}}, {"alpha", std::string("auto")}});
    out.push_back(b.done(layers::Word::FloatOrder));
  }
  {
    Builder b("float_GRU_reset_after", {3, 2}, "fixed<8,2>");
    cell(b, "rnn", {.op = "GRU", .inputs = 2, .units = 2}, {{"reset_after", true}});
    out.push_back(b.done(layers::Word::Quantized));
  }
  for (const bool quantized : {true, false}) {
    // h is two numbers of three units.
    Builder b(quantized ? "qLSTM_projection" : "float_LSTM_projection", {3, 2}, "fixed<6,2>");
    auto& n = cell(b, "rnn", {.op = "LSTM", .inputs = 2, .quantized = quantized}, {});
    n.parameters["recurrent_kernel"].values = b.tensor({2, 12}, -0.75, 0.75);
    n.parameters["projection"].values = b.tensor({3, 2}, -1.0, 1.0);
    if (quantized) n.parameters["projection"].quantizer = Builder::bits(4, 0);
    join_states(b, n);
    out.push_back(b.done(quantized ? layers::Word::Exact : layers::Word::Quantized));
  }
  for (const std::string op : {"SimpleRNN", "LSTM", "GRU"}) {
    // Steps whose first feature rounds to 0 are skipped.
    Builder b("q" + op + "_masked", {4, 2}, "fixed<6,2>");
    const auto x = b.last();
    b.node("Slice", "first").attributes = {
        {"begin", std::vector<I>{0, 0}}, {"end", std::vector<I>{4, 1}}, {"step", std::vector<I>{1, 1}}};
    b.node("Reshape", "column").attributes = {{"shape", std::vector<I>{4}}};
    b.activation("mask", Builder::spec("qonnx_quant", {{"bits", 1.0}, {"signed", false}}));
    const auto mask = b.last();
    b.set_last(x);
    auto& n = cell(b, "rnn", {.op = op, .inputs = 2, .units = 2, .quantized = true},
                   {{"return_sequences", true}, {"masked", true}, {"zero_output", op == "GRU"}});
    n.inputs.push_back(mask);
    out.push_back(b.done(layers::Word::Exact));
  }
  {
    // No quantizer bounds the cell's state: it gets a type.
    Builder b("qLSTM_without_state_quantizer", {3, 2}, "fixed<6,2>");
    cell(b, "rnn", {.op = "LSTM", .inputs = 2, .units = 2, .quantized = true, .state_quantizer = false}, sequences);
    // Fine enough that no quantizer behind the cell turns a code.
    for (const auto* role : {"cell", "state"}) {
      std::string error;
      b.options().config.layer_name["rnn"].precision[role] = fixed::parse_type("fixed<20,4>", true, error).value();
    }
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    Builder b("float_LSTM_peephole_clip", {3, 2}, "fixed<8,2>");
    auto& n = cell(b, "rnn", {.op = "LSTM", .inputs = 2, .units = 2}, {{"clip", 1.5}, {"return_sequences", true}});
    n.parameters["peephole"].values = b.tensor({6}, -0.5, 0.5);
    n.functions["output_activation"] = plain("sigmoid");
    n.parameters["initial_h"].values = b.tensor({2}, -0.5, 0.5);
    n.parameters["initial_c"].values = b.tensor({2}, -0.5, 0.5);
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    // Relu needs no table; declared types of the intermediates.
    Builder b("float_SimpleRNN_relu_types", {3, 2}, "fixed<8,2>");
    auto& n = cell(b, "rnn", {.op = "SimpleRNN", .inputs = 2, .units = 2}, sequences);
    n.functions["activation"] = plain("relu");
    for (const auto& [role, text] : {std::pair{"state", "ufixed<18,8>"}, std::pair{"gate", "ufixed<20,8>"}}) {
      std::string error;
      b.options().config.layer_name["rnn"].precision[role] = fixed::parse_type(text, true, error).value();
    }
    out.push_back(b.done(layers::Word::Quantized));
  }
  {
    // A state from another layer.
    Builder b("qLSTM_initial_state", {3, 3}, "fixed<6,2>");
    const auto x = b.last();
    b.node("Slice", "first").attributes = {
        {"begin", std::vector<I>{0, 0}}, {"end", std::vector<I>{1, 3}}, {"step", std::vector<I>{1, 1}}};
    b.node("Reshape", "start").attributes = {{"shape", std::vector<I>{3}}};
    const auto start = b.last();
    b.set_last(x);
    auto& n = cell(b, "rnn", {.op = "LSTM", .quantized = true}, sequences);
    n.inputs = {x, start, start};
    out.push_back(b.done(layers::Word::Exact));
  }
  for (const std::string reset : {"subtract", "zero", "none"}) {
    Builder b("if_" + reset, {5, 3}, "fixed<6,2>");
    b.node("IF", "neuron").attributes = {{"threshold", 1.25}, {"reset", reset}};
    out.push_back(b.done(layers::Word::Exact));
    Builder c("lif_" + reset, {4, 3}, "fixed<6,2>");
    auto& n = c.node("LIF", "neuron");
    n.attributes = {{"beta", 0.5}, {"reset", reset}};
    n.parameters["threshold"].values = FloatTensor({3}, {1.0F, 0.5F, -0.25F});
    const auto membrane = c.graph().add_tensor("membrane", {});
    n.outputs.push_back(membrane);
    auto& joined = c.node("Concat", "both");
    joined.attributes["axis"] = I{0};
    joined.inputs.push_back(membrane);
    out.push_back(c.done(layers::Word::Exact));
  }
}

}  // namespace weft::conformance
