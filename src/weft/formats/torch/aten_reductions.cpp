// SPDX-License-Identifier: Apache-2.0
// Sums, means and extremes along axes; positions of the largest.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

struct Axes {
  std::vector<std::int64_t> list;  ///< sorted, not negative
  bool keep = false;
};

Result<Axes> read_axes(AtenCall& call, const Value& x) {
  Axes out;
  WEFT_TRY(out.list, call.integers("dim"));
  WEFT_TRY(out.keep, call.flag("keepdim", false));
  if (out.list.empty()) {
    out.list.resize(shape_of(x).size());
    std::iota(out.list.begin(), out.list.end(), std::int64_t{0});
  }
  for (auto& axis : out.list) {
    WEFT_TRY(axis, call.axis(axis, rank_of(x)));
  }
  std::sort(out.list.begin(), out.list.end());
  if (x.dynamic && std::binary_search(out.list.begin(), out.list.end(), x.dynamic->batch_axis)) {
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("data of shape {} is reduced along {}, which mixes the samples of the batch (axis {})",
                                 to_string(shape_of(x)), to_string(out.list), x.dynamic->batch_axis));
  }
  return out;
}

Result<Value> reduce_axes(const AtenCall& call, const std::string& op, const Value& x, const Axes& axes, bool main) {
  return call.one(op, {x, int_constant(axes.list)}, {{"keepdims", axes.keep ? 1 : 0}}, main);
}

Result<Values> reduce(AtenCall& call, const std::string& op) {
  WEFT_TRY(Value x, call.tensor("self"));
  WEFT_TRY(x, call.as_float(x));
  WEFT_TRY(const std::int64_t type, call.integer("dtype", 7));
  if (type != 7) return call.fail(Kind::AttributeUnsupported, fmt::format("a result of {}", scalar_type_name(type)));
  WEFT_TRY(const Axes axes, read_axes(call, x));
  WEFT_TRY(Value out, reduce_axes(call, op, x, axes, true));
  return Values{std::move(out)};
}
Result<Values> mean(AtenCall& call) { return reduce(call, "ReduceMean"); }
Result<Values> sum(AtenCall& call) { return reduce(call, "ReduceSum"); }
Result<Values> amax(AtenCall& call) { return reduce(call, "ReduceMax"); }
Result<Values> amin(AtenCall& call) { return reduce(call, "ReduceMin"); }

/// Of one axis, unlike the sums.
Result<Values> prod(AtenCall& call) { return reduce(call, "ReduceProd"); }

Result<Values> logsumexp(AtenCall& call) { return reduce(call, "ReduceLogSumExp"); }

/// The norms of order 1 and 2.
Result<Values> norm(AtenCall& call) {
  const char* name = call.has("ord") ? "ord" : "p";
  WEFT_TRY(const double order, call.real(name, 2.0));
  if (order == 1.0) return reduce(call, "ReduceL1");
  if (order == 2.0) return reduce(call, "ReduceL2");
  return call.fail(Kind::AttributeUnsupported, fmt::format("a norm of the order {}; 1 and 2 are read", order));
}

/// Values and positions along one axis.
Result<Values> extreme(AtenCall& call, const std::string& op, const std::string& position) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const Axes axes, read_axes(call, x));
  Values out(2);
  if (call.uses_output(0) || !call.uses_output(1)) {
    WEFT_TRY(out[0], reduce_axes(call, op, x, axes, true));
  }
  if (call.uses_output(1)) {
    WEFT_TRY(out[1], call.one(position, {x}, {{"axis", axes.list.front()}, {"keepdims", axes.keep ? 1 : 0}},
                              !call.uses_output(0)));
  }
  return out;
}
Result<Values> max_dim(AtenCall& call) { return extreme(call, "ReduceMax", "ArgMax"); }
Result<Values> min_dim(AtenCall& call) { return extreme(call, "ReduceMin", "ArgMin"); }

/// Smallest and largest along one axis.
Result<Values> aminmax(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  if (!call.has("dim"))
    return call.fail(Kind::LayerUnsupported, "without `dim` the whole batch is searched; give `dim`");
  WEFT_TRY(const Axes axes, read_axes(call, x));
  Values out(2);
  for (std::size_t i = 0; i < 2; ++i) {
    if (!call.uses_output(i)) continue;
    WEFT_TRY(out[i], reduce_axes(call, i == 0 ? "ReduceMin" : "ReduceMax", x, axes, !call.uses_output(1 - i)));
  }
  return out;
}

Result<Values> position(AtenCall& call, const std::string& op) {
  WEFT_TRY(const Value x, call.tensor("self"));
  if (!call.has("dim"))
    return call.fail(Kind::LayerUnsupported, "without `dim` the whole batch is searched; give `dim`");
  WEFT_TRY(const Axes axes, read_axes(call, x));
  return call.onnx(op, {x}, {{"axis", axes.list.front()}, {"keepdims", axes.keep ? 1 : 0}});
}
Result<Values> argmax(AtenCall& call) { return position(call, "ArgMax"); }
Result<Values> argmin(AtenCall& call) { return position(call, "ArgMin"); }

Result<Values> topk(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t k, call.integer("k"));
  WEFT_TRY(const std::int64_t axis, call.integer("dim", -1));
  WEFT_TRY(const bool largest, call.flag("largest", true));
  WEFT_TRY(const bool sorted, call.flag("sorted", true));
  if (!sorted) call.ctx.report(Kind::Info, call.origin, "`sorted` is off; the order is by size all the same");
  return call.onnx("TopK", {x, int_constant({k})}, {{"axis", axis}, {"largest", largest ? 1 : 0}}, true, 2);
}

/// All elements along one axis by size, those that are equal in their order.
Result<Values> sort(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t given, call.integer("dim", -1));
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
  WEFT_TRY(const bool descending, call.flag("descending", false));
  call.ignore({"stable"});
  return call.onnx("TopK", {x, int_constant({shape_of(x)[static_cast<std::size_t>(axis)]})},
                   {{"axis", axis}, {"largest", descending ? 1 : 0}}, true, 2);
}

Result<Values> argsort(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t given, call.integer("dim", -1));
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
  WEFT_TRY(const bool descending, call.flag("descending", false));
  call.ignore({"stable"});
  WEFT_TRY(Values both, call.onnx("TopK", {x, int_constant({shape_of(x)[static_cast<std::size_t>(axis)]})},
                                  {{"axis", axis}, {"largest", descending ? 1 : 0}}, false, 2));
  return Values{std::move(both[1])};
}

/// The k-th smallest along one axis.
Result<Values> kth(AtenCall& call, const Value& x, std::int64_t axis, std::int64_t k) {
  WEFT_TRY(const bool keep, call.flag("keepdim", false));
  if (call.uses_output(1))
    return call.fail(Kind::LayerUnsupported, "the position of the element is used; its value alone is read");
  if (k < 1 || k > shape_of(x)[static_cast<std::size_t>(axis)])
    return call.fail(Kind::ShapeMismatch, fmt::format("element {} of {}", k, to_string(shape_of(x))));
  WEFT_TRY(const Values sorted, call.onnx("TopK", {x, int_constant({k})}, {{"axis", axis}, {"largest", 0}}, false));
  Constant last = int_constant({k - 1});
  if (!keep) last.shape.clear();
  return call.onnx("Gather", {sorted.front(), std::move(last)}, {{"axis", axis}});
}
Result<Values> median(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t given, call.integer("dim"));
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
  // The lower one of two.
  return kth(call, x, axis, (shape_of(x)[static_cast<std::size_t>(axis)] + 1) / 2);
}
Result<Values> kthvalue(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t k, call.integer("k"));
  WEFT_TRY(const std::int64_t given, call.integer("dim", -1));
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
  return kth(call, x, axis, k);
}

/// mean((x - mean(x))^2) n / (n - correction).
Result<Value> variance(AtenCall& call, bool main) {
  WEFT_TRY(const Value x, call.tensor("self"));
  double correction = 1.0;
  if (call.has("correction")) {
    WEFT_TRY(correction, call.real("correction"));
  }
  if (call.has("unbiased")) {
    WEFT_TRY(const bool unbiased, call.flag("unbiased", true));
    correction = unbiased ? 1.0 : 0.0;
  }
  WEFT_TRY(Axes axes, read_axes(call, x));
  double count = 1;
  for (const auto axis : axes.list) count *= static_cast<double>(shape_of(x)[static_cast<std::size_t>(axis)]);
  if (!(count - correction > 0)) return call.fail(Kind::ShapeMismatch, "the variance of a single element");
  const Axes kept{axes.list, true};
  WEFT_TRY(const Value mean, reduce_axes(call, "ReduceMean", x, kept, false));
  WEFT_TRY(const Value centered, call.one("Sub", {x, mean}, {}, false));
  WEFT_TRY(const Value squares, call.one("Mul", {centered, centered}, {}, false));
  const bool plain = correction == 0.0;
  WEFT_TRY(Value out, reduce_axes(call, "ReduceMean", squares, axes, main && plain));
  if (plain) return out;
  return call.one("Mul", {out, number(static_cast<float>(count / (count - correction)))}, {}, main);
}
Result<Values> var(AtenCall& call) {
  WEFT_TRY(Value out, variance(call, true));
  return Values{std::move(out)};
}
Result<Values> std_deviation(AtenCall& call) {
  WEFT_TRY(const Value out, variance(call, false));
  return call.onnx("Sqrt", {out});
}

/// The mean beside it.
Result<Values> with_mean(AtenCall& call, bool root) {
  Values out(2);
  if (call.uses_output(0)) {
    WEFT_TRY(out[0], variance(call, !root));
    if (root) {
      WEFT_TRY(out[0], call.one("Sqrt", {out[0]}));
    }
  }
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const Axes axes, read_axes(call, x));
  call.ignore({"correction", "unbiased"});
  if (call.uses_output(1)) {
    WEFT_TRY(out[1], reduce_axes(call, "ReduceMean", x, axes, !call.uses_output(0)));
  }
  return out;
}
Result<Values> var_mean(AtenCall& call) { return with_mean(call, false); }
Result<Values> std_mean(AtenCall& call) { return with_mean(call, true); }

/// The product of x1 and x2, each over its norm, which is at least `eps`.
Result<Values> cosine_similarity(AtenCall& call) {
  WEFT_TRY(const std::int64_t given, call.integer("dim", 1));
  WEFT_TRY(const double eps, call.real("eps", 1e-8));
  Values sides;
  for (const char* name : {"x1", "x2"}) {
    WEFT_TRY(const Value x, call.tensor(name));
    const Value axis = int_constant({given});
    WEFT_TRY(Value norm, call.one("ReduceL2", {x, axis}, {{"keepdims", 1}}, false));
    WEFT_TRY(norm, call.one("Max", {norm, number(static_cast<float>(eps))}, {}, false));
    WEFT_TRY(Value side, call.one("Div", {x, norm}, {}, false));
    sides.push_back(std::move(side));
  }
  WEFT_TRY(const Value product, call.one("Mul", sides, {}, false));
  return call.onnx("ReduceSum", {product, int_constant({given})}, {{"keepdims", 0}});
}

/// The norm of x1 - x2 + eps along the last axis.
Result<Values> pairwise_distance(AtenCall& call) {
  WEFT_TRY(const Value x1, call.tensor("x1"));
  WEFT_TRY(const Value x2, call.tensor("x2"));
  WEFT_TRY(const double order, call.real("p", 2.0));
  WEFT_TRY(const double eps, call.real("eps", 1e-6));
  WEFT_TRY(const bool keep, call.flag("keepdim", false));
  if (order != 1.0 && order != 2.0)
    return call.fail(Kind::AttributeUnsupported, fmt::format("a norm of the order {}; 1 and 2 are read", order));
  WEFT_TRY(Value way, call.one("Sub", {x1, x2}, {}, false));
  WEFT_TRY(way, call.one("Add", {way, number(static_cast<float>(eps))}, {}, false));
  return call.onnx(order == 1.0 ? "ReduceL1" : "ReduceL2", {way, int_constant({-1})}, {{"keepdims", keep ? 1 : 0}});
}

}  // namespace

AtenRows reduction_rows() {
  return {{"aten.amax", amax},
          {"aten.amin", amin},
          {"aten.aminmax", aminmax},
          {"aten.argsort", argsort},
          {"aten.cosine_similarity", cosine_similarity},
          {"aten.max.default", amax},
          {"aten.min.default", amin},
          {"aten.pairwise_distance", pairwise_distance, "order 1 or 2"},
          {"aten.prod.default", prod},
          {"aten.std_mean", std_mean},
          {"aten.var_mean", var_mean},
          {"aten.argmax", argmax},
          {"aten.argmin", argmin},
          {"aten.kthvalue", kthvalue, "values"},
          {"aten.linalg_vector_norm", norm, "order 1 or 2"},
          {"aten.logsumexp", logsumexp},
          {"aten.max.dim", max_dim},
          {"aten.mean", mean},
          {"aten.median.dim", median, "values"},
          {"aten.min.dim", min_dim},
          {"aten.norm.ScalarOpt_dim", norm, "order 1 or 2"},
          {"aten.prod.dim_int", prod},
          {"aten.sort", sort},
          {"aten.std", std_deviation},
          {"aten.sum", sum},
          {"aten.topk", topk},
          {"aten.var", var}};
}

}  // namespace weft::formats::torch
