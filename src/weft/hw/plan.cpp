// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "weft/hw/cost.h"
#include "weft/hw/design.h"
#include "weft/hw/lowering.h"
#include "weft/hw/resources.h"
#include "weft/netlist/builder.h"
#include "weft/netlist/hdl_tree.h"
#include "weft/netlist/narrow_tables.h"
#include "weft/netlist/register_count.h"
#include "weft/shiftadd/digits.h"

namespace weft::hw {

namespace {

using netlist::Cell;
using netlist::NetId;
using netlist::Netlist;
using netlist::Op;

Result<void> check_options(const PlanOptions& options, const Family& family, Context& ctx) {
  if (options.primitives == Primitives::Xilinx) WEFT_TRY_VOID(require_ternary(family, ctx));
  if (!std::isfinite(options.clock_ns) || options.clock_ns < 0.01 || options.clock_ns > 1e6) {
    return ctx.fail(Kind::ConfigInvalid, {},
                    fmt::format("a clock period of {} ns is not between 0.01 and 1000000", options.clock_ns));
  }
  if (options.clock_uncertainty && !(*options.clock_uncertainty >= 0.0 && *options.clock_uncertainty <= 0.9)) {
    return ctx.fail(
        Kind::ConfigInvalid, {},
        fmt::format("a clock uncertainty of {} % is not between 0 and 90", 100.0 * *options.clock_uncertainty));
  }
  const int least = (options.register_inputs ? 1 : 0) + (options.register_outputs ? 1 : 0);
  if (options.max_latency_cycles && *options.max_latency_cycles < least) {
    return ctx.fail(Kind::DoesNotFit, {},
                    fmt::format("a latency of {} cycles is less than the {} that the registers at the ports take",
                                *options.max_latency_cycles, least));
  }
  return {};
}

/// The cycles from one event to the next: what the layer that is reused most takes.
Result<int> choose_interval(const exact::Graph& graph, const PlanOptions& options, Context& ctx) {
  constexpr int kLargest = 4096;
  int interval = 1;
  for (const exact::Value& value : graph.values) {
    const int factor = reuse_factor_of(value, options);
    if (factor < 1 || factor > kLargest) {
      return ctx.fail(Kind::ConfigInvalid, value.origin,
                      fmt::format("a reuse factor of {} is not between 1 and {}", factor, kLargest));
    }
    if (factor > 1 && !options.valid) {
      return ctx.fail(
          Kind::DoesNotFit, value.origin,
          fmt::format("`{}` has reuse factor {}, so that the circuit must be told by `in_valid` when an event "
                      "comes; keep the valid ports, or use reuse factor 1",
                      value.name, factor));
    }
    interval = std::max(interval, factor);
  }
  return interval;
}

/// The share of the period that cells may use.
double stage_of(double clock_ns, const Family& family) {
  return std::max(1.0, clock_ns * 1000.0 * (1.0 - family.uncertainty) - family.register_ps);
}

double period_of(double stage_ps, const Family& family) {
  return (stage_ps + family.register_ps) / (1.0 - family.uncertainty) / 1000.0;
}

int latency_of(int stages, const PlanOptions& options) { return stages - (options.register_outputs ? 0 : 1); }

/// The longest stage allowed: as clock_ns says, longer when max_latency_cycles asks for fewer stages.
/// Nothing when no period is long enough, because of the cycles that slots take.
std::optional<double> choose_stage(const Netlist& netlist, const Delays& delays, int interval,
                                   const PlanOptions& options, const Family& family) {
  const double asked = std::max(1.0, stage_of(options.clock_ns, family) - delays.tail_ps);
  netlist::PipelineOptions probe{.stage_ps = asked,
                                 .register_inputs = options.register_inputs,
                                 .register_outputs = options.register_outputs,
                                 .interval = interval};
  const auto fits = [&](double stage_ps) {
    probe.stage_ps = stage_ps;
    return latency_of(count_stages(netlist, delays.cells, probe), options) <= *options.max_latency_cycles;
  };
  if (!options.max_latency_cycles || fits(asked)) return asked;
  double low = asked;
  double high = low;
  constexpr double kLongest = 1e15;
  if (!fits(kLongest)) return std::nullopt;
  while (!fits(high)) high *= 2;
  while (high - low > 1.0) {
    const double middle = (low + high) / 2;
    (fits(middle) ? high : low) = middle;
  }
  return high;
}

/// Signed digits of the weights of a layer.
double weight_digits_of(const exact::Value& value) {
  const auto* p = std::get_if<exact::MatVec>(&value.primitive);
  if (p == nullptr || p->n_out == 0) return 0.0;
  double digits = 0.0;
  for (const std::int64_t w : p->weights) digits += static_cast<double>(shiftadd::canonical_digits(w).size());
  return digits;
}

/// The same over all its positions.
double digits_of(const exact::Value& value) {
  const auto* p = std::get_if<exact::MatVec>(&value.primitive);
  if (p == nullptr || p->n_out == 0) return 0.0;
  return weight_digits_of(value) * static_cast<double>(element_count(value.shape) / p->n_out);
}

/// Refuses what no part could hold before hours go into it.
Result<void> check_size(const exact::Graph& graph, const PlanOptions& options, const Part& part, Context& ctx) {
  // Networks come to 0.8 (one bit by one bit, 59,008 digits) to 10 LUTs per signed digit.
  constexpr double kLutPerDigit = 0.5;
  constexpr double kLargest = 4e6;  // more than twice the largest part
  double total = 0.0;
  double most = 0.0;
  const exact::Value* largest = nullptr;
  for (const exact::Value& value : graph.values) {
    const double lut = kLutPerDigit * digits_of(value) / reuse_factor_of(value, options);
    total += lut;
    if (lut > most) {
      most = lut;
      largest = &value;
    }
  }
  if (total <= std::max(kLargest, 4.0 * static_cast<double>(part.lut))) return {};
  return ctx.fail(
      Kind::DoesNotFit, largest->origin,
      fmt::format("parallel this network takes more than {:.0f} million LUTs, `{}` alone {:.0f} million; {} has {:.2f} "
                  "million. Prune it, narrow its weights, reuse its multipliers with `--reuse-factor`, or make it "
                  "smaller; predict and compare need no circuit",
                  total / 1e6, largest->name, most / 1e6, part.name, static_cast<double>(part.lut) / 1e6));
}

void sum_up(Design& design) {
  const Netlist& netlist = design.netlist;
  const std::vector<Resources> costs =
      cell_resources({netlist, design.pipeline, design.family, design.options}, design.paired);
  std::map<std::uint32_t, LayerPlan> layers;
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    const Cell& cell = netlist.cells[i];
    if (cell.op == Op::Constant) continue;
    auto [it, is_new] = layers.try_emplace(cell.module);
    LayerPlan& layer = it->second;
    const int stage = design.pipeline.stage[i];
    if (is_new) {
      layer.name = netlist.modules[cell.module].name;
      layer.first_stage = layer.last_stage = stage;
    }
    const Resources& cost = costs[i];
    layer.first_stage = std::min(layer.first_stage, stage);
    layer.last_stage = std::max(layer.last_stage, stage);
    if (cell.op == Op::Sum) ++layer.adders;
    for (Resources* total : {&layer.resources, &design.predicted}) {
      total->lut += cost.lut;
      total->ff += cost.ff;
      total->dsp += cost.dsp;
      total->bram18 += cost.bram18;
    }
  }
  if (design.options.valid) design.predicted.ff += design.latency_cycles;
  for (auto& [module, layer] : layers) {
    for (std::size_t v = 0; v < design.graph.values.size(); ++v) {
      if (design.graph.values[v].name == layer.name) layer.value.index = static_cast<std::uint32_t>(v);
    }
    design.layers.push_back(std::move(layer));
  }
}

/// A lowered graph with what decides between it and another one.
struct Candidate {
  Lowered lowered;
  netlist::Pipeline pipeline;
  double stage_ps = 0.0;
  double tail_ps = 0.0;
  Resources taken;
};

Result<Candidate> candidate(const Design& design, const PlanOptions& options, const SlackPlan& slack,
                            SolutionCache& solved, Context& ctx) {
  Candidate made;
  WEFT_TRY(made.lowered, Lowering(design.graph, options, design.family, slack, solved, ctx).run());
  Netlist& netlist = made.lowered.netlist;
  if (design.family.lut_pairs) netlist::tabulate(netlist, lut_price(design.family));
  netlist::remove_dead(netlist);
  const Delays delays = delays_of(netlist, design.family);
  made.tail_ps = delays.tail_ps;
  const auto stage_ps = choose_stage(netlist, delays, design.interval_cycles, design.options, design.family);
  if (!stage_ps) {
    return ctx.fail(Kind::DoesNotFit, {},
                    fmt::format("with these reuse factors no clock period has a latency of {} cycles; allow more, or "
                                "reuse less",
                                *design.options.max_latency_cycles));
  }
  made.stage_ps = *stage_ps;
  made.pipeline = netlist::make_pipeline(netlist, delays.cells,
                                         {.stage_ps = made.stage_ps,
                                          .register_inputs = design.options.register_inputs,
                                          .register_outputs = design.options.register_outputs,
                                          .interval = design.interval_cycles,
                                          .price = register_prices(netlist)},
                                         ctx);
  if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "planning was cancelled");
  for (const double lut : luts_of(netlist, made.pipeline, design.family)) made.taken.lut += lut;
  const auto registers = netlist::count_registers(netlist, made.pipeline, design.family.has_shift_luts);
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    made.taken.dsp += cell_cost(netlist, netlist.cells[i], design.family).dsp;
    made.taken.ff += static_cast<double>(registers.flip_flops[i]);
    made.taken.lut += static_cast<double>(registers.shift_luts[i]);
  }
  return made;
}

/// In LUTs, of which every one brings two flip-flops.
double price(const Resources& taken) {
  constexpr double kFlipFlop = 0.1;
  return taken.lut + kFlipFlop * taken.ff + kLutPerDsp * taken.dsp;
}

/// Few cycles, where no number is allowed, then a short period where the one asked for is not met, then what is cheap.
bool better(const Candidate& a, const Candidate& b, const PlanOptions& options) {
  const int cycles_a = a.pipeline.output_stage;
  const int cycles_b = b.pipeline.output_stage;
  if (!options.max_latency_cycles && cycles_a != cycles_b) return cycles_a < cycles_b;
  const double longer = a.stage_ps + a.tail_ps - (b.stage_ps + b.tail_ps);
  if (std::abs(longer) > 1.0) return longer < 0.0;
  return price(a.taken) < price(b.taken);
}

/// Recipes of one search of all layers.
int recipes_of(double work, double digits) {
  constexpr double kMost = 20'000.0;
  return static_cast<int>(std::min(kMost, work / std::max(1.0, digits)));
}

/// Time that the critical path does not need is given to the layers that save most with it: the same slack everywhere
/// first, then another one layer by layer. Most of the effort goes into the graphs of the slack that is chosen.
Result<Candidate> choose_slack(const Design& design, SolutionCache& solved, Context& ctx) {
  SlackPlan plan{.all = {.levels = design.options.extra_levels.value_or(1)}};
  WEFT_TRY(Candidate best, candidate(design, design.options, plan, solved, ctx));
  double digits = 0.0;
  double searched = 0.0;  // a kernel is searched once for all its positions
  std::vector<std::uint32_t> layers;
  for (std::size_t v = 0; v < design.graph.values.size(); ++v) {
    const double here = digits_of(design.graph.values[v]);
    digits += here;
    searched += weight_digits_of(design.graph.values[v]);
    if (here > 0.0) layers.push_back(static_cast<std::uint32_t>(v));
  }
  if (design.options.extra_levels || design.options.effort == Effort::Fast || layers.empty()) return best;
  // What lowering has to say was said the first time.
  diag::Engine quiet;
  Context inner{quiet, ctx.progress, ctx.cancel, ctx.threads, ctx.seed, ctx.limits};
  const auto attempt = [&](const SlackPlan& other) -> Result<bool> {
    auto made = candidate(design, design.options, other, solved, inner);
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "planning was cancelled");
    if (!made || !better(*made, best, design.options)) return false;
    best = std::move(*made);
    plan = other;
    return true;
  };
  const double effort = design.options.effort == Effort::High ? 16.0 : 1.0;
  // An attempt lowers and cuts the whole netlist: unrolled recurrent layers, of many sums and cells, get fewer of them.
  const double kMostCells = 250'000.0 * effort;
  double cells = 0.0;
  const auto within = [&] {
    cells += static_cast<double>(best.lowered.netlist.cells.size());
    return cells <= kMostCells;
  };
  constexpr double kDigits = 10'000.0;
  if (digits <= kDigits) {
    constexpr Slack kTried[] = {{0, false}, {1, false}, {0, true}, {1, true}, {2, true}, {3, true}, {5, true}};
    for (const Slack& slack : kTried) {
      if (within()) WEFT_TRY_VOID(attempt({.all = slack}));
    }
    // Then the same with restarts, as many as take a few seconds.
    constexpr double kSlackRecipes = 20'000.0;
    const int restarts = std::min(48, recipes_of(kSlackRecipes * effort, searched));
    for (const int count : {0, restarts}) {
      for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
        for (Slack slack : kTried) {
          SlackPlan other = plan;
          slack.restarts = count;
          other.of[*layer] = slack;
          if (within()) WEFT_TRY_VOID(attempt(other));
        }
      }
      if (restarts < 8) break;
    }
  }
  constexpr double kRecipes = 600'000.0;
  constexpr int kFewest = 12;
  const int restarts = recipes_of(kRecipes * effort, searched);
  if (restarts < kFewest) return best;
  SlackPlan all = plan;
  for (const std::uint32_t layer : layers) {
    all.of[layer] = plan.at({layer});
    all.of[layer].restarts = restarts;
  }
  WEFT_TRY(const bool at_once, attempt(all));
  if (at_once) return best;
  for (const std::uint32_t layer : layers) {
    SlackPlan other = plan;
    other.of[layer] = all.of[layer];
    if (within()) WEFT_TRY_VOID(attempt(other));
  }
  return best;
}

/// `design` with the circuit of `made`.
Design design_of(Design design, Candidate made) {
  design.netlist = std::move(made.lowered.netlist);
  design.netlist.name = design.top;
  design.adder_graphs = std::move(made.lowered.adder_graphs);
  design.inputs = std::move(made.lowered.inputs);
  design.outputs = std::move(made.lowered.outputs);
  design.pipeline = std::move(made.pipeline);
  design.latency_cycles = design.pipeline.output_stage;
  design.period_ns = period_of(design.pipeline.worst_ps + made.tail_ps, design.family);
  design.paired = choose_pairs({design.netlist, design.pipeline, design.family, design.options});
  sum_up(design);
  return design;
}

/// Layers whose sums are folded, unless all together is cheaper unfolded.
Result<Design> cheapest(const Design& design, Context& ctx) {
  SolutionCache solved;
  WEFT_TRY(Candidate best, choose_slack(design, solved, ctx));
  Design folded = design_of(design, std::move(best));
  // Lowering has compared the sums of each layer; of the rest only that of networks of usual size is compared.
  constexpr double kCompared = 200'000.0;
  double digits = 0.0;
  for (const exact::Value& value : design.graph.values) digits += digits_of(value);
  if (design.interval_cycles == 1 || digits > kCompared) return folded;
  PlanOptions options = design.options;
  options.reuse_factor = 1;
  options.layer_reuse_factor.clear();
  const SlackPlan plan{.all = {.levels = design.options.extra_levels.value_or(1)}};
  WEFT_TRY(Candidate other, candidate(design, options, plan, solved, ctx));
  Design unfolded = design_of(design, std::move(other));
  return price(unfolded.predicted) < price(folded.predicted) ? unfolded : folded;
}

}  // namespace

std::optional<Primitives> primitives_of(std::string_view name) {
  if (name == "portable") return Primitives::Portable;
  if (name == "xilinx") return Primitives::Xilinx;
  return std::nullopt;
}

std::optional<Effort> effort_of(std::string_view name) {
  if (name == "fast") return Effort::Fast;
  if (name == "normal") return Effort::Normal;
  if (name == "high") return Effort::High;
  return std::nullopt;
}

Result<Design> plan(const exact::Graph& graph, const PlanOptions& options, Context& ctx) {
  WEFT_TRY(Part part, require_part(options.part, ctx));
  Design design;
  design.part = part;
  design.family = find_family(part.family).value();
  WEFT_TRY_VOID(check_options(options, design.family, ctx));
  design.family.uncertainty = options.clock_uncertainty.value_or(design.family.uncertainty);
  design.family.lut_pairs = options.primitives == Primitives::Xilinx;
  design.graph = graph;
  design.options = options;
  WEFT_TRY(design.interval_cycles, choose_interval(graph, options, ctx));
  WEFT_TRY_VOID(check_size(graph, options, part, ctx));
  const std::string top = options.top.empty() ? graph.name : options.top;
  design.top = netlist::legal_identifier(options.prefix + (top.empty() ? "top" : top));

  return cheapest(design, ctx);
}

}  // namespace weft::hw
