// SPDX-License-Identifier: Apache-2.0
// ArgMax, ArgMin, TopK along any axis.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

/// A tensor as outer x along x inner around one axis.
struct Split {
  std::size_t outer = 1;
  std::size_t along = 1;
  std::size_t inner = 1;
};

Split split_at(const Shape& shape, std::int64_t axis) {
  Split out;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    auto& part = static_cast<std::int64_t>(d) < axis ? out.outer
                                                     : (static_cast<std::int64_t>(d) == axis ? out.along : out.inner);
    part *= static_cast<std::size_t>(shape[d]);
  }
  return out;
}

/// Which elements come first.
struct Order {
  bool smallest = false;
  bool last = false;  ///< of equal ones
};

struct Largest {
  Constant positions;                ///< along the axis
  std::vector<std::size_t> indices;  ///< into the whole tensor
};

/// The k largest elements of every row, the first of equal ones first.
Result<Largest> fold_largest(const Call& call, const Constant& x, const Split& split, std::size_t k, Shape shape,
                             const Order& how) {
  if (std::any_of(x.floats.begin(), x.floats.end(), [](float v) { return std::isnan(v); })) {
    return call.fail(Kind::ModelMalformed, "the largest of constants that hold NaN is not defined");
  }
  WEFT_TRY_VOID(call.spend_elements(x.shape));
  Largest out;
  out.positions.shape = std::move(shape);
  out.positions.element = Element::Int64;
  out.positions.ints.resize(split.outer * k * split.inner);
  out.indices.resize(out.positions.ints.size());
  std::vector<std::size_t> order(split.along);
  for (std::size_t row = 0; row < split.outer * split.inner; ++row) {
    const std::size_t base = row / split.inner * split.along * split.inner + row % split.inner;
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (how.last) std::reverse(order.begin(), order.end());
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      if (how.smallest) std::swap(a, b);
      if (!x.floating()) return x.ints[base + a * split.inner] > x.ints[base + b * split.inner];
      return x.floats[base + a * split.inner] > x.floats[base + b * split.inner];
    });
    for (std::size_t j = 0; j < k; ++j) {
      const std::size_t at = (row / split.inner * k + j) * split.inner + row % split.inner;
      out.positions.ints[at] = static_cast<std::int64_t>(order[j]);
      out.indices[at] = base + order[j] * split.inner;
    }
  }
  return out;
}

/// `x` as a layer input with `axis` last; `permutation` is what has to be undone, if anything.
struct Rows {
  Dynamic x;
  nn::TensorId tensor;
  Shape shape;
  std::vector<std::int64_t> permutation;
};
Result<Rows> rows_along(const Call& call, const Dynamic& x, std::int64_t axis) {
  const bool channels = x.has_channels() && axis == 1;
  const bool tail = std::all_of(x.shape.begin() + axis + 1, x.shape.end(), [](auto e) { return e == 1; });
  if (axis == x.batch_axis || channels || (tail && !x.channels_last)) {
    WEFT_TRY(const Call::LastAxis view, call.with_last_axis(x, axis, "the search"));
    return Rows{view.x, view.tensor, view.shape, {}};
  }
  WEFT_TRY(Dynamic flat, call.in_onnx_order(x));
  WEFT_TRY(flat.tensor, call.as_sample_shape(flat, flat.sample_shape()));
  WEFT_TRY(const Turned turned, turn_to_end(call, flat, axis));
  return Rows{flat, turned.tensor, turned.shape, turned.permutation};
}

/// The indices of the first k elements; also their values.
Result<Values> search_layers(const Call& call, const Dynamic& x, std::int64_t axis, std::int64_t k, bool keepdims,
                             const Order& how, bool indices, bool values) {
  WEFT_TRY(const Rows rows, rows_along(call, x, axis));
  Shape shape = rows.shape;
  if (keepdims || !rows.permutation.empty())
    shape.back() = k;
  else
    shape.pop_back();
  const bool turned = !rows.permutation.empty();
  Values out(2);
  for (const bool is_index : {false, true}) {
    if (!(is_index ? indices : values)) continue;
    AttributeMap attributes{{"k", k}};
    if (is_index) attributes["keepdims"] = keepdims || turned;
    if (how.smallest) attributes["smallest"] = true;
    if (is_index && how.last) attributes["last"] = true;
    const bool main = is_index || !indices;
    Call named = call;
    if (call.node.outputs.size() > 1) named.origin.tensor = call.node.outputs[is_index ? 1 : 0];
    Dynamic y = rows.x;
    y.shape[static_cast<std::size_t>(axis)] = k;
    if (is_index) y.element = Element::Int64;
    WEFT_TRY(y.tensor, named.add({.op = is_index ? "ArgMax" : "TopK",
                                  .attributes = std::move(attributes),
                                  .inputs = {rows.tensor},
                                  .shape = shape,
                                  .suffix = turned ? (is_index ? "_indices" : "_values")
                                            : main ? ""
                                                   : "_values"},
                                 !turned));
    if (turned) {
      std::vector<std::int64_t> back(rows.permutation.size());
      for (std::size_t d = 0; d < back.size(); ++d)
        back[static_cast<std::size_t>(rows.permutation[d])] = static_cast<std::int64_t>(d);
      const Shape to = y.sample_shape();
      WEFT_TRY(y.tensor, named.add({.op = "Permute",
                                    .attributes = {{"permutation", back}},
                                    .inputs = {y.tensor},
                                    .shape = to,
                                    .suffix = main && keepdims ? "" : "_back"},
                                   keepdims));
    }
    if (!keepdims) {
      // What is left lies in ONNX order: the channels are gone, or they were not last.
      y.channels_last = false;
      y.shape.erase(y.shape.begin() + static_cast<std::ptrdiff_t>(axis));
      if (y.batch_axis > axis) --y.batch_axis;
      if (turned) {
        const Shape to = y.sample_shape();
        WEFT_TRY(y.tensor,
                 named.add({.op = "Reshape", .attributes = {{"shape", to}}, .inputs = {y.tensor}, .shape = to}));
      }
    }
    out[is_index ? 1 : 0] = Value(std::move(y));
  }
  return out;
}

Result<Values> arg_search(Call& call, bool smallest) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t keepdims, call.get_int("keepdims", 1));
  WEFT_TRY(const std::int64_t last, call.get_int("select_last_index", 0));
  const Order how{.smallest = smallest, .last = last != 0};
  const Shape& full = call.inputs[0].constant ? call.inputs[0].constant->shape : call.inputs[0].dynamic->shape;
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(full.size())));
  if (call.inputs[0].constant) {
    const Split split = split_at(full, axis);
    if (split.along == 0) return call.fail(Kind::ShapeMismatch, "an empty axis has no largest element");
    Shape shape = full;
    shape[static_cast<std::size_t>(axis)] = 1;
    if (keepdims == 0) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    WEFT_TRY(Largest largest, fold_largest(call, *call.inputs[0].constant, split, 1, std::move(shape), how));
    return Values{std::move(largest.positions)};
  }
  WEFT_TRY(const Dynamic x, call.data(0));
  WEFT_TRY(Values out, search_layers(call, x, axis, 1, keepdims != 0, how, true, false));
  return Values{std::move(out[1])};
}

}  // namespace

Result<Values> argmax(Call& call) { return arg_search(call, false); }
Result<Values> argmin(Call& call) { return arg_search(call, true); }

Result<Values> top_k(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const std::int64_t given, call.get_int("axis", -1));
  WEFT_TRY(const std::int64_t largest, call.get_int("largest", 1));
  WEFT_TRY(std::int64_t k, call.get_int("k", 1));
  if (call.has_input(1)) {
    WEFT_TRY(const auto list, call.integers(1, "k"));
    if (list.size() != 1) return call.fail(Kind::ShapeMismatch, "k is no single number");
    k = list.front();
  } else if (!call.has_attribute("k")) {
    return call.fail(Kind::ModelMalformed, "k is missing");
  }
  const Order how{.smallest = largest == 0};
  const Shape& full = call.inputs[0].constant ? call.inputs[0].constant->shape : call.inputs[0].dynamic->shape;
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(full.size())));
  if (k < 1 || k > full[static_cast<std::size_t>(axis)]) {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("k is {}, the axis has {} elements", k, full[static_cast<std::size_t>(axis)]));
  }
  if (call.inputs[0].constant) {
    Shape shape = full;
    shape[static_cast<std::size_t>(axis)] = k;
    WEFT_TRY(Largest found, fold_largest(call, *call.inputs[0].constant, split_at(full, axis),
                                         static_cast<std::size_t>(k), shape, how));
    Constant values = pick(*call.inputs[0].constant, std::move(shape), found.indices);
    return Values{std::move(values), std::move(found.positions)};
  }
  WEFT_TRY(const Dynamic x, call.data(0));
  const auto wanted = [&](std::size_t i) { return i < call.used.size() && call.used[i]; };
  return search_layers(call, x, axis, k, true, how, wanted(1), wanted(0));
}

}  // namespace weft::formats::onnx::ops
