// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/attempt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::formats::onnx {

Result<void> settle_integers(Call& call) {
  const std::string& op = call.node.op_type;
  if (op == "Clip" || op == "DequantizeLinear" || op.rfind("QLinear", 0) == 0) return {};
  const bool moves = op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze" || op == "Transpose" ||
                     op == "Slice" || op == "Split" || op == "Gather" || op == "Identity" || op == "MaxPool" ||
                     op == "DepthToSpace" || op == "SpaceToDepth" || op == "Tile" || op == "Expand" || op == "Concat";
  const PendingQuantizer* first = nullptr;
  bool alike = moves;
  for (const auto& value : call.inputs) {
    if (!value.dynamic) {
      alike = alike && (op != "Concat" || !value.constant);
      continue;
    }
    const auto& q = value.dynamic->pending;
    if (first == nullptr) first = q.get();
    alike = alike && q && q->scale->size() == 1 && q->scale->floats == first->scale->floats &&
            q->zero->ints == first->zero->ints;
  }
  for (auto& value : call.inputs) {
    if (!value.dynamic || !value.dynamic->pending) continue;
    WEFT_TRY(Dynamic x, alike ? ops::settled(call, *value.dynamic) : ops::as_integers(call, *value.dynamic));
    value = Value(std::move(x));
  }
  return {};
}

namespace {

/// float32 holds every integer up to here.
constexpr float kWholeNumbers = 16777216.0F;

Call copy_of(const Call& call, Builder& builder, Context& ctx) {
  return {.ctx = ctx,
          .builder = builder,
          .node = call.node,
          .layer_name = call.layer_name,
          .origin = call.origin,
          .opset = call.opset,
          .attributes = call.attributes,
          .inputs = call.inputs,
          .used = call.used};
}

Result<Values> without_batch(const Operator& row, const Call& call) {
  const auto mark = call.builder.mark();
  diag::Engine first, second;
  for (const bool with_batch : {true, false}) {
    diag::Engine& engine = with_batch ? first : second;
    Context ctx = quiet(engine, call.ctx);
    Call attempt = copy_of(call, call.builder, ctx);
    bool ready = true;
    bool any = false;
    for (auto& value : attempt.inputs) {
      if (!value.dynamic) continue;
      Dynamic& x = *value.dynamic;
      const bool can = !x.shape.empty() && x.shape.front() == 1;
      any = any || can;
      if (with_batch && can && x.batch_axis == 0) continue;
      auto ordered = attempt.in_onnx_order(x);
      ready = ready && ordered.ok();
      if (!ordered) continue;
      x = *ordered;
      x.batch_axis = with_batch && can ? 0 : -1;
    }
    if (with_batch && !any) continue;
    if (ready) {
      Result<Values> out = row.handler(attempt);
      if (out) {
        copy_diagnostics(engine, call.ctx);
        return out;
      }
    }
    call.builder.roll_back(mark);
  }
  copy_diagnostics(first.has_errors() ? first : second, call.ctx);
  return diag::failure;
}

/// The operator's layers on its first operand as data, run here.
Result<Values> run_on_constants(const Operator& row, const Call& call) {
  if (call.inputs.empty() || !call.inputs.front().constant || call.inputs.front().constant->size() == 0)
    return diag::failure;
  diag::Engine engine;
  Context ctx = quiet(engine, call.ctx);
  Builder builder;
  builder.whole = true;
  builder.batch_is_fixed = true;
  Call inner = copy_of(call, builder, ctx);
  inner.used.assign(call.node.outputs.size(), true);
  const Constant& data = *call.inputs.front().constant;
  Dynamic x;
  x.shape = data.shape;
  x.element = data.element;
  x.batch_axis = !x.shape.empty() && x.shape.front() == 1 ? 0 : -1;
  x.tensor = builder.graph.add_tensor("x", x.sample_shape());
  builder.graph.inputs.push_back({"x", x.tensor});
  inner.inputs.front() = Value(std::move(x));
  WEFT_TRY(const Values results, without_batch(row, inner));
  std::vector<Dynamic> ordered;
  for (const auto& value : results) {
    Dynamic y;
    if (value.dynamic) {
      if (value.dynamic->pending) return diag::failure;
      WEFT_TRY(y, inner.in_onnx_order(*value.dynamic));
    }
    ordered.push_back(y);
  }
  if (!layers::check(builder.graph, ctx)) return diag::failure;
  std::uint64_t products = 0;
  for (const auto& node : builder.graph.nodes)
    products += static_cast<std::uint64_t>(layers::find_layer(node.op)->macs(builder.graph, node)) +
                static_cast<std::uint64_t>(element_count(builder.graph.at(node.outputs[0]).shape));
  WEFT_TRY_VOID(call.spend_products(products));
  WEFT_TRY(const auto tensors, layers::run_float(builder.graph, {as_floats(data)}, 1, ctx));
  Values out;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].dynamic) {
      out.push_back(results[i]);
      continue;
    }
    Constant c;
    c.shape = ordered[i].shape;
    c.element = ordered[i].element;
    // Layers are of float32, which also holds constants of float64.
    if (c.element == Element::Float32 && data.element == Element::Float64) c.element = Element::Float64;
    WEFT_TRY_VOID(call.spend_elements(c.shape));
    const auto& numbers = tensors[ordered[i].tensor.index];
    if (numbers.size() != static_cast<std::size_t>(element_count(c.shape))) return diag::failure;
    for (const float v : numbers) {
      if (c.floating()) {
        c.floats.push_back(v);
        continue;
      }
      if (!(std::fabs(v) < kWholeNumbers) || v != std::floor(v)) return diag::failure;
      c.ints.push_back(static_cast<std::int64_t>(v));
    }
    out.emplace_back(std::move(c));
  }
  return out;
}

}  // namespace

Result<Values> call_operator(const Operator& row, Call& call) {
  if (call.inputs.empty() || !call.all_constant())
    return call.builder.whole ? without_batch(row, call) : row.handler(call);
  diag::Engine engine;
  Context ctx = quiet(engine, call.ctx);
  Call attempt = copy_of(call, call.builder, ctx);
  const auto mark = call.builder.mark();
  Result<Values> folded = row.handler(attempt);
  if (folded) {
    copy_diagnostics(engine, call.ctx);
    return folded;
  }
  call.builder.roll_back(mark);
  Result<Values> run = run_on_constants(row, call);
  if (!run) copy_diagnostics(engine, call.ctx);
  return run;
}

}  // namespace weft::formats::onnx
