// SPDX-License-Identifier: Apache-2.0
/// @file
/// Why a layer of the exact graph differs from the model it was made from.
#pragma once

#include <map>
#include <string>

#include "weft/driver/run.h"

namespace weft::driver {

/// One layer's first difference.
struct Difference {
  const exact::Value* value = nullptr;  ///< what the layer's codes are
  std::size_t element = 0;
  double reference = 0.0;
  double exact = 0.0;
  /// The float model gives the exact result once its inputs are rounded to the input types.
  bool equal_behind_inputs = false;
  /// A layer in front that differs in the same sample; empty when none does.
  std::string inherited_from;
};

/// A word for programs and a sentence for people.
///
///   input-quantization  the inputs were rounded to the input type; behind that the layer is equal
///   inherited           a layer in front differs already
///   saturation          the result left the range of its type
///   accumulator         a forced accumulator rounds or overflows
///   table               a function is read from a table
///   parameter-type      weights or biases were rounded to a type that the model does not have
///   result-type         the result was rounded to such a type
///   float-order         the framework's order of float additions, within the certificate's bound
///   kernel              the framework's own kernels (exp, rsqrt ...) or its float32 rounding
struct Reason {
  std::string word;
  std::string text;
};
Reason explain(const Session& session, const std::string& layer, const Difference& difference);

/// The inputs as the network gets them: rounded to the input types. `changed` tells whether any number moved.
InputRows quantized_inputs(const Session& session, const InputRows& rows, bool& changed);

}  // namespace weft::driver
