// SPDX-License-Identifier: Apache-2.0
/// @file
/// Numbers of a serialized tensor: element types, raw and typed storage, external files.
#pragma once

#include <filesystem>

#include "weft/formats/onnx/constant.h"
#include "weft/support/context.h"

namespace weft::onnx_proto {
class TensorProto;
}

namespace weft::formats::onnx {

/// Decodes a tensor. float16, bfloat16 and float64 become float32 (rounded to nearest even), integers int64. External
/// data is read from `folder` only; an empty folder refuses it. Sizes that do not fit are ModelMalformed.
Result<Constant> decode_tensor(const onnx_proto::TensorProto& tensor, const std::filesystem::path& folder,
                               const Origin& origin, Context& ctx);

}  // namespace weft::formats::onnx
