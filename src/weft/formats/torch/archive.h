// SPDX-License-Identifier: Apache-2.0
/// @file
/// The members of a .pt2 file in both layouts: the program as JSON, and its tensors by their names in the module.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "weft/formats/onnx/constant.h"
#include "weft/formats/torch/pickle.h"
#include "weft/support/context.h"

namespace weft::formats::torch {

class Archive {
 public:
  /// Unpacks the file and reads the list of its tensors, whose numbers stay packed until they are asked for.
  static Result<Archive> open(const std::string& bytes, const std::string& file, Context& ctx);

  [[nodiscard]] const std::string& program() const { return program_; }
  /// Decodes a parameter, buffer or constant. float16, bfloat16 and float64 become float32, integers int64.
  Result<onnx::Constant> tensor(const std::string& name, const Origin& origin, Context& ctx);

 private:
  struct Entry {
    TensorView view;
    std::string member;  ///< the one with the bytes of the storage
    bool big_endian = false;
  };
  using Members = std::map<std::string, std::string>;

  /// `folder` ends with a slash or is empty.
  Result<void> read_config(const std::string& name, const std::string& folder, Context& ctx);
  Result<void> read_state(const std::string& packed, const std::string& name, Context& ctx);

  std::uint64_t budget_ = 0;  ///< bytes that nested archives may still unpack to
  std::string program_;
  Members members_;
  std::map<std::string, Entry> entries_;
  std::uint64_t decoded_elements_ = 0;
};

/// Elements of a strided view of raw bytes. Fails when the view reaches beyond them.
Result<onnx::Constant> decode_view(const TensorView& view, const std::string& bytes, bool big_endian,
                                   const Origin& origin, Context& ctx);

}  // namespace weft::formats::torch
