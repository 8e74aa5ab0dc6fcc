// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/hls4ml/types.h"

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"

namespace weft::lower::hls4ml {
namespace {

using fixed::FixedType;
using fixed::TypeSpec;

/// Blocks that may speak of a node, most specific first, without the model's.
std::vector<const BlockConfig*> blocks(const Config& config, const nn::Node& node) {
  std::vector<const BlockConfig*> out;
  if (const auto it = config.layer_name.find(node.name); it != config.layer_name.end()) out.push_back(&it->second);
  for (const auto& type : {node.origin.op, node.op})
    if (const auto it = config.layer_type.find(type); it != config.layer_type.end()) out.push_back(&it->second);
  return out;
}

const TypeSpec* find(const BlockConfig& block, const std::string& role) {
  const auto it = block.precision.find(role);
  return it == block.precision.end() ? nullptr : &it->second;
}

template <class T, class Get>
T first(const Config& config, const nn::Node& node, T fallback, const Get& get) {
  for (const auto* block : blocks(config, node))
    if (const auto value = get(*block)) return *value;
  return get(config.model).value_or(fallback);
}

FixedType bounded(FixedType type, const std::optional<FixedType>& maximum) {
  if (!maximum) return type;
  type.width_bits = std::min(type.width_bits, maximum->width_bits);
  type.integer_bits = std::min(type.integer_bits, maximum->integer_bits);
  return type;
}

/// Integer bits of a sum's operands once both have the sign that one of them has, and one bit for the sum.
int sum_integers(const FixedType& a, const FixedType& b) {
  return std::max(a.integer_bits + (b.is_signed && !a.is_signed ? 1 : 0),
                  b.integer_bits + (a.is_signed && !b.is_signed ? 1 : 0)) +
         1;
}

TypeSpec spec_of(const FixedType& type) { return {TypeSpec::Form::Fixed, type, true}; }

}  // namespace

FixedType plain(int width_bits, int integer_bits, bool is_signed) {
  return {width_bits, integer_bits, is_signed, fixed::Rounding::Trn, fixed::Overflow::Wrap, 0};
}

FixedType Types::model_default() const {
  const auto* spec = find(config_->model, "default");
  return spec == nullptr || spec->form == TypeSpec::Form::Auto ? plain(16, 6) : spec->fixed;
}

std::optional<FixedType> Types::maximum() const {
  const auto* spec = find(config_->model, "maximum");
  if (spec == nullptr || spec->form == TypeSpec::Form::Auto) return std::nullopt;
  return spec->fixed;
}

TypeSpec Types::said(const nn::Node& node, const std::string& role) const {
  for (const auto* block : blocks(*config_, node))
    for (const auto& key : {role, std::string("default")})
      if (const auto* spec = find(*block, key)) return *spec;
  if (const auto* spec = find(config_->model, role)) return *spec;
  if (const auto* spec = find(config_->model, "default"); spec != nullptr && spec->form == TypeSpec::Form::Auto)
    return *spec;
  return spec_of(model_default());
}

std::optional<TypeSpec> Types::own(const nn::Node& node, const std::string& role) const {
  for (const auto* block : blocks(*config_, node))
    if (const auto* spec = find(*block, role); spec != nullptr && spec->form != TypeSpec::Form::Auto) return *spec;
  return std::nullopt;
}

std::int64_t Types::table_size(const nn::Node& node, std::int64_t fallback) const {
  return first(*config_, node, fallback, [](const BlockConfig& b) { return b.table_size; });
}
std::int64_t Types::reuse_factor(const nn::Node& node) const {
  return first(*config_, node, std::int64_t{1}, [](const BlockConfig& b) { return b.reuse_factor; });
}
bool Types::resource(const nn::Node& node) const {
  return first(*config_, node, std::string("latency"), [](const BlockConfig& b) { return b.strategy; }) == "resource";
}
std::string Types::implementation(const nn::Node& node) const {
  return first(*config_, node, std::string("stable"), [](const BlockConfig& b) { return b.implementation; });
}
bool Types::skipped(const nn::Node& node) const {
  return first(*config_, node, std::string(), [](const BlockConfig& b) { return b.softmax; }) == "remove";
}
std::int64_t Types::table_range_power2(const nn::Node& node) const {
  return first(*config_, node, std::int64_t{0}, [](const BlockConfig& b) { return b.table_range_power2; });
}

std::optional<TypeSpec> parameter_type(const quantizers::Spec& spec) {
  const auto bits = static_cast<int>(get_int(spec.parameters, "bits", 8));
  const auto integer = static_cast<int>(get_int(spec.parameters, "integer", 0));
  if (spec.family == "quantized_bits") return spec_of(bits == integer ? plain(bits, bits) : plain(bits, integer + 1));
  if (spec.family == "binary" || spec.family == "stochastic_binary")
    return TypeSpec{TypeSpec::Form::Bipolar, plain(2, 2), true};
  if (spec.family == "ternary" || spec.family == "stochastic_ternary") return spec_of(plain(2, 2));
  return std::nullopt;
}

std::optional<FixedType> activation_type(const quantizers::Spec& spec) {
  const auto bits = static_cast<int>(get_int(spec.parameters, "bits", 8));
  const auto integer = static_cast<int>(get_int(spec.parameters, "integer", 0));
  FixedType out{bits, integer, true, fixed::Rounding::RndConv, fixed::Overflow::Sat, 0};
  if (spec.family == "quantized_bits") {
    if (integer + 1 >= bits) return plain(integer + 1, integer + 1);
    out.integer_bits = integer + 1;
    return out;
  }
  if (spec.family == "quantized_relu") {
    out.is_signed = get_double(spec.parameters, "negative_slope", 0.0) != 0.0;
    out.integer_bits = integer + (out.is_signed ? 1 : 0);
    return out;
  }
  if (spec.family == "quantized_tanh") {
    out.integer_bits = 1;
    if (get_bool(spec.parameters, "symmetric", false)) out.overflow = fixed::Overflow::SatSym;
    return out;
  }
  if (spec.family == "quantized_sigmoid") {
    out.is_signed = false;
    out.integer_bits = 0;
    return out;
  }
  return std::nullopt;
}

int ceil_log2(std::int64_t n) {
  int bits = 0;
  while ((std::int64_t{1} << bits) < n) ++bits;
  return bits;
}

FixedType infer_product_sum(const FixedType& x, const FixedType& weight, const FixedType& bias, std::int64_t terms,
                            const std::optional<FixedType>& maximum) {
  const int growth = ceil_log2(terms);
  FixedType sum = plain(weight.width_bits + x.width_bits + growth, weight.integer_bits + x.integer_bits + growth,
                        weight.is_signed || x.is_signed);
  const int frac = std::max(sum.frac_bits(), bias.frac_bits());
  const int integers = sum_integers(sum, bias);
  return bounded(plain(integers + frac, integers, sum.is_signed || bias.is_signed), maximum);
}

FixedType infer_scale_bias(const FixedType& x, const FixedType& scale, const FixedType& bias,
                           const std::optional<FixedType>& maximum) {
  return infer_product_sum(x, scale, bias, 1, maximum);
}

FixedType infer_merge(const std::string& op, const FixedType& a, const FixedType& b,
                      const std::optional<FixedType>& maximum) {
  const bool is_signed = a.is_signed || b.is_signed;
  if (op == "Mul")
    return bounded(plain(a.width_bits + b.width_bits, a.integer_bits + b.integer_bits, is_signed), maximum);
  const int frac = std::max(a.frac_bits(), b.frac_bits());
  if (op == "Add" || op == "Sub" || op == "Average") {
    const int integers = sum_integers(a, b);
    return bounded(plain(integers + frac, integers, is_signed || op == "Sub"), maximum);
  }
  // Maximum, Minimum, Concat.
  if (a == b) return a;
  const int integers = std::max(a.integer_bits + (is_signed && !a.is_signed ? 1 : 0),
                                b.integer_bits + (is_signed && !b.is_signed ? 1 : 0));
  FixedType out = plain(integers + frac, integers, is_signed);
  if (op != "Concat") return out;
  out = bounded(out, maximum);
  out.rounding = a.rounding != fixed::Rounding::Trn ? a.rounding : b.rounding;
  out.overflow = a.overflow != fixed::Overflow::Wrap ? a.overflow : b.overflow;
  out.saturation_bits = a.saturation_bits != 0 ? a.saturation_bits : b.saturation_bits;
  return out;
}

FixedType infer_average_sum(const FixedType& x, std::int64_t pool) {
  const int growth = ceil_log2(pool);
  return plain(x.width_bits + 2 * growth, x.integer_bits + growth, x.is_signed);
}

FixedType infer_constant(double value) {
  if (value == 0.0) return plain(1, 1, false);
  constexpr int kWidth = 8;
  const int is_signed = value < 0.0 ? 1 : 0;
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);  // |mantissa| in [1/2, 1)
  // Integer bits that hold the value; -2^n needs one less.
  const int integers = mantissa == -0.5 ? exponent - 1 : exponent;
  int frac = 0;
  for (double m = std::ldexp(value, 0); m != std::floor(m) && frac < 1100; m = std::ldexp(value, frac)) ++frac;
  if (frac == 0)
    for (double m = value; std::fmod(m, 2.0) == 0.0; m /= 2.0) --frac;
  const int width = std::min(is_signed + integers + frac, is_signed + kWidth);
  return plain(width, is_signed + integers, is_signed != 0);
}

}  // namespace weft::lower::hls4ml
