// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "weft/hw/lowering.h"

namespace weft::hw {

using exact::Value;
using netlist::NetId;
using Signals = std::vector<Signal>;

namespace {

/// Nets in the same order as the signals when these share one map, which then also is the map of the largest one.
std::optional<Signal> common_map(const Signals& x) {
  Signal map = x[0];
  for (const Signal& s : x) {
    if (s.is_constant() || s.negate || s.shift != map.shift || s.offset != map.offset) return std::nullopt;
  }
  return map;
}

}  // namespace

NetId Lowering::select_max(const std::vector<NetId>& nets) {
  std::vector<NetId> level = nets;
  while (level.size() > 1) {
    std::vector<NetId> next;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      const NetId a = level[i];
      const NetId b = level[i + 1];
      const fixed::Range known = fixed::max(builder_.range(a), builder_.range(b));
      const bool one_bit = known.lo >= 0 && known.hi <= 1 && builder_.range(a).lo >= 0 && builder_.range(b).lo >= 0;
      next.push_back(one_bit ? builder_.logic_or(a, b) : builder_.mux(builder_.at_least_net(a, b), a, b, &known));
    }
    if (level.size() % 2 == 1) next.push_back(level.back());
    level = std::move(next);
  }
  return level[0];
}

Result<Signals> Lowering::lower(const Value& value, const exact::Reduce& p) {
  const Signals& all = signals(p.x);
  const auto rows = static_cast<std::size_t>(element_count(value.shape));
  const std::size_t n = rows == 0 ? 0 : all.size() / rows;
  Signals out;
  std::vector<RowSums> sums;
  std::vector<Sink> sinks;
  if (p.kind == exact::Reduce::Kind::Sum) sinks = find_sinks(current_);
  for (std::size_t row = 0; row < rows; ++row) {
    const Signals x(all.begin() + static_cast<std::ptrdiff_t>(row * n),
                    all.begin() + static_cast<std::ptrdiff_t>((row + 1) * n));
    if (p.kind == exact::Reduce::Kind::Sum) {
      WEFT_TRY(sums.emplace_back(), row_sums(value, static_cast<std::int64_t>(row), x, std::vector<std::int64_t>(n, 1),
                                             {0}, {sinks[row]}, {value.ranges[row]}));
      continue;
    }
    std::vector<NetId> nets;
    const auto map = common_map(x);
    for (const Signal& s : x) nets.push_back(map ? s.net : materialize(builder_, s));
    Signal largest = signal_of(builder_, select_max(nets));
    if (map && !largest.is_constant()) {
      largest.shift = map->shift;
      largest.offset = map->offset;
    } else if (map) {
      largest = constant_signal((largest.offset << map->shift) + map->offset);
    }
    out.push_back(largest);
  }
  if (p.kind == exact::Reduce::Kind::Sum) return solve_rows(value, std::move(sums), "t");
  return out;
}

// A tree of comparators that carries the index along; of two equal candidates the one in front wins. For k > 1 the
// winner is put below all others and the tree runs again.
Result<Signals> Lowering::lower(const Value& value, const exact::ArgMax& p) {
  const Signals& all = signals(p.x);
  const auto k = static_cast<std::size_t>(p.k);
  const std::size_t rows = static_cast<std::size_t>(element_count(value.shape)) / k;
  const std::size_t n = rows == 0 ? 0 : all.size() / rows;
  struct Candidate {
    NetId key;
    NetId index;
  };
  Signals out;
  for (std::size_t row = 0; row < rows; ++row) {
    const Signals x(all.begin() + static_cast<std::ptrdiff_t>(row * n),
                    all.begin() + static_cast<std::ptrdiff_t>((row + 1) * n));
    const auto map = common_map(x);
    std::vector<Candidate> candidates;
    Int lowest = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const NetId key = map ? x[i].net : materialize(builder_, x[i]);
      candidates.push_back({key, builder_.constant(static_cast<Int>(i))});
      lowest = i == 0 ? builder_.range(key).lo : std::min(lowest, builder_.range(key).lo);
    }
    const NetId below = builder_.constant(lowest - 1);
    for (std::size_t j = 0; j < k; ++j) {
      std::vector<Candidate> level = candidates;
      while (level.size() > 1) {
        std::vector<Candidate> next;
        for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
          const Candidate& a = level[i];
          const Candidate& b = level[i + 1];
          const NetId first = builder_.at_least_net(a.key, b.key);
          const fixed::Range known = fixed::max(builder_.range(a.key), builder_.range(b.key));
          // The key of the last pair is read by nobody and vanishes as dead.
          next.push_back({builder_.mux(first, a.key, b.key, &known), builder_.mux(first, a.index, b.index)});
        }
        if (level.size() % 2 == 1) next.push_back(level.back());
        level = std::move(next);
      }
      out.push_back(signal_of(builder_, level[0].index));
      if (j + 1 == k) break;
      for (std::size_t i = 0; i < n; ++i) {
        candidates[i].key = builder_.mux(builder_.equal(level[0].index, static_cast<Int>(i)), below, candidates[i].key);
      }
    }
  }
  return out;
}

}  // namespace weft::hw
