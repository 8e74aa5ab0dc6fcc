// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app.h"
#include "weft/driver/export.h"

namespace weft::cli {

void add_export(CLI::App& root, App& app) {
  struct Options {
    std::string model;
    std::string output;
    driver::ExportOptions exported;
  };
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("export", "model or folder to ONNX, to a C++ emulator, or to a .weft file");
  command->add_option("MODEL", options->model, "model file, or a folder that convert wrote")->required();
  command->add_option("-o,--output", options->output, "X.onnx, X.weft, or X.cpp with --emulator cpp")->required();
  command->add_flag("--qcdq", options->exported.qcdq,
                    "QuantizeLinear, Clip, DequantizeLinear instead of QONNX's Quant");
  command->add_option("--emulator", options->exported.emulator, "cpp: one C++17 file that computes the same integers");
  add_lowering(*command, options->exported.lowering);
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      const auto result = driver::export_model(options->model, options->output, options->exported, ctx);
      if (!result) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      std::string text;
      for (const auto& name : (*result)["files"]) text += fmt::format("wrote {}\n", name.get<std::string>());
      a.print(ctx, *result, text);
      return kOk;
    };
  });
}

}  // namespace weft::cli
