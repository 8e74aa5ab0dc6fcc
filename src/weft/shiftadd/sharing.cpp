// SPDX-License-Identifier: Apache-2.0
// Greedy two-term sharing (Hartley 1996 on signed digits, with the depth kept by Kraft's inequality).
//
// A row is a multiset of digits +-symbol * 2^shift. A pattern is two symbols, their relative shift and sign. Counts are
// kept exactly while digits disappear; a new symbol only appears together with all its digits, so every count only
// falls. Hence patterns seen less than twice are never stored, and a queue entry whose score is out of date is too high
// and can be put back lower when it comes up. Each accepted pattern removes at least two digits net of one node; that
// bounds the number of steps.
#include "weft/shiftadd/sharing.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "weft/shiftadd/pattern_table.h"

namespace weft::shiftadd {
namespace {

struct Digit {
  std::int32_t symbol = 0;
  std::int16_t shift = 0;
  bool negative = false;
};

/// Where a symbol occurs.
struct Occurrence {
  std::int32_t row = 0;
  std::int16_t shift = 0;
  bool negative = false;
  [[nodiscard]] bool before(std::int32_t other_row, int other_shift) const {
    return row < other_row || (row == other_row && shift < other_shift);
  }
};

struct Symbol {
  Term term;
  BitSpan span;  ///< of the term's value
  int slot = 0;
  std::int32_t block = 0;
  std::int32_t origin = 0;        ///< as SharedPattern names operands
  std::vector<Occurrence> where;  ///< by row, then shift
};

/// The digits of one row whose symbols belong to one block; patterns never leave a block.
struct SharedRow {
  std::vector<Digit> digits;
};

/// Counts of the patterns of one new symbol; cleared after each use.
class Scratch {
 public:
  Scratch() : slots_(1024) {}
  void add(std::uint64_t key) {
    if (order_.size() * 2 >= slots_.size()) grow();
    Entry& entry = slots_[find(key)];
    if (entry.count == 0) {
      entry.key = key;
      order_.push_back(key);
    }
    ++entry.count;
  }
  template <class Visit>
  void drain(const Visit& visit) {
    for (const std::uint64_t key : order_) visit(key, slots_[find(key)].count);
    if (order_.size() * 8 > slots_.size()) {
      std::fill(slots_.begin(), slots_.end(), Entry{});
    } else {
      // Probing needs the neighbours, so all slots are located before any is cleared.
      places_.clear();
      for (const std::uint64_t key : order_) places_.push_back(find(key));
      for (const std::size_t place : places_) slots_[place] = Entry{};
    }
    order_.clear();
  }

 private:
  struct Entry {
    std::uint64_t key = 0;
    std::uint32_t count = 0;
  };
  [[nodiscard]] std::size_t find(std::uint64_t key) const {
    std::size_t at = hash_key(key) & (slots_.size() - 1);
    while (slots_[at].count != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  void grow() {
    std::vector<Entry> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Entry& entry : old) {
      if (entry.count != 0) slots_[find(entry.key)] = entry;
    }
  }
  std::vector<Entry> slots_;
  std::vector<std::uint64_t> order_;
  std::vector<std::size_t> places_;
};

class Sharer {
 public:
  Sharer(AdderGraph& graph, std::vector<Row>& rows, const SharingOptions& options)
      : graph_(graph), rows_out_(rows), options_(options), slots_per_level_(graph.clock().of_levels(1)) {}

  bool run(const Context& ctx) {
    load();
    if (!count_initial(ctx)) return false;
    replay();
    std::uint32_t score = 0;
    std::uint64_t key = 0;
    std::uint64_t steps = 0;
    while (queue_.pop(score, key)) {
      if ((++steps & 15) == 0 && ctx.cancelled()) return false;
      const std::uint32_t count = table_.count(key);
      if (count < 2) continue;
      const Pattern pattern = Pattern::from_key(key);
      const std::uint32_t bound = score_of(pattern, key, count);
      if (bound == 0) continue;
      if (bound < score) {
        queue_.push(bound, key);
        continue;
      }
      collect(pattern);
      if (matches_.size() < 2) {
        table_.erase(key);
        continue;
      }
      const std::uint32_t actual = score_of(pattern, key, static_cast<std::uint32_t>(matches_.size()));
      if (actual < score) {
        if (actual > 0) queue_.push(actual, key);
        continue;
      }
      if (static_cast<std::int64_t>(symbols_.size()) + 1 >= kMaxSymbols) break;
      substitute(pattern, key);
    }
    store();
    return true;
  }

  [[nodiscard]] std::vector<SharedPattern> shared() && { return std::move(made_); }

 private:
  void load() {
    // Symbols are the distinct operands in order of their node.
    std::vector<std::int32_t> nodes;
    for (const Row& row : rows_out_) {
      for (const Term& term : row.terms) nodes.push_back(term.operand);
    }
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    for (const std::int32_t node : nodes) add_symbol({node, 0, false}, node);
    choose_blocks();
    rows_.resize(rows_out_.size() * static_cast<std::size_t>(blocks_));
    budgets_.reserve(rows_out_.size());
    for (std::size_t r = 0; r < rows_out_.size(); ++r) {
      budgets_.emplace_back(*rows_out_[r].plans);
      if (rows_out_[r].constant != 0) budgets_[r].add(0);
      if (rows_out_[r].late) budgets_[r].add(*rows_out_[r].late);
      for (const Term& term : rows_out_[r].terms) {
        const auto symbol =
            static_cast<std::int32_t>(std::lower_bound(nodes.begin(), nodes.end(), term.operand) - nodes.begin());
        const auto row = static_cast<std::int32_t>(r) * blocks_ + symbol_of(symbol).block;
        const Digit digit{symbol, static_cast<std::int16_t>(term.shift), term.negate};
        rows_[static_cast<std::size_t>(row)].digits.push_back(digit);
        symbol_of(symbol).where.push_back({row, digit.shift, digit.negative});
        budgets_[r].add(symbol_of(symbol).slot);
      }
    }
    for (Symbol& symbol : symbols_) {
      std::sort(symbol.where.begin(), symbol.where.end(),
                [](const Occurrence& x, const Occurrence& y) { return x.before(y.row, y.shift); });
    }
  }

  void store() {
    for (Row& row : rows_out_) row.terms.clear();
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      for (const Digit& digit : rows_[r].digits) {
        const Term& base = symbols_[static_cast<std::size_t>(digit.symbol)].term;
        rows_out_[r / static_cast<std::size_t>(blocks_)].terms.push_back(
            {base.operand, base.shift + digit.shift, base.negate != digit.negative});
      }
    }
  }

  TimeBudget& budget_of(std::int32_t row) { return budgets_[static_cast<std::size_t>(row / blocks_)]; }
  Symbol& symbol_of(std::int32_t index) { return symbols_[static_cast<std::size_t>(index)]; }

  std::int32_t add_symbol(const Term& term, std::int32_t origin) {
    Symbol symbol;
    symbol.term = term;
    symbol.origin = origin;
    symbol.span = graph_.span(term.operand);
    symbol.span.lsb += term.shift;
    symbol.span.msb += term.shift;
    symbol.slot = graph_.slot(term.operand);
    symbol_of_node_[term.operand] = static_cast<std::int32_t>(symbols_.size());
    symbols_.push_back(std::move(symbol));
    return static_cast<std::int32_t>(symbols_.size() - 1);
  }

  static std::uint64_t key_of(const Digit& x, const Digit& y) {
    const bool x_first = x.symbol < y.symbol || (x.symbol == y.symbol && x.shift < y.shift);
    const Digit& first = x_first ? x : y;
    const Digit& second = x_first ? y : x;
    return Pattern{first.symbol, second.symbol, second.shift - first.shift, x.negative != y.negative}.key();
  }

  /// Count times the worth of one occurrence, as an integer; 0 means not worth an adder.
  std::uint32_t score_of(const Pattern& pattern, std::uint64_t key, std::uint32_t count) const {
    const Symbol& a = symbols_[static_cast<std::size_t>(pattern.first)];
    const Symbol& b = symbols_[static_cast<std::size_t>(pattern.second)];
    const int low_b = b.span.lsb + pattern.shift;
    const int top_b = b.span.msb + pattern.shift;
    const int overlap = std::max(1, std::min(a.span.msb, top_b) - std::max(a.span.lsb, low_b));
    const int added = std::max(1, std::max(a.span.msb, top_b) + 1 - std::max(a.span.lsb, low_b));
    double score = 0.0;
    const double saved = static_cast<double>(count) * options_.worth - 1.0;
    if (saved <= 0.0) return 0;
    switch (options_.score) {
      case SharingOptions::Score::Overlap:
        score = static_cast<double>(count) * overlap;
        break;
      case SharingOptions::Score::Saved:
        score = saved * added;
        break;
      case SharingOptions::Score::Count:
        score = static_cast<double>(count) + overlap / 64.0;
        break;
      case SharingOptions::Score::Mixed:
        score = saved * (added + overlap) * 0.5;
        break;
    }
    score -= options_.slack_price * std::abs(a.slot - b.slot) / slots_per_level_;
    if (options_.noise > 0.0) {
      const double u = static_cast<double>(hash_key(key ^ options_.seed) >> 11) * 0x1.0p-53;
      score *= 1.0 + options_.noise * (u - 0.5);
    }
    return static_cast<std::uint32_t>(std::clamp(score * 16.0, 1.0, 4.0e6));
  }

  /// Each symbol against itself and the later ones, along its rows, so that the work follows the digits and not the
  /// symbols.
  /// False when cancelled: large matrices take half a minute here.
  bool count_initial(const Context& ctx) {
    const auto count = static_cast<std::int32_t>(symbols_.size());
    for (std::int32_t s = 0; s < count; ++s) {
      if (ctx.cancelled()) return false;
      count_pairs_of(s, [s](std::int32_t other) { return other > s; });
    }
    return true;
  }

  /// When the sum of the pattern's terms is there, as far as can be said before it is added.
  [[nodiscard]] int ready_of(const Symbol& a, const Symbol& b, int shift) const {
    const int width = std::max(a.span.msb, b.span.msb + shift) + 1 - std::min(a.span.lsb, b.span.lsb + shift);
    return std::max(a.slot, b.slot) + graph_.clock().adder(2, width);
  }

  /// Blocks of consecutive symbols so that the number of possible patterns stays below the limit.
  void choose_blocks() {
    double pairs = 0.0;
    int lo = 0;
    int hi = 0;
    for (const Row& row : rows_out_) {
      pairs += static_cast<double>(row.terms.size()) * static_cast<double>(row.terms.size()) / 2;
      for (const Term& term : row.terms) {
        lo = std::min(lo, term.shift);
        hi = std::max(hi, term.shift);
      }
    }
    const double spread = 4.0 * (hi - lo) + 2.0;  // (relative shift, sign) of a pair of symbols, at most
    const auto n = static_cast<double>(symbols_.size());
    const double patterns = std::min(pairs / 2, n * n / 2 * spread);
    const double wanted = std::ceil(patterns / static_cast<double>(options_.max_patterns));
    if (wanted <= 1.0) return;
    const double size = std::max(1.0, std::ceil(n / wanted));
    for (std::size_t s = 0; s < symbols_.size(); ++s) {
      symbols_[s].block = static_cast<std::int32_t>(static_cast<double>(s) / size);
      blocks_ = symbols_[s].block + 1;
    }
  }

  /// Offers the patterns of one symbol that are seen twice; other symbols only where `wanted`.
  template <class Wanted>
  void count_pairs_of(std::int32_t symbol, const Wanted& wanted) {
    for (const Occurrence& at : symbol_of(symbol).where) {
      const Digit mine{symbol, at.shift, at.negative};
      for (const Digit& other : rows_[static_cast<std::size_t>(at.row)].digits) {
        if (other.symbol == symbol ? other.shift > mine.shift : wanted(other.symbol)) scratch_.add(key_of(mine, other));
      }
    }
    scratch_.drain([&](std::uint64_t key, std::uint32_t count) {
      if (count >= 2) offer(key, count);
    });
  }

  void offer(std::uint64_t key, std::uint32_t count) {
    const std::uint32_t score = score_of(Pattern::from_key(key), key, count);
    if (score == 0) return;
    table_.insert(key, count);
    queue_.push(score, key);
  }

  /// What stands in for the sum of a replayed pattern.
  struct Replayed {
    std::int32_t symbol = -1;  ///< none
    bool negated = false;      ///< it is the negated sum
  };

  /// Shares the patterns of options_.replay again, in their order.
  void replay() {
    std::vector<Replayed> replayed;
    replayed.reserve(options_.replay.size());
    const auto resolve = [&](std::int32_t origin) -> Replayed {
      if (origin < 0) return replayed[static_cast<std::size_t>(~origin)];
      const auto it = symbol_of_node_.find(origin);
      return it == symbol_of_node_.end() ? Replayed{} : Replayed{it->second, false};
    };
    for (const SharedPattern& wanted : options_.replay) {
      replayed.emplace_back();
      if (wanted.skip) continue;
      const Replayed a = resolve(wanted.first);
      const Replayed b = resolve(wanted.second);
      if (a.symbol < 0 || b.symbol < 0 || symbol_of(a.symbol).block != symbol_of(b.symbol).block) continue;
      const bool negative = wanted.negative != (a.negated != b.negated);
      const std::uint64_t key =
          key_of({a.symbol, 0, false}, {b.symbol, static_cast<std::int16_t>(wanted.shift), negative});
      const Pattern pattern = Pattern::from_key(key);
      collect(pattern);
      if (score_of(pattern, key, static_cast<std::uint32_t>(matches_.size())) == 0 || matches_.size() < 2) continue;
      if (static_cast<std::int64_t>(symbols_.size()) + 1 >= kMaxSymbols) break;
      const bool flip = substitute(pattern, key);
      // The sign of the first operand, then and now.
      const bool swapped = pattern.first != a.symbol;
      const bool now = (flip != (swapped && negative)) != a.negated;
      replayed.back() = {static_cast<std::int32_t>(symbols_.size()) - 1, now != wanted.flip};
    }
  }

  /// Fills matches_ with disjoint occurrences of the pattern that their rows' depth allows.
  void collect(const Pattern& pattern) {
    matches_.clear();
    const Symbol& a = symbols_[static_cast<std::size_t>(pattern.first)];
    const Symbol& b = symbols_[static_cast<std::size_t>(pattern.second)];
    const bool same = pattern.first == pattern.second;
    if (same) taken_.assign(a.where.size(), false);
    const int ready = ready_of(a, b, pattern.shift);
    std::int32_t row = -1;
    TimeBudget budget;
    std::size_t j = 0;
    for (std::size_t i = 0; i < a.where.size(); ++i) {
      const Occurrence& x = a.where[i];
      if (same && taken_[i]) continue;
      const int wanted = x.shift + pattern.shift;
      while (j < b.where.size() && b.where[j].before(x.row, wanted)) ++j;
      if (j == b.where.size()) break;
      const Occurrence& y = b.where[j];
      if (y.row != x.row || y.shift != wanted || (x.negative != y.negative) != pattern.negative) continue;
      if (same && (taken_[j] || i == j)) continue;
      if (x.row != row) {
        row = x.row;
        budget = budget_of(row);
      }
      if (!budget.allows({a.slot, b.slot}, ready)) continue;
      budget.replace({a.slot, b.slot}, ready);
      if (same) taken_[i] = taken_[j] = true;
      matches_.push_back({i, j});
    }
  }

  /// Replaces matches_ by a new symbol, the last one, and tells whether that is the negated pattern.
  bool substitute(const Pattern& pattern, std::uint64_t key) {
    std::size_t negative = 0;
    for (const auto& [i, j] : matches_) negative += symbol_of(pattern.first).where[i].negative ? 1 : 0;
    // a - b or b - a: the orientation that leaves fewer negated digits, as a row of negated terms only needs a
    // negation.
    const bool flip = pattern.negative && negative * 2 > matches_.size();
    const Symbol& first = symbol_of(pattern.first);
    const Symbol& second = symbol_of(pattern.second);
    const int base = std::min(0, pattern.shift);
    // Terms of value sign * first + sign' * second 2^shift, scaled so that shifts are not negative.
    const Term a{first.term.operand, first.term.shift - base, first.term.negate != flip};
    const Term b{second.term.operand, second.term.shift + pattern.shift - base,
                 second.term.negate != (flip != pattern.negative)};
    const Term sum = add(a, b);
    const std::int32_t block = first.block;
    const int slot_a = first.slot;
    const int slot_b = second.slot;
    made_.push_back({first.origin, second.origin, pattern.shift, pattern.negative, flip});
    const std::int32_t fresh = add_symbol(sum, ~static_cast<std::int32_t>(made_.size() - 1));  // first, second are gone
    symbol_of(fresh).block = block;

    std::vector<Occurrence> created;
    created.reserve(matches_.size());
    for (const auto& [i, j] : matches_) {
      Occurrence& x = symbol_of(pattern.first).where[i];
      Occurrence& y = symbol_of(pattern.second).where[j];
      SharedRow& row = rows_[static_cast<std::size_t>(x.row)];
      budget_of(x.row).replace({slot_a, slot_b}, symbol_of(fresh).slot);
      const Digit digit_x{pattern.first, x.shift, x.negative};
      const Digit digit_y{pattern.second, y.shift, y.negative};
      remove(row, digit_x, digit_y);
      const Digit digit{fresh, static_cast<std::int16_t>(x.shift + base), x.negative != flip};
      row.digits.push_back(digit);
      created.push_back({x.row, digit.shift, digit.negative});
      x.row = y.row = -1 - x.row;  // marks removal
    }
    const auto gone = [](const Occurrence& at) { return at.row < 0; };
    std::erase_if(symbol_of(pattern.first).where, gone);
    std::erase_if(symbol_of(pattern.second).where, gone);
    symbol_of(fresh).where = std::move(created);
    table_.erase(key);
    count_pairs_of(fresh, [](std::int32_t) { return true; });
    // Occurrences may remain (overlapping or too deep ones); what is left is not worth a second node.
    return flip;
  }

  /// The sum of both, where possible in one three-input adder with what one of them is made of.
  Term add(const Term& a, const Term& b) {
    node_uses_.resize(graph_.nodes().size() + 1, 0);
    if (graph_.clock().has_ternary()) {
      for (const bool swap : {false, true}) {
        const Term& inner = swap ? b : a;
        const Term& outer = swap ? a : b;
        const Node& node = graph_.node(inner.operand);
        if (node.terms() != 2 || a.operand == b.operand || !is_taken_whole(inner.operand)) continue;
        const Term terms[] = {{node.a.operand, node.a.shift + inner.shift, node.a.negate != inner.negate},
                              {node.b.operand, node.b.shift + inner.shift, node.b.negate != inner.negate},
                              outer};
        for (const Term& term : terms) ++node_uses_[static_cast<std::size_t>(term.operand)];
        return graph_.add(terms);
      }
    }
    ++node_uses_[static_cast<std::size_t>(a.operand)];
    ++node_uses_[static_cast<std::size_t>(b.operand)];
    return graph_.add(a, b);
  }

  /// Whether the pattern being replaced takes all occurrences of a node that no other node uses.
  [[nodiscard]] bool is_taken_whole(std::int32_t node) const {
    if (node_uses_[static_cast<std::size_t>(node)] > 0) return false;
    const auto it = symbol_of_node_.find(node);
    return it != symbol_of_node_.end() &&
           symbols_[static_cast<std::size_t>(it->second)].where.size() == matches_.size();
  }

  /// Takes two digits out of a row and their pairs out of the table.
  void remove(SharedRow& row, const Digit& x, const Digit& y) {
    keys_.clear();
    std::size_t kept = 0;
    for (std::size_t d = 0; d < row.digits.size(); ++d) {
      const Digit digit = row.digits[d];
      const bool is_x = digit.symbol == x.symbol && digit.shift == x.shift;
      const bool is_y = digit.symbol == y.symbol && digit.shift == y.shift;
      if (is_x || is_y) continue;
      row.digits[kept++] = digit;
      keys_.push_back(key_of(x, digit));
      keys_.push_back(key_of(y, digit));
    }
    row.digits.resize(kept);
    constexpr std::size_t kAhead = 8;
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      if (k + kAhead < keys_.size()) table_.prefetch(keys_[k + kAhead]);
      table_.decrement(keys_[k]);
    }
  }

  AdderGraph& graph_;
  std::vector<Row>& rows_out_;
  const SharingOptions& options_;
  std::vector<Symbol> symbols_;
  std::vector<SharedRow> rows_;      ///< row * blocks_ + block
  std::vector<TimeBudget> budgets_;  ///< by row
  std::vector<SharedPattern> made_;
  int slots_per_level_;
  std::int32_t blocks_ = 1;
  PatternTable table_;
  BucketQueue queue_;
  Scratch scratch_;
  std::vector<std::pair<std::size_t, std::size_t>> matches_;
  std::vector<bool> taken_;
  std::vector<std::uint64_t> keys_;
  std::vector<std::int32_t> node_uses_;                            ///< by other nodes
  std::unordered_map<std::int32_t, std::int32_t> symbol_of_node_;  ///< the last one
};

}  // namespace

std::optional<std::vector<SharedPattern>> share_subexpressions(AdderGraph& graph, std::vector<Row>& rows,
                                                               const SharingOptions& options, const Context& ctx) {
  Sharer sharer(graph, rows, options);
  if (!sharer.run(ctx)) return std::nullopt;
  return std::move(sharer).shared();
}

}  // namespace weft::shiftadd
