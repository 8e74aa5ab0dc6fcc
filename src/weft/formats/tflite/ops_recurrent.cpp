// SPDX-License-Identifier: Apache-2.0
// Recurrent operators. State that the interpreter keeps between calls starts from zeros in every sample.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/tflite/import.h"

namespace weft::formats::tflite {
namespace {

// Inputs of the operator; those between stand in groups of four gates: input, forget, cell, output.
constexpr std::size_t kInputKernels = 1;
constexpr std::size_t kStateKernels = 5;
constexpr std::size_t kPeepholes = 9;
constexpr std::size_t kBiases = 12;
constexpr std::size_t kProjection = 16;
constexpr std::size_t kOutputState = 18;
constexpr std::size_t kCellState = 19;
constexpr std::size_t kNormalizations = 20;
constexpr std::size_t kInputs = 24;
/// Of the intermediates, the tensor whose scale the result of a step has.
constexpr std::size_t kHidden = 4;
/// Bits behind the point of a gate's sum.
constexpr double kGateScale = 0x1p-12;

/// Four matrices [units, n] side by side as [n, 4 units].
template <typename T>
std::vector<T> beside(const std::vector<std::vector<T>>& parts, std::int64_t n, std::int64_t units) {
  std::vector<T> out;
  out.reserve(static_cast<std::size_t>(4 * n * units));
  for (std::int64_t i = 0; i < n; ++i)
    for (const auto& part : parts)
      for (std::int64_t u = 0; u < units; ++u) out.push_back(part[static_cast<std::size_t>(u * n + i)]);
  return out;
}

struct Lstm {
  const TensorDef* x = nullptr;
  std::int64_t steps = 0;
  std::int64_t inputs = 0;
  std::int64_t units = 0;
  float cell_clip = 0.0F;
};

Result<Lstm> lstm_of(const Call& call) {
  Lstm out;
  WEFT_TRY(out.x, call.input(0));
  for (const std::size_t first : {kPeepholes, kProjection, kNormalizations})
    for (std::size_t i = first; i < (first == kPeepholes    ? kBiases
                                     : first == kProjection ? kOutputState
                                                            : kInputs);
         ++i)
      if (call.has_input(i))
        return call.fail(Kind::LayerUnsupported,
                         "an LSTM with peepholes, a projection or layer normalization is not read");
  if (!call.has_input(kInputKernels) || !call.has_input(kBiases))
    return call.fail(Kind::LayerUnsupported, "an LSTM whose input gate is coupled to its forget gate is not read");
  const Table& o = call.op.options;
  if (static_cast<Fused>(o.integer8(0)) != Fused::Tanh)
    return call.fail(Kind::AttributeUnsupported, "an LSTM with another activation than TANH is not read");
  out.cell_clip = o.real(1);
  const Shape& shape = out.x->shape;
  const std::size_t batch = o.flag(3) ? 1 : 0;
  if (shape.size() != 3 || shape[batch] != 1)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("an input of shape {}; convert with a batch of 1", weft::to_string(shape)));
  out.steps = shape[1 - batch];
  out.inputs = shape[2];
  WEFT_TRY(const TensorDef* kernel, call.input(kInputKernels));
  out.units = kernel->shape.empty() ? 0 : kernel->shape[0];
  for (std::size_t gate = 0; gate < 4; ++gate) {
    WEFT_TRY(const TensorDef* w, call.input(kInputKernels + gate));
    WEFT_TRY(const TensorDef* r, call.input(kStateKernels + gate));
    WEFT_TRY(const TensorDef* b, call.input(kBiases + gate));
    if (out.units < 1 || w->shape != Shape{out.units, out.inputs} || r->shape != Shape{out.units, out.units} ||
        b->shape != Shape{out.units})
      return call.fail(Kind::ShapeMismatch, fmt::format("the weights of gate {} do not fit an input of shape {}", gate,
                                                        weft::to_string(shape)));
  }
  return out;
}

/// The numbers of a group of four inputs.
Result<std::vector<ConstantPtr>> group(const Call& call, std::size_t first) {
  std::vector<ConstantPtr> out;
  for (std::size_t gate = 0; gate < 4; ++gate) {
    WEFT_TRY(auto numbers, call.constant(first + gate, "a weight of an LSTM"));
    out.push_back(std::move(numbers));
  }
  return out;
}

Result<std::vector<std::vector<float>>> reals(const Call& call, std::size_t first) {
  WEFT_TRY(const auto parts, group(call, first));
  std::vector<std::vector<float>> out;
  for (const auto& part : parts) {
    if (part->reals.size() != static_cast<std::size_t>(element_count(part->shape)))
      return call.fail(Kind::LayerUnsupported,
                       "the input of the LSTM is float and its weights are not; convert to full integers or to float");
    out.push_back(part->reals);
  }
  return out;
}

Result<std::vector<std::vector<std::int64_t>>> codes(const Call& call, std::size_t first) {
  WEFT_TRY(const auto parts, group(call, first));
  std::vector<std::vector<std::int64_t>> out;
  for (std::size_t gate = 0; gate < 4; ++gate) {
    WEFT_TRY(const TensorDef* def, call.input(first + gate));
    if (!parts[gate]->reals.empty() || def->scales.size() > 1 || def->zero_point() != 0)
      return call.fail(Kind::LayerUnsupported, fmt::format("`{}` has no single scale or a zero point", def->name));
    out.push_back(parts[gate]->integers);
  }
  return out;
}

Result<void> add_float(const Call& call, const Lstm& l) {
  // A cell grows by less than one per step.
  if (l.cell_clip > 0.0F && static_cast<float>(l.steps) > l.cell_clip)
    return call.fail(
        Kind::AttributeUnsupported,
        fmt::format("a float LSTM whose cell is clipped at {} within {} steps is not read", l.cell_clip, l.steps));
  WEFT_TRY(const auto w, reals(call, kInputKernels));
  WEFT_TRY(const auto r, reals(call, kStateKernels));
  WEFT_TRY(const auto b, reals(call, kBiases));
  WEFT_TRY(const auto in, call.data_as(0, {l.steps, l.inputs}));
  LayerDraft draft{.op = "LSTM", .attributes = {{"return_sequences", true}}, .inputs = {in}};
  draft.parameters["kernel"].values = FloatTensor({l.inputs, 4 * l.units}, beside(w, l.inputs, l.units));
  draft.parameters["recurrent_kernel"].values = FloatTensor({l.units, 4 * l.units}, beside(r, l.units, l.units));
  draft.parameters["bias"].values = FloatTensor({4 * l.units}, beside(b, 1, l.units));
  draft.functions = {{"activation", {"tanh", {}}}, {"recurrent_activation", {"sigmoid", {}}}};
  draft.shape = {l.steps, l.units};
  return call.set(call.add(std::move(draft)));
}

Result<void> add_integer(const Call& call, const Lstm& l) {
  WEFT_TRY(const TensorDef* state, call.input(kOutputState));
  WEFT_TRY(const TensorDef* cell, call.input(kCellState));
  const TensorDef& y = call.output();
  if (l.x->type != Type::Int8 || y.type != Type::Int8 || cell->type != Type::Int16 || !cell->quantized())
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("an LSTM of {} with a cell of {} is not read; int8 with int16 is",
                                 to_string(l.x->type), to_string(cell->type)));
  if (call.op.intermediates.size() <= kHidden)
    return call.fail(Kind::ModelMalformed, "an integer LSTM has five intermediate tensors");
  const TensorDef& hidden = call.model.tensors[static_cast<std::size_t>(call.op.intermediates[kHidden])];
  for (const TensorDef* same : {state, &y})
    if (same->scale() != hidden.scale() || same->zero_point() != hidden.zero_point())
      return call.fail(Kind::LayerUnsupported, "state and result of an LSTM must have one scale and zero point");
  int power = 0;
  if (std::frexp(cell->scale(), &power) != 0.5F || cell->zero_point() != 0)
    return call.fail(Kind::ModelMalformed, "the scale of an LSTM's cell is no power of two");
  --power;
  WEFT_TRY(auto attributes, call.integer_attributes({l.x}, y));
  std::vector<double> factors;
  // The interpreter computes these factors in float32.
  for (const auto& [first, input] : {std::pair{kInputKernels, l.x}, {kStateKernels, state}})
    for (std::size_t gate = 0; gate < 4; ++gate) {
      WEFT_TRY(const TensorDef* kernel, call.input(first + gate));
      factors.push_back(static_cast<double>(kernel->scale() * input->scale()) / kGateScale);
    }
  factors.push_back(static_cast<double>(static_cast<float>(0x1p-30 / static_cast<double>(y.scale()))));
  set_multipliers(attributes, factors);
  attributes["cell_power"] = std::int64_t{power};
  if (l.cell_clip > 0.0F)
    attributes["clip"] = static_cast<std::int64_t>(std::clamp(l.cell_clip / cell->scale(), 1.0F, 32767.0F));
  WEFT_TRY(auto w, codes(call, kInputKernels));
  WEFT_TRY(auto r, codes(call, kStateKernels));
  WEFT_TRY(auto b, codes(call, kBiases));
  WEFT_TRY(const auto in, call.data_as(0, {l.steps, l.inputs}));
  LayerDraft draft{.op = "IntegerLstm", .attributes = std::move(attributes), .inputs = {in}};
  const std::int64_t columns = 4 * l.units;
  draft.parameters["kernel"] = integer_parameter({l.inputs, columns}, beside(w, l.inputs, l.units), 1.0);
  draft.parameters["recurrent_kernel"] = integer_parameter({l.units, columns}, beside(r, l.units, l.units), 1.0);
  draft.parameters["bias"] = integer_parameter({columns}, beside(b, 1, l.units), 1.0);
  draft.shape = {l.steps, l.units};
  return call.set(call.add(std::move(draft)));
}

Result<void> read_lstm(const Call& call) {
  WEFT_TRY(const Lstm l, lstm_of(call));
  call.ctx.report(Kind::Info, call.origin,
                  "the layer keeps a state between calls of the interpreter; here every sample starts from zeros");
  if (l.x->quantized()) return add_integer(call, l);
  if (l.x->type != Type::Float32)
    return call.fail(Kind::LayerUnsupported, fmt::format("an LSTM of {} is not read", to_string(l.x->type)));
  return add_float(call, l);
}

}  // namespace

std::vector<Operator> recurrent_operators() { return {{"UNIDIRECTIONAL_SEQUENCE_LSTM", read_lstm}}; }

}  // namespace weft::formats::tflite
