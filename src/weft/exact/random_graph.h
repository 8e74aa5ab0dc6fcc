// SPDX-License-Identifier: Apache-2.0
/// @file
/// Seeded random sound graphs over all primitives, for differential tests of executors and emitters.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/exact/graph.h"

namespace weft::exact {

/// Small deterministic generator (splitmix64): the same numbers on every platform.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// Uniform in [lo, hi]; hi - lo below 2^63.
  std::int64_t between(std::int64_t lo, std::int64_t hi);
  /// True once in `n`.
  bool one_in(std::int64_t n) { return between(1, n) == 1; }
  /// Uniform in [lo, hi] of up to 127 bits.
  Int wide_between(Int lo, Int hi);

 private:
  std::uint64_t state_;
};

struct RandomGraphOptions {
  /// No code of the graph is wider.
  int max_width_bits = 24;
  int weight_bits = 5;
  /// Largest extent of an axis.
  std::int64_t max_extent = 6;
  /// Values besides inputs, about.
  int steps = 10;
  bool forced_accumulators = true;
  /// Every overflow mode, not only Sat.
  bool every_overflow = true;
  /// Begin with this many matvec-requant pairs, as a network of dense layers has them.
  int dense_layers = 0;
};

/// A graph for which verify() is silent: one to three inputs, every leaf is an output. Equal arguments, equal graph.
Graph random_graph(std::uint64_t seed, const RandomGraphOptions& options = {});

/// Codes for every graph input (in order of graph.inputs): now corners, now anything in range. Bipolar inputs get -1
/// and +1 only.
std::vector<std::vector<Int>> random_codes(const Graph& graph, Random& random);

}  // namespace weft::exact
