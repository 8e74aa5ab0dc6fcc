// SPDX-License-Identifier: Apache-2.0
// IntegerLstm: an LSTM on codes as TensorFlow Lite's integer kernels compute it, unrolled over time. Gates have 16
// bits: the rescaled sums over input and state are added with saturation, functions are fixed-point, the cell keeps 16
// bits of the scale 2^cell_power.
//
// Two kernels exist. The interpreter's ("interpreter") evaluates series and Newton's division and shifts products;
// TensorFlow Lite Micro's and CMSIS-NN's ("micro") interpolates in a table and has multipliers everywhere.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "weft/layers/integer_parts.h"
#include "weft/layers/integer_rows.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

namespace tfl = fixed::tflite;

constexpr Int kMin16 = -32768;
constexpr Int kMax16 = 32767;
constexpr Int kInt32 = Int{1} << 31;
constexpr std::int64_t kMaxSteps = 4096;
/// Of all steps, each of which holds the weights of the state.
constexpr std::int64_t kMaxWeights = std::int64_t{1} << 27;
/// Integer bits of the gates' sums.
constexpr int kGateBits = 3;
/// Gates in the columns of kernels, and in the order in which they are worked on: functions of one kind side by side.
enum Gate : std::size_t { kInputGate, kForgetGate, kCellGate, kOutputGate };
constexpr std::array<std::size_t, 4> kOrder = {kInputGate, kForgetGate, kOutputGate, kCellGate};

struct Lstm {
  IntegerSpec spec;
  bool micro = false;
  int cell_power = 0;
  Int cell_lo = kMin16;
  Int cell_hi = kMax16;
  std::int64_t steps = 0;
  std::int64_t inputs = 0;
  std::int64_t units = 0;
  const IntTensor* kernel = nullptr;
  const IntTensor* recurrent = nullptr;
  const IntTensor* bias = nullptr;

  /// Multipliers 0 to 3 belong to the gates' input sums, 4 to 7 to those of the state, 8 to the result; "micro": 9 and
  /// 10 to forget gate times cell and input gate times candidate.
  [[nodiscard]] Rescale by(std::size_t multiplier, Int lo, Int hi, bool wide = false) const {
    return {{spec.multipliers[multiplier]}, wide, 0, lo, hi};
  }
  [[nodiscard]] Rescale of_input(std::size_t gate) const { return by(gate, kMin16, kMax16, spec.wide); }
  [[nodiscard]] Rescale of_state(std::size_t gate) const {
    return by(4 + gate, micro ? kMin16 : -kInt32, micro ? kMax16 : kInt32 - 1, spec.wide);
  }
  [[nodiscard]] Rescale of_result() const { return by(8, spec.lo, spec.hi); }

  [[nodiscard]] Int logistic(Int code) const {
    const auto x = static_cast<std::int16_t>(code);
    return micro ? tfl::logistic_int16(x, {3, 0}) : tfl::lstm_logistic(x, kGateBits);
  }
  [[nodiscard]] Int tanh(Int code, int integer_bits) const {
    const auto x = static_cast<std::int16_t>(code);
    if (!micro) return tfl::lstm_tanh(x, integer_bits);
    const int left = integer_bits - kGateBits;
    return tfl::tanh_int16(x, left >= 0 ? tfl::Int16Input{3 << left, 0} : tfl::Int16Input{3, -left});
  }
  [[nodiscard]] Int cell_tanh(Int code) const { return tanh(code, 15 + cell_power); }
};

Result<Lstm> lstm_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Lstm out;
  const std::string kernel = get_string(node.attributes, "kernel", "interpreter");
  if (kernel != "interpreter" && kernel != "micro")
    return ctx.fail(Kind::AttributeUnsupported, node.origin, "`kernel` is neither \"interpreter\" nor \"micro\"");
  out.micro = kernel == "micro";
  WEFT_TRY(out.spec, integer_spec(node, out.micro ? 11 : 9, 0, ctx));
  const auto power = get_int(node.attributes, "cell_power", -11);
  const auto clip = get_int(node.attributes, "clip", 0);
  // The interpreter's fixed-point tanh has room for as many integer bits.
  if (power > (out.micro ? 0 : -9) || power < -15 || clip < 0 || clip > kMax16 || !out.spec.factors.empty() ||
      (out.spec.wide && !out.micro))
    return ctx.fail(Kind::ModelMalformed, node.origin, "`cell_power`, `clip`, `factors` or `wide` is out of range");
  out.cell_power = static_cast<int>(power);
  if (clip != 0) {
    out.cell_lo = -clip;
    out.cell_hi = clip;
  }
  WEFT_TRY(out.kernel, integer_codes_of(node, "kernel", ctx));
  WEFT_TRY(out.recurrent, integer_codes_of(node, "recurrent_kernel", ctx));
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(out.bias, integer_codes_of(node, "bias", ctx));
  }
  const Shape& x = graph.at(node.inputs[0]).shape;
  const Shape& k = out.kernel->shape;
  out.units = k.size() == 2 ? k[1] / 4 : 0;
  if (x.size() != 2 || k.size() != 2 || k[0] != x[1] || k[1] % 4 != 0 || out.units < 1 ||
      out.recurrent->shape != Shape{out.units, k[1]} || (out.bias != nullptr && out.bias->shape != Shape{k[1]}))
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("kernels of shapes {} and {} do not fit an input of shape {}", weft::to_string(k),
                                weft::to_string(out.recurrent->shape), weft::to_string(x)));
  out.steps = x[0];
  out.inputs = x[1];
  if (out.steps < 1 || out.inputs < 1 || out.steps > kMaxSteps || k[1] > kMaxWeights / out.steps / out.units)
    return ctx.fail(Kind::LimitExceeded, node.origin,
                    fmt::format("{} steps of {} units are too many to unroll", out.steps, out.units));
  return out;
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(const auto lstm, lstm_of(graph, node, ctx));
  return Shape{lstm.steps, lstm.units};
}

std::int64_t macs(const nn::Graph& graph, const nn::Node& node) {
  const Shape& y = graph.at(node.outputs[0]).shape;
  const auto size = [&](const char* role) { return node.parameters.at(role).values.size(); };
  return y[0] * (size("kernel") + size("recurrent_kernel"));
}

Int saturated(Int x) { return std::clamp(x, kMin16, kMax16); }
Int shifted_away(Int x, int by) { return fixed::floor_shift(x + (Int{1} << (by - 1)) - (x < 0 ? 1 : 0), by); }

/// One step: `h` and `c` become the next ones.
void step(const Lstm& l, const std::int64_t* x, std::vector<Int>& h, std::vector<Int>& c) {
  const auto units = static_cast<std::size_t>(l.units);
  std::vector<Int> gates(4 * units);
  for (std::size_t column = 0; column < gates.size(); ++column) {
    const std::size_t gate = column / units;
    Int from_input = l.bias == nullptr ? 0 : l.bias->data[column];
    for (std::size_t i = 0; i < static_cast<std::size_t>(l.inputs); ++i)
      from_input += Int{x[i]} * l.kernel->data[i * gates.size() + column];
    Int from_state = 0;
    for (std::size_t i = 0; i < units; ++i) from_state += h[i] * l.recurrent->data[i * gates.size() + column];
    const Int sum = saturated(rescale(from_input, l.of_input(gate), 0) + rescale(from_state, l.of_state(gate), 0));
    gates[column] = gate == kCellGate ? l.tanh(sum, kGateBits) : l.logistic(sum);
  }
  for (std::size_t u = 0; u < units; ++u) {
    const Int kept = gates[kForgetGate * units + u] * c[u];
    const Int added = gates[kInputGate * units + u] * gates[kCellGate * units + u];
    const Int sum = l.micro
                        ? rescale(kept, l.by(9, kMin16, kMax16), 0) + rescale(added, l.by(10, -kInt32, kInt32 - 1), 0)
                        : shifted_away(kept, 15) + shifted_away(added, 30 + l.cell_power);
    c[u] = std::clamp(sum, l.cell_lo, l.cell_hi);
    h[u] = rescale(gates[kOutputGate * units + u] * l.cell_tanh(c[u]), l.of_result(), 0);
  }
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto l, lstm_of(run.graph(), node, ctx));
  const auto x = integer_codes(run.input(node, 0), l.spec.scales[0]);
  auto& y = run.output(node);
  std::vector<std::int64_t> codes;
  codes.reserve(y.size());
  for (std::int64_t b = 0; b < run.batch(); ++b) {
    std::vector<Int> h(static_cast<std::size_t>(l.units), 0);
    std::vector<Int> c = h;
    for (std::int64_t t = 0; t < l.steps; ++t) {
      step(l, x.data() + (b * l.steps + t) * l.inputs, h, c);
      for (const Int code : h) codes.push_back(static_cast<std::int64_t>(code));
    }
  }
  set_codes(y, codes, l.spec.scale);
  return {};
}

/// The primitives of one layer.
class Unrolled {
 public:
  Unrolled(const Lstm& lstm, const nn::Node& node, Recipe& recipe, Context& ctx)
      : l_(lstm), node_(node), recipe_(recipe), ctx_(ctx) {}

  Result<exact::ValueId> run(exact::ValueId x) {
    for (Int code = kMin16; code <= kMax16; ++code) {
      logistic_.push_back(l_.logistic(code));
      tanh_.push_back(l_.tanh(code, kGateBits));
      cell_tanh_.push_back(l_.cell_tanh(code));
    }
    WEFT_TRY(const auto sums, gate_sums(x, *l_.kernel, l_.bias, 0, kMin16, kMax16, "_input"));
    exact::Concat steps{{}, 0};
    exact::ValueId h;
    exact::ValueId c;
    for (std::int64_t t = 0; t < l_.steps; ++t) {
      WEFT_TRY(auto gates, part(sums, "_now", t * 4 * l_.units, 4 * l_.units));
      if (t > 0) {
        const Int bound = l_.micro ? -kMin16 : kInt32;
        WEFT_TRY(const auto state, gate_sums(h, *l_.recurrent, nullptr, 4, -bound, bound - 1, "_state"));
        WEFT_TRY(gates, add("_gates", exact::Add{gates, state, 0, 0}));
        WEFT_TRY(gates, clamped("_gates", gates, kMin16, kMax16));
      }
      WEFT_TRY(auto open, part(gates, "_open", 0, 3 * l_.units));
      WEFT_TRY(open, function("_open", open, logistic_));
      WEFT_TRY(auto candidate, part(gates, "_candidate", 3 * l_.units, l_.units));
      WEFT_TRY(candidate, function("_candidate", candidate, tanh_));
      WEFT_TRY(const auto in, part(open, "_in", 0, l_.units));
      WEFT_TRY(const auto out, part(open, "_out", 2 * l_.units, l_.units));
      WEFT_TRY(auto added, add("_added", exact::Mul{in, candidate}));
      WEFT_TRY(added, cell_product("_added", added, 10, 30 + l_.cell_power, -kInt32, kInt32 - 1));
      if (t > 0) {
        WEFT_TRY(const auto forget, part(open, "_forget", l_.units, l_.units));
        WEFT_TRY(auto kept, add("_kept", exact::Mul{forget, c}));
        WEFT_TRY(kept, cell_product("_kept", kept, 9, 15, kMin16, kMax16));
        WEFT_TRY(added, add("_cell", exact::Add{kept, added, 0, 0}));
      }
      WEFT_TRY(c, clamped("_cell", added, l_.cell_lo, l_.cell_hi));
      WEFT_TRY(auto y, function("_cell_tanh", c, cell_tanh_));
      WEFT_TRY(y, add("_shown", exact::Mul{out, y}));
      WEFT_TRY(h, rescaled(recipe_, node_, node_.name + "_step", y, l_.of_result(), Scale()));
      WEFT_TRY(const auto row,
               recipe_.add(node_.name + "_row", exact::Reshape{h}, Scale(), node_.origin, Shape{1, l_.units}));
      steps.xs.push_back(row);
    }
    return add("", std::move(steps));
  }

 private:
  Result<exact::ValueId> add(const std::string& suffix, exact::Primitive primitive) {
    return recipe_.add(node_.name + suffix, std::move(primitive), Scale(), node_.origin);
  }
  Result<exact::ValueId> part(exact::ValueId x, const std::string& suffix, std::int64_t first, std::int64_t count) {
    exact::Gather gather{x, {}, 0};
    for (std::int64_t i = 0; i < count; ++i) gather.indices.push_back(first + i);
    return recipe_.add(node_.name + suffix, std::move(gather), Scale(), node_.origin, Shape{count});
  }
  Result<exact::ValueId> clamped(const std::string& suffix, exact::ValueId x, Int lo, Int hi) {
    return shifted(recipe_, node_, node_.name + suffix, x, 0, fixed::Rounding::Trn, lo, hi);
  }
  Result<exact::ValueId> function(const std::string& suffix, exact::ValueId x, const std::vector<Int>& table) {
    return tabulated(
        recipe_, node_, node_.name + suffix, x,
        [&](Int code) { return table[static_cast<std::size_t>(code - kMin16)]; }, Scale(), ctx_);
  }
  Result<exact::ValueId> cell_product(const std::string& suffix, exact::ValueId x, std::size_t multiplier, int by,
                                      Int lo, Int hi) {
    if (l_.micro) return rescaled(recipe_, node_, node_.name + suffix, x, l_.by(multiplier, lo, hi), Scale());
    return shifted(recipe_, node_, node_.name + suffix, x, by, fixed::Rounding::RndInf, -kInt32, kInt32 - 1);
  }
  /// Sums of all gates in working order, rescaled by the multipliers from `first` on.
  Result<exact::ValueId> gate_sums(exact::ValueId x, const IntTensor& kernel, const IntTensor* bias, std::size_t first,
                                   Int lo, Int hi, const std::string& suffix) {
    const auto units = static_cast<std::size_t>(l_.units);
    exact::MatVec product;
    product.x = x;
    product.n_in = kernel.shape[0];
    product.n_out = 4 * l_.units;
    Rescale r{{}, l_.spec.wide, 0, lo, hi};
    for (const auto gate : kOrder) r.multipliers.insert(r.multipliers.end(), units, l_.spec.multipliers[first + gate]);
    for (std::int64_t i = 0; i < product.n_in; ++i)
      for (const auto gate : kOrder) {
        const auto at =
            kernel.data.begin() + static_cast<std::ptrdiff_t>((static_cast<std::size_t>(i) * 4 + gate) * units);
        product.weights.insert(product.weights.end(), at, at + static_cast<std::ptrdiff_t>(units));
      }
    for (const auto gate : kOrder)
      for (std::size_t u = 0; u < units; ++u)
        product.bias.push_back(bias == nullptr ? 0 : bias->data[gate * units + u]);
    WEFT_TRY(const auto sum, add(suffix + "_sum", std::move(product)));
    return rescaled(recipe_, node_, node_.name + suffix, sum, r, Scale());
  }

  const Lstm& l_;
  const nn::Node& node_;
  Recipe& recipe_;
  Context& ctx_;
  std::vector<Int> logistic_, tanh_, cell_tanh_;
};

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto l, lstm_of(recipe.source(), node, ctx));
  WEFT_TRY(const auto x, integer_input(node, recipe, 0, l.spec.scales[0], ctx));
  WEFT_TRY(const auto y, Unrolled(l, node, recipe, ctx).run(x));
  return set_integer_output(node, recipe, y);
}

}  // namespace

Layer integer_lstm_layer() {
  return {.op = "IntegerLstm",
          .summary = "LSTM on integer codes as TensorFlow Lite's kernels compute it",
          .attributes = {kScales, kScale, kLo, kHi, kMultipliers, kShifts, kWide, "kernel", "cell_power", "clip"},
          .required_parameters = {"kernel", "recurrent_kernel"},
          .optional_parameters = {"bias"},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = macs};
}

}  // namespace weft::layers
