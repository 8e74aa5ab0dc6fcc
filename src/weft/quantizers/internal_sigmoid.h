// SPDX-License-Identifier: Apache-2.0
/// @file
/// QKeras' internal sigmoid, a global switch there (set_internal_sigmoid) that files do not carry; a parameter here.
#pragma once

#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"

namespace weft::quantizers {

enum class InternalSigmoid { Hard, Smooth, Real };

/// `ulps` moves the real form as a kernel may.
inline float internal_sigmoid(float x, InternalSigmoid form, int ulps = 0) {
  switch (form) {
    case InternalSigmoid::Smooth:
      return smooth_sigmoid_f32(x);
    case InternalSigmoid::Real:
      return sigmoid_f32(x, ulps);
    case InternalSigmoid::Hard:
      break;
  }
  return hard_sigmoid_f32(x);
}

/// Reads "internal_sigmoid": hard (QKeras' default), smooth or real.
inline InternalSigmoid read_internal_sigmoid(Parameters& parameters) {
  const std::string form = parameters.word("internal_sigmoid", {"hard", "smooth", "real"});
  if (form == "smooth") return InternalSigmoid::Smooth;
  return form == "real" ? InternalSigmoid::Real : InternalSigmoid::Hard;
}

}  // namespace weft::quantizers
