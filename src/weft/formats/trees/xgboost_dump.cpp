// SPDX-License-Identifier: Apache-2.0
// XGBoost's text dumps: `booster[0]:` or a blank line between trees, then one node per line,
//   0:[f29<1.5] yes=1,no=2,missing=1   and   7:leaf=1.89
// The dump says neither base score, nor objective, nor classes: the result is one sum of all trees.
#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <map>

#include "weft/formats/trees/ensemble.h"

namespace weft::formats::trees {
namespace {

using layers::TreeMissing;
using layers::TreeTest;

/// Reads one line from the left.
class Line {
 public:
  explicit Line(std::string_view text) : rest_(text) {}
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  template <class T>
  bool number(T& out) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (error != std::errc()) return false;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return true;
  }

 private:
  std::string_view rest_;
};

}  // namespace

Result<Ensemble> read_xgboost_dump(const std::string& text, const std::string& name, Context& ctx) {
  const Origin origin{.file = name, .op = "XGBoost"};
  Ensemble out;
  out.library = "XGBoost";
  out.objective = "margin";
  out.trees.n_out = 1;
  out.trees.base = {0.0};
  std::map<std::int64_t, LooseTree::Node> nodes;
  std::int64_t highest_feature = 0;
  const auto flush = [&]() -> std::string {
    if (nodes.empty()) return {};
    LooseTree tree;
    // Numbers of nodes may have gaps; a tree that does not grow from 0 without them is not one.
    if (nodes.begin()->first != 0) return "a tree without a node 0";
    std::map<std::int64_t, std::int64_t> dense;
    for (const auto& [number, node] : nodes) dense.emplace(number, static_cast<std::int64_t>(dense.size()));
    for (auto& [number, node] : nodes) {
      if (!node.is_leaf)
        for (auto* child : {&node.test.yes, &node.test.no}) {
          const auto it = dense.find(*child);
          if (it == dense.end()) return fmt::format("node {} has no child {}", number, *child);
          *child = it->second;
        }
      tree.nodes.push_back(std::move(node));
    }
    nodes.clear();
    return layers::append_tree(out.trees, tree);
  };
  std::string_view rest = text;
  std::size_t number = 0;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++number;
    const auto malformed = [&](const std::string& what) {
      return ctx.fail(Kind::ModelMalformed, origin, fmt::format("line {}: {}", number, what));
    };
    const auto first = line.find_first_not_of(" \t\r");
    const auto last = line.find_last_not_of(" \t\r");
    line = first == std::string_view::npos ? std::string_view() : line.substr(first, last - first + 1);
    if (line.empty() || line.starts_with("booster[")) {
      if (auto error = flush(); !error.empty()) return malformed(error);
      continue;
    }
    Line l(line);
    std::int64_t at = 0;
    if (!l.number(at) || !l.take(":") || at < 0) return malformed("a node begins with its number and a colon");
    // Without headers a tree ends where the numbers begin again.
    if (at == 0 && !nodes.empty())
      if (auto error = flush(); !error.empty()) return malformed(error);
    LooseTree::Node node;
    if (l.take("leaf=")) {
      float leaf = 0;
      if (!l.number(leaf)) return malformed("a leaf without a number");
      node.is_leaf = true;
      node.leaf = {static_cast<double>(leaf)};
    } else {
      float threshold = 0;
      std::int64_t missing = 0;
      auto& test = node.test;
      if (!l.take("[f") || !l.number(test.feature))
        return malformed("a test names its feature f0, f1 ...; dump the trees without a feature map");
      if (!l.take("<") || !l.number(threshold) || !l.take("] yes=") || !l.number(test.yes) || !l.take(",no=") ||
          !l.number(test.no))
        return malformed("a test has the form [f0<1.5] yes=1,no=2,missing=1");
      if (test.feature < 0 || test.feature >= kMaxFeatures) return malformed("the feature is out of bounds");
      test.test = TreeTest::Less;
      test.threshold = threshold;
      test.missing =
          l.take(",missing=") && l.number(missing) && missing == test.yes ? TreeMissing::Yes : TreeMissing::No;
      highest_feature = std::max(highest_feature, test.feature);
    }
    if (!nodes.emplace(at, std::move(node)).second) return malformed(fmt::format("a second node {}", at));
  }
  if (auto error = flush(); !error.empty())
    return ctx.fail(Kind::ModelMalformed, origin, fmt::format("line {}: {}", number, error));
  if (out.trees.trees.empty()) return ctx.fail(Kind::ModelMalformed, origin, "the dump has no trees");
  out.trees.n_in = highest_feature + 1;
  ctx.report(Kind::Info, origin,
             fmt::format("a text dump has no base score and no objective: {} trees over {} features are added from 0",
                         out.trees.trees.size(), out.trees.n_in));
  return out;
}

}  // namespace weft::formats::trees
