// SPDX-License-Identifier: Apache-2.0
// RNN, LSTM and GRU: one recurrent layer per direction. ONNX stores gates as rows, in the orders i o f c and z r h;
// the layers want them as columns, in the orders i f c o and z r h. Constants may carry codes of a quantizer, which
// follow.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

/// Input of an LSTM's projection [directions, hidden, units], which ONNX's operator does not have: from PyTorch.
constexpr std::size_t kProjection = 8;

/// Extents and attributes of a call that were checked.
struct Recurrent {
  std::string op;                   ///< of the layer
  std::vector<std::int64_t> gates;  ///< for every block of the layer, the block of the file
  std::int64_t directions = 1;
  bool reverse_only = false;
  bool batch_first = false;
  std::int64_t steps = 0;
  std::int64_t batch = 0;
  std::int64_t inputs = 0;
  std::int64_t units = 0;
  std::int64_t hidden = 0;  ///< numbers of h: the units, or what the projection makes of them
};

/// A named function with its own defaults; nullopt for names that have no family.
std::optional<quantizers::Spec> function_named(const std::string& name, std::optional<float> alpha,
                                               std::optional<float> beta) {
  const auto number = [](std::optional<float> given, float fallback) {
    return Attribute(static_cast<double>(given.value_or(fallback)));
  };
  const AttributeMap relu = {{"max_value", std::string("none")}, {"negative_slope", 0.0}, {"threshold", 0.0}};
  if (name == "relu") return quantizers::Spec{"relu", relu};
  if (name == "tanh" || name == "sigmoid" || name == "softsign" || name == "softplus")
    return quantizers::Spec{name, {}};
  if (name == "leakyrelu") return quantizers::Spec{"leaky_relu", {{"alpha", number(alpha, 0.01F)}}};
  if (name == "elu") return quantizers::Spec{"elu", {{"alpha", number(alpha, 1.0F)}}};
  if (name == "hardsigmoid")
    return quantizers::Spec{"keras_hard_sigmoid", {{"slope", number(alpha, 0.2F)}, {"offset", number(beta, 0.5F)}}};
  if (name == "thresholdedrelu") {
    AttributeMap parameters = relu;
    parameters["threshold"] = number(alpha, 1.0F);
    return quantizers::Spec{"relu", parameters};
  }
  if (name == "affine" && alpha.value_or(1.0F) == 1.0F && beta.value_or(0.0F) == 0.0F)
    return quantizers::Spec{"linear", {}};
  return std::nullopt;
}

/// Functions of one direction by the roles of the layer.
Result<std::map<std::string, quantizers::Spec>> functions(const Call& call, const Recurrent& r,
                                                          std::int64_t direction) {
  std::vector<std::string> roles = {"activation"};
  std::vector<std::string> names = {"Tanh"};
  if (r.op == "GRU") {
    roles = {"recurrent_activation", "activation"};
    names = {"Sigmoid", "Tanh"};
  } else if (r.op == "LSTM") {
    roles = {"recurrent_activation", "activation", "output_activation"};
    names = {"Sigmoid", "Tanh", "Tanh"};
  }
  const std::size_t per_direction = roles.size();
  std::vector<std::string> all;
  for (std::int64_t d = 0; d < r.directions; ++d) all.insert(all.end(), names.begin(), names.end());
  if (call.has_attribute("activations")) {
    const auto& given = call.attributes.at("activations");
    if (given.type != AttributeType::Strings || given.strings.size() != all.size())
      return call.fail(Kind::ModelMalformed,
                       fmt::format("`activations` needs {} names for {} directions", all.size(), r.directions));
    all = given.strings;
  }
  const auto numbers = [&](const char* key) -> std::vector<float> {
    const auto it = call.attributes.find(key);
    return it == call.attributes.end() ? std::vector<float>{} : it->second.floats;
  };
  const auto alphas = numbers("activation_alpha");
  const auto betas = numbers("activation_beta");
  std::map<std::string, quantizers::Spec> out;
  // The numbers are listed for those functions alone that have some, in the order of the functions.
  std::size_t next_alpha = 0;
  std::size_t next_beta = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::string name = all[i];
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    const bool has_beta = name == "affine" || name == "scaledtanh" || name == "hardsigmoid";
    const bool has_alpha = has_beta || name == "leakyrelu" || name == "thresholdedrelu" || name == "elu";
    std::optional<float> alpha;
    std::optional<float> beta;
    if (has_alpha && next_alpha < alphas.size()) alpha = alphas[next_alpha++];
    if (has_beta && next_beta < betas.size()) beta = betas[next_beta++];
    if (static_cast<std::int64_t>(i / per_direction) != direction) continue;
    auto spec = function_named(name, alpha, beta);
    if (!spec)
      return call.fail(Kind::AttributeUnsupported,
                       fmt::format("activation `{}` is not supported; use Relu, Tanh, Sigmoid, HardSigmoid, LeakyRelu, "
                                   "ThresholdedRelu, Elu, Softsign or Softplus",
                                   all[i]));
    out[roles[i % per_direction]] = std::move(*spec);
  }
  return out;
}

Result<Recurrent> describe(const Call& call) {
  Recurrent r;
  const std::string& type = call.node.op_type;
  r.op = type == "RNN" ? "SimpleRNN" : type;
  r.gates = {0};
  if (r.op == "LSTM") r.gates = {0, 2, 3, 1};
  if (r.op == "GRU") r.gates = {0, 1, 2};
  WEFT_TRY(const std::string direction, call.get_string("direction", "forward"));
  r.directions = direction == "bidirectional" ? 2 : 1;
  r.reverse_only = direction == "reverse";
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return call.fail(Kind::ModelMalformed, fmt::format("`direction` is `{}`", direction));
  WEFT_TRY(const std::int64_t layout, call.get_int("layout", 0));
  r.batch_first = layout == 1;
  WEFT_TRY(const std::int64_t coupled, call.get_int("input_forget", 0));
  if (coupled != 0)
    return call.fail(Kind::AttributeUnsupported, "`input_forget` couples two gates, which is not supported");
  WEFT_TRY(const std::int64_t sequence, call.get_int("output_sequence", 0));
  if (sequence != 0 && call.opset < 7)
    return call.fail(Kind::AttributeUnsupported, "`output_sequence` of old files is not supported");
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  if (x.rank() != 3)
    return call.fail(Kind::ShapeMismatch, fmt::format("the input has shape {}, not three axes", to_string(x.shape)));
  const std::int64_t batch_axis = r.batch_first ? 0 : 1;
  if (x.batch_axis != batch_axis)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("the samples of a batch lie along axis {} of the input {}, where the operator has its "
                                 "time; transpose the input, or set `layout`",
                                 x.batch_axis, to_string(x.shape)));
  r.batch = x.shape[static_cast<std::size_t>(batch_axis)];
  r.steps = x.shape[static_cast<std::size_t>(1 - batch_axis)];
  r.inputs = x.shape[2];
  WEFT_TRY(const ConstantPtr w, call.constant(1, "the weights"));
  WEFT_TRY(const ConstantPtr u, call.constant(2, "the recurrent weights"));
  const auto blocks = static_cast<std::int64_t>(r.gates.size());
  r.hidden = u->shape.size() == 3 ? u->shape[2] : 0;
  r.units = r.hidden;
  if (call.has_input(kProjection)) {
    WEFT_TRY(const ConstantPtr p, call.constant(kProjection, "the projection"));
    r.units = p->shape.size() == 3 ? p->shape[2] : 0;
    if (p->shape != Shape{r.directions, r.hidden, r.units} || !p->floating())
      return call.fail(Kind::ShapeMismatch, fmt::format("the projection has shape {}", to_string(p->shape)));
  }
  const bool fits = r.units > 0 && r.units < (std::int64_t{1} << 24) && r.hidden > 0 &&
                    r.hidden < (std::int64_t{1} << 24) && w->shape == Shape{r.directions, blocks * r.units, r.inputs} &&
                    u->shape == Shape{r.directions, blocks * r.units, r.hidden} && w->floating() && u->floating();
  if (!fits)
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("weights {} and recurrent weights {} do not fit {} directions of input {}",
                                 to_string(w->shape), to_string(u->shape), r.directions, to_string(x.shape)));
  WEFT_TRY(const std::int64_t hidden, call.get_int("hidden_size", r.units));
  if (hidden != r.units && !call.has_input(kProjection))
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("`hidden_size` is {}, the weights have {} units", hidden, r.units));
  if (call.has_input(4)) {
    WEFT_TRY(const auto lengths, call.integers(4, "the lengths of the sequences"));
    if (std::any_of(lengths.begin(), lengths.end(), [&](auto n) { return n != r.steps; }))
      return call.fail(Kind::AttributeUnsupported,
                       fmt::format("sequences of lengths {} in {} steps; sequences of full length are supported",
                                   to_string(lengths), r.steps));
  }
  return r;
}

/// Rows [gates * units, columns] of direction `d`, gates in the layer's order, as a matrix of columns.
Constant as_columns(const Recurrent& r, const Constant& c, std::int64_t d, const std::vector<std::int64_t>& gates,
                    std::int64_t columns, std::int64_t blocks_in_file) {
  std::vector<std::size_t> indices;
  for (std::int64_t i = 0; i < columns; ++i)
    for (const auto gate : gates)
      for (std::int64_t k = 0; k < r.units; ++k)
        indices.push_back(static_cast<std::size_t>(((d * blocks_in_file + gate) * r.units + k) * columns + i));
  const auto width = static_cast<std::int64_t>(gates.size()) * r.units;
  return pick(c, columns == 1 ? Shape{width} : Shape{columns, width}, indices);
}

/// The initial state of direction `d`: a layer input, a parameter, or nothing where it is zero.
struct Start {
  std::optional<nn::TensorId> tensor;
  std::optional<nn::Parameter> parameter;
};
Result<Start> start_of(Call& call, const Recurrent& r, std::size_t input, std::int64_t extent, std::int64_t d) {
  Start out;
  if (!call.has_input(input)) return out;
  const Shape wanted = r.batch_first ? Shape{r.batch, r.directions, extent} : Shape{r.directions, r.batch, extent};
  const auto fits = [&](const Shape& have) {
    return have == wanted ? Result<void>{}
                          : call.fail(Kind::ShapeMismatch, fmt::format("an initial state has shape {}, not {}",
                                                                       to_string(have), to_string(wanted)));
  };
  if (const auto c = call.inputs[input].constant) {
    WEFT_TRY_VOID(fits(c->shape));
    std::vector<std::size_t> indices;
    for (std::int64_t k = 0; k < extent; ++k)
      indices.push_back(static_cast<std::size_t>((r.batch_first ? d : d * r.batch) * extent + k));
    const auto values = as_floats(*c);
    for (std::int64_t b = 0; b < r.batch; ++b)
      for (std::int64_t k = 0; k < extent; ++k) {
        const auto at = static_cast<std::size_t>((r.batch_first ? b * r.directions + d : d * r.batch + b) * extent + k);
        if (values[at] != values[indices[static_cast<std::size_t>(k)]])
          return call.fail(Kind::AttributeUnsupported,
                           "a constant initial state differs between the samples of a batch; make it an input");
      }
    const Constant one = pick(*c, {extent}, indices);
    const auto start = as_floats(one);
    if (std::any_of(start.begin(), start.end(), [](float v) { return v != 0.0F; })) out.parameter = to_parameter(one);
    return out;
  }
  WEFT_TRY(const Dynamic given, call.dynamic_float(input));
  WEFT_TRY_VOID(fits(given.shape));
  if (given.batch_axis != (r.batch_first ? 0 : 1))
    return call.fail(Kind::LayerUnsupported, "the samples of a batch do not lie along the batch of an initial state");
  WEFT_TRY(const Dynamic x, call.in_onnx_order(given));
  if (r.directions == 1) {
    WEFT_TRY(out.tensor, call.as_sample_shape(x, {extent}));
    return out;
  }
  WEFT_TRY(const auto both, call.as_sample_shape(x, {r.directions, extent}));
  WEFT_TRY(const auto one, call.add({.op = "Slice",
                                     .attributes = {{"begin", std::vector<std::int64_t>{d, 0}},
                                                    {"end", std::vector<std::int64_t>{d + 1, extent}},
                                                    {"step", std::vector<std::int64_t>{1, 1}}},
                                     .inputs = {both},
                                     .shape = {1, extent},
                                     .suffix = "_start"},
                                    false));
  WEFT_TRY(out.tensor, call.add({.op = "Reshape",
                                 .attributes = {{"shape", std::vector<std::int64_t>{extent}}},
                                 .inputs = {one},
                                 .shape = {extent},
                                 .suffix = "_start_flat"},
                                false));
  return out;
}

Result<void> add_weights(const Call& call, const Recurrent& r, std::int64_t d, nn::Node& node) {
  const auto blocks = static_cast<std::int64_t>(r.gates.size());
  const Constant& w = *call.inputs[1].constant;
  const Constant& u = *call.inputs[2].constant;
  WEFT_TRY_VOID(call.spend_elements({r.inputs + r.hidden, blocks * r.units}));
  // A single column must stay a matrix.
  Constant kernel = as_columns(r, w, d, r.gates, r.inputs, blocks);
  kernel.shape = {r.inputs, blocks * r.units};
  Constant recurrent = as_columns(r, u, d, r.gates, r.hidden, blocks);
  recurrent.shape = {r.hidden, blocks * r.units};
  node.parameters["kernel"] = to_parameter(kernel);
  node.parameters["recurrent_kernel"] = to_parameter(recurrent);
  if (call.has_input(3)) {
    WEFT_TRY(const ConstantPtr b, call.constant(3, "the bias"));
    if (b->shape != Shape{r.directions, 2 * blocks * r.units} || !b->floating())
      return call.fail(Kind::ShapeMismatch, fmt::format("the bias has shape {}, not {}", to_string(b->shape),
                                                        to_string(Shape{r.directions, 2 * blocks * r.units})));
    std::vector<std::int64_t> second = r.gates;
    for (auto& gate : second) gate += blocks;
    Constant input_bias = as_columns(r, *b, d, r.gates, 1, 2 * blocks);
    const Constant recurrent_bias = as_columns(r, *b, d, second, 1, 2 * blocks);
    const bool any =
        std::any_of(recurrent_bias.floats.begin(), recurrent_bias.floats.end(), [](float v) { return v != 0.0F; });
    if (r.op == "GRU") {
      node.parameters["bias"] = to_parameter(input_bias);
      if (any) node.parameters["recurrent_bias"] = to_parameter(recurrent_bias);
    } else {
      // Both stand in one sum.
      if (any) {
        for (std::size_t i = 0; i < input_bias.floats.size(); ++i) input_bias.floats[i] += recurrent_bias.floats[i];
        input_bias.codes.clear();
        input_bias.scales.clear();
      }
      node.parameters["bias"] = to_parameter(input_bias);
    }
  }
  if (call.has_input(7)) {
    WEFT_TRY(const ConstantPtr p, call.constant(7, "the peepholes"));
    if (p->shape != Shape{r.directions, 3 * r.units} || !p->floating())
      return call.fail(Kind::ShapeMismatch, fmt::format("the peepholes have shape {}", to_string(p->shape)));
    node.parameters["peephole"] = to_parameter(as_columns(r, *p, d, {0, 2, 1}, 1, 3));
  }
  if (call.has_input(kProjection)) {
    const Constant& p = *call.inputs[kProjection].constant;
    WEFT_TRY_VOID(call.spend_elements({r.hidden, r.units}));
    std::vector<std::size_t> turned;
    for (std::int64_t i = 0; i < r.units; ++i)
      for (std::int64_t j = 0; j < r.hidden; ++j)
        turned.push_back(static_cast<std::size_t>((d * r.hidden + j) * r.units + i));
    node.parameters["projection"] = to_parameter(pick(p, {r.units, r.hidden}, turned));
  }
  for (const auto& [role, parameter] : node.parameters)
    WEFT_TRY_VOID(call.require_finite(parameter.values.data, "`" + role + "`"));
  return {};
}

/// The parts of the directions side by side on an axis that the shape has at `axis`.
Result<nn::TensorId> together(const Call& call, std::vector<nn::TensorId> parts, const Shape& shape, std::int64_t axis,
                              const std::string& suffix, bool main) {
  if (parts.size() == 1) return parts[0];
  for (auto& part : parts) {
    Shape one = shape;
    one[static_cast<std::size_t>(axis)] = 1;
    WEFT_TRY(part, call.add({.op = "Reshape",
                             .attributes = {{"shape", one}},
                             .inputs = {part},
                             .shape = one,
                             .suffix = suffix + "_part"},
                            false));
  }
  return call.add({.op = "Concat", .attributes = {{"axis", axis}}, .inputs = parts, .shape = shape, .suffix = suffix},
                  main);
}

Result<Values> recurrent(Call& call) {
  WEFT_TRY(const Recurrent r, describe(call));
  const auto used = [&](std::size_t i) { return i < call.node.outputs.size() && !call.node.outputs[i].empty(); };
  WEFT_TRY(const Dynamic given, call.dynamic_float(0));
  WEFT_TRY(const Dynamic x, call.in_onnx_order(given));
  WEFT_TRY(const auto in, call.as_sample_shape(x, {r.steps, r.inputs}));
  WEFT_TRY(const float clip, call.get_float("clip", 0.0F));
  WEFT_TRY(const std::int64_t reset_after, call.get_int("linear_before_reset", 0));
  const std::size_t states = r.op == "LSTM" ? 2 : 1;
  std::vector<nn::TensorId> sequences;
  std::vector<std::vector<nn::TensorId>> finals(states);
  for (std::int64_t d = 0; d < r.directions; ++d) {
    nn::Node node;
    node.op = r.op;
    node.name = d == 0 ? call.layer_name : call.builder.unique_name(call.layer_name + "_reverse");
    node.origin = call.origin;
    const bool backwards = r.reverse_only || d == 1;
    node.attributes["return_sequences"] = used(0);
    if (backwards) node.attributes["go_backwards"] = true;
    if (backwards) node.attributes["realign"] = true;
    if (clip > 0.0F) node.attributes["clip"] = static_cast<double>(clip);
    if (r.op == "GRU") node.attributes["reset_after"] = reset_after != 0;
    WEFT_TRY(node.functions, functions(call, r, d));
    WEFT_TRY_VOID(add_weights(call, r, d, node));
    node.inputs = {in};
    for (std::size_t s = 0; s < states; ++s) {
      WEFT_TRY(Start start, start_of(call, r, 5 + s, s == 0 ? r.hidden : r.units, d));
      const char* role = s == 0 ? "initial_h" : "initial_c";
      if (start.parameter) node.parameters[role] = std::move(*start.parameter);
      if (!start.tensor) continue;
      if (node.inputs.size() != s + 1)
        return call.fail(Kind::AttributeUnsupported, "one initial state is data and the other is not");
      node.inputs.push_back(*start.tensor);
    }
    const auto tensor = [&](const std::string& name, Shape shape) {
      return call.builder.graph.add_tensor(name, std::move(shape));
    };
    const auto label = [&](std::size_t i) {
      return r.directions == 1 && used(i) ? call.node.outputs[i] : fmt::format("{}_output{}", node.name, i);
    };
    sequences.push_back(tensor(label(0), used(0) ? Shape{r.steps, r.hidden} : Shape{r.hidden}));
    node.outputs = {sequences.back()};
    if (used(1) || used(2)) {
      for (std::size_t s = 0; s < states; ++s) {
        finals[s].push_back(tensor(label(s + 1), {s == 0 ? r.hidden : r.units}));
        node.outputs.push_back(finals[s].back());
      }
    }
    call.builder.graph.nodes.push_back(std::move(node));
  }
  Values out;
  if (used(0)) {
    Dynamic y;
    y.shape = r.batch_first ? Shape{r.batch, r.steps, r.directions, r.hidden}
                            : Shape{r.steps, r.directions, r.batch, r.hidden};
    y.batch_axis = r.batch_first ? 0 : 2;
    WEFT_TRY(y.tensor, together(call, sequences, {r.steps, r.directions, r.hidden}, 1, "_directions", true));
    out.emplace_back(std::move(y));
  } else {
    out.emplace_back();
  }
  for (std::size_t s = 0; s < states; ++s) {
    if (!used(s + 1)) {
      out.emplace_back();
      continue;
    }
    Dynamic y;
    const std::int64_t extent = s == 0 ? r.hidden : r.units;
    y.shape = r.batch_first ? Shape{r.batch, r.directions, extent} : Shape{r.directions, r.batch, extent};
    y.batch_axis = r.batch_first ? 0 : 1;
    call.origin.tensor = call.node.outputs[s + 1];
    WEFT_TRY(y.tensor, together(call, finals[s], {r.directions, extent}, 0, fmt::format("_state{}", s), true));
    out.emplace_back(std::move(y));
  }
  return out;
}

}  // namespace

Result<Values> rnn(Call& call) { return recurrent(call); }
Result<Values> lstm(Call& call) { return recurrent(call); }
Result<Values> gru(Call& call) { return recurrent(call); }

}  // namespace weft::formats::onnx::ops
