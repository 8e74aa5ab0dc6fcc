// SPDX-License-Identifier: Apache-2.0
// Functions of one number as hls4ml 1.3 computes them: comparisons and products at full precision with one cast to the
// result type, or a table of float32 results cast to the table type, addressed by trunc(x * size / range).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/lower/hls4ml/lowering.h"

namespace weft::lower::hls4ml {
namespace {

using fixed::FixedType;

/// What stands in a table at the float32 number v.
using Entry = double (*)(float v);

double exp32(float v) { return static_cast<float>(std::exp(static_cast<double>(v))); }
double sigmoid_entry(float v) {
  return static_cast<float>(1.0 / static_cast<double>(1.0F + static_cast<float>(exp32(-v))));
}
double tanh_entry(float v) { return static_cast<float>(std::tanh(static_cast<double>(v))); }
double softplus_entry(float v) { return static_cast<float>(std::log(exp32(v) + 1.0)); }
double softsign_entry(float v) { return static_cast<float>(v / (static_cast<double>(std::fabs(v)) + 1.0)); }
double elu_entry(float v) { return static_cast<float>(exp32(v) - 1.0); }
double selu_entry(float v) {
  return static_cast<float>(1.0507009873554804934193349852946 * (1.6732632423543772848170429916717 * (exp32(v) - 1.0)));
}

/// A table over [-range / 2, range / 2), or over (-range, 0] with the index running down.
struct Table {
  Entry entry;
  int range;
  bool negative = false;
};

struct NamedTable {
  std::string_view name;
  Table table;
};
constexpr NamedTable kTables[] = {
    {"elu", {elu_entry, 8, true}},      {"selu", {selu_entry, 8, true}},    {"sigmoid", {sigmoid_entry, 16}},
    {"softplus", {softplus_entry, 16}}, {"softsign", {softsign_entry, 16}}, {"tanh", {tanh_entry, 8}},
};

const Table* find_table(const std::string& name) {
  for (const auto& row : kTables)
    if (row.name == name) return &row.table;
  return nullptr;
}

/// The table's entry for every code of x, times `factor` (a code with its fraction bits), as `result`.
Result<exact::ValueId> apply_table(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId x,
                                   const Table& table, const FixedType& table_type, std::int64_t size, Int factor,
                                   int factor_frac, const FixedType& result) {
  const int frac = l.frac_bits(x);
  const fixed::Range range = layers::channel_range(l.value(x), 0, 1);
  // trunc(x * size / range): the code times `up` over `down`.
  const Int up = Int{size} << std::max(-frac, 0);
  const Int down = Int{table.range} << std::max(frac, 0);
  const Int largest = std::max(range.hi, -range.lo);
  if (frac > 100 || frac < -60 || !fixed::checked_mul(largest, up))
    return l.unlike(node, "the table's index leaves 128 bits");
  if (largest * up / down >= (Int{1} << 31) - size)
    return l.unlike(node, "the index that hls4ml computes leaves 32 bits; give the layer a narrower input type");
  const auto index = [&](Int code) {
    const Int rounded = divide_toward_zero(code * up, down);
    return std::clamp<Int>(table.negative ? -rounded : rounded + size / 2, 0, size - 1);
  };
  std::vector<Int> entries;
  for (std::int64_t i = 0; i < size; ++i) {
    const auto n = static_cast<double>(size);
    const auto at = static_cast<double>(i);
    const double v = table.range * (table.negative ? -at : at - n / 2.0) / n;
    const Int entry = table_entry(table.entry(static_cast<float>(v)), table_type);
    entries.push_back(fixed::cast(entry * factor, table_type.frac_bits() + factor_frac, result));
  }
  const auto f = [&](Int code) { return entries[static_cast<std::size_t>(index(code))]; };
  return l.lookup(node, suffix, x, index_starts(range, index), f, result.frac_bits());
}

/// x where it is positive, else 0; and x where it is negative, else 0.
Result<exact::ValueId> positive_part(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId x) {
  return l.clip(node, suffix + "_positive", x, 0, std::max<Int>(layers::channel_range(l.value(x), 0, 1).hi, 0));
}
Result<exact::ValueId> negative_part(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId x) {
  return l.clip(node, suffix + "_negative", x, std::min<Int>(layers::channel_range(l.value(x), 0, 1).lo, 0), 0);
}

/// One of the two is 0 for every x, and 0 is cast to 0.
Result<exact::ValueId> join(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId above,
                            exact::ValueId below, const FixedType& result) {
  WEFT_TRY(const auto a, l.cast(node, suffix + "_above", above, result));
  WEFT_TRY(const auto b, l.cast(node, suffix + "_below", below, result));
  return l.sum(node, suffix + "_joined", a, b);
}

/// x > 0 ? x : slope * x, for slopes as codes along the last axes of x.
Result<exact::ValueId> leaky(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId x,
                             std::vector<Int> slopes, int frac, const Shape& shape, const FixedType& result) {
  WEFT_TRY(const auto above, positive_part(l, node, suffix, x));
  WEFT_TRY(const auto negative, negative_part(l, node, suffix, x));
  WEFT_TRY(const auto slope, l.constant(node, suffix + "_slope", std::move(slopes), frac, shape));
  WEFT_TRY(const auto below, l.product(node, suffix + "_scaled", negative, slope));
  return join(l, node, suffix, above, below, result);
}

/// clip(slope * x + shift, 0, 1), and twice that minus one for `tanh`.
Result<exact::ValueId> hard(Lowering& l, const nn::Node& node, exact::ValueId x, double slope, double shift,
                            bool tanh) {
  const FixedType slope_type = l.own_type(node, "slope", plain(16, 0, false));
  const FixedType shift_type = l.own_type(node, "shift", plain(2, 0, false));
  WEFT_TRY(const auto a,
           l.constant(node, "_slope", {fixed::from_double(slope, slope_type)}, slope_type.frac_bits(), Shape{1}));
  WEFT_TRY(const auto b,
           l.constant(node, "_shift", {fixed::from_double(shift, shift_type)}, shift_type.frac_bits(), Shape{1}));
  WEFT_TRY(const auto product, l.product(node, "_product", x, a));
  WEFT_TRY(const auto sum, l.sum(node, "_sum", product, b));
  const int frac = l.frac_bits(sum);
  if (frac < 0 || frac > 100) return l.unlike(node, "hls4ml's hard sigmoid cannot hold 1 here");
  WEFT_TRY(const auto clipped, l.clip(node, "_clipped", sum, 0, Int{1} << frac));
  if (!tanh) return clipped;
  WEFT_TRY(const auto two, l.constant(node, "_two", {2}, 0, Shape{1}));
  WEFT_TRY(const auto one, l.constant(node, "_one", {1}, 0, Shape{1}));
  WEFT_TRY(const auto doubled, l.product(node, "_doubled", clipped, two));
  return l.sum(node, "_centred", doubled, one, true);
}

Result<exact::ValueId> sign_of(Lowering& l, const nn::Node& node, exact::ValueId x) {
  return l.lookup(node, "_sign", x, {0}, [](Int code) { return code >= 0 ? Int{1} : Int{-1}; }, 0);
}

/// Says why a function of the source is none of hls4ml's; empty when it is.
std::string obstacle(const quantizers::Spec& spec) {
  if (spec.family != "relu") return {};
  const auto& cap =
      spec.parameters.count("max_value") == 0 ? Attribute(std::string("none")) : spec.parameters.at("max_value");
  const bool capped = !std::holds_alternative<std::string>(cap);
  if (capped &&
      (std::get_if<double>(&cap) == nullptr || (std::get<double>(cap) != 6.0 && std::get<double>(cap) != 1.0)))
    return "hls4ml 1.3 ignores max_value of a ReLU";
  if (get_double(spec.parameters, "negative_slope", 0.0) != 0.0) return "hls4ml 1.3 ignores negative_slope of a ReLU";
  return {};
}

/// Quantized activations: hls4ml computes the function and lets the type of the result round and clip.
Result<void> lower_quantized(Lowering& l, const nn::Node& node, const quantizers::Spec& spec) {
  const Variable x = l.in(node);
  const auto own = activation_type(spec);
  const auto result_type = [&](const FixedType& type) {
    const auto said = l.types.own(node, "result");
    return said ? said->fixed : type;
  };
  if (own && spec.family == "quantized_bits") return l.finish(node, x.value, result_type(*own));
  if (own && spec.family == "quantized_relu") {
    const double slope = get_double(spec.parameters, "negative_slope", 0.0);
    if (slope != 0.0) {
      const FixedType param = l.own_type(node, "param", infer_constant(slope));
      WEFT_TRY(const auto y, leaky(l, node, "", x.value, {fixed::from_double(slope, param)}, param.frac_bits(),
                                   Shape{1}, result_type(*own)));
      return l.finish(node, y, result_type(*own));
    }
    WEFT_TRY(const auto y, positive_part(l, node, "", x.value));
    return l.finish(node, y, result_type(*own));
  }
  if (own && (spec.family == "quantized_tanh" || spec.family == "quantized_sigmoid")) {
    WEFT_TRY(const auto y, hard(l, node, x.value, 0.5, 0.5, spec.family == "quantized_tanh"));
    return l.finish(node, y, result_type(*own));
  }
  // Thresholds, signs and other quantizers have no arithmetic of hls4ml's own: their function is the meaning.
  WEFT_TRY(const auto symbol, l.recipe.apply(node, l.recipe.input(node), spec));
  WEFT_CHECK(symbol.pending.empty(), "a quantizer leaves codes");
  const auto& y = l.value(symbol.value);
  const auto log2 = y.scale.per_tensor() ? fixed::log2_exact(y.scale.at(0)) : std::nullopt;
  if (!log2) return l.unlike(node, "the quantizer's scale is no single power of two");
  const fixed::Range range = layers::channel_range(y, 0, 1);
  const bool bipolar = *log2 == 0 && range.lo == -1 && range.hi == 1 && spec.family != "ternary" &&
                       !(spec.family == "multithreshold" && get_double(spec.parameters, "out_scale", 1.0) != 2.0);
  const int width = fixed::width_bits(range);
  return l.finish(node, Variable{symbol.value, plain(width, width + *log2, range.lo < 0), bipolar});
}

}  // namespace

Result<exact::ValueId> function_of(Lowering& l, const nn::Node& node, const std::string& suffix, const Variable& x,
                                   const std::string& function, const FixedType& result) {
  const FixedType table_type = l.own_type(node, "table", plain(18, 8));
  const std::int64_t size = l.types.table_size(node, 1024);
  if (size < 2 || size > (1 << 20))
    return l.ctx.fail(Kind::ConfigInvalid, node.origin, fmt::format("a table of {} entries", size));
  if (function == "linear") return l.cast(node, suffix, x.value, result);
  if (function == "relu") {
    WEFT_TRY(const auto y, positive_part(l, node, suffix, x.value));
    return l.cast(node, suffix, y, result);
  }
  const Table* table = find_table(function);
  if (table == nullptr) return l.unlike(node, fmt::format("hls4ml 1.3 does not know the function `{}`", function));
  return apply_table(l, node, suffix, x.value, *table, table_type, size, 1, 0, result);
}

Result<void> lower_activation(Lowering& l, const nn::Node& node) {
  const auto it = node.functions.find("activation");
  if (it == node.functions.end()) return l.ctx.fail(Kind::ModelMalformed, node.origin, "the layer has no function");
  const quantizers::Spec& spec = it->second;
  const Variable x = l.in(node);
  if (l.recipe.is_input_quantizer(node)) return l.finish(node, x);
  const auto* family = quantizers::find_family(spec.family);
  if (family != nullptr && family->is_quantizer && spec.family != "hard_sigmoid" && spec.family != "hard_tanh" &&
      spec.family != "binary_tanh")
    return lower_quantized(l, node, spec);
  if (const auto what = obstacle(spec); !what.empty()) return l.unlike(node, what);
  const FixedType result = l.type(node, "result", l.types.model_default());
  const std::string& name = spec.family;
  const FixedType table_type = l.own_type(node, "table", plain(18, 8));
  const std::int64_t size = l.types.table_size(node, 1024);

  if (name == "relu") {
    const double threshold = get_double(spec.parameters, "threshold", 0.0);
    const int frac = l.frac_bits(x.value);
    if (threshold != 0.0) {
      if (node.origin.op != "ThresholdedReLU") return l.unlike(node, "hls4ml 1.3 ignores threshold of a ReLU");
      const FixedType param = l.own_type(node, "param", x.type);
      const Rational theta =
          fixed::rational_from_int(fixed::from_double(threshold, param)) * fixed::pow2(frac - param.frac_bits());
      const auto beyond = fixed::to_int(fixed::round(theta, fixed::Rounding::Trn));
      if (!beyond) return l.unlike(node, "the threshold leaves 128 bits");
      // x > theta first at the next code.
      const Int first = *beyond + 1;
      WEFT_TRY(
          const auto mask,
          l.lookup(node, "_above", x.value, {first}, [&](Int code) { return code >= first ? Int{1} : Int{0}; }, 0));
      WEFT_TRY(const auto y, l.product(node, "_passed", x.value, mask));
      return l.finish(node, y, result);
    }
    const auto cap = spec.parameters.find("max_value");
    WEFT_TRY(auto y, positive_part(l, node, "", x.value));
    if (cap != spec.parameters.end() && std::holds_alternative<double>(cap->second)) {
      const auto top = fixed::to_int(fixed::round(
          fixed::rational_from_double(std::get<double>(cap->second)) * fixed::pow2(frac), fixed::Rounding::Trn));
      if (top && frac >= 0) {
        WEFT_TRY(y, l.clip(node, "_capped", y, 0, *top));
      }
    }
    return l.finish(node, y, result);
  }
  if (name == "leaky_relu") {
    const double alpha = get_double(spec.parameters, "alpha", 0.2);
    const FixedType param = l.type(node, "param", infer_constant(alpha));
    WEFT_TRY(const auto y,
             leaky(l, node, "", x.value, {fixed::from_double(alpha, param)}, param.frac_bits(), Shape{1}, result));
    return l.finish(node, Variable{y, result}, "slope " + fixed::to_string(param));
  }
  if (name == "prelu") {
    std::vector<float> slopes;
    for (const double a : get_doubles(spec.parameters, "alpha")) slopes.push_back(static_cast<float>(a));
    const Shape& shape = l.shape(node.inputs[0]);
    const auto n = static_cast<std::int64_t>(slopes.size());
    // hls4ml takes one slope per element of the input; fewer are read over the end of the array.
    if (n != element_count(shape))
      return l.unlike(node, fmt::format("hls4ml 1.3 reads {} slopes where {} are given", element_count(shape), n));
    const FixedType param = l.type(node, "param", x.type);
    WEFT_TRY(const auto y,
             leaky(l, node, "", x.value, l.through_text(slopes, param), param.frac_bits(), shape, result));
    return l.finish(node, Variable{y, result}, "slopes " + fixed::to_string(param));
  }
  if (name == "elu" || name == "selu") {
    WEFT_TRY(const auto positive, positive_part(l, node, "", x.value));
    WEFT_TRY(const auto negative, negative_part(l, node, "", x.value));
    exact::ValueId above = positive;
    Int factor = 1;
    int factor_frac = 0;
    if (name == "selu") {
      // A stream's kernel holds the constant in the type of its data.
      const FixedType lambda = l.types.stream() ? x.type : plain(16, 1, false);
      WEFT_TRY(const auto c, l.constant(node, "_lambda", {fixed::from_double(1.0507009873554805, lambda)},
                                        lambda.frac_bits(), Shape{1}));
      WEFT_TRY(above, l.product(node, "_stretched", positive, c));
    } else {
      const double alpha = get_double(spec.parameters, "alpha", 1.0);
      const FixedType param = l.type(node, "param", infer_constant(alpha));
      factor = fixed::from_double(alpha, param);
      factor_frac = param.frac_bits();
    }
    // The table's entry at 0 is exp(0) - 1 = 0: it adds nothing to numbers above 0.
    WEFT_TRY(const auto below, apply_table(l, node, "_below", negative, *find_table(name), table_type, size, factor,
                                           factor_frac, result));
    WEFT_TRY(const auto cast, l.cast(node, "_above", above, result));
    WEFT_TRY(const auto y, l.sum(node, "", cast, below));
    return l.finish(node, Variable{y, result}, "table " + fixed::to_string(table_type));
  }
  if (name == "keras_hard_sigmoid" || name == "hard_sigmoid" || name == "hard_tanh") {
    const double slope = name == "keras_hard_sigmoid" ? get_double(spec.parameters, "slope", 0.2) : 0.5;
    const double shift = get_double(spec.parameters, "offset", 0.5);
    WEFT_TRY(const auto y, hard(l, node, x.value, slope, shift, name == "hard_tanh"));
    return l.finish(node, y, result);
  }
  if (name == "binary_tanh") {
    WEFT_TRY(const auto y, sign_of(l, node, x.value));
    if (result.width_bits == 1 && !result.is_signed) return l.finish(node, Variable{y, plain(2, 2), true});
    return l.finish(node, y, result);
  }
  if (name == "linear" || find_table(name) != nullptr) {
    WEFT_TRY(const auto y, function_of(l, node, "", x, name, result));
    return l.finish(node, y, result,
                    find_table(name) == nullptr ? std::string()
                                                : fmt::format("table of {} {}", size, fixed::to_string(table_type)));
  }
  return l.unlike(node, fmt::format("hls4ml 1.3 does not know the function `{}`", name));
}

}  // namespace weft::lower::hls4ml
