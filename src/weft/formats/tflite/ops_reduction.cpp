// SPDX-License-Identifier: Apache-2.0
// Pools, reductions along axes, softmax.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "weft/formats/tflite/import.h"

namespace weft::formats::tflite {
namespace {

using Ints = std::vector<std::int64_t>;

Result<void> read_pool(const Call& call) {
  const Table& o = call.op.options;
  WEFT_TRY(const TensorDef* x, call.input(0));
  const TensorDef& y = call.output();
  WEFT_TRY(const Fused fused, call.fused(5));
  if (x->shape.size() != 4 || x->shape[0] != 1)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("an input of shape {}; convert with a batch of 1", weft::to_string(x->shape)));
  const auto padding = o.integer8(0);
  if (padding != 0 && padding != 1)
    return call.fail(Kind::AttributeUnsupported, fmt::format("padding {} is unknown", padding));
  AttributeMap geometry{{"pool", Ints{o.integer32(4), o.integer32(3)}},
                        {"strides", Ints{o.integer32(2), o.integer32(1)}},
                        {"padding", std::string(padding == 0 ? "same" : "valid")}};
  WEFT_TRY(const auto in, call.data(0));
  const Shape shape = sample_shape(y.shape);
  const bool max = call.op.name == "MAX_POOL_2D";
  if (!x->quantized()) {
    WEFT_TRY(auto functions, call.activation(fused));
    return call.set(call.add({.op = max ? "MaxPool" : "AveragePool",
                              .attributes = std::move(geometry),
                              .inputs = {in},
                              .functions = std::move(functions),
                              .shape = shape}));
  }
  if (x->scale() != y.scale() || x->zero_point() != y.zero_point() || x->type != y.type)
    return call.fail(Kind::ModelMalformed, "input and result of a pool must have one scale and zero point");
  WEFT_TRY(auto attributes, call.integer_attributes({x}, y, fused));
  if (!max) {
    attributes["zero_point"] = x->zero_point();
    attributes.merge(geometry);
    return call.set(
        call.add({.op = "IntegerAveragePool", .attributes = std::move(attributes), .inputs = {in}, .shape = shape}));
  }
  LayerDraft pool{.op = "MaxPool", .attributes = std::move(geometry), .inputs = {in}, .shape = shape};
  if (fused == Fused::None) return call.set(call.add(std::move(pool)));
  pool.suffix = "/pool";
  const auto pooled = call.add(std::move(pool));
  set_multipliers(attributes, {1.0});
  return call.set(
      call.add({.op = "IntegerRescale", .attributes = std::move(attributes), .inputs = {pooled}, .shape = shape}));
}

Result<void> read_reduction(const Call& call) {
  WEFT_TRY(const TensorDef* x, call.input(0));
  const TensorDef& y = call.output();
  WEFT_TRY(const auto list, call.integers(1, "the axes"));
  const auto rank = static_cast<std::int64_t>(x->shape.size());
  const bool keep = call.op.options.flag(0);
  const bool batched = rank > 0 && x->shape[0] == 1;
  Ints axes;
  std::int64_t count = 1;
  for (auto axis : list) {
    if (axis < -rank || axis >= rank) return call.fail(Kind::ModelMalformed, fmt::format("axis {} of {}", axis, rank));
    if (axis < 0) axis += rank;
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) continue;
    axes.push_back(axis);
    count *= x->shape[static_cast<std::size_t>(axis)];
  }
  // The batch of 1 adds nothing to a sum.
  if (batched) {
    std::erase(axes, 0);
    for (auto& axis : axes) --axis;
  }
  std::sort(axes.begin(), axes.end());
  const Shape in_shape = sample_shape(x->shape);
  WEFT_TRY(const auto in, call.data_as(0, in_shape));
  Shape shape;
  for (std::size_t d = 0; d < in_shape.size(); ++d) {
    const bool reduced = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(d)) != axes.end();
    if (!reduced) shape.push_back(in_shape[d]);
    if (reduced && keep) shape.push_back(1);
  }
  if (axes.empty()) return call.set(call.add({.op = "Identity", .inputs = {in}, .shape = in_shape}));
  AttributeMap attributes{{"axes", axes}, {"keepdims", keep}};
  const std::string& name = call.op.name;
  const bool extremum = name == "REDUCE_MAX" || name == "REDUCE_MIN";
  if (!x->quantized() || extremum) {
    if (x->quantized() && (x->scale() != y.scale() || x->zero_point() != y.zero_point()))
      return call.fail(Kind::ModelMalformed, "input and result must have one scale and zero point");
    const std::string op = name == "MEAN"         ? "ReduceMean"
                           : name == "SUM"        ? "ReduceSum"
                           : name == "REDUCE_MAX" ? "ReduceMax"
                                                  : "ReduceMin";
    return call.set(call.add({.op = op, .attributes = std::move(attributes), .inputs = {in}, .shape = shape}));
  }
  if (name == "SUM")
    return call.fail(
        Kind::LayerUnsupported,
        "sums of integers are not read: the results of the interpreter's reference kernel do not depend on "
        "its input; use MEAN or keep the sum in float");
  WEFT_TRY(auto integer, call.integer_attributes({x}, y));
  auto m = fixed::tflite::quantize_multiplier(static_cast<double>(x->scale()) / static_cast<double>(y.scale()));
  // The divisor goes into the mantissa, as far as the shift reaches.
  int shift = 63 - std::countl_zero(static_cast<std::uint64_t>(count));
  shift = std::min({shift, 32, 31 + m.shift});
  m.mantissa = static_cast<std::int32_t>((std::int64_t{m.mantissa} << shift) / count);
  m.shift -= shift;
  attributes.merge(integer);
  attributes["multipliers"] = Ints{m.mantissa};
  attributes["shifts"] = Ints{m.shift};
  return call.set(call.add({.op = "IntegerSum", .attributes = std::move(attributes), .inputs = {in}, .shape = shape}));
}

Result<void> read_softmax(const Call& call) {
  WEFT_TRY(const TensorDef* x, call.input(0));
  const TensorDef& y = call.output();
  const float beta = call.op.options.real(0);
  WEFT_TRY(const auto in, call.data(0));
  const Shape shape = call.shape_of(in);
  if (!x->quantized()) {
    if (beta != 1.0F) return call.fail(Kind::AttributeUnsupported, fmt::format("beta {}; only 1 is supported", beta));
    return call.set(call.add({.op = "Softmax", .inputs = {in}, .shape = shape}));
  }
  const bool wide = x->type == Type::Int16;
  const bool wide_result = y.type == Type::Int16;
  if ((!wide && x->type != Type::Int8 && x->type != Type::UInt8) || (wide && !wide_result) ||
      (!wide_result && y.type != Type::Int8 && y.type != Type::UInt8) || !(beta > 0.0F))
    return call.fail(Kind::LayerUnsupported, fmt::format("softmax of {} to {}", to_string(x->type), to_string(y.type)));
  WEFT_TRY(auto attributes, call.integer_attributes({x}, y));
  const std::int64_t lowest = wide ? 0 : limits_of(y.type).lo;
  if (y.zero_point() != lowest)
    return call.fail(Kind::ModelMalformed, fmt::format("the zero point of a softmax result is {}", lowest));
  if (wide) {
    attributes["lo"] = std::int64_t{0};
    set_multipliers(attributes, {static_cast<double>(x->scale() * beta) / (10.0 / 65535.0)});
  } else {
    const double real = static_cast<double>(beta) * static_cast<double>(x->scale()) * static_cast<double>(1 << 26);
    set_multipliers(attributes, {std::min(real, 2147483647.0)});
  }
  attributes["input_bits"] = std::int64_t{wide ? 16 : 8};
  attributes["bits"] = std::int64_t{wide_result ? 16 : 8};
  return call.set(
      call.add({.op = "IntegerSoftmax", .attributes = std::move(attributes), .inputs = {in}, .shape = shape}));
}

}  // namespace

std::vector<Operator> reduction_operators() {
  return {{"AVERAGE_POOL_2D", read_pool}, {"MAX_POOL_2D", read_pool},     {"MEAN", read_reduction},
          {"REDUCE_MAX", read_reduction}, {"REDUCE_MIN", read_reduction}, {"SOFTMAX", read_softmax},
          {"SUM", read_reduction}};
}

}  // namespace weft::formats::tflite
