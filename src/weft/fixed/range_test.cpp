// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/range.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <set>
#include <vector>

namespace weft::fixed {
namespace {

/// Every code of a small range.
std::vector<long long> codes(const Range& r) {
  std::vector<long long> out;
  for (auto c = static_cast<long long>(r.lo); c <= static_cast<long long>(r.hi); c += 1LL << r.step_log2)
    out.push_back(c);
  return out;
}

std::vector<Range> small_ranges() {
  std::vector<Range> out;
  for (int step = 0; step <= 2; ++step) {
    for (int lo = -3; lo <= 2; ++lo) {
      for (int hi = lo; hi <= 3; ++hi)
        out.push_back({lo * (1 << step), hi * (1 << step), lo == 0 && hi == 0 ? 0 : step});
    }
  }
  return out;
}

/// The range holds every result, its ends are reached, and its grid is one.
void check(const std::optional<Range>& range, const std::set<long long>& results, bool tight_grid) {
  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(static_cast<long long>(range->lo), *results.begin());
  EXPECT_EQ(static_cast<long long>(range->hi), *results.rbegin());
  int zeros = 127;
  for (const auto r : results) zeros = std::min(zeros, trailing_zeros(r));
  if (results == std::set<long long>{0}) {
    EXPECT_EQ(range->step_log2, 0);
  } else if (tight_grid) {
    EXPECT_EQ(range->step_log2, zeros);
  } else {
    EXPECT_LE(range->step_log2, zeros);
  }
}

TEST(Range, BinaryOperationsHoldWhatIsReached) {
  const auto all = small_ranges();
  for (const auto& a : all) {
    for (const auto& b : all) {
      std::set<long long> sum;
      std::set<long long> difference;
      std::set<long long> product;
      std::set<long long> largest;
      std::set<long long> either;
      for (const auto x : codes(a)) {
        either.insert(x);
        for (const auto y : codes(b)) {
          sum.insert(x + y);
          difference.insert(x - y);
          product.insert(x * y);
          largest.insert(std::max(x, y));
          either.insert(y);
        }
      }
      check(add(a, b), sum, false);
      check(sub(a, b), difference, false);
      check(mul(a, b), product, false);
      check(max(a, b), largest, false);
      check(unite(a, b), either, false);
    }
  }
}

TEST(Range, ScalingKeepsTheGridExactly) {
  for (const auto& a : small_ranges()) {
    // Three neighbours on the grid make it the finest one known.
    if (codes(a).size() < 3) continue;
    for (int k = -6; k <= 6; ++k) {
      std::set<long long> results;
      for (const auto x : codes(a)) results.insert(x * k);
      check(scale(a, k), results, true);
    }
    std::set<long long> results;
    for (const auto x : codes(a)) results.insert(x * 8);
    check(shift_left(a, 3), results, true);
  }
}

TEST(Range, ZeroDoesNotRefineASum) {
  EXPECT_EQ(add({0, 0, 0}, {-8, 8, 3}), (Range{-8, 8, 3}));
  EXPECT_EQ(unite({0, 0, 0}, {8, 16, 3}), (Range{0, 16, 3}));
  EXPECT_EQ(add({16, 16, 0}, {0, 0, 0}), (Range{16, 16, 4}));
  EXPECT_EQ(mul({0, 0, 0}, {-8, 8, 3}), (Range{}));
}

TEST(Range, OverflowIsSaid) {
  const Int top = std::numeric_limits<Int>::max();
  const Range full{-top, top, 0};
  EXPECT_FALSE(add(full, {0, 1, 0}).has_value());
  EXPECT_FALSE(sub(full, {0, 2, 0}).has_value());
  EXPECT_FALSE(mul(full, {-2, 2, 0}).has_value());
  EXPECT_FALSE(scale(full, 2).has_value());
  EXPECT_FALSE(shift_left(full, 1).has_value());
  EXPECT_TRUE(add(full, {0, 0, 0}).has_value());
  EXPECT_EQ(scale(full, 0), Range{});
}

TEST(Range, WidthsCountTheSignOnlyWhenThereIsOne) {
  EXPECT_EQ(width_bits(Range{0, 255, 0}), 8);
  EXPECT_EQ(width_bits(Range{-1, 255, 0}), 9);
  EXPECT_EQ(width_bits(Range{-256, 0, 8}), 9);
  EXPECT_EQ(width_bits(Range{0, 0, 0}), 1);
}

}  // namespace
}  // namespace weft::fixed
