// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app.h"
#include "weft/driver/run.h"

namespace weft::cli {

void add_predict(CLI::App& root, App& app) {
  struct Options {
    std::string model;
    std::string data;
    std::string output;
    std::string trace;
    bool use_float = false;
    bool codes = false;
    driver::LoweringOptions lowering;
  };
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("predict", "bit-exact emulation of a model file or a converted folder");
  command->add_option("MODEL", options->model, "model file or converted folder")->required();
  command->add_option("X", options->data, "inputs (.npy, .npz by name, .csv), batch first")->required();
  command->add_option("-o,--output", options->output, "file for the outputs (.npy, .npz)");
  command->add_option("--trace", options->trace, "file for every layer's output (.npz), by its source name");
  command->add_flag("--float", options->use_float, "run the source model in its own float32 arithmetic");
  command->add_flag("--codes", options->codes, "inputs and outputs are integer codes");
  add_lowering(*command, options->lowering);
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      const auto run = [&]() -> Result<driver::Prediction> {
        if (options->codes && (options->use_float || !options->trace.empty()))
          return ctx.fail(Kind::UsageInvalid, {.file = "--codes"}, "codes go with neither --float nor --trace");
        const bool trace = !options->trace.empty();
        if (options->use_float) {
          WEFT_TRY(const auto model, driver::open_source(options->model, options->lowering, ctx));
          WEFT_TRY(const auto rows, driver::read_input_rows(model.graph, options->data, ctx));
          return driver::predict_float(model.graph, rows, trace, ctx);
        }
        WEFT_TRY(const auto session, driver::open_session(options->model, options->lowering, ctx));
        if (options->codes) {
          WEFT_TRY(const auto rows, driver::read_input_codes(session.model.graph, options->data, ctx));
          return driver::predict_codes(session, rows, ctx);
        }
        WEFT_TRY(const auto rows, driver::read_input_rows(session.model.graph, options->data, ctx));
        return driver::predict(session, rows, trace, ctx);
      };
      auto result = run();
      if (!result) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      const auto with_batch = [&](const Shape& shape) {
        Shape out{result->samples};
        out.insert(out.end(), shape.begin(), shape.end());
        return out;
      };
      Json outputs = Json::array();
      std::map<std::string, support::Array> arrays;
      std::string text;
      for (auto& out : result->outputs) {
        outputs.push_back({{"name", out.name}, {"shape", with_batch(out.shape)}, {"type", out.type}});
        text += fmt::format("output {}: {} {}\n", out.name, weft::to_string(with_batch(out.shape)), out.type);
        if (options->codes)
          arrays[out.name] = {with_batch(out.shape), std::move(out.codes), "i8"};
        else
          arrays[out.name] = {with_batch(out.shape), std::move(out.values), "f4"};
      }
      const auto write = [&]() -> Result<void> {
        if (!options->output.empty()) WEFT_TRY_VOID(driver::write_arrays(arrays, options->output, ctx));
        if (options->trace.empty()) return {};
        WEFT_TRY(const auto bytes, support::format_npz(result->trace, ctx));
        return support::write_file(options->trace, bytes, ctx);
      };
      if (!write()) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      const double rate = result->seconds > 0 ? static_cast<double>(result->samples) / result->seconds : 0.0;
      Json saturations = {{"inputs", result->input_saturations}, {"layers", Json::object()}};
      for (const auto& [layer, count] : result->saturations) saturations["layers"][layer] = count;
      text += fmt::format("{} samples in {:.3g} s, {:.4g} samples per second ({})\n", result->samples, result->seconds,
                          rate, result->isa);
      a.print(ctx,
              {{"samples", result->samples},
               {"seconds", result->seconds},
               {"samples_per_second", rate},
               {"executor", result->isa},
               {"saturations", std::move(saturations)},
               {"outputs", std::move(outputs)}},
              text);
      return kOk;
    };
  });
}

}  // namespace weft::cli
