// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/write.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/onnx/graph_writer.h"

namespace weft::formats::onnx {
namespace {

using exact::ValueId;

class Writer : private GraphWriter {
 public:
  Writer(const exact::Graph& graph, const WriteOptions& options, Context& ctx)
      : GraphWriter(graph, options, ctx), graph_(graph), ctx_(ctx), out_(out()) {}

  Result<std::string> run() {
    find_readers();
    for (const auto& input : graph_.inputs) WEFT_TRY_VOID(write_input(input));
    for (std::uint32_t i = 0; i < graph_.values.size(); ++i) {
      if (!needed_[i] || std::holds_alternative<exact::Input>(graph_.values[i].primitive)) continue;
      if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, {}, "writing was cancelled");
      WEFT_TRY_VOID(write_value(ValueId{i}));
    }
    for (const auto& output : graph_.outputs) WEFT_TRY_VOID(write_output(output));
    return out_.bytes();
  }

 private:
  void find_readers() {
    const std::size_t n = graph_.values.size();
    needed_.assign(n, false);
    only_requant_.assign(n, true);
    fused_window_.assign(n, false);
    std::vector<int> readers(n, 0);
    for (const auto& output : graph_.outputs) {
      needed_[output.value.index] = true;
      only_requant_[output.value.index] = false;
      ++readers[output.value.index];
    }
    for (std::size_t i = n; i-- > 0;) {
      if (!needed_[i]) continue;
      for (const auto id : exact::operands(graph_.values[i].primitive)) {
        needed_[id.index] = true;
        ++readers[id.index];
        if (!std::holds_alternative<exact::Requant>(graph_.values[i].primitive)) only_requant_[id.index] = false;
      }
    }
    // A window that one product reads is a convolution.
    for (std::size_t i = 0; i < n; ++i) {
      const auto* m = std::get_if<exact::MatVec>(&graph_.values[i].primitive);
      if (m == nullptr || !needed_[i]) continue;
      const auto* w = std::get_if<exact::Window>(&at(m->x).primitive);
      if (w != nullptr && readers[m->x.index] == 1 && w->kernel.size() <= 2 && w->pad == 0 &&
          at(w->x).scale.per_tensor())
        fused_window_[m->x.index] = true;
    }
  }

  Result<void> write_input(const exact::GraphInput& input) {
    const auto& value = at(input.value);
    const auto& c = input.conversion;
    out_.input(input.name, value.shape);
    WEFT_TRY_VOID(check_codes(value));
    std::string& name = name_of(input.value);
    if (c.form == exact::InputConversion::Form::Bipolar) {
      if (is_qcdq()) return unsupported(value, "QCDQ has no bipolar quantizer; export QONNX");
      name = out_.apply("BipolarQuant", {input.name, out_.scalar(value.name + "_scale", 1.0F)}, value.name, nullptr,
                        kQonnx);
      return {};
    }
    WEFT_TRY(const auto scale, float_scale(value));
    const bool fixed_form = c.form == exact::InputConversion::Form::Fixed;
    const auto rounding = rounding_name(fixed_form ? c.type.rounding : c.rounding);
    if (!rounding) return unsupported(value, "its rounding mode has no name in QONNX");
    if (fixed_form && c.type.overflow != fixed::Overflow::Sat && c.type.overflow != fixed::Overflow::SatSym)
      return unsupported(value, "inputs that wrap cannot be said in ONNX; declare the input with SAT");
    if (!fixed_form && c.round_first) return unsupported(value, "rounding in front of clipping with a zero point");
    const float zero = fixed_form ? 0.0F : c.zero_point;
    const Int lo = fixed_form ? fixed::min_code(c.type) : c.lo;
    const Int hi = fixed_form ? fixed::max_code(c.type) : c.hi;
    const auto bits = bits_for(lo, hi, {lo - 1, hi + 1, 0});
    if (!bits) return unsupported(value, "no number of bits has exactly the input's range");
    WEFT_TRY(name, quantizer(value, input.name, scale, zero, *bits, *rounding));
    return {};
  }

  /// A quantizer that changes nothing, so that readers know the integers behind a sum.
  Result<void> state_integers(ValueId id) {
    const auto& value = at(id);
    if (only_requant_[id.index]) return {};
    if (is_qcdq() && fixed::width_bits(hull(value.ranges)) > 16) {
      const bool is_output = std::any_of(graph_.outputs.begin(), graph_.outputs.end(),
                                         [&](const auto& output) { return output.value == id; });
      if (is_output) return {};
    }
    WEFT_TRY(const auto scale, float_scale(value));
    const fixed::Range r = hull(value.ranges);
    const bool is_signed = r.lo < 0;
    const Bits bits{std::max(fixed::width_bits(r.lo, r.hi, is_signed), is_signed ? 2 : 1), is_signed, false};
    WEFT_TRY(name_of(id), quantizer(value, tensor(id), scale, 0.0F, bits, "ROUND"));
    return {};
  }

  Result<void> write_value(ValueId id) {
    const auto& value = at(id);
    if (fused_window_[id.index]) return {};
    WEFT_TRY_VOID(check_codes(value));
    WEFT_TRY(name_of(id), std::visit([&](const auto& p) { return write(value, p); }, value.primitive));
    const auto& p = value.primitive;
    const bool sums = std::holds_alternative<exact::MatVec>(p) || std::holds_alternative<exact::Add>(p) ||
                      std::holds_alternative<exact::Sub>(p) || std::holds_alternative<exact::Mul>(p) ||
                      std::holds_alternative<exact::Reduce>(p) || std::holds_alternative<exact::Forest>(p);
    return sums ? state_integers(id) : Result<void>{};
  }

  Result<std::string> write(const exact::Value& value, const exact::Input& /*p*/) {
    return unsupported(value, "an input that is not bound");
  }
  Result<std::string> write(const exact::Value& value, const exact::Constant& p) {
    std::vector<float> values;
    for (std::size_t e = 0; e < p.codes.size(); ++e) {
      const auto v = exact_float(value.scale.of(e) * fixed::rational_from_int(p.codes[e]));
      if (!v) return unsupported(value, "a constant is no float32");
      values.push_back(*v);
    }
    return out_.floats(value.name, value.shape, values);
  }

  Result<std::string> write(const exact::Value& value, const exact::MatVec& m) {
    if (m.accumulator) return unsupported(value, "a forced accumulator cannot be said in ONNX");
    if (fused_window_[m.x.index]) return write_conv(value, m, std::get<exact::Window>(at(m.x).primitive));
    if (!at(m.x).scale.per_tensor()) return unsupported(value, "the inputs of a product have scales of their own");
    std::vector<std::size_t> order(m.weights.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    WEFT_TRY(const std::string w, weights(value, m, at(m.x).scale.at(0), {m.n_in, m.n_out}, order, 1));
    std::string y = out_.apply("MatMul", {tensor(m.x), w}, value.name);
    WEFT_TRY(const auto b, bias(value, m));
    if (!b.empty()) y = out_.apply("Add", {y, out_.floats(value.name + "_bias", {m.n_out}, b)}, value.name);
    return y;
  }

  Result<std::string> write_conv(const exact::Value& value, const exact::MatVec& m, const exact::Window& w) {
    const auto& x = at(w.x);
    const std::size_t axes = w.kernel.size();
    const std::int64_t channels = x.shape.back();
    std::int64_t taps = 1;
    for (const auto k : w.kernel) taps *= k;
    const std::int64_t per_group = channels / w.groups;
    // Weights [out, channels, k...] of the matrix whose rows are groups, taps, channels of the group.
    Shape shape{m.n_out, channels};
    shape.insert(shape.end(), w.kernel.begin(), w.kernel.end());
    std::vector<std::size_t> order;
    for (std::int64_t o = 0; o < m.n_out; ++o)
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t t = 0; t < taps; ++t) {
          const std::int64_t row = (c / per_group * taps + t) * per_group + c % per_group;
          order.push_back(static_cast<std::size_t>(row * m.n_out + o));
        }
    WEFT_TRY(const std::string kernel, weights(value, m, x.scale.at(0), shape, order, 0));
    std::vector<std::int64_t> to_first{0, static_cast<std::int64_t>(axes) + 1};
    std::vector<std::int64_t> to_last{0};
    for (std::size_t d = 0; d < axes; ++d) {
      to_first.push_back(static_cast<std::int64_t>(d) + 1);
      to_last.push_back(static_cast<std::int64_t>(d) + 2);
    }
    to_last.push_back(1);
    onnx_proto::NodeProto* node = nullptr;
    const std::string first = out_.apply("Transpose", {tensor(w.x)}, value.name + "_nchw", &node);
    ModelWriter::set(node, "perm", to_first);
    std::vector<std::string> inputs{first, kernel};
    WEFT_TRY(const auto b, bias(value, m));
    if (!b.empty()) inputs.push_back(out_.floats(value.name + "_bias", {m.n_out}, b));
    const std::string conv = out_.apply("Conv", inputs, value.name + "_conv", &node);
    std::vector<std::int64_t> pads = w.before;
    pads.insert(pads.end(), w.after.begin(), w.after.end());
    ModelWriter::set(node, "kernel_shape", w.kernel);
    ModelWriter::set(node, "strides", w.stride);
    ModelWriter::set(node, "dilations", w.dilation);
    ModelWriter::set(node, "pads", pads);
    const std::string last = out_.apply("Transpose", {conv}, value.name, &node);
    ModelWriter::set(node, "perm", to_last);
    return last;
  }

  /// Elements after which the scales of all repeat.
  static std::size_t factors_of(std::initializer_list<const exact::Value*> values) {
    std::size_t out = 1;
    for (const auto* value : values) out = std::max(out, value->scale.factors.size());
    return out;
  }

  /// Operands of a sum lie on the grids that the shifts say.
  Result<std::string> write_sum(const exact::Value& value, const char* op, ValueId a, ValueId b, int shift_a,
                                int shift_b) {
    for (const auto& [id, shift] : {std::pair(a, shift_a), std::pair(b, shift_b)}) {
      const auto& operand = at(id);
      for (std::size_t e = 0; e < factors_of({&operand, &value}); ++e)
        if (operand.scale.of(e) != value.scale.of(e) * fixed::pow2(shift))
          return unsupported(value, "its operands have other scales than its result says");
    }
    return out_.apply(op, {tensor(a), tensor(b)}, value.name);
  }
  Result<std::string> write(const exact::Value& value, const exact::Add& p) {
    return write_sum(value, "Add", p.a, p.b, p.shift_a, p.shift_b);
  }
  Result<std::string> write(const exact::Value& value, const exact::Sub& p) {
    return write_sum(value, "Sub", p.a, p.b, p.shift_a, p.shift_b);
  }
  Result<std::string> write(const exact::Value& value, const exact::Mul& p) {
    for (std::size_t e = 0; e < factors_of({&at(p.a), &at(p.b), &value}); ++e)
      if (Rational(at(p.a).scale.of(e) * at(p.b).scale.of(e)) != value.scale.of(e))
        return unsupported(value, "its operands have other scales than its result says");
    return out_.apply("Mul", {tensor(p.a), tensor(p.b)}, value.name);
  }

  Result<std::string> write_gather(const exact::Value& value) {
    const auto m = exact::movement(graph_, value);
    WEFT_TRY_VOID(check_movement(value, *m));
    const auto& x = at(m->x);
    const auto n = static_cast<std::int64_t>(x.ranges.size());
    std::string from = tensor(m->x);
    if (x.shape.size() != 1) from = reshape(value.name + "_flat", from, {n});
    std::vector<std::int64_t> indices = m->from;
    if (std::find(indices.begin(), indices.end(), -1) != indices.end()) {
      const auto pad = exact_float(Rational(value.scale.at(0) * fixed::rational_from_int(m->pad)));
      if (!pad || (m->pad != 0 && !value.scale.per_tensor())) return unsupported(value, "its padding is no float32");
      from = out_.apply(
          "Pad", {from, out_.ints(value.name + "_pads", {4}, {0, 0, 0, 1}), out_.scalar(value.name + "_pad", *pad)},
          value.name + "_padded");
      for (auto& i : indices)
        if (i < 0) i = n;
    }
    onnx_proto::NodeProto* node = nullptr;
    const std::string y = out_.apply(
        "Gather", {from, out_.ints(value.name + "_indices", {static_cast<std::int64_t>(indices.size())}, indices)},
        value.name, &node);
    ModelWriter::set(node, "axis", std::int64_t{1});
    return value.shape.size() == 1 ? y : reshape(value.name, y, value.shape);
  }
  Result<std::string> write(const exact::Value& value, const exact::Gather& /*p*/) { return write_gather(value); }
  Result<std::string> write(const exact::Value& value, const exact::Window& /*p*/) { return write_gather(value); }
  Result<std::string> write(const exact::Value& value, const exact::Permute& p) {
    const auto m = exact::movement(graph_, value);
    WEFT_TRY_VOID(check_movement(value, *m));
    std::vector<std::int64_t> permutation{0};
    for (const auto axis : p.permutation) permutation.push_back(axis + 1);
    onnx_proto::NodeProto* node = nullptr;
    const std::string y = out_.apply("Transpose", {tensor(p.x)}, value.name, &node);
    ModelWriter::set(node, "perm", permutation);
    return y;
  }
  Result<std::string> write(const exact::Value& value, const exact::Reshape& p) {
    const auto& x = at(p.x);
    if (!x.scale.per_tensor() || !value.scale.per_tensor()) {
      WEFT_TRY_VOID(check_movement(value, *exact::movement(graph_, value)));
    } else if (x.scale.at(0) != value.scale.at(0)) {
      const auto factor = exact_float(Rational(value.scale.at(0) / x.scale.at(0)));
      if (!factor) return unsupported(value, "its change of scale is no float32");
      const std::string y = out_.apply("Mul", {tensor(p.x), out_.scalar(value.name + "_factor", *factor)}, value.name);
      return x.shape == value.shape ? y : reshape(value.name, y, value.shape);
    }
    return reshape(value.name, tensor(p.x), value.shape);
  }
  Result<std::string> write(const exact::Value& value, const exact::Concat& p) {
    std::vector<std::string> parts;
    for (const auto id : p.xs) {
      if (!at(id).scale.per_tensor() || !value.scale.per_tensor() || at(id).scale.at(0) != value.scale.at(0))
        return unsupported(value, "tensors with scales of their own are joined");
      parts.push_back(tensor(id));
    }
    onnx_proto::NodeProto* node = nullptr;
    const std::string y = out_.apply("Concat", parts, value.name, &node);
    ModelWriter::set(node, "axis", p.axis + 1);
    return y;
  }

  Result<std::string> write(const exact::Value& value, const exact::Reduce& p) {
    if (!at(p.x).scale.per_tensor() || at(p.x).scale.at(0) != value.scale.at(0))
      return unsupported(value, "elements with scales of their own are reduced");
    const auto axis = static_cast<std::int64_t>(value.shape.size());
    onnx_proto::NodeProto* node = nullptr;
    std::string y;
    if (p.kind == exact::Reduce::Kind::Max) {
      y = out_.apply("ReduceMax", {tensor(p.x)}, value.name, &node);
      ModelWriter::set(node, "axes", std::vector<std::int64_t>{axis});
    } else {
      y = out_.apply("ReduceSum", {tensor(p.x), out_.ints(value.name + "_axes", {1}, {axis})}, value.name, &node);
    }
    ModelWriter::set(node, "keepdims", std::int64_t{1});
    return y;
  }
  Result<std::string> write(const exact::Value& value, const exact::ArgMax& p) {
    if (!at(p.x).scale.per_tensor()) return unsupported(value, "elements with scales of their own are compared");
    const auto axis = static_cast<std::int64_t>(value.shape.size());
    onnx_proto::NodeProto* node = nullptr;
    if (p.k == 1) {
      const std::string y = out_.apply("ArgMax", {tensor(p.x)}, value.name, &node);
      ModelWriter::set(node, "axis", axis);
      ModelWriter::set(node, "keepdims", std::int64_t{1});
      return y;
    }
    const std::string y = out_.fresh(value.name);
    node = out_.node("TopK", {tensor(p.x), out_.ints(value.name + "_k", {1}, {p.k})},
                     {out_.fresh(value.name + "_values"), y}, y);
    ModelWriter::set(node, "axis", axis);
    return y;
  }

  Result<void> write_output(const exact::GraphOutput& output) {
    const auto& value = at(output.value);
    std::string y = tensor(output.value);
    using Op = exact::ReadoutStep::Op;
    for (const auto& step : output.steps) {
      const std::string c = out_.floats(value.name + "_operand", shape_of(step.operands.size(), value), step.operands);
      static constexpr const char* kNames[] = {"Add", "Sub", "Mul", "Div", "Pow", "Sub", "Div"};
      const bool reversed = step.op == Op::ReverseSub || step.op == Op::ReverseDiv;
      const std::vector<std::string> inputs =
          reversed ? std::vector<std::string>{c, y} : std::vector<std::string>{y, c};
      y = out_.apply(kNames[static_cast<std::size_t>(step.op)], inputs, value.name);
    }
    const bool index = std::holds_alternative<exact::ArgMax>(value.primitive) && output.steps.empty();
    out_.node("Identity", {y}, {output.name}, output.name + "_out");
    out_.output(output.name, value.shape, index ? 7 : 1);
    return {};
  }

  Result<std::string> write(const exact::Value& value, const exact::Requant& p) {
    return write_requant(*this, value, p);
  }
  Result<std::string> write(const exact::Value& value, const exact::Forest& p) { return write_forest(*this, value, p); }

  const exact::Graph& graph_;
  Context& ctx_;
  ModelWriter& out_;
  std::vector<bool> needed_;
  std::vector<bool> only_requant_;
  std::vector<bool> fused_window_;
};

}  // namespace

Result<std::string> write_onnx(const exact::Graph& graph, const WriteOptions& options, Context& ctx) {
  return Writer(graph, options, ctx).run();
}

}  // namespace weft::formats::onnx
