// SPDX-License-Identifier: Apache-2.0
/// @file
/// The tensors of a pickle, read without executing anything: a parser that knows how tensors and dictionaries of them
/// are written and refuses every other name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/onnx/constant.h"
#include "weft/support/context.h"

namespace weft::formats::torch {

/// A view of a storage.
struct TensorView {
  std::string storage;  ///< key of the storage
  onnx::Element element = onnx::Element::Float32;
  std::int64_t offset = 0;            ///< in elements
  std::vector<std::int64_t> sizes;    ///< not negative
  std::vector<std::int64_t> strides;  ///< in elements, not negative; of the length of `sizes`
};

/// The tensors of a pickled dictionary by their keys, or of a pickled tensor under the key "". Whatever else the
/// dictionary holds is left out. Fails on any global or operation that tensors do not need.
Result<std::map<std::string, TensorView>> read_pickled_tensors(std::string_view bytes, const std::string& file,
                                                               Context& ctx);

}  // namespace weft::formats::torch
