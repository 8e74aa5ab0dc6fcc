// SPDX-License-Identifier: Apache-2.0
// Damaged files must give a diagnostic or a model, never a crash, a hang or silence.
#include <gtest/gtest.h>

#include <set>

#include "weft/formats/keras/keras.h"
#include "weft/formats/keras/test_files.h"
#include "weft/support/archive.h"

namespace weft::formats::keras {
namespace {

/// Reads damaged bytes; a failure must be explained and a success must be silent about errors.
bool survives(const std::string& bytes, const std::optional<NamedBytes>& weights = std::nullopt) {
  diag::Engine engine;
  Context ctx{engine};
  const auto graph = read_keras(NamedBytes{"m", bytes}, weights, ctx);
  EXPECT_EQ(graph.ok(), !engine.has_errors());
  return graph.ok();
}

/// A small generator with the same numbers everywhere.
struct Random {
  std::uint32_t state;
  std::uint32_t next() { return (state = state * 1664525U + 1013904223U) >> 8U; }
};

std::string damaged(const std::string& good, Random& random) {
  static constexpr unsigned char kValues[] = {0x00, 0xff, 0x7f, 0x80, 0x01};
  std::string bad = good;
  const auto count = 1 + random.next() % 4;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto at = random.next() % bad.size();
    const auto choice = random.next() % 8;
    if (choice < std::size(kValues)) {
      bad[at] = static_cast<char>(kValues[choice]);
    } else if (choice == 5) {
      bad[at] = static_cast<char>(random.next());
    } else if (choice == 6) {
      bad.replace(at, 8, good.substr(random.next() % good.size(), 8));  // an address from elsewhere
    } else {
      bad[at] = static_cast<char>(bad[at] ^ (1 << (random.next() % 8)));
    }
  }
  return bad;
}

TEST(Damage, GoodFilesAreGood) {
  diag::Engine engine;
  Context ctx{engine};
  EXPECT_TRUE(survives(small_h5()));
  EXPECT_TRUE(survives(small_json(), NamedBytes{"w.h5", small_weights()}));
  EXPECT_TRUE(survives(small_keras3(ctx)));
}

TEST(Damage, TruncatedFiles) {
  const auto h5 = small_h5();
  for (std::size_t n = 0; n < h5.size(); n += 5) EXPECT_FALSE(survives(h5.substr(0, n))) << n;
  diag::Engine engine;
  Context ctx{engine};
  const auto zip = small_keras3(ctx);
  for (std::size_t n = 0; n < zip.size(); n += 3) EXPECT_FALSE(survives(zip.substr(0, n))) << n;
  const auto json = small_json();
  const NamedBytes weights{"w.h5", small_weights()};
  for (std::size_t n = 0; n + 1 < json.size(); ++n) EXPECT_FALSE(survives(json.substr(0, n), weights)) << n;
}

TEST(Damage, FlippedBits) {
  const auto h5 = small_h5();
  std::size_t noticed = 0;
  for (std::size_t at = 0; at < h5.size(); at += 3) {
    auto bad = h5;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at / 3 % 8)));
    if (!survives(bad)) ++noticed;
  }
  EXPECT_GT(noticed, 300U);  // names, addresses, sizes; the rest is weights and unused space
}

TEST(Damage, RandomDamage) {
  Random random{12345};
  const auto h5 = small_h5();
  for (int i = 0; i < 2000; ++i) survives(damaged(h5, random));
  const NamedBytes weights{"w.h5", small_weights()};
  const auto json = small_json();
  for (int i = 0; i < 1000; ++i) survives(damaged(json, random), weights);
  // Inside of the archive, where the checksum does not help.
  diag::Engine engine;
  Context ctx{engine};
  const auto members = support::read_zip(small_keras3(ctx), "z", ctx);
  ASSERT_TRUE(members.ok());
  for (int i = 0; i < 600; ++i) {
    auto changed = *members;
    auto& member = changed[i % 3 == 0 ? "config.json" : "model.weights.h5"];
    member = damaged(member, random);
    survives(support::write_zip(changed, ctx).value());
  }
}

}  // namespace
}  // namespace weft::formats::keras
