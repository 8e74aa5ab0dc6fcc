// SPDX-License-Identifier: Apache-2.0
/// @file
/// Lowers the primitives of an exact graph to word-level cells. Internal to hw.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/hw/adder_search.h"
#include "weft/hw/cost.h"
#include "weft/hw/design.h"
#include "weft/hw/signal.h"
#include "weft/netlist/builder.h"
#include "weft/netlist/hdl_tree.h"

namespace weft::hw {

/// What lowering a graph gives.
struct Lowered {
  netlist::Netlist netlist;
  std::vector<AdderGraph> adder_graphs;
  std::vector<PortPlan> inputs;
  std::vector<PortPlan> outputs;
};

/// One run over the values of a graph; the elements of every value are signals.
class Lowering {
 public:
  Lowering(const exact::Graph& graph, const PlanOptions& options, const Family& family, const SlackPlan& slack,
           SolutionCache& solved, Context& ctx)
      : graph_(graph),
        options_(options),
        family_(family),
        slack_(slack),
        solved_(solved),
        ctx_(ctx),
        builder_(result_.netlist) {}

  Result<Lowered> run();

 private:
  using Signals = std::vector<Signal>;

  // One per primitive (lowering.cpp, lower_folded.cpp, lower_forest.cpp, lower_matvec.cpp, lower_requant.cpp,
  // lower_select.cpp).
  Result<Signals> lower(const exact::Value& value, const exact::Input& p);
  Result<Signals> lower(const exact::Value& value, const exact::Constant& p);
  Result<Signals> lower(const exact::Value& value, const exact::MatVec& p);
  Result<Signals> lower(const exact::Value& value, const exact::Add& p);
  Result<Signals> lower(const exact::Value& value, const exact::Sub& p);
  Result<Signals> lower(const exact::Value& value, const exact::Mul& p);
  Result<Signals> lower(const exact::Value& value, const exact::Requant& p);
  Result<Signals> lower(const exact::Value& value, const exact::Reduce& p);
  Result<Signals> lower(const exact::Value& value, const exact::ArgMax& p);
  Result<Signals> lower(const exact::Value& value, const exact::Concat& p);
  Result<Signals> lower(const exact::Value& value, const exact::Permute& p);
  Result<Signals> lower(const exact::Value& value, const exact::Reshape& p);
  Result<Signals> lower(const exact::Value& value, const exact::Window& p);
  Result<Signals> lower(const exact::Value& value, const exact::Gather& p);
  Result<Signals> lower(const exact::Value& value, const exact::Forest& p);
  Result<Signals> move(const exact::Value& value);

  Result<Signals> add_or_sub(const exact::Value& value, exact::ValueId a, exact::ValueId b, int shift_a, int shift_b,
                             bool subtract);
  Result<Signals> sequential_matvec(const exact::Value& value, const exact::MatVec& p);

  /// What becomes of a sum: a step function of it, or of max(0, sum).
  struct Sink {
    const fixed::StepFunction* function = nullptr;
    bool relu = false;
  };
  /// The step function that is the only reader of each element of `value`, through data movement; none where there is
  /// none.
  std::vector<Sink> find_sinks(exact::ValueId value) const;
  /// What of the bias the adder graph should add so that the reader of the sum needs no adder of its own.
  static Int wanted_bias(const Sink& sink, const fixed::Range& range, Int bias);
  /// Sums y[o] = sum_i weights[i * n_out + o] * x[i] + bias[o] of one row, as the solver takes them.
  struct RowSums {
    std::int64_t row = 0;
    std::vector<netlist::NetId> nets;  ///< the problem's inputs; none when all sums are constant
    shiftadd::Problem problem;
    std::vector<Int> left;  ///< what is added to each sum outside of the adder graph
  };
  Result<RowSums> row_sums(const exact::Value& value, std::int64_t row, const std::vector<Signal>& x,
                           const std::vector<std::int64_t>& weights, const std::vector<Int>& bias,
                           const std::vector<Sink>& sinks, const std::vector<fixed::Range>& ranges);
  /// Solves the rows side by side, equal ones once, and builds them in their order, with names that begin with
  /// `prefix`.
  Result<Signals> solve_rows(const exact::Value& value, std::vector<RowSums> rows, const std::string& prefix);

  // Over the slots of an event (lower_folded.cpp). Each of the first three gives nothing where it does not apply.
  /// Rows that have the same matrix use one adder graph, one after the other.
  Result<std::optional<Signals>> share_rows(const exact::Value& value, const exact::MatVec& p,
                                            const std::vector<Sink>& sinks, int slots);
  /// The adder graph of each row sees a few bits of its inputs at a time, the lowest first.
  Result<std::optional<Signals>> by_digits(const exact::Value& value, const std::vector<RowSums>& rows, int slots);
  /// Each sum has a few multipliers whose operands and weights change from slot to slot.
  Result<std::optional<Signals>> by_products(const exact::Value& value, const std::vector<RowSums>& rows, int slots);
  /// The cheapest of these and of the rows side by side.
  Result<Signals> fold_matvec(const exact::Value& value, const exact::MatVec& p, const std::vector<Sink>& sinks,
                              std::vector<RowSums> rows, int slots);
  /// The net without a sign: 2^(width - 1) is added to one that has one.
  netlist::NetId without_sign(netlist::NetId net);
  /// x * weights[slot] for x >= 0, of which the operand in slot k has the range of xs[k].
  Signal slot_product(netlist::NetId slot, netlist::NetId x, const std::vector<netlist::NetId>& xs,
                      const std::vector<Int>& weights);
  /// The sum over all slots, start included, whose range is `known`.
  Signal accumulated(const Signal& x, Int start, int shift, Int beside, const fixed::Range& known);
  Signal picked(const Signal& x, int slot);
  /// The function of elements that come one after the other from the same net, computed where they still do; nothing
  /// for others. `sums`, where there are some: x is max(0, sums).
  std::vector<std::optional<Signal>> requant_slots(const Signals& x, const Signals* sums,
                                                   const std::vector<fixed::StepFunction>& functions);
  /// LUTs, and multipliers in LUTs, of the cells from `first` on.
  [[nodiscard]] double cost_since(std::size_t first) const;

  /// y = function(x); `known` is the range of the result.
  Signal requant(const Signal& x, const fixed::StepFunction& function, const fixed::Range& known);
  /// y = function(max(0, x)), the function being a rounding: both keep the order and 0, so that what is rounded away
  /// need not be cleared first. Nothing where that is no cheaper form.
  std::optional<Signal> requant_positive(const Signal& x, const fixed::StepFunction& function,
                                         const fixed::Range& known);
  Signal shift_round(const Signal& x, const fixed::ShiftRound& function);
  Signal overflow(const Signal& q, const Signal& floored, const fixed::ShiftRound& function);
  Signal pieces(const Signal& x, const fixed::Pieces& function);
  Signal by_comparators(netlist::NetId x, const fixed::Pieces& function);
  Signal by_search(netlist::NetId x, const fixed::Pieces& function);
  Signal by_table(netlist::NetId x, const fixed::Pieces& function);
  Signal by_multiply_shift(netlist::NetId x, const fixed::MultiplyShift& form);
  /// values[index]; indices beyond are never reached.
  Signal from_index(netlist::NetId index, const std::vector<Int>& values);
  /// x * factor through an adder graph.
  netlist::NetId scaled(netlist::NetId x, Int factor);

  netlist::NetId select_max(const std::vector<netlist::NetId>& nets);
  [[nodiscard]] const Signals& signals(exact::ValueId id) const { return signals_[id.index]; }
  /// Picoseconds from the inputs of the design to the net, without registers.
  double arrival(netlist::NetId net);
  Result<void> finish_outputs();

  const exact::Graph& graph_;
  const PlanOptions& options_;
  const Family& family_;
  const SlackPlan& slack_;
  SolutionCache& solved_;
  Context& ctx_;
  Lowered result_;
  netlist::Builder builder_;
  std::vector<Signals> signals_;
  std::vector<double> arrival_;
  /// Nets that are a value of a slot, and which one of which net.
  struct Slotted {
    netlist::NetId net;
    int slot = 0;
  };
  std::map<netlist::NetId, Slotted> slotted_;
  exact::ValueId current_;
  netlist::NameScope module_names_;
  netlist::NameScope port_names_;
};

/// Whether `p` is max(0, x) for all that its operand reaches.
bool is_relu(const exact::Requant& p, const exact::Value& x);

/// Thresholds and values of a step function written over a net: y = values[number of breakpoints <= net].
fixed::Pieces over_net(const fixed::Pieces& function, const Signal& x, const fixed::Range& net_range);

}  // namespace weft::hw
