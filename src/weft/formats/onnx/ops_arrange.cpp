// SPDX-License-Identifier: Apache-2.0
// Operators that arrange elements by constants: Expand, Tile, gathers by element, scatters onto data, triangles,
// reversed sequences, running sums, one-hot codes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"
#include "weft/layers/resample.h"

namespace weft::formats::onnx::ops {
namespace {

constexpr std::int64_t kMaxArranged = std::int64_t{1} << 24;

const Shape& shape_of(const Value& value) { return value.constant ? value.constant->shape : value.dynamic->shape; }

/// Indices into one sample, where the batch is axis 0 of both shapes and every sample is arranged alike.
std::optional<std::vector<std::int64_t>> of_one_sample(const Shape& from, const Shape& to,
                                                       const std::vector<std::int64_t>& indices) {
  if (from.empty() || to.empty() || from.front() != to.front()) return std::nullopt;
  const std::int64_t taken = element_count(from) / from.front();
  const auto given = indices.size() / static_cast<std::size_t>(to.front());
  std::vector<std::int64_t> out(indices.begin(), indices.begin() + static_cast<std::ptrdiff_t>(given));
  for (std::size_t e = 0; e < indices.size(); ++e) {
    const std::int64_t first = out[e % given];
    const std::int64_t here = first < 0 ? -1 : first + static_cast<std::int64_t>(e / given) * taken;
    if (first >= taken || indices[e] != here) return std::nullopt;
  }
  return out;
}

/// The input's elements at `indices` (flat in the ONNX shape, -1: `value`) under another shape; constants are folded.
/// `alike`: the operator treats every sample of a batch on axis 0 the same. That shows in the indices only where the
/// batch is read as more than one sample.
Result<Values> arranged(const Call& call, const Shape& shape, const std::vector<std::int64_t>& indices, double value,
                        bool alike = false) {
  if (call.inputs[0].constant) {
    const Constant& c = *call.inputs[0].constant;
    WEFT_TRY_VOID(call.spend_elements(shape));
    Constant out;
    out.shape = shape;
    out.element = c.element;
    for (const auto i : indices) {
      if (c.floating())
        out.floats.push_back(i < 0 ? static_cast<float>(value) : c.floats[static_cast<std::size_t>(i)]);
      else
        out.ints.push_back(i < 0 ? static_cast<std::int64_t>(value) : c.ints[static_cast<std::size_t>(i)]);
    }
    return Values{std::move(out)};
  }
  WEFT_TRY(Dynamic x, plain(call, 0, false));
  Shape sample = shape;
  std::vector<std::int64_t> picked = indices;
  if (x.batch_axis >= 0) {
    const bool shows = alike || call.builder.whole || call.builder.batch != 1;
    auto one = x.batch_axis == 0 && shows ? of_one_sample(x.shape, shape, indices) : std::nullopt;
    if (!one)
      return call.fail(Kind::LayerUnsupported,
                       fmt::format("data of shape {} is arranged across its batch", to_string(x.shape)));
    picked = std::move(*one);
    sample.erase(sample.begin());
  }
  WEFT_TRY(x.tensor,
           layer(call, "Pick", {x.tensor}, sample, {{"shape", sample}, {"indices", picked}, {"value", value}}, ""));
  x.shape = shape;
  return Values{std::move(x)};
}

/// Take layers along several axes; the last one carries the operator's name.
Result<Values> taken(const Call& call, Dynamic x, const std::vector<std::vector<std::int64_t>>& indices) {
  std::vector<std::size_t> axes;
  for (std::size_t d = 0; d < indices.size(); ++d)
    if (!indices[d].empty()) axes.push_back(d);
  if (axes.empty()) {
    WEFT_TRY(x.tensor, layer(call, "Identity", {x.tensor}, x.sample_shape(), {}, ""));
    return Values{std::move(x)};
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::int64_t>(axes[i]);
    if (axis == x.batch_axis)
      return call.fail(Kind::LayerUnsupported, fmt::format("the batch (axis {}) is stretched", axis));
    x.shape[axes[i]] = static_cast<std::int64_t>(indices[axes[i]].size());
    WEFT_TRY(x.tensor, layer(call, "Take", {x.tensor}, x.sample_shape(),
                             {{"axis", x.layer_axis(axis)}, {"indices", indices[axes[i]]}},
                             i + 1 == axes.size() ? "" : fmt::format("_axis{}", axis)));
  }
  return Values{std::move(x)};
}

/// Constant indices in [0, extent).
Result<std::vector<std::int64_t>> wrapped(const Call& call, const std::vector<std::int64_t>& given,
                                          std::int64_t extent) {
  std::vector<std::int64_t> out;
  for (const auto i : given) {
    if (i < -extent || i >= extent)
      return call.fail(Kind::ModelMalformed, fmt::format("index {} is outside of an axis of {}", i, extent));
    out.push_back(i < 0 ? i + extent : i);
  }
  return out;
}

/// The position of flat element e of `shape`.
Shape position_of(std::int64_t e, const Shape& shape) {
  Shape out(shape.size());
  for (std::size_t d = shape.size(); d-- > 0; e /= shape[d]) out[d] = e % shape[d];
  return out;
}
std::int64_t flat_of(const Shape& position, const Shape& shape) {
  std::int64_t out = 0;
  for (std::size_t d = 0; d < shape.size(); ++d) out = out * shape[d] + position[d];
  return out;
}

Result<void> require_size(const Call& call, const Shape& shape) {
  if (!checked_count(shape, kMaxArranged) || element_count(shape) == 0)
    return call.fail(Kind::LimitExceeded, fmt::format("the result has the shape {}; up to {} elements are arranged",
                                                      to_string(shape), kMaxArranged));
  return {};
}

/// Data with the constants `updates` in places, or data at places of a constant: Pick over both side by side.
Result<Values> scattered(const Call& call, const std::vector<std::int64_t>& places) {
  const Shape shape = shape_of(call.inputs[0]);
  Dynamic out;
  out.batch_axis = -1;
  std::vector<nn::TensorId> parts;
  for (const std::size_t i : {std::size_t{0}, std::size_t{2}}) {
    Dynamic part;
    if (call.inputs[i].constant) {
      WEFT_TRY(part, as_layer(call, *call.inputs[i].constant, static_cast<std::int64_t>(shape.size()), -1));
    } else {
      WEFT_TRY(part, plain(call, i, false));
      if (part.batch_axis >= 0)
        return call.fail(Kind::LayerUnsupported, "elements of a batch are scattered; give the file fixed shapes");
      out.element = part.element;
    }
    const std::int64_t n = element_count(part.shape);
    WEFT_TRY(const nn::TensorId flat,
             layer(call, "Reshape", {part.tensor}, {n}, {{"shape", Shape{n}}}, fmt::format("_flat{}", i)));
    parts.push_back(flat);
  }
  const std::int64_t base = element_count(shape);
  const std::int64_t both = base + static_cast<std::int64_t>(places.size());
  WEFT_TRY(const nn::TensorId joined, layer(call, "Concat", parts, {both}, {{"axis", std::int64_t{0}}}, "_joined"));
  std::vector<std::int64_t> indices(static_cast<std::size_t>(base));
  std::iota(indices.begin(), indices.end(), std::int64_t{0});
  for (std::size_t u = 0; u < places.size(); ++u)
    indices[static_cast<std::size_t>(places[u])] = base + static_cast<std::int64_t>(u);
  out.shape = shape;
  WEFT_TRY(out.tensor, layer(call, "Pick", {joined}, shape, {{"shape", shape}, {"indices", indices}}, ""));
  return Values{std::move(out)};
}

Result<void> require_plain_scatter(const Call& call) {
  WEFT_TRY(const std::string how, call.get_string("reduction", "none"));
  if (how != "none")
    return call.fail(Kind::AttributeUnsupported, fmt::format("`reduction` is `{}`; none is supported", how));
  return {};
}

}  // namespace

Result<Values> expand_data(Call& call) {
  WEFT_TRY(const auto target, call.integers(1, "the shape"));
  WEFT_TRY(Dynamic x, plain(call, 0, false));
  const auto to = tensor::broadcast(x.shape, target);
  if (!to.ok)
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("shapes {} and {} do not broadcast", to_string(x.shape), to_string(target)));
  WEFT_TRY_VOID(require_size(call, to.shape));
  const std::size_t more = to.shape.size() - x.shape.size();
  if (more != 0) {
    x.shape.insert(x.shape.begin(), more, 1);
    if (x.batch_axis >= 0) x.batch_axis += static_cast<std::int64_t>(more);
    WEFT_TRY(x.tensor, layer(call, "Reshape", {x.tensor}, x.sample_shape(), {{"shape", x.sample_shape()}}, "_view"));
  }
  std::vector<std::vector<std::int64_t>> indices(to.shape.size());
  for (std::size_t d = 0; d < to.shape.size(); ++d)
    if (to.shape[d] != x.shape[d]) indices[d].assign(static_cast<std::size_t>(to.shape[d]), 0);
  return taken(call, std::move(x), indices);
}

Result<Values> tile(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const auto repeats, call.integers(1, "the repeats"));
  Shape shape = shape_of(call.inputs[0]);
  if (repeats.size() != shape.size())
    return call.fail(Kind::ShapeMismatch, fmt::format("{} repeats for {} axes", repeats.size(), shape.size()));
  const Shape from = shape;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (repeats[d] < 1 || repeats[d] > kMaxArranged || from[d] > kMaxArranged)
      return call.fail(Kind::ShapeMismatch, fmt::format("an axis is repeated {} times", repeats[d]));
    shape[d] *= repeats[d];
  }
  WEFT_TRY_VOID(require_size(call, shape));
  std::vector<std::vector<std::int64_t>> indices(shape.size());
  for (std::size_t d = 0; d < shape.size(); ++d)
    for (std::int64_t i = 0; repeats[d] != 1 && i < shape[d]; ++i) indices[d].push_back(i % from[d]);
  if (call.inputs[0].dynamic) {
    WEFT_TRY(Dynamic x, plain(call, 0, false));
    return taken(call, std::move(x), indices);
  }
  std::vector<std::int64_t> flat;
  for (std::int64_t e = 0; e < element_count(shape); ++e) {
    Shape at = position_of(e, shape);
    for (std::size_t d = 0; d < at.size(); ++d) at[d] %= from[d];
    flat.push_back(flat_of(at, from));
  }
  return arranged(call, shape, flat, 0);
}

Result<Values> gather_elements(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the data is missing");
  const Shape from = shape_of(call.inputs[0]);
  WEFT_TRY(const ConstantPtr indices, call.constant(1, "the indices"));
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(from.size())));
  if (indices->floating() || indices->shape.size() != from.size())
    return call.fail(Kind::ModelMalformed, "the indices are no integers of the data's rank");
  WEFT_TRY_VOID(require_size(call, indices->shape));
  WEFT_TRY(const auto places, wrapped(call, indices->ints, from[static_cast<std::size_t>(axis)]));
  std::vector<std::int64_t> flat;
  for (std::size_t e = 0; e < places.size(); ++e) {
    Shape at = position_of(static_cast<std::int64_t>(e), indices->shape);
    at[static_cast<std::size_t>(axis)] = places[e];
    for (std::size_t d = 0; d < at.size(); ++d)
      if (at[d] >= from[d]) return call.fail(Kind::ShapeMismatch, "the indices reach beyond the data");
    flat.push_back(flat_of(at, from));
  }
  return arranged(call, indices->shape, flat, 0);
}

Result<Values> gather_nd(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the data is missing");
  const Shape from = shape_of(call.inputs[0]);
  WEFT_TRY(const ConstantPtr indices, call.constant(1, "the indices"));
  WEFT_TRY(const std::int64_t given, call.get_int("batch_dims", 0));
  if (indices->floating() || indices->shape.empty() || given < 0 ||
      given >= static_cast<std::int64_t>(std::min(from.size(), indices->shape.size())))
    return call.fail(Kind::ModelMalformed, "the indices are no integers, or `batch_dims` does not fit");
  const auto shared = static_cast<std::size_t>(given);
  const auto depth = static_cast<std::size_t>(indices->shape.back());
  if (indices->shape.back() < 1 || shared + depth > from.size())
    return call.fail(Kind::ShapeMismatch, "the indices have more entries than the data has axes");
  for (std::size_t d = 0; d < shared; ++d)
    if (indices->shape[d] != from[d]) return call.fail(Kind::ShapeMismatch, "the first axes differ");
  Shape shape(indices->shape.begin(), indices->shape.end() - 1);
  const Shape inner(from.begin() + static_cast<std::ptrdiff_t>(shared + depth), from.end());
  shape.insert(shape.end(), inner.begin(), inner.end());
  WEFT_TRY_VOID(require_size(call, shape));
  const std::int64_t block = element_count(inner);
  std::vector<std::int64_t> flat;
  for (std::size_t i = 0; i < indices->ints.size() / depth; ++i) {
    Shape at = position_of(static_cast<std::int64_t>(i), Shape(indices->shape.begin(), indices->shape.end() - 1));
    at.resize(shared);
    for (std::size_t k = 0; k < depth; ++k) {
      WEFT_TRY(const auto place, wrapped(call, {indices->ints[i * depth + k]}, from[shared + k]));
      at.push_back(place[0]);
    }
    const std::int64_t start =
        flat_of(at, Shape(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(shared + depth))) * block;
    for (std::int64_t b = 0; b < block; ++b) flat.push_back(start + b);
  }
  return arranged(call, shape, flat, 0);
}

Result<Values> scatter_elements(Call& call) {
  WEFT_TRY_VOID(require_plain_scatter(call));
  if (!call.has_input(0) || !call.has_input(2)) return call.fail(Kind::ModelMalformed, "an input is missing");
  const Shape from = shape_of(call.inputs[0]);
  WEFT_TRY(const ConstantPtr indices, call.constant(1, "the indices"));
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(from.size())));
  if (indices->floating() || indices->shape.size() != from.size() || shape_of(call.inputs[2]) != indices->shape)
    return call.fail(Kind::ModelMalformed, "indices and updates do not fit together");
  WEFT_TRY_VOID(require_size(call, from));
  WEFT_TRY(const auto places, wrapped(call, indices->ints, from[static_cast<std::size_t>(axis)]));
  std::vector<std::int64_t> flat;
  for (std::size_t e = 0; e < places.size(); ++e) {
    Shape at = position_of(static_cast<std::int64_t>(e), indices->shape);
    at[static_cast<std::size_t>(axis)] = places[e];
    for (std::size_t d = 0; d < at.size(); ++d)
      if (at[d] >= from[d]) return call.fail(Kind::ShapeMismatch, "the indices reach beyond the data");
    flat.push_back(flat_of(at, from));
  }
  return scattered(call, flat);
}

Result<Values> scatter_nd(Call& call) {
  WEFT_TRY_VOID(require_plain_scatter(call));
  if (!call.has_input(0) || !call.has_input(2)) return call.fail(Kind::ModelMalformed, "an input is missing");
  const Shape from = shape_of(call.inputs[0]);
  WEFT_TRY(const ConstantPtr indices, call.constant(1, "the indices"));
  if (indices->floating() || indices->shape.empty() || indices->shape.back() < 1 ||
      indices->shape.back() > static_cast<std::int64_t>(from.size()))
    return call.fail(Kind::ModelMalformed, "the indices do not fit the data");
  const auto depth = static_cast<std::size_t>(indices->shape.back());
  Shape wanted(indices->shape.begin(), indices->shape.end() - 1);
  const Shape inner(from.begin() + static_cast<std::ptrdiff_t>(depth), from.end());
  wanted.insert(wanted.end(), inner.begin(), inner.end());
  if (wanted != shape_of(call.inputs[2])) return call.fail(Kind::ShapeMismatch, "the updates do not fit the indices");
  WEFT_TRY_VOID(require_size(call, from));
  std::vector<std::int64_t> flat;
  const std::int64_t block = element_count(inner);
  for (std::size_t i = 0; i < indices->ints.size() / depth; ++i) {
    Shape at;
    for (std::size_t k = 0; k < depth; ++k) {
      WEFT_TRY(const auto place, wrapped(call, {indices->ints[i * depth + k]}, from[k]));
      at.push_back(place[0]);
    }
    const std::int64_t start =
        flat_of(at, Shape(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(depth))) * block;
    for (std::int64_t b = 0; b < block; ++b) flat.push_back(start + b);
  }
  return scattered(call, flat);
}

Result<Values> trilu(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  const Shape shape = shape_of(call.inputs[0]);
  WEFT_TRY(const std::int64_t upper, call.get_int("upper", 1));
  std::int64_t k = 0;
  if (call.has_input(1)) {
    WEFT_TRY(const auto list, call.integers(1, "the diagonal"));
    if (list.size() != 1) return call.fail(Kind::ShapeMismatch, "the diagonal is no single number");
    k = std::clamp<std::int64_t>(list.front(), -kMaxArranged, kMaxArranged);
  }
  if (shape.size() < 2) return call.fail(Kind::ShapeMismatch, "a triangle needs two axes");
  WEFT_TRY_VOID(require_size(call, shape));
  std::vector<std::int64_t> flat;
  const std::int64_t rows = shape[shape.size() - 2];
  const std::int64_t columns = shape.back();
  for (std::int64_t e = 0; e < element_count(shape); ++e) {
    const std::int64_t offset = e % columns - e / columns % rows;
    flat.push_back((upper != 0 ? offset >= k : offset <= k) ? e : -1);
  }
  return arranged(call, shape, flat, 0, shape.size() > 2);
}

Result<Values> reverse_sequence(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  const Shape shape = shape_of(call.inputs[0]);
  WEFT_TRY(const auto lengths, call.integers(1, "the lengths"));
  WEFT_TRY(const std::int64_t batch, call.get_int("batch_axis", 1));
  WEFT_TRY(const std::int64_t time, call.get_int("time_axis", 0));
  if (shape.size() < 2 || batch + time != 1 || batch * time != 0 ||
      static_cast<std::int64_t>(lengths.size()) != shape[static_cast<std::size_t>(batch)])
    return call.fail(Kind::ShapeMismatch, "the lengths do not fit the data");
  WEFT_TRY_VOID(require_size(call, shape));
  std::vector<std::int64_t> flat;
  for (std::int64_t e = 0; e < element_count(shape); ++e) {
    Shape at = position_of(e, shape);
    const std::int64_t n = lengths[static_cast<std::size_t>(at[static_cast<std::size_t>(batch)])];
    auto& t = at[static_cast<std::size_t>(time)];
    if (n < 0 || n > shape[static_cast<std::size_t>(time)])
      return call.fail(Kind::ShapeMismatch, fmt::format("a length is {}", n));
    if (t < n) t = n - 1 - t;
    flat.push_back(flat_of(at, shape));
  }
  return arranged(call, shape, flat, 0);
}

Result<Values> compress(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  Shape shape = shape_of(call.inputs[0]);
  WEFT_TRY(const auto condition, call.integers(1, "the condition"));
  std::int64_t axis = 0;
  if (call.has_attribute("axis")) {
    WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
    WEFT_TRY(axis, call.axis(given, static_cast<std::int64_t>(shape.size())));
  } else {
    shape = {element_count(shape)};
  }
  WEFT_TRY_VOID(require_size(call, shape));
  const Shape from = shape;
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < condition.size() && static_cast<std::int64_t>(i) < from[static_cast<std::size_t>(axis)];
       ++i)
    if (condition[i] != 0) kept.push_back(static_cast<std::int64_t>(i));
  shape[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(kept.size());
  WEFT_TRY_VOID(require_size(call, shape));
  std::vector<std::int64_t> flat;
  for (std::int64_t e = 0; e < element_count(shape); ++e) {
    Shape at = position_of(e, shape);
    auto& i = at[static_cast<std::size_t>(axis)];
    i = kept[static_cast<std::size_t>(i)];
    flat.push_back(flat_of(at, from));
  }
  return arranged(call, shape, flat, 0);
}

Result<Values> cum_sum(Call& call) {
  WEFT_TRY(const Dynamic x, call.data(0));
  WEFT_TRY(const auto list, call.integers(1, "the axis"));
  if (list.size() != 1) return call.fail(Kind::ShapeMismatch, "the axis is no single number");
  WEFT_TRY(const std::int64_t axis, call.axis(list.front(), x.rank()));
  WEFT_TRY(const std::int64_t exclusive, call.get_int("exclusive", 0));
  WEFT_TRY(const std::int64_t reverse, call.get_int("reverse", 0));
  const std::int64_t n = x.shape[static_cast<std::size_t>(axis)];
  if (n > (1 << 12) || x.rank() > 20) return call.fail(Kind::LimitExceeded, "a running sum over too many elements");
  std::vector<double> triangle;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t o = 0; o < n; ++o) {
      const std::int64_t before = reverse != 0 ? i - o : o - i;
      triangle.push_back(before > 0 || (before == 0 && exclusive == 0) ? 1.0 : 0.0);
    }
  Constant kernel;
  kernel.shape = {n, n};
  for (const auto v : triangle) {
    kernel.floats.push_back(static_cast<float>(v));
    kernel.codes.push_back(static_cast<std::int64_t>(v));
    kernel.scales.push_back(1.0F);
  }
  std::string labels;
  for (std::int64_t d = 0; d < x.rank(); ++d) labels += static_cast<char>('a' + d);
  std::string out = labels;
  out[static_cast<std::size_t>(axis)] = 'Z';
  WEFT_TRY(Dynamic y, einsum_layer(call, {Value(x), Value(std::move(kernel))},
                                   {labels, std::string(1, labels[static_cast<std::size_t>(axis)]) + "Z"}, out, ""));
  y.element = x.element;
  return Values{std::move(y)};
}

Result<Values> embedding(Call& call) {
  const Constant& data = *call.inputs[0].constant;
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(data.shape.size())));
  WEFT_TRY(Dynamic x, plain(call, 1, false));
  if (is_floating(x.element)) return call.fail(Kind::ModelMalformed, "the indices are no integers");
  if (axis != 0)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("rows of a constant along axis {} by data; axis 0 is supported", axis));
  Constant table = data;
  if (!table.floating()) {
    table.floats = as_floats(data);
    table.codes = data.ints;
    table.scales.assign(data.ints.size(), 1.0F);
    table.ints.clear();
    table.element = Element::Float32;
  }
  const std::int64_t rows = data.shape[0];
  const std::int64_t columns = rows == 0 ? 0 : element_count(data.shape) / rows;
  if (rows < 1 || columns < 1) return call.fail(Kind::ShapeMismatch, "the table has no elements");
  WEFT_TRY_VOID(call.require_finite(table.floats, "the table"));
  const Shape inner(data.shape.begin() + 1, data.shape.end());
  Shape flat = x.sample_shape();
  flat.push_back(columns);
  const bool direct = inner.size() == 1;
  LayerDraft draft{.op = "Embedding", .inputs = {x.tensor}, .shape = flat, .suffix = direct ? "" : "_rows"};
  draft.parameters.emplace("table", to_parameter(with_shape(table, {rows, columns})));
  WEFT_TRY(x.tensor, call.add(std::move(draft), direct));
  x.element = data.element;
  x.shape.insert(x.shape.end(), inner.begin(), inner.end());
  if (!direct) {
    const Shape shape = x.sample_shape();
    WEFT_TRY(x.tensor, layer(call, "Reshape", {x.tensor}, shape, {{"shape", shape}}, ""));
  }
  return Values{std::move(x)};
}

Result<Values> one_hot(Call& call) {
  WEFT_TRY(const ConstantPtr depth, call.constant(1, "the depth"));
  WEFT_TRY(const ConstantPtr pair, call.constant(2, "the values"));
  WEFT_TRY(const std::int64_t given, call.get_int("axis", -1));
  const Shape& from = shape_of(call.inputs[0]);
  const auto rank = static_cast<std::int64_t>(from.size());
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank + 1));
  if (depth->size() != 1 || pair->size() != 2) return call.fail(Kind::ShapeMismatch, "depth and values do not fit");
  const float wide = as_floats(*depth).front();
  if (!(wide >= 1) || wide > (1 << 16)) return call.fail(Kind::LimitExceeded, "the depth is no number up to 65536");
  const auto n = static_cast<std::int64_t>(wide);
  const auto values = as_floats(*pair);
  WEFT_TRY(Dynamic x, plain(call, 0, false));
  Constant table;
  table.shape = {n, n};
  for (std::int64_t i = 0; i < n * n; ++i) table.floats.push_back(i % (n + 1) == 0 ? values[1] : values[0]);
  Shape shape = x.sample_shape();
  shape.push_back(n);
  LayerDraft draft{.op = "Embedding", .inputs = {x.tensor}, .shape = shape, .suffix = axis == rank ? "" : "_last"};
  draft.parameters.emplace(
      "table", layers::weights_parameter(table.shape, std::vector<double>(table.floats.begin(), table.floats.end())));
  WEFT_TRY(nn::TensorId tensor, call.add(std::move(draft), axis == rank));
  Dynamic out = x;
  out.element = pair->element;
  out.shape.insert(out.shape.begin() + axis, n);
  if (x.batch_axis >= 0 && axis <= x.batch_axis) ++out.batch_axis;
  if (axis != rank) {
    // The new axis lies last; its place among the sample's axes is layer_axis.
    const auto at = out.layer_axis(axis);
    std::vector<std::int64_t> permutation;
    for (std::int64_t d = 0; d + 1 < static_cast<std::int64_t>(shape.size()); ++d) {
      if (d == at) permutation.push_back(static_cast<std::int64_t>(shape.size()) - 1);
      permutation.push_back(d);
    }
    WEFT_TRY(tensor, layer(call, "Permute", {tensor}, out.sample_shape(), {{"permutation", permutation}}, ""));
  }
  out.tensor = tensor;
  return Values{std::move(out)};
}

Result<Values> range(Call& call) {
  WEFT_TRY(const ConstantPtr start, call.constant(0, "the start"));
  WEFT_TRY(const ConstantPtr limit, call.constant(1, "the limit"));
  WEFT_TRY(const ConstantPtr delta, call.constant(2, "the step"));
  if (start->size() != 1 || limit->size() != 1 || delta->size() != 1 || start->element != limit->element ||
      start->element != delta->element)
    return call.fail(Kind::ModelMalformed, "start, limit and step are no single numbers of one type");
  Constant out;
  out.element = start->element;
  const double a = start->floating() ? start->floats[0] : static_cast<double>(start->ints[0]);
  const double b = limit->floating() ? limit->floats[0] : static_cast<double>(limit->ints[0]);
  const double s = delta->floating() ? delta->floats[0] : static_cast<double>(delta->ints[0]);
  const double count = s == 0 ? -1.0 : std::max(std::ceil((b - a) / s), 0.0);
  if (!(count >= 0) || count > static_cast<double>(kMaxArranged))
    return call.fail(Kind::LimitExceeded, "the range is endless or too long");
  const auto n = static_cast<std::int64_t>(count);
  out.shape = {n};
  WEFT_TRY_VOID(call.spend_elements(out.shape));
  for (std::int64_t i = 0; i < n; ++i) {
    if (start->floating())
      out.floats.push_back(static_cast<float>(a + static_cast<double>(i) * s));
    else
      out.ints.push_back(start->ints[0] + i * delta->ints[0]);
  }
  return Values{std::move(out)};
}

}  // namespace weft::formats::onnx::ops
