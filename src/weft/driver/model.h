// SPDX-License-Identifier: Apache-2.0
/// @file
/// Opening a model of any format, and lowering it with the options every command takes.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/lower/lower.h"
#include "weft/nn/graph.h"
#include "weft/support/files.h"
#include "weft/support/json.h"

namespace weft::driver {

/// A source model, checked: schemas, shapes.
struct Model {
  nn::Graph graph;
  std::string format;  ///< "keras", "onnx", "trees" or "weft"
  std::string path;
  std::string sha256;
  /// What a .weft file holds beside the graph: the exact graph and its certificates.
  std::map<std::string, std::string> extra{};
};

/// Recognizes the format from content. `weights` is the .h5 beside a Keras .json; `layers` a recipe file for classes of
/// the user's own in a Keras file.
Result<Model> load_model(const std::filesystem::path& path, const std::optional<std::filesystem::path>& weights,
                         Context& ctx, const std::optional<std::filesystem::path>& layers = std::nullopt);

/// Formats that load_model recognizes, for `weft ops`.
struct FormatInfo {
  std::string_view name;
  std::string_view files;
};
std::vector<FormatInfo> formats();

/// The options that every command with a MODEL takes.
struct LoweringOptions {
  std::optional<std::filesystem::path> weights;
  std::optional<std::filesystem::path> layers;
  std::optional<std::filesystem::path> config;
  std::vector<std::string> settings;
  std::optional<std::filesystem::path> calibrate;
  std::optional<std::string> default_type;
  /// "T" or "name=T".
  std::vector<std::string> input_types;
  /// "hls4ml": its integers instead of Weft's; empty or "none": the configuration's `Compat`.
  std::string compat;

  /// Whether anything was asked for.
  [[nodiscard]] bool any() const;
};

/// A model with its exact graph: from a MODEL file, or from the DIR that convert wrote.
struct Session {
  Model model;
  exact::Graph exact;
  std::vector<layers::LayerCertificate> certificate;
  layers::Word network = layers::Word::Exact;
  lower::Config config;
  /// Hash of the calibration data, empty without.
  std::string calibration_sha256;
  /// weft.json when the session comes from a DIR.
  std::optional<support::Json> project;
};

/// A model as load_model reads it, with the settings that belong to the source's own run (missing values of forests,
/// user tables), from a MODEL file or a DIR; no integers are made. Checks `options` as lower_model does.
Result<Model> open_source(const std::filesystem::path& path, const LoweringOptions& options, Context& ctx);

/// Loads and lowers a MODEL. Fails when any diagnostic is an error. A .weft file with integers keeps them unless
/// `options` ask for others: then its layers are lowered anew.
Result<Session> lower_model(const std::filesystem::path& path, const LoweringOptions& options, Context& ctx);

/// Opens a MODEL (lowered with `options`) or a DIR (options must then be empty).
Result<Session> open_session(const std::filesystem::path& path, const LoweringOptions& options, Context& ctx);

/// True when the folder holds a weft.json.
bool is_project(const std::filesystem::path& path);

/// model.weft with the exact graph inside, as convert writes it and open_session reads it.
Result<std::string> save_session(const Session& session, Context& ctx);

}  // namespace weft::driver
