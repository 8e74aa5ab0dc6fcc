// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app.h"
#include "weft/driver/run.h"

namespace weft::cli {
namespace {

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

}  // namespace

void add_compare(CLI::App& root, App& app) {
  struct Options {
    std::string model;
    std::string data;
    std::string labels;
    std::string against = "float";
    driver::LoweringOptions lowering;
  };
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("compare", "the float model against the exact one, layer by layer");
  command->add_option("MODEL", options->model, "model file or converted folder")->required();
  command->add_option("X", options->data, "inputs (.npy, .npz by name, .csv), batch first")->required();
  command->add_option("--labels", options->labels,
                      "class numbers or one-hot rows: accuracy and area under the ROC curve");
  command
      ->add_option(
          "--against", options->against,
          "float: the source model (default); hls4ml: the integers of --compat hls4ml, for who comes from there")
      ->check(CLI::IsMember({"float", "hls4ml"}));
  add_lowering(*command, options->lowering);
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      const auto run = [&]() -> Result<driver::Comparison> {
        WEFT_TRY(const auto session, driver::open_session(options->model, options->lowering, ctx));
        WEFT_TRY(const auto rows, driver::read_input_rows(session.model.graph, options->data, ctx));
        std::optional<std::vector<std::int64_t>> labels;
        if (!options->labels.empty()) {
          WEFT_TRY(labels, driver::read_labels(options->labels, ctx));
        }
        if (options->against == "float") return driver::compare(session, rows, labels, ctx);
        driver::LoweringOptions theirs = options->lowering;
        theirs.compat = "hls4ml";
        WEFT_TRY(const auto other, driver::lower_model(options->model, theirs, ctx));
        return driver::compare(session, rows, labels, ctx, &other);
      };
      const auto result = run();
      if (!result) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      Json rows = Json::array();
      std::vector<std::vector<std::string>> cells{
          {"layer", "type", "max |d|", "mean |d|", "clipped", "unused bits", "first difference"}};
      std::string first;
      std::string why;
      Json first_of_all = nullptr;
      for (const auto& layer : result->layers) {
        Json first_diff = nullptr;
        std::string where = "-";
        if (layer.first_sample >= 0) {
          first_diff = {{"sample", layer.first_sample},
                        {"element", layer.first_element},
                        {"float", layer.first_float},
                        {"exact", layer.first_exact}};
          where = fmt::format("sample {} element {}: {:.6g} / {:.6g}", layer.first_sample, layer.first_element,
                              layer.first_float, layer.first_exact);
          if (first.empty()) {
            first = layer.name;
            why = layer.why;
            first_of_all = first_diff;
            first_of_all["layer"] = layer.name;
            first_of_all["reason"] = layer.reason;
            first_of_all["why"] = layer.why;
          }
        }
        if (!layer.folded_into.empty()) where = "in " + layer.folded_into;
        rows.push_back({{"name", layer.name},
                        {"type", layer.type},
                        {"max_abs", layer.max_abs},
                        {"mean_abs", layer.mean_abs},
                        {"saturations", layer.saturations},
                        {"unused_bits", layer.unused_bits},
                        {"first_diff", std::move(first_diff)},
                        {"reason", layer.reason.empty() ? Json(nullptr) : Json(layer.reason)},
                        {"why", layer.why.empty() ? Json(nullptr) : Json(layer.why)},
                        {"folded_into", layer.folded_into.empty() ? Json(nullptr) : Json(layer.folded_into)}});
        cells.push_back({layer.name, layer.type, fmt::format("{:.3g}", layer.max_abs),
                         fmt::format("{:.3g}", layer.mean_abs), std::to_string(layer.saturations),
                         std::to_string(layer.unused_bits), where});
      }
      std::string text = table(cells);
      text += fmt::format("input quantization: largest error {:.3g}, {} clipped\n", result->input_max_abs,
                          result->input_saturations);
      text += first.empty() ? "no layer differs\n" : fmt::format("first layer that differs: {}: {}\n", first, why);
      if (result->argmax_agreement)
        text += fmt::format("same class: {:.3f} % of {} samples\n", 100 * *result->argmax_agreement, result->samples);
      if (result->accuracy_float)
        text += fmt::format("accuracy: float {:.4f}, exact {:.4f}; AUC: float {:.5f}, exact {:.5f}\n",
                            *result->accuracy_float, *result->accuracy_exact, *result->auc_float, *result->auc_exact);
      a.print(ctx,
              {{"samples", result->samples},
               {"layers", std::move(rows)},
               {"against", options->against},
               {"first_difference", std::move(first_of_all)},
               {"first_layer_that_differs", first.empty() ? Json(nullptr) : Json(first)},
               {"input", {{"max_abs", result->input_max_abs}, {"saturations", result->input_saturations}}},
               {"argmax_agreement", optional_json(result->argmax_agreement)},
               {"accuracy_float", optional_json(result->accuracy_float)},
               {"accuracy_exact", optional_json(result->accuracy_exact)},
               {"auc_float", optional_json(result->auc_float)},
               {"auc_exact", optional_json(result->auc_exact)}},
              text);
      return kOk;
    };
  });
}

}  // namespace weft::cli
