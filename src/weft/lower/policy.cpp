// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/policy.h"

#include <algorithm>
#include <cmath>

namespace weft::lower {

fixed::FixedType type_for_range(double lo, double hi, int width_bits, bool allow_unsigned) {
  const bool is_signed = lo < 0.0 || !allow_unsigned;
  const double magnitude = std::max(std::fabs(lo), std::fabs(hi));
  fixed::FixedType type{width_bits, is_signed ? 1 : 0, is_signed};
  if (magnitude == 0.0 || !std::isfinite(magnitude)) return type;
  int exponent = 0;
  std::frexp(magnitude, &exponent);  // magnitude < 2^exponent
  type.integer_bits = exponent + (is_signed ? 1 : 0);
  // The largest code is one step below the power of two: rounding up into it would clip.
  const auto largest = [&] {
    return std::ldexp(1.0, exponent) - 0.5 * std::ldexp(1.0, type.integer_bits - width_bits);
  };
  if (hi >= largest()) {
    ++exponent;
    ++type.integer_bits;
  }
  return type;
}

Policy::Policy(const Options& options, std::map<std::string, std::pair<double, double>> observed,
               layers::FloatRun::Ranges intermediates)
    : options_(options),
      settings_{&options.config},
      observed_(std::move(observed)),
      intermediates_(std::move(intermediates)) {}

std::optional<fixed::FixedType> Policy::named(const nn::Node& node, const std::string& role) const {
  const auto find = [&](const BlockConfig& block) -> std::optional<fixed::FixedType> {
    const auto it = block.precision.find(role);
    if (it == block.precision.end() || it->second.form == fixed::TypeSpec::Form::Auto) return std::nullopt;
    return it->second.fixed;
  };
  const auto& config = options_.config;
  if (const auto it = config.layer_name.find(node.name); it != config.layer_name.end())
    if (auto t = find(it->second)) return t;
  for (const auto& type : {node.origin.op, node.op})
    if (const auto it = config.layer_type.find(type); it != config.layer_type.end())
      if (auto t = find(it->second)) return t;
  return find(config.model);
}

std::optional<fixed::FixedType> Policy::result(const nn::Node& node) const {
  // Only what is said of the layer's result itself: a default for everything applies where a type is needed.
  return named(node, "result");
}

std::optional<fixed::FixedType> Policy::intermediate(const nn::Node& node, const std::string& role) const {
  return named(node, role);
}

fixed::FixedType Policy::default_intermediate(const nn::Node& node, const std::string& role, double lo,
                                              double hi) const {
  if (const auto spec = settings_.type(node, role)) return spec->fixed;
  if (const auto it = intermediates_.find({node.name, role}); it != intermediates_.end())
    return type_for_range(it->second.first, it->second.second, options_.default_type.width_bits, true);
  if (std::isfinite(lo) && std::isfinite(hi)) return type_for_range(lo, hi, options_.default_type.width_bits, true);
  return options_.default_type;
}

fixed::FixedType Policy::default_result(const nn::Node& node, double, double) const {
  if (const auto spec = settings_.type(node, "result")) return spec->fixed;
  if (const auto it = observed_.find(node.name); it != observed_.end())
    return type_for_range(it->second.first, it->second.second, options_.default_type.width_bits, true);
  return options_.default_type;
}

fixed::FixedType Policy::parameter(const nn::Node& node, const std::string& role, double lo, double hi) const {
  if (role.starts_with("recurrent_"))
    if (const auto own = named(node, role == "recurrent_bias" ? role : "recurrent_weight")) return *own;
  const bool bias = role == "bias" || role == "recurrent_bias";
  if (const auto spec = settings_.type(node, bias ? "bias" : "weight")) return spec->fixed;
  return type_for_range(lo, hi, options_.default_type.width_bits, false);
}

std::optional<fixed::FixedType> Policy::chosen_parameter(const nn::Node& node, const std::string& role) const {
  const auto spec = settings_.type(node, role == "bias" ? "bias" : "weight");
  if (spec && spec->form == fixed::TypeSpec::Form::Fixed) return spec->fixed;
  return std::nullopt;
}

std::optional<fixed::FixedType> Policy::accumulator(const nn::Node& node) const {
  if (const auto spec = settings_.type(node, "accum")) return spec->fixed;
  return std::nullopt;
}

std::size_t Policy::most_steps(const nn::Node& node) const {
  if (const auto steps = settings_.steps(node)) return static_cast<std::size_t>(*steps);
  return TypePolicy::most_steps(node);
}

layers::TypePolicy::Softmax Policy::softmax(const nn::Node& node, bool is_final) const {
  const auto said = settings_.softmax(node);
  if (said == "table") return Softmax::Table;
  if (said == "argmax") return Softmax::ArgMax;
  return is_final ? Softmax::Remove : Softmax::Table;
}

}  // namespace weft::lower
