// SPDX-License-Identifier: Apache-2.0
// XGBoost's binary models up to 2.0: little endian structs one after the other. Files of versions before 1.0 hold the
// base score as a margin already.
#include <fmt/format.h>

#include <cstring>

#include "weft/formats/trees/ensemble.h"

namespace weft::formats::trees {
namespace {

using layers::TreeMissing;
using layers::TreeTest;

class Bytes {
 public:
  explicit Bytes(const std::string& bytes) : bytes_(bytes) {}
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  void skip(std::size_t n) {
    if (n > left()) failed_ = true;
    at_ = failed_ ? bytes_.size() : at_ + n;
  }
  template <class T>
  T take() {
    T out{};
    if (sizeof(T) > left()) {
      failed_ = true;
      return out;
    }
    std::memcpy(&out, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return out;
  }
  std::string text() {
    const auto n = take<std::uint64_t>();
    if (failed_ || n > left() || n > 256) {
      failed_ = true;
      return {};
    }
    std::string out = bytes_.substr(at_, static_cast<std::size_t>(n));
    at_ += static_cast<std::size_t>(n);
    return out;
  }

 private:
  const std::string& bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

constexpr std::size_t kLearnerBytes = 136;
constexpr std::size_t kModelBytes = 160;
constexpr std::size_t kTreeBytes = 148;
constexpr std::size_t kNodeBytes = 20;
constexpr std::size_t kStatBytes = 16;

}  // namespace

Result<Ensemble> read_xgboost_binary(const std::string& bytes, const std::string& name, Context& ctx) {
  const Origin origin{.file = name, .op = "XGBoost"};
  const auto malformed = [&](const std::string& what) {
    return ctx.fail(Kind::ModelMalformed, origin, what + "; save the model as JSON");
  };
  Bytes in(bytes);
  if (bytes.starts_with("binf")) in.skip(4);
  const auto score = in.take<float>();
  const auto features = in.take<std::uint32_t>();
  const auto classes = in.take<std::int32_t>();
  in.skip(8);
  const auto major = in.take<std::uint32_t>();
  in.skip(kLearnerBytes - 24);
  Ensemble out;
  out.library = "XGBoost";
  out.objective = in.text();
  const std::string booster = in.text();
  if (in.failed()) return malformed("the file ends early");
  if (booster != "gbtree")
    return ctx.fail(Kind::LayerUnsupported, origin,
                    fmt::format("the booster `{}` of a binary file; save the model as JSON", booster));
  if (features < 1 || features > kMaxFeatures || classes < 0 || classes > kMaxOutputs)
    return malformed(fmt::format("{} features and {} classes are out of bounds", features, classes));
  WEFT_TRY(const auto* row, find_xgboost_objective(out.objective, origin, ctx));
  out.transform = row->transform;
  out.trees.n_in = features;
  out.trees.n_out = std::max(classes, 1);
  out.trees.base.assign(static_cast<std::size_t>(out.trees.n_out), major >= 1 ? base_margin(*row, score) : score);
  const auto count = in.take<std::int32_t>();
  in.skip(kModelBytes - 4);
  if (in.failed() || count < 1 || static_cast<std::uint64_t>(count) > in.left() / kTreeBytes)
    return malformed(fmt::format("{} trees are more than the file holds", count));
  for (std::int32_t i = 0; i < count; ++i) {
    in.skip(4);
    const auto n = in.take<std::int32_t>();
    in.skip(12);
    const auto vector = in.take<std::int32_t>();
    in.skip(kTreeBytes - 24);
    if (in.failed() || n < 1 || static_cast<std::uint64_t>(n) > in.left() / (kNodeBytes + kStatBytes))
      return malformed(fmt::format("tree {} has {} nodes, more than the file holds", i, n));
    if (vector > 1) return malformed("leaves with several values");
    LooseTree tree;
    tree.nodes.resize(static_cast<std::size_t>(n));
    for (auto& node : tree.nodes) {
      in.skip(4);
      const auto left = in.take<std::int32_t>();
      const auto right = in.take<std::int32_t>();
      const auto split = in.take<std::uint32_t>();
      const auto value = in.take<float>();
      node.is_leaf = left == -1;
      if (node.is_leaf) {
        node.leaf = {static_cast<double>(value)};
        continue;
      }
      node.test.test = TreeTest::Less;
      node.test.feature = split & 0x7fffffffU;
      if (node.test.feature >= out.trees.n_in)
        return malformed(fmt::format("feature {} of {}", node.test.feature, out.trees.n_in));
      node.test.missing = (split >> 31) != 0 ? TreeMissing::Yes : TreeMissing::No;
      node.test.threshold = value;
      node.test.yes = left;
      node.test.no = right;
    }
    in.skip(static_cast<std::size_t>(n) * kStatBytes);
    if (auto error = layers::append_tree(out.trees, tree); !error.empty())
      return malformed(fmt::format("tree {}: {}", i, error));
  }
  for (auto& tree : out.trees.trees) {
    tree.first = in.take<std::int32_t>();
    if (in.failed() || tree.first < 0 || tree.first >= out.trees.n_out) return malformed("a tree of no class");
  }
  return out;
}

}  // namespace weft::formats::trees
