// SPDX-License-Identifier: Apache-2.0
#include "quantizer_choice.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace weft::random_networks {
namespace {

using quantizers::Spec;
using Integer = std::int64_t;

std::vector<double> scales(Dice& dice, std::int64_t channels, int percent_per_channel) {
  const bool power_of_two = dice.chance(60);
  std::vector<double> out(dice.chance(percent_per_channel) ? static_cast<std::size_t>(channels) : 1);
  for (auto& s : out) s = random_scale(dice, power_of_two);
  return out;
}

/// QKeras' alpha for numbers: none, one, or several.
Attribute fixed_alpha(Dice& dice, std::int64_t channels) {
  if (dice.chance(55)) return 1.0;
  if (dice.chance(15)) return std::string("none");
  auto values = scales(dice, channels, 50);
  if (values.size() == 1) return values[0];
  return values;
}

Attribute weight_alpha(Dice& dice, std::int64_t channels) {
  if (dice.chance(15)) return std::string("auto");
  if (dice.chance(20)) return std::string("auto_po2");
  return fixed_alpha(dice, channels);
}

Attribute threshold(Dice& dice) {
  if (dice.chance(60)) return std::string("none");
  return dice.real(0.1, 1.0);
}

bool automatic(const Attribute& alpha) {
  const auto* text = std::get_if<std::string>(&alpha);
  return text != nullptr && *text != "none";
}

std::string rounding(Dice& dice) {
  return dice.pick<std::string>({"ROUND", "ROUND", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN"});
}

/// Functions that have no finite value somewhere, or are known up to some |x| only.
bool partial(const std::string& family) {
  static const std::set<std::string> kPartial = {"acos", "acosh", "asin",       "atanh", "cos", "cosh", "log",
                                                 "sin",  "sinh",  "reciprocal", "rsqrt", "tan", "sqrt"};
  return kPartial.count(family) != 0;
}

std::vector<std::string> names(bool quantizer) {
  std::vector<std::string> out;
  for (const auto& f : quantizers::families())
    if (f.is_quantizer == quantizer && f.name != "bernoulli" && !partial(f.name)) out.push_back(f.name);
  return out;
}

/// Random parameters of one family. `alpha` fits where the family takes one.
Spec parameters_of(Dice& dice, const std::string& family, std::int64_t channels, const Attribute& alpha) {
  const auto bits = [&](Integer lo, Integer hi) { return dice.between(lo, hi); };
  const auto flag = [&] { return dice.chance(50); };
  if (family == "quantized_bits" || family == "quantized_linear") {
    const Integer b = bits(automatic(alpha) ? 2 : 1, 8);
    return make_spec(family, {{"bits", b},
                              {"integer", dice.between(-1, 3)},
                              {"symmetric", flag()},
                              {"keep_negative", b == 1 || !dice.chance(20)},
                              {"alpha", alpha}});
  }
  if (family == "quantized_hswish")
    return make_spec(family,
                     {{"bits", bits(2, 7)}, {"integer", dice.between(0, 2)}, {"symmetric", flag()}, {"alpha", 1.0}});
  if (family == "quantized_relu") {
    AttributeMap p{{"bits", bits(2, 8)}, {"integer", dice.between(-1, 4)}, {"use_sigmoid", dice.chance(15)}};
    if (dice.chance(25)) p["negative_slope"] = std::ldexp(1.0, -static_cast<int>(dice.between(0, 4)));
    if (dice.chance(15)) p["relu_upper_bound"] = dice.real(0.3, 6.0);
    if (dice.chance(25)) p["is_quantized_clip"] = false;
    return make_spec(family, p);
  }
  if (family == "quantized_po2" || family == "quantized_relu_po2") {
    AttributeMap p{{"bits", bits(3, 4)}, {"quadratic_approximation", dice.chance(25)}};
    if (dice.chance(70)) p["max_value"] = std::ldexp(1.0, static_cast<int>(dice.between(-1, 3)));
    if (dice.chance(25)) p["log2_rounding"] = std::string("floor");
    if (family == "quantized_relu_po2" && dice.chance(25)) p["negative_slope"] = 0.25;
    return make_spec(family, p);
  }
  if (family == "quantized_tanh")
    return make_spec(family, {{"bits", bits(2, 8)}, {"symmetric", flag()}, {"use_real_tanh", flag()}});
  if (family == "quantized_sigmoid")
    return make_spec(family, {{"bits", bits(2, 8)}, {"symmetric", flag()}, {"use_real_sigmoid", flag()}});
  if (family == "quantized_ulaw")
    return make_spec(family, {{"bits", bits(2, 4)}, {"integer", dice.between(0, 2)}, {"symmetric", flag()}});
  if (family == "binary") return make_spec(family, {{"alpha", alpha}, {"use_01", dice.chance(25)}});
  if (family == "stochastic_binary") return make_spec(family, {{"alpha", alpha}});
  if (family == "ternary" || family == "stochastic_ternary") {
    AttributeMap p{{"alpha", alpha}};
    if (!automatic(alpha)) p["threshold"] = threshold(dice);
    return make_spec(family, p);
  }
  if (family == "bipolar_quant") return make_spec(family, {{"scale", scales(dice, channels, 30)}});
  if (family == "qonnx_quant") return random_qonnx(dice, channels, true);
  if (family == "multithreshold") {
    const Integer own = dice.chance(40) ? channels : 1;
    const Integer steps = dice.pick<Integer>({1, 3, 7, 15});
    std::vector<double> thresholds;
    for (Integer i = 0; i < own * steps; ++i)
      thresholds.push_back(dice.chance(50) ? static_cast<double>(dice.between(-32, 32)) / 8.0 : dice.real(-4.0, 4.0));
    return make_spec(family, {{"thresholds", std::move(thresholds)},
                              {"channels", own},
                              {"out_scale", random_scale(dice, dice.chance(70))},
                              {"out_bias", static_cast<double>(dice.between(-steps, 1))}});
  }
  return make_spec(family, {});  // sign, and families that are new here
}

}  // namespace

Spec make_spec(const std::string& family, const AttributeMap& parameters) {
  const auto* row = quantizers::find_family(family);
  WEFT_CHECK(row != nullptr, "no family " + family);
  Spec out{family, row->defaults};
  for (const auto& [key, value] : parameters) out.parameters[key] = value;
  return out;
}

double random_scale(Dice& dice, bool power_of_two) {
  if (power_of_two) return std::ldexp(1.0, static_cast<int>(dice.between(-4, 1)));
  // As a float32: a spec holds what a file can hold.
  return static_cast<double>(static_cast<float>(dice.real(0.05, 1.9)));
}

Spec random_fixed_point(Dice& dice, std::int64_t most_bits, std::int64_t most_integer) {
  const auto bits = dice.between(2, most_bits);
  return make_spec("quantized_bits", {{"bits", bits}, {"integer", dice.between(0, most_integer)}, {"alpha", 1.0}});
}

Spec random_qonnx(Dice& dice, std::int64_t channels, bool with_zero_point) {
  const double bits = static_cast<double>(dice.between(1, 8));
  std::vector<double> zeros{0.0};
  const bool is_signed = dice.chance(60);
  if (with_zero_point && dice.chance(30)) {
    zeros.resize(dice.chance(30) ? static_cast<std::size_t>(channels) : 1);
    for (auto& z : zeros) z = static_cast<double>(dice.between(-4, 4));
  }
  auto scale = scales(dice, channels, 40);
  // Both have one channel or all.
  if (scale.size() != 1 && zeros.size() == 1 && dice.chance(50)) zeros.resize(scale.size(), zeros[0]);
  return make_spec("qonnx_quant", {{"scale", std::move(scale)},
                                   {"zero_point", std::move(zeros)},
                                   {"bits", bits},
                                   {"signed", is_signed},
                                   {"narrow", dice.chance(40)},
                                   {"rounding", rounding(dice)}});
}

Spec plain_activation(Dice& dice) {
  switch (dice.between(0, 4)) {
    case 0:
      return random_fixed_point(dice, 7, 3);
    case 1:
      return make_spec("binary", {{"alpha", 1.0}});
    case 2:
      return make_spec("ternary", {{"alpha", 1.0}});
    default:
      return make_spec("quantized_relu", {{"bits", dice.between(2, 7)}, {"integer", dice.between(0, 4)}});
  }
}

Spec random_activation(Dice& dice, std::int64_t channels) {
  if (dice.chance(40)) return plain_activation(dice);
  const std::string family = dice.pick(names(true));
  return parameters_of(dice, family, channels, fixed_alpha(dice, channels));
}

Spec random_function(Dice& dice) {
  const std::string family = dice.chance(40) ? "relu" : dice.pick(names(false));
  AttributeMap p;
  if (family == "relu") {
    if (dice.chance(30)) p["max_value"] = dice.real(0.5, 6.0);
    if (dice.chance(30)) p["negative_slope"] = dice.real(0.0, 0.5);
    if (dice.chance(20)) p["threshold"] = dice.real(-1.0, 1.0);
  } else if (family == "leaky_relu" || family == "elu") {
    p["alpha"] = dice.real(0.01, 1.5);
  } else if (family == "clip") {
    if (dice.chance(80)) p["min"] = dice.real(-3.0, 0.0);
    if (dice.chance(80)) p["max"] = dice.real(0.0, 3.0);
  } else if (family == "gelu") {
    p["approximate"] = dice.chance(50);
  } else if (family == "keras_hard_sigmoid" && dice.chance(50)) {
    p["slope"] = 1.0 / 6.0;
  }
  return make_spec(family, p);
}

Spec random_kernel_quantizer(Dice& dice, std::int64_t channels) {
  static const std::vector<std::string> kFamilies = {
      "quantized_bits", "quantized_bits", "quantized_bits",    "quantized_linear",   "binary",
      "ternary",        "quantized_po2",  "stochastic_binary", "stochastic_ternary", "quantized_tanh"};
  const std::string family = dice.pick(kFamilies);
  return parameters_of(dice, family, channels, weight_alpha(dice, channels));
}

}  // namespace weft::random_networks
