// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the readers of tree formats share. Private to this room.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weft/layers/forest.h"
#include "weft/nn/graph.h"
#include "weft/support/json.h"

namespace weft::formats::trees {

/// What an objective makes of margins.
enum class Transform { Identity, Sigmoid, Exponential, Softmax, ArgMax };
std::string_view to_string(Transform transform);

/// A whole model.
struct Ensemble {
  layers::Trees trees;
  Transform transform = Transform::Identity;
  double slope = 1.0;     ///< Sigmoid: of slope * margin
  std::string objective;  ///< as the file names it
  std::string library;    ///< "XGBoost" or "LightGBM"
};

/// The graph of a model whose input is one row of features.
nn::Graph to_graph(const Ensemble& ensemble, const std::string& file);

using layers::LooseTree;

/// UBJSON as XGBoost writes it, bounded as parse_json is.
Result<support::Json> parse_ubjson(const std::string& bytes, const std::string& name, Context& ctx);

Result<Ensemble> read_xgboost_json(const support::Json& json, const std::string& name, Context& ctx);
Result<Ensemble> read_xgboost_binary(const std::string& bytes, const std::string& name, Context& ctx);
Result<Ensemble> read_xgboost_dump(const std::string& text, const std::string& name, Context& ctx);
Result<Ensemble> read_lightgbm(const std::string& text, const std::string& name, Context& ctx);

/// How XGBoost turns a base score into a margin and margins into predictions.
struct XgboostObjective {
  std::string_view name;
  Transform transform;
  enum class Base { Margin, Logit, Log } base;
};
const std::vector<XgboostObjective>& xgboost_objectives();
/// Sets transform and objective; fails with LayerUnsupported for objectives without a row.
Result<const XgboostObjective*> find_xgboost_objective(const std::string& objective, const Origin& origin,
                                                       Context& ctx);
/// The margin of a base score in float32, as XGBoost computes it.
float base_margin(const XgboostObjective& objective, float score);

struct LightgbmObjective {
  std::string_view name;
  Transform transform;
};
const std::vector<LightgbmObjective>& lightgbm_objectives();

/// Largest numbers of features, nodes and outputs that a file may claim.
inline constexpr std::int64_t kMaxFeatures = std::int64_t{1} << 24;
inline constexpr std::int64_t kMaxOutputs = std::int64_t{1} << 20;

}  // namespace weft::formats::trees
