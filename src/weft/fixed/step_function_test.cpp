// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/step_function.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <set>

#include "weft/diag/diag.h"
#include "weft/fixed/quantize.h"

namespace weft::fixed {
namespace {

using Rng = std::mt19937;

int between(Rng& random, int lo, int hi) {
  return lo + static_cast<int>(random() % static_cast<unsigned>(hi - lo + 1));
}

ShiftRound random_shift(Rng& random) {
  ShiftRound f;
  f.shift = between(random, -2, 5);
  f.rounding = static_cast<Rounding>(random() % 9);
  f.overflow = static_cast<Overflow>(random() % 5);
  if (f.overflow == Overflow::Sat) {
    f.lo = between(random, -10, 2);
    f.hi = f.lo + between(random, 0, 20);
    return f;
  }
  f.width_bits = between(random, 1, 5);
  f.is_signed = f.overflow == Overflow::WrapSm || random() % 2 == 0;
  f.saturation_bits = random() % 2 == 0 ? 0 : between(random, 0, f.width_bits);
  const FixedType type{.width_bits = f.width_bits, .integer_bits = f.width_bits, .is_signed = f.is_signed};
  f.lo = min_code(type);
  f.hi = max_code(type);
  return f;
}

Pieces random_pieces(Rng& random) {
  Pieces f;
  std::set<int> breakpoints;
  for (int n = between(random, 0, 8); n > 0; --n) breakpoints.insert(between(random, -60, 60));
  for (const int b : breakpoints) f.breakpoints.push_back(b);
  for (std::size_t i = 0; i <= breakpoints.size(); ++i) f.values.push_back(between(random, -6, 6));
  return f;
}

StepFunction random_function(Rng& random) {
  if (random() % 2 == 0) return random_shift(random);
  return random_pieces(random);
}

Range random_range(Rng& random) {
  const int step = between(random, 0, 3);
  const int lo = between(random, -64 >> step, 64 >> step);
  const int hi = between(random, lo, 64 >> step);
  return {lo * (1 << step), hi * (1 << step), step};
}

std::vector<int> reachable(const Range& x) {
  std::vector<int> out;
  for (int v = static_cast<int>(x.lo); v <= static_cast<int>(x.hi); v += 1 << x.step_log2) out.push_back(v);
  return out;
}

TEST(Evaluate, FollowsTheDefinition) {
  Rng random(1);
  for (int i = 0; i < 3000; ++i) {
    const auto function = random_function(random);
    ASSERT_TRUE(is_valid(function));
    for (int x = -64; x <= 64; ++x) {
      Int expected = 0;
      if (const auto* f = std::get_if<ShiftRound>(&function)) {
        if (f->overflow == Overflow::Sat) {
          const Int y = round_shift(x, f->shift, f->rounding);
          expected = y < f->lo ? f->lo : y > f->hi ? f->hi : y;
        } else {
          expected = cast(x, f->shift,
                          {.width_bits = f->width_bits,
                           .integer_bits = f->width_bits,
                           .is_signed = f->is_signed,
                           .rounding = f->rounding,
                           .overflow = f->overflow,
                           .saturation_bits = f->saturation_bits});
        }
      } else {
        const auto& p = std::get<Pieces>(function);
        std::size_t n = 0;
        for (const Int b : p.breakpoints) n += b <= x ? 1 : 0;
        expected = p.values[n];
      }
      ASSERT_EQ(evaluate(function, x), expected) << to_string(function) << " at " << x;
    }
  }
}

TEST(Evaluate, SaturatesFarOutside) {
  const ShiftRound f{.shift = -100, .lo = -5, .hi = 9};
  EXPECT_EQ(evaluate(f, Int{1} << 100), 9);
  EXPECT_EQ(evaluate(f, -(Int{1} << 100)), -5);
  EXPECT_EQ(evaluate(f, 0), 0);
  EXPECT_EQ(evaluate(ShiftRound{.shift = -4000, .lo = -5, .hi = 9}, -1), -5);
}

TEST(RangeOf, HoldsAllResultsAndReachesItsEnds) {
  Rng random(2);
  for (int i = 0; i < 6000; ++i) {
    const auto function = random_function(random);
    const auto x = random_range(random);
    std::set<int> results;
    for (const int v : reachable(x)) results.insert(static_cast<int>(evaluate(function, v)));
    const auto range = range_of(function, x);
    // These ranges are small enough for the exact answer.
    ASSERT_EQ(range.lo, *results.begin()) << to_string(function);
    ASSERT_EQ(range.hi, *results.rbegin()) << to_string(function);
    for (const int y : results) ASSERT_GE(trailing_zeros(y), range.step_log2) << to_string(function);
  }
}

TEST(RangeOf, KeepsTheGrid) {
  const ShiftRound shift{.shift = 2, .lo = -1000, .hi = 1000};
  EXPECT_EQ(range_of(shift, {-64, 64, 5}), (Range{-16, 16, 3}));
  EXPECT_EQ(range_of(shift, {-64, 64, 0}), (Range{-16, 16, 0}));
  EXPECT_EQ(range_of(ShiftRound{.shift = -3, .lo = -1000, .hi = 1000}, {-4, 5, 0}), (Range{-32, 40, 3}));
  // Clipping at 1001 leaves the grid.
  EXPECT_EQ(range_of(ShiftRound{.shift = -3, .lo = -1001, .hi = 1001}, {-400, 500, 0}), (Range{-1001, 1001, 0}));
  EXPECT_EQ(range_of(Pieces{{0}, {-8, 16}}, {-5, 5, 0}), (Range{-8, 16, 3}));
  EXPECT_EQ(range_of(Pieces{{0}, {0, 0}}, {-5, 5, 0}), Range{});
  EXPECT_THROW(range_of(shift, {3, 5, 3}), diag::InternalError);
}

/// Wide wraps are bounded, not enumerated: still sound.
TEST(RangeOf, BoundsWideFoldings) {
  Rng random(3);
  for (int i = 0; i < 300; ++i) {
    auto f = random_shift(random);
    const Range x{between(random, -90000, 0), between(random, 1, 90000), 0};
    const auto range = range_of(f, x);
    for (int v = static_cast<int>(x.lo); v <= static_cast<int>(x.hi); v += 7) {
      const Int y = evaluate(f, v);
      ASSERT_TRUE(y >= range.lo && y <= range.hi && trailing_zeros(y) >= range.step_log2) << to_string(StepFunction(f));
    }
    EXPECT_GE(range.lo, std::min(f.lo, Int{0}));
    EXPECT_LE(range.hi, std::max(f.hi, Int{0}));
  }
}

/// A function with known monotone parts, as a table.
struct Table {
  int lo = 0;
  std::vector<int> values;
  std::vector<Int> turning_points;
  [[nodiscard]] Int operator()(Int x) const { return values.at(static_cast<std::size_t>(x - lo)); }
};

Table random_table(Rng& random) {
  Table t;
  t.lo = between(random, -300, 300);
  const int parts = between(random, 1, 5);
  for (int p = 0; p < parts; ++p) {
    if (p > 0) t.turning_points.push_back(t.lo + static_cast<int>(t.values.size()));
    const int sign = random() % 2 == 0 ? 1 : -1;
    int value = between(random, -20, 20);
    for (int n = between(random, 1, 80); n > 0; --n) {
      t.values.push_back(value);
      if (random() % 5 == 0) value += sign * between(random, 1, 3);
    }
  }
  return t;
}

TEST(PiecesOf, EqualsBruteForce) {
  Rng random(4);
  for (int i = 0; i < 3000; ++i) {
    const auto table = random_table(random);
    const int hi = table.lo + static_cast<int>(table.values.size()) - 1;
    Pieces expected{{}, {table.values.front()}};
    for (std::size_t k = 1; k < table.values.size(); ++k) {
      if (table.values[k] == table.values[k - 1]) continue;
      expected.breakpoints.push_back(table.lo + static_cast<int>(k));
      expected.values.push_back(table.values[k]);
    }
    ASSERT_EQ(pieces_of(table, table.lo, hi, table.turning_points), expected);
    EXPECT_EQ(pieces_of(table, table.lo, hi, table.turning_points, expected.values.size()), expected);
    EXPECT_FALSE(pieces_of(table, table.lo, hi, table.turning_points, expected.values.size() - 1).has_value());
  }
}

TEST(PiecesOf, CallsTheFunctionRarely) {
  long long calls = 0;
  const Int lo = -(Int{1} << 100);
  const Int hi = Int{1} << 100;
  const auto f = [&](Int x) {
    ++calls;
    return floor_shift(x, 97);
  };
  const auto pieces = pieces_of(f, lo, hi, {});
  EXPECT_EQ(pieces.values.size(), 17U);
  for (const Int b : pieces.breakpoints) EXPECT_EQ(trailing_zeros(b) >= 97, true);
  EXPECT_LT(calls, 17 * 230);
}

TEST(PiecesOf, WorksOverAll128Bits) {
  const auto f = [](Int x) { return Int{x >= 5 ? 1 : 0}; };
  const auto pieces = pieces_of(f, std::numeric_limits<Int>::min(), std::numeric_limits<Int>::max(), {});
  EXPECT_EQ(pieces, (Pieces{{5}, {0, 1}}));
}

TEST(Restrict, KeepsTheReachableValues) {
  Rng random(5);
  for (int i = 0; i < 6000; ++i) {
    const auto function = random_function(random);
    const auto x = random_range(random);
    const auto restricted = restrict(function, x);
    std::set<Int> results;
    for (const int v : reachable(x)) {
      ASSERT_EQ(evaluate(restricted, v), evaluate(function, v)) << to_string(function) << " at " << v;
      results.insert(evaluate(function, v));
    }
    if (const auto* f = std::get_if<ShiftRound>(&restricted)) {
      EXPECT_EQ(f->lo, *results.begin());
      EXPECT_EQ(f->hi, *results.rbegin());
    } else {
      const auto& p = std::get<Pieces>(restricted);
      EXPECT_TRUE(is_valid(p));
      for (const Int v : p.values) EXPECT_TRUE(results.contains(v));
    }
  }
}

TEST(ToPieces, EqualsTheFunctionAndCountsItsPieces) {
  Rng random(6);
  for (int i = 0; i < 6000; ++i) {
    const auto function = random_function(random);
    const auto x = random_range(random);
    std::size_t changes = 1;
    const auto codes = reachable(x);
    for (std::size_t k = 1; k < codes.size(); ++k) {
      changes += evaluate(function, codes[k]) != evaluate(function, codes[k - 1]) ? 1 : 0;
    }
    const auto pieces = to_pieces(function, x, 1000);
    ASSERT_TRUE(pieces.has_value()) << to_string(function);
    ASSERT_TRUE(is_valid(*pieces));
    EXPECT_EQ(pieces->values.size(), changes) << to_string(function);
    for (const int v : codes)
      ASSERT_EQ(evaluate(*pieces, v), evaluate(function, v)) << to_string(function) << " at " << v;
    EXPECT_FALSE(to_pieces(function, x, changes - 1).has_value()) << to_string(function);
  }
}

TEST(ToPieces, GivesUpEarly) {
  const ShiftRound f{.shift = 1, .lo = -(Int{1} << 90), .hi = Int{1} << 90};
  EXPECT_FALSE(to_pieces(f, {-(Int{1} << 100), Int{1} << 100, 0}, 1000).has_value());
}

TEST(Text, RoundTrips) {
  Rng random(7);
  for (int i = 0; i < 3000; ++i) {
    const auto function = random_function(random);
    ASSERT_EQ(parse_step_function(to_string(function)), function) << to_string(function);
  }
  EXPECT_EQ(to_string(StepFunction(ShiftRound{.shift = 5, .hi = 63})), "shift(5,RND_CONV,SAT,0,63)");
  EXPECT_EQ(to_string(StepFunction(Pieces{{-3, 4}, {0, 1, 7}})), "pieces([-3,4],[0,1,7])");
  EXPECT_EQ(parse_step_function(" pieces( [ -3 , 4 ] , [0,1, 7] ) "), StepFunction(Pieces{{-3, 4}, {0, 1, 7}}));
}

TEST(Text, RefusesWhatIsMalformed) {
  for (const char* text : {"",
                           "shift",
                           "shift(",
                           "shift()",
                           "shift(1,RND,SAT,0,1",
                           "shift(1,RND,SAT,1,0)",
                           "shift(1,RND,WRAP,0,1)",
                           "shift(1,RND,WRAP,0,1,200,s,0)",
                           "shift(1,RND,WRAP,0,1,8,x,0)",
                           "shift(1,RND,WRAP_SM,0,1,8,u,0)",
                           "shift(1,RND,WRAP,0,1,4,s,5)",
                           "shift(99999,RND,SAT,0,1)",
                           "shift(1,FOO,SAT,0,1)",
                           "shift(1,RND,SAT,0,1)x",
                           "pieces([],[])",
                           "pieces([1],[1])",
                           "pieces([2,1],[1,2,3])",
                           "pieces([1,1],[1,2,3])",
                           "pieces([1],[1,2]",
                           "pieces([1,],[1,2])",
                           "pieces([1 2],[1,2,3])",
                           "pieces([1],[1,99999999999999999999999999999999999999999])"}) {
    EXPECT_FALSE(parse_step_function(text).has_value()) << text;
  }
}

TEST(PiecesOf, IsStopped) {
  int calls = 0;
  int calls_at_stop = 0;
  const auto f = [&](Int x) {
    ++calls;
    return x / 3;
  };
  const auto stop = [&] {
    if (calls < 1000) return false;
    if (calls_at_stop == 0) calls_at_stop = calls;
    return true;
  };
  constexpr std::size_t kMost = std::size_t{1} << 20;
  EXPECT_EQ(pieces_of(f, 0, 100000, {}, kMost, stop), std::nullopt);
  EXPECT_GT(calls_at_stop, 0);
  EXPECT_EQ(calls, calls_at_stop);
  EXPECT_EQ(pieces_of(f, 0, 100000, {}, kMost, [] { return false; }), pieces_of(f, 0, 100000, {}, kMost));
}

}  // namespace
}  // namespace weft::fixed
