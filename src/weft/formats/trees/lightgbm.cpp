// SPDX-License-Identifier: Apache-2.0
// LightGBM's text models. A node goes left when x <= threshold, in double precision; categories of a node go left.
// decision_type: bit 0 categorical, bit 1 missing values go left, bits 2 and 3 what is missing (nothing, zero, NaN).
// Sums are double, in the order of the trees.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "weft/formats/trees/ensemble.h"

namespace weft::formats::trees {
namespace {

using layers::TreeMissing;
using layers::TreeTest;

using Section = std::map<std::string, std::string_view, std::less<>>;

template <class T>
bool parse(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc::result_out_of_range) return false;
  return error == std::errc() && end == text.data() + text.size();
}

class Reader {
 public:
  explicit Reader(const Section& section) : section_(section) {}
  [[nodiscard]] const std::string& error() const { return error_; }

  [[nodiscard]] bool has(std::string_view key) const { return section_.find(key) != section_.end(); }
  [[nodiscard]] std::string_view text(std::string_view key) const {
    const auto it = section_.find(key);
    return it == section_.end() ? std::string_view() : it->second;
  }
  template <class T>
  T number(std::string_view key, std::optional<T> otherwise = std::nullopt) {
    T out{};
    if (!has(key) && otherwise) return *otherwise;
    if (!parse(text(key), out)) fail(key);
    return out;
  }
  template <class T>
  std::vector<T> list(std::string_view key, std::size_t count) {
    std::vector<T> out;
    std::string_view rest = text(key);
    while (!rest.empty()) {
      const auto end = rest.find(' ');
      const auto word = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (word.empty()) continue;
      T value{};
      if (!parse(word, value)) fail(key);
      out.push_back(value);
    }
    if (out.size() != count) fail(key);
    out.resize(count);
    return out;
  }
  void fail(std::string_view key) {
    if (error_.empty()) error_ = fmt::format("`{}` is missing or malformed", key);
  }

 private:
  const Section& section_;
  std::string error_;
};

std::string read_tree(const Section& section, layers::Trees& trees, std::int64_t output) {
  Reader r(section);
  const auto leaves = r.number<std::int64_t>("num_leaves");
  if (!r.error().empty()) return r.error();
  if (leaves < 1 || static_cast<std::size_t>(leaves) > r.text("leaf_value").size())
    return fmt::format("{} leaves are not what the file holds", leaves);
  const auto n = static_cast<std::size_t>(leaves - 1);
  const auto values = r.list<double>("leaf_value", static_cast<std::size_t>(leaves));
  const auto features = r.list<std::int64_t>("split_feature", n);
  const auto thresholds = r.list<double>("threshold", n);
  const auto types = r.list<int>("decision_type", n);
  const auto left = r.list<std::int64_t>("left_child", n);
  const auto right = r.list<std::int64_t>("right_child", n);
  const auto cats = r.number<std::int64_t>("num_cat", 0);
  if (!r.error().empty()) return r.error();
  std::vector<std::int64_t> boundaries;
  std::vector<std::uint32_t> words;
  if (cats != 0) {
    if (cats < 0 || static_cast<std::size_t>(cats) > r.text("cat_boundaries").size()) return "`num_cat` is wrong";
    boundaries = r.list<std::int64_t>("cat_boundaries", static_cast<std::size_t>(cats) + 1);
    if (!r.error().empty()) return r.error();
    const std::int64_t total = boundaries.back();
    if (total < 0 || static_cast<std::size_t>(total) > r.text("cat_threshold").size())
      return "`cat_boundaries` is wrong";
    words = r.list<std::uint32_t>("cat_threshold", static_cast<std::size_t>(total));
    if (!r.error().empty()) return r.error();
  }
  if (r.has("is_linear") && r.text("is_linear") != "0")
    return "linear trees are not supported; train without linear_tree";
  LooseTree tree;
  tree.first = output;
  tree.nodes.resize(n + static_cast<std::size_t>(leaves));
  // Leaves behind the nodes; -1 - child is a leaf of the file.
  const auto child = [&](std::int64_t c) -> std::int64_t {
    if (c >= 0) return c < static_cast<std::int64_t>(n) ? c : -1;
    return -1 - c < leaves ? static_cast<std::int64_t>(n) - 1 - c : -1;
  };
  for (std::size_t i = 0; i < n; ++i) {
    auto& t = tree.nodes[i].test;
    t.feature = features[i];
    if (features[i] < 0 || features[i] >= trees.n_in) return fmt::format("feature {} of {}", features[i], trees.n_in);
    t.yes = child(left[i]);
    t.no = child(right[i]);
    const bool to_left = (types[i] & 2) != 0;
    if ((types[i] & 1) != 0) {
      const double which = thresholds[i];
      if (!(which >= 0 && which < static_cast<double>(cats))) return "a categorical node without categories";
      const auto c = static_cast<std::size_t>(which);
      if (boundaries[c] < 0 || boundaries[c] > boundaries[c + 1] ||
          boundaries[c + 1] > static_cast<std::int64_t>(words.size()))
        return "`cat_boundaries` is wrong";
      std::vector<double> members;
      for (std::int64_t w = boundaries[c]; w < boundaries[c + 1]; ++w)
        for (std::int64_t bit = 0; bit < 32; ++bit)
          if ((words[static_cast<std::size_t>(w)] >> bit & 1U) != 0)
            members.push_back(static_cast<double>(32 * (w - boundaries[c]) + bit));
      t.test = TreeTest::TruncatedMember;
      t.missing = TreeMissing::No;
      t.set = static_cast<std::int64_t>(trees.sets.size());
      trees.sets.push_back(std::move(members));
      continue;
    }
    t.test = TreeTest::LessEqual;
    t.threshold = thresholds[i];
    if (std::isnan(t.threshold)) return "a threshold is NaN";
    switch (types[i] >> 2 & 3) {
      case 0:
        t.missing = TreeMissing::IsZero;
        break;
      case 1:
        t.missing = to_left ? TreeMissing::ZeroYes : TreeMissing::ZeroNo;
        break;
      default:
        t.missing = to_left ? TreeMissing::Yes : TreeMissing::No;
        break;
    }
  }
  for (std::size_t l = 0; l < static_cast<std::size_t>(leaves); ++l) {
    tree.nodes[n + l].is_leaf = true;
    tree.nodes[n + l].leaf = {values[l]};
  }
  return layers::append_tree(trees, tree);
}

}  // namespace

const std::vector<LightgbmObjective>& lightgbm_objectives() {
  static const std::vector<LightgbmObjective> rows = {
      {"binary", Transform::Sigmoid},         {"cross_entropy", Transform::Sigmoid},
      {"custom", Transform::Identity},        {"fair", Transform::Identity},
      {"gamma", Transform::Exponential},      {"huber", Transform::Identity},
      {"lambdarank", Transform::Identity},    {"mape", Transform::Identity},
      {"multiclass", Transform::Softmax},     {"multiclassova", Transform::Sigmoid},
      {"poisson", Transform::Exponential},    {"quantile", Transform::Identity},
      {"rank_xendcg", Transform::Identity},   {"regression", Transform::Identity},
      {"regression_l1", Transform::Identity}, {"tweedie", Transform::Exponential}};
  return rows;
}

Result<Ensemble> read_lightgbm(const std::string& text, const std::string& name, Context& ctx) {
  const Origin origin{.file = name, .op = "LightGBM"};
  std::vector<Section> sections(1);
  std::string_view rest = text;
  bool average = false;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line == "end of trees" || line.starts_with("feature importances") || line.starts_with("feature_importances"))
      break;
    if (line == "average_output") average = true;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    if (line.starts_with("Tree=")) sections.emplace_back();
    sections.back().emplace(std::string(line.substr(0, equals)), line.substr(equals + 1));
  }
  Reader r(sections[0]);
  Ensemble out;
  out.library = "LightGBM";
  out.trees.in_double = true;
  out.trees.n_in = r.number<std::int64_t>("max_feature_idx") + 1;
  out.trees.n_out = r.number<std::int64_t>("num_tree_per_iteration", 1);
  if (!r.error().empty()) return ctx.fail(Kind::ModelMalformed, origin, r.error());
  if (out.trees.n_in < 1 || out.trees.n_in > kMaxFeatures || out.trees.n_out < 1 || out.trees.n_out > kMaxOutputs)
    return ctx.fail(Kind::LimitExceeded, origin,
                    fmt::format("{} features and {} outputs are out of bounds", out.trees.n_in, out.trees.n_out));
  out.trees.base.assign(static_cast<std::size_t>(out.trees.n_out), 0.0);
  const std::string objective(r.has("objective") ? r.text("objective") : "custom");
  out.objective = objective.substr(0, objective.find(' '));
  const auto& rows = lightgbm_objectives();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& o) { return o.name == out.objective; });
  const bool root = objective.find(" sqrt") != std::string::npos;
  if (row == rows.end() || root)
    return ctx.fail(Kind::LayerUnsupported, origin,
                    fmt::format("the objective `{}` is not known; train with one of those that `weft ops` lists",
                                objective.substr(0, 100)));
  out.transform = row->transform;
  if (const auto at = objective.find("sigmoid:"); at != std::string::npos) {
    const auto end = objective.find(' ', at);
    if (!parse(std::string_view(objective).substr(at + 8, end == std::string::npos ? end : end - at - 8), out.slope) ||
        !std::isfinite(out.slope) || out.slope <= 0)
      return ctx.fail(Kind::ModelMalformed, origin, "the slope of the sigmoid is no positive number");
  }
  for (std::size_t i = 1; i < sections.size(); ++i) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, origin, "reading was cancelled");
    const std::string error = read_tree(sections[i], out.trees, static_cast<std::int64_t>(i - 1) % out.trees.n_out);
    if (error.empty()) continue;
    return ctx.fail(error.find("not supported") != std::string::npos ? Kind::LayerUnsupported : Kind::ModelMalformed,
                    origin, fmt::format("tree {}: {}", i - 1, error));
  }
  if (out.trees.trees.empty()) return ctx.fail(Kind::ModelMalformed, origin, "the model has no trees");
  if (average) {
    out.trees.aggregate = layers::TreeAggregate::Average;
    out.trees.divisor = static_cast<std::int64_t>(out.trees.trees.size()) / out.trees.n_out;
  }
  return out;
}

}  // namespace weft::formats::trees
