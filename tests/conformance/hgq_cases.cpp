// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "builder.h"

namespace weft::conformance {
namespace {

/// Widths that differ from element to element: signs, negative integer bits, coarse grids, and pruned ones.
Spec grids(Builder& b, std::size_t count, int integer, int frac, const char* rounding, const char* overflow) {
  const auto pick = [&](double lo, double hi) {
    std::vector<double> out;
    for (const float v : b.numbers(count, lo, hi)) out.push_back(std::nearbyint(v));
    return out;
  };
  return Builder::spec("hgq_fixed", {{"k", pick(0, 1)},
                                     {"i", pick(integer - 2.5, integer + 0.5)},
                                     {"f", pick(-1.5, frac + 0.5)},
                                     {"rounding", std::string(rounding)},
                                     {"overflow", std::string(overflow)}});
}

/// A dense layer whose weights have a width each.
nn::Node& dense(Builder& b, const std::string& name, std::int64_t in, std::int64_t out) {
  auto& n = b.dense(name, in, out, nullptr);
  n.parameters["kernel"].quantizer = grids(b, static_cast<std::size_t>(in * out), 1, 4, "RND", "SAT_SYM");
  n.parameters["bias"].quantizer = grids(b, static_cast<std::size_t>(out), 1, 4, "RND", "NONE");
  return n;
}

}  // namespace

void add_hgq_cases(std::vector<Case>& out) {
  const auto exact = [&](Builder& b) { out.push_back(b.done(layers::Word::Exact)); };
  const Spec relu = Builder::spec("relu", {});
  {
    Builder b("hgq_per_channel_wraps", {6}, "fixed<9,4>");
    b.activation("a_iq", grids(b, 6, 2, 3, "RND", "WRAP"));
    dense(b, "a", 6, 5).functions["activation"] = relu;
    b.activation("b_iq", grids(b, 5, 2, 3, "RND", "WRAP"));
    dense(b, "b", 5, 4);
    b.activation("b_oq", grids(b, 4, 3, 3, "TRN", "WRAP"));
    exact(b);
  }
  {
    Builder b("hgq_per_element", {4, 3}, "fixed<9,4>");
    b.activation("a_iq", grids(b, 12, 2, 3, "TRN", "WRAP"));
    dense(b, "a", 3, 4).functions["activation"] = relu;
    b.activation("b_iq", grids(b, 16, 2, 3, "RND", "WRAP"));
    dense(b, "b", 4, 2);
    b.activation("b_oq", grids(b, 8, 2, 2, "RND_CONV", "SAT"));
    exact(b);
  }
  {
    Builder b("hgq_clips", {3, 4}, "fixed<10,5>");
    b.activation("first", grids(b, 12, 3, 4, "RND", "SAT"));
    b.activation("second", grids(b, 4, 2, 3, "RND_CONV", "SAT_SYM"));
    exact(b);
  }
  {
    // Behind a scale that is no power of two and behind a function: rounded first, then wrapped.
    Builder b("hgq_wraps_behind_steps", {5}, "fixed<8,4>");
    auto& n = b.node("Mul", "third");
    n.parameters["constant"].values = FloatTensor({}, {0.3F});
    b.activation("wrapped", grids(b, 5, 1, 3, "RND", "WRAP"));
    b.activation("slope", Builder::spec("leaky_relu", {{"alpha", 0.3}}));
    b.activation("again", grids(b, 5, 0, 3, "RND_CONV", "WRAP"));
    exact(b);
  }
  {
    Builder b("hgq_shared_grid", {2, 3}, "fixed<8,4>");
    b.activation("all", Builder::spec("hgq_fixed", {{"k", 0.0}, {"i", 2.0}, {"f", 2.0}}));
    dense(b, "a", 3, 2);
    exact(b);
  }
}

}  // namespace weft::conformance
