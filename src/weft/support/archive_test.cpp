// SPDX-License-Identifier: Apache-2.0
#include "weft/support/archive.h"

#include <gtest/gtest.h>

namespace weft::support {
namespace {

using Members = std::map<std::string, std::string>;

struct ArchiveTest : testing::Test {
  diag::Engine engine;
  Context ctx{engine};

  std::string zip(const Members& members) {
    auto bytes = write_zip(members, ctx);
    EXPECT_TRUE(bytes.ok());
    return bytes.ok() ? *bytes : "";
  }
  Kind failure(const std::string& bytes, Limits limits = {}) {
    diag::Engine own;
    Context own_ctx{.diag = own, .limits = limits};
    EXPECT_FALSE(read_zip(bytes, "a.zip", own_ctx).ok());
    EXPECT_EQ(own.error_count(), 1U);
    return own.all().empty() ? Kind::Info : own.all()[0].kind;
  }
};

TEST_F(ArchiveTest, RoundTripsAndIsDeterministic) {
  const Members members = {{"a/b.txt", std::string(100000, 'x')}, {"empty", ""}, {"z", std::string("\0\1\2", 3)}};
  const auto bytes = zip(members);
  EXPECT_EQ(bytes, zip(members));
  EXPECT_LT(bytes.size(), 2000U);
  const auto back = read_zip(bytes, "x", ctx);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, members);
}

TEST_F(ArchiveTest, EmptyArchive) {
  const auto back = read_zip(zip({}), "x", ctx);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->empty());
}

TEST_F(ArchiveTest, BoundsUnpackedSizeAndEntries) {
  const auto bomb = zip({{"a", std::string(1'000'000, '\0')}, {"b", std::string(1'000'000, '\0')}});
  EXPECT_LT(bomb.size(), 10000U);
  EXPECT_EQ(failure(bomb, {.unpacked_bytes = 1'999'999}), Kind::LimitExceeded);
  EXPECT_EQ(failure(bomb, {.archive_entries = 1}), Kind::LimitExceeded);
  Context exact{.diag = engine, .limits = {.unpacked_bytes = 2'000'000, .archive_entries = 2}};
  EXPECT_TRUE(read_zip(bomb, "x", exact).ok());
}

TEST_F(ArchiveTest, RefusesNamesThatLeaveTheArchive) {
  for (const std::string name : {"../x", "a/../b", "/abs", "a\\b", "a/.."}) {
    diag::Engine own;
    Context own_ctx{own};
    EXPECT_FALSE(write_zip({{name, "x"}}, own_ctx).ok()) << name;
    // The same name forged into good bytes: the reader has its own check.
    const std::string stand_in(name.size(), 'q');
    auto bytes = zip({{stand_in, "x"}});
    for (auto at = bytes.find(stand_in); at != std::string::npos; at = bytes.find(stand_in)) {
      bytes.replace(at, name.size(), name);
    }
    EXPECT_EQ(failure(bytes), Kind::ArchiveMalformed) << name;
  }
  EXPECT_TRUE(read_zip(zip({{"a..b/..c", "x"}}), "x", ctx).ok());
}

TEST_F(ArchiveTest, DamageIsDiagnosed) {
  std::string noise;
  for (unsigned i = 0, s = 1; i < 500; ++i) noise += static_cast<char>((s = s * 1664525U + 1013904223U) >> 24U);
  const auto good = zip({{"a", noise}, {"b", "text"}});
  for (std::size_t n = 0; n < good.size(); ++n) failure(good.substr(0, n));
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x55);
    diag::Engine own;
    Context own_ctx{own};
    const auto result = read_zip(bad, "x", own_ctx);  // some fields (time stamps) do not matter
    EXPECT_EQ(result.ok(), !own.has_errors());
  }
}

}  // namespace
}  // namespace weft::support
