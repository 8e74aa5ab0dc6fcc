// SPDX-License-Identifier: Apache-2.0
/// @file
/// The plan of a parallel design: one pipelined circuit for a whole exact graph.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/exact/graph.h"
#include "weft/hw/targets.h"
#include "weft/netlist/netlist.h"
#include "weft/netlist/pipeline.h"
#include "weft/shiftadd/solver.h"
#include "weft/support/context.h"

namespace weft::hw {

/// What the circuit is written with: operators of the language only, or LUT6_2 and the carry cells of Xilinx where
/// these take less.
enum class Primitives : std::uint8_t { Portable, Xilinx };

/// How long adder graphs are searched for: one pass; seconds to half a minute; minutes.
enum class Effort : std::uint8_t { Fast, Normal, High };

/// By the names of the command line; nothing for another word.
std::optional<Primitives> primitives_of(std::string_view name);
std::optional<Effort> effort_of(std::string_view name);

struct PlanOptions {
  double clock_ns = 5.0;
  /// Share of the period that is kept free, 0 to 0.9; nothing: the family's.
  std::optional<double> clock_uncertainty{};
  /// When the stages that clock_ns asks for are more than this, the smallest period that fits is taken instead.
  std::optional<int> max_latency_cycles{};
  std::string part = "xcvu9p-flga2104-2L-e";
  /// Name of the top module; empty means the graph's name. Made a legal Verilog identifier.
  std::string top{};
  /// Put in front of every module name, so that several networks can live in one design.
  std::string prefix{};
  bool register_inputs = false;
  bool register_outputs = true;
  bool clock_enable = false;  ///< a port `ce` that holds every register when low
  bool valid = true;          ///< ports in_valid and out_valid
  Primitives primitives = Primitives::Portable;
  /// LUTs per bit of a three-input adder, for the adder graphs; 0: do not use them. Nothing: the family's.
  std::optional<double> ternary_lut{};
  /// For the adder graphs: levels above the minimum that sharing may add (nothing: several are tried, layer by layer,
  /// unless the network is large).
  std::optional<int> extra_levels{};
  Effort effort = Effort::Normal;
  /// Cycles over which a layer with constant matrices may spread its work: of every layer, and of layers by the name of
  /// the node that they come from. The largest one is the interval of the circuit.
  int reuse_factor = 1;
  std::map<std::string, int> layer_reuse_factor{};
};

/// The reuse factor of a value: 1 where it is no product with a constant matrix, or one whose sums are cast one by one.
int reuse_factor_of(const exact::Value& value, const PlanOptions& options);

struct Resources {
  double lut = 0;
  double ff = 0;
  double dsp = 0;
  double bram18 = 0;
};

/// An adder graph as solved: value `value`, row `row` of its leading axes. HLS writers print these.
struct AdderGraph {
  exact::ValueId value;
  std::int64_t row = 0;
  shiftadd::Problem problem;
  shiftadd::Solution solution;
};

/// A port of the top module: the elements of one input or output of the exact graph, all of one width.
struct PortPlan {
  std::string name;  ///< "in_<name>" or "out_<name>"
  exact::ValueId value;
  std::int64_t elements = 0;
  int element_width_bits = 1;
  bool is_signed = false;
  [[nodiscard]] std::int64_t width_bits() const { return elements * element_width_bits; }
};

/// What one value of the exact graph became (only values with logic or registers).
struct LayerPlan {
  std::string name;
  exact::ValueId value;
  Resources resources;
  std::int64_t adders = 0;
  int first_stage = 0;
  int last_stage = 0;
};

/// A planned design. Lowering is not destructive: the exact graph and the adder graphs stay beside the netlist.
struct Design {
  exact::Graph graph;
  PlanOptions options;
  Part part;
  Family family;
  std::string top;  ///< legal name of the top module, prefix included
  std::vector<AdderGraph> adder_graphs;
  netlist::Netlist netlist;
  netlist::Pipeline pipeline;
  /// By cell: whether it is written as LUT6_2 of two bits each (netlist::lut_form); empty: none is.
  std::vector<bool> paired;
  std::vector<PortPlan> inputs;   ///< in the order of graph.inputs
  std::vector<PortPlan> outputs;  ///< in the order of graph.outputs
  std::vector<LayerPlan> layers;
  /// Edges from the one that samples an input to the one that can sample its output.
  int latency_cycles = 0;
  int interval_cycles = 1;  ///< cycles from one event to the next
  double period_ns = 0.0;   ///< the shortest clock period that the delay model allows
  Resources predicted;
};

/// Plans a verified graph. Warns with SequentialAccumulator where a forced accumulator makes a sum a chain, fails with
/// TargetUnknown, ConfigInvalid (options out of range), TypeTooWide, LimitExceeded, DoesNotFit or Cancelled.
Result<Design> plan(const exact::Graph& graph, const PlanOptions& options, Context& ctx);

}  // namespace weft::hw
