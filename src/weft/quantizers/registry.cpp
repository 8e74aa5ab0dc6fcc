// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "weft/quantizers/families.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/tflite_quantize.h"

namespace weft::quantizers {

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      abs_family(),
      acos_family(),
      acosh_family(),
      asin_family(),
      asinh_family(),
      atan_family(),
      atanh_family(),
      bernoulli_family(),
      binary_family(),
      binary_sigmoid_family(),
      binary_tanh_family(),
      bipolar_quant_family(),
      ceil_family(),
      celu_family(),
      clip_family(),
      cos_family(),
      cosh_family(),
      elu_family(),
      erf_family(),
      erfc_family(),
      expm1_family(),
      exponential_family(),
      float_quant_family(),
      floor_family(),
      floor_divide_family(),
      gelu_family(),
      hard_shrink_family(),
      hard_sigmoid_family(),
      hard_swish_family(),
      hard_tanh_family(),
      hgq_fixed_family(),
      keras_hard_sigmoid_family(),
      leaky_relu_family(),
      linear_family(),
      log_family(),
      log10_family(),
      log1p_family(),
      log2_family(),
      log_sigmoid_family(),
      logit_family(),
      mish_family(),
      modulo_family(),
      multithreshold_family(),
      negative_family(),
      power_family(),
      prelu_family(),
      qonnx_quant_family(),
      quantized_bits_family(),
      quantized_hswish_family(),
      quantized_linear_family(),
      quantized_po2_family(),
      quantized_relu_family(),
      quantized_relu_po2_family(),
      quantized_sigmoid_family(),
      quantized_tanh_family(),
      quantized_ulaw_family(),
      reciprocal_family(),
      relu_family(),
      round_family(),
      rsqrt_family(),
      selu_family(),
      sigmoid_family(),
      sign_family(),
      silu_family(),
      sin_family(),
      sinh_family(),
      smooth_sigmoid_family(),
      smooth_tanh_family(),
      soft_shrink_family(),
      softplus_family(),
      softsign_family(),
      sparse_plus_family(),
      sparse_sigmoid_family(),
      sqrt_family(),
      square_family(),
      stochastic_binary_family(),
      stochastic_ternary_family(),
      swish_family(),
      table_family(),
      tan_family(),
      tanh_family(),
      tanh_shrink_family(),
      ternary_family(),
      tflite_quantize_family(),
      threshold_family(),
  };
  return kFamilies;
}

const Family* find_family(const std::string& name) {
  const auto& all = families();
  const auto it = std::find_if(all.begin(), all.end(), [&](const Family& family) { return family.name == name; });
  return it == all.end() ? nullptr : &*it;
}

Result<std::shared_ptr<const Function>> make(const Spec& spec, const Origin& origin, Context& ctx) {
  const Family* family = find_family(spec.family);
  if (family == nullptr) {
    return ctx.fail(Kind::QuantizerUnsupported, origin,
                    fmt::format("`{}` is not a known quantizer or function", to_text(Attribute(spec.family))));
  }
  Spec complete{spec.family, family->defaults};
  bool known = true;
  for (const auto& [key, value] : spec.parameters) {
    if (family->defaults.count(key) == 0) {
      ctx.report(
          Kind::QuantizerUnsupported, origin,
          fmt::format("`{}` has no parameter `{}` (it is {})", spec.family, to_text(Attribute(key)), to_text(value)));
      known = false;
    }
    complete.parameters[key] = value;
  }
  if (!known) return diag::failure;
  return family->make(complete, origin, ctx);
}

}  // namespace weft::quantizers
