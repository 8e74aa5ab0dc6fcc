// SPDX-License-Identifier: Apache-2.0
/// @file
/// Quantizers and activations as Keras files write them, as quantizers::Spec.
#pragma once

#include <optional>
#include <string_view>

#include "weft/formats/keras/config_reader.h"
#include "weft/quantizers/quantizer.h"

namespace weft::formats::keras {

/// A family with its defaults and some parameters set; the family must exist.
quantizers::Spec make_spec(const std::string& family, const AttributeMap& parameters = {});

/// The quantizer under `key`: null, an object {class_name, config}, or text. nullopt for null, an absent key, or after
/// a failure, which `config` remembers.
std::optional<quantizers::Spec> read_quantizer(ConfigReader& config, std::string_view key);

/// QKeras layers call _set_trainable_parameter() on their kernel quantizer: alpha None becomes auto_po2, and
/// quantized_bits and quantized_linear become symmetric.
void promote_kernel_quantizer(quantizers::Spec& spec);

/// What an `activation` says.
struct ActivationChoice {
  std::optional<quantizers::Spec> function;  ///< empty for linear
  bool softmax = false;
};
/// `quantized` is true for QKeras layers, where a name means QKeras' function first and Keras' after. `keras_major`
/// tells functions that changed between Keras 2 and 3 apart.
ActivationChoice read_activation(ConfigReader& config, std::string_view key, bool quantized, int keras_major);

}  // namespace weft::formats::keras
