// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/ops_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/keras/hgq_parts.h"
#include "weft/formats/keras/operation_call.h"
#include "weft/formats/keras/quantizer_spec.h"

namespace weft::formats::keras::ops {
namespace {

using Ints = std::vector<std::int64_t>;

Tensor apply(LayerImport& in, nn::TensorId x, const quantizers::Spec& spec, const std::string& suffix = "_function") {
  nn::Node node;
  node.name = in.node.name + suffix;
  node.op = "Activation";
  node.inputs = {x};
  node.functions["activation"] = spec;
  return in.emit(std::move(node));
}

Tensor with_constant(LayerImport& in, const std::string& op, nn::TensorId x, FloatTensor constant, bool first) {
  nn::Node node;
  node.name = in.node.name + "_constant";
  node.op = op;
  node.inputs = {x};
  if (first) node.attributes["constant_first"] = true;
  node.parameters["constant"].values = std::move(constant);
  return in.emit(std::move(node));
}

Tensor reshaped(LayerImport& in, nn::TensorId x, const Shape& shape) {
  return in.emit("_of", "Reshape", {x}, {{"shape", Ints(shape.begin(), shape.end())}});
}

struct Cut {
  std::int64_t begin, end, step;
};

/// A Python slice of `extent`, or nullopt when nothing is left of it.
std::optional<Cut> cut_of(const Json& slice, std::int64_t extent) {
  const auto* inner = member(slice, "config");
  const Json& s = inner == nullptr ? slice : *inner;
  const auto part = [&](const char* key) -> std::optional<std::int64_t> {
    const auto* v = member(s, key);
    if (v == nullptr || !v->is_number_integer() || std::fabs(v->get<double>()) > 0x1p31) return std::nullopt;
    return v->get<std::int64_t>();
  };
  const auto step = part("step").value_or(1);
  if (step == 0) return std::nullopt;
  const auto clamp = [&](std::optional<std::int64_t> v, std::int64_t absent, std::int64_t low, std::int64_t high) {
    if (!v) return absent;
    return std::clamp(*v < 0 ? *v + extent : *v, low, high);
  };
  const auto begin = step > 0 ? clamp(part("start"), 0, 0, extent) : clamp(part("start"), extent - 1, -1, extent - 1);
  const auto end = step > 0 ? clamp(part("stop"), extent, 0, extent) : clamp(part("stop"), -1, -1, extent - 1);
  if (step > 0 ? begin >= end : begin <= end) return std::nullopt;
  return Cut{begin, end, step};
}

}  // namespace

Tensor binary(LayerImport& in, const std::string& op) {
  OperationCall call(in, {"x1|x|a", "x2|y|b"});
  const auto& a = call.at(0);
  const auto& b = call.at(1);
  if (a.tensors.size() == 1 && b.tensors.size() == 1) return in.emit("_of", op, {a.tensors[0], b.tensors[0]});
  const bool first = a.constant != nullptr && b.tensors.size() == 1;
  if (!first && (a.tensors.size() != 1 || b.constant == nullptr)) return call.refuse("wants two tensors");
  const auto x = first ? b.tensors[0] : a.tensors[0];
  auto constant = call.constant(first ? *a.constant : *b.constant, call.shape(x).size());
  if (!constant) return std::nullopt;
  if (op == "Maximum" || op == "Minimum") {
    if (constant->size() != 1) return call.refuse("compares with several constants");
    return apply(in, x, make_spec("clip", {{op == "Maximum" ? "min" : "max", static_cast<double>(constant->data[0])}}));
  }
  return with_constant(in, op, x, std::move(*constant), first);
}

Tensor unary(LayerImport& in, const std::string& family) {
  OperationCall call(in, {"x|features|input|inputs"});
  const auto x = call.tensor(0);
  if (!x) return x;
  if (family == "square") return in.emit("_of", "Mul", {*x, *x});
  if (family == "negative") return with_constant(in, "Mul", *x, FloatTensor({}, {-1.0F}), false);
  if (family == "absolute") {
    const auto other = with_constant(in, "Mul", *x, FloatTensor({}, {-1.0F}), false);
    return other ? in.emit("_of", "Maximum", {*x, *other}) : other;
  }
  if (family == "identity") return in.emit("_of", "Identity", {*x});
  const auto name = family == "relu6" ? std::string("relu") : family;
  if (quantizers::find_family(name) == nullptr) return call.refuse(fmt::format("is `{}`", family));
  return apply(in, *x, family == "relu6" ? make_spec("relu", {{"max_value", 6.0}}) : make_spec(name));
}

Tensor clip(LayerImport& in) {
  OperationCall call(in, {"x|t", "x_min|clip_value_min", "x_max|clip_value_max"});
  const auto x = call.tensor(0);
  const auto* low = call.at(1).constant;
  const auto* high = call.at(2).constant;
  if (!x || low == nullptr || high == nullptr || !low->is_number() || !high->is_number())
    return call.refuse("wants two numbers as limits");
  return apply(in, *x, make_spec("clip", {{"min", low->get<double>()}, {"max", high->get<double>()}}));
}

Tensor softmax(LayerImport& in) {
  OperationCall call(in, {"x|logits", "axis"});
  const auto x = call.tensor(0);
  if (!x) return x;
  const auto axis = call.axis(call.integer(1).value_or(-1), call.shape(*x).size() + 1);
  if (!axis) return std::nullopt;
  const bool last = *axis + 1 == static_cast<std::int64_t>(call.shape(*x).size());
  return in.emit("_of", "Softmax", {*x}, {{"axis", last ? std::int64_t{-1} : *axis}});
}

Tensor reshape(LayerImport& in) {
  OperationCall call(in, {"x|tensor", "newshape|shape"});
  const auto x = call.tensor(0);
  auto target = call.integers(1);
  if (!x || !target || target->empty()) return call.refuse("wants a constant shape");
  target->erase(target->begin());
  const auto total = element_count(call.shape(*x));
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  for (auto& extent : *target) {
    if (extent == -1 && open == nullptr) {
      open = &extent;
      continue;
    }
    if (extent < 1 || extent > total / known) return call.refuse("has a shape that does not fit");
    known *= extent;
  }
  if (open != nullptr) *open = total / known;
  if (element_count(*target) != total) return call.refuse("has a shape that does not fit");
  return reshaped(in, *x, *target);
}

Tensor transpose(LayerImport& in) {
  OperationCall call(in, {"x|a", "axes|perm"});
  const auto x = call.tensor(0);
  auto axes = call.integers(1);
  if (!x || !axes || axes->size() != call.shape(*x).size() + 1 || (*axes)[0] != 0)
    return call.refuse("moves the batch");
  axes->erase(axes->begin());
  auto sorted = *axes;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i)
    if (sorted[i] != static_cast<std::int64_t>(i) + 1) return call.refuse("has no permutation");
  for (auto& a : *axes) --a;
  return in.emit("_of", "Permute", {*x}, {{"permutation", *axes}});
}

Tensor squeeze(LayerImport& in) {
  OperationCall call(in, {"x|input", "axis"});
  const auto x = call.tensor(0);
  if (!x) return x;
  auto axes = call.integers(1);
  if (!axes) return call.refuse("names no axis");
  Shape shape = call.shape(*x);
  std::vector<bool> gone(shape.size(), false);
  for (const auto a : *axes) {
    const auto axis = call.axis(a, shape.size() + 1);
    if (!axis || shape[static_cast<std::size_t>(*axis)] != 1) return call.refuse("removes an axis that is not 1");
    gone[static_cast<std::size_t>(*axis)] = true;
  }
  Shape out;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (!gone[i]) out.push_back(shape[i]);
  return reshaped(in, *x, out);
}

Tensor expand(LayerImport& in) {
  OperationCall call(in, {"x|input", "axis"});
  const auto x = call.tensor(0);
  const auto given = call.integer(1);
  if (!x || !given) return call.refuse("names no axis");
  Shape shape = call.shape(*x);
  const auto axis = call.axis(*given, shape.size() + 2);
  if (!axis) return std::nullopt;
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), 1);
  return reshaped(in, *x, shape);
}

Tensor concatenate(LayerImport& in, const std::string& what) {
  const bool stack = what == "stack";
  OperationCall call(in, {"xs|values|x|arrays", "axis"});
  auto tensors = call.at(0).tensors;
  if (tensors.empty()) return call.refuse("joins no tensors");
  const std::size_t rank = call.shape(tensors[0]).size() + (stack ? 2 : 1);
  const auto axis = call.axis(call.integer(1).value_or(stack ? 0 : -1), rank);
  if (!axis) return std::nullopt;
  for (auto& t : tensors) {
    if (!stack) break;
    Shape shape = call.shape(t);
    if (shape.size() + 2 != rank) return call.refuse("joins different shapes");
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), 1);
    const auto wide = reshaped(in, t, shape);
    if (!wide) return wide;
    t = *wide;
  }
  return in.emit("_of", "Concat", tensors, {{"axis", *axis}});
}

Tensor reduce(LayerImport& in, const std::string& op) {
  OperationCall call(in, {"x|input_tensor", "axis", "keepdims"});
  const auto x = call.tensor(0);
  if (!x) return x;
  const auto given = call.integers(1);
  if (!given) return call.refuse("reduces the batch");
  Ints axes;
  for (const auto a : *given) {
    const auto axis = call.axis(a, call.shape(*x).size() + 1);
    if (!axis) return std::nullopt;
    axes.push_back(*axis);
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) return call.refuse("names an axis twice");
  return in.emit("_of", op, {*x}, {{"axes", axes}, {"keepdims", call.flag(2)}});
}

Tensor take(LayerImport& in) {
  OperationCall call(in, {"x|params", "indices", "axis"});
  const auto x = call.tensor(0);
  auto indices = call.integers(1);
  if (!x || !indices) return call.refuse("wants constant indices");
  const auto axis = call.axis(call.integer(2).value_or(0), call.shape(*x).size() + 1);
  if (!axis) return std::nullopt;
  const auto extent = call.shape(*x)[static_cast<std::size_t>(*axis)];
  for (auto& i : *indices) {
    if (i < 0) i += extent;
    if (i < 0 || i >= extent) return call.refuse("has an index outside of its axis");
  }
  return in.emit("_of", "Take", {*x}, {{"axis", *axis}, {"indices", *indices}});
}

void split(LayerImport& in) {
  OperationCall call(in, {"x|value", "indices_or_sections|num_or_size_splits", "axis"});
  const auto x = call.tensor(0);
  auto cuts = call.integers(1);
  if (!x || !cuts) return static_cast<void>(call.refuse("wants constant sections"));
  const Shape shape = call.shape(*x);
  const auto axis = call.axis(call.integer(2).value_or(0), shape.size() + 1);
  if (!axis) return;
  const auto at = static_cast<std::size_t>(*axis);
  const bool tf = in.layer.class_name == "TFOpLambda";
  Ints places{0};
  if (call.integer(1)) {
    const auto n = cuts->at(0);
    if (n < 1 || n > shape[at] || shape[at] % n != 0) return static_cast<void>(call.refuse("has uneven sections"));
    for (std::int64_t i = 1; i < n; ++i) places.push_back(i * (shape[at] / n));
  } else {
    for (const auto c : *cuts) places.push_back(tf ? places.back() + c : c);
    if (tf) places.pop_back();
  }
  places.push_back(shape[at]);
  std::vector<nn::TensorId> parts;
  for (std::size_t i = 0; i + 1 < places.size(); ++i) {
    if (places[i] < 0 || places[i + 1] <= places[i] || places[i + 1] > shape[at])
      return static_cast<void>(call.refuse("has empty sections"));
    Ints begin(shape.size(), 0);
    Ints end(shape.begin(), shape.end());
    begin[at] = places[i];
    end[at] = places[i + 1];
    const auto part = in.emit(fmt::format("_{}", i), "Slice", {*x},
                              {{"begin", begin}, {"end", end}, {"step", Ints(shape.size(), 1)}});
    if (!part) return;
    parts.push_back(*part);
  }
  in.results = std::move(parts);
}

Tensor matmul(LayerImport& in) {
  OperationCall call(in, {"x1|a|x", "x2|b|y", "transpose_a", "transpose_b"});
  const auto& a = call.at(0);
  const auto& b = call.at(1);
  if (a.tensors.size() != 1 || call.flag(2)) return call.refuse("wants a tensor on the left");
  const auto rank = call.shape(a.tensors[0]).size();
  if (b.constant != nullptr) {
    auto kernel = call.constant(*b.constant, 2);
    if (!kernel || kernel->shape.size() != 2 || rank == 0 || call.flag(3)) return call.refuse("wants a matrix");
    nn::Node node;
    node.name = in.node.name + "_product";
    node.op = "Dense";
    node.inputs = {a.tensors[0]};
    node.parameters["kernel"].values = std::move(*kernel);
    return in.emit(std::move(node));
  }
  if (b.tensors.size() != 1 || rank < 2 || rank > 8 || call.shape(b.tensors[0]).size() != rank)
    return call.refuse("multiplies tensors of different ranks");
  std::string batch;
  for (std::size_t i = 2; i < rank; ++i) batch += static_cast<char>('a' + i);
  const std::string right = call.flag(3) ? "yz" : "zy";
  return contract({in, "", ""}, a.tensors[0], b.tensors[0], batch + "xz," + batch + right + "->" + batch + "xy", "_of");
}

Tensor einsum(LayerImport& in) {
  OperationCall call(in, {"subscripts|equation"});
  std::vector<nn::TensorId> tensors = in.tensors;
  const Json* text = call.at(0).constant;
  std::string equation = text != nullptr && text->is_string() ? text->get<std::string>() : "";
  equation.erase(std::remove(equation.begin(), equation.end(), ' '), equation.end());
  const auto inner = tensors.size() == 2
                         ? without_batch(equation, call.shape(tensors[0]).size(), call.shape(tensors[1]).size())
                         : std::nullopt;
  if (!inner) return call.refuse(fmt::format("is einsum(`{}`)", equation));
  return contract({in, "", ""}, tensors[0], tensors[1], *inner, "_of");
}

Tensor get_item(LayerImport& in) {
  OperationCall call(in, {"x|tensor", "key|slice_spec"});
  const auto x = call.tensor(0);
  const auto* spec = call.at(1).constant;
  if (!x || spec == nullptr) return call.refuse("wants a constant slice");
  std::vector<const Json*> items;
  if (spec->is_array()) {
    for (const auto& item : *spec) items.push_back(&item);
  } else {
    items = {spec};
  }
  const auto is_dots = [](const Json& item) {
    return text_member(item, "class_name") == "__ellipsis__" || text_member(item, "class_name") == "Ellipsis" ||
           (item.is_string() && (item == "Ellipsis" || item == "..."));
  };
  const Shape shape = call.shape(*x);
  const auto named = static_cast<std::size_t>(
      std::count_if(items.begin(), items.end(), [&](const Json* i) { return !i->is_null() && !is_dots(*i); }));
  if (named > shape.size() + 1) return call.refuse("has more slices than the tensor has axes");
  Ints begin;
  Ints end;
  Ints step;
  Shape result;
  std::size_t axis = 0;  // with the batch
  const auto keep = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i, ++axis) {
      if (axis == 0) continue;
      begin.push_back(0);
      end.push_back(shape[axis - 1]);
      step.push_back(1);
      result.push_back(shape[axis - 1]);
    }
  };
  bool dots = false;
  for (const auto* item : items) {
    if (is_dots(*item)) {
      if (dots) return call.refuse("has two ellipses");
      dots = true;
      keep(shape.size() + 1 - named);
    } else if (item->is_null()) {
      if (axis == 0) return call.refuse("puts an axis before the batch");
      result.push_back(1);
    } else if (axis == 0) {
      const auto cut = item->is_object() ? cut_of(*item, 1000003) : std::nullopt;
      if (!cut || cut->begin != 0 || cut->end != 1000003 || cut->step != 1) return call.refuse("cuts the batch");
      ++axis;
    } else if (item->is_number_integer() && std::fabs(item->get<double>()) < 0x1p31) {
      auto at = item->get<std::int64_t>();
      if (at < 0) at += shape[axis - 1];
      if (at < 0 || at >= shape[axis - 1]) return call.refuse("has an index outside of its axis");
      begin.push_back(at);
      end.push_back(at + 1);
      step.push_back(1);
      ++axis;
    } else if (item->is_object()) {
      const auto cut = cut_of(*item, shape[axis - 1]);
      if (!cut) return call.refuse("leaves nothing");
      begin.push_back(cut->begin);
      end.push_back(cut->end);
      step.push_back(cut->step);
      const auto span = cut->step > 0 ? cut->end - cut->begin : cut->begin - cut->end;
      const auto stride = std::abs(cut->step);
      result.push_back((span + stride - 1) / stride);
      ++axis;
    } else {
      return call.refuse(fmt::format("cuts by {}", shown(*item)));
    }
  }
  keep(shape.size() + 1 - axis);
  auto y = in.emit("_cut", "Slice", {*x}, {{"begin", begin}, {"end", end}, {"step", step}});
  if (y && in.shape_of(*y) != result) y = reshaped(in, *y, result);
  return y;
}

}  // namespace weft::formats::keras::ops
