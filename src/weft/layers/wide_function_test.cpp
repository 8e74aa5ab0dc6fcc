// SPDX-License-Identifier: Apache-2.0
// Interruption in the middle of a search for steps or straight lines: it ends there, with `cancelled`.
#include "weft/layers/wide_function.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "weft/layers/test_policy.h"

namespace weft::layers {
namespace {

/// Evaluations that may follow an interruption: one line, one step or one look at a code is finished.
constexpr std::int64_t kAfter = 4000;

struct Interrupted {
  std::int64_t calls = 0;
  bool cancelled = false;  ///< with the diagnostic
};

/// Makes a fast wave of 24 bits into fixed<24,2>, interrupted by its own evaluation number `at`; as steps and then
/// lines, or as lines at once.
Interrupted interrupted(std::int64_t at, std::size_t most_steps) {
  std::atomic<bool> cancel{false};
  diag::Engine engine;
  Context ctx{engine};
  ctx.cancel = &cancel;
  TestPolicy policy;
  const nn::Graph source;
  Recipe recipe(source, policy, ctx);
  const auto x = recipe.add("x", exact::Input{}, Scale(fixed::pow2(-20)), {}, Shape{1});
  const Int half = Int{1} << 23;
  recipe.graph().values[x->index].ranges = {{-half, half - 1, 0}};
  Interrupted out;
  const auto units = [&](Int code) {
    if (++out.calls == at) cancel = true;
    return std::ldexp(std::sin(static_cast<double>(code) * 0x1p-12), 22);
  };
  std::vector<Int> turns;
  for (int k = -652; k <= 651; ++k)
    turns.push_back(static_cast<Int>(std::ceil((static_cast<double>(k) + 0.5) * 3.14159265358979323846 * 0x1p12)));
  const fixed::FixedType type{24, 2, true, fixed::Rounding::Rnd, fixed::Overflow::Sat};
  const auto result = add_function(recipe, {}, "f", *x, {{units, {-half, half - 1, 0}, turns}}, type, most_steps);
  if (!result.ok())
    for (const auto& d : engine.all()) out.cancelled = out.cancelled || d.kind == diag::Kind::Cancelled;
  return out;
}

TEST(WideFunction, EndsSoonAfterAnInterruption) {
  for (const std::size_t most_steps : {std::size_t{1}, std::size_t{1} << 22}) {
    const auto whole = most_steps > 1 ? 4'000'000 : interrupted(-1, most_steps).calls;
    ASSERT_GT(whole, 100 * kAfter);
    for (int part = 1; part < 16; part += 4) {
      const std::int64_t at = whole / 16 * part;
      const auto run = interrupted(at, most_steps);
      EXPECT_TRUE(run.cancelled) << at << " of " << whole;
      EXPECT_LE(run.calls - at, kAfter) << at << " of " << whole;
    }
  }
}

}  // namespace
}  // namespace weft::layers
