// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

namespace weft::lower {
namespace {

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
  return text;
}

/// Edit distance, for "did you mean".
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

template <class List>
std::string nearest(const std::string& word, const List& known) {
  std::string best;
  std::size_t best_distance = 4;
  for (const auto& k : known) {
    const std::size_t d = distance(lowered(word), lowered(std::string(k)));
    if (d < best_distance) {
      best_distance = d;
      best = std::string(k);
    }
  }
  return best.empty() ? "" : fmt::format("; did you mean `{}`", best);
}

constexpr std::array kBlockKeys = {"Precision",
                                   "ReuseFactor",
                                   "Strategy",
                                   "Implementation",
                                   "Missing",
                                   "Skip",
                                   "Softmax",
                                   "Steps",
                                   "Table",
                                   "TableMode",
                                   "TableSize",
                                   "TableRangePower2",
                                   "Trace",
                                   "TraceOutput",
                                   "BramFactor",
                                   "Compression",
                                   "ConvImplementation",
                                   "ParallelizationFactor",
                                   "PipelineStyle",
                                   "PipelineInterval",
                                   "RecurrentReuseFactor",
                                   "Static",
                                   "TargetCycles",
                                   "TimeStepLoopParallelism"};
/// Keys of hls4ml that say how hardware is built and change no integer there; here the planner decides.
constexpr std::array kHardwareKeys = {"bramfactor",
                                      "compression",
                                      "convimplementation",
                                      "parallelizationfactor",
                                      "pipelinestyle",
                                      "pipelineinterval",
                                      "recurrentreusefactor",
                                      "static",
                                      "targetcycles",
                                      "timesteploopparallelism",
                                      "trace",
                                      "traceoutput"};
constexpr std::array kRoles = {"default",
                               "weight",
                               "bias",
                               "result",
                               "accum",
                               "maximum",
                               "scale",
                               "table",
                               "param",
                               "slope",
                               "shift",
                               "exp_table",
                               "inv_table",
                               "inv_inp",
                               "inp_norm",
                               "recurrent_weight",
                               "recurrent_bias",
                               "embeddings",
                               "depthwise",
                               "depthwise_accum",
                               "depthwise_result",
                               "pointwise",
                               "pointwise_bias",
                               "pointwise_accum",
                               "gate_input",
                               "gate",
                               "state",
                               "cell",
                               "distance",
                               "exp",
                               "inverse",
                               "normalized"};
constexpr std::array kTopKeys = {"Model",       "LayerType",         "LayerName", "HLSConfig",  "Part",
                                 "XilinxPart",  "ClockPeriod",       "IOType",    "Backend",    "OutputDir",
                                 "ProjectName", "KerasJson",         "KerasH5",   "KerasModel", "OnnxModel",
                                 "InputData",   "OutputPredictions", "Compat"};

struct Parser {
  std::string file;
  Context& ctx;
  bool own_defaults = false;
  bool ok = true;

  void fail(Kind kind, const std::string& what) {
    ctx.report(kind, {.file = file}, what);
    ok = false;
  }

  std::optional<fixed::TypeSpec> type(const std::string& text, const std::string& where) {
    std::string error;
    auto spec = fixed::parse_type(text, own_defaults, error);
    if (!spec) fail(Kind::TypeInvalid, fmt::format("{}: `{}`: {}", where, text, error));
    return spec;
  }

  void softmax(BlockConfig& block, const std::string& value, const std::string& where) {
    const std::string v = lowered(value);
    if (v == "remove" || v == "table" || v == "argmax")
      block.softmax = v;
    else if (v == "stable" || v == "latency" || v == "legacy")
      block.softmax = "table";
    else
      fail(Kind::ConfigInvalid, fmt::format("{}: `{}` is none of remove, table, argmax", where, value));
  }

  /// One key of a block; `value` is a scalar's text.
  void scalar(BlockConfig& block, const std::string& key, const std::string& value, const std::string& where) {
    const std::string k = lowered(key);
    if (k == "precision") {
      if (auto spec = type(value, where)) block.precision["default"] = *spec;
    } else if (k.rfind("precision.", 0) == 0) {
      role(block, k.substr(10), value, where);
    } else if (k == "reusefactor" || k == "steps") {
      char* end = nullptr;
      const long long n = std::strtoll(value.c_str(), &end, 10);
      if (value.empty() || *end != '\0' || n < 1 || n > (1LL << 30))
        fail(Kind::ConfigInvalid, fmt::format("{}: `{}` is no positive integer", where, value));
      else
        (k == "steps" ? block.steps : block.reuse_factor) = n;
    } else if (k == "strategy") {
      const std::string v = lowered(value);
      constexpr std::array known = {"latency", "resource", "resourceunrolled", "unrolled", "distributedarithmetic",
                                    "da"};
      if (std::find(known.begin(), known.end(), v) == known.end())
        fail(Kind::ConfigInvalid,
             fmt::format("{}: `{}` is none of Latency, Resource, Unrolled, distributed_arithmetic", where, value));
      else
        block.strategy = v;
    } else if (k == "table") {
      block.table = value;
    } else if (k == "tablemode") {
      const std::string v = lowered(value);
      if (v != "linear" && v != "nearest" && v != "floor")
        fail(Kind::ConfigInvalid, fmt::format("{}: `{}` is none of linear, nearest, floor", where, value));
      else
        block.table_mode = v;
    } else if (k == "implementation" || k == "softmax") {
      softmax(block, value, where);
      const std::string v = lowered(value);
      if (k == "implementation" && v != "remove" && v != "table") block.implementation = v;
    } else if (k == "tablesize" || k == "tablerangepower2") {
      char* end = nullptr;
      const long long n = std::strtoll(value.c_str(), &end, 10);
      const bool size = k == "tablesize";
      if (value.empty() || *end != '\0' || n < (size ? 2 : -64) || n > (size ? 1LL << 20 : 64))
        fail(Kind::ConfigInvalid,
             fmt::format("{}: `{}` is not from {}", where, value, size ? "2 to 2^20" : "-64 to 64"));
      else
        (size ? block.table_size : block.table_range_power2) = n;
    } else if (std::find(kHardwareKeys.begin(), kHardwareKeys.end(), k) != kHardwareKeys.end()) {
      if (k != "trace" && k != "traceoutput")
        ctx.report(Kind::Info, {.file = file},
                   fmt::format("{}: no effect: it changes no result, and hardware is planned from the options", where));
    } else if (const std::string name = variable(key); !name.empty()) {
      role(block, name, value, where);
    } else if (k == "skip") {
      const std::string v = lowered(value);
      if (v == "true")
        block.softmax = "remove";
      else if (v != "false")
        fail(Kind::ConfigInvalid, fmt::format("{}: `{}` is neither true nor false", where, value));
    } else if (k == "missing") {
      char* end = nullptr;
      const double v = std::strtod(value.c_str(), &end);
      if (value.empty() || *end != '\0' || !std::isfinite(v))
        fail(Kind::ConfigInvalid, fmt::format("{}: `{}` is no number", where, value));
      else
        block.missing = v;
    } else {
      fail(Kind::ConfigUnknownKey, fmt::format("{}: unknown key `{}`{}", where, key, nearest(key, kBlockKeys)));
    }
  }

  /// The role of a key like `exp_table_t`, as hls4ml takes them beside Precision.
  static std::string variable(const std::string& key) {
    if (key.size() < 3 || key.compare(key.size() - 2, 2, "_t") != 0) return {};
    const std::string name = key.substr(0, key.size() - 2);
    return std::find(kRoles.begin(), kRoles.end(), name) == kRoles.end() ? std::string() : name;
  }

  void role(BlockConfig& block, const std::string& role_name, const std::string& value, const std::string& where) {
    const auto known =
        std::find_if(kRoles.begin(), kRoles.end(), [&](const char* k) { return lowered(k) == lowered(role_name); });
    if (known == kRoles.end())
      return fail(Kind::ConfigUnknownKey,
                  fmt::format("{}: unknown precision `{}`{}", where, role_name, nearest(role_name, kRoles)));
    if (auto spec = type(value, where)) block.precision[*known] = *spec;
  }

  void block(BlockConfig& out, const YAML::Node& node, const std::string& where) {
    if (!node.IsMap()) return fail(Kind::ConfigInvalid, fmt::format("{}: expected keys with values", where));
    for (const auto& item : node) {
      const auto key = item.first.as<std::string>();
      const std::string here = where + "." + key;
      if (lowered(key) == "precision" && item.second.IsMap()) {
        for (const auto& p : item.second) role(out, p.first.as<std::string>(), p.second.as<std::string>(), here);
      } else if (item.second.IsScalar()) {
        scalar(out, key, item.second.as<std::string>(), here);
      } else {
        fail(Kind::ConfigInvalid, fmt::format("{}: expected a single value", here));
      }
    }
  }

  void blocks(std::map<std::string, BlockConfig>& out, const YAML::Node& node, const std::string& where) {
    if (node.IsNull()) return;
    if (!node.IsMap()) return fail(Kind::ConfigInvalid, fmt::format("{}: expected layers", where));
    for (const auto& item : node) {
      const auto key = item.first.as<std::string>();
      if (!item.second.IsNull()) block(out[key], item.second, where + "." + key);
    }
  }

  void compat(Config& config, const std::string& value) {
    const std::string v = lowered(value);
    if (v == "hls4ml")
      config.compat = v;
    else if (v != "none")
      fail(Kind::ConfigInvalid, fmt::format("Compat: `{}` is neither none nor hls4ml", value));
  }

  void top(Config& config, const YAML::Node& node, bool nested) {
    if (!node.IsMap()) return fail(Kind::ConfigInvalid, "expected Model, LayerType or LayerName at the top");
    for (const auto& item : node) {
      const auto key = item.first.as<std::string>();
      const YAML::Node& value = item.second;
      if (key == "Model")
        block(config.model, value, key);
      else if (key == "LayerType")
        blocks(config.layer_type, value, key);
      else if (key == "LayerName")
        blocks(config.layer_name, value, key);
      else if (key == "HLSConfig" && !nested)
        top(config, value, true);
      else if (!nested && (key == "Part" || key == "XilinxPart"))
        config.part = value.as<std::string>();
      else if (!nested && key == "ClockPeriod")
        config.clock_ns = value.as<double>();
      else if (!nested && key == "IOType")
        config.io_type = value.as<std::string>();
      else if (!nested && key == "ProjectName")
        config.project_name = value.as<std::string>();
      else if (!nested && key == "Compat")
        compat(config, value.as<std::string>());
      else if (std::find(kTopKeys.begin(), kTopKeys.end(), key) == kTopKeys.end() || nested)
        fail(Kind::ConfigUnknownKey, fmt::format("unknown key `{}`{}", key, nearest(key, kTopKeys)));
      // The other keys of an hls4ml project file (Backend, KerasH5, ...) say what the command line says here.
    }
  }
};

}  // namespace

Result<Config> parse_config(const std::string& yaml, const std::string& file, Context& ctx) {
  constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
  if (yaml.size() > kMaxBytes)
    return ctx.fail(Kind::LimitExceeded, {.file = file}, "a configuration of more than 16 MiB");
  // yaml-cpp recurses per nesting level; bound it before parsing.
  int flow = 0;
  int deepest = 0;
  for (char c : yaml) {
    if (c == '[' || c == '{') deepest = std::max(deepest, ++flow);
    if (c == ']' || c == '}') --flow;
    if (c == '\n') flow = std::max(flow, 0);
  }
  if (deepest > 64) return ctx.fail(Kind::ConfigInvalid, {.file = file}, "the configuration is nested too deeply");
  Config config;
  Parser parser{file, ctx};
  try {
    const YAML::Node root = YAML::Load(yaml);
    if (!root.IsNull()) parser.top(config, root, false);
  } catch (const YAML::Exception& e) {
    return ctx.fail(Kind::ConfigInvalid, {.file = file}, fmt::format("not readable as YAML: {}", e.what()));
  }
  if (!parser.ok) return diag::failure;
  return config;
}

Result<void> apply_setting(Config& config, const std::string& setting, const nn::Graph& graph, Context& ctx) {
  const auto equals = setting.find('=');
  const Origin origin{.file = "--set"};
  if (equals == std::string::npos || equals == 0)
    return ctx.fail(Kind::ConfigInvalid, origin, fmt::format("`{}` is not of the form layer.key=value", setting));
  const std::string path = setting.substr(0, equals);
  const std::string value = setting.substr(equals + 1);
  // Layer names may hold dots: the longest known name that is followed by a dot wins.
  std::string layer;
  std::vector<std::string> names{"Model"};
  for (const auto& node : graph.nodes) names.push_back(node.name);
  for (const auto& name : names)
    if (path.size() > name.size() + 1 && path.compare(0, name.size(), name) == 0 && path[name.size()] == '.' &&
        name.size() > layer.size())
      layer = name;
  if (layer.empty()) {
    const std::string guess = path.substr(0, path.rfind('.'));
    return ctx.fail(Kind::ConfigUnknownKey, origin,
                    fmt::format("`{}` names no layer of the model{}", guess, nearest(guess, names)));
  }
  Parser parser{"--set", ctx, true};
  BlockConfig& block = layer == "Model" ? config.model : config.layer_name[layer];
  parser.scalar(block, path.substr(layer.size() + 1), value, path);
  if (!parser.ok) return diag::failure;
  return {};
}

Result<void> check_names(const Config& config, const nn::Graph& graph, const std::string& file, Context& ctx) {
  bool ok = true;
  std::vector<std::string> names;
  std::vector<std::string> types;
  for (const auto& node : graph.nodes) {
    names.push_back(node.name);
    types.push_back(node.op);
    if (!node.origin.op.empty()) types.push_back(node.origin.op);
  }
  for (const auto& port : graph.inputs) names.push_back(port.name);
  // hls4ml names the activation inside a layer `<layer>_<activation>`; its files carry both.
  for (const auto& node : graph.nodes)
    if (node.functions.count("activation") != 0)
      names.push_back(node.name + "_" + node.functions.at("activation").family);
  for (const auto& [name, block] : config.layer_name) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    ctx.report(Kind::ConfigUnknownKey, {.file = file},
               fmt::format("LayerName.{}: the model has no such layer{}", name, nearest(name, names)));
    ok = false;
  }
  for (const auto& [type, block] : config.layer_type) {
    if (std::find(types.begin(), types.end(), type) != types.end()) continue;
    ctx.report(Kind::ConfigUnknownKey, {.file = file},
               fmt::format("LayerType.{}: the model has no such layer type{}", type, nearest(type, types)));
    ok = false;
  }
  if (!ok) return diag::failure;
  return {};
}

namespace {

template <class F>
auto resolve(const Config& config, const nn::Node& node, F&& get) -> decltype(get(config.model)) {
  if (const auto it = config.layer_name.find(node.name); it != config.layer_name.end())
    if (auto v = get(it->second)) return v;
  for (const auto& type : {node.origin.op, node.op})
    if (const auto it = config.layer_type.find(type); it != config.layer_type.end())
      if (auto v = get(it->second)) return v;
  return get(config.model);
}

}  // namespace

std::optional<fixed::TypeSpec> LayerSettings::type(const nn::Node& node, const std::string& role) const {
  return resolve(*config, node, [&](const BlockConfig& block) -> std::optional<fixed::TypeSpec> {
    auto it = block.precision.find(role);
    // An accumulator is exact unless it is named: "default" does not reach it.
    if (it == block.precision.end() && role != "accum") it = block.precision.find("default");
    if (it == block.precision.end() || it->second.form == fixed::TypeSpec::Form::Auto) return std::nullopt;
    return it->second;
  });
}

std::optional<std::int64_t> LayerSettings::steps(const nn::Node& node) const {
  return resolve(*config, node, [](const BlockConfig& block) { return block.steps; });
}

std::optional<std::string> LayerSettings::table(const nn::Node& node) const {
  return resolve(*config, node, [](const BlockConfig& block) { return block.table; });
}

std::string LayerSettings::table_mode(const nn::Node& node) const {
  return resolve(*config, node, [](const BlockConfig& block) { return block.table_mode; }).value_or("linear");
}

std::optional<std::string> LayerSettings::softmax(const nn::Node& node) const {
  return resolve(*config, node, [](const BlockConfig& block) { return block.softmax; });
}

std::optional<double> LayerSettings::missing(const nn::Node& node) const {
  return resolve(*config, node, [](const BlockConfig& block) { return block.missing; });
}

std::int64_t LayerSettings::reuse_factor(const nn::Node& node) const {
  return resolve(*config, node, [](const BlockConfig& block) { return block.reuse_factor; }).value_or(1);
}

}  // namespace weft::lower
