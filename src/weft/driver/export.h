// SPDX-License-Identifier: Apache-2.0
/// @file
/// Writing a model in another form: ONNX (QONNX or QCDQ), a C++ emulator, or our own file.
#pragma once

#include <filesystem>
#include <string>

#include "weft/driver/model.h"

namespace weft::driver {

struct ExportOptions {
  LoweringOptions lowering;
  /// Empty: from the extension of the output (.onnx, .weft); "cpp" writes X.cpp and X.h.
  std::string emulator;
  bool qcdq = false;
};

/// The files that an export consists of, by name relative to the folder of `output`.
Result<support::FileSet> export_files(const Session& session, const std::filesystem::path& output,
                                      const ExportOptions& options, Context& ctx);

/// Opens MODEL or DIR and writes `output` (and the header beside it). Returns {"files": [...], "format": ...}.
Result<support::Json> export_model(const std::filesystem::path& model, const std::filesystem::path& output,
                                   const ExportOptions& options, Context& ctx);

}  // namespace weft::driver
