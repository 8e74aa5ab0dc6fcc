// SPDX-License-Identifier: Apache-2.0
#include "weft/exact/random_graph.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace weft::exact {
namespace {

TEST(RandomGraph, IsSound) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const auto graph = random_graph(seed);
    ASSERT_EQ(verify(graph), "") << "seed " << seed;
    ASSERT_FALSE(graph.outputs.empty());
    for (const auto& value : graph.values) {
      for (const auto& range : value.ranges) ASSERT_LE(width_bits(range), 24);
    }
  }
}

TEST(RandomGraph, IsDeterministic) {
  EXPECT_EQ(to_text(random_graph(7)), to_text(random_graph(7)));
  EXPECT_NE(to_text(random_graph(7)), to_text(random_graph(8)));
}

TEST(RandomGraph, ReachesEveryPrimitiveAndEveryMode) {
  std::set<std::string_view> primitives;
  std::map<fixed::Rounding, int> roundings;
  std::map<fixed::Overflow, int> overflows;
  int pieces = 0;
  int forced = 0;
  int per_channel = 0;
  int per_element = 0;
  std::set<InputConversion::Form> forms;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto graph = random_graph(seed);
    for (const auto& input : graph.inputs) forms.insert(input.conversion.form);
    for (const auto& value : graph.values) {
      primitives.insert(name_of(value.primitive));
      if (const auto* p = std::get_if<MatVec>(&value.primitive)) forced += p->accumulator ? 1 : 0;
      const auto* p = std::get_if<Requant>(&value.primitive);
      if (p == nullptr) continue;
      const auto last = static_cast<std::size_t>(value.shape.empty() ? 1 : value.shape.back());
      if (p->functions.size() > 1) ++(p->functions.size() == last ? per_channel : per_element);
      for (const auto& f : p->functions) {
        if (const auto* shift = std::get_if<fixed::ShiftRound>(&f)) {
          ++roundings[shift->rounding];
          ++overflows[shift->overflow];
        } else {
          ++pieces;
        }
      }
    }
  }
  EXPECT_EQ(primitives.size(), std::variant_size_v<Primitive>);
  EXPECT_EQ(roundings.size(), 9U);
  EXPECT_EQ(overflows.size(), 5U);
  EXPECT_EQ(forms.size(), 3U);
  EXPECT_GT(pieces, 50);
  EXPECT_GT(forced, 10);
  EXPECT_GT(per_channel, 10);
  EXPECT_GT(per_element, 10);
}

TEST(RandomGraph, HoldsTheOptions) {
  const RandomGraphOptions options{
      .max_width_bits = 12, .weight_bits = 3, .forced_accumulators = false, .every_overflow = false, .dense_layers = 3};
  int requants = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto graph = random_graph(seed, options);
    ASSERT_EQ(verify(graph), "") << "seed " << seed;
    EXPECT_EQ(graph.inputs.size(), 1U);
    for (const auto& value : graph.values) {
      for (const auto& range : value.ranges) ASSERT_LE(width_bits(range), 12);
      if (const auto* p = std::get_if<MatVec>(&value.primitive)) {
        EXPECT_FALSE(p->accumulator.has_value());
        for (const auto w : p->weights) EXPECT_LE(std::abs(w), 4);
      }
      if (const auto* p = std::get_if<Requant>(&value.primitive)) {
        ++requants;
        for (const auto& f : p->functions) {
          const auto* shift = std::get_if<fixed::ShiftRound>(&f);
          EXPECT_TRUE(shift == nullptr || shift->overflow == fixed::Overflow::Sat);
        }
      }
    }
  }
  EXPECT_GT(requants, 250);
}

TEST(RandomCodes, LieInTheRanges) {
  Random random(3);
  std::set<std::pair<bool, bool>> corners;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto graph = random_graph(seed);
    const auto codes = random_codes(graph, random);
    ASSERT_EQ(codes.size(), graph.inputs.size());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const auto& ranges = graph.at(graph.inputs[i].value).ranges;
      ASSERT_EQ(codes[i].size(), ranges.size());
      for (std::size_t e = 0; e < ranges.size(); ++e) {
        ASSERT_TRUE(codes[i][e] >= ranges[e].lo && codes[i][e] <= ranges[e].hi);
        corners.insert({codes[i][e] == ranges[e].lo, codes[i][e] == ranges[e].hi});
        if (graph.inputs[i].conversion.form == InputConversion::Form::Bipolar) {
          ASSERT_TRUE(codes[i][e] == 1 || codes[i][e] == -1);
        }
      }
    }
  }
  EXPECT_GE(corners.size(), 3U);
}

}  // namespace
}  // namespace weft::exact
