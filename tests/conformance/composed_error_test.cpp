// SPDX-License-Identifier: Apache-2.0
// Softmax, normalizations, quotients and powers against the real numbers, computed in double from the input codes: no
// result lies farther off than the certificate says, and what it says is small.
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "builder.h"
#include "weft/emulate/emulator.h"
#include "weft/layers/layer.h"

namespace weft::conformance {
namespace {

using Row = std::vector<double>;
using Real = std::function<Row(const std::vector<Row>&)>;

/// "within 0.81 last places" at the end of a note.
double stated(const std::vector<layers::LayerCertificate>& certificate, const std::string& layer) {
  const std::regex pattern(".*within ([0-9.]+) last places.*");
  double out = -1.0;
  for (const auto& row : certificate)
    for (const auto& note : row.notes) {
      std::smatch match;
      if (row.layer == layer && std::regex_match(note, match, pattern)) out = std::max(out, std::stod(match[1]));
    }
  return out;
}

/// Runs `samples` random inputs; `spread` scales them down so that small variances occur.
void check(Builder& b, const std::string& layer, const Real& real, double most_ulps, const std::string& what) {
  SCOPED_TRACE(what);
  Case c = b.done(layers::Word::Quantized);
  diag::Engine engine;
  Context ctx{engine};
  ASSERT_TRUE(layers::check(c.graph, ctx).ok());
  auto lowered = lower::lower(c.graph, c.options, ctx);
  for (const auto& d : engine.all())
    if (d.severity == diag::Severity::Error) ADD_FAILURE() << diag::to_text(d);
  ASSERT_TRUE(lowered.ok());
  ASSERT_EQ(exact::verify(lowered->graph), "");
  const exact::Graph& graph = lowered->graph;
  for (const auto& value : graph.values)
    for (const auto& range : value.ranges) ASSERT_LE(fixed::width_bits(range), 63) << value.name;
  const double limit = stated(lowered->certificate, layer);
  ASSERT_GT(limit, 0.0);
  EXPECT_LE(limit, most_ulps);
  exact::Random random(7);
  const auto& y = graph.at(graph.outputs[0].value);
  const double unit = fixed::to_double(y.scale.at(0));
  double worst = 0.0;
  for (int sample = 0; sample < 200; ++sample) {
    auto codes = exact::random_codes(graph, random);
    std::vector<Row> inputs;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const auto& x = graph.at(graph.inputs[i].value);
      Row row;
      // Every magnitude, down to single codes.
      const int down = static_cast<int>(random.between(0, fixed::width_bits(x.ranges[0]) - 1));
      for (auto& code : codes[i]) {
        if (i == 0 || sample % 2 == 0) code = std::clamp<Int>(code >> down, x.ranges[0].lo, x.ranges[0].hi);
        row.push_back(fixed::to_double(x.scale.at(0)) * static_cast<double>(code));
      }
      inputs.push_back(std::move(row));
    }
    const auto run = emulate::run_plain(graph, codes);
    const Row expected = real(inputs);
    const auto& got = run.values[graph.outputs[0].value.index];
    ASSERT_EQ(got.size(), expected.size());
    const auto& range = y.ranges[0];
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (std::isnan(expected[i])) continue;
      const double ideal = std::clamp(expected[i] / unit, static_cast<double>(range.lo), static_cast<double>(range.hi));
      worst = std::max(worst, std::fabs(static_cast<double>(got[i]) - ideal));
    }
    ASSERT_LE(worst, limit) << "sample " << sample;
  }
  EXPECT_GT(worst, 0.2) << "the test sees nothing";
}

void set_type(Builder& b, const std::string& layer, const std::string& role, const std::string& text) {
  std::string error;
  b.options().config.layer_name[layer].precision[role] = fixed::parse_type(text, true, error).value();
}

Row softmax(const Row& x, bool logarithm) {
  const double most = *std::max_element(x.begin(), x.end());
  double sum = 0.0;
  for (const double v : x) sum += std::exp(v - most);
  Row out;
  for (const double v : x) out.push_back(logarithm ? v - most - std::log(sum) : std::exp(v - most) / sum);
  return out;
}

TEST(ComposedError, Softmax) {
  for (const char* input : {"fixed<8,4>", "fixed<30,8>"}) {
    for (const char* result : {"ufixed<8,0>", "ufixed<16,0>", "ufixed<24,0>"}) {
      for (const std::int64_t n : {2, 50}) {
        Builder b("softmax", {n}, input);
        b.node("Softmax", "softmax").attributes = {{"axis", std::int64_t{-1}}};
        b.options().config.layer_name["softmax"].softmax = "table";
        set_type(b, "softmax", "result", result);
        // Lines for 30-bit exponentials become too many; what is lost is stated.
        const double most = std::string(result) == "ufixed<24,0>"   ? 2048.0
                            : std::string(result) == "ufixed<16,0>" ? 8.0
                                                                    : 2.0;
        check(
            b, "softmax", [](const auto& x) { return softmax(x[0], false); }, most,
            std::string(input) + " " + result + " " + std::to_string(n));
        if (testing::Test::HasFailure()) return;
      }
    }
  }
  Builder b("log_softmax", {20}, "fixed<18,6>");
  b.node("LogSoftmax", "softmax").attributes = {{"axis", std::int64_t{-1}}};
  b.options().config.layer_name["softmax"].softmax = "table";
  set_type(b, "softmax", "result", "fixed<20,8>");
  check(b, "softmax", [](const auto& x) { return softmax(x[0], true); }, 1.1, "logarithm");
}

Row normalized(const Row& x, const std::string& statistic, double epsilon) {
  const auto n = static_cast<double>(x.size());
  // n x - sum(x) is exact: inputs have at most 40 bits.
  double total = 0.0;
  if (statistic == "variance")
    for (const double v : x) total += v;
  const auto centered = [&](double v) { return statistic == "variance" ? (n * v - total) / n : v; };
  double sum = 0.0;
  for (const double v : x) sum += statistic == "sum_abs" ? std::fabs(v) : centered(v) * centered(v);
  double divisor = 0.0;
  if (statistic == "sum_abs")
    divisor = std::max(sum, epsilon);
  else if (statistic == "sum_square")
    divisor = std::sqrt(std::max(sum, epsilon));
  else
    divisor = std::sqrt(sum / n + epsilon);
  Row out;
  for (const double v : x) out.push_back(divisor > 0.0 ? centered(v) / divisor : 0.0);
  return out;
}

TEST(ComposedError, NormalizationsOfEveryVariance) {
  for (const char* statistic : {"variance", "mean_square", "sum_square", "sum_abs"}) {
    for (const char* input : {"fixed<8,4>", "fixed<16,6>", "fixed<16,12>", "fixed<28,10>", "fixed<40,20>"}) {
      for (const std::int64_t n : {3, 100}) {
        for (const double epsilon : {0.0, 1e-5, 2.0}) {
          Builder b("norm", {n}, input);
          b.node("LayerNorm", "norm").attributes = {
              {"axes", std::vector<std::int64_t>{0}}, {"epsilon", epsilon}, {"statistic", std::string(statistic)}};
          // Raw results carry the type of the normalized values, whose error is stated.
          set_type(b, "norm", "normalized", "fixed<20,8>");
          // Sums of few codes beside an epsilon of few codes: its rounding shows, and is stated.
          const double most = std::string(statistic) == "sum_abs" ? 4096.0 : 8.0;
          b.options().default_type = {16, 6, true};
          check(
              b, "norm", [&](const auto& x) { return normalized(x[0], statistic, epsilon); }, most,
              std::string(statistic) + " " + input + " " + std::to_string(n) + " " + std::to_string(epsilon));
          if (testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

/// x and y side by side in one input: the left and the right half.
void halves(Builder& b, const std::string& op, std::int64_t n) {
  const auto x = b.last();
  auto& left = b.node("Slice", "left");
  left.attributes = {{"begin", std::vector<std::int64_t>{0}},
                     {"end", std::vector<std::int64_t>{n}},
                     {"step", std::vector<std::int64_t>{1}}};
  const auto a = b.last();
  b.set_last(x);
  auto& right = b.node("Slice", "right");
  right.attributes = {{"begin", std::vector<std::int64_t>{n}},
                      {"end", std::vector<std::int64_t>{2 * n}},
                      {"step", std::vector<std::int64_t>{1}}};
  const auto c = b.last();
  b.node(op, "composed").inputs = {a, c};
}

TEST(ComposedError, Quotients) {
  for (const char* input : {"fixed<8,4>", "fixed<16,6>", "fixed<20,4>", "ufixed<12,0>"}) {
    for (const char* result : {"fixed<8,4>", "fixed<16,8>", "fixed<20,6>"}) {
      Builder b("quotient", {12}, input);
      halves(b, "Div", 6);
      set_type(b, "composed", "result", result);
      check(
          b, "composed",
          [](const auto& x) {
            Row out;
            for (std::size_t i = 0; i < 6; ++i) out.push_back(x[0][i + 6] == 0.0 ? NAN : x[0][i] / x[0][i + 6]);
            return out;
          },
          1.1, std::string(input) + " " + result);
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(ComposedError, Powers) {
  for (const char* result : {"ufixed<8,4>", "ufixed<16,8>"}) {
    Builder b("power", {8}, "fixed<10,4>");
    halves(b, "Pow", 4);
    set_type(b, "composed", "result", result);
    check(
        b, "composed",
        [](const auto& x) {
          Row out;
          for (std::size_t i = 0; i < 4; ++i) out.push_back(x[0][i] <= 0.0 ? NAN : std::pow(x[0][i], x[0][i + 4]));
          return out;
        },
        1.5, result);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ComposedError, ScalesThatShareNoPowerOfTwo) {
  for (const char* op : {"Add", "Sub", "Maximum", "Average"}) {
    Builder b(op, {4}, "fixed<8,4>");
    const auto x = b.last();
    const auto quantizer = [](double scale) {
      return Builder::spec("qonnx_quant", {{"scale", std::vector<double>{scale}},
                                           {"zero_point", std::vector<double>{0.0}},
                                           {"bits", 6.0},
                                           {"signed", true},
                                           {"narrow", false},
                                           {"rounding", std::string("ROUND")}});
    };
    b.activation("left", quantizer(static_cast<double>(0.3F)));
    const auto left = b.last();
    b.set_last(x);
    b.activation("right", quantizer(static_cast<double>(0.7F)));
    const auto right = b.last();
    b.node(op, "merge").inputs = {left, right};
    Case c = b.done(layers::Word::Exact);
    diag::Engine engine;
    Context ctx{engine};
    ASSERT_TRUE(layers::check(c.graph, ctx).ok());
    auto lowered = lower::lower(c.graph, c.options, ctx);
    ASSERT_TRUE(lowered.ok()) << op;
    const exact::Graph& graph = lowered->graph;
    exact::Random random(3);
    for (int sample = 0; sample < 200; ++sample) {
      const auto codes = exact::random_codes(graph, random);
      const auto run = emulate::run_plain(graph, codes);
      const auto& y = graph.at(graph.outputs[0].value);
      for (std::size_t i = 0; i < 4; ++i) {
        const double v = static_cast<double>(codes[0][i]) / 16.0;
        const auto rounded = [&](float scale) {
          const double q = std::nearbyint(static_cast<double>(static_cast<float>(v) / scale));
          return static_cast<double>(scale) * std::clamp(q, -32.0, 31.0);
        };
        const double a = rounded(0.3F);
        const double e = rounded(0.7F);
        const std::string name = op;
        const double expected = name == "Add"       ? a + e
                                : name == "Sub"     ? a - e
                                : name == "Maximum" ? std::max(a, e)
                                                    : (a + e) / 2.0;
        const double got =
            fixed::to_double(y.scale.at(0)) * static_cast<double>(run.values[graph.outputs[0].value.index][i]);
        EXPECT_NEAR(got, expected, 1e-12) << op;
      }
    }
  }
}

}  // namespace
}  // namespace weft::conformance
