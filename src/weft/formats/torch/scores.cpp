// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/scores.h"

#include <algorithm>
#include <cmath>

namespace weft::formats::torch {

bool adds_mask(const ProgramNode& node) {
  return node.target.find("aten.add.Tensor") != std::string::npos ||
         node.target.find("aten.baddbmm.") != std::string::npos;
}

bool is_softmax(const ProgramNode& node) {
  return node.target.find("aten._softmax.") != std::string::npos ||
         node.target.find("aten.softmax.") != std::string::npos;
}

Value finite_scores(const Value& value) {
  const auto infinite = [](float v) { return v == -HUGE_VALF; };
  if (!value.constant || std::none_of(value.constant->floats.begin(), value.constant->floats.end(), infinite))
    return value;
  Constant out = onnx::with_shape(*value.constant, value.constant->shape);
  out.codes.clear();
  out.scales.clear();
  std::replace_if(out.floats.begin(), out.floats.end(), infinite, -1e9F);
  return Value(std::move(out));
}

}  // namespace weft::formats::torch
