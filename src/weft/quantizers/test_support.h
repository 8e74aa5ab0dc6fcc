// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the tests of this folder share: making functions, expecting failures, points to sweep.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "weft/quantizers/quantizer.h"

namespace weft::quantizers {

/// A Context with its own Engine.
struct TestContext {
  diag::Engine engine;
  Context ctx{.diag = engine};
  [[nodiscard]] std::string messages() const {
    std::string all;
    for (const auto& d : engine.all()) all += diag::to_text(d) + "\n";
    return all;
  }
};

/// The function, or nullptr with a test failure.
inline std::shared_ptr<const Function> make_ok(const Spec& spec) {
  TestContext t;
  auto made = make(spec, {}, t.ctx);
  EXPECT_TRUE(made.ok()) << spec.family << ": " << t.messages();
  return made.ok() ? *made : nullptr;
}

/// Expects a QuantizerUnsupported failure that mentions `word`.
inline void expect_refused(const Spec& spec, const std::string& word) {
  TestContext t;
  EXPECT_FALSE(make(spec, {}, t.ctx).ok()) << spec.family;
  ASSERT_EQ(t.engine.error_count() > 0, true) << spec.family;
  EXPECT_EQ(t.engine.all().front().kind, Kind::QuantizerUnsupported);
  EXPECT_NE(t.messages().find(word), std::string::npos) << t.messages();
}

inline Quantized quantize_ok(const Spec& spec, const FloatTensor& tensor) {
  TestContext t;
  const auto function = make_ok(spec);
  if (function == nullptr) return {};
  auto result = function->quantize(tensor, {}, t.ctx);
  EXPECT_TRUE(result.ok()) << t.messages();
  return result.ok() ? std::move(result).value() : Quantized{};
}

inline AttributeMap::mapped_type num(double v) { return Attribute(v); }
inline AttributeMap::mapped_type whole(std::int64_t v) { return Attribute(v); }
inline AttributeMap::mapped_type text(const char* v) { return Attribute(std::string(v)); }

/// Finite float32 points, ascending: ties and their neighbours on the grid `lsb` from lo to hi and a little beyond,
/// powers of two, square roots between them, extremes, denormals and seeded random numbers of every magnitude.
inline std::vector<float> sweep_points(double lsb, double lo, double hi) {
  std::vector<float> points;
  const auto add = [&](double v) {
    const auto f = static_cast<float>(v);
    if (!std::isfinite(f)) return;
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (const float p : {f, std::nextafter(f, kInfinity), std::nextafter(f, -kInfinity)}) {
      if (std::isfinite(p)) points.push_back(p);
    }
  };
  const double first = lo / lsb - 6.0;
  const double last = hi / lsb + 6.0;
  const double stride = std::max(1.0, std::floor((last - first) / 500.0));
  for (double k = std::floor(first); k <= last; k += stride) {
    for (const double part : {0.0, 0.25, 0.5, 0.75}) add((k + part) * lsb);
  }
  for (int e = -149; e <= 127; ++e) {
    for (const double factor : {1.0, 1.4142135623730951, 1.5}) {
      if (std::abs(e) > 40 && factor != 1.0) continue;
      add(std::ldexp(factor, e));
      add(-std::ldexp(factor, e));
    }
  }
  for (const double v : {0.0, 1e-7, 0.33, 2.5, 3.0, 6.0, 3.4028234663852886e38}) {
    add(v);
    add(-v);
  }
  std::mt19937 random(7);
  for (int i = 0; i < 1000; ++i) {
    const double magnitude = std::ldexp(1.0 + (random() >> 8) / 16777216.0, static_cast<int>(random() % 40) - 25);
    points.push_back(static_cast<float>(random() % 2 == 0 ? magnitude : -magnitude));
  }
  points.push_back(-0.0F);
  std::sort(points.begin(), points.end());
  return points;
}

}  // namespace weft::quantizers
