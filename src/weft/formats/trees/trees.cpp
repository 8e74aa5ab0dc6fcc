// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/trees/trees.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/trees/ensemble.h"
#include "weft/support/files.h"

namespace weft::formats::trees {
namespace {

bool starts_with(std::string_view bytes, std::string_view prefix) { return bytes.substr(0, prefix.size()) == prefix; }

enum class FileKind { None, Json, Ubjson, Binary, Dump, Lightgbm };

/// Where words of a model's beginning or end are looked for; files of any size answer quickly.
bool holds(std::string_view bytes, std::string_view word) {
  constexpr std::size_t kEdge = std::size_t{1} << 16;
  if (bytes.substr(0, kEdge).find(word) != std::string_view::npos) return true;
  return bytes.size() > kEdge && bytes.substr(bytes.size() - kEdge).find(word) != std::string_view::npos;
}

FileKind kind_of(std::string_view bytes) {
  if (starts_with(bytes, "tree\n") || starts_with(bytes, "tree\r\n")) return FileKind::Lightgbm;
  if (starts_with(bytes, "booster[") || starts_with(bytes, "0:[") || starts_with(bytes, "0:leaf="))
    return FileKind::Dump;
  const auto first = bytes.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && bytes[first] == '{' && holds(bytes, "learner")) {
    if (holds(bytes, "\"learner\"") && holds(bytes, "\"gradient_booster\"")) return FileKind::Json;
    if (bytes.size() > 2 && (bytes[1] == 'L' || bytes[1] == 'i' || bytes[1] == 'U') && holds(bytes, "gradient_booster"))
      return FileKind::Ubjson;
  }
  // The old binary format: 136 bytes of numbers, then the length and the name of the objective.
  const std::size_t at = starts_with(bytes, "binf") ? 4 : 0;
  if (bytes.size() > at + 144 + 8) {
    const auto length = static_cast<unsigned char>(bytes[at + 136]);
    const bool rest_zero =
        std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at) + 137,
                    bytes.begin() + static_cast<std::ptrdiff_t>(at) + 144, [](char c) { return c == 0; });
    const auto name = bytes.substr(at + 144, length);
    if (rest_zero && length >= 6 && length < 64 && name.size() == length && name.find(':') != std::string_view::npos &&
        std::all_of(
            name.begin(), name.end(),
            [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '_'; }))
      return FileKind::Binary;
  }
  return FileKind::None;
}

nn::Node make_node(nn::Graph& graph, std::string name, std::string op, std::string source_op, Shape shape,
                   nn::TensorId x) {
  nn::Node node;
  node.origin = {graph.file, name, std::move(source_op), ""};
  node.op = std::move(op);
  node.inputs = {x};
  node.outputs = {graph.add_tensor(name, std::move(shape))};
  node.name = std::move(name);
  return node;
}

}  // namespace

std::string_view to_string(Transform transform) {
  switch (transform) {
    case Transform::Identity:
      return "identity";
    case Transform::Sigmoid:
      return "sigmoid";
    case Transform::Exponential:
      return "exponential";
    case Transform::Softmax:
      return "softmax";
    case Transform::ArgMax:
      return "argmax";
  }
  return "identity";
}

nn::Graph to_graph(const Ensemble& e, const std::string& file) {
  nn::Graph graph;
  graph.file = file;
  graph.name = std::filesystem::path(file).stem().string();
  // Float32 operator by operator, in file order.
  graph.framework = nn::Framework::Onnx;
  const auto x = graph.add_tensor("x", {e.trees.n_in});
  graph.inputs = {{"x", x}};
  const Shape out{e.trees.n_out};
  nn::Node forest = make_node(graph, "trees", "Forest", e.library, out, x);
  forest.attributes = layers::tree_attributes(e.trees);
  auto last = forest.outputs[0];
  graph.nodes.push_back(std::move(forest));
  const auto push = [&](nn::Node node) {
    last = node.outputs[0];
    graph.nodes.push_back(std::move(node));
  };
  if (e.transform == Transform::Sigmoid && e.slope != 1.0) {
    nn::Node scale = make_node(graph, "slope", "Mul", e.objective, out, last);
    scale.parameters["constant"].values = FloatTensor({}, {static_cast<float>(e.slope)});
    push(std::move(scale));
  }
  switch (e.transform) {
    case Transform::Identity:
      break;
    case Transform::Sigmoid:
    case Transform::Exponential: {
      nn::Node link = make_node(graph, "objective", "Link", e.objective, out, last);
      const auto* family = quantizers::find_family(std::string(to_string(e.transform)));
      WEFT_CHECK(family != nullptr, "the functions of objectives are families of quantizers");
      link.functions["activation"] = {std::string(to_string(e.transform)), family->defaults};
      push(std::move(link));
      break;
    }
    case Transform::Softmax: {
      nn::Node softmax = make_node(graph, "objective", "Softmax", e.objective, out, last);
      softmax.attributes["axis"] = std::int64_t{-1};
      push(std::move(softmax));
      break;
    }
    case Transform::ArgMax: {
      nn::Node argmax = make_node(graph, "objective", "ArgMax", e.objective, {1}, last);
      argmax.attributes = {{"k", std::int64_t{1}}, {"keepdims", true}};
      push(std::move(argmax));
      break;
    }
  }
  graph.outputs = {{"prediction", last}};
  return graph;
}

bool looks_like_trees(std::string_view bytes) { return kind_of(bytes) != FileKind::None; }

Result<nn::Graph> read_trees_bytes(const std::string& bytes, const std::string& name, Context& ctx) {
  const auto read = [&]() -> Result<Ensemble> {
    switch (kind_of(bytes)) {
      case FileKind::Json: {
        WEFT_TRY(const auto json, support::parse_json(bytes, name, ctx));
        return read_xgboost_json(json, name, ctx);
      }
      case FileKind::Ubjson: {
        WEFT_TRY(const auto json, parse_ubjson(bytes, name, ctx));
        return read_xgboost_json(json, name, ctx);
      }
      case FileKind::Binary:
        return read_xgboost_binary(bytes, name, ctx);
      case FileKind::Dump:
        return read_xgboost_dump(bytes, name, ctx);
      case FileKind::Lightgbm:
        return read_lightgbm(bytes, name, ctx);
      case FileKind::None:
        break;
    }
    return ctx.fail(Kind::FormatUnknown, {.file = name},
                    "no trees that weft reads: XGBoost (JSON, UBJ, binary, text dump) or LightGBM (text)");
  };
  WEFT_TRY(const Ensemble ensemble, read());
  return to_graph(ensemble, name);
}

Result<nn::Graph> read_trees(const std::filesystem::path& path, Context& ctx) {
  WEFT_TRY(const std::string bytes, support::read_file(path, ctx));
  return read_trees_bytes(bytes, path.string(), ctx);
}

std::vector<Objective> objectives() {
  std::vector<Objective> out;
  for (const auto& row : lightgbm_objectives()) out.push_back({"LightGBM", row.name, to_string(row.transform)});
  for (const auto& row : xgboost_objectives()) out.push_back({"XGBoost", row.name, to_string(row.transform)});
  return out;
}

}  // namespace weft::formats::trees
