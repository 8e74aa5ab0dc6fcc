// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/diag/diag.h"
#include "weft/netlist/register_cut.h"
#include "weft/netlist/slot_schedule.h"

// Placing registers. A pipeline of S stages is a chain of sets D_0, D_1, ..., D_{S-2} of cells, D_k being all cells
// done before the cut between the stages k and k+1; its register bits are the sum over k of the widths of the nets that
// cross cut k. Every D_k is closed under operands; what is in D_k but not in D_{k-1} must fit into one stage.
//
// S is the count of the as-soon-as-possible schedule, which is the smallest. Then each cut in turn is a minimum cut: it
// must contain the cells whose latest stage (as-late-as-possible schedule) is <= k, may contain those that one stage
// after D_{k-1} reaches, and a net costs its width when its driver is inside and a reader outside. Any such choice
// leaves the latest schedule open for the rest. Later sweeps repeat this for each cut with both neighbours fixed, which
// never adds registers. Timing constraints between neighbours are the reason why this is not the optimum of retiming;
// it is near.

namespace weft::netlist {

namespace {

constexpr int kMaxPhases = 400;

class Scheduler {
 public:
  Scheduler(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options)
      : netlist_(netlist), delay_(delay_ps), options_(options), is_output_(netlist.cells.size(), false) {
    WEFT_CHECK(delay_ps.size() == netlist.cells.size(), "one delay per cell");
    WEFT_CHECK(options.stage_ps > 0.0, "a stage takes time");
    WEFT_CHECK(options.price.empty() || options.price.size() == netlist.cells.size(), "one price per net");
    // On this grid sums are exact, so that both schedules and all cuts agree on what fits.
    for (double& d : delay_) d = std::round(d * 1024.0) / 1024.0;
    for (const Port& port : netlist.outputs) {
      for (NetId net : port.elements) is_output_[net.index] = true;
    }
  }

  /// As soon as possible; returns the number of stages.
  int schedule_early() {
    early_.assign(netlist_.cells.size(), 0);
    std::vector<double> arrival(netlist_.cells.size(), 0.0);
    int stages = options_.register_inputs ? 2 : 1;
    for (std::size_t i = 0; i < netlist_.cells.size(); ++i) {
      int stage = 0;
      double before = 0.0;
      for (const Term& term : netlist_.cells[i].terms) {
        const std::uint32_t x = term.net.index;
        if (is_constant(x)) continue;
        if (early_[x] > stage || (early_[x] == stage && arrival[x] > before)) {
          stage = early_[x];
          before = arrival[x];
        }
      }
      if (!fits(before, delay_[i], budget(stage))) {
        ++stage;
        before = 0.0;
      }
      early_[i] = stage;
      arrival[i] = before + delay_[i];
      stages = std::max(stages, stage + 1);
    }
    return stages;
  }

  Pipeline run(Context& ctx) {
    const int computing = schedule_early();
    // Behind the output registers there is one more stage that holds nothing but wiring.
    last_ = computing - (options_.register_outputs ? 0 : 1);
    const int stages = last_ + 1;
    schedule_late(stages);
    make_readers();
    done_ = std::vector<int>(netlist_.cells.size(), stages - 1);
    // done_[i] = k: the cell is in D_k but not in D_{k-1}, that is, it stands in stage k.
    for (int k = 0; k + 1 < stages && !ctx.cancelled(); ++k) place_cut(k, true);
    // Narrow circuits with long slack can do better from one of the plain schedules.
    for (const auto* start : {&early_, &late_}) {
      if (price_of(*start) < price_of(done_)) done_ = *start;
    }
    for (int sweep = 0; sweep < options_.sweeps; ++sweep) {
      for (int k = stages - 2; k >= 0 && !ctx.cancelled(); --k) place_cut(k, false);
      for (int k = 0; k + 1 < stages && !ctx.cancelled(); ++k) place_cut(k, false);
    }
    Pipeline pipeline;
    pipeline.stage = done_;
    pipeline.output_stage = last_;
    pipeline.worst_ps = longest();
    return pipeline;
  }

 private:
  [[nodiscard]] bool is_constant(std::size_t i) const { return netlist_.cells[i].op == Op::Constant; }
  [[nodiscard]] bool is_input(std::size_t i) const { return netlist_.cells[i].op == Op::Input; }
  [[nodiscard]] double budget(int stage) const {
    const bool only_wiring = (stage == 0 && options_.register_inputs) || (stage == last_ && options_.register_outputs);
    return only_wiring ? 0.0 : options_.stage_ps;
  }

  void make_readers() {
    first_reader_.assign(netlist_.cells.size() + 1, 0);
    for (const Cell& cell : netlist_.cells) {
      for (const Term& term : cell.terms) ++first_reader_[term.net.index + 1];
    }
    for (std::size_t i = 1; i < first_reader_.size(); ++i) first_reader_[i] += first_reader_[i - 1];
    readers_.resize(first_reader_.back());
    std::vector<std::uint32_t> next(first_reader_.begin(), first_reader_.end() - 1);
    for (std::size_t i = 0; i < netlist_.cells.size(); ++i) {
      for (const Term& term : netlist_.cells[i].terms) {
        readers_[next[term.net.index]++] = static_cast<std::uint32_t>(i);
      }
    }
  }

  void schedule_late(int stages) {
    late_.assign(netlist_.cells.size(), stages - 1);
    std::vector<double> tail(netlist_.cells.size(), 0.0);  // after the cell, until it is placed; then with the cell
    for (std::size_t i = netlist_.cells.size(); i-- > 0;) {
      if (!fits(tail[i], delay_[i], budget(late_[i]))) {
        --late_[i];
        tail[i] = 0.0;
      }
      tail[i] += delay_[i];
      if (is_input(i)) late_[i] = 0;
      for (const Term& term : netlist_.cells[i].terms) {
        const std::uint32_t x = term.net.index;
        if (late_[i] < late_[x]) {
          late_[x] = late_[i];
          tail[x] = tail[i];
        } else if (late_[i] == late_[x]) {
          tail[x] = std::max(tail[x], tail[i]);
        }
      }
    }
  }

  /// Chooses D_k anew. First pass: cells beyond D_{k-1} are undecided (done_ = last stage). Otherwise D_{k+1} is fixed.
  void place_cut(int k, bool first_pass) {
    const std::size_t count = netlist_.cells.size();
    enum : std::uint8_t { kInside, kFree, kOutside };
    side_.assign(count, kOutside);
    time_.assign(count, 0.0);
    // What one stage after D_{k-1} reaches.
    for (std::size_t i = 0; i < count; ++i) {
      if (done_[i] < k || is_input(i) || is_constant(i)) {
        side_[i] = kInside;
        continue;
      }
      if (!first_pass && done_[i] > k + 1) continue;
      double before = 0.0;
      bool reachable = true;
      for (const Term& term : netlist_.cells[i].terms) {
        const std::uint32_t x = term.net.index;
        if (side_[x] == kOutside) {
          reachable = false;
          break;
        }
        before = std::max(before, time_[x]);
      }
      if (!reachable || !fits(before, delay_[i], budget(k))) continue;
      time_[i] = before + delay_[i];
      side_[i] = kFree;
    }
    // What must be done by then.
    if (first_pass) {
      for (std::size_t i = 0; i < count; ++i) {
        if (side_[i] == kFree && late_[i] <= k) side_[i] = kInside;
      }
    } else {
      time_.assign(count, 0.0);
      for (std::size_t i = count; i-- > 0;) {
        if (done_[i] != k && done_[i] != k + 1) continue;
        if (side_[i] == kInside) continue;
        bool must = false;
        double tail = 0.0;
        for (std::uint32_t r = first_reader_[i]; r < first_reader_[i + 1]; ++r) {
          const std::uint32_t reader = readers_[r];
          if (done_[reader] > k + 1) continue;
          if (side_[reader] == kInside) must = true;
          tail = std::max(tail, time_[reader]);
        }
        if (must || !fits(tail, delay_[i], budget(k + 1))) {
          WEFT_CHECK(side_[i] == kFree, "a cut of the pipeline has no room");
          side_[i] = kInside;
        } else {
          time_[i] = tail + delay_[i];
        }
      }
    }
    cut(k, first_pass);
  }

  void cut(int k, bool first_pass) {
    const std::size_t count = netlist_.cells.size();
    FlowGraph flow(2);
    node_.assign(count, -1);
    for (std::size_t i = 0; i < count; ++i) {
      if (side_[i] == 1) node_[i] = static_cast<std::int32_t>(flow.add_node());
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (side_[i] == 2 || is_constant(i)) continue;
      if (side_[i] == 1) {
        for (const Term& term : netlist_.cells[i].terms) {
          if (side_[term.net.index] == 1) flow.add_edge(node_[i], node_[term.net.index], FlowGraph::kInfinite);
        }
      }
      // The net of cell i: paid when i is inside and a reader is not.
      bool read_outside = is_output_[i];
      bool read_free = false;
      for (std::uint32_t r = first_reader_[i]; r < first_reader_[i + 1]; ++r) {
        read_outside = read_outside || side_[readers_[r]] == 2;
        read_free = read_free || side_[readers_[r]] == 1;
      }
      const std::size_t driver = side_[i] == 1 ? static_cast<std::size_t>(node_[i]) : 0;
      const std::int64_t width = price_of(i);
      if (read_outside) {
        if (driver != 0) flow.add_edge(driver, 1, width);  // from the source it is paid in any case
      } else if (read_free) {
        const std::size_t net = flow.add_node();
        flow.add_edge(driver, net, width);
        std::uint32_t previous = 0xffffffffU;
        for (std::uint32_t r = first_reader_[i]; r < first_reader_[i + 1]; ++r) {
          if (side_[readers_[r]] == 1 && readers_[r] != previous) {
            flow.add_edge(net, node_[readers_[r]], FlowGraph::kInfinite);
          }
          previous = readers_[r];
        }
      }
    }
    const bool complete = flow.run(kMaxPhases) >= 0;
    const std::vector<bool> source = complete ? flow.source_side() : std::vector<bool>();
    for (std::size_t i = 0; i < count; ++i) {
      if (side_[i] == 2) {
        if (!first_pass && done_[i] == k) done_[i] = k + 1;
        continue;
      }
      // An unfinished flow gives no cut: as soon as possible then, or in later sweeps no change.
      bool inside = side_[i] == 0;
      if (side_[i] == 1) inside = complete ? source[node_[i]] : (first_pass || done_[i] <= k);
      if (inside) {
        done_[i] = std::min(done_[i], k);
      } else if (done_[i] <= k) {
        done_[i] = k + 1;
      }
    }
  }

  [[nodiscard]] std::int64_t price_of(std::size_t i) const {
    return options_.price.empty() ? netlist_.cells[i].width_bits : options_.price[i];
  }
  /// The price of all registers.
  [[nodiscard]] std::int64_t price_of(const std::vector<int>& stage) const {
    Pipeline pipeline;
    pipeline.stage = stage;
    pipeline.output_stage = last_;
    const std::vector<int> depth = register_depths(netlist_, pipeline);
    std::int64_t price = 0;
    for (std::size_t i = 0; i < depth.size(); ++i) price += depth[i] * price_of(i);
    return price;
  }

  double longest() {
    double worst = 0.0;
    time_.assign(netlist_.cells.size(), 0.0);
    for (std::size_t i = 0; i < netlist_.cells.size(); ++i) {
      for (const Term& term : netlist_.cells[i].terms) {
        const std::uint32_t x = term.net.index;
        if (!is_constant(x) && done_[x] == done_[i]) time_[i] = std::max(time_[i], time_[x]);
      }
      time_[i] += delay_[i];
      worst = std::max(worst, time_[i]);
    }
    return worst;
  }

  const Netlist& netlist_;
  std::vector<double> delay_;
  PipelineOptions options_;
  std::vector<bool> is_output_;
  int last_ = -1;  // unknown while stages are counted
  std::vector<int> early_;
  std::vector<int> late_;
  std::vector<int> done_;
  std::vector<std::uint8_t> side_;
  std::vector<double> time_;
  std::vector<std::int32_t> node_;
  std::vector<std::uint32_t> first_reader_;
  std::vector<std::uint32_t> readers_;
};

}  // namespace

Pipeline make_pipeline(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options,
                       Context& ctx) {
  if (options.interval > 1) return schedule_slots(netlist, delay_ps, options, ctx);
  return Scheduler(netlist, delay_ps, options).run(ctx);
}

int count_stages(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options) {
  if (options.interval > 1) return count_slot_stages(netlist, delay_ps, options);
  return Scheduler(netlist, delay_ps, options).schedule_early();
}

int read_stage(const Netlist& netlist, const Pipeline& pipeline, std::size_t cell, std::size_t term) {
  return pipeline.stage[cell] + read_offset(netlist, netlist.cells[cell], term);
}

int registers_until(const Netlist& netlist, const Pipeline& pipeline, NetId net, int stage) {
  const Cell& cell = netlist.at(net);
  if (cell.op == Op::Constant) return 0;
  const int delay = std::max(0, stage - pipeline.stage[net.index]);
  return cell.slots > 1 ? delay : (delay + pipeline.interval - 1) / pipeline.interval;
}

std::vector<int> read_delays(const Netlist& netlist, const Pipeline& pipeline) {
  std::vector<int> delay(netlist.cells.size(), 0);
  const auto need = [&](NetId net, int stage) {
    if (netlist.at(net).op == Op::Constant) return;
    delay[net.index] = std::max(delay[net.index], stage - pipeline.stage[net.index]);
  };
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    for (std::size_t t = 0; t < netlist.cells[i].terms.size(); ++t)
      need(netlist.cells[i].terms[t].net, read_stage(netlist, pipeline, i, t));
  }
  for (const Port& port : netlist.outputs) {
    for (NetId net : port.elements) need(net, pipeline.output_stage);
  }
  return delay;
}

int load_stage(const Netlist& netlist, const Pipeline& pipeline, std::size_t cell, int index, int delay) {
  if (pipeline.interval == 1 || netlist.cells[cell].slots > 1) return -1;
  const int before = (index - 1) * pipeline.interval;
  return delay > before + 1 ? pipeline.stage[cell] + before : -1;
}

std::vector<int> register_depths(const Netlist& netlist, const Pipeline& pipeline) {
  std::vector<int> depth = read_delays(netlist, pipeline);
  for (std::size_t i = 0; i < depth.size(); ++i) {
    const NetId net{static_cast<std::uint32_t>(i)};
    depth[i] = registers_until(netlist, pipeline, net, pipeline.stage[i] + depth[i]);
  }
  return depth;
}

std::int64_t register_bits(const Netlist& netlist, const Pipeline& pipeline) {
  const std::vector<int> depth = register_depths(netlist, pipeline);
  std::int64_t bits = 0;
  for (std::size_t i = 0; i < depth.size(); ++i) bits += std::int64_t{depth[i]} * netlist.cells[i].width_bits;
  return bits;
}

bool lowest_bit_apart(const Netlist& netlist, const Pipeline& pipeline, std::uint32_t sum, bool ternary_cells) {
  const auto& terms = netlist.cells[sum].terms;
  WEFT_CHECK(terms.size() == 2, "a sum of two terms");
  const auto reads_chain = [&](std::size_t term) {
    const NetId net = terms[term].net;
    const Cell& x = netlist.at(net);
    return x.op == Op::Sum && !(ternary_cells && x.terms.size() == 3) &&
           registers_until(netlist, pipeline, net, read_stage(netlist, pipeline, sum, term)) == 0;
  };
  for (const Term& term : terms) {
    if (netlist.at(term.net).op == Op::Constant) return false;
  }
  const std::size_t positive = terms[0].negate ? 1 : 0;
  const Term& a = terms[positive];
  const Term& b = terms[1 - positive];
  return reads_chain(0) || reads_chain(1) || (b.negate && b.shift < a.shift);
}

std::string verify(const Netlist& netlist, const Pipeline& pipeline, const std::vector<double>& delay_ps) {
  if (pipeline.stage.size() != netlist.cells.size()) return "one stage per cell";
  std::vector<double> time(netlist.cells.size(), 0.0);
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    const Cell& cell = netlist.cells[i];
    if (cell.op == Op::Input && pipeline.stage[i] != 0) return "an input is not in stage 0";
    if (cell.op == Op::Slot && pipeline.stage[i] < 1) return "a counter starts before its event is there";
    if (cell.slots > pipeline.interval) return "more slots than cycles";
    for (std::size_t t = 0; t < cell.terms.size(); ++t) {
      const std::uint32_t x = cell.terms[t].net.index;
      if (netlist.cells[x].op == Op::Constant) continue;
      const int stage = read_stage(netlist, pipeline, i, t);
      if (pipeline.stage[x] > stage) return fmt::format("cell {} reads cell {} of a later stage", i, x);
      if (pipeline.stage[x] == stage) time[i] = std::max(time[i], time[x]);
    }
    time[i] += delay_ps[i];
    if (time[i] > pipeline.worst_ps + kSlack) return fmt::format("the stage of cell {} is longer than said", i);
    if (pipeline.stage[i] > pipeline.output_stage) return fmt::format("cell {} stands behind the outputs", i);
  }
  return {};
}

}  // namespace weft::netlist
