// SPDX-License-Identifier: Apache-2.0
/// @file
/// Minimum cut of a weighted directed graph.
#pragma once

#include <cstdint>
#include <vector>

namespace weft::netlist {

/// Maximum flow by Dinic's algorithm (level graph and blocking flow), iterative; node 0 is the source, node 1 the sink.
class FlowGraph {
 public:
  static constexpr std::int64_t kInfinite = std::int64_t{1} << 50;

  explicit FlowGraph(std::size_t nodes) : first_(nodes, -1) {}
  std::size_t add_node();
  void add_edge(std::size_t from, std::size_t to, std::int64_t capacity);
  /// Runs the flow and returns its value; stops after `max_phases` level graphs (then not maximal: returns -1).
  std::int64_t run(int max_phases);
  /// After run(): true for the nodes from which the sink cannot be reached: the largest source side of a minimum cut.
  [[nodiscard]] std::vector<bool> source_side() const;

 private:
  struct Edge {
    std::int32_t to;
    std::int32_t next;
    std::int64_t capacity;
  };
  bool build_levels();
  std::int64_t push_blocking();

  std::vector<std::int32_t> first_;
  std::vector<Edge> edges_;
  std::vector<std::int32_t> level_;
  std::vector<std::int32_t> current_;
};

}  // namespace weft::netlist
