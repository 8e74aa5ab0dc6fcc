// SPDX-License-Identifier: Apache-2.0
/// @file
/// Writes an exact graph as ONNX: QONNX (Quant, BipolarQuant, MultiThreshold) or QCDQ. Tensors hold real numbers,
/// scale * code; read again, the file gives the same integers.
#pragma once

#include <string>

#include "weft/exact/graph.h"
#include "weft/support/context.h"

namespace weft::formats::onnx {

struct WriteOptions {
  /// QuantizeLinear, Clip, DequantizeLinear instead of the operators of QONNX.
  bool qcdq = false;
  std::string producer_version;
};

/// The file's bytes. What ONNX cannot say exactly (types that wrap, forced accumulators, scales that are no float32,
/// codes beyond the 24 bits of a float32) fails with LoweringUnsupported and names the value.
Result<std::string> write_onnx(const exact::Graph& graph, const WriteOptions& options, Context& ctx);

}  // namespace weft::formats::onnx
