// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>

#include "weft/exact/graph.h"
#include "weft/exact/infer.h"
#include "weft/exact/random_graph.h"

namespace weft::exact {
namespace {

struct Parsed {
  std::optional<Graph> graph;
  std::vector<diag::Diagnostic> diagnostics;
};

Parsed parse(const std::string& text, std::uint64_t max_elements = 1U << 20) {
  diag::Engine engine;
  Context ctx{engine};
  ctx.limits.tensor_elements = max_elements;
  auto graph = parse_text(text, "file.exact", ctx);
  Parsed out{.graph = {}, .diagnostics = engine.all()};
  if (graph) out.graph = std::move(*graph);
  return out;
}

/// Field by field: text equality alone would not see what the writer forgets.
void expect_equal(const Graph& a, const Graph& b) {
  EXPECT_EQ(a.name, b.name);
  ASSERT_EQ(a.values.size(), b.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    const Value& v = a.values[i];
    const Value& w = b.values[i];
    EXPECT_EQ(v.name, w.name);
    EXPECT_EQ(v.shape, w.shape);
    EXPECT_EQ(v.scale, w.scale);
    EXPECT_EQ(v.ranges, w.ranges);
    EXPECT_EQ(v.primitive, w.primitive) << name_of(v.primitive);
    EXPECT_EQ(v.origin, w.origin);
  }
  ASSERT_EQ(a.inputs.size(), b.inputs.size());
  for (std::size_t i = 0; i < a.inputs.size(); ++i) {
    EXPECT_EQ(a.inputs[i].name, b.inputs[i].name);
    EXPECT_EQ(a.inputs[i].value, b.inputs[i].value);
    EXPECT_EQ(a.inputs[i].conversion, b.inputs[i].conversion);
    EXPECT_EQ(a.inputs[i].rule, b.inputs[i].rule);
  }
  ASSERT_EQ(a.outputs.size(), b.outputs.size());
  for (std::size_t i = 0; i < a.outputs.size(); ++i) {
    EXPECT_EQ(a.outputs[i].name, b.outputs[i].name);
    EXPECT_EQ(a.outputs[i].value, b.outputs[i].value);
    EXPECT_EQ(a.outputs[i].steps, b.outputs[i].steps);
  }
  ASSERT_EQ(a.probes.size(), b.probes.size());
  for (std::size_t i = 0; i < a.probes.size(); ++i) {
    EXPECT_EQ(a.probes[i].layer, b.probes[i].layer);
    EXPECT_EQ(a.probes[i].value, b.probes[i].value);
    EXPECT_EQ(a.probes[i].steps, b.probes[i].steps);
    EXPECT_EQ(a.probes[i].folded_into, b.probes[i].folded_into);
  }
}

TEST(Text, RoundTripsRandomGraphs) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto graph = random_graph(seed);
    const auto text = to_text(graph);
    const auto parsed = parse(text);
    ASSERT_TRUE(parsed.graph.has_value()) << "seed " << seed << ": " << parsed.diagnostics.back().message;
    expect_equal(graph, *parsed.graph);
    ASSERT_EQ(to_text(*parsed.graph), text);
  }
}

TEST(Text, KeepsNamesNumbersAndWideCodes) {
  Graph g;
  g.name = "a \"quoted\" \\ name\nwith\x01 bytes \xff";
  Value x{.name = "x",
          .shape = {},
          .scale = Scale(Rational(1, 3)),
          .ranges = {{-(Int{1} << 126), Int{1} << 126, 5}},
          .primitive = Constant{{Int{1} << 100}},
          .origin = {.file = "m.h5", .node = "", .op = "Op%[", .tensor = "t\"x"}};
  g.values.push_back(x);
  g.outputs.push_back({.name = "%out ",
                       .value = {0},
                       .steps = {{ReadoutStep::Op::Div,
                                  {
                                      0.1F,
                                  }},
                                 {ReadoutStep::Op::ReverseDiv, {1e-45F}}}});
  g.probes.push_back({.layer = "", .value = std::nullopt, .steps = {}, .folded_into = "other layer"});
  ASSERT_EQ(verify(g), "");
  const auto parsed = parse(to_text(g));
  ASSERT_TRUE(parsed.graph.has_value()) << parsed.diagnostics.back().message;
  expect_equal(g, *parsed.graph);
}

TEST(Text, ReadsAsOneLinePerValue) {
  const std::string text =
      "weft-exact 1 \"small\"\n"
      "value x shape [2] scale [1/16] ranges [-128..127*2] = input\n"
      "value y shape [1] scale [1/32] ranges [-388..386~1] = matvec %x n_in 2 n_out 1 weights [2 0] bias [-132]\n"
      "value z shape [1] scale [1] ranges [0..3] = requant %y functions [shift(5,RND,SAT,0,3)] origin \"\" \"relu\" "
      "\"\" \"\"\n"
      "input \"in\" %x fixed type fixed<8,4,RND_CONV,SAT> rule \"model\"\n"
      "output \"out\" %z mul [0.5]\n"
      "probe \"relu\" %z\n";
  const auto parsed = parse(text);
  ASSERT_TRUE(parsed.graph.has_value()) << parsed.diagnostics.back().message;
  EXPECT_EQ(to_text(*parsed.graph), text);
  EXPECT_EQ(std::get<MatVec>(parsed.graph->values[1].primitive).bias, std::vector<Int>{-132});
  const auto body = text.find('\n') + 1;
  EXPECT_TRUE(parse(text.substr(0, body) + "# a comment\n\n   \n" + text.substr(body)).graph.has_value());
}

TEST(Text, NamesLineAndCause) {
  const std::string head = "weft-exact 1 \"g\"\nvalue x shape [2] scale [1] ranges [0..1*2] = constant codes [0 1]\n";
  ASSERT_TRUE(parse(head).graph.has_value());
  const std::pair<std::string, const char*> cases[] = {
      {"", "empty"},
      {"weft-exact 2 \"g\"\n", "does not begin"},
      {"weft-exact 1 g\n", "line 1"},
      {head + "something\n", "line 3: a line begins with"},
      {head + "value x shape [] scale [1] ranges [0..0] = constant codes [0]\n", "the name is taken"},
      {head + "value y shape [2] scale [1] ranges [0..1*2] = nothing %x\n", "an unknown primitive"},
      {head + "value y shape [2] scale [1] ranges [0..1*2] = reshape %q\n", "an unknown value"},
      {head + "value y shape [2] scale [1] ranges [0..1*3] = reshape %x\n", "3 ranges for shape [2]"},
      {head + "value y shape [2] scale [1] ranges [0..1*2] = reshape %x more\n", "unexpected text"},
      {head + "value y shape [2 scale [1] ranges [0..1*2] = reshape %x\n", "an integer is missing"},
      {head + "value y shape [99999999999999999999] scale [1] ranges [0..1] = reshape %x\n",
       "an integer is missing or too large"},
      {head + "value y shape [0] scale [1] ranges [] = reshape %x\n", "out of bounds"},
      {head + "value y shape [2] scale [1/0] ranges [0..1*2] = reshape %x\n", "a fraction is missing"},
      {head + "value y shape [2] scale [-1] ranges [0..1*2] = reshape %x\n", "not positive"},
      {head + "value y shape [2] scale [1] ranges [1..0*2] = reshape %x\n", "holds no code"},
      {head + "value y shape [2] scale [1] ranges [0..0*2] = reshape %x\n", "does not contain"},
      {head + "value y shape [2] scale [1] ranges [0..1*-2] = reshape %x\n", "not positive"},
      {head + "value y shape [2] scale [1] ranges [0..1~999*2] = reshape %x\n", "999 is not between"},
      {head + "value y shape [2] scale [1] ranges [0..1*2] = requant %x functions [shift(]\n", "`)` is missing"},
      {head + "value y shape [2] scale [1] ranges [0..1*2] = requant %x functions [shift()]\n", "malformed"},
      {head + "value y shape [2] scale [1] ranges [0..1*2] = permute %x permutation [9]\n", "not a permutation"},
      {head + "output \"o\" %x mul [1 2 3]\n", "readout operands"},
      {head + "output \"o %x\n", "does not end"},
      {head + "output \"\\q\" %x\n", "an unknown escape"},
      {head + "input \"o\" %x fixed rule \"model\"\n", "not an input of its own"},
      {head + "input \"o\" %x other rule \"model\"\n", "an unknown conversion"},
  };
  for (const auto& [text, cause] : cases) {
    const auto parsed = parse(text);
    EXPECT_FALSE(parsed.graph.has_value()) << text;
    ASSERT_EQ(parsed.diagnostics.size(), 1U) << text;
    EXPECT_EQ(parsed.diagnostics[0].kind, Kind::ModelMalformed);
    EXPECT_EQ(parsed.diagnostics[0].origin.file, "file.exact");
    EXPECT_NE(parsed.diagnostics[0].message.find(cause), std::string::npos)
        << "wanted " << cause << ", got " << parsed.diagnostics[0].message;
  }
}

TEST(Text, RunsExpandWithinTheLimits) {
  const auto text = [](const std::string& n) {
    return "weft-exact 1 \"g\"\nvalue x shape [" + n + "] scale [1] ranges [-128..127*" + n +
           "] = input\ninput \"x\" %x fixed type fixed<8,8> rule \"model\"\n";
  };
  EXPECT_TRUE(parse(text("1000"), 2000).graph.has_value());
  const auto parsed = parse(text("3000"), 2000);
  ASSERT_FALSE(parsed.graph.has_value());
  EXPECT_NE(parsed.diagnostics[0].message.find("limits"), std::string::npos);
  EXPECT_FALSE(parse(text("1000000000000"), ~std::uint64_t{0}).graph.has_value());
}

TEST(Text, CountsTheTimeOfTheCheckByDistinctRows) {
  Graph g;
  Value x{.name = "x", .shape = {4, 2}, .scale = {}, .ranges = {}, .primitive = Input{}, .origin = {}};
  const fixed::Range p{0, 1, 0};
  const fixed::Range q{0, 2, 0};
  x.ranges = {p, q, p, q, q, q, p, q};
  g.values.push_back(x);
  MatVec m{.x = {0}, .n_in = 2, .n_out = 3, .weights = {1, 2, 3, 4, 5, 6}, .bias = {0, 0, 0}, .accumulator = {}};
  const Value y{.name = "y", .shape = {4, 3}, .scale = {}, .ranges = {}, .primitive = m, .origin = {}};
  EXPECT_EQ(inference_work(g, y), 3U * 6U);
}

TEST(Text, LargeMatricesAreRead) {
  Random random(5);
  Graph g;
  g.name = "large";
  constexpr std::int64_t kIn = 1024;
  constexpr std::int64_t kOut = 512;
  Value x{.name = "x", .shape = {kIn}, .scale = {}, .ranges = {}, .primitive = Input{}, .origin = {}};
  x.ranges.assign(kIn, {-128, 127, 0});
  g.values.push_back(x);
  g.inputs.push_back({.name = "x", .value = {0}, .conversion = {.type = {.width_bits = 8}}, .rule = "model"});
  MatVec p{.x = {0}, .n_in = kIn, .n_out = kOut, .weights = {}, .bias = std::vector<Int>(kOut, 3), .accumulator = {}};
  for (std::int64_t i = 0; i < kIn * kOut; ++i) p.weights.push_back(random.between(-128, 127));
  Value y{.name = "y", .shape = {kOut}, .scale = {}, .ranges = {}, .primitive = p, .origin = {}};
  diag::Engine engine;
  Context ctx{engine};
  y.ranges = *infer_ranges(g, y, ctx);
  g.values.push_back(y);
  const auto text = to_text(g);
  const auto parsed = parse(text);
  ASSERT_TRUE(parsed.graph.has_value());
  expect_equal(g, *parsed.graph);
}

/// Changed, cut and joined texts: any answer but a crash, and whatever is read is sound.
TEST(Text, SurvivesGarbage) {
  Random random(6);
  const std::string alphabet = "0123456789-[]()*%~./ \"\\\nabcvxyz_,=#";
  int read = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    std::string text = to_text(random_graph(seed % 40, {.max_extent = 3, .steps = 5}));
    for (std::int64_t n = random.between(1, 4); n > 0; --n) {
      const auto at = static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(text.size()) - 1));
      const auto other = static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(text.size()) - 1));
      const auto length = static_cast<std::size_t>(random.between(1, 30));
      switch (random.between(0, 4)) {
        case 0:
          text[at] =
              alphabet[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(alphabet.size()) - 1))];
          break;
        case 1:
          text.erase(at, length);
          break;
        case 2:
          text.insert(at, text.substr(other, length));
          break;
        case 3:
          text.insert(at, std::to_string(random.next()));
          break;
        default:
          text[at] = static_cast<char>(random.between(-128, 127));
      }
      if (text.empty()) text = " ";
    }
    const auto parsed = parse(text, 100000);
    if (!parsed.graph) {
      ASSERT_EQ(parsed.diagnostics.size(), 1U);
      continue;
    }
    ++read;
    ASSERT_EQ(verify(*parsed.graph), "");
    ASSERT_TRUE(parse(to_text(*parsed.graph)).graph.has_value());
  }
  // Some changes are harmless (names, weights within the stored ranges), most are not.
  EXPECT_GT(read, 20);
  EXPECT_LT(read, 3500);
}

}  // namespace
}  // namespace weft::exact
