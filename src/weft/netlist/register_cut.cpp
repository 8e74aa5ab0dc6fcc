// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/register_cut.h"

#include <algorithm>

namespace weft::netlist {

std::size_t FlowGraph::add_node() {
  first_.push_back(-1);
  return first_.size() - 1;
}

void FlowGraph::add_edge(std::size_t from, std::size_t to, std::int64_t capacity) {
  const auto index = static_cast<std::int32_t>(edges_.size());
  edges_.push_back({static_cast<std::int32_t>(to), first_[from], capacity});
  first_[from] = index;
  edges_.push_back({static_cast<std::int32_t>(from), first_[to], 0});
  first_[to] = index + 1;
}

// Levels count from the sink backwards, so that the last search that finds no way also gives the source side.
bool FlowGraph::build_levels() {
  level_.assign(first_.size(), -1);
  std::vector<std::int32_t> queue;
  queue.reserve(first_.size());
  queue.push_back(1);
  level_[1] = 0;
  for (std::size_t head = 0; head < queue.size(); ++head) {
    const std::int32_t node = queue[head];
    for (std::int32_t e = first_[node]; e >= 0; e = edges_[e].next) {
      const std::int32_t from = edges_[e].to;
      if (edges_[e ^ 1].capacity > 0 && level_[from] < 0) {
        level_[from] = level_[node] + 1;
        queue.push_back(from);
      }
    }
  }
  return level_[0] >= 0;
}

std::int64_t FlowGraph::push_blocking() {
  current_ = first_;
  std::int64_t total = 0;
  std::vector<std::int32_t> path;  // edges from the source
  std::int32_t node = 0;
  while (true) {
    if (node == 1) {
      std::int64_t amount = kInfinite;
      for (std::int32_t e : path) amount = std::min(amount, edges_[e].capacity);
      std::size_t keep = path.size();
      for (std::size_t i = path.size(); i-- > 0;) {
        edges_[path[i]].capacity -= amount;
        edges_[path[i] ^ 1].capacity += amount;
        if (edges_[path[i]].capacity == 0) keep = i;
      }
      total += amount;
      node = edges_[path[keep] ^ 1].to;
      path.resize(keep);
      continue;
    }
    std::int32_t& e = current_[node];
    while (e >= 0 && (edges_[e].capacity == 0 || level_[edges_[e].to] != level_[node] - 1)) e = edges_[e].next;
    if (e >= 0) {
      path.push_back(e);
      node = edges_[e].to;
      continue;
    }
    if (path.empty()) return total;
    // Dead end: step back and leave this edge behind.
    const std::int32_t back = path.back();
    path.pop_back();
    node = edges_[back ^ 1].to;
    current_[node] = edges_[back].next;
  }
}

std::int64_t FlowGraph::run(int max_phases) {
  std::int64_t flow = 0;
  for (int phase = 0; build_levels(); ++phase) {
    if (phase >= max_phases) return -1;
    flow += push_blocking();
  }
  return flow;
}

std::vector<bool> FlowGraph::source_side() const {
  std::vector<bool> side(first_.size(), false);
  for (std::size_t i = 0; i < side.size(); ++i) side[i] = level_[i] < 0;
  return side;
}

}  // namespace weft::netlist
