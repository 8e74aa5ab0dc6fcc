// SPDX-License-Identifier: Apache-2.0
#include "app.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace weft::cli {

void App::print(Context& ctx, Json result, const std::string& text) const {
  if (progress) progress->finish();
  if (!json) {
    if (!quiet) std::fputs(text.c_str(), stdout);
    return;
  }
  Json list = Json::array();
  for (const auto& d : ctx.diag.all()) list.push_back(Json::parse(diag::to_json(d)));
  result["diagnostics"] = std::move(list);
  std::fputs((support::dump_json(result) + "\n").c_str(), stdout);
}

void add_common(CLI::App& command, App& app) {
  command.add_flag("--json", app.json, "print one JSON object on stdout");
  command.add_flag("-q,--quiet", app.quiet, "print errors only");
  command.add_flag("-v,--verbose", app.verbose, "print notes too");
  command.add_option("--threads", app.threads, "threads to use (default: all cores)")->check(CLI::Range(0, 4096));
  command.add_option("--seed", app.seed, "seed of everything random (default 1)");
}

void add_lowering(CLI::App& command, driver::LoweringOptions& options) {
  command.add_option("--weights", options.weights, "weights (.h5) of a Keras architecture (.json)")->group("Model");
  command.add_option("--layers", options.layers, "recipes (YAML) of layer classes of your own in a Keras file")
      ->group("Model");
  command
      .add_option("--config", options.config,
                  "types per model, layer type and layer name (YAML, as `weft config` writes it)")
      ->group("Model");
  command
      .add_option("--set", options.settings, "one setting: layer.key=value, e.g. fc1.precision.result='fixed<12,4>'")
      ->group("Model")
      ->allow_extra_args(false);
  command
      .add_option("--calibrate", options.calibrate,
                  "data (.npy .npz .csv) that gives float layers and inputs their ranges")
      ->group("Model");
  command
      .add_option("--compat", options.compat,
                  "hls4ml: its integers (accumulators, casts, tables) instead of exact sums and the source's functions")
      ->group("Model");
  command.add_option("--default-type", options.default_type, "type where nothing else is known (default fixed<16,6>)")
      ->group("Model");
  command.add_option("--input-type", options.input_types, "type of the input, or name=type")
      ->group("Model")
      ->allow_extra_args(false);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width;
  std::vector<bool> numeric;
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      if (width.size() <= c) {
        width.push_back(0);
        numeric.push_back(true);
      }
      width[c] = std::max(width[c], rows[r][c].size());
      if (r > 0 && !rows[r][c].empty() && rows[r][c].find_first_not_of("0123456789.-+e%, ") != std::string::npos)
        numeric[c] = false;
    }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string pad(width[c] - row[c].size(), ' ');
      line += (c == 0 ? "" : "  ") + (numeric[c] ? pad + row[c] : row[c] + pad);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace weft::cli
