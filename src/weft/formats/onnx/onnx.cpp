// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/onnx.h"

#include "weft/formats/onnx/importer.h"
#include "weft/formats/onnx/source.h"
#include "weft/formats/onnx/wire.h"
#include "weft/support/files.h"

namespace weft::formats::onnx {

Result<nn::Graph> read_onnx(const std::filesystem::path& path, Context& ctx) {
  WEFT_TRY(const std::string bytes, support::read_file(path, ctx));
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  WEFT_TRY(const SourceModel source, SourceModel::parse(bytes, path.filename().string(), folder, ctx));
  return import_graph(source, ctx);
}

Result<nn::Graph> read_onnx_bytes(const std::string& bytes, const std::string& name, Context& ctx) {
  WEFT_TRY(const SourceModel source, SourceModel::parse(bytes, name, {}, ctx));
  return import_graph(source, ctx);
}

bool looks_like_onnx(const std::string& bytes) { return starts_like_model(bytes); }

}  // namespace weft::formats::onnx
