// SPDX-License-Identifier: Apache-2.0
/// @file
/// From a model file to an emitted project folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "weft/driver/model.h"
#include "weft/hw/design.h"

namespace weft::driver {

inline constexpr std::string_view kVersion = "0.1.0";

struct ConvertOptions {
  LoweringOptions lowering;
  std::string io = "parallel";
  std::string target = "verilog";
  /// Empty: the configuration's, else the defaults of hw::PlanOptions.
  std::optional<std::string> part;
  std::optional<double> clock_ns;
  std::optional<double> clock_uncertainty_percent;  ///< of the period, kept free
  std::optional<int> max_latency_cycles;
  /// Of all layers of which the configuration says none by name or type; empty: the configuration's.
  std::optional<std::int64_t> reuse_factor;
  std::string top;
  std::string prefix;
  std::string primitives = "portable";
  std::string effort = "normal";  ///< of the search for adder graphs: fast, normal, high
  /// LUTs per bit of a three-input adder; empty: the family's.
  std::optional<double> ternary_lut;
  bool register_inputs = false;
  bool register_outputs = true;
  bool clock_enable = false;
  bool valid = true;
  /// What the user typed, for weft.json.
  std::string command;
};

/// Writes DIR (whole or not at all): weft.json, model.weft, rtl/ and tb/, or hls/. Returns the content of weft.json.
Result<support::Json> convert(const std::filesystem::path& model, const std::filesystem::path& directory,
                              const ConvertOptions& options, Context& ctx);

/// Layers of the exact graph for JSON: name, op, type, scale, range, folded_into.
support::Json layers_json(const Session& session);
support::Json certificate_json(const Session& session);
support::Json inputs_json(const Session& session);
support::Json outputs_json(const Session& session);

/// The plan of a session; what convert emits and verify asks for vectors of.
Result<hw::Design> plan_session(const Session& session, const ConvertOptions& options, Context& ctx);

}  // namespace weft::driver
