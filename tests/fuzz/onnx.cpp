// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/onnx.h"
#include "fuzz.h"
#include "weft/layers/layer.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  auto graph = formats::onnx::read_onnx_bytes(input, "fuzz.onnx", session.ctx);
  check_reported(graph.ok(), session);
  if (!graph) return false;
  const auto checked = layers::check(*graph, session.ctx);
  check_reported(checked.ok(), session);
  return checked.ok();
}

const Target kTarget{"onnx",
                     run,
                     {"Gemm", "MatMul", "Add", "Reshape", "Quant", "BipolarQuant", "MultiThreshold", "Transpose",
                      "Shape", "Gather", "Concat", "BatchNormalization", "qonnx.custom_op.general", "axis", "perm",
                      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}};

}  // namespace weft::fuzz
