// SPDX-License-Identifier: Apache-2.0
// A function that is applied again: made once where it can be, equal to itself made anew everywhere.
#include "weft/layers/shared_functions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "weft/layers/test_policy.h"

namespace weft::layers {
namespace {

struct SharedFunctionsTest : testing::Test {
  diag::Engine engine;
  Context ctx{engine};
  TestPolicy policy;
  nn::Graph source;
  nn::Node node;
  int made = 0;

  SharedFunctionsTest() {
    node.name = "n";
    node.op = "Activation";
  }
  /// A tensor of two elements with 8 fraction bits.
  Symbol tensor(Recipe& recipe, Int lo, Int hi) {
    const auto id = recipe.add("x", exact::Input{}, Scale(fixed::pow2(-8)), {}, Shape{2});
    EXPECT_TRUE(id.ok());
    recipe.graph().values[id->index].ranges = {{lo, hi, 0}, {lo / 2, hi / 2, 0}};
    return {.value = *id, .pending = {}, .order_bound = {}, .sum_layer = {}, .layer = "n"};
  }
  /// tanh into fixed<16,1>.
  SharedFunctions::Make tanh() {
    return [this](Recipe& recipe, const Symbol& x) -> Result<Symbol> {
      ++made;
      WEFT_TRY(const Symbol f, recipe.apply(node, x, {"tanh", {}}));
      return recipe.cast(node, f, {16, 1, true});
    };
  }
  /// Codes of value `id` when the tensor `x` holds `code` in its first element.
  static Int evaluate(const exact::Graph& graph, exact::ValueId x, exact::ValueId id, Int code) {
    if (id == x) return code;
    const auto of = [&](exact::ValueId operand) { return evaluate(graph, x, operand, code); };
    const auto& primitive = graph.at(id).primitive;
    if (const auto* p = std::get_if<exact::Requant>(&primitive)) return fixed::evaluate(p->functions[0], of(p->x));
    if (const auto* p = std::get_if<exact::Sub>(&primitive)) return of(p->a) - of(p->b);
    if (const auto* p = std::get_if<exact::Mul>(&primitive)) return of(p->a) * of(p->b);
    const auto& p = std::get<exact::Add>(primitive);
    return (of(p.a) << p.shift_a) + (of(p.b) << p.shift_b);
  }
  /// The function behind a tensor of these codes equals tanh by itself within `lines` last places.
  void check(Recipe& recipe, SharedFunctions& functions, Int lo, Int hi, Int lines) {
    const Symbol x = tensor(recipe, lo, hi);
    const auto y = functions.apply("f", x, SharedFunctions::Domain::Rounded, tanh());
    ASSERT_TRUE(y.ok());
    for (Int code = lo; code <= hi; code += 7) {
      const double exact = std::tanh(std::ldexp(static_cast<double>(code), -8)) * 0x1p15;
      const double got = static_cast<double>(evaluate(recipe.graph(), x.value, y->value, code));
      EXPECT_LE(std::fabs(got - std::min(exact, 32767.0)), 0.51 + static_cast<double>(lines)) << static_cast<int>(code);
    }
    const fixed::Range range = recipe.value(y->value).ranges[0];
    EXPECT_LE(range.lo, evaluate(recipe.graph(), x.value, y->value, lo));
    EXPECT_GE(range.hi, evaluate(recipe.graph(), x.value, y->value, hi));
  }
};

TEST_F(SharedFunctionsTest, TensorsThatReachFartherShareAFunction) {
  for (const bool lines : {false, true}) {
    made = 0;
    policy.steps = lines ? 16 : 1U << 16;
    Recipe recipe(source, policy, ctx);
    SharedFunctions functions(node, recipe, ctx);
    check(recipe, functions, -100, 90, lines ? 1 : 0);
    check(recipe, functions, -1000, 1000, lines ? 1 : 0);
    check(recipe, functions, 3, 20, lines ? 1 : 0);
    EXPECT_EQ(made, 1);
    check(recipe, functions, -3000, 10, lines ? 1 : 0);
    EXPECT_EQ(made, 2);
    // The certificate is told once per function.
    EXPECT_EQ(recipe.certificates().size(), 1U);
    EXPECT_EQ(recipe.certificates()[0].word, Word::Quantized);
  }
}

TEST_F(SharedFunctionsTest, WhatTheCertificateCountsIsMadeForReachableCodesOnly) {
  Recipe recipe(source, policy, ctx);
  SharedFunctions functions(node, recipe, ctx);
  const auto apply = [&](const std::string& key, Int lo, Int hi, SharedFunctions::Domain domain) {
    EXPECT_TRUE(functions.apply(key, tensor(recipe, lo, hi), domain, tanh()).ok());
    return made;
  };
  EXPECT_EQ(apply("a", -10, 10, SharedFunctions::Domain::Reachable), 1);
  EXPECT_EQ(apply("a", -10, 10, SharedFunctions::Domain::Reachable), 1);
  EXPECT_EQ(apply("a", -10, 8, SharedFunctions::Domain::Reachable), 2);
  EXPECT_EQ(apply("b", -10, 8, SharedFunctions::Domain::Reachable), 3);
}

}  // namespace
}  // namespace weft::layers
