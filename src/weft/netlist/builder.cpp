// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/diag/diag.h"

namespace weft::netlist {

namespace {

using fixed::Range;

std::size_t mix(std::size_t hash, std::uint64_t word) {
  hash ^= word + 0x9e3779b97f4a7c15ULL + (hash << 6) + (hash >> 2);
  return hash * 0xbf58476d1ce4e5b9ULL;
}

std::size_t mix_int(std::size_t hash, Int value) {
  return mix(mix(hash, static_cast<std::uint64_t>(value)), static_cast<std::uint64_t>(value >> 64));
}

std::size_t hash_of(const Cell& cell) {
  std::size_t hash = mix(static_cast<std::size_t>(cell.op), static_cast<std::uint64_t>(cell.shift));
  hash = mix(hash, static_cast<std::uint64_t>(cell.width_bits) * 2 + (cell.is_signed ? 1 : 0));
  hash = mix(mix_int(mix_int(hash, cell.constant), cell.constant_hi), cell.table);
  for (const Term& term : cell.terms) {
    hash = mix(hash, (std::uint64_t{term.net.index} << 9) + (static_cast<std::uint64_t>(term.shift) << 1) +
                         (term.negate ? 1 : 0));
  }
  return hash;
}

bool same(const Cell& a, const Cell& b) {
  return a.op == b.op && a.shift == b.shift && a.width_bits == b.width_bits && a.is_signed == b.is_signed &&
         a.constant == b.constant && a.constant_hi == b.constant_hi && a.table == b.table && a.terms == b.terms &&
         a.range == b.range && a.slots == b.slots;
}

/// a + b of shifted ranges, nullopt beyond 126 bits.
std::optional<Range> range_of_terms(const Netlist& netlist, const std::vector<Term>& terms) {
  Int lo = 0;
  Int hi = 0;
  for (const Term& term : terms) {
    const Range& x = netlist.at(term.net).range;
    auto a = fixed::checked_shift_left(x.lo, term.shift);
    auto b = fixed::checked_shift_left(x.hi, term.shift);
    if (!a || !b) return std::nullopt;
    auto l = term.negate ? fixed::checked_sub(lo, *b) : fixed::checked_add(lo, *a);
    auto h = term.negate ? fixed::checked_sub(hi, *a) : fixed::checked_add(hi, *b);
    if (!l || !h) return std::nullopt;
    lo = *l;
    hi = *h;
  }
  return Range{lo, hi, 0};
}

}  // namespace

void Builder::begin_module(const std::string& name, const std::string& label) {
  module_ = static_cast<std::uint32_t>(netlist_.modules.size());
  netlist_.modules.push_back({name, label});
  next_number_ = 0;
}

void Builder::rename(NetId net, const std::string& name) {
  Cell& cell = netlist_.cells[net.index];
  if (cell.module != module_ || cell.op == Op::Constant || renamed_[net.index]) return;
  cell.name = name;
  renamed_[net.index] = true;
}

NetId Builder::fail() {
  failed_ = true;
  return constant(0);
}

NetId Builder::add(Cell cell, const Range* known) {
  cell.range.step_log2 = 0;
  if (known != nullptr) {
    // Both hold; their intersection holds as well and is never empty for reachable values.
    cell.range.lo = std::max(cell.range.lo, known->lo);
    cell.range.hi = std::min(cell.range.hi, known->hi);
    if (cell.range.lo > cell.range.hi) cell.range = Range{known->lo, known->hi, 0};
  }
  if (cell.op != Op::Input && cell.op != Op::Constant && cell.range.lo == cell.range.hi) return constant(cell.range.lo);
  // Pick and Accumulate end the slots, Slot and Select say theirs.
  if (cell.op != Op::Pick && cell.op != Op::Accumulate) {
    for (const Term& term : cell.terms) cell.slots = std::max(cell.slots, at(term.net).slots);
  }
  cell.is_signed = cell.range.lo < 0;
  cell.width_bits = width_of(cell.range);
  if (cell.width_bits > 126) return fail();
  const std::size_t hash = hash_of(cell);
  if (cell.op != Op::Input && cell.op != Op::Slot) {
    const auto [begin, end] = known_cells_.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      if (same(netlist_.cells[it->second], cell)) return NetId{it->second};
    }
  }
  cell.module = module_;
  if (cell.op == Op::Constant) {
    cell.name.clear();
  } else {
    cell.name = fmt::format("n{}", next_number_++);
  }
  const auto index = static_cast<std::uint32_t>(netlist_.cells.size());
  netlist_.cells.push_back(std::move(cell));
  renamed_.push_back(false);
  known_cells_.emplace(hash, index);
  return NetId{index};
}

NetId Builder::input(const Range& range) {
  Cell cell;
  cell.op = Op::Input;
  cell.range = range;
  return add(std::move(cell));
}

NetId Builder::constant(Int value) {
  Cell cell;
  cell.op = Op::Constant;
  cell.constant = value;
  cell.range = Range{value, value, 0};
  return add(std::move(cell));
}

NetId Builder::sum(std::vector<Term> terms, const Range* known) {
  // Constants are gathered into one term, zeros dropped.
  Int total = 0;
  std::vector<Term> kept;
  for (const Term& term : terms) {
    if (!is_constant(term.net)) {
      kept.push_back(term);
      continue;
    }
    auto value = fixed::checked_shift_left(at(term.net).constant, term.shift);
    if (value) value = term.negate ? fixed::checked_sub(total, *value) : fixed::checked_add(total, *value);
    if (!value) return fail();
    total = *value;
  }
  if (kept.empty()) return constant(total);
  if (total != 0) kept.push_back({constant(total), 0, false});
  if (kept.size() == 1 && kept[0].shift == 0 && !kept[0].negate) return kept[0].net;
  const bool all_negated =
      kept.size() > 1 && std::all_of(kept.begin(), kept.end(), [](const Term& t) { return t.negate; });
  if (all_negated) {
    for (Term& term : kept) term.negate = false;
    return sum({{sum(kept), 0, true}}, known);
  }
  const auto range = range_of_terms(netlist_, kept);
  if (!range) return fail();
  if (kept.size() == 1 && !kept[0].negate) return concat(kept, known);
  if (kept.size() == 2 && !kept[0].negate && !kept[1].negate) {
    // Fields that do not overlap are wiring.
    for (const auto& [low, high] : {std::pair{0, 1}, std::pair{1, 0}}) {
      const Term& a = kept[low];
      const Term& b = kept[high];
      if (!at(a.net).is_signed && a.shift + at(a.net).width_bits <= b.shift) return concat({a, b}, known);
    }
  }
  Cell cell;
  cell.op = Op::Sum;
  cell.terms = std::move(kept);
  cell.range = *range;
  return add(std::move(cell), known);
}

NetId Builder::concat(const std::vector<Term>& terms, const Range* known) {
  if (terms.size() == 1 && terms[0].shift == 0) return terms[0].net;
  const auto range = range_of_terms(netlist_, terms);
  if (!range) return fail();
  Cell cell;
  cell.op = Op::Concat;
  cell.terms = terms;
  cell.range = *range;
  return add(std::move(cell), known);
}

NetId Builder::shift_right(NetId x, int shift) {
  if (shift == 0) return x;
  if (is_constant(x)) return constant(fixed::floor_shift(at(x).constant, shift));
  const Range in = range(x);
  Cell cell;
  cell.op = Op::Slice;
  cell.shift = shift;
  cell.terms = {{x, 0, false}};
  cell.range = Range{fixed::floor_shift(in.lo, shift), fixed::floor_shift(in.hi, shift), 0};
  return add(std::move(cell));
}

NetId Builder::bits(NetId x, int shift, int width_bits, bool is_signed) {
  const Range in = range(x);
  const Range shifted{fixed::floor_shift(in.lo, shift), fixed::floor_shift(in.hi, shift), 0};
  const Int lo = is_signed ? -(Int{1} << (width_bits - 1)) : 0;
  const Int hi = (Int{1} << (width_bits - (is_signed ? 1 : 0))) - 1;
  if (shifted.lo >= lo && shifted.hi <= hi) return shift_right(x, shift);
  Cell cell;
  cell.op = Op::Slice;
  cell.shift = shift;
  cell.terms = {{x, 0, false}};
  cell.range = Range{lo, hi, 0};
  return add(std::move(cell));
}

NetId Builder::narrow(NetId x, const Range& known) {
  const Range both{std::max(range(x).lo, known.lo), std::min(range(x).hi, known.hi), 0};
  if (both.lo > both.hi || (width_of(both) == at(x).width_bits && (both.lo < 0) == at(x).is_signed)) return x;
  Cell cell;
  cell.op = Op::Slice;
  cell.terms = {{x, 0, false}};
  cell.range = both;
  return add(std::move(cell));
}

NetId Builder::at_least(NetId x, Int threshold) {
  const Range& in = range(x);
  if (in.lo >= threshold) return constant(1);
  if (in.hi < threshold) return constant(0);
  Cell cell;
  cell.op = Op::AtLeast;
  cell.terms = {{x, 0, false}};
  cell.constant = threshold;
  cell.range = Range{0, 1, 0};
  if (!at(x).is_signed && at(x).width_bits == 1) return x;  // threshold is 1 here
  return add(std::move(cell));
}

NetId Builder::equal(NetId x, Int value) {
  const Range& in = range(x);
  if (value < in.lo || value > in.hi) return constant(0);
  if (in.lo == in.hi) return constant(1);
  if (value == in.hi && value == in.lo + 1) return at_least(x, value);
  Cell cell;
  cell.op = Op::Equal;
  cell.terms = {{x, 0, false}};
  cell.constant = value;
  cell.range = Range{0, 1, 0};
  return add(std::move(cell));
}

NetId Builder::at_least_net(NetId a, NetId b) {
  if (a == b || range(a).lo >= range(b).hi) return constant(1);
  if (range(a).hi < range(b).lo) return constant(0);
  if (is_constant(b)) return at_least(a, at(b).constant);
  if (is_constant(a)) return logic_not(at_least(b, at(a).constant + 1));
  Cell cell;
  cell.op = Op::AtLeastNet;
  cell.terms = {{a, 0, false}, {b, 0, false}};
  cell.range = Range{0, 1, 0};
  return add(std::move(cell));
}

NetId Builder::mux(NetId select, NetId when_one, NetId when_zero, const Range* known) {
  if (when_one == when_zero) return when_one;
  if (is_constant(select)) return at(select).constant != 0 ? when_one : when_zero;
  if (is_constant(when_one) && is_constant(when_zero)) {
    if (at(when_one).constant == 1 && at(when_zero).constant == 0) return select;
    if (at(when_one).constant == 0 && at(when_zero).constant == 1) return logic_not(select);
  }
  Cell cell;
  cell.op = Op::Mux;
  cell.terms = {{select, 0, false}, {when_one, 0, false}, {when_zero, 0, false}};
  cell.range = fixed::unite(range(when_one), range(when_zero));
  return add(std::move(cell), known);
}

NetId Builder::clamp(NetId x, Int lo, Int hi) {
  const Range in = range(x);
  if (in.lo >= lo && in.hi <= hi) return x;
  if (in.hi <= lo) return constant(lo);
  if (in.lo >= hi) return constant(hi);
  Cell cell;
  cell.op = Op::Clamp;
  cell.terms = {{x, 0, false}};
  cell.constant = lo;
  cell.constant_hi = hi;
  cell.range = Range{std::max(lo, in.lo), std::min(hi, in.hi), 0};
  return add(std::move(cell));
}

NetId Builder::table(NetId x, Int first, std::vector<Int> entries) {
  WEFT_CHECK(!entries.empty(), "a table has entries");
  if (is_constant(x)) return constant(entries[static_cast<std::size_t>(at(x).constant - first)]);
  const auto [lo, hi] = std::minmax_element(entries.begin(), entries.end());
  Cell cell;
  cell.op = Op::Table;
  cell.terms = {{x, 0, false}};
  cell.constant = first;
  cell.range = Range{*lo, *hi, 0};
  std::size_t hash = entries.size();
  for (Int entry : entries) hash = mix_int(hash, entry);
  const auto [begin, end] = known_tables_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (netlist_.tables[it->second] == entries) {
      cell.table = it->second;
      return add(std::move(cell));
    }
  }
  cell.table = static_cast<std::uint32_t>(netlist_.tables.size());
  known_tables_.emplace(hash, cell.table);
  netlist_.tables.push_back(std::move(entries));
  return add(std::move(cell));
}

NetId Builder::logic_not(NetId x) {
  if (is_constant(x)) return constant(at(x).constant != 0 ? 0 : 1);
  if (at(x).op == Op::Not) return at(x).terms[0].net;
  Cell cell;
  cell.op = Op::Not;
  cell.terms = {{x, 0, false}};
  cell.range = Range{0, 1, 0};
  return add(std::move(cell));
}

NetId Builder::logic_and(NetId a, NetId b) {
  if (is_constant(a)) return at(a).constant != 0 ? b : a;
  if (is_constant(b)) return at(b).constant != 0 ? a : b;
  if (a == b) return a;
  Cell cell;
  cell.op = Op::And;
  cell.terms = {{a, 0, false}, {b, 0, false}};
  cell.range = Range{0, 1, 0};
  return add(std::move(cell));
}

NetId Builder::logic_or(NetId a, NetId b) {
  if (is_constant(a)) return at(a).constant != 0 ? a : b;
  if (is_constant(b)) return at(b).constant != 0 ? b : a;
  if (a == b) return a;
  Cell cell;
  cell.op = Op::Or;
  cell.terms = {{a, 0, false}, {b, 0, false}};
  cell.range = Range{0, 1, 0};
  return add(std::move(cell));
}

NetId Builder::logic_xor(NetId a, NetId b) {
  if (is_constant(a)) return at(a).constant != 0 ? logic_not(b) : b;
  if (is_constant(b)) return at(b).constant != 0 ? logic_not(a) : a;
  if (a == b) return constant(0);
  Cell cell;
  cell.op = Op::Xor;
  cell.terms = {{a, 0, false}, {b, 0, false}};
  cell.range = Range{0, 1, 0};
  return add(std::move(cell));
}

NetId Builder::multiply(NetId a, NetId b, const Range* known) {
  if (is_constant(a) && is_constant(b)) {
    const auto value = fixed::checked_mul(at(a).constant, at(b).constant);
    return value ? constant(*value) : fail();
  }
  const auto range_ab = fixed::mul(range(a), range(b));
  if (!range_ab) return fail();
  Cell cell;
  cell.op = Op::Multiply;
  cell.terms = {{a, 0, false}, {b, 0, false}};
  cell.range = *range_ab;
  return add(std::move(cell), known);
}

NetId Builder::slot(int slots) {
  WEFT_CHECK(slots > 1, "a single slot needs no counter");
  Cell cell;
  cell.op = Op::Slot;
  cell.slots = slots;
  cell.range = Range{0, slots - 1, 0};
  return add(std::move(cell));
}

NetId Builder::select(NetId slot, const std::vector<NetId>& xs) {
  WEFT_CHECK(at(slot).op == Op::Slot && xs.size() == static_cast<std::size_t>(at(slot).slots), "one operand per slot");
  if (std::all_of(xs.begin(), xs.end(), [&](NetId x) { return is_constant(x); })) {
    std::vector<Int> values;
    for (const NetId x : xs) values.push_back(at(x).constant);
    return table(slot, 0, std::move(values));
  }
  Cell cell;
  cell.op = Op::Select;
  cell.terms.push_back({slot, 0, false});
  cell.range = range(xs[0]);
  for (const NetId x : xs) {
    cell.terms.push_back({x, 0, false});
    cell.range = fixed::unite(cell.range, range(x));
  }
  return add(std::move(cell));
}

NetId Builder::pick(NetId x, int slot, const Range* known) {
  if (is_constant(x)) return x;
  Cell cell;
  cell.op = Op::Pick;
  cell.terms = {{x, 0, false}};
  cell.shift = slot;
  cell.range = range(x);
  return add(std::move(cell), known);
}

NetId Builder::accumulate(NetId x, Int start, int shift, const Range* known) {
  const int slots = at(x).slots;
  WEFT_CHECK(slots > 1, "there are slots to add");
  Int lo = start;
  Int hi = start;
  for (int k = 0; k < slots; ++k) {
    const auto a = fixed::checked_shift_left(range(x).lo, k * shift);
    const auto b = fixed::checked_shift_left(range(x).hi, k * shift);
    const auto l = a ? fixed::checked_add(lo, *a) : std::nullopt;
    const auto h = b ? fixed::checked_add(hi, *b) : std::nullopt;
    if (!l || !h) return fail();
    lo = *l;
    hi = *h;
  }
  Cell cell;
  cell.op = Op::Accumulate;
  cell.terms = {{x, 0, false}};
  cell.constant = start;
  cell.shift = shift;
  cell.range = Range{lo, hi, 0};
  return add(std::move(cell), known);
}

void remove_dead(Netlist& netlist, std::vector<NetId*> tracked) {
  std::vector<bool> live(netlist.cells.size(), false);
  for (const Port& port : netlist.outputs) {
    for (NetId net : port.elements) live[net.index] = true;
  }
  for (std::size_t i = netlist.cells.size(); i-- > 0;) {
    const Cell& cell = netlist.cells[i];
    if (cell.op == Op::Input) live[i] = true;
    if (!live[i]) continue;
    for (const Term& term : cell.terms) live[term.net.index] = true;
  }
  std::vector<NetId> renamed(netlist.cells.size());
  std::vector<bool> table_live(netlist.tables.size(), false);
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    if (!live[i]) continue;
    renamed[i] = NetId{count};
    if (count != i) netlist.cells[count] = std::move(netlist.cells[i]);
    Cell& cell = netlist.cells[count];
    for (Term& term : cell.terms) term.net = renamed[term.net.index];
    if (cell.op == Op::Table) table_live[cell.table] = true;
    ++count;
  }
  netlist.cells.resize(count);
  std::vector<std::uint32_t> new_table(netlist.tables.size(), 0);
  std::uint32_t tables = 0;
  for (std::size_t t = 0; t < netlist.tables.size(); ++t) {
    if (!table_live[t]) continue;
    new_table[t] = tables;
    if (tables != t) netlist.tables[tables] = std::move(netlist.tables[t]);
    ++tables;
  }
  netlist.tables.resize(tables);
  for (Cell& cell : netlist.cells) {
    if (cell.op == Op::Table) cell.table = new_table[cell.table];
  }
  for (auto* ports : {&netlist.inputs, &netlist.outputs}) {
    for (Port& port : *ports) {
      for (NetId& net : port.elements) net = renamed[net.index];
    }
  }
  for (NetId* net : tracked) {
    if (net->valid()) *net = renamed[net->index];
  }
}

}  // namespace weft::netlist
