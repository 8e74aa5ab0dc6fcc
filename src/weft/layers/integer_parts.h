// SPDX-License-Identifier: Apache-2.0
/// @file
/// What layers with integer kernels share: codes in the float run, multipliers, rescaling in the exact graph. Private
/// to this room.
///
/// A quantized tensor of the source, real = scale * (q - zero point), has the codes q - zero point everywhere in Weft;
/// between layers of nn::Graph it is float32(scale * code). So padding is 0 and zero points appear in clamps only.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/fixed/tflite.h"
#include "weft/layers/float_run.h"
#include "weft/layers/recipe.h"

namespace weft::layers {

/// Attributes: `scales` (of the data inputs), `scale`, `lo`, `hi` (of the output's codes), `multipliers` and `shifts`
/// (one per tensor or per output channel) or `factors` in their place, `wide` (int64 accumulators of int16 kernels).
inline constexpr std::string_view kScales = "scales";
inline constexpr std::string_view kScale = "scale";
inline constexpr std::string_view kLo = "lo";
inline constexpr std::string_view kHi = "hi";
inline constexpr std::string_view kMultipliers = "multipliers";
inline constexpr std::string_view kShifts = "shifts";
inline constexpr std::string_view kFactors = "factors";
inline constexpr std::string_view kWide = "wide";

/// What an integer layer says of its arithmetic; made once per call from the attributes, which it checks.
struct IntegerSpec {
  std::vector<double> scales;
  double scale = 1.0;
  Int lo = 0;
  Int hi = 0;
  std::vector<fixed::tflite::Multiplier> multipliers;
  std::vector<double> factors;  ///< instead of multipliers
  bool wide = false;

  [[nodiscard]] Int clamp(Int code) const { return code < lo ? lo : code > hi ? hi : code; }
};

/// ModelMalformed unless the attributes are complete and in bounds and there are `multipliers` factors, or 1 or
/// `channels` when it is 0.
Result<IntegerSpec> integer_spec(const nn::Node& node, std::size_t multipliers, std::size_t channels, Context& ctx);
/// The same of a layer that has no multiplier.
Result<IntegerSpec> integer_spec(const nn::Node& node, Context& ctx);

/// The integer codes behind float32 numbers of a tensor with this scale.
std::vector<std::int64_t> integer_codes(const std::vector<float>& values, double scale);
/// And back: float32(scale * code).
void set_codes(std::vector<float>& values, const std::vector<std::int64_t>& codes, double scale);

/// Codes of input `i` in the exact graph; refused where its scale is not that of the file.
Result<exact::ValueId> integer_input(const nn::Node& node, Recipe& recipe, std::size_t i, double scale, Context& ctx);
/// A parameter that must carry codes.
Result<const IntTensor*> integer_codes_of(const nn::Node& node, const std::string& role, Context& ctx);

/// How a sum becomes codes: times 2^pre_shift, wrapped to int32 where it can leave it (unless wide), the multiplier,
/// clamped to [lo, hi].
struct Rescale {
  std::vector<fixed::tflite::Multiplier> multipliers;
  bool wide = false;
  int pre_shift = 0;
  Int lo = 0;
  Int hi = 0;
  std::vector<double> factors{};  ///< instead of multipliers, without a pre_shift
};
/// The same on numbers.
Int rescale(Int x, const Rescale& r, std::size_t channel);
/// The same as primitives. One step function where the codes on either side are few, else a multiplication with shifts.
Result<exact::ValueId> rescaled(Recipe& recipe, const nn::Node& node, const std::string& hint, exact::ValueId x,
                                const Rescale& r, const Scale& scale);
/// A requant by plain shift: round(x / 2^shift) clamped.
Result<exact::ValueId> shifted(Recipe& recipe, const nn::Node& node, const std::string& hint, exact::ValueId x,
                               int shift, fixed::Rounding rounding, Int lo, Int hi, const Scale& scale = Scale());
/// A requant by any function of few or many codes, evaluated on every reachable code.
Result<exact::ValueId> tabulated(Recipe& recipe, const nn::Node& node, const std::string& hint, exact::ValueId x,
                                 const std::function<Int(Int)>& f, const Scale& scale, Context& ctx);
/// A constant of one element per code.
Result<exact::ValueId> constant(Recipe& recipe, const nn::Node& node, const std::string& hint, std::vector<Int> codes,
                                Shape shape);
/// The output of an integer layer.
Result<void> set_integer_output(const nn::Node& node, Recipe& recipe, exact::ValueId value);

}  // namespace weft::layers
