// SPDX-License-Identifier: Apache-2.0
#include "weft/exact/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "weft/exact/random_graph.h"
#include "weft/fixed/quantize.h"

namespace weft::exact {
namespace {

using fixed::Range;
using Ranges = std::vector<Range>;

/// A graph of inputs, for one primitive on top of them.
class Bench {
 public:
  ValueId input(Shape shape, Ranges ranges) {
    Value value;
    value.name = "x" + std::to_string(graph_.values.size());
    value.shape = std::move(shape);
    value.ranges = std::move(ranges);
    value.primitive = Input{};
    graph_.values.push_back(std::move(value));
    return {static_cast<std::uint32_t>(graph_.values.size() - 1)};
  }
  Ranges ranges(Primitive primitive, Shape shape = {}) {
    const Value value = make(std::move(primitive), std::move(shape));
    diag::Engine engine;
    Context ctx{engine};
    auto out = infer_ranges(graph_, value, ctx);
    error_ = engine.has_errors() ? engine.all().back() : diag::Diagnostic{};
    return out ? *out : Ranges{};
  }
  Shape shape(Primitive primitive, Shape shape = {}) {
    const Value value = make(std::move(primitive), std::move(shape));
    diag::Engine engine;
    Context ctx{engine};
    auto out = infer_shape(graph_, value, ctx);
    error_ = engine.has_errors() ? engine.all().back() : diag::Diagnostic{};
    return out ? *out : Shape{};
  }
  /// The last failure.
  [[nodiscard]] const diag::Diagnostic& error() const { return error_; }

 private:
  static Value make(Primitive primitive, Shape shape) {
    Value value;
    value.name = "y";
    value.origin.node = "layer";
    value.shape = std::move(shape);
    value.primitive = std::move(primitive);
    return value;
  }
  Graph graph_;
  diag::Diagnostic error_;
};

constexpr Range kByte{-128, 127, 0};

TEST(Names, FollowTheTable) {
  EXPECT_EQ(name_of(Primitive(Input{})), "input");
  EXPECT_EQ(name_of(Primitive(MatVec{})), "matvec");
  EXPECT_EQ(name_of(Primitive(ArgMax{})), "argmax");
  EXPECT_EQ(name_of(Primitive(Reshape{})), "reshape");
}

TEST(Operands, StandInOrder) {
  EXPECT_TRUE(operands(Constant{}).empty());
  EXPECT_EQ(operands(Sub{.a = {3}, .b = {1}}), (std::vector<ValueId>{{3}, {1}}));
  EXPECT_EQ(operands(Concat{.xs = {{2}, {2}, {0}}}), (std::vector<ValueId>{{2}, {2}, {0}}));
}

MatVec matvec(ValueId x, std::int64_t n_in, std::int64_t n_out, std::vector<std::int64_t> weights,
              std::vector<Int> bias) {
  return {
      .x = x, .n_in = n_in, .n_out = n_out, .weights = std::move(weights), .bias = std::move(bias), .accumulator = {}};
}

TEST(InferRanges, MatVecUsesTheActualWeights) {
  Bench b;
  const auto x = b.input({2}, {kByte, kByte});
  // y0 = 4 x0 + 8 x1 + 2, y1 = 7, y2 = -8 x0 + 16 x1.
  EXPECT_EQ(b.ranges(matvec(x, 2, 3, {4, 0, -8, 8, 0, 16}, {2, 7, 0})),
            (Ranges{{-1536 + 2, 1524 + 2, 1}, {7, 7, 0}, {-8 * 127 - 16 * 128, 8 * 128 + 16 * 127, 3}}));
}

TEST(InferRanges, MatVecTakesTheStepOfTheTermsThatCount) {
  Bench b;
  // The second input is always zero, the third is off the grid but its weight is zero.
  const auto x = b.input({3}, {{-16, 16, 3}, {0, 0, 0}, {-1, 1, 0}});
  EXPECT_EQ(b.ranges(matvec(x, 3, 1, {2, 1, 0}, {0})), (Ranges{{-32, 32, 4}}));
  EXPECT_EQ(b.ranges(matvec(x, 3, 1, {2, 1, 0}, {4})), (Ranges{{-28, 36, 2}}));
  EXPECT_EQ(b.ranges(matvec(x, 3, 1, {0, 5, 0}, {-4})), (Ranges{{-4, -4, 2}}));
  EXPECT_EQ(b.ranges(matvec(x, 3, 1, {0, 5, 0}, {0})), (Ranges{{0, 0, 0}}));
}

TEST(InferRanges, MatVecRowsKeepTheirOwnInputs) {
  Bench b;
  const auto x =
      b.input({4, 2}, {{-2, 2, 0}, {0, 3, 0}, {-2, 2, 0}, {0, 3, 0}, {-4, 4, 2}, {0, 0, 0}, {-2, 2, 0}, {0, 3, 0}});
  EXPECT_EQ(b.ranges(matvec(x, 2, 2, {1, 0, 2, -1}, {0, 1})),
            (Ranges{{-2, 8, 0}, {-2, 1, 0}, {-2, 8, 0}, {-2, 1, 0}, {-4, 4, 2}, {1, 1, 0}, {-2, 8, 0}, {-2, 1, 0}}));
}

TEST(InferRanges, ForcedAccumulatorHasTheRangeOfItsType) {
  Bench b;
  const auto x = b.input({1}, {kByte});
  auto p = matvec(x, 1, 2, {1, 1}, {0, 0});
  p.accumulator = MatVec::ForcedAccumulator{{.width_bits = 6, .integer_bits = 4}, 3};
  EXPECT_EQ(b.ranges(p), (Ranges(2, {-32, 31, 0})));
  p.accumulator->type.width_bits = 200;
  EXPECT_TRUE(b.ranges(p).empty());
}

TEST(InferRanges, SumsOfTwo) {
  Bench b;
  const auto x = b.input({2, 1}, {{-1, 1, 0}, {0, 8, 3}});
  const auto y = b.input({2}, {{0, 4, 2}, {-6, 0, 1}});
  EXPECT_EQ(b.ranges(Add{.a = x, .b = y, .shift_a = 2, .shift_b = 0}),
            (Ranges{{-4, 8, 2}, {-10, 4, 1}, {0, 36, 2}, {-6, 32, 1}}));
  EXPECT_EQ(b.ranges(Sub{.a = y, .b = x, .shift_a = 1, .shift_b = 0}),
            (Ranges{{-1, 9, 0}, {-13, 1, 0}, {-8, 8, 3}, {-20, 0, 2}}));
}

TEST(InferRanges, ProductsAndSquares) {
  Bench b;
  const auto x = b.input({2}, {{-3, 2, 0}, {-8, 4, 2}});
  const auto y = b.input({}, {{-2, 6, 1}});
  EXPECT_EQ(b.ranges(Mul{.a = x, .b = y}), (Ranges{{-18, 12, 1}, {-48, 24, 3}}));
  EXPECT_EQ(b.ranges(Mul{.a = x, .b = x}), (Ranges{{0, 9, 0}, {0, 64, 4}}));
}

TEST(InferRanges, RequantPerTensorChannelAndElement) {
  Bench b;
  const auto x = b.input({2, 2}, {kByte, {0, 64, 4}, kByte, kByte});
  const fixed::StepFunction shift = fixed::ShiftRound{.shift = 2, .lo = 0, .hi = 100};
  const fixed::StepFunction sign = fixed::Pieces{{0}, {-1, 1}};
  EXPECT_EQ(b.ranges(Requant{.x = x, .functions = {shift}}), (Ranges{{0, 32, 0}, {0, 16, 2}, {0, 32, 0}, {0, 32, 0}}));
  EXPECT_EQ(b.ranges(Requant{.x = x, .functions = {shift, sign}}),
            (Ranges{{0, 32, 0}, {1, 1, 0}, {0, 32, 0}, {-1, 1, 0}}));
  EXPECT_EQ(b.ranges(Requant{.x = x, .functions = {sign, sign, sign, shift}}),
            (Ranges{{-1, 1, 0}, {1, 1, 0}, {-1, 1, 0}, {0, 32, 0}}));
}

TEST(InferRanges, ReductionsAndIndices) {
  Bench b;
  const auto x = b.input({2, 3}, {{0, 4, 2}, {-8, 8, 3}, {0, 0, 0}, {-1, 1, 0}, {5, 9, 0}, {-9, 2, 0}});
  EXPECT_EQ(b.ranges(Reduce{.kind = Reduce::Kind::Sum, .x = x}), (Ranges{{-8, 12, 2}, {-5, 12, 0}}));
  EXPECT_EQ(b.ranges(Reduce{.kind = Reduce::Kind::Max, .x = x}), (Ranges{{0, 8, 2}, {5, 9, 0}}));
  EXPECT_EQ(b.ranges(ArgMax{.x = x, .k = 2}), (Ranges(4, {0, 2, 0})));
}

TEST(InferRanges, MovesOfData) {
  Bench b;
  const Range p{1, 1, 0};
  const Range q{2, 2, 0};
  const Range r{3, 3, 0};
  const Range s{4, 4, 0};
  const auto x = b.input({2, 2}, {p, q, r, s});
  const auto y = b.input({2, 1}, {r, p});
  EXPECT_EQ(b.ranges(Permute{.x = x, .permutation = {1, 0}}), (Ranges{p, r, q, s}));
  EXPECT_EQ(b.ranges(Reshape{.x = x}, {4}), (Ranges{p, q, r, s}));
  EXPECT_EQ(b.ranges(Concat{.xs = {x, y}, .axis = 1}), (Ranges{p, q, r, r, s, p}));
  EXPECT_EQ(b.ranges(Concat{.xs = {x, x}, .axis = 0}), (Ranges{p, q, r, s, p, q, r, s}));
  EXPECT_EQ(b.ranges(Constant{{0, -12}}, {2}), (Ranges{{0, 0, 0}, {-12, -12, 2}}));
}

TEST(InferRanges, SaysWhen128BitsDoNotSuffice) {
  Bench b;
  const Int top = std::numeric_limits<Int>::max();
  const auto x = b.input({2}, {{-top, top, 0}, {0, 2, 0}});
  for (const Primitive& p : {Primitive(matvec(x, 2, 1, {1, 1}, {0})), Primitive(Mul{.a = x, .b = x}),
                             Primitive(Add{.a = x, .b = x}), Primitive(Reduce{.kind = Reduce::Kind::Sum, .x = x})}) {
    EXPECT_TRUE(b.ranges(p).empty());
    EXPECT_EQ(b.error().kind, Kind::TypeTooWide);
    EXPECT_EQ(b.error().origin.node, "layer");
  }
  EXPECT_EQ(b.ranges(Reduce{.kind = Reduce::Kind::Max, .x = x}).size(), 1U);
}

TEST(InferShape, RefusesWhatDoesNotFit) {
  Bench b;
  const auto x = b.input({2, 3}, Ranges(6, kByte));
  const auto y = b.input({2}, Ranges(2, kByte));
  const auto scalar = b.input({}, {kByte});
  const fixed::StepFunction good = fixed::Pieces{{}, {0}};
  const fixed::StepFunction bad = fixed::Pieces{{3, 2}, {0, 1, 2}};
  const Primitive cases[] = {
      matvec(x, 2, 1, {1, 1}, {0}),
      matvec(x, 3, 0, {}, {}),
      matvec(x, 3, 1, {1, 1}, {0}),
      matvec(x, 3, 1, {1, 1, 1}, {}),
      matvec(scalar, 1, 1, {1}, {0}),
      Add{.a = x, .b = y},
      Add{.a = x, .b = x, .shift_a = -1},
      Sub{.a = x, .b = x, .shift_b = 128},
      Mul{.a = x, .b = y},
      Requant{.x = x, .functions = {}},
      Requant{.x = x, .functions = {good, good}},
      Requant{.x = x, .functions = {bad}},
      Reduce{.x = scalar},
      ArgMax{.x = x, .k = 4},
      ArgMax{.x = x, .k = 0},
      ArgMax{.x = scalar, .k = 1},
      Concat{},
      Concat{.xs = {x, y}, .axis = 0},
      Concat{.xs = {x}, .axis = 2},
      Concat{.xs = {x}, .axis = -1},
      Permute{.x = x, .permutation = {0}},
      Permute{.x = x, .permutation = {0, 0}},
      Permute{.x = x, .permutation = {0, 2}},
      Add{.a = x, .b = {99}},
  };
  for (const auto& p : cases) {
    EXPECT_TRUE(b.shape(p).empty()) << name_of(p);
    EXPECT_EQ(b.error().kind, Kind::ShapeMismatch) << name_of(p);
  }
  EXPECT_TRUE(b.shape(Reshape{.x = x}, {5}).empty());
  EXPECT_TRUE(b.shape(Gather{.x = x, .indices = {0, 6}, .pad = 0}, {2}).empty());
  EXPECT_TRUE(b.shape(Gather{.x = x, .indices = {0, -2}, .pad = 0}, {2}).empty());
  const auto window = [&](Shape kernel, Shape stride, Shape dilation, Shape before, std::int64_t groups) {
    return b.shape(Window{x, std::move(kernel), std::move(stride), std::move(dilation), before, before, groups, 0});
  };
  EXPECT_EQ(window({2}, {1}, {1}, {0}, 3), (Shape{1, 6}));
  EXPECT_EQ(window({2}, {2}, {3}, {1}, 1), (Shape{1, 6}));
  EXPECT_TRUE(window({3}, {1}, {1}, {0}, 1).empty());
  EXPECT_TRUE(window({2}, {0}, {1}, {0}, 1).empty());
  EXPECT_TRUE(window({2}, {1}, {1}, {-1}, 1).empty());
  EXPECT_TRUE(window({2}, {1}, {1}, {0}, 2).empty());
  EXPECT_TRUE(window({2, 1}, {1, 1}, {1, 1}, {0, 0}, 1).empty());
  EXPECT_TRUE(b.shape(Constant{{1, 2}}, {3}).empty());
  EXPECT_TRUE(b.shape(Input{}, {0}).empty());
  EXPECT_TRUE(b.shape(Input{}, {std::int64_t{1} << 40, std::int64_t{1} << 40}).empty());
  // Trees: features, children behind their parents, leaves for every output of a tree.
  const auto forest = [&](std::vector<Forest::Node> nodes, std::vector<Forest::Tree> trees) {
    return b.shape(Forest{x, 3, 2, std::move(nodes), std::move(trees), {1, 2, 3}, {0, 0}}, {});
  };
  EXPECT_EQ(forest({{0, 4, 1, -1}, {2, -3, -1, -3}}, {{0, 1, 1}, {-2, 0, 2}}), (Shape{2, 2}));
  EXPECT_TRUE(forest({{3, 4, -1, -1}}, {{0, 0, 1}}).empty());  // no such feature
  EXPECT_TRUE(forest({{0, 4, 0, -1}}, {{0, 0, 1}}).empty());   // its own child
  EXPECT_TRUE(forest({{0, 4, -1, -4}}, {{0, 0, 1}}).empty());  // no such leaf
  EXPECT_TRUE(forest({{0, 4, -1, -3}}, {{0, 0, 2}}).empty());  // one leaf too few for two outputs
  EXPECT_TRUE(forest({{0, 4, -1, -2}}, {{0, 1, 2}}).empty());  // an output too many
  EXPECT_TRUE(forest({{0, 4, -1, -2}}, {{1, 0, 1}}).empty());  // no such root
}

TEST(InferShape, FollowsTheRules) {
  Bench b;
  const auto x = b.input({2, 3}, Ranges(6, kByte));
  const auto y = b.input({4, 1, 3}, Ranges(12, kByte));
  EXPECT_EQ(b.shape(matvec(x, 3, 5, std::vector<std::int64_t>(15, 1), std::vector<Int>(5))), (Shape{2, 5}));
  EXPECT_EQ(b.shape(Add{.a = x, .b = y}), (Shape{4, 2, 3}));
  EXPECT_EQ(b.shape(Reduce{.x = x}), (Shape{2, 1}));
  EXPECT_EQ(b.shape(ArgMax{.x = x, .k = 2}), (Shape{2, 2}));
  EXPECT_EQ(b.shape(Concat{.xs = {x, x, x}, .axis = 1}), (Shape{2, 9}));
  EXPECT_EQ(b.shape(Permute{.x = y, .permutation = {2, 0, 1}}), (Shape{3, 4, 1}));
}

/// Every violation is a change to a sound graph, named by a word of the message.
TEST(Verify, NamesTheViolation) {
  const Graph sound = [] {
    Graph g;
    Value x{.name = "x", .shape = {2}, .scale = {}, .ranges = Ranges(2, kByte), .primitive = Input{}, .origin = {}};
    Value y{.name = "y",
            .shape = {1},
            .scale = {},
            .ranges = {{-256, 254, 0}},
            .primitive = matvec({0}, 2, 1, {1, 1}, {0}),
            .origin = {}};
    g.values = {x, y};
    g.inputs = {{.name = "in", .value = {0}, .conversion = {.type = {.width_bits = 8}}, .rule = "model"}};
    g.outputs = {{.name = "out", .value = {1}, .steps = {}}};
    g.probes = {{.layer = "l", .value = ValueId{1}, .steps = {}, .folded_into = {}}};
    return g;
  }();
  ASSERT_EQ(verify(sound), "");
  ASSERT_EQ(verify(Graph{}), "");
  const std::pair<std::function<void(Graph&)>, const char*> cases[] = {
      {[](Graph& g) { g.values[0].name = "1x"; }, "not legal"},
      {[](Graph& g) { g.values[0].name = ""; }, "not legal"},
      {[](Graph& g) { g.values[0].name = "a b"; }, "not legal"},
      {[](Graph& g) { g.values[1].name = "x"; }, "taken"},
      {[](Graph& g) { std::get<MatVec>(g.values[1].primitive).x = {1}; }, "does not stand before"},
      {[](Graph& g) { std::get<MatVec>(g.values[1].primitive).x = {7}; }, "does not stand before"},
      {[](Graph& g) { std::get<MatVec>(g.values[1].primitive).bias.clear(); }, "biases"},
      {[](Graph& g) { g.values[1].shape = {1, 1}; }, "is stored"},
      {[](Graph& g) { g.values[0].shape = {3}; }, "ranges for shape"},
      {[](Graph& g) { g.values[0].shape = {-2}; }, "out of bounds"},
      {[](Graph& g) { g.values[0].scale.factors.clear(); }, "scale factors"},
      {[](Graph& g) { g.values[0].scale.factors[0] = 0; }, "not positive"},
      {[](Graph& g) { g.values[1].ranges[0].hi = 253; }, "does not contain"},
      {[](Graph& g) { g.values[1].ranges[0].lo = -255; }, "does not contain"},
      {[](Graph& g) { g.values[1].ranges[0].step_log2 = 1; }, "does not contain"},
      {[](Graph& g) { g.values[1].ranges[0] = {5, 4, 0}; }, "holds no code"},
      {[](Graph& g) { g.values[1].ranges[0] = {5, 6, 3}; }, "holds no code"},
      {[](Graph& g) { g.values[1].ranges[0].step_log2 = 200; }, "holds no code"},
      {[](Graph& g) { g.inputs.clear(); }, "does not list"},
      {[](Graph& g) { g.inputs.push_back(g.inputs[0]); }, "not an input of its own"},
      {[](Graph& g) { g.inputs[0].value = {1}; }, "not an input of its own"},
      {[](Graph& g) { g.inputs[0].value = {9}; }, "does not exist"},
      {[](Graph& g) { g.inputs[0].conversion.type.width_bits = 9; }, "does not contain"},
      {[](Graph& g) { g.inputs[0].conversion.type.width_bits = 0; }, "out of bounds"},
      {[](Graph& g) { g.outputs[0].value = {9}; }, "does not exist"},
      {[](Graph& g) { g.outputs[0].steps = {{.operands = {1, 2}}}; }, "readout operands"},
      {[](Graph& g) { g.probes[0].value = ValueId{9}; }, "does not exist"},
      {[](Graph& g) { g.probes[0].steps = {{.operands = {}}}; }, "readout operands"},
  };
  for (const auto& [change, word] : cases) {
    Graph g = sound;
    change(g);
    EXPECT_NE(verify(g).find(word), std::string::npos) << word << ": " << verify(g);
  }
  Graph wider = sound;
  wider.values[1].ranges[0] = {-1000, 1000, 0};
  EXPECT_EQ(verify(wider), "");
}

// ---- ranges against values: a straightforward interpreter of the definitions in primitives.def

using Codes = std::vector<Int>;

struct Interpreter {
  const Graph& graph;
  const Value& value;
  const std::vector<Codes>& codes;

  [[nodiscard]] const Codes& of(ValueId id) const { return codes[id.index]; }
  [[nodiscard]] std::size_t count() const { return value.ranges.size(); }
  [[nodiscard]] Int broadcast(ValueId id, std::size_t i) const {
    return of(id)[tensor::broadcast_index(graph.at(id).shape, value.shape, i)];
  }

  Codes operator()(const Input& /*p*/) const { return {}; }
  Codes operator()(const Constant& p) const { return p.codes; }
  Codes operator()(const MatVec& p) const {
    Codes out;
    for (std::size_t i = 0; i < count(); ++i) {
      const auto n_out = static_cast<std::size_t>(p.n_out);
      const std::size_t row = i / n_out;
      const std::size_t o = i % n_out;
      Int sum = p.bias[o];
      if (p.accumulator) sum = fixed::cast(sum, p.accumulator->lsb_frac_bits, p.accumulator->type);
      for (std::size_t k = 0; k < static_cast<std::size_t>(p.n_in); ++k) {
        const Int product = of(p.x)[row * static_cast<std::size_t>(p.n_in) + k] * p.weights[k * n_out + o];
        if (p.accumulator) {
          const auto& type = p.accumulator->type;
          sum = fixed::apply_overflow(sum + fixed::cast(product, p.accumulator->lsb_frac_bits, type), type);
        } else {
          sum += product;
        }
      }
      out.push_back(sum);
    }
    return out;
  }
  Codes operator()(const Add& p) const {
    Codes out;
    for (std::size_t i = 0; i < count(); ++i) {
      out.push_back((broadcast(p.a, i) << p.shift_a) + (broadcast(p.b, i) << p.shift_b));
    }
    return out;
  }
  Codes operator()(const Sub& p) const {
    Codes out;
    for (std::size_t i = 0; i < count(); ++i) {
      out.push_back((broadcast(p.a, i) << p.shift_a) - (broadcast(p.b, i) << p.shift_b));
    }
    return out;
  }
  Codes operator()(const Mul& p) const {
    Codes out;
    for (std::size_t i = 0; i < count(); ++i) out.push_back(broadcast(p.a, i) * broadcast(p.b, i));
    return out;
  }
  Codes operator()(const Requant& p) const {
    Codes out;
    for (std::size_t i = 0; i < count(); ++i) {
      out.push_back(fixed::evaluate(p.functions[i % p.functions.size()], of(p.x)[i]));
    }
    return out;
  }
  Codes operator()(const Reduce& p) const {
    const std::size_t n = of(p.x).size() / count();
    Codes out;
    for (std::size_t i = 0; i < count(); ++i) {
      Int result = of(p.x)[i * n];
      for (std::size_t k = 1; k < n; ++k) {
        const Int v = of(p.x)[i * n + k];
        result = p.kind == Reduce::Kind::Sum ? result + v : std::max(result, v);
      }
      out.push_back(result);
    }
    return out;
  }
  Codes operator()(const ArgMax& p) const {
    const auto n = static_cast<std::size_t>(graph.at(p.x).shape.back());
    Codes out;
    for (std::size_t row = 0; row * n < of(p.x).size(); ++row) {
      std::vector<std::size_t> order(n);
      for (std::size_t k = 0; k < n; ++k) order[k] = k;
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return of(p.x)[row * n + a] > of(p.x)[row * n + b]; });
      for (std::int64_t k = 0; k < p.k; ++k) out.push_back(static_cast<Int>(order[static_cast<std::size_t>(k)]));
    }
    return out;
  }
  Codes operator()(const Concat& p) const {
    // Element by element: which operand the index along the axis falls into.
    Codes out;
    const auto strides = strides_of(value.shape);
    const auto axis = static_cast<std::size_t>(p.axis);
    for (std::size_t i = 0; i < count(); ++i) {
      std::int64_t at = static_cast<std::int64_t>(i) / strides[axis] % value.shape[axis];
      std::size_t which = 0;
      while (at >= graph.at(p.xs[which]).shape[axis]) at -= graph.at(p.xs[which++]).shape[axis];
      const auto source = strides_of(graph.at(p.xs[which]).shape);
      std::int64_t index = 0;
      for (std::size_t d = 0; d < strides.size(); ++d) {
        index += (d == axis ? at : static_cast<std::int64_t>(i) / strides[d] % value.shape[d]) * source[d];
      }
      out.push_back(of(p.xs[which])[static_cast<std::size_t>(index)]);
    }
    return out;
  }
  // Element by element from its coordinates.
  Codes operator()(const Window& p) const {
    const Shape& in = graph.at(p.x).shape;
    const std::int64_t c_per_group = in.back() / p.groups;
    Codes out;
    for (std::size_t e = 0; e < count(); ++e) {
      auto rest = static_cast<std::int64_t>(e);
      std::int64_t last = rest % value.shape.back();
      rest /= value.shape.back();
      const std::int64_t c = last % c_per_group;
      last /= c_per_group;
      Shape tap(p.kernel.size());
      for (std::size_t d = tap.size(); d-- > 0; last /= p.kernel[d]) tap[d] = last % p.kernel[d];
      const std::int64_t group = last;
      Shape at(p.kernel.size());
      for (std::size_t d = at.size(); d-- > 0; rest /= value.shape[d]) at[d] = rest % value.shape[d];
      std::int64_t source = 0;
      bool outside = false;
      for (std::size_t d = 0; d < at.size(); ++d) {
        const std::int64_t i = at[d] * p.stride[d] + tap[d] * p.dilation[d] - p.before[d];
        outside = outside || i < 0 || i >= in[d];
        source = source * in[d] + i;
      }
      out.push_back(outside ? p.pad : of(p.x)[static_cast<std::size_t>(source * in.back() + group * c_per_group + c)]);
    }
    return out;
  }
  Codes operator()(const Gather& p) const {
    Codes out(count(), p.pad);
    for (std::size_t e = 0; e < count(); ++e)
      if (p.indices[e] != -1) out[e] = of(p.x)[static_cast<std::size_t>(p.indices[e])];
    return out;
  }
  Codes operator()(const Forest& p) const {
    const Codes& x = of(p.x);
    Codes out;
    for (std::size_t e = 0; e < count(); ++e) {
      const auto o = static_cast<std::int64_t>(e) % p.n_out;
      const auto* row = x.data() + static_cast<std::int64_t>(e) / p.n_out * p.n_in;
      Int sum = p.bias[static_cast<std::size_t>(o)];
      for (const auto& tree : p.trees) {
        if (o < tree.first || o >= tree.first + tree.width) continue;
        const std::function<std::int64_t(std::int64_t)> leaf = [&](std::int64_t at) {
          if (at < 0) return -1 - at;
          const auto& node = p.nodes[static_cast<std::size_t>(at)];
          return leaf(row[node.feature] < node.threshold ? node.low : node.high);
        };
        sum += p.leaves[static_cast<std::size_t>(leaf(tree.root) + o - tree.first)];
      }
      out.push_back(sum);
    }
    return out;
  }
  Codes operator()(const Permute& p) const {
    const auto strides = strides_of(value.shape);
    const auto source = strides_of(graph.at(p.x).shape);
    Codes out;
    for (std::size_t i = 0; i < count(); ++i) {
      std::int64_t index = 0;
      for (std::size_t d = 0; d < strides.size(); ++d) {
        index += static_cast<std::int64_t>(i) / strides[d] % value.shape[d] *
                 source[static_cast<std::size_t>(p.permutation[d])];
      }
      out.push_back(of(p.x)[static_cast<std::size_t>(index)]);
    }
    return out;
  }
  Codes operator()(const Reshape& p) const { return of(p.x); }
};

TEST(InferRanges, HoldTheCodesOfRandomGraphs) {
  Random random(11);
  std::size_t ends = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto graph = random_graph(seed, {.steps = 12});
    for (int sample = 0; sample < 20; ++sample) {
      const auto inputs = random_codes(graph, random);
      std::vector<Codes> codes;
      for (std::uint32_t v = 0; v < graph.values.size(); ++v) {
        const Value& value = graph.values[v];
        codes.push_back(std::visit(Interpreter{graph, value, codes}, value.primitive));
        for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
          if (graph.inputs[i].value.index == v) codes.back() = inputs[i];
        }
        ASSERT_EQ(codes.back().size(), value.ranges.size());
        for (std::size_t e = 0; e < value.ranges.size(); ++e) {
          const auto& range = value.ranges[e];
          const Int code = codes.back()[e];
          ASSERT_TRUE(code >= range.lo && code <= range.hi && fixed::trailing_zeros(code) >= range.step_log2)
              << "seed " << seed << " " << value.name << " " << name_of(value.primitive);
          ends += code == range.lo || code == range.hi ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(ends, 1000U);
}

}  // namespace
}  // namespace weft::exact
