// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/hgq_quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/keras/quantizer_spec.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;

/// As quantizers::hgq_fixed has it.
constexpr double kMaxBits = 64.0;

std::string upper_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

/// Trained widths as used: rounded half to even; one number, one per index of the last axis, or one per element of
/// `target`. `shape` is that of the variable, without the batch.
std::optional<std::vector<double>> expand(LayerImport& in, const FloatTensor& widths, const Shape& shape,
                                          const Shape& target, bool per_element) {
  const auto offset = target.size() - std::min(target.size(), shape.size());
  bool good = shape.size() <= target.size();
  for (std::size_t a = 0; good && a < shape.size(); ++a) good = shape[a] == 1 || shape[a] == target[a + offset];
  if (!good) {
    in.config.fail(Kind::ShapeMismatch, fmt::format("the widths of a quantizer have shape {}, its tensor {}",
                                                    weft::to_string(shape), weft::to_string(target)));
    return std::nullopt;
  }
  std::vector<double> out;
  if (!per_element) {
    for (const float v : widths.data) out.push_back(std::nearbyint(v));
    return out;
  }
  const auto count = static_cast<std::size_t>(element_count(target));
  for (std::size_t e = 0; e < count; ++e) {
    out.push_back(std::nearbyint(widths.data[tensor::broadcast_index(shape, target, e)]));
  }
  return out;
}

}  // namespace

std::optional<FloatTensor> read_variable(LayerImport& in, const std::string& path) {
  if (!in.variables) return std::nullopt;
  const auto it = in.variables->find(path);
  if (it == in.variables->end()) {
    in.config.fail(Kind::WeightMissing, fmt::format("weight `{}` is not in `{}`", path, in.weights->hdf5().name()));
    return std::nullopt;
  }
  auto values = in.weights->hdf5().read_numbers(it->second, in.config.context());
  if (!values) {
    in.config.fail_reported();
    return std::nullopt;
  }
  return std::move(values).value();
}

std::optional<quantizers::Spec> make_fixed(LayerImport& in, const Widths& w, const Shape& target, bool batch,
                                           const std::string& rounding, const std::string& overflow) {
  AttributeMap parameters{{"rounding", rounding}, {"overflow", overflow}};
  // One per index of the last axis is enough when no other axis has widths of its own.
  bool per_element = false;
  std::vector<Shape> shapes;
  for (const auto* widths : {&w.k, &w.i, &w.f}) {
    Shape shape = widths->shape;
    if (batch && shape.size() == target.size() + 1 && shape[0] == 1) shape.erase(shape.begin());
    for (std::size_t a = 0; a + 1 < shape.size(); ++a) per_element = per_element || shape[a] != 1;
    shapes.push_back(std::move(shape));
  }
  std::vector<std::vector<double>> lists;
  for (const auto* widths : {&w.k, &w.i, &w.f}) {
    auto values = expand(in, *widths, shapes[lists.size()], target, per_element);
    if (!values) return std::nullopt;
    lists.push_back(std::move(*values));
  }
  for (std::size_t e = 0; e < lists[0].size(); ++e) {
    // What training has taken away has no meaning in its widths, which may be anything.
    const double bits = lists[1][e] + lists[2][e];
    if (overflow != "NONE" && (lists[0][e] + bits <= 0.0 || (overflow == "SAT_SYM" && bits <= 0.0)))
      lists[0][e] = lists[1][e] = lists[2][e] = 0.0;
    for (const auto& list : lists) {
      if (std::fabs(list[e]) <= kMaxBits) continue;
      in.config.fail(Kind::QuantizerUnsupported,
                     fmt::format("a quantizer has {} integer or fraction bits; {} are supported", list[e], kMaxBits));
      return std::nullopt;
    }
  }
  std::size_t next = 0;
  for (const char* key : {"k", "i", "f"}) {
    auto& values = lists[next++];
    if (std::all_of(values.begin(), values.end(), [&](double v) { return v == values.front(); })) values.resize(1);
    parameters[key] = std::move(values);
  }
  return make_spec("hgq_fixed", parameters);
}

std::optional<quantizers::Spec> read_hgq(LayerImport& in, std::string_view key, const std::string& part,
                                         const Shape& target, bool batch, const Json* conf) {
  if (conf == nullptr) conf = in.config.find(key);
  const auto* inner = conf == nullptr ? nullptr : member(*conf, "config");
  if (inner == nullptr) {
    in.config.fail(Kind::ModelMalformed, fmt::format("attribute `{}` is no quantizer configuration", key));
    return std::nullopt;
  }
  const auto refuse = [&](const std::string& what) {
    in.config.fail(Kind::QuantizerUnsupported, fmt::format("`{}`: {}", key, what));
    return std::nullopt;
  };
  ConfigReader config(*inner, in.config.origin(), in.config.context());
  const auto q_type = config.text("q_type", "");
  const bool kbi = q_type == "kbi";
  if (!kbi && q_type != "kif") return refuse(fmt::format("quantizers of type `{}` are not supported", q_type));
  for (const auto* none : {"scaler", "affine", "qnoise_factor", "bw_mapper"}) {
    // qnoise_factor has no effect at inference.
    if (config.find(none) != nullptr && std::string_view(none) != "qnoise_factor")
      return refuse(fmt::format("`{}` is {}, which is not supported", none, shown(*config.find(none))));
  }
  auto rounding = upper_case(config.text("round_mode", "RND"));
  if (rounding.starts_with("S_")) rounding = rounding.substr(2);  // stochastic in training only
  auto overflow = upper_case(config.text("overflow_mode", ""));
  if (overflow != "WRAP" && overflow != "SAT" && overflow != "SAT_SYM")
    return refuse(fmt::format("overflow mode `{}` is not supported", overflow));
  static constexpr std::string_view kRoundings[] = {"TRN",      "RND",         "RND_CONV", "TRN_ZERO",
                                                    "RND_ZERO", "RND_MIN_INF", "RND_INF"};
  if (std::find(std::begin(kRoundings), std::end(kRoundings), rounding) == std::end(kRoundings))
    return refuse(fmt::format("round mode `{}` is not supported", rounding));
  const auto place = config.text("place", "datalane");
  const bool is_weight = config.flag("is_weight", place == "weight");
  const bool trainable = config.flag("trainable", true) && in.config.flag("trainable", true);
  if (!config.ok()) {
    in.config.fail_reported();
    return std::nullopt;
  }
  if (!in.variables) return std::nullopt;
  // Keras 3 numbers a layer's variables: trainable ones first, each kind in the order of their making (k, then b, i or
  // i, f); wrapping ones do not train i.
  const bool wraps = overflow == "WRAP";
  const Keys order =
      kbi ? (wraps ? Keys{"b", "k", "i"} : Keys{"b", "i", "k"}) : (wraps ? Keys{"f", "k", "i"} : Keys{"i", "f", "k"});
  const auto read = [&](std::string_view name) -> std::optional<FloatTensor> {
    const auto numbered =
        fmt::format("{}/quantizer/vars/{}", part, std::find(order.begin(), order.end(), name) - order.begin());
    return read_variable(in, in.variables->count(numbered) != 0 ? numbered : fmt::format("{}/{}", part, name));
  };
  auto k = read("k");
  auto i = read("i");
  auto f = read(kbi ? "b" : "f");
  if (!k || !i || !f) return std::nullopt;
  if (k->shape != i->shape || k->shape != f->shape) {
    in.config.fail(Kind::ShapeMismatch, fmt::format("`{}`: its widths have different shapes", key));
    return std::nullopt;
  }
  if (kbi) {
    // b and i are rounded each, then f = b - i.
    for (std::size_t e = 0; e < f->data.size(); ++e)
      f->data[e] = std::nearbyint(f->data[e]) - std::nearbyint(i->data[e]);
  }
  // Trainable weights that would wrap are rounded only (kbi: only for RND).
  if (wraps && is_weight && trainable && (!kbi || rounding == "RND")) {
    overflow = "NONE";
    // The integer bits have no effect then, however large they are; a rounding of 64 bits leaves nothing.
    std::fill(i->data.begin(), i->data.end(), 0.0F);
    for (auto& v : f->data) v = std::max(v, static_cast<float>(-kMaxBits));
  }
  return make_fixed(in, {std::move(*k), std::move(*i), std::move(*f)}, target, batch, rounding, overflow);
}

}  // namespace weft::formats::keras
