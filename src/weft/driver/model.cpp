// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "weft/driver/arrays.h"
#include "weft/driver/tables.h"
#include "weft/formats/keras/keras.h"
#include "weft/formats/onnx/onnx.h"
#include "weft/formats/tensorflow/tensorflow.h"
#include "weft/formats/tflite/tflite.h"
#include "weft/formats/torch/torch.h"
#include "weft/formats/trees/trees.h"
#include "weft/layers/layer.h"

namespace weft::driver {
namespace {

namespace fs = std::filesystem;

bool starts_with(const std::string& bytes, std::string_view prefix) {
  return bytes.compare(0, prefix.size(), prefix) == 0;
}

/// Zip local file header.
bool is_zip(const std::string& bytes) { return starts_with(bytes, "PK\x03\x04"); }

Result<void> parse_types(const LoweringOptions& options, const nn::Graph& graph, lower::Options& out, Context& ctx) {
  const auto parse = [&](const std::string& text, const char* option) -> Result<fixed::TypeSpec> {
    std::string error;
    const auto spec = fixed::parse_type(text, true, error);
    if (!spec) return ctx.fail(Kind::TypeInvalid, {.file = option}, fmt::format("`{}`: {}", text, error));
    return *spec;
  };
  if (options.default_type) {
    WEFT_TRY(const auto spec, parse(*options.default_type, "--default-type"));
    if (spec.form != fixed::TypeSpec::Form::Fixed)
      return ctx.fail(Kind::TypeInvalid, {.file = "--default-type"},
                      fmt::format("`{}` is no fixed-point type", *options.default_type));
    out.default_type = spec.fixed;
  }
  for (const auto& text : options.input_types) {
    const auto equals = text.find('=');
    const std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
    if (!name.empty()) {
      bool known = false;
      for (const auto& port : graph.inputs) known = known || port.name == name;
      if (!known) {
        std::string names;
        for (const auto& port : graph.inputs) names += (names.empty() ? "`" : ", `") + port.name + "`";
        return ctx.fail(Kind::UsageInvalid, {.file = "--input-type"},
                        fmt::format("the model has no input `{}`; it has {}", name, names));
      }
    }
    WEFT_TRY(const auto spec, parse(equals == std::string::npos ? text : text.substr(equals + 1), "--input-type"));
    out.input_types[name] = spec;
  }
  return {};
}

constexpr int kSessionVersion = 1;

/// A model with its configuration read and applied, as far as both runs of it need them.
struct Prepared {
  Model model;
  lower::Options lowering;
};

Result<Prepared> prepare(Model model, const LoweringOptions& options, Context& ctx) {
  Prepared out;
  out.model = std::move(model);
  nn::Graph& graph = out.model.graph;
  if (options.config) {
    WEFT_TRY(const std::string text, support::read_file(*options.config, ctx));
    WEFT_TRY(out.lowering.config, lower::parse_config(text, options.config->string(), ctx));
    WEFT_TRY_VOID(lower::check_names(out.lowering.config, graph, options.config->string(), ctx));
  }
  for (const auto& setting : options.settings)
    WEFT_TRY_VOID(lower::apply_setting(out.lowering.config, setting, graph, ctx));
  // What "missing" means belongs to the source's own run as much as to the integers.
  for (auto& node : graph.nodes)
    if (node.op == "Forest")
      if (const auto missing = lower::LayerSettings{&out.lowering.config}.missing(node))
        node.attributes["missing"] = *missing;
  WEFT_TRY_VOID(apply_tables(out.lowering.config, graph, ctx));
  WEFT_TRY_VOID(parse_types(options, graph, out.lowering, ctx));
  if (!options.compat.empty() && options.compat != "none" && options.compat != "hls4ml")
    return ctx.fail(Kind::UsageInvalid, {.file = "--compat"},
                    fmt::format("`{}` is neither none nor hls4ml", options.compat));
  if (options.compat == "hls4ml") out.lowering.compat = lower::Compat::Hls4ml;
  if (options.compat == "none") out.lowering.config.compat.reset();
  if ((out.lowering.compat == lower::Compat::Hls4ml || out.lowering.config.compat) && options.calibrate)
    return ctx.fail(Kind::UsageInvalid, {.file = "--calibrate"},
                    "hls4ml takes no types from data; leave out --calibrate or --compat hls4ml");
  return out;
}

Result<void> need_no_options(const fs::path& path, const LoweringOptions& options, Context& ctx) {
  if (options.any())
    return ctx.fail(Kind::UsageInvalid, {.file = path.string()},
                    "a converted folder keeps the options it was made with; give the model file to use others");
  return {};
}

/// The model.weft of a converted folder.
Result<Model> read_stored(const fs::path& folder, Context& ctx) {
  const fs::path file = folder / "model.weft";
  WEFT_TRY(const std::string bytes, support::read_file(file, ctx));
  WEFT_TRY(auto loaded, nn::load(bytes, file.string(), ctx));
  Model model{std::move(loaded.graph), "weft", file.string(), support::sha256_hex(bytes), std::move(loaded.extra)};
  WEFT_TRY_VOID(layers::check(model.graph, ctx));
  return model;
}

bool has_integers(const Model& model) { return model.extra.count("exact.txt") != 0; }

/// The exact graph and the certificates that save_session wrote beside the layers.
Result<Session> stored_session(Model model, Context& ctx) {
  Session session;
  session.model = std::move(model);
  const std::string& file = session.model.path;
  const auto extra = std::exchange(session.model.extra, {});
  const auto malformed = [&](const std::string& what) {
    return ctx.fail(Kind::ModelMalformed, {.file = file}, what + "; convert the model again");
  };
  if (extra.count("exact.txt") == 0 || extra.count("session.json") == 0) return malformed("the exact graph is missing");
  WEFT_TRY(session.exact, exact::parse_text(extra.at("exact.txt"), file + ":exact.txt", ctx));
  const std::string broken = exact::verify(session.exact);
  if (!broken.empty()) return malformed("the exact graph is unsound: " + broken);
  WEFT_TRY(const auto json, support::parse_json(extra.at("session.json"), file + ":session.json", ctx));
  try {
    if (json.at("session").get<int>() != kSessionVersion) return malformed("it was made by another version of weft");
    session.model.format = json.at("format").get<std::string>();
    const auto word = [](const std::string& w) {
      return w == "exact"         ? layers::Word::Exact
             : w == "float-order" ? layers::Word::FloatOrder
                                  : layers::Word::Quantized;
    };
    session.network = word(json.at("network").get<std::string>());
    for (const auto& c : json.at("certificate"))
      session.certificate.push_back({c.at("layer").get<std::string>(), c.at("op").get<std::string>(),
                                     word(c.at("word").get<std::string>()), c.at("bound").get<double>(),
                                     c.at("codes_at_risk").get<std::uint64_t>(),
                                     c.at("notes").get<std::vector<std::string>>()});
  } catch (const nlohmann::json::exception& e) {
    return malformed(fmt::format("session.json: {}", e.what()));
  }
  return session;
}

}  // namespace

bool LoweringOptions::any() const {
  return weights || layers || config || !settings.empty() || calibrate || default_type || !input_types.empty() ||
         !compat.empty();
}

std::vector<FormatInfo> formats() {
  return {{"Keras 2 and QKeras", ".h5, or .json with --weights X.h5"},
          {"Keras 3 and QKeras for Keras 3", ".keras"},
          {"LightGBM", ".txt (text model)"},
          {"ONNX and QONNX", ".onnx"},
          {"PyTorch, exported programs", ".pt2"},
          {"TensorFlow Lite", ".tflite, float or integer"},
          {"TensorFlow SavedModel and frozen graphs", "the folder, or .pb"},
          {"Weft", ".weft"},
          {"XGBoost", ".json, .ubj, .model (binary, up to 2.0), text dump"}};
}

Result<Model> load_model(const fs::path& path, const std::optional<fs::path>& weights, Context& caller,
                         const std::optional<fs::path>& layers) {
  // A bomb must be answered within a few gigabytes; no dense network comes near this.
  Context ctx = caller;
  ctx.limits.unpacked_bytes = std::min(ctx.limits.unpacked_bytes, std::uint64_t{512} << 20);
  const std::string name = path.string();
  if (formats::tensorflow::is_saved_model(path)) {
    Model model;
    model.path = name;
    model.format = "tensorflow";
    WEFT_TRY(const std::string bytes, support::read_file(path / "saved_model.pb", ctx));
    model.sha256 = support::sha256_hex(bytes);
    WEFT_TRY(model.graph, formats::tensorflow::read_saved_model(path, ctx));
    WEFT_TRY_VOID(layers::check(model.graph, ctx));
    return model;
  }
  if (fs::is_directory(path))
    return ctx.fail(
        Kind::FormatUnknown, {.file = name},
        "the folder is no SavedModel (it has no saved_model.pb); give that, or a .h5, .keras, .json, .onnx, "
        ".pt2, .tflite, .pb or .weft file");
  WEFT_TRY(const std::string bytes, support::read_file(path, ctx));
  Model model;
  model.path = name;
  model.sha256 = support::sha256_hex(bytes);
  const bool trees = formats::trees::looks_like_trees(bytes);
  const bool keras = !trees && formats::keras::looks_like_keras(std::string_view(bytes));
  if (weights && !keras)
    return ctx.fail(Kind::UsageInvalid, {.file = name}, "--weights goes with a Keras architecture (.json)");
  if (layers && !keras) return ctx.fail(Kind::UsageInvalid, {.file = name}, "--layers goes with a Keras file");
  if (trees) {
    WEFT_TRY(model.graph, formats::trees::read_trees(path, ctx));
    model.format = "trees";
  } else if (keras) {
    WEFT_TRY(model.graph, formats::keras::read_keras(path, weights, ctx, layers));
    model.format = "keras";
  } else if (formats::tflite::looks_like_tflite(bytes)) {
    WEFT_TRY(model.graph, formats::tflite::read_tflite_bytes(bytes, path.filename().string(), ctx));
    model.format = "tflite";
  } else if (const auto from_torch = formats::torch::recognize(bytes); from_torch != formats::torch::FileKind::None) {
    if (from_torch != formats::torch::FileKind::Program) return formats::torch::refuse(from_torch, name, ctx);
    WEFT_TRY(model.graph, formats::torch::read_pt2_bytes(bytes, path.filename().string(), ctx));
    model.format = "torch";
  } else if (is_zip(bytes)) {
    WEFT_TRY(auto loaded, nn::load(bytes, name, ctx));
    model.graph = std::move(loaded.graph);
    model.extra = std::move(loaded.extra);
    model.format = "weft";
  } else if (formats::tensorflow::looks_like_saved_model(bytes)) {
    return load_model(path.has_parent_path() ? path.parent_path() : fs::path("."), weights, caller);
  } else if (formats::tensorflow::looks_like_graph(bytes)) {
    WEFT_TRY(model.graph, formats::tensorflow::read_graph_bytes(bytes, path.filename().string(), ctx));
    model.format = "tensorflow";
  } else if (formats::onnx::looks_like_onnx(bytes)) {
    WEFT_TRY(model.graph, formats::onnx::read_onnx(path, ctx));
    model.format = "onnx";
  } else {
    return ctx.fail(
        Kind::FormatUnknown, {.file = name},
        bytes.empty()
            ? "the file is empty"
            : "the content is neither HDF5, nor a zip archive, nor JSON, nor ONNX, nor of TensorFlow, nor "
              "trees; weft reads .h5, .keras, .json, .onnx, .pt2, .tflite, .pb, .weft and models of XGBoost and "
              "LightGBM");
  }
  WEFT_TRY_VOID(layers::check(model.graph, ctx));
  return model;
}

bool is_project(const fs::path& path) { return fs::is_directory(path) && fs::exists(path / "weft.json"); }

Result<Model> open_source(const fs::path& path, const LoweringOptions& options, Context& ctx) {
  if (is_project(path)) {
    WEFT_TRY_VOID(need_no_options(path, options, ctx));
    return read_stored(path, ctx);
  }
  WEFT_TRY(Model model, load_model(path, options.weights, ctx, options.layers));
  if (!options.any() && has_integers(model)) return model;
  WEFT_TRY(auto prepared, prepare(std::move(model), options, ctx));
  return std::move(prepared.model);
}

Result<Session> lower_model(const fs::path& path, const LoweringOptions& options, Context& ctx) {
  WEFT_TRY(Model model, load_model(path, options.weights, ctx, options.layers));
  if (!options.any() && has_integers(model)) return stored_session(std::move(model), ctx);
  Session session;
  WEFT_TRY(auto prepared, prepare(std::move(model), options, ctx));
  session.model = std::move(prepared.model);
  lower::Options lowering = std::move(prepared.lowering);
  if ((lowering.compat == lower::Compat::Hls4ml || lowering.config.compat) && options.default_type)
    lowering.config.model.precision.try_emplace(
        "default", fixed::TypeSpec{fixed::TypeSpec::Form::Fixed, lowering.default_type, true});
  if (options.calibrate) {
    WEFT_TRY(const std::string bytes, support::read_file(*options.calibrate, ctx));
    session.calibration_sha256 = support::sha256_hex(bytes);
    WEFT_TRY(auto rows, read_input_rows(session.model.graph, *options.calibrate, ctx));
    lowering.calibration = lower::Calibration{std::move(rows.inputs), rows.batch};
  }
  WEFT_TRY(auto lowered, lower::lower(session.model.graph, lowering, ctx));
  if (ctx.diag.has_errors()) return diag::failure;
  session.exact = std::move(lowered.graph);
  session.certificate = std::move(lowered.certificate);
  session.network = lowered.network;
  session.config = std::move(lowering.config);
  return session;
}

Result<std::string> save_session(const Session& session, Context& ctx) {
  support::Json json = {
      {"session", kSessionVersion}, {"format", session.model.format}, {"network", layers::to_string(session.network)}};
  support::Json rows = support::Json::array();
  for (const auto& c : session.certificate)
    rows.push_back({{"layer", c.layer},
                    {"op", c.op},
                    {"word", layers::to_string(c.word)},
                    {"bound", c.bound},
                    {"codes_at_risk", c.codes_at_risk},
                    {"notes", c.notes}});
  json["certificate"] = std::move(rows);
  return nn::save(session.model.graph,
                  {{"exact.txt", exact::to_text(session.exact)}, {"session.json", support::dump_json(json)}}, ctx);
}

Result<Session> open_session(const fs::path& path, const LoweringOptions& options, Context& ctx) {
  if (!is_project(path)) return lower_model(path, options, ctx);
  WEFT_TRY_VOID(need_no_options(path, options, ctx));
  WEFT_TRY(const std::string text, support::read_file(path / "weft.json", ctx));
  WEFT_TRY(auto project, support::parse_json(text, (path / "weft.json").string(), ctx));
  WEFT_TRY(Model model, read_stored(path, ctx));
  WEFT_TRY(Session session, stored_session(std::move(model), ctx));
  session.project = std::move(project);
  return session;
}

}  // namespace weft::driver
