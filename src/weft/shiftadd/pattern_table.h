// SPDX-License-Identifier: Apache-2.0
/// @file
/// Counts of two-term patterns, and a queue that yields them best first.
#pragma once

#include <cstdint>
#include <vector>

namespace weft::shiftadd {

/// A pattern `first + sign * second * 2^shift` over symbols; canonical: first < second, or equal with shift > 0.
struct Pattern {
  std::int32_t first = 0;
  std::int32_t second = 0;
  int shift = 0;
  bool negative = false;  ///< relative sign

  [[nodiscard]] std::uint64_t key() const {
    return (static_cast<std::uint64_t>(first) << 36) | (static_cast<std::uint64_t>(second) << 12) |
           (static_cast<std::uint64_t>(shift + 1024) << 1) | static_cast<std::uint64_t>(negative);
  }
  static Pattern from_key(std::uint64_t key) {
    return {static_cast<std::int32_t>(key >> 36), static_cast<std::int32_t>((key >> 12) & 0xffffff),
            static_cast<int>((key >> 1) & 0x7ff) - 1024, (key & 1) != 0};
  }
};
/// Symbols must stay below this number so that a pattern fits a key.
inline constexpr std::int64_t kMaxSymbols = std::int64_t{1} << 24;

inline std::uint64_t hash_key(std::uint64_t key) {
  key *= 0x9e3779b97f4a7c15ULL;
  return key ^ (key >> 29);
}

/// Open addressing; a key is never removed one by one, but growing drops all counts below 2.
class PatternTable {
 public:
  PatternTable() { reset(1024); }

  void insert(std::uint64_t key, std::uint32_t count) {
    if (used_ * 2 >= slots_.size()) grow();
    put(key, count);
  }
  /// The stored count, or 0.
  [[nodiscard]] std::uint32_t count(std::uint64_t key) const {
    const std::size_t at = find(key);
    return slots_[at].key == key ? slots_[at].count : 0;
  }
  void decrement(std::uint64_t key) {
    const std::size_t at = find(key);
    if (slots_[at].key == key && slots_[at].count > 0) --slots_[at].count;
  }
  void prefetch(std::uint64_t key) const { __builtin_prefetch(&slots_[hash_key(key) & mask_]); }
  void erase(std::uint64_t key) {
    const std::size_t at = find(key);
    if (slots_[at].key == key) slots_[at].count = 0;
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kEmpty;
    std::uint32_t count = 0;
  };
  void reset(std::size_t size) {
    slots_.assign(size, Slot{});
    mask_ = size - 1;
    used_ = 0;
  }
  [[nodiscard]] std::size_t find(std::uint64_t key) const {
    std::size_t at = hash_key(key) & mask_;
    while (slots_[at].key != key && slots_[at].key != kEmpty) at = (at + 1) & mask_;
    return at;
  }
  void put(std::uint64_t key, std::uint32_t count) {
    const std::size_t at = find(key);
    if (slots_[at].key == kEmpty) ++used_;
    slots_[at] = {key, count};
  }
  void grow() {
    std::vector<Slot> old;
    old.swap(slots_);
    std::size_t live = 0;
    for (const Slot& slot : old) live += slot.count >= 2 ? 1 : 0;
    std::size_t size = 1024;
    while (size < live * 4) size *= 2;
    reset(size);
    for (const Slot& slot : old) {
      if (slot.key != kEmpty && slot.count >= 2) put(slot.key, slot.count);
    }
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t used_ = 0;
};

/// Buckets of equal integer score; last in, first out within a bucket.
class BucketQueue {
 public:
  void push(std::uint32_t score, std::uint64_t key) {
    if (score >= buckets_.size()) buckets_.resize(score + 1);
    buckets_[score].push_back(key);
    if (score > top_) top_ = score;
  }
  /// False when empty.
  bool pop(std::uint32_t& score, std::uint64_t& key) {
    while (top_ < buckets_.size() && buckets_[top_].empty()) {
      if (top_ == 0) return false;
      --top_;
    }
    if (buckets_.empty()) return false;
    score = top_;
    key = buckets_[top_].back();
    buckets_[top_].pop_back();
    return true;
  }

 private:
  std::vector<std::vector<std::uint64_t>> buckets_;
  std::uint32_t top_ = 0;
};

}  // namespace weft::shiftadd
