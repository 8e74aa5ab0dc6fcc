// SPDX-License-Identifier: Apache-2.0
/// @file
/// Many summands bit by bit, which full adders compress to two. Internal to netlist.
#pragma once

#include <vector>

#include "weft/netlist/gates.h"

namespace weft::netlist {

/// The bits of every weight that are still to be added; what lies above the highest weight is dropped.
class BitColumns {
 public:
  explicit BitColumns(std::size_t width) : columns_(width) {}
  /// Adds bit * 2^position. Two equal bits are one of the next weight.
  void put(Literal bit, std::size_t position);
  [[nodiscard]] std::size_t size() const { return columns_.size(); }
  /// At most two words, lowest bit first, with the same sum.
  std::vector<std::vector<Literal>> two_words(Gates& gates) const;

 private:
  std::vector<std::vector<Literal>> columns_;
};

}  // namespace weft::netlist
