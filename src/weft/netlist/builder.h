// SPDX-License-Identifier: Apache-2.0
/// @file
/// Builds netlists: derives ranges and widths, folds constants, shares equal cells.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "weft/netlist/netlist.h"

namespace weft::netlist {

/// Appends cells to a netlist. Every function returns the net of the result; equal cells are made once. A cell whose
/// range would exceed 128 bits is recorded by failed() and answered with the constant 0, so that callers check once per
/// layer.
class Builder {
 public:
  explicit Builder(Netlist& netlist) : netlist_(netlist) {}

  /// New cells go into this module until the next call.
  void begin_module(const std::string& name, const std::string& label);
  /// Gives a net of the current module a telling name instead of n0, n1 ...; the first name given stays. Names must be
  /// unique in the module and not of the form n<number>.
  void rename(NetId net, const std::string& name);

  NetId input(const fixed::Range& range);
  NetId constant(Int value);
  /// Sum of one to three terms. `known`, when given, is a range that is known to hold from elsewhere.
  NetId sum(std::vector<Term> terms, const fixed::Range* known = nullptr);
  NetId concat(const std::vector<Term>& terms, const fixed::Range* known = nullptr);
  /// floor(x * 2^-shift); exact, the width follows from the range.
  NetId shift_right(NetId x, int shift);
  /// Bits [shift, shift + width) of x, read with the sign wanted.
  NetId bits(NetId x, int shift, int width_bits, bool is_signed = false);
  /// The same value with fewer bits where `known`, a range that holds for x, allows it.
  NetId narrow(NetId x, const fixed::Range& known);
  NetId at_least(NetId x, Int threshold);
  NetId equal(NetId x, Int value);
  NetId at_least_net(NetId a, NetId b);
  NetId mux(NetId select, NetId when_one, NetId when_zero, const fixed::Range* known = nullptr);
  NetId clamp(NetId x, Int lo, Int hi);
  /// entries[i] is the result for x = first + i; must cover the range of x.
  NetId table(NetId x, Int first, std::vector<Int> entries);
  NetId logic_not(NetId x);
  NetId logic_and(NetId a, NetId b);
  NetId logic_or(NetId a, NetId b);
  NetId logic_xor(NetId a, NetId b);
  NetId multiply(NetId a, NetId b, const fixed::Range* known = nullptr);

  /// A counter of slots of its own, 0 in the first slot of every event.
  NetId slot(int slots);
  /// xs[k] in slot k of `slot`, which is a net that slot() made.
  NetId select(NetId slot, const std::vector<NetId>& xs);
  /// The value of x in that slot.
  NetId pick(NetId x, int slot, const fixed::Range* known = nullptr);
  /// start + the sum over the slots k of x of x * 2^(k * shift).
  NetId accumulate(NetId x, Int start, int shift, const fixed::Range* known = nullptr);

  [[nodiscard]] const Cell& at(NetId net) const { return netlist_.at(net); }
  [[nodiscard]] const fixed::Range& range(NetId net) const { return netlist_.at(net).range; }
  [[nodiscard]] bool is_constant(NetId net) const { return netlist_.at(net).op == Op::Constant; }
  [[nodiscard]] bool failed() const { return failed_; }
  /// Records a failure and answers with the constant 0.
  NetId fail();
  Netlist& netlist() { return netlist_; }

 private:
  NetId add(Cell cell, const fixed::Range* known = nullptr);

  Netlist& netlist_;
  std::uint32_t module_ = 0;
  std::uint32_t next_number_ = 0;
  std::vector<bool> renamed_;
  bool failed_ = false;
  /// Hash of a cell to the cells with it; only ever looked up.
  std::unordered_multimap<std::size_t, std::uint32_t> known_cells_;
  std::unordered_multimap<std::size_t, std::uint32_t> known_tables_;
};

/// Drops the cells that no output needs (inputs stay) and renumbers. `tracked` nets are renumbered too; those that
/// vanish become invalid.
void remove_dead(Netlist& netlist, std::vector<NetId*> tracked = {});

}  // namespace weft::netlist
