// SPDX-License-Identifier: Apache-2.0
/// @file
/// Values of a graph as C++ statements. Private to this room.
#pragma once

#include <string>

#include "weft/exact/graph.h"
#include "weft/support/context.h"

namespace weft::backends::cpp {

/// Text of library.inc.
const char* library_text();

/// A value in the emitted file.
struct Code {
  std::string constants;   ///< in front of the class
  std::string buffers;     ///< its members
  std::string statements;  ///< of the run
};

/// "std::int32_t" and so on for a range of codes.
std::string type_for(const fixed::Range& range);
/// The range of all elements.
fixed::Range hull(const exact::Value& value);
/// How the codes of a value are reached: `b.name` or, for constants, `name`.
std::string access(const exact::Value& value);
/// A name that is no keyword and no name of the library.
std::string identifier(const exact::Value& value);
std::string literal(Int value);
std::string rounding_name(fixed::Rounding rounding);
std::string overflow_name(fixed::Overflow overflow);
/// "Type{16, true, Overflow::sat, 0}".
std::string type_literal(const fixed::FixedType& type);

/// The value `id`, unless it is an input.
Result<Code> write_value(const exact::Graph& graph, exact::ValueId id, Context& ctx);

}  // namespace weft::backends::cpp
