// SPDX-License-Identifier: Apache-2.0
/// @file
/// Base of quantizers with a fixed set of outputs, and the arithmetic of grids of float32 numbers.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "weft/quantizers/quantizer.h"

namespace weft::quantizers {

/// Exponent of the lowest set bit: value = odd * 2^result. `value` is finite and not zero.
int lsb_exponent(float value);

/// value * 2^-lsb_log2; InternalError when that is not an integer of 126 bits.
Int code_on_grid(float value, int lsb_log2);

/// value / scale rounded half to even; 0 for NaN.
Int nearest_code(float value, const Rational& scale);

/// The set of these float32 numbers on their common power-of-two grid; nullopt when that needs more than 120 bits.
std::optional<OutputSet> dyadic_set(std::span<const float> values);

/// Codes [lo, hi] with scale 2^lsb_log2.
OutputSet power_of_two_set(int lsb_log2, Int lo, Int hi);

/// One factor if all are equal, else one per channel.
Scale make_scale(std::vector<Rational> factors);

/// How QKeras joins the value x and its quantized form xq so that a gradient passes, in float32.
struct StraightThrough {
  enum class Form { Direct, Ste, Mix } form = Form::Direct;
  float qnoise = 1.0F;
  float one_minus_qnoise = 0.0F;

  /// Direct: xq. Ste: x + qn * (xq - x), three roundings. Mix (use_ste = False): (1 - qn) * x + qn * xq.
  [[nodiscard]] float join(float x, float xq) const {
    if (form == Form::Direct) return xq;
    if (form == Form::Ste) {
      const float difference = xq - x;
      const float noise = qnoise * difference;
      return x + noise;
    }
    const float kept = one_minus_qnoise * x;
    const float noise = qnoise * xq;
    return kept + noise;
  }
};

/// Reads qnoise_factor and, where the family has it, use_ste.
class Parameters;
StraightThrough read_straight_through(Parameters& parameters, bool has_use_ste);

/// A quantizer whose outputs are known before the data: subclasses give the quantized value; this class joins it with x
/// and knows the codes.
class SetQuantizer : public Function {
 public:
  [[nodiscard]] float apply(float x, std::size_t channel) const final {
    return straight_through_.join(surrogate(x), quantized(x, channel));
  }
  [[nodiscard]] std::optional<OutputSet> outputs() const final { return outputs_; }
  [[nodiscard]] Int code(float x, std::size_t channel) const override;

 protected:
  explicit SetQuantizer(StraightThrough straight_through) : straight_through_(straight_through) {}

  /// The quantized value before the straight-through form.
  [[nodiscard]] virtual float quantized(float x, std::size_t channel) const = 0;
  /// What carries the gradient in the straight-through form: x, or a relu or tanh of it.
  [[nodiscard]] virtual float surrogate(float x) const { return x; }

  /// To be called once by the constructor; ignored (left nullopt) when qnoise_factor is not 1.
  void set_outputs(std::optional<OutputSet> outputs);
  [[nodiscard]] bool has_outputs() const { return outputs_.has_value(); }

 private:
  StraightThrough straight_through_;
  std::optional<OutputSet> outputs_;
  /// log2 of the scale factors where all are powers of two: the fast path of code().
  std::vector<int> scale_log2_;
};

/// Values and codes as a Quantized; codes that do not fit 64 bits are TypeTooWide.
Result<Quantized> make_quantized(FloatTensor values, const std::vector<Int>& codes, Scale scale, const Origin& origin,
                                 Context& ctx);

/// Codes of the exact float32 values on their own common power-of-two grid.
Result<Quantized> quantized_on_own_grid(FloatTensor values, const Origin& origin, Context& ctx);

/// DataNotFinite unless every element is finite.
Result<void> check_finite(const FloatTensor& tensor, const Origin& origin, Context& ctx);

/// ShapeMismatch unless `channels` is 1 or the extent of the last axis.
Result<void> check_channels(std::size_t channels, const Shape& shape, const Origin& origin, Context& ctx);

}  // namespace weft::quantizers
