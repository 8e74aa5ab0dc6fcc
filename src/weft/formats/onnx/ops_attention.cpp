// SPDX-License-Identifier: Apache-2.0
// Attention (operator sets 23 and on) and RotaryEmbedding, composed of products, softmax and data movement in the order
// of ONNX' definition. Masks known when the file is read become places that never count.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

/// Far below every score: exp of the distance is zero in float32, as of minus infinity.
constexpr float kMasked = std::numeric_limits<float>::lowest();
constexpr std::int64_t kMaxScores = std::int64_t{1} << 24;

Result<Dynamic> reshaped(const Call& call, Dynamic x, Shape shape, const std::string& suffix) {
  x.shape = std::move(shape);
  const Shape sample = x.sample_shape();
  WEFT_TRY(x.tensor, layer(call, "Reshape", {x.tensor}, sample, {{"shape", sample}}, suffix));
  return x;
}

/// Swaps axes 1 and 2 of four; the batch, if any, is axis 0.
Result<Dynamic> swapped(const Call& call, Dynamic x, const std::string& suffix) {
  std::swap(x.shape[1], x.shape[2]);
  const std::vector<std::int64_t> permutation =
      x.batch_axis < 0 ? std::vector<std::int64_t>{0, 2, 1, 3} : std::vector<std::int64_t>{1, 0, 2};
  WEFT_TRY(x.tensor, layer(call, "Permute", {x.tensor}, x.sample_shape(), {{"permutation", permutation}}, suffix));
  return x;
}

/// Input i as [N, heads, sequence, size]; `heads` splits the last axis of three.
Result<Dynamic> in_heads(const Call& call, std::size_t i, std::int64_t heads) {
  Dynamic x;
  if (call.has_input(i) && call.inputs[i].constant) {
    // The batch of the queries is the batch of all.
    WEFT_TRY(const Dynamic q, call.data(0));
    WEFT_TRY(x, as_layer(call, *call.inputs[i].constant, q.rank(), q.batch_axis));
  } else {
    WEFT_TRY(x, plain(call, i));
  }
  if (x.batch_axis > 0) return call.fail(Kind::LayerUnsupported, "the batch is not axis 0");
  if (x.rank() == 4) return x;
  if (x.rank() != 3 || heads < 1 || x.shape[2] % heads != 0)
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} in {} heads", to_string(x.shape), heads));
  const Shape apart{x.shape[0], x.shape[1], heads, x.shape[2] / heads};
  WEFT_TRY(x, reshaped(call, std::move(x), apart, fmt::format("_apart{}", i)));
  return swapped(call, std::move(x), fmt::format("_heads{}", i));
}

/// The cache in input `i` in front of x.
Result<Dynamic> with_past(const Call& call, std::size_t i, Dynamic x) {
  if (!call.has_input(i)) return x;
  Dynamic past;
  if (call.inputs[i].constant) {
    WEFT_TRY(past, as_layer(call, *call.inputs[i].constant, 4, x.batch_axis));
  } else {
    WEFT_TRY(past, plain(call, i));
  }
  if (past.rank() != 4 || past.batch_axis != x.batch_axis || past.shape[1] != x.shape[1] || past.shape[3] != x.shape[3])
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("a cache of shape {} in front of {}", to_string(past.shape), to_string(x.shape)));
  x.shape[2] += past.shape[2];
  WEFT_TRY(x.tensor, layer(call, "Concat", {past.tensor, x.tensor}, x.sample_shape(), {{"axis", x.layer_axis(2)}},
                           fmt::format("_present{}", i)));
  return x;
}

Result<Dynamic> repeated_heads(const Call& call, Dynamic x, std::int64_t heads, const std::string& suffix) {
  const std::int64_t have = x.shape[1];
  if (have == heads) return x;
  if (heads % have != 0) return call.fail(Kind::ShapeMismatch, fmt::format("{} heads share {}", heads, have));
  std::vector<std::int64_t> indices;
  for (std::int64_t h = 0; h < heads; ++h) indices.push_back(h / (heads / have));
  x.shape[1] = heads;
  WEFT_TRY(x.tensor, layer(call, "Take", {x.tensor}, x.sample_shape(),
                           {{"axis", x.layer_axis(1)}, {"indices", indices}}, suffix));
  return x;
}

/// What is added to the scores, per element of their sample; -infinity where nothing counts.
struct Bias {
  std::vector<float> values;
  bool any = false;     ///< something is not zero
  bool masks = false;   ///< something is minus infinity
  bool finite = false;  ///< something is finite and not zero
};

struct Mask {
  ConstantPtr given;  ///< may be absent
  bool causal = false;
  std::int64_t left = -1;
  std::int64_t right = -1;
  std::int64_t past = 0;
  std::vector<std::int64_t> lengths;  ///< of the keys, per sample
};

Result<Bias> bias_of(const Call& call, const Mask& mask, const Dynamic& scores) {
  const Shape shape = scores.shape;
  const Shape sample = scores.sample_shape();
  if (!checked_count(shape, kMaxScores))
    return call.fail(Kind::LimitExceeded, fmt::format("scores of shape {}", to_string(shape)));
  WEFT_TRY_VOID(call.spend_elements(shape));
  std::vector<float> given(1, 0.0F);
  std::vector<std::size_t> from;
  std::int64_t keys = shape[3];
  if (mask.given) {
    Shape own = mask.given->shape;
    if (own.empty() || own.back() > keys) return call.fail(Kind::ShapeMismatch, "the mask does not fit the keys");
    const std::int64_t width = own.back();
    // A mask that is too short does not let the keys behind it count.
    if (width != keys && width != 1) keys = width;
    Shape reach = shape;
    reach.back() = keys;
    const auto both = tensor::broadcast(own, reach);
    if (!both.ok || both.shape != reach)
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("a mask of shape {} for scores of shape {}", to_string(own), to_string(shape)));
    from = broadcast_indices(own, reach);
    given = as_floats(*mask.given);
    if (mask.given->element == Element::Bool)
      for (auto& v : given) v = v != 0.0F ? 0.0F : -std::numeric_limits<float>::infinity();
    for (const float v : given)
      if (std::isnan(v)) return call.fail(Kind::ModelMalformed, "the mask holds NaN");
  }
  Bias out;
  std::vector<float> all(static_cast<std::size_t>(element_count(shape)));
  for (std::size_t e = 0; e < all.size(); ++e) {
    const auto k = static_cast<std::int64_t>(e) % shape[3];
    const auto row = static_cast<std::int64_t>(e) / shape[3];
    const std::int64_t q = row % shape[2];
    const auto n = static_cast<std::size_t>(row / shape[2] / shape[1]);
    const std::int64_t length = mask.lengths.empty() ? shape[3] : mask.lengths[mask.lengths.size() == 1 ? 0 : n];
    const std::int64_t offset = mask.lengths.empty() ? mask.past : length - shape[2];
    bool open = k < length && (!mask.causal || k <= q + offset);
    if (mask.left >= 0) open = open && q + offset - k <= mask.left;
    if (mask.right >= 0) open = open && k - q - offset <= mask.right;
    float v = 0.0F;
    if (mask.given) {
      if (k >= keys)
        open = false;
      else
        v = given[from[static_cast<std::size_t>(row * keys + k)]];
    }
    if (!open) v = -std::numeric_limits<float>::infinity();
    all[e] = v;
  }
  const auto size = static_cast<std::size_t>(element_count(sample));
  for (std::size_t e = size; e < all.size(); ++e)
    if (all[e] != all[e % size])
      return call.fail(Kind::LayerUnsupported, "the mask differs between samples of a batch");
  all.resize(size);
  for (auto& v : all) {
    if (std::isinf(v)) v = -std::numeric_limits<float>::infinity();
    out.any = out.any || v != 0.0F;
    out.masks = out.masks || std::isinf(v);
    out.finite = out.finite || (!std::isinf(v) && v != 0.0F);
  }
  out.values = std::move(all);
  return out;
}

/// x with the constant in the places where it is minus infinity.
Result<nn::TensorId> covered(const Call& call, nn::TensorId x, const Shape& shape, const std::vector<bool>& where,
                             float value, const std::string& suffix) {
  std::vector<std::int64_t> indices;
  for (std::size_t e = 0; e < where.size(); ++e) indices.push_back(where[e] ? -1 : static_cast<std::int64_t>(e));
  return layer(call, "Pick", {x}, shape,
               {{"shape", shape}, {"indices", indices}, {"value", static_cast<double>(value)}}, suffix);
}

Result<nn::TensorId> plus(const Call& call, nn::TensorId x, const Shape& shape, std::vector<float> values) {
  Constant c;
  c.shape = shape;
  c.floats = std::move(values);
  for (auto& v : c.floats)
    if (std::isinf(v)) v = 0.0F;
  WEFT_TRY(const Dynamic bias, as_layer(call, c, static_cast<std::int64_t>(shape.size()), -1));
  return layer(call, "Add", {x, bias.tensor}, shape, {}, "_biased");
}

}  // namespace

Result<Values> attention(Call& call) {
  WEFT_TRY(const std::int64_t q_heads, call.get_int("q_num_heads", 0));
  WEFT_TRY(const std::int64_t kv_heads, call.get_int("kv_num_heads", 0));
  WEFT_TRY(const std::int64_t mode, call.get_int("qk_matmul_output_mode", 0));
  WEFT_TRY(const float softcap, call.get_float("softcap", 0.0F));
  WEFT_TRY(const Dynamic q, in_heads(call, 0, q_heads));
  WEFT_TRY(Dynamic k, in_heads(call, 1, kv_heads));
  WEFT_TRY(Dynamic v, in_heads(call, 2, kv_heads));
  if (q.batch_axis != k.batch_axis || q.batch_axis != v.batch_axis)
    return call.fail(Kind::LayerUnsupported, "queries, keys and values have their batch at different axes");
  const bool flat = call.inputs[0].dynamic->rank() == 3;
  WEFT_TRY(float scale, call.get_float("scale", 0.0F));
  if (!call.has_attribute("scale")) scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(q.shape[3])));
  const auto root = static_cast<float>(std::sqrt(static_cast<double>(scale)));
  if (!(scale > 0) || !std::isfinite(scale))
    return call.fail(Kind::AttributeUnsupported, fmt::format("`scale` is {}", scale));

  Mask mask;
  WEFT_TRY(const std::int64_t causal, call.get_int("is_causal", 0));
  WEFT_TRY(mask.left, call.get_int("left_window_size", -1));
  WEFT_TRY(mask.right, call.get_int("right_window_size", -1));
  mask.causal = causal != 0;
  const std::int64_t own_keys = k.shape[2];
  WEFT_TRY(k, with_past(call, 4, std::move(k)));
  mask.past = k.shape[2] - own_keys;
  WEFT_TRY(v, with_past(call, 5, std::move(v)));
  if (call.has_input(6)) {
    WEFT_TRY(mask.lengths, call.integers(6, "the lengths"));
    if (mask.lengths.size() != 1 && static_cast<std::int64_t>(mask.lengths.size()) != q.shape[0])
      return call.fail(Kind::ShapeMismatch, "there is no length for every sample");
  }
  const bool dynamic_mask = call.has_input(3) && call.inputs[3].dynamic.has_value();
  if (call.has_input(3)) mask.given = call.inputs[3].constant;
  Values out(4);
  out[1] = Value(k);
  out[2] = Value(v);

  WEFT_TRY(const Dynamic keys, repeated_heads(call, k, q.shape[1], "_shared_keys"));
  WEFT_TRY(const Dynamic numbers, repeated_heads(call, v, q.shape[1], "_shared_values"));
  Dynamic left = q;
  Dynamic right = keys;
  WEFT_TRY(left.tensor, number_layer(call, "Mul", q.tensor, q.sample_shape(), root, false, "_scaled_queries"));
  WEFT_TRY(right.tensor, number_layer(call, "Mul", keys.tensor, keys.sample_shape(), root, false, "_scaled_keys"));
  WEFT_TRY(Dynamic scores, einsum_layer(call, {Value(left), Value(right)}, {"nhqd", "nhkd"}, "nhqk", "_scores"));
  const Shape shape = scores.sample_shape();
  Dynamic shown = scores;
  if (softcap > 0) {
    WEFT_TRY(scores.tensor, number_layer(call, "Div", scores.tensor, shape, softcap, false, "_over_cap"));
    WEFT_TRY(scores.tensor, function_layer(call, scores.tensor, shape, {"tanh", {}}, "_tanh"));
    WEFT_TRY(scores.tensor, number_layer(call, "Mul", scores.tensor, shape, softcap, false, "_capped"));
    if (mode == 1) shown = scores;
  }
  WEFT_TRY(const Bias bias, bias_of(call, mask, scores));
  if (bias.finite) {
    WEFT_TRY(scores.tensor, plus(call, scores.tensor, shape, bias.values));
  }
  std::optional<nn::TensorId> open;
  if (dynamic_mask) {
    WEFT_TRY(const Dynamic m, plain(call, 3, false));
    const Shape own = m.sample_shape();
    const auto both = tensor::broadcast(own, shape);
    const bool aligned = m.batch_axis < 0 ? own.size() <= shape.size() && (scores.batch_axis < 0 || own.size() < 4)
                                          : m.batch_axis == scores.batch_axis && m.rank() == 4;
    if (!both.ok || both.shape != shape || !aligned)
      return call.fail(Kind::LayerUnsupported, fmt::format("a mask of data of shape {} for scores of shape {}",
                                                           to_string(m.shape), to_string(scores.shape)));
    if (m.element == Element::Bool) {
      // In the shape of the scores, closed where a constant closes too.
      std::vector<std::int64_t> indices;
      for (const auto i : broadcast_indices(own, shape)) indices.push_back(static_cast<std::int64_t>(i));
      for (std::size_t e = 0; e < indices.size(); ++e)
        if (std::isinf(bias.values[e])) indices[e] = -1;
      WEFT_TRY(open, layer(call, "Pick", {m.tensor}, shape, {{"shape", shape}, {"indices", indices}, {"value", 0.0}},
                           "_open"));
      Constant lowest;
      lowest.floats = {kMasked};
      WEFT_TRY(const Dynamic low, as_layer(call, lowest, 0, -1));
      WEFT_TRY(scores.tensor, layer(call, "Where", {*open, scores.tensor, low.tensor}, shape, {}, "_masked_by_data"));
    } else {
      WEFT_TRY(scores.tensor, layer(call, "Add", {scores.tensor, m.tensor}, shape, {}, "_biased_by_data"));
    }
  }
  std::vector<bool> closed(bias.values.size());
  std::vector<bool> empty(bias.values.size());
  bool any_empty = false;
  const auto row = static_cast<std::size_t>(shape.back());
  for (std::size_t e = 0; e < closed.size(); ++e) closed[e] = std::isinf(bias.values[e]);
  for (std::size_t r = 0; r < closed.size(); r += row) {
    const bool all = std::all_of(closed.begin() + static_cast<std::ptrdiff_t>(r),
                                 closed.begin() + static_cast<std::ptrdiff_t>(r + row), [](bool c) { return c; });
    any_empty = any_empty || all;
    std::fill_n(empty.begin() + static_cast<std::ptrdiff_t>(r), row, all);
  }
  if (bias.masks && !open) {
    WEFT_TRY(scores.tensor, covered(call, scores.tensor, shape, closed, kMasked, "_masked"));
  }
  if (mode == 2) shown = scores;
  Dynamic weights = scores;
  WEFT_TRY(weights.tensor, layer(call, "Softmax", {scores.tensor}, shape, {{"axis", std::int64_t{-1}}}, "_softmax"));
  if (open) {
    // A query that sees nothing gets nothing.
    Shape rows = shape;
    rows.back() = 1;
    WEFT_TRY(const nn::TensorId any,
             layer(call, "ReduceMax", {*open}, rows,
                   {{"axes", Shape{static_cast<std::int64_t>(shape.size()) - 1}}, {"keepdims", true}}, "_any_open"));
    WEFT_TRY(weights.tensor, layer(call, "Mul", {weights.tensor, any}, shape, {}, "_of_open"));
  } else if (any_empty) {
    WEFT_TRY(weights.tensor, covered(call, weights.tensor, shape, empty, 0.0F, "_nothing"));
  }
  if (mode == 3) shown = weights;
  out[3] = Value(shown);
  WEFT_TRY(Dynamic y,
           einsum_layer(call, {Value(weights), Value(numbers)}, {"nhqk", "nhkv"}, "nhqv", flat ? "_heads" : ""));
  if (flat) {
    WEFT_TRY(y, swapped(call, std::move(y), "_rows"));
    const Shape joined{y.shape[0], y.shape[1], y.shape[2] * y.shape[3]};
    WEFT_TRY(y, reshaped(call, std::move(y), joined, ""));
  }
  out[0] = Value(std::move(y));
  return out;
}

Result<Values> rotary_embedding(Call& call) {
  WEFT_TRY(Dynamic x, plain(call, 0));
  WEFT_TRY(const ConstantPtr cosine, call.constant(1, "the cosines"));
  WEFT_TRY(const ConstantPtr sine, call.constant(2, "the sines"));
  WEFT_TRY(const std::int64_t interleaved, call.get_int("interleaved", 0));
  WEFT_TRY(std::int64_t rotated, call.get_int("rotary_embedding_dim", 0));
  WEFT_TRY(const std::int64_t heads, call.get_int("num_heads", 0));
  const Shape original = x.shape;
  const bool flat = x.rank() == 3;
  if (flat && heads > 0 && x.shape[2] % heads == 0) {
    WEFT_TRY(x, reshaped(call, std::move(x), {x.shape[0], x.shape[1], heads, x.shape[2] / heads}, "_apart"));
  }
  if (x.rank() != 4 || x.batch_axis > 0)
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} in {} heads", to_string(original), heads));
  // [N, S, H, D] for three axes, [N, H, S, D] for four.
  const std::int64_t n = x.shape[0];
  const std::int64_t length = x.shape[flat ? 1 : 2];
  const std::int64_t size = x.shape[3];
  if (rotated == 0) rotated = size;
  const std::int64_t half = rotated / 2;
  Shape rows{n, length};
  std::vector<std::int64_t> at;
  if (call.has_input(3)) {
    WEFT_TRY(const ConstantPtr positions, call.constant(3, "the positions"));
    at = positions->ints;
    if (cosine->shape.size() != 2 || positions->floating() || static_cast<std::int64_t>(at.size()) != n * length)
      return call.fail(Kind::ShapeMismatch, "the positions do not fit the data");
  } else {
    if (cosine->shape.size() != 3 || cosine->shape[0] != n || cosine->shape[1] != length)
      return call.fail(Kind::ShapeMismatch, "the cosines do not fit the data");
    for (std::int64_t i = 0; i < n * length; ++i) at.push_back(i);
  }
  if (rotated % 2 != 0 || rotated > size || rotated < 2 || cosine->shape.back() != half ||
      sine->shape != cosine->shape || !cosine->floating() || !sine->floating())
    return call.fail(Kind::ShapeMismatch, "cosines and sines do not fit the rotated part");
  const auto available = static_cast<std::int64_t>(cosine->size()) / half;
  Constant c, s;
  c.shape = s.shape = flat ? Shape{n, length, 1, size} : Shape{n, 1, length, size};
  std::vector<std::int64_t> partner(static_cast<std::size_t>(size));
  for (const auto position : at) {
    if (position < 0 || position >= available)
      return call.fail(Kind::ModelMalformed, fmt::format("position {} has no cosine", position));
    for (std::int64_t d = 0; d < size; ++d) {
      const bool turns = d < rotated;
      const std::int64_t pair = interleaved != 0 ? d / 2 : d % half;
      const bool second = interleaved != 0 ? d % 2 == 1 : d >= half;
      const auto e = static_cast<std::size_t>(position * half + (turns ? pair : 0));
      c.floats.push_back(turns ? cosine->floats[e] : 1.0F);
      s.floats.push_back(!turns ? 0.0F : second ? sine->floats[e] : -sine->floats[e]);
      partner[static_cast<std::size_t>(d)] = !turns             ? d
                                             : interleaved != 0 ? (second ? d - 1 : d + 1)
                                                                : (second ? d - half : d + half);
    }
  }
  WEFT_TRY(const Dynamic cosines, as_layer(call, c, 4, x.batch_axis));
  WEFT_TRY(const Dynamic sines, as_layer(call, s, 4, x.batch_axis));
  const Shape shape = x.sample_shape();
  WEFT_TRY(const nn::TensorId straight, layer(call, "Mul", {x.tensor, cosines.tensor}, shape, {}, "_straight"));
  WEFT_TRY(const nn::TensorId other,
           layer(call, "Take", {x.tensor}, shape, {{"axis", x.layer_axis(3)}, {"indices", partner}}, "_partners"));
  WEFT_TRY(const nn::TensorId crossed, layer(call, "Mul", {other, sines.tensor}, shape, {}, "_crossed"));
  WEFT_TRY(x.tensor, layer(call, "Add", {straight, crossed}, shape, {}, flat ? "_turned" : ""));
  if (flat) {
    WEFT_TRY(x, reshaped(call, std::move(x), original, ""));
  }
  return Values{std::move(x)};
}

}  // namespace weft::formats::onnx::ops
