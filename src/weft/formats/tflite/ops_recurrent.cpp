// SPDX-License-Identifier: Apache-2.0
// Recurrent operators.
#include "weft/formats/tflite/import.h"

namespace weft::formats::tflite {

std::vector<Operator> recurrent_operators() { return {}; }

}  // namespace weft::formats::tflite
