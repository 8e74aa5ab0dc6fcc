// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "weft/netlist/bit_circuit.h"
#include "weft/netlist/lut_cover.h"

namespace weft::netlist {

namespace {

constexpr std::size_t kTableInputs = 6;

class Counter {
 public:
  Counter(const BitCircuit& circuit, std::size_t cells, bool shift_registers, bool clock_enable)
      : circuit_(circuit),
        nodes_(circuit.gates.nodes()),
        shift_registers_(shift_registers),
        clock_enable_(clock_enable) {
    usage_.lut.assign(cells, 0);
    usage_.shift_lut.assign(cells, 0);
    usage_.flip_flop.assign(cells, 0);
  }

  BitUsage run() {
    mark();
    cover_ = cover(circuit_.gates, wanted_, six_input_luts());
    merge_resets();
    for (std::size_t i = 0; i < nodes_.size(); ++i) usage_.lut[nodes_[i].owner] += cover_.tables[i];
    count_registers();
    return std::move(usage_);
  }

 private:
  /// What the outputs depend on, and which gates are read by something else than gates.
  void mark() {
    const std::size_t count = nodes_.size();
    live_.assign(count, false);
    uses_.assign(count, 0);
    signals_.assign(count, 0);
    distinct_.assign(count, 0);
    by_source_.assign(count, {None, 0, 0});
    const auto index = [&](auto& list, What what) {
      for (std::size_t i = 0; i < list.size(); ++i) {
        for (std::size_t k = 0; k < list[i].outputs.size(); ++k) {
          if (list[i].outputs[k] != 0) by_source_[list[i].outputs[k]] = {what, i, k};
        }
      }
    };
    index(circuit_.chains, Chain);
    index(circuit_.hard, Block);
    for (std::size_t i = 0; i < circuit_.registers.size(); ++i)
      by_source_[circuit_.registers[i].node] = {Register, i, 0};
    block_seen_.assign(circuit_.hard.size(), false);
    for (const Literal output : circuit_.outputs) read(output);
    // From the outputs backward; again while registers that feed themselves have brought something new.
    std::vector<std::size_t> reached(circuit_.chains.size(), 0);  // bits of a chain that are built
    std::vector<bool> seen(count, false);
    for (bool again = true; again;) {
      again = false;
      for (std::size_t i = count; i-- > 0;) {
        if (!live_[i] || seen[i]) continue;
        seen[i] = again = true;
        for (int k = 0; k < Gates::input_count(nodes_[i].kind); ++k) live_[node_of(nodes_[i].inputs[k])] = true;
        const auto [what, where, bit] = by_source_[i];
        if (what == Register) {
          const BitRegister& r = circuit_.registers[where];
          read(r.data);
          read(r.reset);
          read(r.load);
        } else if (what == Chain) {
          // What would carry out of the highest bit that is read is not built.
          const CarryChain& chain = circuit_.chains[where];
          std::size_t& built = reached[where];
          for (std::size_t k = built; k <= bit; ++k) {
            read(chain.select[k]);
            if (k > 0) read(chain.data[k - 1]);
          }
          built = std::max(built, bit + 1);
        } else if (what == Block && !block_seen_[where]) {
          block_seen_[where] = true;
          for (const Literal x : circuit_.hard[where].inputs) read(x);
        }
      }
    }
  }

  void read(Literal x) {
    if (is_constant(x)) return;
    const std::uint32_t signal = node_of(x);
    const std::uint32_t node = node_of(circuit_.gates.plain(x));
    live_[signal] = live_[node] = true;
    if (uses_[node]++ == 0) wanted_.push_back(node);
    if (signals_[signal]++ == 0) ++distinct_[node];
  }

  /// What the table or inverter in front of a register's pin reads; nothing when there is none, or a wide one.
  [[nodiscard]] std::vector<std::uint32_t> table_inputs(Literal x) const {
    if (is_constant(x)) return {};
    x = circuit_.gates.plain(x);
    const std::uint32_t node = node_of(x);
    if (nodes_[node].kind == Gates::Kind::Source) {
      return (x & 1) != 0 ? std::vector<std::uint32_t>{node} : std::vector<std::uint32_t>{};
    }
    const auto& leaves = cover_.leaves[node];
    return leaves.size() <= kTableInputs ? leaves : std::vector<std::uint32_t>{};
  }

  /// A table in front of a reset goes into the tables in front of the data where both have few inputs.
  void merge_resets() {
    std::vector<int> readers(nodes_.size(), 0);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      for (const std::uint32_t leaf : cover_.leaves[i]) ++readers[leaf];
    }
    std::vector<int> merged(nodes_.size(), 0);
    // Inverters of resets are one per register, and tables in front of them are drawn into each.
    std::vector<int> own(nodes_.size(), 0);
    std::vector<int> own_merged(nodes_.size(), 0);
    for (const BitRegister& r : circuit_.registers) {
      if (!live_[r.node] || is_constant(r.reset)) continue;
      const std::uint32_t data_node = node_of(circuit_.gates.plain(r.data));
      const std::uint32_t reset_node = node_of(circuit_.gates.plain(r.reset));
      if (r.inverted_reset) ++own[reset_node];
      const auto data = table_inputs(r.data);
      const auto reset = table_inputs(r.reset);
      const bool is_gate = nodes_[data_node].kind != Gates::Kind::Source;
      if (data.empty() || reset.empty() || (is_gate && uses_[data_node] + readers[data_node] > 1)) continue;
      std::set<std::uint32_t> both(data.begin(), data.end());
      both.insert(reset.begin(), reset.end());
      if (both.size() + (clock_enable_ ? 2 : 0) > kTableInputs) continue;
      ++merged[reset_node];
      if (r.inverted_reset) ++own_merged[reset_node];
      // What was an inverter is a table now.
      if (!is_gate) ++usage_.lut[r.owner];
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (cover_.tables[i] == 0 || uses_[i] == 0) continue;
      const bool is_read = uses_[i] > merged[i] || readers[i] > 0;
      const int copies = own[i] - own_merged[i];
      const bool by_others = uses_[i] - own[i] > merged[i] - own_merged[i] || readers[i] > 0;
      cover_.tables[i] *=
          !is_read ? 0 : std::max(1, copies + (by_others ? std::max(1, distinct_[i] - (own[i] > 0 ? 1 : 0)) : 0));
    }
  }

  void count_registers() {
    // Registers that one register alone reads, without a reset and inverter between, are links of a chain.
    std::vector<std::uint32_t> next(nodes_.size(), 0);
    std::vector<int> readers(nodes_.size(), 0);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      for (const std::uint32_t leaf : cover_.leaves[i]) ++readers[leaf];
    }
    std::vector<bool> is_head(nodes_.size(), true);
    const auto is_link = [&](std::uint32_t node) {
      const auto& [what, where, bit] = by_source_[node];
      return what == Register && is_constant(circuit_.registers[where].reset) &&
             circuit_.registers[where].load == kHigh;
    };
    for (const BitRegister& r : circuit_.registers) {
      if (!live_[r.node] || !is_constant(r.reset) || r.load != kHigh || (r.data & 1) != 0) continue;
      const std::uint32_t from = node_of(r.data);
      if (!is_link(from) || uses_[from] + readers[from] != 1) continue;
      next[from] = r.node;
      is_head[r.node] = false;
    }
    for (const BitRegister& r : circuit_.registers) {
      if (!live_[r.node] || !is_head[r.node]) continue;
      int length = 1;
      for (std::uint32_t node = r.node; next[node] != 0; node = next[node]) ++length;
      if (!shift_registers_ || length < 3) {
        usage_.flip_flop[r.owner] += length;
        continue;
      }
      // 3..16 in one table, 18..32 in another kind, one more than either with a flip-flop behind.
      const int rest = length % 32;
      usage_.shift_lut[r.owner] += length / 32 + (rest > 1 ? 1 : 0);
      if (rest == 1 || rest == 17) ++usage_.flip_flop[r.owner];
    }
  }

  enum What : std::uint8_t { None, Register, Chain, Block };
  struct Source {
    What what;
    std::size_t where;
    std::size_t bit;
  };
  const BitCircuit& circuit_;
  const std::vector<Gates::Node>& nodes_;
  bool shift_registers_;
  bool clock_enable_;
  BitUsage usage_;
  LutCover cover_;
  std::vector<bool> live_;
  std::vector<int> uses_;      ///< by registers, chains, ports and blocks
  std::vector<int> signals_;   ///< the same, copies apart
  std::vector<int> distinct_;  ///< signals of a node that are read so: each has a table
  std::vector<std::uint32_t> wanted_;
  std::vector<Source> by_source_;
  std::vector<bool> block_seen_;
};

}  // namespace

BitUsage count_bits(const BitCircuit& circuit, std::size_t cells, bool shift_registers, bool clock_enable) {
  return Counter(circuit, cells, shift_registers, clock_enable).run();
}

}  // namespace weft::netlist
