// SPDX-License-Identifier: Apache-2.0
/// @file
/// Running a session on data: prediction, traces, comparison with the float model.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/driver/arrays.h"
#include "weft/driver/model.h"
#include "weft/emulate/emulator.h"

namespace weft::driver {

/// Text of the narrowest fixed-point type that holds a value's codes ("ufixed<6,0>"), or "int<N> * scale" when the
/// scale is no power of two.
std::string type_text(const exact::Value& value);

struct Prediction {
  struct Output {
    std::string name;
    Shape shape;  ///< without batch
    std::string type;
    std::vector<float> values;        ///< real numbers
    std::vector<std::int64_t> codes;  ///< empty for --float
  };
  std::vector<Output> outputs;
  std::int64_t samples = 0;
  double seconds = 0.0;  ///< of the run itself, without reading and compiling
  std::string isa;
  std::uint64_t input_saturations = 0;
  /// By layer name.
  std::map<std::string, std::uint64_t> saturations;
  /// Every layer's output by its source name, only when asked for.
  std::map<std::string, support::Array> trace;
};

/// Bit-exact emulation, with every layer's output when `trace`. Warns of saturations.
Result<Prediction> predict(const Session& session, const InputRows& rows, bool trace, Context& ctx);
/// The source model's own float32 arithmetic.
Result<Prediction> predict_float(const nn::Graph& graph, const InputRows& rows, bool trace, Context& ctx);
/// From codes instead of real numbers.
Result<Prediction> predict_codes(const Session& session, const InputCodes& rows, Context& ctx);

/// Layer by layer against the float model, or against the same model lowered otherwise.
struct Comparison {
  struct Layer {
    std::string name;
    double max_abs = 0.0;
    double mean_abs = 0.0;
    std::uint64_t saturations = 0;
    /// First sample and element that differ at all; negative when none does.
    std::int64_t first_sample = -1;
    std::int64_t first_element = -1;
    double first_float = 0.0;
    double first_exact = 0.0;
    /// Why it differs there: a word and a sentence (explain.h), empty when it does not.
    std::string reason;
    std::string why;
    /// Codes of the widest element that no sample used, in bits from the top.
    int unused_bits = 0;
    std::string type;
    std::string folded_into;
  };
  std::vector<Layer> layers;
  std::int64_t samples = 0;
  std::uint64_t input_saturations = 0;
  double input_max_abs = 0.0;
  std::optional<double> argmax_agreement;
  std::optional<double> accuracy_float, accuracy_exact, auc_float, auc_exact;
};
/// `other`: the model lowered with other options (hls4ml's integers), whose numbers then stand where the float model's
/// do.
Result<Comparison> compare(const Session& session, const InputRows& rows,
                           const std::optional<std::vector<std::int64_t>>& labels, Context& ctx,
                           const Session* other = nullptr);

}  // namespace weft::driver
