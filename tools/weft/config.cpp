// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app.h"
#include "weft/driver/inspect.h"

namespace weft::cli {

void add_config(CLI::App& root, App& app) {
  struct Options {
    std::string model;
    std::string output;
    driver::LoweringOptions lowering;
  };
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("config", "the full configuration in force, in the form --config takes");
  command->add_option("MODEL", options->model, "model file")->required();
  command->add_option("-o,--output", options->output, "YAML file to write (default: stdout)");
  add_lowering(*command, options->lowering);
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      const auto result = driver::configuration(options->model, options->lowering, ctx);
      if (!result) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      const std::string yaml = driver::to_yaml(*result);
      if (!options->output.empty()) {
        if (!support::write_file(options->output, yaml, ctx)) return kFailed;
        a.print(ctx, *result, fmt::format("wrote {}\n", options->output));
        return kOk;
      }
      a.print(ctx, *result, yaml);
      return kOk;
    };
  });
}

}  // namespace weft::cli
