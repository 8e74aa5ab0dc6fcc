// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/slot_schedule.h"

#include <cmath>

#include "weft/diag/diag.h"

// Cells that begin or end slots read their operands in other stages than their own, so that the cuts of pipeline.cpp,
// each between two stages, do not fit here. Registers that hold a value until the next event are few wherever the cut
// stands; what is left to choose is done cell by cell: from the earliest and from the latest schedule, each cell is
// moved to the stage in which it and its operands take least, forward and backward until nothing is gained. Wiring
// moves with its operand, so that synthesis finds one register where a net and a part of it are registered; a Pick is
// wiring in the stage of its slot.

namespace weft::netlist {

namespace {

/// A net with more readers is left alone: looking at all of them for each of them takes too long.
constexpr std::size_t kMostReaders = 200;

struct Reader {
  std::uint32_t cell;
  std::uint32_t term;
};

class SlotScheduler {
 public:
  SlotScheduler(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options)
      : netlist_(netlist), delay_(delay_ps), options_(options), count_(netlist.cells.size()) {
    WEFT_CHECK(delay_ps.size() == count_, "one delay per cell");
    WEFT_CHECK(options.stage_ps > 0.0, "a stage takes time");
    WEFT_CHECK(options.price.empty() || options.price.size() == count_, "one price per net");
    for (double& d : delay_) d = std::round(d * 1024.0) / 1024.0;
    readers_.resize(count_);
    is_output_.assign(count_, false);
    for (std::size_t i = 0; i < count_; ++i) {
      for (std::size_t t = 0; t < netlist.cells[i].terms.size(); ++t)
        readers_[netlist.cells[i].terms[t].net.index].push_back(
            {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(t)});
    }
    for (const Port& port : netlist.outputs) {
      for (const NetId net : port.elements) is_output_[net.index] = true;
    }
    for (std::size_t i = 0; i < count_; ++i) attached_.push_back(attachment(i));
  }

  /// As soon as possible; returns the number of stages.
  int schedule_early() {
    stage_.assign(count_, 0);
    arrival_.assign(count_, 0.0);
    int stages = options_.register_inputs ? 2 : 1;
    for (std::size_t i = 0; i < count_; ++i) {
      if (is_constant(i)) continue;
      if (op(i) == Op::Slot) {
        stage_[i] = 1;
      } else if (op(i) != Op::Input) {
        stage_[i] = earliest(i);
        if (!fits(before(i, stage_[i]), delay_[i], budget(stage_[i]))) ++stage_[i];
      }
      arrival_[i] = before(i, stage_[i]) + delay_[i];
      stages = std::max(stages, stage_[i] + 1);
    }
    return stages;
  }

  Pipeline run(Context& ctx) {
    const int computing = schedule_early();
    last_ = computing - (options_.register_outputs ? 0 : 1);
    computing_ = computing;
    const std::vector<int> early = stage_;
    std::vector<int> best;
    std::int64_t best_price = 0;
    for (const bool late : {false, true}) {
      if (ctx.cancelled()) break;
      if (late) {
        schedule_late();
        for (std::size_t i = 0; i < count_; ++i) stage_[i] = std::max(stage_[i], is_constant(i) ? 0 : early[i]);
      }
      settle();
      for (int sweep = 0; sweep < 2 * std::max(1, options_.sweeps) && !ctx.cancelled(); ++sweep) {
        if (!improve()) break;
      }
      const std::int64_t price = price_of_all();
      if (best.empty() || price < best_price) {
        best = stage_;
        best_price = price;
      }
    }
    if (!best.empty()) stage_ = best;
    Pipeline pipeline;
    pipeline.stage = stage_;
    pipeline.output_stage = last_;
    pipeline.interval = options_.interval;
    make_arrivals();
    for (const double time : arrival_) pipeline.worst_ps = std::max(pipeline.worst_ps, time);
    return pipeline;
  }

 private:
  [[nodiscard]] Op op(std::size_t i) const { return netlist_.cells[i].op; }
  [[nodiscard]] bool is_constant(std::size_t i) const { return op(i) == Op::Constant; }
  [[nodiscard]] int offset(std::size_t i, std::size_t term) const {
    return read_offset(netlist_, netlist_.cells[i], term);
  }
  [[nodiscard]] double budget(int stage) const {
    const bool only_wiring = (stage == 0 && options_.register_inputs) || (stage == last_ && options_.register_outputs);
    return only_wiring ? 0.0 : options_.stage_ps;
  }

  static constexpr std::int64_t kAlone = -1;
  /// The operand with which a cell moves.
  [[nodiscard]] std::int64_t attachment(std::size_t i) const {
    if (op(i) != Op::Pick && op(i) != Op::Slice && op(i) != Op::Concat) return kAlone;
    std::int64_t operand = kAlone;
    for (const Term& term : netlist_.cells[i].terms) {
      if (is_constant(term.net.index)) continue;
      if (operand != kAlone && operand != std::int64_t{term.net.index}) return kAlone;
      operand = term.net.index;
    }
    return operand;
  }
  [[nodiscard]] bool is_attached(std::size_t i) const { return attached_[i] != kAlone; }
  [[nodiscard]] bool is_wire(std::size_t i) const { return is_attached(i) && op(i) != Op::Pick; }
  /// The stage of an attached cell whose operand is in `stage`.
  [[nodiscard]] int attached_stage(std::size_t i, int stage) const {
    return stage + (op(i) == Op::Pick ? netlist_.cells[i].shift : 0);
  }

  /// The first stage in which all operands are there.
  [[nodiscard]] int earliest(std::size_t i) const {
    int stage = 0;
    const auto& terms = netlist_.cells[i].terms;
    for (std::size_t t = 0; t < terms.size(); ++t) {
      const std::uint32_t x = terms[t].net.index;
      // A counter can start whenever it is wanted.
      if (!is_constant(x)) stage = std::max(stage, (op(x) == Op::Slot ? 1 : stage_[x]) - offset(i, t));
    }
    return stage;
  }
  /// Picoseconds that its operands take of the stage.
  [[nodiscard]] double before(std::size_t i, int stage) const {
    double time = 0.0;
    const auto& terms = netlist_.cells[i].terms;
    for (std::size_t t = 0; t < terms.size(); ++t) {
      const std::uint32_t x = terms[t].net.index;
      if (!is_constant(x) && stage_[x] == stage + offset(i, t)) time = std::max(time, arrival_[x]);
    }
    return time;
  }
  void make_arrivals() {
    arrival_.assign(count_, 0.0);
    for (std::size_t i = 0; i < count_; ++i) {
      if (!is_constant(i)) arrival_[i] = before(i, stage_[i]) + delay_[i];
    }
  }

  /// The last stage in which the net is wanted, what is attached moving with it.
  [[nodiscard]] int latest(std::size_t i) const {
    int stage = computing_ - 1;
    for (const Reader& reader : readers_[i]) {
      const int wanted = is_attached(reader.cell) ? latest(reader.cell) : stage_[reader.cell];
      stage = std::min(stage, wanted + offset(reader.cell, reader.term));
    }
    return stage;
  }
  /// Picoseconds that readers in the same stage take, were the cell in `stage`.
  [[nodiscard]] double after(std::size_t i, int stage) const {
    double time = 0.0;
    for (const Reader& reader : readers_[i]) {
      if (is_attached(reader.cell)) {
        time = std::max(time, after(reader.cell, attached_stage(reader.cell, stage)));
      } else if (stage_[reader.cell] + offset(reader.cell, reader.term) == stage) {
        time = std::max(time, tail_[reader.cell]);
      }
    }
    return time;
  }
  void make_tails() {
    tail_.assign(count_, 0.0);
    for (std::size_t i = count_; i-- > 0;) {
      if (!is_constant(i)) tail_[i] = after(i, stage_[i]) + delay_[i];
    }
  }

  void schedule_late() {
    stage_.assign(count_, 0);
    tail_.assign(count_, 0.0);
    for (std::size_t i = count_; i-- > 0;) {
      if (is_constant(i)) continue;
      stage_[i] = op(i) == Op::Input ? 0 : latest(i);
      if (op(i) != Op::Input && !fits(after(i, stage_[i]), delay_[i], budget(stage_[i]))) --stage_[i];
      tail_[i] = after(i, stage_[i]) + delay_[i];
    }
  }

  /// Counters start with their first reader, wiring stands where its operand is.
  void settle() {
    for (std::size_t i = 0; i < count_; ++i) {
      if (op(i) == Op::Slot && !readers_[i].empty()) stage_[i] = latest(i);
      if (is_attached(i)) stage_[i] = attached_stage(i, stage_[static_cast<std::size_t>(attached_[i])]);
    }
    make_arrivals();
    make_tails();
  }
  void move_attached(std::size_t i) {
    for (const Reader& reader : readers_[i]) {
      if (!is_attached(reader.cell)) continue;
      stage_[reader.cell] = attached_stage(reader.cell, stage_[i]);
      move_attached(reader.cell);
    }
  }

  [[nodiscard]] std::int64_t price_of(std::size_t i) const {
    return options_.price.empty() ? netlist_.cells[i].width_bits : options_.price[i];
  }
  /// Registers of a net of `cell` in `stage` whose last reader is in `last`.
  [[nodiscard]] std::int64_t registers(std::size_t cell, int stage, int last) const {
    const int delay = std::max(0, last - stage);
    return netlist_.cells[cell].slots > 1 ? delay : (delay + options_.interval - 1) / options_.interval;
  }
  /// The last stage in which the net or a part of it is read, by others than `except`.
  [[nodiscard]] int last_read(std::size_t i, std::size_t except) const {
    int last = is_output_[i] ? last_ : 0;
    for (const Reader& reader : readers_[i]) {
      if (is_wire(reader.cell)) {
        last = std::max(last, last_read(reader.cell, except));
      } else if (reader.cell != except && !is_attached(reader.cell)) {
        last = std::max(last, stage_[reader.cell] + offset(reader.cell, reader.term));
      }
    }
    return last;
  }
  /// The registers behind the picks that move with the cell.
  [[nodiscard]] std::int64_t price_of_picks(std::size_t i, int stage) const {
    std::int64_t price = 0;
    for (const Reader& reader : readers_[i]) {
      if (!is_attached(reader.cell)) continue;
      const int there = attached_stage(reader.cell, stage);
      price += is_wire(reader.cell) ? price_of_picks(reader.cell, there) : own_price(reader.cell, there);
    }
    return price;
  }
  [[nodiscard]] std::int64_t own_price(std::size_t i, int stage) const {
    return registers(i, stage, last_read(i, count_)) * price_of(i) + price_of_picks(i, stage);
  }
  [[nodiscard]] std::int64_t price_of_all() const {
    std::int64_t price = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      if (!is_constant(i) && !is_attached(i)) price += own_price(i, stage_[i]);
    }
    return price;
  }
  /// The net whose register an operand takes its bits from.
  [[nodiscard]] std::size_t source(std::size_t x) const {
    while (is_wire(x)) x = static_cast<std::size_t>(attached_[x]);
    return x;
  }
  /// The cell's own registers in that stage and those of its operands.
  [[nodiscard]] std::int64_t price_at(std::size_t i, int stage) const {
    std::int64_t price = own_price(i, stage);
    const auto& terms = netlist_.cells[i].terms;
    for (std::size_t t = 0; t < terms.size(); ++t) {
      const std::size_t x = source(terms[t].net.index);
      if (is_constant(x) || op(x) == Op::Slot) continue;
      // An operand that stands there several times has one chain.
      int last = last_read(x, i);
      bool first = true;
      for (std::size_t u = 0; u < terms.size(); ++u) {
        if (source(terms[u].net.index) != x) continue;
        first = first && u >= t;
        last = std::max(last, stage + offset(i, u));
      }
      if (first) price += registers(x, stage_[x], last) * price_of(x);
    }
    return price;
  }
  [[nodiscard]] bool can_move(std::size_t i) const {
    if (is_constant(i) || op(i) == Op::Input || op(i) == Op::Slot || is_attached(i)) return false;
    if (readers_[i].size() > kMostReaders) return false;
    const auto& terms = netlist_.cells[i].terms;
    return std::all_of(terms.begin(), terms.end(), [&](const Term& term) {
      const std::size_t x = source(term.net.index);
      return is_constant(x) || op(x) == Op::Slot || readers_[x].size() <= kMostReaders;
    });
  }

  /// One sweep forward and one backward; whether something was gained.
  bool improve() {
    bool gained = false;
    for (const bool forward : {true, false}) {
      for (std::size_t n = 0; n < count_; ++n) {
        const std::size_t i = forward ? n : count_ - 1 - n;
        if (is_constant(i)) continue;
        if (can_move(i) && move(i)) gained = true;
        // What lies behind in the order of the sweep is up to date, what lies in front was not moved.
        if (forward) {
          arrival_[i] = before(i, stage_[i]) + delay_[i];
        } else {
          tail_[i] = after(i, stage_[i]) + delay_[i];
        }
      }
      settle();
    }
    return gained;
  }

  /// To the best stage within reach.
  bool move(std::size_t i) {
    constexpr int kReach = 4;
    const int from = std::max(earliest(i), stage_[i] - kReach);
    const int to = std::min(latest(i), stage_[i] + kReach);
    int best = stage_[i];
    std::int64_t best_price = price_at(i, best);
    for (int stage = from; stage <= to; ++stage) {
      if (stage == stage_[i]) continue;
      const double in_front = before(i, stage);
      const double behind = after(i, stage);
      if (in_front + behind > 0.0 && !(in_front + delay_[i] + behind <= budget(stage) + kSlack)) continue;
      if (delay_[i] > 0.0 && budget(stage) <= 0.0) continue;
      const std::int64_t price = price_at(i, stage);
      if (price >= best_price) continue;
      best = stage;
      best_price = price;
    }
    if (best == stage_[i]) return false;
    stage_[i] = best;
    move_attached(i);
    return true;
  }

  const Netlist& netlist_;
  std::vector<double> delay_;
  PipelineOptions options_;
  std::size_t count_;
  int last_ = -1;  // unknown while stages are counted
  int computing_ = 0;
  std::vector<std::vector<Reader>> readers_;
  std::vector<bool> is_output_;
  std::vector<std::int64_t> attached_;  ///< by cell: the operand with which it moves
  std::vector<int> stage_;
  std::vector<double> arrival_;  ///< from the start of the stage to the result
  std::vector<double> tail_;     ///< from the operands to the end of the stage's path
};

}  // namespace

int read_offset(const Netlist& netlist, const Cell& cell, std::size_t term) {
  switch (cell.op) {
    case Op::Select:
      return term == 0 ? 0 : static_cast<int>(term) - 1;
    case Op::Pick:
      return -cell.shift;
    case Op::Accumulate:
      return 1 - netlist.at(cell.terms[0].net).slots;
    default:
      return 0;
  }
}

Pipeline schedule_slots(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options,
                        Context& ctx) {
  return SlotScheduler(netlist, delay_ps, options).run(ctx);
}

int count_slot_stages(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options) {
  return SlotScheduler(netlist, delay_ps, options).schedule_early();
}

}  // namespace weft::netlist
