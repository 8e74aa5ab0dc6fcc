// SPDX-License-Identifier: Apache-2.0
#include "builder.h"
#include "weft/layers/forest.h"

namespace weft::conformance {
namespace {

using layers::LooseTree;
using layers::TreeAggregate;
using layers::TreeMissing;
using layers::Trees;
using layers::TreeTest;

struct Options {
  std::int64_t n_in = 4;
  std::int64_t n_out = 1;
  std::int64_t width = 1;
  std::int64_t depth = 3;
  std::int64_t count = 5;
  bool every_test = false;
  double leaf_unit = 1.0 / 64;
  TreeAggregate aggregate = TreeAggregate::Sum;
};

/// Random trees over inputs between -2 and 2.
Trees random_trees(Random& random, const Options& o) {
  Trees trees;
  trees.n_in = o.n_in;
  trees.n_out = o.n_out;
  trees.aggregate = o.aggregate;
  for (std::int64_t k = 0; k < o.n_out; ++k)
    trees.base.push_back(o.leaf_unit * static_cast<double>(random.between(-40, 40)));
  for (std::int64_t t = 0; t < o.count; ++t) {
    LooseTree tree;
    tree.first = o.width == o.n_out ? 0 : t % (o.n_out - o.width + 1);
    const auto grow = [&](auto& self, std::int64_t depth) -> std::int64_t {
      const auto at = tree.nodes.size();
      tree.nodes.emplace_back();
      LooseTree::Node node;
      node.is_leaf = depth == 0 || (depth < o.depth && random.one_in(5));
      if (node.is_leaf) {
        for (std::int64_t j = 0; j < o.width; ++j)
          node.leaf.push_back(o.leaf_unit * static_cast<double>(random.between(-90, 90)));
      } else {
        node.test.feature = random.between(0, o.n_in - 1);
        node.test.threshold = static_cast<double>(random.between(-200, 200)) / 100;
        node.test.test = static_cast<TreeTest>(o.every_test ? random.between(0, 8) : random.between(0, 1));
        node.test.missing = static_cast<TreeMissing>(o.every_test ? random.between(0, 4) : random.between(0, 1));
        if (node.test.test == TreeTest::Equal || node.test.test == TreeTest::NotEqual)
          node.test.threshold = static_cast<double>(random.between(-8, 8)) / 4;
        if (node.test.test >= TreeTest::Member) {
          std::vector<double> set;
          for (double v = -2; v < 2; v += node.test.test == TreeTest::Member ? 0.25 : 1)
            if (random.one_in(2)) set.push_back(v);
          node.test.set = static_cast<std::int64_t>(trees.sets.size());
          trees.sets.push_back(std::move(set));
        }
        node.test.yes = self(self, depth - 1);
        node.test.no = self(self, depth - 1);
      }
      tree.nodes[at] = std::move(node);
      return static_cast<std::int64_t>(at);
    };
    grow(grow, o.depth);
    const auto error = layers::append_tree(trees, tree);
    WEFT_CHECK(error.empty(), error);
  }
  return trees;
}

Case forest_case(const std::string& name, const Options& o, layers::Word word, double missing = NAN) {
  Builder b(name, {o.n_in}, "fixed<7,2>");
  Random random(seed_of(name));
  Trees trees = random_trees(random, o);
  trees.missing = missing;
  trees.base_first = o.aggregate == TreeAggregate::Sum;
  b.node("Forest", "trees").attributes = layers::tree_attributes(trees);
  return b.done(word);
}

}  // namespace

void add_forest_cases(std::vector<Case>& out) {
  using layers::Word;
  out.push_back(forest_case("forest", {}, Word::Exact));
  out.push_back(forest_case("forest_every_test", {.depth = 5, .count = 6, .every_test = true}, Word::Exact));
  out.push_back(forest_case("forest_missing_number", {.depth = 4, .every_test = true}, Word::Exact, 0.25));
  out.push_back(forest_case("forest_classes", {.n_out = 3, .count = 9}, Word::Exact));
  out.push_back(forest_case("forest_leaves_of_vectors", {.n_out = 3, .width = 3, .count = 4}, Word::Exact));
  out.push_back(forest_case("forest_deep", {.n_in = 6, .depth = 9, .count = 2}, Word::Exact));
  out.push_back(forest_case("forest_average", {.n_out = 2, .width = 2, .count = 4, .aggregate = TreeAggregate::Average},
                            Word::Exact));
  out.push_back(forest_case("forest_minimum", {.n_out = 2, .count = 6, .aggregate = TreeAggregate::Min}, Word::Exact));
  out.push_back(forest_case("forest_maximum", {.n_out = 2, .width = 2, .count = 3, .aggregate = TreeAggregate::Max},
                            Word::Exact));
  // Sums of more bits than a float32 holds.
  out.push_back(forest_case("forest_fine_leaves", {.count = 8, .leaf_unit = 0.3333333432674408}, Word::FloatOrder));
  {
    Builder b("forest_typed_leaves", {4}, "fixed<7,2>");
    Random random(5);
    b.node("Forest", "trees").attributes = layers::tree_attributes(random_trees(random, {.leaf_unit = 0.01}));
    std::string error;
    b.options().config.layer_name["trees"].precision["weight"] = fixed::parse_type("fixed<12,2>", true, error).value();
    out.push_back(b.done(Word::Quantized));
  }
  {
    // Behind arithmetic that codes pass through, and two objectives: one left to the host, one computed.
    Builder b("forest_behind_scaling", {4}, "fixed<7,2>");
    Random random(6);
    b.node("Sub", "shift").parameters["constant"].values = FloatTensor({4}, {0.3F, 0.1F, -0.2F, 0.0F});
    b.node("Mul", "scale").parameters["constant"].values = FloatTensor({4}, {0.7F, -1.3F, 1.1F, 0.9F});
    b.node("Forest", "trees").attributes = layers::tree_attributes(random_trees(random, {}));
    b.node("Link", "objective").functions["activation"] = Builder::spec("sigmoid", {});
    out.push_back(b.done(Word::Exact));
  }
  {
    Builder b("forest_before_quantizer", {4}, "fixed<7,2>");
    Random random(7);
    b.node("Forest", "trees").attributes = layers::tree_attributes(random_trees(random, {.n_out = 2, .count = 6}));
    b.node("Link", "objective").functions["activation"] = Builder::spec("sigmoid", {});
    b.options().config.layer_name["objective"].softmax = "table";
    b.activation("quant", Builder::bits(6, 1));
    out.push_back(b.done(Word::Exact));
  }
}

}  // namespace weft::conformance
