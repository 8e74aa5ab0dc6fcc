// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/lut_cover.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

// Priority cuts: every node keeps a few sets of nodes that it is a function of. A first pass takes the shallowest cut
// of every node, the next ones the cheapest that keep the depth of the whole, first by estimated sharing (area flow),
// then by the tables that would in fact appear or vanish.

namespace weft::netlist {

namespace {

constexpr int kMostInputs = 8;
constexpr int kTableInputs = 6;
constexpr std::size_t kKeptCuts = 8;
constexpr int kUnbounded = std::numeric_limits<int>::max() / 2;

struct Cut {
  std::array<std::uint32_t, kMostInputs> leaf = {};
  int size = 0;
  int depth = 0;
  double flow = 0.0;
};

/// The union of two sorted sets of leaves; false when it is too large.
bool unite(const Cut& a, const Cut& b, int most, Cut& out) {
  int i = 0;
  int j = 0;
  out.size = 0;
  while (i < a.size || j < b.size) {
    if (out.size == most) return false;
    const bool from_a = j == b.size || (i < a.size && a.leaf[i] <= b.leaf[j]);
    const std::uint32_t leaf = from_a ? a.leaf[i] : b.leaf[j];
    if (i < a.size && a.leaf[i] == leaf) ++i;
    if (j < b.size && b.leaf[j] == leaf) ++j;
    out.leaf[out.size++] = leaf;
  }
  return true;
}

bool contains(const Cut& large, const Cut& small) {
  return std::includes(large.leaf.begin(), large.leaf.begin() + large.size, small.leaf.begin(),
                       small.leaf.begin() + small.size);
}

class Cover {
 public:
  Cover(const Gates& gates, const std::vector<std::uint32_t>& wanted, const LutShape& shape)
      : gates_(gates), nodes_(gates.nodes()), shape_(shape) {
    const std::size_t count = nodes_.size();
    live_.assign(count, false);
    fanout_.assign(count, 0);
    for (const std::uint32_t node : wanted) {
      if (nodes_[node].kind == Gates::Kind::Source) continue;
      if (!live_[node]) wanted_.push_back(node);
      live_[node] = true;
      ++fanout_[node];
    }
    for (std::size_t i = count; i-- > 0;) {
      if (!live_[i]) continue;
      for (int k = 0; k < Gates::input_count(nodes_[i].kind); ++k) {
        const std::uint32_t x = node_of(nodes_[i].inputs[k]);
        live_[x] = nodes_[x].kind != Gates::Kind::Source;
        ++fanout_[x];
      }
    }
    best_.resize(count);
    required_.assign(count, kUnbounded);
    references_.assign(count, 0);
  }

  LutCover run() {
    constexpr int kPasses = 4;
    for (int pass = 0; pass < kPasses; ++pass) {
      enumerate(pass);
      if (pass < 2) refer();
      require();
    }
    LutCover result;
    result.leaves.resize(nodes_.size());
    result.tables.assign(nodes_.size(), 0);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (references_[i] == 0) continue;
      const Cut& cut = best_[i];
      result.leaves[i].assign(cut.leaf.begin(), cut.leaf.begin() + cut.size);
      result.tables[i] = tables_of(i, cut);
    }
    for (const std::uint32_t node : wanted_) result.depth = std::max(result.depth, best_[node].depth);
    return result;
  }

 private:
  using Function = std::array<std::uint64_t, 4>;  ///< of eight inputs, by pattern

  /// A function of seven or eight inputs is tables of six for each pattern of the others; constant ones vanish. Which
  /// inputs the others are is the mapper's affair: the deepest, of sources the first or the last, whichever is more.
  int tables_of(std::uint32_t node, const Cut& cut) const {
    if (cut.size <= kTableInputs) return 1;
    std::vector<std::uint32_t> leaves(cut.leaf.begin(), cut.leaf.begin() + cut.size);
    int most = 0;
    for (const bool last : {false, true}) {
      std::sort(leaves.begin(), leaves.end(), [&](std::uint32_t a, std::uint32_t b) {
        return is_gate(a) != is_gate(b) ? is_gate(b) : is_gate(a) || last ? a < b : a > b;
      });
      most = std::max(most, tables_of(node, leaves));
    }
    return most;
  }

  int tables_of(std::uint32_t node, const std::vector<std::uint32_t>& leaves) const {
    const int size = static_cast<int>(leaves.size());
    std::unordered_map<std::uint32_t, Function> known{{0, Function{}}};
    constexpr std::array<std::uint64_t, kTableInputs> kPatterns = {0xaaaaaaaaaaaaaaaaULL, 0xccccccccccccccccULL,
                                                                   0xf0f0f0f0f0f0f0f0ULL, 0xff00ff00ff00ff00ULL,
                                                                   0xffff0000ffff0000ULL, 0xffffffff00000000ULL};
    for (int k = 0; k < size; ++k) {
      Function& f = known[leaves[k]];
      for (int word = 0; word < 4; ++word) {
        const bool high = k >= kTableInputs && (word >> (k - kTableInputs) & 1) != 0;
        f[word] = k < kTableInputs ? kPatterns[k] : high ? ~std::uint64_t{0} : 0;
      }
    }
    const Function f = function_of(node, known);
    int count = 0;
    for (int word = 0; word < 1 << (size - kTableInputs); ++word) {
      if (f[word] != 0 && f[word] != ~std::uint64_t{0}) ++count;
    }
    return count;
  }

  Function function_of(std::uint32_t node, std::unordered_map<std::uint32_t, Function>& known) const {
    const auto it = known.find(node);
    if (it != known.end()) return it->second;
    std::array<Function, 3> x = {};
    for (int k = 0; k < Gates::input_count(nodes_[node].kind); ++k) {
      const Literal input = nodes_[node].inputs[k];
      x[k] = function_of(node_of(input), known);
      if ((input & 1) != 0) {
        for (std::uint64_t& word : x[k]) word = ~word;
      }
    }
    Function f = {};
    for (int word = 0; word < 4; ++word) {
      switch (nodes_[node].kind) {
        case Gates::Kind::And:
          f[word] = x[0][word] & x[1][word];
          break;
        case Gates::Kind::Xor:
          f[word] = x[0][word] ^ x[1][word];
          break;
        case Gates::Kind::Mux:
          f[word] = (x[0][word] & x[1][word]) | (~x[0][word] & x[2][word]);
          break;
        case Gates::Kind::Source:
        case Gates::Kind::Copy:
          break;
      }
    }
    known.emplace(node, f);
    return f;
  }

  [[nodiscard]] bool is_gate(std::uint32_t node) const { return nodes_[node].kind != Gates::Kind::Source; }

  /// Cuts of all live nodes from those of their inputs, and the best of each by the measure of the pass.
  void enumerate(int pass) {
    const bool exact = pass >= 2;
    first_.assign(nodes_.size() + 1, 0);
    pool_.clear();
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      first_[i] = pool_.size();
      if (!live_[i]) continue;
      std::vector<Cut>& cuts = scratch_;
      cuts.clear();
      // The cut of the last pass stays a candidate.
      if (pass > 0) add(cuts, best_[i]);
      combine(i, cuts);
      if (exact && references_[i] > 0) dereference(best_[i]);
      for (Cut& cut : cuts) evaluate(cut, exact, references_[i] > 0);
      const int limit = pass == 0 ? kUnbounded : required_[i];
      std::stable_sort(cuts.begin(), cuts.end(), [&](const Cut& a, const Cut& b) {
        if (pass == 0)
          return a.depth != b.depth ? a.depth < b.depth : a.flow != b.flow ? a.flow < b.flow : a.size < b.size;
        const bool a_late = a.depth > limit;
        const bool b_late = b.depth > limit;
        if (a_late != b_late) return b_late;
        if (a_late) return a.depth < b.depth;
        if (std::abs(a.flow - b.flow) > 1e-9) return a.flow < b.flow;
        return a.size != b.size ? a.size < b.size : a.depth < b.depth;
      });
      if (cuts.size() > kKeptCuts) cuts.resize(kKeptCuts);
      best_[i] = cuts[0];
      if (exact && references_[i] > 0) reference(best_[i]);
      // Readers that look at estimates want those even where exact numbers were compared.
      best_[i].flow = flow_of(best_[i]);
      pool_.insert(pool_.end(), cuts.begin(), cuts.end());
    }
    first_[nodes_.size()] = pool_.size();
  }

  void add(std::vector<Cut>& cuts, const Cut& cut) const {
    for (const Cut& old : cuts) {
      if (old.size <= cut.size && contains(cut, old)) return;
    }
    std::erase_if(cuts, [&](const Cut& old) { return cut.size < old.size && contains(old, cut); });
    cuts.push_back(cut);
  }

  /// The cuts that node `x` offers to its readers: its own and the node itself.
  void offered(std::uint32_t x, std::vector<Cut>& out) const {
    out.clear();
    if (x != 0) {
      Cut self;
      self.leaf[0] = x;
      self.size = 1;
      out.push_back(self);
    } else {
      out.emplace_back();
    }
    if (is_gate(x))
      out.insert(out.end(), pool_.begin() + static_cast<std::ptrdiff_t>(first_[x]),
                 pool_.begin() + static_cast<std::ptrdiff_t>(first_[x + 1]));
  }

  void combine(std::uint32_t node, std::vector<Cut>& cuts) {
    const int count = Gates::input_count(nodes_[node].kind);
    for (int k = 0; k < count; ++k) offered(node_of(nodes_[node].inputs[k]), offers_[k]);
    const int most = std::min(shape_.inputs(), kMostInputs);
    Cut two;
    Cut three;
    for (const Cut& a : offers_[0]) {
      for (const Cut& b : offers_[1]) {
        if (!unite(a, b, most, two)) continue;
        if (count == 2) {
          add(cuts, two);
          continue;
        }
        for (const Cut& c : offers_[2]) {
          if (unite(two, c, most, three)) add(cuts, three);
        }
      }
    }
  }

  void evaluate(Cut& cut, bool exact, bool is_used) {
    cut.depth = 0;
    for (int k = 0; k < cut.size; ++k) {
      if (is_gate(cut.leaf[k])) cut.depth = std::max(cut.depth, best_[cut.leaf[k]].depth);
    }
    ++cut.depth;
    if (exact && is_used) {
      cut.flow = reference(cut);
      dereference(cut);
    } else {
      cut.flow = flow_of(cut);
    }
  }

  [[nodiscard]] double flow_of(const Cut& cut) const {
    double flow = shape_.cost[cut.size];
    for (int k = 0; k < cut.size; ++k) {
      const std::uint32_t leaf = cut.leaf[k];
      if (!is_gate(leaf)) continue;
      const int readers = references_[leaf] > 0 ? references_[leaf] : static_cast<int>(fanout_[leaf]);
      flow += best_[leaf].flow / std::max(1, readers);
    }
    return flow;
  }

  /// Counts the cut's leaves as read once more; the cost of all tables that appear by it.
  double reference(const Cut& cut) {
    double cost = shape_.cost[cut.size];
    for (int k = 0; k < cut.size; ++k) {
      if (is_gate(cut.leaf[k]) && references_[cut.leaf[k]]++ == 0) cost += reference(best_[cut.leaf[k]]);
    }
    return cost;
  }
  void dereference(const Cut& cut) {
    for (int k = 0; k < cut.size; ++k) {
      if (is_gate(cut.leaf[k]) && --references_[cut.leaf[k]] == 0) dereference(best_[cut.leaf[k]]);
    }
  }

  /// References from scratch.
  void refer() {
    std::fill(references_.begin(), references_.end(), 0);
    for (const std::uint32_t node : wanted_) references_[node] = 1;
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      if (references_[i] == 0) continue;
      for (int k = 0; k < best_[i].size; ++k) {
        if (is_gate(best_[i].leaf[k])) ++references_[best_[i].leaf[k]];
      }
    }
  }

  /// The depth that every node may have without making the whole deeper.
  void require() {
    int deepest = 0;
    for (const std::uint32_t node : wanted_) deepest = std::max(deepest, best_[node].depth);
    deepest_ = deepest_ < 0 ? deepest : std::max(deepest, deepest_);
    std::fill(required_.begin(), required_.end(), kUnbounded);
    for (const std::uint32_t node : wanted_) required_[node] = deepest_;
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      if (references_[i] == 0) continue;
      for (int k = 0; k < best_[i].size; ++k) {
        int& limit = required_[best_[i].leaf[k]];
        limit = std::min(limit, required_[i] - 1);
      }
    }
  }

  const Gates& gates_;
  const std::vector<Gates::Node>& nodes_;
  const LutShape& shape_;
  std::vector<std::uint32_t> wanted_;
  std::vector<bool> live_;
  std::vector<std::uint32_t> fanout_;
  std::vector<Cut> best_;
  std::vector<int> required_;
  std::vector<int> references_;
  std::vector<std::size_t> first_;
  std::vector<Cut> pool_;
  std::vector<Cut> scratch_;
  std::array<std::vector<Cut>, 3> offers_;
  int deepest_ = -1;
};

}  // namespace

LutShape six_input_luts() { return {{0, 2, 2, 3, 5, 5, 5, 10, 20}}; }

LutCover cover(const Gates& gates, const std::vector<std::uint32_t>& wanted, const LutShape& shape) {
  return Cover(gates, wanted, shape).run();
}

}  // namespace weft::netlist
