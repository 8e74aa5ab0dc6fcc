// SPDX-License-Identifier: Apache-2.0
// weft cmvm: the adder graph of one constant matrix.
#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "app.h"
#include "weft/fixed/type.h"
#include "weft/hw/cost.h"
#include "weft/shiftadd/files.h"
#include "weft/support/files.h"

namespace weft::cli {
namespace {

struct Options {
  std::string matrix;
  std::string bias;
  std::string input_type = "int<8>";
  std::string ranges;
  std::string cost;
  std::string part;
  double ternary_lut = -1.0;
  double max_delay = 0.0;
  int max_levels = 0;
  bool any_delay = false;
  double effort = 0.0;
  std::string output;
};

/// What the delays of a run count.
struct Model {
  shiftadd::CostModel cost;
  std::string unit;
};

Result<std::vector<fixed::Range>> read_ranges(const Options& options, std::int64_t n_in, Context& ctx) {
  std::vector<fixed::Range> ranges;
  if (options.ranges.empty()) {
    std::string why;
    const auto type = fixed::parse_type(options.input_type, true, why);
    if (!type) return ctx.fail(Kind::TypeInvalid, {.file = "--input-type"}, why);
    if (type->form == fixed::TypeSpec::Form::Auto)
      return ctx.fail(Kind::TypeInvalid, {.file = "--input-type"}, "the inputs need a type, `auto` is none");
    if (type->fixed.width_bits > 64)
      return ctx.fail(Kind::TypeTooWide, {.file = "--input-type"}, "inputs have at most 64 bits here");
    fixed::Range range{fixed::min_code(type->fixed), fixed::max_code(type->fixed), 0};
    if (type->form == fixed::TypeSpec::Form::Bipolar) range = {-1, 1, 0};
    if (type->form == fixed::TypeSpec::Form::Ternary) range = {-1, 1, 0};
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
  if (!options.cost.empty()) {
    WEFT_TRY(auto cost, shiftadd::read_cost_model(options.cost, ctx));
    return Model{std::move(cost), "units"};
  }
  if (options.part.empty()) return Model{shiftadd::unit_cost(), "levels"};
  std::optional<hw::Family> family = hw::find_family(options.part);
  if (!family) {
    WEFT_TRY(const hw::Part part, hw::require_part(options.part, ctx));
    family = hw::find_family(part.family);
  }
  const double lut = options.ternary_lut < 0 ? family->ternary_lut_per_bit : options.ternary_lut;
  if (options.ternary_lut > 0 && family->ternary_delay <= 0) {
    return ctx.fail(Kind::UsageInvalid, {.file = "--ternary-lut"},
                    fmt::format("{} has no three-input adders", family->title));
  }
  return Model{lut > 0 ? hw::ternary_adder_cost(*family, lut) : hw::adder_cost(*family), "ps"};
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
  shiftadd::Options solver{.seconds = options.effort};
  if (options.any_delay) solver.extra_levels = -1;
  if (options.max_delay > 0) solver.max_delay = options.max_delay;
  if (options.max_levels > 0) {
    // Depth instead of time: two-input adders only, so that a level is a level.
    model.cost.ternary_lut = nullptr;
    model.cost.ternary_delay_ps = nullptr;
    model.cost.adder_delay_ps = [](const shiftadd::AdderShape&) { return 1.0; };
    model.unit = "levels";
    solver.max_delay = options.max_levels;
  }
  const auto start = std::chrono::steady_clock::now();
  WEFT_TRY(const auto solution, shiftadd::solve(problem, solver, model.cost, ctx));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::string wrong = shiftadd::check(problem, solution);
  WEFT_CHECK(wrong.empty(), wrong);
  Json graph = shiftadd::to_json(solution);
  graph["inputs"] = problem.n_in;
  graph["delay_unit"] = model.unit;
  graph["seconds"] = seconds;
  if (!options.output.empty()) {
    Json file = graph;
    file.erase("seconds");  // the same call writes the same file
    WEFT_TRY_VOID(support::write_file(options.output, support::dump_json(file, -1) + "\n", ctx));
  }
  return graph;
}

}  // namespace

void add_cmvm(CLI::App& root, App& app) {
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("cmvm", "the adder graph of y = x M for one constant matrix of integers");
  command->add_option("MATRIX", options->matrix, "inputs x outputs, whole numbers (.npy, .csv, .json)")->required();
  command->add_option("--bias", options->bias, "numbers to add to the outputs (.npy, .csv, .json)");
  auto* type =
      command->add_option("--input-type", options->input_type, "type whose codes all inputs take (default int<8>)");
  command
      ->add_option("--ranges", options->ranges,
                   "least and greatest code of each input, perhaps a step, one row each (.npy, .csv, .json)")
      ->excludes(type);
  auto* cost = command->add_option("--cost", options->cost, "what adders cost and take (.json)");
  command
      ->add_option("--part", options->part,
                   "part or family whose adders are taken, in ps (default: one LUT per bit, delay in adder levels)")
      ->excludes(cost);
  command
      ->add_option("--ternary-lut", options->ternary_lut,
                   "LUTs per bit of a three-input adder of the part (default: the family's; 0: do not use them)")
      ->check(CLI::Range(0.0, 8.0));
  auto* delay = command
                    ->add_option("--max-delay", options->max_delay,
                                 "latest output, in the unit of the cost (default: as early as possible)")
                    ->check(CLI::PositiveNumber);
  auto* levels = command->add_option("--max-levels", options->max_levels, "most adders in a row; two-input adders only")
                     ->check(CLI::Range(1, 1000))
                     ->excludes(delay);
  command->add_flag("--any-delay", options->any_delay, "no bound on the delay")->excludes(delay)->excludes(levels);
  command->add_option("--effort", options->effort, "seconds to look for better graphs (default 0: one pass)")
      ->check(CLI::Range(0.0, 1e6));
  command->add_option("-o,--output", options->output, "file for the graph (.json)");
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
