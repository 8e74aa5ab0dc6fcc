// SPDX-License-Identifier: Apache-2.0
// weft targets, weft ops, weft explain: what Weft knows.
#include <fmt/format.h>

#include "app.h"
#include "weft/diag/diag.h"
#include "weft/formats/onnx/onnx.h"
#include "weft/formats/torch/torch.h"
#include "weft/hw/targets.h"
#include "weft/layers/layer.h"
#include "weft/quantizers/quantizer.h"

namespace weft::cli {
namespace {

int targets(App& app, Context& ctx) {
  Json families = Json::array();
  std::vector<std::vector<std::string>> rows{{"family", "Yosys", "LUT inputs"}};
  for (const auto& f : hw::families()) {
    families.push_back({{"name", f.name}, {"title", f.title}, {"lut_inputs", f.lut_inputs}, {"dsp", f.has_dsp}});
    rows.push_back({std::string(f.title), std::string(f.name), std::to_string(f.lut_inputs)});
  }
  std::string text = table(rows) + "\n";
  Json parts = Json::array();
  rows = {{"part", "family", "LUT", "FF", "DSP", "BRAM18", "boards"}};
  for (const auto& p : hw::parts()) {
    parts.push_back({{"name", p.name},
                     {"family", p.family},
                     {"lut", p.lut},
                     {"ff", p.ff},
                     {"dsp", p.dsp},
                     {"bram18", p.bram18},
                     {"uram", p.uram},
                     {"note", p.note}});
    rows.push_back({std::string(p.name), std::string(p.family), std::to_string(p.lut), std::to_string(p.ff),
                    std::to_string(p.dsp), std::to_string(p.bram18), std::string(p.note)});
  }
  text += table(rows) + "\ntargets of --target: verilog (plain Verilog-2001, any part), vitis (Vitis HLS project)\n";
  app.print(ctx, {{"targets", {"verilog", "vitis"}}, {"families", std::move(families)}, {"parts", std::move(parts)}},
            text);
  return kOk;
}

int ops(App& app, Context& ctx) {
  std::string text = "formats\n";
  Json formats = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& f : driver::formats()) {
    formats.push_back({{"name", f.name}, {"files", f.files}});
    rows.push_back({"  " + std::string(f.name), std::string(f.files)});
  }
  text += table(rows) + "\nlayers (emulator, Verilog and Vitis have all of them)\n";
  Json layers_list = Json::array();
  rows.clear();
  for (const auto& l : layers::all_layers()) {
    layers_list.push_back({{"op", l.op}, {"summary", l.summary}});
    rows.push_back({"  " + std::string(l.op), std::string(l.summary)});
  }
  text += table(rows) + "\nfunctions and quantizers\n";
  Json functions = Json::array();
  rows.clear();
  for (const auto& f : quantizers::families()) {
    functions.push_back({{"name", f.name}, {"quantizer", f.is_quantizer}, {"summary", f.summary}});
    rows.push_back({"  " + f.name, f.summary});
  }
  text += table(rows) + "\nONNX operators\n";
  Json onnx = Json::array();
  rows.clear();
  for (const auto& o : formats::onnx::supported_operators()) {
    onnx.push_back({{"name", o.name}, {"domains", o.domains}, {"note", o.note}});
    rows.push_back({"  " + std::string(o.name), std::string(o.note)});
  }
  text += table(rows) + "\nPyTorch operators\n";
  Json torch = Json::array();
  rows.clear();
  for (const auto& o : formats::torch::supported_operators()) {
    torch.push_back({{"name", o.name}, {"note", o.note}});
    rows.push_back({"  " + std::string(o.name), std::string(o.note)});
  }
  text += table(rows);
  app.print(ctx,
            {{"formats", std::move(formats)},
             {"layers", std::move(layers_list)},
             {"functions", std::move(functions)},
             {"onnx", std::move(onnx)},
             {"torch", std::move(torch)}},
            text);
  return kOk;
}

int explain(App& app, Context& ctx, const std::string& slug) {
  std::string text;
  Json list = Json::array();
  for (const auto& row : diag::kind_table()) {
    if (!slug.empty() && row.slug != slug) continue;
    list.push_back({{"kind", row.slug},
                    {"severity", diag::to_string(row.severity)},
                    {"summary", row.summary},
                    {"remedy", row.remedy}});
    text += slug.empty() ? fmt::format("{:<24} {}\n", row.slug, row.summary)
                         : fmt::format("{} ({})\n{}\nremedy: {}\n", row.slug, diag::to_string(row.severity),
                                       row.summary, row.remedy);
  }
  if (list.empty()) {
    ctx.report(Kind::UsageInvalid, {}, fmt::format("there is no diagnostic `{}`; `weft explain` lists them", slug));
    app.print(ctx, Json::object(), "");
    return kUsage;
  }
  app.print(ctx, slug.empty() ? Json{{"kinds", std::move(list)}} : Json(list[0]), text);
  return kOk;
}

}  // namespace

void add_information(CLI::App& root, App& app) {
  auto* targets_command = root.add_subcommand("targets", "known parts, families and targets");
  add_common(*targets_command, app);
  targets_command->callback([&app] { app.run = targets; });

  auto* ops_command = root.add_subcommand("ops", "supported formats, layers, quantizers and operators");
  add_common(*ops_command, app);
  ops_command->callback([&app] { app.run = ops; });

  auto slug = std::make_shared<std::string>();
  auto* explain_command = root.add_subcommand("explain", "a diagnostic explained");
  explain_command->add_option("KIND", *slug, "what stands in brackets behind a message; without it, all are listed");
  add_common(*explain_command, app);
  explain_command->callback(
      [&app, slug] { app.run = [slug](App& a, Context& ctx) { return explain(a, ctx, *slug); }; });
}

}  // namespace weft::cli
