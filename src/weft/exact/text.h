// SPDX-License-Identifier: Apache-2.0
/// @file
/// Words that the writer and the parser of the text form share.
#pragma once

#include <array>
#include <string_view>

namespace weft::exact::text {

inline constexpr std::string_view kHeader = "weft-exact 1";
/// In the order of ReadoutStep::Op.
inline constexpr std::array<std::string_view, 7> kReadoutOps{"add", "sub",         "mul",        "div",
                                                             "pow", "reverse_sub", "reverse_div"};
/// In the order of InputConversion::Form.
inline constexpr std::array<std::string_view, 3> kConversionForms{"fixed", "affine", "bipolar"};

}  // namespace weft::exact::text
