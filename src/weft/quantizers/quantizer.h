// SPDX-License-Identifier: Apache-2.0
/// @file
/// Scalar functions and quantizers with the exact float32 meaning of their source framework.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weft/fixed/scale.h"
#include "weft/fixed/step_function.h"
#include "weft/support/attributes.h"
#include "weft/support/context.h"
#include "weft/tensor/tensor.h"

namespace weft::quantizers {

/// Plain data: what a model file says of a function or quantizer. `family` is a row of the registry ("quantized_bits",
/// "qonnx_quant", "relu", "tanh" ...), `parameters` hold every constructor argument with its default filled in.
struct Spec {
  std::string family;
  AttributeMap parameters;
  bool operator==(const Spec&) const = default;
};

/// A tensor after quantization: value[i] = scale.at(last index) * code[i] up to one float32 rounding; `values` are the
/// exact float32 numbers the source framework computes with.
struct Quantized {
  FloatTensor values;
  IntTensor codes;
  Scale scale;
};

/// The set of values a quantizer can give, as codes and a scale: every output is scale * code with lo <= code <= hi.
struct OutputSet {
  Scale scale;
  fixed::Range range;
  /// Set when the function from real numbers to codes is a plain fixed-point cast (power-of-two scale): the type with
  /// its rounding and overflow, so that `code(x) == fixed::from_double(x, type)` for every x (where
  /// Function::cast_is_exact() says so, if the family's own float32 sums can round).
  std::optional<fixed::FixedType> type;
};

/// How far, in float32 units in the last place, the frameworks' kernels are taken to lie from ours: more than the
/// largest difference that tests/interop has seen to TensorFlow's.
inline constexpr int kKernelUlps = 16;

/// A function of one float32 number, per channel of the last axis where its parameters are.
class Function {
 public:
  virtual ~Function() = default;

  /// float32 result with the operation order of the source.
  [[nodiscard]] virtual float apply(float x, std::size_t channel) const = 0;

  /// Number of channels with parameters of their own; 1 when all share. More than the extent of the last axis: the
  /// number of elements of the tensor, each with its own (HGQ); element e takes channel e % channels() either way.
  [[nodiscard]] virtual std::size_t channels() const { return 1; }

  /// Points that split the real line into parts on which apply() is monotone (rising or falling), ascending: apply is
  /// monotone on (-inf, p0), [p0, p1), ... Empty for monotone functions. Functions of several float32 operations
  /// (softsign, hswish near its bottom) keep the source's noise of an ulp, which is not counted as turning.
  [[nodiscard]] virtual std::vector<double> turning_points() const { return {}; }

  /// Largest |x| up to which turning_points() has all of them: of a periodic function there is no end.
  [[nodiscard]] virtual double reach() const { return std::numeric_limits<double>::infinity(); }

  /// True when the scale is computed from the tensor itself (alpha = auto or auto_po2 without a frozen scale): apply()
  /// has no meaning of its own then and gives NaN; quantize() is the definition.
  [[nodiscard]] virtual bool data_dependent() const { return false; }

  /// The same function with the result of every kernel of the source's library (exp, tanh, log, sums of many numbers)
  /// moved by `ulps` float32 units in the last place; nullptr when only IEEE operations take part, which every machine
  /// computes alike. With +-kKernelUlps it bounds what the source may answer: its kernels differ between processors.
  [[nodiscard]] virtual std::shared_ptr<const Function> with_kernels_moved(int ulps) const;

  /// For quantizers: the set of outputs. nullopt for plain functions (relu, tanh ...), for quantizers whose set depends
  /// on the data (alpha = auto on an activation), for qnoise_factor != 1 and for sets that need more than 120 bits.
  [[nodiscard]] virtual std::optional<OutputSet> outputs() const { return std::nullopt; }

  /// The fixed-point type of one channel whose function is a plain cast to it: apply(x, channel) is the value of
  /// `from_double(x, type)` wherever cast_is_exact(); codes of types with fewer fraction bits than the set's are
  /// shifted up in code(). nullopt where it is no cast, or where the channel gives 0 only.
  [[nodiscard]] virtual std::optional<fixed::FixedType> type(std::size_t channel) const;
  /// Whether float32 rounds nothing besides in that cast, for multiples of 2^step_log2 up to `magnitude`.
  [[nodiscard]] virtual bool cast_is_exact(double magnitude, int step_log2, std::size_t channel) const;
  /// For a quantizer that wraps: the same with unbounded range, which is monotone; else nullptr. Wrapping its result
  /// gives the result of the quantizer.
  [[nodiscard]] virtual std::shared_ptr<const Function> unwrapped() const;

  /// For quantizers with outputs(): the code of apply(x, channel): apply == float32(scale * code) up to its own
  /// rounding, exactly so for power-of-two scales and |x| < 2^24 * scale when x and the value do not have opposite
  /// signs. (Elsewhere the straight-through form x + (xq - x) of QKeras rounds in the last bits of x, which apply()
  /// executes and a code cannot express.) 0 for NaN.
  [[nodiscard]] virtual Int code(float x, std::size_t channel) const;

  /// Quantizes a whole parameter tensor; data-dependent scales (alpha = auto, auto_po2) are computed here, per index of
  /// the last axis. The default applies apply() and code() element by element. Fails for plain functions.
  virtual Result<Quantized> quantize(const FloatTensor& tensor, const Origin& origin, Context& ctx) const;
};

/// One row of the registry.
struct Family {
  std::string name;
  std::string summary;
  bool is_quantizer = false;
  /// Every parameter with its default; a Spec with another key is an error.
  AttributeMap defaults;
  /// Builds the function from a Spec with all parameters; call quantizers::make(), which checks and completes them.
  std::function<Result<std::shared_ptr<const Function>>(const Spec&, const Origin&, Context&)> make;
  /// Names of the parameters in the order of the source's constructor, for the text form.
  std::vector<std::string> positional{};
};

/// Every family Weft knows, in alphabetic order. Explicit, no registration magic.
const std::vector<Family>& families();
const Family* find_family(const std::string& name);

/// Checks the parameters (unknown keys and impossible values are QuantizerUnsupported) and builds the function.
Result<std::shared_ptr<const Function>> make(const Spec& spec, const Origin& origin, Context& ctx);

/// Reads QKeras' text form: "quantized_relu(4,2)", "quantized_bits(6, 0, alpha=1)", "relu", "binary_tanh". Positional
/// and keyword arguments; literals as Python writes them. Unknown names fail.
Result<Spec> parse_text(const std::string& text, const Origin& origin, Context& ctx);

}  // namespace weft::quantizers
