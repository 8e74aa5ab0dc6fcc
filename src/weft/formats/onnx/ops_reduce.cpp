// SPDX-License-Identifier: Apache-2.0
// Reductions over any axes. All spatial axes of [N,C,...] together are global pools; other functions than sum, mean,
// maximum and minimum are composed of several layers in the order of ONNX' definitions.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

constexpr std::int64_t kMaxFactors = 64;

struct Reduction {
  Dynamic x;                       ///< plain
  std::vector<std::int64_t> axes;  ///< of the sample
  Dynamic out;                     ///< without tensor
};

/// nullopt: no axes are given and that means the identity.
Result<std::optional<Reduction>> read(const Call& call, bool float_only) {
  Reduction out;
  WEFT_TRY(const Dynamic given, float_only ? call.dynamic_float(0) : call.data(0));
  WEFT_TRY(const std::int64_t keepdims, call.get_int("keepdims", 1));
  WEFT_TRY(const std::int64_t noop, call.get_int("noop_with_empty_axes", 0));
  WEFT_TRY(Shape axes, call.get_ints("axes"));
  if (call.has_input(1)) {
    WEFT_TRY(axes, call.integers(1, "the axes"));
  }
  if (axes.empty() && noop != 0) return std::optional<Reduction>();
  if (axes.empty()) {
    axes.resize(given.shape.size());
    std::iota(axes.begin(), axes.end(), std::int64_t{0});
  }
  std::vector<bool> gone(given.shape.size(), false);
  for (const auto a : axes) {
    WEFT_TRY(const std::int64_t axis, call.axis(a, given.rank()));
    if (axis == given.batch_axis)
      return call.fail(
          Kind::LayerUnsupported,
          fmt::format("the reduction of data of shape {} runs over the batch (axis {})", to_string(given.shape), axis));
    gone[static_cast<std::size_t>(axis)] = true;
  }
  WEFT_TRY(out.x, plain(call, 0, float_only));
  out.out = out.x;
  out.out.shape.clear();
  std::int64_t batch = -1;
  for (std::size_t d = 0; d < gone.size(); ++d) {
    const auto axis = static_cast<std::int64_t>(d);
    if (axis == out.x.batch_axis) batch = static_cast<std::int64_t>(out.out.shape.size());
    if (!gone[d])
      out.out.shape.push_back(out.x.shape[d]);
    else if (keepdims != 0)
      out.out.shape.push_back(1);
    if (gone[d]) out.axes.push_back(out.x.layer_axis(axis));
  }
  out.out.batch_axis = batch;
  return std::optional(std::move(out));
}

Result<nn::TensorId> reduce_layer(const Call& call, const std::string& op, const Reduction& r, nn::TensorId in,
                                  const std::string& suffix) {
  const Shape shape = r.out.sample_shape();
  const auto& from = call.builder.graph.at(in).shape;
  if (r.axes.empty() || from.empty()) return layer(call, "Identity", {in}, shape, {}, suffix);
  return layer(call, op, {in}, shape, {{"axes", r.axes}, {"keepdims", shape.size() == from.size()}}, suffix);
}

Result<Values> reduce(Call& call, const std::string& op, bool float_only) {
  WEFT_TRY(auto r, read(call, float_only));
  if (!r) return identity(call);
  WEFT_TRY(r->out.tensor, reduce_layer(call, op, *r, r->x.tensor, ""));
  return Values{std::move(r->out)};
}

/// Over all spatial axes of [N,C,...]: a global pool needs no Permute.
bool is_global_pool(const Call& call) {
  if (!call.has_input(0) || !call.inputs[0].dynamic || !call.inputs[0].dynamic->has_channels()) return false;
  auto axes = call.get_ints("axes");
  if (call.has_input(1)) axes = call.integers(1, "the axes");
  if (!axes) return false;
  std::vector<std::int64_t> sorted;
  const auto rank = call.inputs[0].dynamic->rank();
  for (const auto a : *axes) sorted.push_back(a < 0 ? a + rank : a);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> wanted;
  for (std::int64_t d = 2; d < rank; ++d) wanted.push_back(d);
  return sorted == wanted;
}

}  // namespace

Result<Values> reduce_sum(Call& call) { return reduce(call, "ReduceSum", true); }
Result<Values> reduce_min(Call& call) { return reduce(call, "ReduceMin", false); }
Result<Values> reduce_max(Call& call) {
  return is_global_pool(call) ? global_reduce_max(call) : reduce(call, "ReduceMax", false);
}
Result<Values> reduce_mean(Call& call) {
  return is_global_pool(call) ? global_reduce_mean(call) : reduce(call, "ReduceMean", true);
}

Result<Values> reduce_composed(Call& call) {
  const std::string& op = call.node.op_type;
  WEFT_TRY(auto r, read(call, true));
  // With no axis to reduce, the function of each element remains.
  if (!r) {
    WEFT_TRY(const Dynamic x, plain(call, 0));
    r = Reduction{x, {}, x};
  }
  const Shape full = r->x.sample_shape();
  const Shape shape = r->out.sample_shape();
  nn::TensorId t = r->x.tensor;
  if (op == "ReduceL1") {
    WEFT_TRY(t, function_layer(call, t, full, {"leaky_relu", {{"alpha", -1.0}}}, "_abs"));
  } else if (op == "ReduceL2" || op == "ReduceSumSquare") {
    WEFT_TRY(t, layer(call, "Mul", {t, t}, full, {}, "_squares"));
  } else if (op == "ReduceLogSumExp") {
    WEFT_TRY(t, function_layer(call, t, full, {"exponential", {}}, "_exp"));
  }
  const std::string then = op == "ReduceL2" ? "sqrt" : op.rfind("ReduceLogSum", 0) == 0 ? "log" : "";
  WEFT_TRY(t, reduce_layer(call, "ReduceSum", *r, t, then.empty() ? "" : "_sum"));
  if (!then.empty()) {
    WEFT_TRY(t, function_layer(call, t, shape, {then, {}}, ""));
  }
  r->out.tensor = t;
  return Values{std::move(r->out)};
}

Result<Values> reduce_prod(Call& call) {
  WEFT_TRY(auto r, read(call, true));
  if (!r) return identity(call);
  // The factors side by side on the last axis.
  const Shape full = r->x.sample_shape();
  std::vector<std::int64_t> permutation;
  Shape moved;
  std::int64_t factors = 1;
  for (const bool reduced : {false, true})
    for (std::size_t d = 0; d < full.size(); ++d) {
      const auto axis = static_cast<std::int64_t>(d);
      if ((std::find(r->axes.begin(), r->axes.end(), axis) != r->axes.end()) != reduced) continue;
      permutation.push_back(axis);
      moved.push_back(full[d]);
      if (reduced) factors *= full[d];
    }
  if (factors > kMaxFactors)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("a product of {} factors; up to {} are supported", factors, kMaxFactors));
  const std::int64_t rows = element_count(full) / factors;
  nn::TensorId t = r->x.tensor;
  if (!std::is_sorted(permutation.begin(), permutation.end())) {
    WEFT_TRY(t, layer(call, "Permute", {t}, moved, {{"permutation", permutation}}, "_turned"));
  }
  WEFT_TRY(t, layer(call, "Reshape", {t}, {rows, factors}, {{"shape", Shape{rows, factors}}}, "_factors"));
  nn::TensorId product;
  for (std::int64_t f = 0; f < factors; ++f) {
    WEFT_TRY(const nn::TensorId factor,
             layer(call, "Slice", {t}, {rows, 1},
                   {{"begin", Shape{0, f}}, {"end", Shape{rows, f + 1}}, {"step", Shape{1, 1}}},
                   fmt::format("_factor{}", f)));
    if (f == 0) {
      product = factor;
      continue;
    }
    WEFT_TRY(product, layer(call, "Mul", {product, factor}, {rows, 1}, {}, fmt::format("_product{}", f)));
  }
  const Shape shape = r->out.sample_shape();
  WEFT_TRY(r->out.tensor, layer(call, "Reshape", {product}, shape, {{"shape", shape}}, ""));
  return Values{std::move(r->out)};
}

}  // namespace weft::formats::onnx::ops
