// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/verify.h"

#include <fmt/format.h>

#include "app.h"

namespace weft::cli {

void add_verify(CLI::App& root, App& app) {
  struct Options {
    std::string project;
    std::string data;
    driver::VerifyOptions verify;
  };
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("verify", "simulate what convert wrote against the emulator");
  command->add_option("DIR", options->project, "converted folder")->required();
  command->add_option("X", options->data,
                      "inputs (.npy, .npz by name, .csv) to simulate besides the extremes and random ones");
  command->add_option("--samples", options->verify.samples, "vectors: extremes and random ones")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000000));
  command
      ->add_option("--simulator", options->verify.simulator,
                   "verilator or iverilog (Verilog), ghdl (VHDL), csim (HLS); default: the first of the project")
      ->check(CLI::IsMember({"verilator", "iverilog", "ghdl", "csim"}));
  command->add_option("--timeout", options->verify.timeout_seconds, "seconds for the simulation")
      ->capture_default_str();
  command->add_option("--ap-types", options->verify.ap_types, "folder of the open ap_types headers, for csim")
      ->envname("WEFT_AP_TYPES");
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      if (!options->data.empty()) options->verify.data = options->data;
      const auto result = driver::verify(options->project, options->verify, ctx);
      if (!result) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      const bool good = result->mismatches == 0 && !ctx.diag.has_errors();
      a.print(
          ctx,
          {{"samples", result->samples},
           {"mismatches", result->mismatches},
           {"latency_cycles", result->latency_cycles},
           {"interval_cycles", result->interval_cycles},
           {"predicted_latency_cycles", result->predicted_latency_cycles},
           {"predicted_interval_cycles", result->predicted_interval_cycles},
           {"simulator", result->simulator},
           {"seconds", result->seconds}},
          fmt::format(
              "{} vectors, {} mismatches; latency {} cycles (predicted {}), interval {} (predicted {}); {}, {:.1f} s\n",
              result->samples, result->mismatches, result->latency_cycles, result->predicted_latency_cycles,
              result->interval_cycles, result->predicted_interval_cycles, result->simulator, result->seconds));
      return good ? kOk : kFailed;
    };
  });
}

}  // namespace weft::cli
