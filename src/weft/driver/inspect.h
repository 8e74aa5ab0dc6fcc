// SPDX-License-Identifier: Apache-2.0
/// @file
/// What is in a model: layers, operations, types in force.
#pragma once

#include <filesystem>
#include <string>

#include "weft/driver/model.h"

namespace weft::driver {

/// The JSON of `weft inspect`: layers, inputs, outputs, params, macs, bops (sum of macs * weight bits * input bits over
/// the layers that multiply; a float32 operand counts 32), certificate outlook.
Result<support::Json> inspect(const std::filesystem::path& path, const LoweringOptions& options, Context& ctx);

/// The configuration with the values in force, in hls4ml's form: Model, LayerName.
Result<support::Json> configuration(const std::filesystem::path& path, const LoweringOptions& options, Context& ctx);

/// YAML of a JSON object of objects and scalars; parse_config reads it.
std::string to_yaml(const support::Json& json);

}  // namespace weft::driver
