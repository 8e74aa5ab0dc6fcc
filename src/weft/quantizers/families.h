// SPDX-License-Identifier: Apache-2.0
/// @file
/// The rows of the registry, one function per family; registry.cpp lists them.
#pragma once

#include "weft/quantizers/quantizer.h"

namespace weft::quantizers {

/// Sine and cosine are known up to here; farther out a float32 hardly tells their waves apart.
inline constexpr double kMostPeriodic = 16384.0;

// QKeras quantizers
Family quantized_bits_family();
Family quantized_hswish_family();
Family quantized_linear_family();
Family quantized_relu_family();
Family quantized_tanh_family();
Family quantized_sigmoid_family();
Family quantized_ulaw_family();
Family quantized_po2_family();
Family quantized_relu_po2_family();
Family binary_family();
Family stochastic_binary_family();
Family bernoulli_family();
Family ternary_family();
Family stochastic_ternary_family();

// QKeras functions without parameters
Family hard_sigmoid_family();
Family smooth_sigmoid_family();
Family binary_sigmoid_family();
Family hard_tanh_family();
Family smooth_tanh_family();
Family binary_tanh_family();

// ONNX, QONNX and FINN
Family qonnx_quant_family();
Family bipolar_quant_family();
Family sign_family();
Family multithreshold_family();

// HGQ
Family hgq_fixed_family();

// float functions
Family linear_family();
Family relu_family();
Family leaky_relu_family();
Family clip_family();
Family tanh_family();
Family sigmoid_family();
Family softplus_family();
Family softsign_family();
Family elu_family();
Family selu_family();
Family exponential_family();
Family swish_family();
Family silu_family();
Family float_quant_family();
Family gelu_family();
Family keras_hard_sigmoid_family();

// elementwise operators and less common activations
Family abs_family();
Family acos_family();
Family acosh_family();
Family asin_family();
Family asinh_family();
Family atan_family();
Family atanh_family();
Family ceil_family();
Family celu_family();
Family cos_family();
Family cosh_family();
Family erf_family();
Family erfc_family();
Family expm1_family();
Family floor_divide_family();
Family floor_family();
Family hard_shrink_family();
Family hard_swish_family();
Family log_family();
Family log10_family();
Family log1p_family();
Family log2_family();
Family log_sigmoid_family();
Family logit_family();
Family mish_family();
Family modulo_family();
Family negative_family();
Family power_family();
Family prelu_family();
Family reciprocal_family();
Family round_family();
Family rsqrt_family();
Family sin_family();
Family sinh_family();
Family soft_shrink_family();
Family sparse_plus_family();
Family sparse_sigmoid_family();
Family sqrt_family();
Family square_family();
Family table_family();
Family tan_family();
Family tanh_shrink_family();
Family threshold_family();

}  // namespace weft::quantizers
