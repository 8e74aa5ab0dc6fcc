// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/export.h"

#include <fmt/format.h>

#include "weft/backends/cpp/emit.h"
#include "weft/driver/convert.h"
#include "weft/formats/onnx/write.h"

namespace weft::driver {

namespace fs = std::filesystem;

Result<support::FileSet> export_files(const Session& session, const fs::path& output, const ExportOptions& options,
                                      Context& ctx) {
  support::FileSet files;
  const std::string extension = output.extension().string();
  const auto usage = [&](const std::string& what) {
    return ctx.fail(Kind::UsageInvalid, {.file = output.string()}, what);
  };
  if (!options.emulator.empty()) {
    if (options.emulator != "cpp") return usage(fmt::format("--emulator {} is not cpp", options.emulator));
    if (extension != ".cpp" || options.qcdq) return usage("an emulator is written to a .cpp file, without --qcdq");
    WEFT_TRY(auto emulator, backends::cpp::emit_emulator(session.exact,
                                                         {.name = output.stem().string(),
                                                          .source = fs::path(session.model.path).filename().string(),
                                                          .version = std::string(kVersion)},
                                                         ctx));
    files[output.filename().string()] = std::move(emulator.source);
    files[output.stem().string() + ".h"] = std::move(emulator.header);
    return files;
  }
  if (extension == ".onnx") {
    WEFT_TRY(files[output.filename().string()],
             formats::onnx::write_onnx(session.exact, {.qcdq = options.qcdq, .producer_version = std::string(kVersion)},
                                       ctx));
    return files;
  }
  if (extension != ".weft" || options.qcdq)
    return usage("exports are .onnx (QONNX, or QCDQ with --qcdq), .weft, or .cpp with --emulator cpp");
  WEFT_TRY(files[output.filename().string()], save_session(session, ctx));
  return files;
}

Result<support::Json> export_model(const fs::path& model, const fs::path& output, const ExportOptions& options,
                                   Context& ctx) {
  WEFT_TRY(const Session session, open_session(model, options.lowering, ctx));
  WEFT_TRY(const auto files, export_files(session, output, options, ctx));
  support::Json names = support::Json::array();
  for (const auto& [name, content] : files) {
    const fs::path path = output.parent_path() / name;
    WEFT_TRY_VOID(support::write_file(path, content, ctx));
    names.push_back(path.string());
  }
  return support::Json{{"files", std::move(names)},
                       {"format", !options.emulator.empty()       ? options.emulator
                                  : options.qcdq                  ? "qcdq"
                                  : output.extension() == ".onnx" ? "qonnx"
                                                                  : "weft"}};
}

}  // namespace weft::driver
