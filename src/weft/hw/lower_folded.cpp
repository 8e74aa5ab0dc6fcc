// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <tuple>

#include "weft/hw/lowering.h"

// Sums over several cycles. A layer with a reuse factor above 1 is built in every way that applies, and the cheapest
// one stays: what nobody reads is dropped afterwards.

namespace weft::hw {

using exact::Value;
using netlist::NetId;
using netlist::Op;
using Signals = std::vector<Signal>;

namespace {

/// Cells that trying a way may take.
constexpr std::int64_t kMostProducts = 400'000;

double in_lut(const netlist::Netlist& netlist, const netlist::Cell& cell, const Family& family) {
  const Resources cost = cell_cost(netlist, cell, family);
  return cost.lut * synthesis_factor(netlist, cell, family) + kLutPerDsp * cost.dsp;
}

int bits_for(std::size_t slots) { return fixed::width_bits(0, static_cast<Int>(slots) - 1, false); }

std::int64_t up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Bits of the nets taken without sign: what the biases of the sums are then. Nothing where 128 bits do not suffice.
std::optional<std::vector<Int>> biases_without_signs(const netlist::Builder& builder, const std::vector<NetId>& nets,
                                                     const shiftadd::Problem& problem) {
  std::vector<Int> biases = problem.bias;
  for (std::size_t i = 0; i < nets.size(); ++i) {
    const netlist::Cell& x = builder.at(nets[i]);
    for (std::size_t o = 0; x.is_signed && o < biases.size(); ++o) {
      const auto more = fixed::checked_shift_left(problem.matrix[i * biases.size() + o], x.width_bits - 1);
      const auto less = more ? fixed::checked_sub(biases[o], *more) : std::nullopt;
      if (!less) return std::nullopt;
      biases[o] = *less;
    }
  }
  return biases;
}

/// The operands of one input in all slots as nets behind the same affine map.
Signal common_form(netlist::Builder& builder, NetId slot, const std::vector<Signal>& xs) {
  const auto varying = std::find_if(xs.begin(), xs.end(), [](const Signal& x) { return !x.is_constant(); });
  if (varying == xs.end() && std::all_of(xs.begin(), xs.end(), [&](const Signal& x) { return x == xs[0]; }))
    return xs[0];
  Signal form;
  if (varying != xs.end())
    form = {.net = {}, .shift = varying->shift, .negate = varying->negate, .offset = varying->offset};
  const auto fits = [&](const Signal& x) {
    if (!x.is_constant()) return x.shift == form.shift && x.negate == form.negate && x.offset == form.offset;
    const auto rest = fixed::checked_sub(x.offset, form.offset);
    return rest && fixed::floor_shift(*rest, form.shift) << form.shift == *rest;
  };
  std::vector<NetId> nets;
  if (std::all_of(xs.begin(), xs.end(), fits)) {
    for (const Signal& x : xs) {
      const Int code = fixed::floor_shift(x.offset - form.offset, form.shift);
      nets.push_back(x.is_constant() ? builder.constant(form.negate ? -code : code) : x.net);
    }
  } else {
    // On the grid that all lie on.
    int grid = 126;
    for (const Signal& x : xs) {
      if (!x.is_constant()) grid = std::min(grid, x.shift);
      if (x.offset != 0) grid = std::min(grid, fixed::trailing_zeros(x.offset));
    }
    form = {.net = {}, .shift = grid, .negate = false, .offset = 0};
    for (const Signal& x : xs) nets.push_back(materialize(builder, x, grid));
  }
  form.net = builder.select(slot, nets);
  if (!builder.is_constant(form.net)) return form;
  const Int value = builder.at(form.net).constant << form.shift;
  return constant_signal(form.offset + (form.negate ? -value : value));
}

}  // namespace

int reuse_factor_of(const Value& value, const PlanOptions& options) {
  const auto* p = std::get_if<exact::MatVec>(&value.primitive);
  if (p == nullptr || p->accumulator) return 1;
  const auto it = options.layer_reuse_factor.find(value.origin.node);
  return it == options.layer_reuse_factor.end() ? options.reuse_factor : it->second;
}

double Lowering::cost_since(std::size_t first) const {
  double lut = 0.0;
  for (std::size_t i = first; i < result_.netlist.cells.size(); ++i)
    lut += in_lut(result_.netlist, result_.netlist.cells[i], family_);
  return lut;
}

Signal Lowering::picked(const Signal& x, int slot) {
  if (x.is_constant()) return x;
  Signal y = x;
  y.net = builder_.pick(x.net, slot);
  slotted_.emplace(y.net, Slotted{x.net, slot});
  return y;
}

Signal Lowering::accumulated(const Signal& x, Int start, int shift, Int beside, const fixed::Range& known) {
  WEFT_CHECK(x.offset == 0, "what is added in every slot has no offset");
  // x = +-2^s net: the start goes into the sum of nets as far as their grid holds it.
  const Int whole = fixed::floor_shift(start, x.shift);
  const Int rest = start - (whole << x.shift) + beside;
  Int lo = known.lo - rest;
  Int hi = known.hi - rest;
  if (x.negate) {
    std::swap(lo, hi);
    lo = -lo;
    hi = -hi;
  }
  const fixed::Range inner{-fixed::floor_shift(-lo, x.shift), fixed::floor_shift(hi, x.shift), 0};
  const NetId sum = builder_.accumulate(x.net, x.negate ? -whole : whole, shift, &inner);
  if (builder_.is_constant(sum)) {
    const Int value = builder_.at(sum).constant << x.shift;
    return constant_signal(rest + (x.negate ? -value : value));
  }
  return {.net = sum, .shift = x.shift, .negate = x.negate, .offset = rest};
}

Result<Signals> Lowering::fold_matvec(const Value& value, const exact::MatVec& p, const std::vector<Sink>& sinks,
                                      std::vector<RowSums> rows, int slots) {
  const auto cells = [&] { return result_.netlist.cells.size(); };
  const std::size_t graphs = result_.adder_graphs.size();
  struct Way {
    Signals signals;
    double lut;
    std::vector<AdderGraph> graphs;
  };
  std::optional<Way> best;
  const auto offer = [&](std::optional<Signals> signals, std::size_t first) {
    if (!signals) return;
    Way way{std::move(*signals), cost_since(first), {}};
    for (std::size_t g = graphs; g < result_.adder_graphs.size(); ++g)
      way.graphs.push_back(std::move(result_.adder_graphs[g]));
    result_.adder_graphs.resize(graphs);
    if (!best || way.lut < best->lut) best = std::move(way);
  };
  std::size_t first = cells();
  WEFT_TRY(auto shared, share_rows(value, p, sinks, slots));
  offer(std::move(shared), first);
  using Rows = std::vector<RowSums>;
  const auto digits = [&](const Rows& some) { return by_digits(value, some, slots); };
  const auto unfolded = [&](const Rows& some) -> Result<std::optional<Signals>> {
    WEFT_TRY(auto sums, solve_rows(value, some, "t"));
    return std::optional(std::move(sums));
  };
  std::vector<std::function<Result<std::optional<Signals>>(const Rows&)>> ways{digits, unfolded};
  // Fewer slots have smaller tables of weights and choices of operands.
  constexpr int kFewSlots = 4;
  for (int some = slots; some == slots || some > kFewSlots; some /= 2)
    ways.emplace_back([&, some](const Rows& those) { return by_products(value, those, some); });
  for (const auto& way : ways) {
    // Of many rows one tells whether it is worth to build all of them.
    constexpr std::size_t kMany = 16;
    if (best && rows.size() > kMany) {
      first = cells();
      WEFT_TRY(const auto one, way({rows[rows.size() / 2]}));
      result_.adder_graphs.resize(graphs);
      if (!one || cost_since(first) * static_cast<double>(rows.size()) > best->lut) continue;
    }
    first = cells();
    WEFT_TRY(auto all, way(rows));
    offer(std::move(all), first);
  }
  for (AdderGraph& graph : best->graphs) result_.adder_graphs.push_back(std::move(graph));
  return std::move(best->signals);
}

Result<std::optional<Signals>> Lowering::share_rows(const Value& value, const exact::MatVec& p,
                                                    const std::vector<Sink>& sinks, int slots) {
  const auto n_out = static_cast<std::size_t>(p.n_out);
  const auto n_in = static_cast<std::size_t>(p.n_in);
  const std::size_t rows = n_out == 0 ? 0 : value.ranges.size() / n_out;
  if (rows < 2) return std::optional<Signals>();
  const Signals& x = signals(p.x);
  const auto graphs = static_cast<std::size_t>(up(static_cast<std::int64_t>(rows), slots));
  const std::size_t each = (rows + graphs - 1) / graphs;
  const std::vector<Int> bias = p.bias.empty() ? std::vector<Int>(n_out, 0) : p.bias;
  std::map<std::size_t, NetId> counters;  // by number of slots
  std::vector<RowSums> sums;
  for (std::size_t begin = 0; begin < rows; begin += each) {
    if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, {}, "planning was cancelled");
    const std::size_t count = std::min(each, rows - begin);
    if (count > 1 && counters.count(count) == 0) counters[count] = builder_.slot(static_cast<int>(count));
    Signals operands;
    for (std::size_t i = 0; i < n_in; ++i) {
      std::vector<Signal> in_slots;
      for (std::size_t r = begin; r < begin + count; ++r) in_slots.push_back(x[r * n_in + i]);
      operands.push_back(count == 1 ? in_slots[0] : common_form(builder_, counters[count], in_slots));
    }
    // The readers of all rows agree on a sum's bias, or none is asked.
    std::vector<Sink> readers(sinks.begin() + static_cast<std::ptrdiff_t>(begin * n_out),
                              sinks.begin() + static_cast<std::ptrdiff_t>((begin + 1) * n_out));
    std::vector<fixed::Range> ranges(value.ranges.begin() + static_cast<std::ptrdiff_t>(begin * n_out),
                                     value.ranges.begin() + static_cast<std::ptrdiff_t>((begin + 1) * n_out));
    for (std::size_t r = begin + 1; r < begin + count; ++r) {
      for (std::size_t o = 0; o < n_out; ++o) {
        const Sink& other = sinks[r * n_out + o];
        const bool same = readers[o].function != nullptr && other.function != nullptr &&
                          readers[o].relu == other.relu && *readers[o].function == *other.function;
        if (!same) readers[o] = {};
        ranges[o] = fixed::unite(ranges[o], value.ranges[r * n_out + o]);
      }
    }
    WEFT_TRY(sums.emplace_back(),
             row_sums(value, static_cast<std::int64_t>(sums.size()), operands, p.weights, bias, readers, ranges));
  }
  WEFT_TRY(const Signals in_slots, solve_rows(value, std::move(sums), "s"));
  Signals out;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t graph = r / each;
    const bool alone = std::min(each, rows - graph * each) == 1;
    for (std::size_t o = 0; o < n_out; ++o) {
      const Signal& y = in_slots[graph * n_out + o];
      out.push_back(alone ? y : picked(y, static_cast<int>(r % each)));
    }
  }
  return std::optional(std::move(out));
}

Result<std::optional<Signals>> Lowering::by_digits(const Value& value, const std::vector<RowSums>& rows, int slots) {
  int widest = 0;
  for (const RowSums& row : rows) {
    for (const NetId net : row.nets) widest = std::max(widest, builder_.at(net).width_bits);
  }
  if (widest < 2) return std::optional<Signals>();
  const int digit = static_cast<int>(up(widest, slots));
  const auto count = static_cast<std::size_t>(up(widest, digit));
  if (count < 2) return std::optional<Signals>();
  const NetId slot = builder_.slot(static_cast<int>(count));
  const auto digits_of_net = [&](NetId net) {
    const int width = builder_.at(net).width_bits;
    const NetId plain = without_sign(net);
    std::vector<NetId> xs;
    for (std::size_t k = 0; k < count; ++k) {
      const int low = static_cast<int>(k) * digit;
      xs.push_back(low < width ? builder_.bits(plain, low, std::min(digit, width - low)) : builder_.constant(0));
    }
    return builder_.select(slot, xs);
  };
  std::vector<RowSums> sums;
  std::vector<std::vector<Int>> starts;
  for (const RowSums& row : rows) {
    const auto n_out = static_cast<std::size_t>(row.problem.n_out);
    RowSums& sum = sums.emplace_back();
    auto start = biases_without_signs(builder_, row.nets, row.problem);
    if (!start) return std::optional<Signals>();
    starts.push_back(std::move(*start));
    sum.row = row.row;
    sum.left.assign(n_out, 0);
    if (row.nets.empty()) continue;
    sum.problem.n_in = row.problem.n_in;
    sum.problem.n_out = row.problem.n_out;
    sum.problem.matrix = row.problem.matrix;
    sum.problem.bias.assign(n_out, 0);
    for (std::size_t i = 0; i < row.nets.size(); ++i) {
      sum.nets.push_back(digits_of_net(row.nets[i]));
      sum.problem.inputs.push_back(builder_.range(sum.nets.back()));
      sum.problem.arrival.push_back(0.0);
    }
  }
  WEFT_TRY(const Signals in_slots, solve_rows(value, std::move(sums), "d"));
  Signals out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::size_t n_out = rows[r].left.size();
    for (std::size_t o = 0; o < n_out; ++o) {
      const std::size_t e = r * n_out + o;
      const auto& known = value.ranges[static_cast<std::size_t>(rows[r].row) * n_out + o];
      const Int left = rows[r].left[o];
      const Int start = rows[r].nets.empty() ? 0 : starts[r][o];
      out.push_back(in_slots[e].is_constant() ? constant_signal(start + left)
                                              : accumulated(in_slots[e], start, digit, left, known));
    }
  }
  return std::optional(std::move(out));
}

NetId Lowering::without_sign(NetId net) {
  const netlist::Cell cell = builder_.at(net);
  if (!cell.is_signed) return net;
  // The sign bit inverted.
  const int top = cell.width_bits - 1;
  const NetId sign = builder_.logic_not(builder_.bits(net, top, 1));
  return top == 0 ? sign : builder_.concat({{builder_.bits(net, 0, top), 0, false}, {sign, top, false}});
}

Signal Lowering::slot_product(NetId slot, NetId x, const std::vector<NetId>& xs, const std::vector<Int>& weights) {
  int grid = 126;
  for (const Int w : weights) {
    if (w != 0) grid = std::min(grid, fixed::trailing_zeros(w));
  }
  if (grid == 126 || builder_.is_constant(x)) return constant_signal(0);
  std::vector<Int> odd;
  std::optional<fixed::Range> known;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    odd.push_back(weights[k] >> grid);
    const auto product = fixed::mul(builder_.range(xs[k]), fixed::Range{odd[k], odd[k], 0});
    if (!product) return signal_of(builder_, builder_.fail());
    known = known ? fixed::unite(*known, *product) : *product;
  }
  const auto with_grid = [&](NetId net) {
    Signal y = signal_of(builder_, net);
    y.shift = y.is_constant() ? 0 : grid;
    y.offset <<= grid;
    return y;
  };
  if (std::all_of(odd.begin(), odd.end(), [&](Int w) { return w == odd[0]; })) return with_grid(scaled(x, odd[0]));
  // Where a table of the slot and the operand is smaller than a multiplier it is one.
  const fixed::Range range = builder_.range(x);
  const int slot_bits = bits_for(weights.size());
  const int x_bits = builder_.at(x).width_bits;
  const double by_table = table_lut(slot_bits + x_bits, family_) * netlist::width_of(*known);
  const auto [least, most] = std::minmax_element(odd.begin(), odd.end());
  const int weight_bits = fixed::width_bits(*least, *most, *least < 0);
  const bool is_hard = family_.has_dsp && std::min(x_bits, weight_bits) > 9;
  constexpr int kWidestIndex = 10;
  constexpr double kLutPerBit = 1.4;
  const double by_multiplier = is_hard ? kLutPerDsp : kLutPerBit * x_bits * weight_bits;
  if (slot_bits + x_bits > kWidestIndex || by_multiplier <= by_table) {
    const auto weights_of = [&](auto&& part) {
      std::vector<Int> entries;
      for (const Int w : odd) entries.push_back(part(w));
      return builder_.table(slot, 0, std::move(entries));
    };
    if (is_hard || *least >= 0) return with_grid(builder_.multiply(x, weights_of([](Int w) { return w; }), &*known));
    // Synthesis makes more of a signed product than of an unsigned one and a subtraction.
    const int top = weight_bits - 1;
    const NetId low = weights_of([&](Int w) { return w & ((Int{1} << top) - 1); });
    const NetId sign = weights_of([](Int w) { return Int{w < 0 ? 1 : 0}; });
    const NetId product = builder_.is_constant(low) ? scaled(x, builder_.at(low).constant) : builder_.multiply(x, low);
    const NetId taken = builder_.mux(sign, x, builder_.constant(0));
    return with_grid(builder_.sum({{product, 0, false}, {taken, top, true}}, &*known));
  }
  const NetId index = builder_.concat({{slot, 0, false}, {x, slot_bits, false}});
  const Int first = range.lo << slot_bits;
  std::vector<Int> entries;
  for (Int code = range.lo; code <= range.hi; ++code) {
    for (Int k = 0; k < Int{1} << slot_bits; ++k)
      entries.push_back(k < static_cast<Int>(odd.size()) ? code * odd[static_cast<std::size_t>(k)] : 0);
  }
  return with_grid(builder_.table(index, first, std::move(entries)));
}

Result<std::optional<Signals>> Lowering::by_products(const Value& value, const std::vector<RowSums>& rows, int slots) {
  std::int64_t weights = 0;
  for (const RowSums& row : rows) weights += row.problem.n_in * row.problem.n_out;
  if (weights / slots > kMostProducts) return std::optional<Signals>();
  std::map<std::size_t, NetId> counters;  // by number of slots
  const auto counter = [&](std::size_t count) {
    const auto it = counters.find(count);
    return it != counters.end() ? it->second : counters[count] = builder_.slot(static_cast<int>(count));
  };
  Signals out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, {}, "planning was cancelled");
    const RowSums& row = rows[r];
    const auto n_out = row.left.size();
    const auto weight = [&](std::size_t i, std::size_t o) { return row.problem.matrix[i * n_out + o]; };
    // Inputs with a weight, like ones beside each other, fill the slots of lane after lane.
    std::vector<std::size_t> inputs;
    for (std::size_t i = 0; i < row.nets.size(); ++i) {
      bool read = false;
      for (std::size_t o = 0; o < n_out; ++o) read = read || weight(i, o) != 0;
      if (read) inputs.push_back(i);
    }
    std::stable_sort(inputs.begin(), inputs.end(), [&](std::size_t a, std::size_t b) {
      return builder_.at(row.nets[a]).width_bits < builder_.at(row.nets[b]).width_bits;
    });
    // Without signs; what that adds is taken from the start of the sums.
    std::vector<NetId> nets;
    for (const NetId net : row.nets) nets.push_back(without_sign(net));
    const auto start = biases_without_signs(builder_, row.nets, row.problem);
    if (!start) return std::optional<Signals>();
    const std::int64_t lanes = up(static_cast<std::int64_t>(inputs.size()), slots);
    const auto count = static_cast<std::size_t>(lanes == 0 ? 0 : up(static_cast<std::int64_t>(inputs.size()), lanes));
    if (!row.nets.empty() && count < 2) return std::optional<Signals>();
    /// The nets that a multiplier sees in each slot, and what it sees.
    struct Lane {
      std::vector<NetId> xs;
      NetId x;
    };
    const auto lane_of = [&](const std::vector<std::size_t>& members, std::size_t begin) {
      Lane lane;
      for (std::size_t k = 0; k < count; ++k) {
        const std::size_t at = begin + k;
        lane.xs.push_back(at < members.size() ? nets[members[at]] : builder_.constant(0));
      }
      lane.x = builder_.select(counter(count), lane.xs);
      return lane;
    };
    std::vector<Lane> shared;
    for (std::size_t begin = 0; begin < inputs.size(); begin += count) shared.push_back(lane_of(inputs, begin));
    for (std::size_t o = 0; o < n_out; ++o) {
      const auto& known = value.ranges[static_cast<std::size_t>(row.row) * n_out + o];
      std::vector<std::size_t> nonzero;
      for (const std::size_t i : inputs) {
        if (weight(i, o) != 0) nonzero.push_back(i);
      }
      if (nonzero.empty()) {
        const Int bias = row.nets.empty() ? 0 : row.problem.bias[o];
        out.push_back(constant_signal(row.left[o] + bias));
        continue;
      }
      std::size_t used = 0;  // lanes with a weight of this sum
      for (std::size_t begin = 0; begin < inputs.size(); begin += count) {
        bool any = false;
        for (std::size_t k = begin; k < std::min(begin + count, inputs.size()); ++k)
          any = any || weight(inputs[k], o) != 0;
        used += any ? 1 : 0;
      }
      // Lanes that all sums share cost nothing more; own ones have no slot without a weight.
      const std::size_t own = (nonzero.size() + count - 1) / count;
      const int width = builder_.at(row.nets[nonzero[0]]).width_bits;
      int weight_bits = 1;
      for (const std::size_t i : nonzero)
        weight_bits = std::max(weight_bits, fixed::width_bits(weight(i, o), weight(i, o), weight(i, o) < 0));
      const double select = select_lut(count, family_) * width;
      const double product = static_cast<double>(width) * weight_bits;
      const bool is_own = static_cast<double>(own) * (product + select) < static_cast<double>(used) * product;
      const std::vector<std::size_t>& members = is_own ? nonzero : inputs;
      Signals terms;
      for (std::size_t begin = 0; begin < members.size(); begin += count) {
        const Lane lane = is_own ? lane_of(members, begin) : shared[begin / count];
        std::vector<Int> in_slots;
        for (std::size_t k = 0; k < count; ++k)
          in_slots.push_back(begin + k < members.size() ? Int{weight(members[begin + k], o)} : Int{0});
        const Signal term = slot_product(counter(count), lane.x, lane.xs, in_slots);
        if (!term.is_constant()) terms.push_back(term);
      }
      // Neighbours first: a balanced tree.
      while (terms.size() > 1) {
        Signals next;
        for (std::size_t i = 0; i + 1 < terms.size(); i += 2)
          next.push_back(hw::add(builder_, terms[i], terms[i + 1], false));
        if (terms.size() % 2 == 1) next.push_back(terms.back());
        terms = std::move(next);
      }
      if (builder_.failed()) return std::optional<Signals>();
      out.push_back(accumulated(terms.at(0), (*start)[o], 0, row.left[o], known));
    }
  }
  return std::optional(std::move(out));
}

std::vector<std::optional<Signal>> Lowering::requant_slots(const Signals& x, const Signals* sums,
                                                           const std::vector<fixed::StepFunction>& functions) {
  std::vector<std::optional<Signal>> out(x.size());
  if (slotted_.empty()) return out;
  /// The signal that stands in front of a pick, and its slot.
  const auto in_slots = [&](const Signal& y) -> std::optional<std::pair<Signal, int>> {
    const auto it = slotted_.find(y.net);
    if (y.is_constant() || it == slotted_.end()) return std::nullopt;
    Signal before = y;
    before.net = it->second.net;
    return std::pair(before, it->second.slot);
  };
  using Key = std::tuple<NetId, int, bool, Int>;
  std::map<Key, std::vector<std::size_t>> groups;
  for (std::size_t e = 0; e < x.size(); ++e) {
    if (const auto before = in_slots(x[e]))
      groups[Key{before->first.net, before->first.shift, before->first.negate, before->first.offset}].push_back(e);
  }
  for (const auto& [key, elements] : groups) {
    const auto function = [&](std::size_t e) -> const fixed::StepFunction& { return functions[e % functions.size()]; };
    const std::size_t first = elements[0];
    const bool shared = elements.size() > 1 && std::all_of(elements.begin(), elements.end(), [&](std::size_t e) {
                          return function(e) == function(first);
                        });
    if (!shared) continue;
    const Signal before = in_slots(x[first])->first;
    const auto range = range_of(builder_, before);
    if (!range) continue;
    const fixed::Range known = fixed::range_of(function(first), *range);
    std::optional<Signal> y;
    if (sums != nullptr) {
      const auto sum = in_slots((*sums)[first]);
      const bool same = sum && std::all_of(elements.begin(), elements.end(), [&](std::size_t e) {
                          const auto other = in_slots((*sums)[e]);
                          return other && other->first == sum->first && other->second == in_slots(x[e])->second;
                        });
      if (same) y = requant_positive(sum->first, function(first), known);
    }
    if (!y) y = requant(before, function(first), known);
    for (const std::size_t e : elements) out[e] = picked(*y, in_slots(x[e])->second);
  }
  return out;
}

}  // namespace weft::hw
