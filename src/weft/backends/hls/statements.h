// SPDX-License-Identifier: Apache-2.0
/// @file
/// One value of the exact graph as C++ on ap_int. Private to this room.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "weft/exact/graph.h"
#include "weft/support/context.h"

namespace weft::backends::hls {

/// The text of weft_hls.h.
const char* library_text();

/// ap_int<W> or ap_uint<W> that holds every element.
struct CodeType {
  int width_bits = 1;
  bool is_signed = false;
};
CodeType type_of(const exact::Value& value);
std::string to_string(const CodeType& type);
/// The value's name, moved aside where C++ or the library already means something by it.
std::string identifier(const exact::Value& value);
/// An integer literal; beyond 64 bits a constructor from decimal text.
std::string literal(Int value);

/// Constants (in front of the top function) and statements (inside) that compute a value.
struct Code {
  std::string constants;
  std::string statements;
};
Result<Code> write_value(const exact::Graph& graph, exact::ValueId id, Context& ctx);

}  // namespace weft::backends::hls
