// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app.h"
#include "weft/driver/convert.h"
#include "weft/driver/inspect.h"

namespace weft::cli {

void add_inspect(CLI::App& root, App& app) {
  struct Options {
    std::string model;
    driver::LoweringOptions lowering;
  };
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("inspect", "layers, shapes, types, parameters, operations, certificate outlook");
  command->add_option("MODEL", options->model, "model file or converted folder")->required();
  add_lowering(*command, options->lowering);
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      const auto result = driver::inspect(options->model, options->lowering, ctx);
      if (!result) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      std::vector<std::vector<std::string>> rows{{"layer", "op", "output", "params", "macs", "type", "certificate"}};
      for (const auto& layer : (*result)["layers"]) {
        std::string shape;
        for (const auto& d : layer["output_shapes"][0]) shape += (shape.empty() ? "" : "x") + d.dump();
        rows.push_back({layer["name"], layer["op"], shape, layer["params"].dump(), layer["macs"].dump(),
                        layer["type"].is_string() ? layer["type"].get<std::string>() : "-",
                        layer["certificate"].is_string() ? layer["certificate"].get<std::string>() : "-"});
      }
      std::string text = table(rows);
      for (const auto& in : (*result)["inputs"])
        text += fmt::format("input  {}: {} ({})\n", in["name"].get<std::string>(), in["type"].get<std::string>(),
                            in["rule"].get<std::string>());
      for (const auto& out : (*result)["outputs"])
        text += fmt::format("output {}: {}\n", out["name"].get<std::string>(), out["type"].get<std::string>());
      text += fmt::format("parameters {}, multiply-accumulates {}, bit operations {}\n", (*result)["params"].dump(),
                          (*result)["macs"].dump(), (*result)["bops"].dump());
      text += fmt::format("network certificate: {}\n", (*result)["network_certificate"].get<std::string>());
      a.print(ctx, *result, text);
      return kOk;
    };
  });
}

}  // namespace weft::cli
