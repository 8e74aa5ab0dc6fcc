// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app.h"
#include "weft/driver/convert.h"

namespace weft::cli {

void add_convert(CLI::App& root, App& app) {
  struct Options {
    std::string model;
    std::string output;
    driver::ConvertOptions convert;
    bool no_valid = false;
    bool no_output_register = false;
  };
  auto options = std::make_shared<Options>();
  auto& o = options->convert;
  auto* command = root.add_subcommand("convert", "model file to a folder with Verilog, VHDL or an HLS project");
  command->add_option("MODEL", options->model, "model file")->required();
  command->add_option("-o,--output", options->output, "folder to write")->required();
  command->add_option("--io", o.io, "parallel (a new event every cycle) or stream")
      ->capture_default_str()
      ->group("Hardware");
  command->add_option("--target", o.target, "verilog, vhdl or vitis")->capture_default_str()->group("Hardware");
  command->add_option("--part", o.part, "part, see `weft targets` (default xcvu9p)")->group("Hardware");
  command->add_option("--clock-ns", o.clock_ns, "clock period in ns (default 5)")->group("Hardware");
  command
      ->add_option("--clock-uncertainty", o.clock_uncertainty_percent,
                   "percent of the period that is kept free for routing and jitter (default 12.5)")
      ->check(CLI::Range(0.0, 90.0))
      ->group("Hardware");
  command
      ->add_option(
          "--max-latency-cycles", o.max_latency_cycles,
          "at most so many cycles, all of them where that saves LUTs; a longer period where they do not suffice")
      ->group("Hardware");
  command
      ->add_option("--reuse-factor", o.reuse_factor,
                   "cycles from one event to the next, over which layers with constant weights use their adders and "
                   "multipliers again (default 1; ReuseFactor of single layers in the configuration)")
      ->group("Hardware");
  command->add_option("--top", o.top, "name of the top module (default: the model's name)")->group("Hardware");
  command->add_option("--prefix", o.prefix, "put in front of every module name")->group("Hardware");
  command
      ->add_option("--primitives", o.primitives,
                   "portable (plain Verilog) or xilinx (three-input adders of LUT6_2 and CARRY cells)")
      ->capture_default_str()
      ->group("Hardware");
  command
      ->add_option("--ternary-lut", o.ternary_lut,
                   "LUTs per bit of a three-input adder of the xilinx primitives (default: the family's; 0: none)")
      ->check(CLI::Range(0.0, 8.0))
      ->group("Hardware");
  command
      ->add_option("--effort", o.effort,
                   "search for small adder graphs: fast (one pass), normal (seconds, half a minute for a large tagger) "
                   "or high (minutes)")
      ->capture_default_str()
      ->group("Hardware");
  command->add_flag("--register-inputs", o.register_inputs, "registers at the inputs")->group("Hardware");
  command->add_flag("--no-register-outputs", options->no_output_register, "no registers at the outputs")
      ->group("Hardware");
  command->add_flag("--clock-enable", o.clock_enable, "a port `ce` that holds the pipeline")->group("Hardware");
  command->add_flag("--no-valid", options->no_valid, "no ports in_valid and out_valid")->group("Hardware");
  add_lowering(*command, o.lowering);
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      options->convert.command = a.command_line;
      options->convert.valid = !options->no_valid;
      options->convert.register_outputs = !options->no_output_register;
      const auto result = driver::convert(options->model, options->output, options->convert, ctx);
      if (!result) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      std::vector<std::vector<std::string>> rows{{"layer", "op", "type", "certificate", "notes"}};
      for (const auto& c : (*result)["certificate"]) {
        std::string type = "-";
        for (const auto& layer : (*result)["layers"])
          if (layer["name"] == c["layer"])
            type = layer["type"].is_string()          ? layer["type"].get<std::string>()
                   : layer["folded_into"].is_string() ? "in " + layer["folded_into"].get<std::string>()
                                                      : "-";
        std::string notes;
        for (const auto& note : c["notes"]) notes += (notes.empty() ? "" : "; ") + note.get<std::string>();
        if (c["word"] == "float-order")
          notes = fmt::format("bound {:.3g}, {} codes at risk{}{}", c["bound"].get<double>(),
                              c["stats"].value("codes_at_risk", std::uint64_t{0}), notes.empty() ? "" : "; ", notes);
        rows.push_back({c["layer"], c["op"], type, c["word"], notes});
      }
      std::string text = table(rows);
      for (const auto& in : (*result)["inputs"])
        text += fmt::format("input {}: {} ({})\n", in["name"].get<std::string>(), in["type"].get<std::string>(),
                            in["rule"].get<std::string>());
      const auto& p = (*result)["predicted"];
      text += fmt::format(
          "network certificate: {}\npredicted: latency {} cycles at {} ns, a new event every {} cycle, {} LUT, {} FF, "
          "{} DSP, {} BRAM18\nwrote {}\n",
          (*result)["network_certificate"].get<std::string>(), p["latency_cycles"].dump(),
          (*result)["options"]["clock_ns"].dump(), p["interval_cycles"].dump(), p["lut"].dump(), p["ff"].dump(),
          p["dsp"].dump(), p["bram18"].dump(), options->output);
      a.print(ctx, *result, text);
      return kOk;
    };
  });
}

}  // namespace weft::cli
