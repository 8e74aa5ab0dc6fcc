// SPDX-License-Identifier: Apache-2.0
// Straight lines instead of steps: the stated error holds at every code, and every primitive is what executors run.
#include <gtest/gtest.h>

#include <cmath>

#include "weft/emulate/emulator.h"
#include "weft/emulate/plain.h"
#include "weft/layers/test_policy.h"
#include "weft/layers/wide_function.h"

namespace weft::conformance {
namespace {

struct Function {
  const char* name;
  double (*f)(double);
  std::vector<double> turns;
  double lo, hi;
};

const Function kFunctions[] = {
    {"exp", [](double x) { return std::exp(x); }, {}, -30.0, 8.0},
    {"sigmoid", [](double x) { return 1.0 / (1.0 + std::exp(-x)); }, {}, -32.0, 32.0},
    {"tanh", [](double x) { return std::tanh(x); }, {}, -32.0, 32.0},
    {"silu", [](double x) { return x / (1.0 + std::exp(-x)); }, {-1.2784645427610738}, -32.0, 32.0},
    {"gelu",
     [](double x) { return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0))); },
     {-0.7517915246935645},
     -32.0,
     32.0},
    {"log", [](double x) { return x <= 0.0 ? -HUGE_VAL : std::log(x); }, {}, 0.0, 64.0},
    {"reciprocal", [](double x) { return x <= 0.0 ? HUGE_VAL : 1.0 / x; }, {}, 0.0, 64.0},
    {"square", [](double x) { return x * x; }, {0.0}, -5.0, 5.0},
    {"relu", [](double x) { return std::max(x, 0.0); }, {}, -30.0, 30.0},
    {"third", [](double x) { return x / 3.0; }, {}, -30.0, 30.0},
};

/// One function of codes with `frac` fraction bits into `type`, by straight lines.
struct Built {
  exact::Graph graph;
  layers::FunctionReport report;
  exact::ValueId out;
  layers::CodeFunction function;
};

void build(const Function& f, int frac, const fixed::FixedType& type, Built& out) {
  diag::Engine engine;
  Context ctx{engine};
  const layers::TestPolicy policy;
  const nn::Graph source;
  layers::Recipe recipe(source, policy, ctx);
  const double unit = std::ldexp(1.0, -frac);
  const fixed::Range range{static_cast<Int>(f.lo / unit), static_cast<Int>(f.hi / unit), 0};
  exact::Value input{"x", Shape{1}, Scale(fixed::pow2(-frac)), {range}, exact::Input{}, {}};
  recipe.graph().values.push_back(input);
  out.function = {
      [&f, unit, up = type.frac_bits()](Int x) { return std::ldexp(f.f(unit * static_cast<double>(x)), up); },
      range,
      {}};
  for (const double t : f.turns) out.function.turns.push_back(static_cast<Int>(std::ceil(t / unit)));
  auto made = layers::add_segments(recipe, {}, "f", {0}, {out.function}, type);
  ASSERT_TRUE(made.ok()) << f.name;
  out.report = made->report;
  out.out = made->value;
  out.graph = std::move(recipe.graph());
  exact::InputConversion conversion;
  conversion.form = exact::InputConversion::Form::Affine;
  conversion.scale = static_cast<float>(unit);
  conversion.lo = range.lo;
  conversion.hi = range.hi;
  out.graph.inputs = {{"x", {0}, conversion, "option"}};
}

Int run(const exact::Graph& graph, exact::ValueId id, Int x) {
  std::vector<std::vector<Int>> values{{x}};
  std::uint64_t saturations = 0;
  for (std::size_t i = 1; i < graph.values.size(); ++i) {
    std::vector<const std::vector<Int>*> operands;
    for (const auto o : exact::operands(graph.values[i].primitive)) operands.push_back(&values[o.index]);
    values.push_back(emulate::evaluate_primitive(graph, graph.values[i], operands, saturations));
    const auto& range = graph.values[i].ranges[0];
    EXPECT_LE(range.lo, values[i][0]) << graph.values[i].name;
    EXPECT_GE(range.hi, values[i][0]) << graph.values[i].name;
  }
  return values[id.index][0];
}

double ideal(const Built& b, const fixed::FixedType& type, Int x) {
  const double u = b.function.units(x);
  return std::clamp(u, static_cast<double>(fixed::min_code(type)), static_cast<double>(fixed::max_code(type)));
}

TEST(WideFunction, SixteenBitInputsStayWithinTheStatedErrorAtEveryCode) {
  for (const auto& f : kFunctions) {
    for (const int width : {12, 18, 24}) {
      const fixed::FixedType type{width, 7, true};
      const int frac = static_cast<int>(std::floor(std::log2(65536.0 / (f.hi - f.lo))));
      Built b;
      build(f, frac, type, b);
      ASSERT_EQ(exact::verify(b.graph), "");
      double worst = 0.0;
      for (Int x = b.function.range.lo; x <= b.function.range.hi; ++x)
        worst = std::max(worst, std::fabs(static_cast<double>(run(b.graph, b.out, x)) - ideal(b, type, x)));
      EXPECT_TRUE(b.report.exhaustive);
      EXPECT_LE(worst, b.report.worst_ulps) << f.name << " " << width;
      EXPECT_LE(b.report.worst_ulps, worst + 0.01) << f.name << " " << width;
      EXPECT_LT(b.report.worst_ulps, 1.0) << f.name << " " << width << " " << b.report.text();
      if (HasFailure()) return;
    }
  }
}

TEST(WideFunction, WideInputsStayWithinTheProvenError) {
  for (const auto& f : kFunctions) {
    const fixed::FixedType type{16, 7, true};
    Built b;
    build(f, 26, type, b);
    ASSERT_EQ(exact::verify(b.graph), "");
    EXPECT_FALSE(b.report.exhaustive);
    double worst = 0.0;
    const auto span = static_cast<std::int64_t>(b.function.range.hi - b.function.range.lo);
    for (std::int64_t i = 0; i <= 60000; ++i) {
      const Int x = b.function.range.lo + span / 60000 * i + (i * 7919) % 997;
      if (x > b.function.range.hi) break;
      worst = std::max(worst, std::fabs(static_cast<double>(run(b.graph, b.out, x)) - ideal(b, type, x)));
    }
    EXPECT_LE(worst, b.report.worst_ulps) << f.name;
    EXPECT_LT(b.report.worst_ulps, 1.25) << f.name << " " << b.report.text();
    for (const auto& value : b.graph.values)
      for (const auto& range : value.ranges) EXPECT_LE(fixed::width_bits(range), 63) << f.name << " " << value.name;
    if (HasFailure()) return;
  }
}

TEST(WideFunction, MoreCodesThanLinesCanCoverAreRefused) {
  diag::Engine engine;
  Context ctx{engine};
  const layers::TestPolicy policy;
  const nn::Graph source;
  layers::Recipe recipe(source, policy, ctx);
  const fixed::Range range{0, Int{1} << 60, 0};
  recipe.graph().values.push_back({"x", Shape{1}, Scale(fixed::pow2(-48)), {range}, exact::Input{}, {}});
  const layers::CodeFunction exponential{
      [](Int x) { return std::ldexp(std::exp(-std::ldexp(static_cast<double>(x), -48)), 21); }, range, {}};
  EXPECT_FALSE(layers::add_segments(recipe, {}, "f", {0}, {exponential}, fixed::FixedType{22, 1, false}).ok());
  ASSERT_EQ(engine.all().size(), 1U);
  EXPECT_EQ(engine.all()[0].kind, Kind::TypeTooWide);
}

TEST(WideFunction, FewStepsStayExact) {
  diag::Engine engine;
  Context ctx{engine};
  const layers::TestPolicy policy;
  const nn::Graph source;
  layers::Recipe recipe(source, policy, ctx);
  recipe.graph().values.push_back({"x", Shape{1}, Scale(fixed::pow2(-8)), {{-2048, 2047, 0}}, exact::Input{}, {}});
  const fixed::FixedType type{8, 1, true};
  const layers::CodeFunction tanh{
      [](Int x) { return 128.0 * std::tanh(static_cast<double>(x) / 256.0); }, {-2048, 2047, 0}, {}};
  auto made = layers::add_function(recipe, {}, "f", {0}, {tanh}, type);
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(made->report.exact);
  for (Int x = -2048; x <= 2047; ++x)
    EXPECT_EQ(run(recipe.graph(), made->value, x),
              static_cast<Int>(std::min(127.0, std::nearbyint(128.0 * std::tanh(static_cast<double>(x) / 256.0)))));
}

}  // namespace
}  // namespace weft::conformance
