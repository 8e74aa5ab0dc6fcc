// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which types hls4ml gives the variables of a layer: from the configuration, from quantizers, and by its inference.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "weft/lower/config.h"
#include "weft/quantizers/quantizer.h"

namespace weft::lower::hls4ml {

/// fixed<W,I> with hls4ml's modes, TRN and WRAP, where no others are given.
fixed::FixedType plain(int width_bits, int integer_bits, bool is_signed = true);

/// What the configuration says, with hls4ml's search order: the layer's name (its role, then its default), the layer's
/// class (likewise), the model (likewise).
class Types {
 public:
  explicit Types(const Config& config) : config_(&config) {}

  /// Type of everything that is not said otherwise: Model.Precision, else fixed<16,6,TRN,WRAP>.
  [[nodiscard]] fixed::FixedType model_default() const;
  /// Bounds of inferred types (Model.Precision.maximum).
  [[nodiscard]] std::optional<fixed::FixedType> maximum() const;
  /// Said of this variable; a TypeSpec of form Auto when hls4ml would infer it. Model defaults included.
  [[nodiscard]] fixed::TypeSpec said(const nn::Node& node, const std::string& role) const;
  /// Said of this role at the layer's name or class only; tables and parameters of functions have defaults of their
  /// own.
  [[nodiscard]] std::optional<fixed::TypeSpec> own(const nn::Node& node, const std::string& role) const;

  [[nodiscard]] std::int64_t table_size(const nn::Node& node, std::int64_t fallback) const;
  [[nodiscard]] std::int64_t reuse_factor(const nn::Node& node) const;
  [[nodiscard]] bool resource(const nn::Node& node) const;
  [[nodiscard]] std::string implementation(const nn::Node& node) const;
  /// IOType io_stream: a few kernels differ there.
  [[nodiscard]] bool stream() const { return config_->io_type == "io_stream"; }
  /// `Skip: true` of a softmax.
  [[nodiscard]] bool skipped(const nn::Node& node) const;
  [[nodiscard]] std::int64_t table_range_power2(const nn::Node& node) const;

 private:
  const Config* config_;
};

/// hls4ml's type of a QKeras quantizer on a parameter: fixed<bits, integer + 1> and so on; nullopt when hls4ml does not
/// know it and goes on with the default type. Binary kernels: TypeSpec::Form::Bipolar.
std::optional<fixed::TypeSpec> parameter_type(const quantizers::Spec& spec);
/// The same for a quantized activation: rounding to even and saturation.
std::optional<fixed::FixedType> activation_type(const quantizers::Spec& spec);

// The rules of hls4ml's inference of `auto` types, by the kind of the layer. `maximum` bounds width and integer bits.
fixed::FixedType infer_product_sum(const fixed::FixedType& x, const fixed::FixedType& weight,
                                   const fixed::FixedType& bias, std::int64_t terms,
                                   const std::optional<fixed::FixedType>& maximum);
fixed::FixedType infer_scale_bias(const fixed::FixedType& x, const fixed::FixedType& scale,
                                  const fixed::FixedType& bias, const std::optional<fixed::FixedType>& maximum);
fixed::FixedType infer_merge(const std::string& op, const fixed::FixedType& a, const fixed::FixedType& b,
                             const std::optional<fixed::FixedType>& maximum);
fixed::FixedType infer_average_sum(const fixed::FixedType& x, std::int64_t pool);
/// The narrowest type of a constant, at most 8 bits and a sign.
fixed::FixedType infer_constant(double value);
/// ceil(log2(n)).
int ceil_log2(std::int64_t n);

}  // namespace weft::lower::hls4ml
