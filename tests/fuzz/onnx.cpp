// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/onnx.h"
#include "fuzz.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const auto graph = formats::onnx::read_onnx_bytes(input, "fuzz.onnx", session.ctx);
  check_reported(graph.ok(), session);
  return true;
}

const Target kTarget{"onnx",
                     run,
                     {"Gemm", "MatMul", "Add", "Reshape", "Quant", "BipolarQuant", "MultiThreshold", "Transpose",
                      "Shape", "Gather", "Concat", "BatchNormalization", "qonnx.custom_op.general", "axis", "perm",
                      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}};

}  // namespace weft::fuzz
