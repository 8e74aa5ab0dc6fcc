// SPDX-License-Identifier: Apache-2.0
#include "weft/diag/diag.h"

#include <gtest/gtest.h>

#include <set>

namespace weft::diag {
namespace {

TEST(Kinds, SlugsAreUniqueAndRoundTrip) {
  std::set<std::string_view> seen;
  for (const auto& row : kind_table()) {
    EXPECT_TRUE(seen.insert(row.slug).second) << row.slug;
    EXPECT_EQ(kind_from_slug(row.slug), row.kind);
    EXPECT_FALSE(row.summary.empty());
    EXPECT_FALSE(row.remedy.empty());
  }
  EXPECT_FALSE(kind_from_slug("no-such-kind").has_value());
}

TEST(Engine, CountsErrorsOnly) {
  Engine engine;
  engine.report(Kind::InputTypeAssumed, {.file = "m.h5"}, "assumed");
  EXPECT_FALSE(engine.has_errors());
  engine.report(Kind::LayerUnsupported, {.file = "m.h5", .node = "l", .op = "Foo"}, "cannot", {"a note"});
  EXPECT_EQ(engine.error_count(), 1U);
  EXPECT_EQ(to_text(engine.all()[1]), "error: m.h5: node `l` (Foo): cannot [layer-unsupported]\n  note: a note");
}

TEST(Json, SurvivesBytesThatAreNotUtf8) {
  Diagnostic d;
  d.message = "bad \xff name";
  EXPECT_NE(to_json(d).find("\"severity\":\"error\""), std::string::npos);
}

Result<int> half(int x) {
  if (x % 2 != 0) return failure;
  return x / 2;
}
Result<int> quarter(int x) {
  WEFT_TRY(const int h, half(x));
  return half(h);
}

TEST(Text, ShowsControlBytesOfNames) {
  const Diagnostic d{
      Severity::Error, Kind::LayerUnsupported, "no `\x1b[2J` here\nsecond line", {"a.h5", "x\ny\x7f", "", ""}, {}};
  EXPECT_EQ(to_text(d), "error: a.h5: node `x\\x0ay\\x7f`: no `\\x1b[2J` here\nsecond line [layer-unsupported]");
}

TEST(Result, TryPropagates) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_FALSE(quarter(6).ok());
  EXPECT_FALSE(quarter(3).ok());
}

TEST(Check, ThrowsInternalError) { EXPECT_THROW(WEFT_CHECK(false, "boom"), InternalError); }

}  // namespace
}  // namespace weft::diag
