// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/emulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>

#include "weft/emulate/test_support.h"

namespace weft::emulate {
namespace {

using Rows = std::vector<std::vector<std::int64_t>>;

std::vector<float> reals(std::size_t n, std::uint64_t seed) {
  exact::Random random(seed);
  std::vector<float> out(n);
  for (auto& x : out) x = static_cast<float>(random.between(-6000, 6000)) / 1000.0F;
  return out;
}

TEST(Emulator, OffersPortableLastAndResolvesAuto) {
  EXPECT_EQ(available().back(), Isa::Portable);
  diag::Engine engine;
  Context ctx{engine};
  const auto emulator = Emulator::compile(dense_network({}, 1), Isa::Auto, ctx);
  ASSERT_TRUE(emulator.ok());
  EXPECT_EQ(emulator->isa(), available().front());
  EXPECT_EQ(emulator->graph().values.size(), dense_network({}, 1).values.size());
}

TEST(Emulator, ThreadsDoNotChangeResults) {
  DenseOptions options;
  options.count_saturation = true;
  const auto graph = dense_network(options, 1);
  const std::size_t batch = 60001;
  const auto x = reals(batch * 16, 2);
  for (const Isa isa : available()) {
    diag::Engine engine;
    Context ctx{engine};
    const auto emulator = Emulator::compile(graph, isa, ctx);
    ASSERT_TRUE(emulator.ok());
    Rows one;
    const auto counted = emulator->run({x.data()}, batch, one, ctx);
    ASSERT_TRUE(counted.ok());
    EXPECT_GT(counted->input_saturations[0], 0U);
    for (const int threads : {2, 3, 100}) {
      ctx.threads = threads;
      Rows many;
      const auto again = emulator->run({x.data()}, batch, many, ctx);
      ASSERT_TRUE(again.ok());
      EXPECT_EQ(many, one);
      EXPECT_EQ(again->input_saturations, counted->input_saturations);
      EXPECT_EQ(again->value_saturations, counted->value_saturations);
    }
  }
}

TEST(Emulator, EmptyBatch) {
  diag::Engine engine;
  Context ctx{engine};
  const auto emulator = Emulator::compile(dense_network({}, 1), Isa::Auto, ctx);
  Rows outputs{{1, 2, 3}};
  const auto counters = emulator->run({nullptr}, 0, outputs, ctx);
  ASSERT_TRUE(counters.ok());
  EXPECT_EQ(outputs, Rows{{}});
  EXPECT_EQ(counters->input_saturations, std::vector<std::uint64_t>{0});
}

TEST(Emulator, WritesNothingBehindTheRows) {
  // The vectors keep their memory when they shrink, so what lies behind the last row can be looked at.
  constexpr std::int64_t kUntouched = 0x5EED;
  for (const std::int64_t n : {1, 5, 7, 8, 9, 16, 17}) {
    exact::Graph graph;
    graph.outputs.push_back({"y", append_input(graph, {n}, {}), {}});
    for (const std::size_t batch : {1U, 2U, 15U, 16U, 17U, 63U}) {
      const auto x = reals(batch * static_cast<std::size_t>(n), 1);
      for (const Isa isa : available()) {
        SCOPED_TRACE(fmt::format("n {} batch {} {}", n, batch, to_string(isa)));
        diag::Engine engine;
        Context ctx{engine};
        const auto emulator = Emulator::compile(graph, isa, ctx);
        const std::size_t size = batch * static_cast<std::size_t>(n);
        Rows outputs(1, std::vector<std::int64_t>(size + 1200, kUntouched));
        ASSERT_TRUE(emulator->run({x.data()}, batch, outputs, ctx).ok());
        const std::int64_t* behind = outputs[0].data() + size;
        EXPECT_EQ(std::count(behind, behind + 1200, kUntouched), 1200);
      }
    }
  }
}

TEST(Emulator, NamesRowAndColumnOfBadData) {
  const auto graph = dense_network({}, 1);
  for (const Isa isa : available()) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      for (const std::size_t at : {std::size_t{0}, std::size_t{16 * 77 + 5}, std::size_t{16 * 199 + 15}}) {
        diag::Engine engine;
        Context ctx{engine};
        const auto emulator = Emulator::compile(graph, isa, ctx);
        auto x = reals(16 * 200, 3);
        x[at] = bad;
        x.back() = bad;
        Rows outputs;
        ASSERT_FALSE(emulator->run({x.data()}, 200, outputs, ctx).ok());
        ASSERT_EQ(engine.all().size(), 1U);
        EXPECT_EQ(engine.all()[0].kind, Kind::DataNotFinite);
        EXPECT_THAT(engine.all()[0].message, testing::HasSubstr(fmt::format("row {}, column {} ", at / 16, at % 16)));
        EXPECT_THAT(engine.all()[0].message, testing::HasSubstr(std::isnan(bad) ? "NaN" : "infinity"));
      }
    }
  }
}

TEST(Emulator, RefusesCodesOutOfRange) {
  diag::Engine engine;
  Context ctx{engine};
  const auto emulator = Emulator::compile(dense_network({}, 1), Isa::Auto, ctx);
  std::vector<std::int64_t> codes(16 * 40, 0);
  codes[16 * 33 + 2] = 128;
  Rows outputs;
  ASSERT_FALSE(emulator->run_codes({codes.data()}, 40, outputs, ctx).ok());
  EXPECT_EQ(engine.all()[0].kind, Kind::ShapeMismatch);
  EXPECT_THAT(engine.all()[0].message, testing::HasSubstr("code 128 in row 33, column 2"));
}

TEST(Emulator, RefusesCodesOffTheGridAndZerosOfBipolarInputs) {
  exact::Graph graph;
  const auto x = append_input(graph, {1}, {});
  graph.values[x.index].ranges[0] = {-4, 4, 2};
  exact::InputConversion bipolar;
  bipolar.form = exact::InputConversion::Form::Bipolar;
  append_input(graph, {1}, bipolar);
  graph.outputs.push_back({"y", x, {}});
  for (const auto& [a, b, good] : {std::tuple{4, 1, true}, std::tuple{2, 1, false}, std::tuple{-4, 0, false}}) {
    diag::Engine engine;
    Context ctx{engine};
    const auto emulator = Emulator::compile(graph, Isa::Auto, ctx);
    const std::int64_t code_a = a;
    const std::int64_t code_b = b;
    Rows outputs;
    EXPECT_EQ(emulator->run_codes({&code_a, &code_b}, 1, outputs, ctx).ok(), good) << a << " " << b;
  }
}

TEST(Emulator, RefusesCodesBeyond64Bits) {
  exact::Graph graph;
  exact::InputConversion conversion;
  conversion.type = {.width_bits = 60, .integer_bits = 60};
  const auto x = append_input(graph, {1}, conversion);
  graph.outputs.push_back({"y", append(graph, exact::Mul{x, x}), {}});
  diag::Engine engine;
  Context ctx{engine};
  EXPECT_FALSE(Emulator::compile(graph, Isa::Auto, ctx).ok());
  ASSERT_EQ(engine.all().size(), 1U);
  EXPECT_EQ(engine.all()[0].kind, Kind::TypeTooWide);
  EXPECT_THAT(engine.all()[0].message, testing::HasSubstr("`v1`"));
}

TEST(Emulator, CodesOf64BitsFit) {
  exact::Graph graph;
  exact::InputConversion conversion;
  conversion.type = {.width_bits = 64, .integer_bits = 64};
  const auto x = append_input(graph, {2}, conversion);
  graph.outputs.push_back({"y", append(graph, exact::Reduce{exact::Reduce::Kind::Max, x}), {}});
  const std::int64_t lo = std::numeric_limits<std::int64_t>::min();
  const std::int64_t hi = std::numeric_limits<std::int64_t>::max();
  check_codes(graph, {{lo, lo, hi, lo, 0, -1}}, 3);
}

TEST(Emulator, PlainStepsWhereSumsNeedMoreThan64BitsOnTheWay) {
  // x * 2^70 of the constant zero, and rounding that adds beyond 64 bits.
  exact::Graph graph;
  exact::InputConversion conversion;
  conversion.type = {.width_bits = 64, .integer_bits = 64};
  const auto x = append_input(graph, {1}, conversion);
  const auto zero = append(graph, exact::Constant{{0}}, {1});
  const auto sum = append(graph, exact::Add{x, zero, 0, 70});
  fixed::ShiftRound f;
  f.shift = 62;
  f.rounding = fixed::Rounding::RndInf;
  f.lo = -1;
  f.hi = 1;
  graph.outputs.push_back({"y", append(graph, exact::Requant{sum, {f}, true}), {}});
  const std::int64_t lo = std::numeric_limits<std::int64_t>::min();
  const std::int64_t hi = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> rows{lo, hi, 0, 1, hi / 2, hi / 4, -(std::int64_t{1} << 61), std::int64_t{1} << 61};
  check_codes(graph, {rows}, rows.size());
}

TEST(Emulator, TraceGivesEveryValue) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const auto graph = exact::random_graph(seed);
    const std::size_t batch = 19;
    std::vector<std::vector<float>> x;
    std::vector<const float*> pointers;
    Rows codes;
    std::vector<std::uint64_t> saturated_inputs;
    for (const auto& input : graph.inputs) {
      const auto n = static_cast<std::size_t>(element_count(graph.at(input.value).shape));
      x.push_back(reals(n * batch, seed));
      codes.emplace_back();
      saturated_inputs.push_back(0);
      for (const float real : x.back()) {
        bool saturated = false;
        codes.back().push_back(static_cast<std::int64_t>(exact::convert_input(input.conversion, real, saturated)));
        if (saturated) ++saturated_inputs.back();
      }
    }
    for (const auto& rows : x) pointers.push_back(rows.data());
    const auto expected = expect_plain(graph, codes, batch);
    std::vector<exact::ValueId> wanted;
    for (std::size_t v = graph.values.size(); v-- > 0;) wanted.push_back({static_cast<std::uint32_t>(v)});
    for (const Isa isa : available()) {
      diag::Engine engine;
      Context ctx{engine};
      const auto emulator = Emulator::compile(graph, isa, ctx);
      Rows traced;
      const auto counters = emulator->run_traced(pointers, batch, wanted, traced, ctx);
      ASSERT_TRUE(counters.ok());
      ASSERT_EQ(traced.size(), wanted.size());
      for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(traced[i], expected.values[wanted[i].index]);
      EXPECT_EQ(counters->value_saturations, expected.counters.value_saturations);
      EXPECT_EQ(counters->input_saturations, saturated_inputs);
    }
  }
}

TEST(Emulator, ManyValuesUseFewerLanes) {
  // 70000 elements in 64 lanes of 4 bytes are too much for the cache.
  exact::Graph graph;
  const auto x = append_input(graph, {70000}, {});
  graph.outputs.push_back({"y", append(graph, exact::Add{x, x, 1, 0}), {}});
  check_codes(graph, random_rows(graph, 18, 1), 18);
}

TEST(Emulator, CancelsBetweenBlocks) {
  diag::Engine engine;
  const std::atomic<bool> cancel = true;
  Context ctx{engine};
  const auto emulator = Emulator::compile(dense_network({}, 1), Isa::Auto, ctx);
  ctx.cancel = &cancel;
  const auto x = reals(16 * 100, 1);
  Rows outputs;
  EXPECT_FALSE(emulator->run({x.data()}, 100, outputs, ctx).ok());
  EXPECT_EQ(engine.all()[0].kind, Kind::Cancelled);
}

TEST(Emulator, UnknownInstructionSetIsAnError) {
  if (available().size() == 3) GTEST_SKIP() << "this processor runs every instruction set";
  for (const Isa isa : {Isa::Avx2, Isa::Avx512Vnni}) {
    const auto all = available();
    if (std::find(all.begin(), all.end(), isa) != all.end()) continue;
    diag::Engine engine;
    Context ctx{engine};
    EXPECT_FALSE(Emulator::compile(dense_network({}, 1), isa, ctx).ok());
    EXPECT_EQ(engine.all()[0].kind, Kind::UsageInvalid);
  }
}

}  // namespace
}  // namespace weft::emulate
