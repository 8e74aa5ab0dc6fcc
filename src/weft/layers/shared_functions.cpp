// SPDX-License-Identifier: Apache-2.0
// A function is made in a recipe of its own, whose only input stands for the tensor. Its primitives are then copied
// behind each tensor, cut down to the codes that this one can have.
#include "weft/layers/shared_functions.h"

#include <algorithm>

namespace weft::layers {
namespace {

/// Every code of some more bits: states grow from step to step, and most functions are flat there.
fixed::Range rounded(const fixed::Range& range) {
  constexpr int kRoomBits = 3;
  constexpr int kMostWithRoom = 40;
  const int least = fixed::width_bits(range);
  const int bits = least + kRoomBits <= kMostWithRoom ? least + kRoomBits : least;
  if (range.lo >= 0) return {0, (Int{1} << bits) - 1, 0};
  const Int half = Int{1} << (bits - 1);
  return {-half, half - 1, 0};
}

bool holds(const fixed::Range& outer, const fixed::Range& inner) {
  return outer.lo <= inner.lo && inner.hi <= outer.hi;
}

/// Operands of a copied primitive; `to` has the copy of every value.
void move_operands(exact::Primitive& primitive, const std::vector<exact::ValueId>& to) {
  std::visit(
      [&](auto& p) {
        if constexpr (requires { p.x; }) p.x = to[p.x.index];
        if constexpr (requires {
                        p.a;
                        p.b;
                      }) {
          p.a = to[p.a.index];
          p.b = to[p.b.index];
        }
        if constexpr (requires { p.xs; })
          for (auto& x : p.xs) x = to[x.index];
      },
      primitive);
}

}  // namespace

Result<Symbol> SharedFunctions::apply(const std::string& key, const Symbol& x, Domain domain, const Make& make) {
  const exact::Value& value = recipe_.value(x.value);
  const bool reachable = domain == Domain::Reachable || !x.order_bound.empty();
  const fixed::Range all = channel_range(value, 0, 1);
  for (const auto& made : made_) {
    if (made.key != key || made.shape != value.shape || !(made.scale == value.scale) ||
        made.order_bound != x.order_bound)
      continue;
    if (reachable ? made.ranges == value.ranges : holds(made.ranges[0], all)) return write(made, x);
  }
  WEFT_TRY(auto made, made_for(key, x, reachable ? Domain::Reachable : Domain::Rounded, make));
  made_.push_back(std::move(made));
  return write(made_.back(), x);
}

Result<SharedFunctions::Made> SharedFunctions::made_for(const std::string& key, const Symbol& x, Domain domain,
                                                        const Make& make) {
  const exact::Value& value = recipe_.value(x.value);
  Made out{key, value.shape, value.scale, x.order_bound, value.ranges, {}, {}};
  if (domain == Domain::Rounded) out.ranges = {rounded(channel_range(value, 0, 1))};
  Recipe own(recipe_.source(), recipe_.policy(), ctx_);
  Symbol in = x;
  WEFT_TRY(in.value, own.add("x", exact::Input{}, out.scale, node_.origin, out.shape));
  own.graph().values[0].ranges = out.ranges;
  if (out.ranges.size() == 1)
    own.graph().values[0].ranges.assign(static_cast<std::size_t>(element_count(out.shape)), out.ranges[0]);
  WEFT_TRY(out.result, make(own, in));
  out.values = std::move(own.graph().values);
  for (auto& c : own.certificates()) {
    auto& here = recipe_.certificate(c.layer, c.op);
    here.word = std::max(here.word, c.word);
    here.bound = std::max(here.bound, c.bound);
    here.codes_at_risk += c.codes_at_risk;
    for (auto& note : c.notes)
      if (std::find(here.notes.begin(), here.notes.end(), note) == here.notes.end())
        here.notes.push_back(std::move(note));
  }
  return out;
}

Result<Symbol> SharedFunctions::write(const Made& made, const Symbol& x) {
  const std::string name = node_.name + "_" + made.key;
  std::vector<exact::ValueId> copies{x.value};
  for (std::size_t i = 1; i < made.values.size(); ++i) {
    const auto& value = made.values[i];
    exact::Primitive primitive = value.primitive;
    move_operands(primitive, copies);
    if (auto* requant = std::get_if<exact::Requant>(&primitive)) {
      const std::size_t n = requant->functions.size();
      for (std::size_t c = 0; c < n; ++c)
        requant->functions[c] = fixed::restrict(requant->functions[c], channel_range(recipe_.value(requant->x), c, n));
    }
    const bool last = i + 1 == made.values.size();
    WEFT_TRY(const auto id,
             recipe_.add(last ? name : name + "_part", std::move(primitive), value.scale, node_.origin, value.shape));
    copies.push_back(id);
  }
  Symbol out = made.result;
  out.value = copies[out.value.index];
  return out;
}

}  // namespace weft::layers
