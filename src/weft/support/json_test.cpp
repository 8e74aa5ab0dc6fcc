// SPDX-License-Identifier: Apache-2.0
#include "weft/support/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weft::support {
namespace {

struct JsonTest : testing::Test {
  diag::Engine engine;
  Context ctx{engine};

  void expect_fails(const std::string& text, Kind kind) {
    diag::Engine own;
    Context own_ctx{own};
    EXPECT_FALSE(parse_json(text, "m.json", own_ctx).ok()) << text.substr(0, 60);
    ASSERT_EQ(own.error_count(), 1U);
    EXPECT_EQ(own.all()[0].kind, kind);
    EXPECT_EQ(own.all()[0].origin.file, "m.json");
  }
};

TEST_F(JsonTest, KeepsOrderAndValues) {
  const auto json = parse_json(R"({"b": [1, 2.5, "NaN \" Infinity"], "a": null})", "x", ctx);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(dump_json(*json, -1), R"({"b":[1,2.5,"NaN \" Infinity"],"a":null})");
}

TEST_F(JsonTest, ReadsPythonsNumbers) {
  const auto json = parse_json(R"([NaN, Infinity, -Infinity, {"k":NaN}])", "x", ctx);
  ASSERT_TRUE(json.ok());
  EXPECT_TRUE(std::isnan((*json)[0].get<double>()));
  EXPECT_EQ((*json)[1].get<double>(), std::numeric_limits<double>::infinity());
  EXPECT_EQ((*json)[2].get<double>(), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan((*json)[3]["k"].get<double>()));
}

TEST_F(JsonTest, RefusesBrokenText) {
  const std::string good = R"({"a":[1,{"b":"c\u00e9"}],"d":-1.5e3})";
  ASSERT_TRUE(parse_json(good, "x", ctx).ok());
  for (std::size_t n = 0; n < good.size(); ++n) expect_fails(good.substr(0, n), Kind::ModelMalformed);
  for (const auto* text :
       {"", "nan", "Inf", "+Infinity", "[1,]", "{a:1}", "\"\xff\"", "1e999", "[1] 2", "NaNs", "\"\\"}) {
    expect_fails(text, Kind::ModelMalformed);
  }
}

TEST_F(JsonTest, BoundsDepthAndObjects) {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(parse_json(nested(128), "x", ctx).ok());
  expect_fails(nested(129), Kind::LimitExceeded);
  expect_fails(std::string(1'000'000, '['), Kind::LimitExceeded);
  std::string wide = "{";
  for (int i = 0; i < 20000; ++i) wide.append("\"").append(std::to_string(i)).append("\":0,");
  wide.back() = '}';
  expect_fails(wide, Kind::LimitExceeded);
}

TEST_F(JsonTest, DumpsInvalidTextWithAReplacement) { EXPECT_EQ(dump_json(Json("a\xff"), -1), "\"a\xEF\xBF\xBD\""); }

}  // namespace
}  // namespace weft::support
