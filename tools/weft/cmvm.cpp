// SPDX-License-Identifier: Apache-2.0
// weft cmvm: the adder graph of one constant matrix.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "app.h"
#include "weft/backends/verilog/emit.h"
#include "weft/hw/adder_circuit.h"
#include "weft/hw/cost.h"
#include "weft/shiftadd/files.h"
#include "weft/support/files.h"

namespace weft::cli {
namespace {

struct Options {
  std::string matrix;
  std::string bias;
  std::vector<std::int64_t> range{-128, 127};
  std::string ranges;
  std::string cost;
  std::string part;
  double ternary_lut = -1.0;
  double max_delay = 0.0;
  std::string mode = "delay";
  double seconds = 0.0;
  int recipes = 0;
  std::string primitives = "portable";
  std::string output;
};

/// What adders cost, and what the delays of a run count.
struct Model {
  shiftadd::CostModel cost;
  std::string unit;
  hw::Family family;  ///< of the Verilog
};

Result<hw::Family> read_family(const std::string& part_or_family, Context& ctx) {
  if (const auto family = hw::find_family(part_or_family)) return *family;
  WEFT_TRY(const hw::Part part, hw::require_part(part_or_family, ctx));
  return hw::find_family(part.family).value();
}

Result<std::vector<fixed::Range>> read_ranges(const Options& options, std::int64_t n_in, Context& ctx) {
  std::vector<fixed::Range> ranges;
  if (options.ranges.empty()) {
    if (options.range[0] > options.range[1])
      return ctx.fail(Kind::UsageInvalid, {.file = "--range"},
                      fmt::format("{} is greater than {}", options.range[0], options.range[1]));
    const fixed::Range range{options.range[0], options.range[1], 0};
    ranges.assign(static_cast<std::size_t>(n_in), range);
    return ranges;
  }
  WEFT_TRY(const auto table, shiftadd::read_integer_table(options.ranges, ctx));
  if (table.rows != n_in || table.columns < 2 || table.columns > 3) {
    return ctx.fail(Kind::ShapeMismatch, {.file = options.ranges},
                    fmt::format("{} inputs need a table of as many rows `least, greatest` or `least, greatest, step`, "
                                "not {} x {}",
                                n_in, table.rows, table.columns));
  }
  for (std::int64_t i = 0; i < n_in; ++i) {
    const auto at = [&](std::int64_t c) { return table.values[static_cast<std::size_t>(i * table.columns + c)]; };
    const std::int64_t step = table.columns == 3 ? at(2) : 1;
    if (step <= 0 || (step & (step - 1)) != 0 || at(0) % step != 0 || at(1) % step != 0 || at(0) > at(1)) {
      return ctx.fail(
          Kind::TypeInvalid, {.file = options.ranges},
          fmt::format("row {}: [{}, {}] in steps of {} is no range; the step is a power of two that divides "
                      "both ends",
                      i + 1, at(0), at(1), step));
    }
    ranges.push_back({at(0), at(1), fixed::trailing_zeros(step)});
  }
  return ranges;
}

Result<Model> read_model(const Options& options, Context& ctx) {
  WEFT_TRY(const hw::Family family, read_family(options.part.empty() ? hw::PlanOptions{}.part : options.part, ctx));
  if (!options.cost.empty()) {
    WEFT_TRY(auto cost, shiftadd::read_cost_model(options.cost, ctx));
    return Model{std::move(cost), "units", family};
  }
  // The xilinx primitives are those of a part: the default one where none is named.
  const bool cells = options.primitives == "xilinx";
  if (options.part.empty() && !cells) return Model{shiftadd::unit_cost(), "levels", family};
  const double lut = options.ternary_lut < 0 ? family.ternary_lut_per_bit : options.ternary_lut;
  if (options.ternary_lut > 0 && !family.has_ternary()) {
    return ctx.fail(Kind::UsageInvalid, {.file = "--ternary-lut"},
                    fmt::format("{} has no three-input adders", family.title));
  }
  // Delays in levels of two-input adders, whatever their width.
  auto cost = lut > 0 ? hw::ternary_adder_cost(family, lut) : hw::adder_cost(family);
  cost.adder_delay_ps = [](const shiftadd::AdderShape&) { return 1.0; };
  if (cost.has_ternary())
    cost.ternary_delay_ps = [levels = family.ternary_delay](const shiftadd::AdderShape&) { return levels; };
  return Model{std::move(cost), "levels", family};
}

/// The graph as one file of Verilog: the top module first.
Result<std::string> verilog(const shiftadd::Problem& problem, const shiftadd::Solution& solution,
                            const hw::Family& family, hw::Primitives primitives, const std::filesystem::path& output,
                            Context& ctx) {
  const std::string name = output.stem().string();
  WEFT_TRY(const auto design, hw::matrix_design(problem, solution, name, family, primitives, ctx));
  WEFT_TRY(const auto files, backends::verilog::emit(design, {.testbench = false}, ctx));
  const std::string top = fmt::format("rtl/{}.v", design.top);
  std::string text = files.at(top);
  for (const auto& [file, content] : files)
    if (file != top && file.ends_with(".v")) text += "\n" + content;
  return text;
}

Result<Json> run(const Options& options, Context& ctx) {
  shiftadd::Problem problem;
  WEFT_TRY(auto matrix, shiftadd::read_integer_table(options.matrix, ctx));
  problem.n_in = matrix.rows;
  problem.n_out = matrix.columns;
  problem.matrix = std::move(matrix.values);
  WEFT_TRY(problem.inputs, read_ranges(options, problem.n_in, ctx));
  if (!options.bias.empty()) {
    WEFT_TRY(const auto bias, shiftadd::read_integer_table(options.bias, ctx));
    if (static_cast<std::int64_t>(bias.values.size()) != problem.n_out)
      return ctx.fail(Kind::ShapeMismatch, {.file = options.bias},
                      fmt::format("{} numbers for {} outputs", bias.values.size(), problem.n_out));
    problem.bias.assign(bias.values.begin(), bias.values.end());
  }
  WEFT_TRY(Model model, read_model(options, ctx));
  const std::string extension = std::filesystem::path(options.output).extension().string();
  if (!options.output.empty() && extension != ".v" && extension != ".json")
    return ctx.fail(Kind::UsageInvalid, {.file = options.output}, "the graph is written as .v or .json");
  if (options.primitives == "xilinx") WEFT_TRY_VOID(hw::require_ternary(model.family, ctx));
  shiftadd::Options solver{.restarts = options.recipes, .seconds = options.seconds};
  if (options.mode == "area") solver.extra_levels = -1;
  if (options.max_delay > 0) solver.max_delay = options.max_delay;
  const auto start = std::chrono::steady_clock::now();
  WEFT_TRY(const auto solution, shiftadd::solve(problem, solver, model.cost, ctx));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::string wrong = shiftadd::check(problem, solution);
  WEFT_CHECK(wrong.empty(), wrong);
  Json graph = shiftadd::to_json(solution);
  graph["inputs"] = problem.n_in;
  graph["delay_unit"] = model.unit;
  graph["seconds"] = seconds;
  graph["checked"] = true;  // above, symbolically
  if (!options.output.empty()) {
    std::string text;
    if (extension == ".v") {
      const auto primitives = hw::primitives_of(options.primitives).value();
      WEFT_TRY(text, verilog(problem, solution, model.family, primitives, options.output, ctx));
    } else {
      Json file = graph;
      file.erase("seconds");  // the same call writes the same file
      text = support::dump_json(file, -1) + "\n";
    }
    WEFT_TRY_VOID(support::write_file(options.output, text, ctx));
  }
  return graph;
}

}  // namespace

void add_cmvm(CLI::App& root, App& app) {
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("cmvm", "the adder graph of y = x M for one constant matrix of integers");
  command->add_option("MATRIX", options->matrix, "inputs x outputs, whole numbers (.npy, .csv, .json)")->required();
  command->add_option("--bias", options->bias, "numbers to add to the outputs (.npy, .csv, .json)");
  auto* range =
      command->add_option("--range", options->range, "least and greatest code of every input (default -128 127)")
          ->type_name("LO HI")
          ->expected(2);
  command
      ->add_option("--ranges", options->ranges,
                   "least and greatest code of each input, perhaps a step, one row each (.npy, .csv, .json)")
      ->excludes(range);
  auto* cost = command->add_option("--cost", options->cost, "what adders cost and take (.json)");
  auto* part =
      command->add_option("--part", options->part, "part or family whose adders are taken (default: one LUT per bit)");
  part->excludes(cost);
  command
      ->add_option("--ternary-lut", options->ternary_lut,
                   "LUTs per bit of a three-input adder of the part (default: the family's; 0: do not use them)")
      ->check(CLI::Range(0.0, 8.0))
      ->needs(part);
  command
      ->add_option("--mode", options->mode, "delay: as early as possible; area: as few LUTs as possible, at any delay")
      ->capture_default_str()
      ->check(CLI::IsMember({"delay", "area"}));
  command
      ->add_option("--max-delay", options->max_delay,
                   "few LUTs with no output later than this, in levels of two-input adders (with --cost: in its unit)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--recipes", options->recipes,
                   "graphs to look at besides the first (default 0); the same graph every time, unlike with --seconds")
      ->check(CLI::Range(0, 1'000'000));
  command->add_option("--seconds", options->seconds, "time to look for better graphs (default 0: one pass)")
      ->check(CLI::Range(0.0, 1e6));
  command
      ->add_option(
          "--primitives", options->primitives,
          "cells of the Verilog: portable, or xilinx (three-input adders of LUT6_2 and CARRY cells; the adders are "
          "then those of the part, by default xcvu9p)")
      ->capture_default_str()
      ->check(CLI::IsMember({"portable", "xilinx"}));
  command->add_option("-o,--output", options->output, "file for the graph: Verilog (.v) or its nodes (.json)");
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      auto graph = run(*options, ctx);
      if (!graph) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      const auto number = [&](const char* key) { return graph->at(key).get<std::int64_t>(); };
      const std::string text = fmt::format(
          "{} inputs, {} outputs\nadders      {} ({} of two inputs, {} of three)\nLUT         {:g}\ndepth       {} "
          "adders\ndelay       {:g} {}\ntime        {:.3f} s\n",
          number("inputs"), graph->at("outputs").size(), number("adders"), number("two_input_adders"),
          number("three_input_adders"), graph->at("lut").get<double>(), number("depth"),
          graph->at("delay").get<double>(), graph->at("delay_unit").get<std::string>(),
          graph->at("seconds").get<double>());
      a.print(ctx, std::move(*graph), text);
      return kOk;
    };
  });
}

}  // namespace weft::cli
