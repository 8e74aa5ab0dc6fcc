// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/gates.h"

#include <algorithm>
#include <utility>

namespace weft::netlist {

Gates::Gates() { nodes_.emplace_back(); }

std::size_t Gates::Hash::operator()(const Key& key) const {
  std::uint64_t hash = static_cast<std::uint64_t>(key.kind);
  for (const Literal input : key.inputs) {
    hash = (hash ^ input) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
  }
  return static_cast<std::size_t>(hash);
}

Literal Gates::source() {
  nodes_.push_back({Kind::Source, owner_, {}});
  return static_cast<Literal>(2 * (nodes_.size() - 1));
}

Literal Gates::make(Kind kind, Literal a, Literal b, Literal c) {
  const auto [it, is_new] = known_.try_emplace({kind, {a, b, c}}, static_cast<std::uint32_t>(nodes_.size()));
  if (is_new) nodes_.push_back({kind, owner_, {a, b, c}});
  return 2 * it->second;
}

Literal Gates::plain(Literal x) const {
  while (nodes_[node_of(x)].kind == Kind::Copy) x = nodes_[node_of(x)].inputs[0] ^ (x & 1);
  return x;
}

Literal Gates::copy(Literal x) {
  x = plain(x);
  if (nodes_[node_of(x)].kind == Kind::Source) return x;
  return make(Kind::Copy, x, 0);
}

Literal Gates::both(Literal a, Literal b) {
  a = plain(a);
  b = plain(b);
  if (a > b) std::swap(a, b);
  if (a == kLow || a == (b ^ 1)) return kLow;
  if (a == kHigh || a == b) return b;
  return make(Kind::And, a, b);
}

Literal Gates::differ(Literal a, Literal b) {
  a = plain(a);
  b = plain(b);
  const Literal inverted = (a ^ b) & 1;
  a &= ~Literal{1};
  b &= ~Literal{1};
  if (a > b) std::swap(a, b);
  if (a == b) return inverted;
  if (a == kLow) return b ^ inverted;
  return make(Kind::Xor, a, b) ^ inverted;
}

Literal Gates::choose(Literal select, Literal when_one, Literal when_zero) {
  if (is_constant(select)) return select == kHigh ? when_one : when_zero;
  select = plain(select);
  when_one = plain(when_one);
  when_zero = plain(when_zero);
  if (when_one == when_zero) return when_one;
  if (when_one == (when_zero ^ 1)) return differ(select, when_zero);
  if (node_of(when_one) == node_of(select)) when_one = when_one == select ? kHigh : kLow;
  if (node_of(when_zero) == node_of(select)) when_zero = when_zero == select ? kLow : kHigh;
  if (is_constant(when_one)) return when_one == kHigh ? either(select, when_zero) : both(select ^ 1, when_zero);
  if (is_constant(when_zero)) return when_zero == kHigh ? either(select ^ 1, when_one) : both(select, when_one);
  if ((select & 1) != 0) {
    select ^= 1;
    std::swap(when_one, when_zero);
  }
  const Literal inverted = when_one & 1;
  return make(Kind::Mux, select, when_one ^ inverted, when_zero ^ inverted) ^ inverted;
}

Literal Gates::all(std::vector<Literal> bits) {
  constexpr std::size_t kTogether = 6;  // what one table takes
  if (bits.empty()) return kHigh;
  std::size_t from = 0;
  while (from < bits.size()) {
    const std::size_t end = std::min(from + kTogether, bits.size());
    Literal result = bits[from];
    for (std::size_t i = from + 1; i < end; ++i) result = both(result, bits[i]);
    if (end == bits.size()) return result;
    bits.push_back(result);
    from = end;
  }
  return kHigh;
}

Literal Gates::any(std::vector<Literal> bits) {
  for (Literal& bit : bits) bit ^= 1;
  return all(std::move(bits)) ^ 1;
}

}  // namespace weft::netlist
