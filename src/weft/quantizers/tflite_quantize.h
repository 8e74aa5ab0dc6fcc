// SPDX-License-Identifier: Apache-2.0
/// @file
/// The row of TensorFlow Lite's QUANTIZE; registry.cpp lists it.
#pragma once

#include "weft/quantizers/quantizer.h"

namespace weft::quantizers {

Family tflite_quantize_family();

}  // namespace weft::quantizers
