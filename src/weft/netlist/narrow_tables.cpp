// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/narrow_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <map>
#include <optional>
#include <unordered_map>

#include "weft/netlist/lut_form.h"
#include "weft/netlist/register_count.h"

// Cuts of few bits, as technology mapping enumerates them for gates, here over words: a cut of a cell is a set of nets
// that determine it. Adders with carry chains are opaque to synthesis, so that only this level can trade them for LUTs.

namespace weft::netlist {

namespace {

constexpr int kMostBits = 6;
/// Cuts kept per cell: those of the fewest bits.
constexpr std::size_t kCuts = 10;

struct Cut {
  boost::container::small_vector<std::uint32_t, kMostBits> leaves;  ///< in order
  int bits = 0;
  bool operator==(const Cut& other) const { return leaves == other.leaves; }
};

/// What takes no LUT, and ends no cone.
bool is_wiring(Op op) { return op == Op::Concat || op == Op::Slice || op == Op::Not; }

bool has_function(const Cell& cell) {
  return cell.slots == 1 && cell.op != Op::Input && cell.op != Op::Pick && cell.op != Op::Accumulate;
}

class Tabulator {
 public:
  Tabulator(Netlist& netlist, const LutPrice& price)
      : netlist_(netlist),
        price_(price),
        used_(used_bits(netlist)),
        readers_(netlist.cells.size(), 0),
        chosen_(netlist.cells.size()) {}

  std::size_t run() {
    for (const Cell& cell : netlist_.cells) {
      for (const Term& term : cell.terms) ++readers_[term.net.index];
    }
    for (const Port& port : netlist_.outputs) {
      for (const NetId net : port.elements) ++readers_[net.index];
    }
    // What nobody reads holds nothing alive.
    for (std::size_t i = netlist_.cells.size(); i-- > 0;) {
      if (readers_[i] > 0) continue;
      for (const Term& term : netlist_.cells[i].terms) --readers_[term.net.index];
    }
    enumerate();
    std::size_t count = 0;
    for (std::size_t i = netlist_.cells.size(); i-- > 0;) count += consider(static_cast<std::uint32_t>(i)) ? 1 : 0;
    if (count > 0) rebuild();
    return count;
  }

 private:
  struct Chosen {
    Cut cut;
    std::vector<Int> values;
  };

  [[nodiscard]] bool is_constant(std::uint32_t net) const { return netlist_.cells[net].op == Op::Constant; }

  /// The union, unless it has too many bits.
  std::optional<Cut> joined(const Cut& a, const Cut& b) const {
    Cut out;
    auto x = a.leaves.begin();
    auto y = b.leaves.begin();
    while (x != a.leaves.end() || y != b.leaves.end()) {
      const std::uint32_t next = y == b.leaves.end() || (x != a.leaves.end() && *x <= *y) ? *x : *y;
      if (x != a.leaves.end() && *x == next) ++x;
      if (y != b.leaves.end() && *y == next) ++y;
      out.bits += netlist_.cells[next].width_bits;
      if (out.bits > kMostBits) return std::nullopt;
      out.leaves.push_back(next);
    }
    return out;
  }

  void enumerate() {
    cuts_.resize(netlist_.cells.size());
    for (std::size_t i = 0; i < netlist_.cells.size(); ++i) {
      const Cell& cell = netlist_.cells[i];
      if (cell.op == Op::Constant) continue;
      std::vector<Cut> found;
      if (has_function(cell)) {
        found.emplace_back();
        for (const Term& term : cell.terms) {
          if (is_constant(term.net.index)) continue;
          std::vector<Cut> next;
          for (const Cut& before : found) {
            for (const Cut& cut : cuts_[term.net.index]) {
              auto both = joined(before, cut);
              if (both && std::find(next.begin(), next.end(), *both) == next.end()) next.push_back(std::move(*both));
            }
          }
          found = std::move(next);
          keep_best(found);
        }
      }
      if (cell.width_bits <= kMostBits && cell.slots == 1) {
        found.insert(found.begin(), Cut{{static_cast<std::uint32_t>(i)}, cell.width_bits});
      }
      cuts_[i] = std::move(found);
    }
  }

  static void keep_best(std::vector<Cut>& cuts) {
    std::stable_sort(cuts.begin(), cuts.end(), [](const Cut& a, const Cut& b) { return a.bits < b.bits; });
    if (cuts.size() > kCuts) cuts.resize(kCuts);
  }

  [[nodiscard]] double lut_of(std::uint32_t i) const {
    return is_wiring(netlist_.cells[i].op) ? 0.0 : price_(netlist_, netlist_.cells[i], used_[i]);
  }

  /// Takes the reads of `net` away; what nobody reads then is taken away with what it reads, down to the leaves.
  /// Returns the LUTs of all of it.
  double release(std::uint32_t net, const Cut& cut, std::vector<std::uint32_t>& released) {
    double lut = lut_of(net);
    for (const Term& term : netlist_.cells[net].terms) {
      const std::uint32_t x = term.net.index;
      if (is_constant(x)) continue;
      released.push_back(x);
      if (--readers_[x] == 0 && std::find(cut.leaves.begin(), cut.leaves.end(), x) == cut.leaves.end())
        lut += release(x, cut, released);
    }
    return lut;
  }

  bool consider(std::uint32_t root) {
    const Cell& cell = netlist_.cells[root];
    if (readers_[root] == 0 || !has_function(cell) || is_wiring(cell.op) || cell.op == Op::Constant) return false;
    double most = 0.0;
    std::optional<Chosen> best;
    for (const Cut& cut : cuts_[root]) {
      if (cut.leaves.size() == 1 && cut.leaves[0] == root) continue;
      // A table of its own index is there already.
      if (cell.op == Op::Table && cut.leaves.size() == 1 && cut.leaves[0] == cell.terms[0].net.index) continue;
      std::vector<std::uint32_t> released;
      const double lut = release(root, cut, released);
      for (const std::uint32_t net : released) ++readers_[net];
      if (lut <= most) continue;
      Chosen made{cut, values_of(root, cut)};
      const double saved = lut - table_lut(made, used_[root]);
      if (saved <= most) continue;
      most = saved;
      best = std::move(made);
    }
    if (!best) return false;
    std::vector<std::uint32_t> released;
    release(root, best->cut, released);
    for (const std::uint32_t leaf : best->cut.leaves) ++readers_[leaf];
    chosen_[root] = std::move(best);
    return true;
  }

  [[nodiscard]] double table_lut(const Chosen& made, UInt used) const {
    std::vector<LutInput> inputs;
    for (int j = 0; j < made.cut.bits; ++j) inputs.push_back({0, j});
    std::vector<BitFunction> functions;
    for (int bit = 0; bit < 126; ++bit) {
      if ((used >> bit) == 0) break;
      if ((used >> bit & 1) == 0) continue;
      BitFunction f{inputs, 0};
      for (std::size_t code = 0; code < made.values.size(); ++code)
        f.table |= static_cast<std::uint64_t>(made.values[code] >> bit & 1) << code;
      functions.push_back(std::move(f));
    }
    return static_cast<double>(lut_form(functions).luts.size());
  }

  /// The cone's result for every code of the leaves, the first leaf in the low bits. Codes that never come repeat the
  /// nearest one that does.
  std::vector<Int> values_of(std::uint32_t root, const Cut& cut) {
    std::vector<std::uint32_t> cone;
    collect(root, cut, cone);
    std::sort(cone.begin(), cone.end());
    std::unordered_map<std::uint32_t, std::size_t> position;
    for (const std::uint32_t leaf : cut.leaves) position.emplace(leaf, position.size());
    for (const std::uint32_t net : cone) position.emplace(net, position.size());
    std::vector<Int> now(position.size(), 0);
    std::vector<Int> values;
    boost::container::small_vector<Int, 4> operands;
    for (std::size_t code = 0; code < std::size_t{1} << cut.bits; ++code) {
      int shift = 0;
      for (std::size_t k = 0; k < cut.leaves.size(); ++k) {
        const Cell& leaf = netlist_.cells[cut.leaves[k]];
        Int value = static_cast<Int>(code >> shift) & ((Int{1} << leaf.width_bits) - 1);
        if (leaf.is_signed && (value >> (leaf.width_bits - 1)) != 0) value -= Int{1} << leaf.width_bits;
        shift += leaf.width_bits;
        now[k] = std::clamp(value, leaf.range.lo, leaf.range.hi);
      }
      for (const std::uint32_t net : cone) {
        const Cell& cell = netlist_.cells[net];
        operands.clear();
        for (const Term& term : cell.terms) {
          const Cell& x = netlist_.at(term.net);
          operands.push_back(x.op == Op::Constant ? x.constant : now[position.at(term.net.index)]);
        }
        const Int value = evaluate(netlist_, cell, {operands.data(), operands.size()});
        // Only codes that never come together leave the range.
        now[position.at(net)] = std::clamp(value, cell.range.lo, cell.range.hi);
      }
      values.push_back(now[position.at(root)]);
    }
    return values;
  }

  void collect(std::uint32_t net, const Cut& cut, std::vector<std::uint32_t>& cone) {
    if (is_constant(net) || std::find(cut.leaves.begin(), cut.leaves.end(), net) != cut.leaves.end()) return;
    if (std::find(cone.begin(), cone.end(), net) != cone.end()) return;
    cone.push_back(net);
    for (const Term& term : netlist_.cells[net].terms) collect(term.net.index, cut, cone);
  }

  /// The netlist with the chosen cells as tables of a concatenation of their leaves.
  void rebuild() {
    std::vector<Cell> old = std::move(netlist_.cells);
    netlist_.cells.clear();
    std::vector<NetId> moved(old.size());
    std::map<std::pair<std::uint32_t, std::uint32_t>, NetId> unsigned_of;  // by module and old net
    std::map<std::pair<std::uint32_t, std::vector<std::uint32_t>>, NetId> index_of;
    const auto add = [&](Cell cell) {
      netlist_.cells.push_back(std::move(cell));
      return NetId{static_cast<std::uint32_t>(netlist_.cells.size() - 1)};
    };
    // A field of bits; they are named after the first cell that reads them.
    const auto field = [&](const Cell& root, int bits) {
      Cell cell;
      cell.module = root.module;
      cell.width_bits = bits;
      cell.range = {0, (Int{1} << bits) - 1, 0};
      return cell;
    };
    for (std::size_t i = 0; i < old.size(); ++i) {
      Cell cell = std::move(old[i]);
      if (!chosen_[i]) {
        for (Term& term : cell.terms) term.net = moved[term.net.index];
        moved[i] = add(std::move(cell));
        continue;
      }
      const Cut& cut = chosen_[i]->cut;
      const std::pair key{cell.module, std::vector<std::uint32_t>(cut.leaves.begin(), cut.leaves.end())};
      auto index = index_of.find(key);
      if (index == index_of.end()) {
        std::vector<Term> fields;
        int shift = 0;
        for (const std::uint32_t leaf : cut.leaves) {
          NetId net = moved[leaf];
          const int bits = netlist_.at(net).width_bits;
          if (netlist_.at(net).is_signed) {
            const auto [it, is_new] = unsigned_of.try_emplace({cell.module, leaf});
            if (is_new) {
              Cell slice = field(cell, bits);
              slice.op = Op::Slice;
              slice.terms = {{net, 0, false}};
              slice.name = fmt::format("{}_u{}", cell.name, fields.size());
              it->second = add(std::move(slice));
            }
            net = it->second;
          }
          fields.push_back({net, shift, false});
          shift += bits;
        }
        NetId whole = fields[0].net;
        if (fields.size() > 1) {
          Cell concat = field(cell, shift);
          concat.op = Op::Concat;
          concat.terms = std::move(fields);
          concat.name = cell.name + "_x";
          whole = add(std::move(concat));
        }
        index = index_of.emplace(key, whole).first;
      }
      cell.op = Op::Table;
      cell.terms = {{index->second, 0, false}};
      cell.shift = 0;
      cell.constant = cell.constant_hi = 0;
      cell.table = static_cast<std::uint32_t>(netlist_.tables.size());
      netlist_.tables.push_back(std::move(chosen_[i]->values));
      moved[i] = add(std::move(cell));
    }
    for (auto* ports : {&netlist_.inputs, &netlist_.outputs}) {
      for (Port& port : *ports) {
        for (NetId& net : port.elements) net = moved[net.index];
      }
    }
  }

  Netlist& netlist_;
  const LutPrice& price_;
  std::vector<UInt> used_;
  std::vector<std::int64_t> readers_;
  std::vector<std::optional<Chosen>> chosen_;
  std::vector<std::vector<Cut>> cuts_;
};

}  // namespace

std::size_t tabulate(Netlist& netlist, const LutPrice& lut_of) { return Tabulator(netlist, lut_of).run(); }

}  // namespace weft::netlist
