// SPDX-License-Identifier: Apache-2.0
/// @file
/// JSON parsing that is bounded in depth and reports instead of throwing.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "weft/support/context.h"

namespace weft::support {

using Json = nlohmann::ordered_json;

/// Parses one JSON document. Accepts Python's NaN, Infinity and -Infinity as Keras writes them (read as null for NaN
/// and
/// +-1e999 as strings is refused: they become doubles). Fails beyond ctx.limits.json_depth.
Result<Json> parse_json(const std::string& text, const std::string& name, Context& ctx);

/// dump() with invalid UTF-8 replaced; indent < 0 is one line.
std::string dump_json(const Json& json, int indent = 2);

}  // namespace weft::support
