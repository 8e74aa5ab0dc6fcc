// SPDX-License-Identifier: Apache-2.0
/// @file
/// Words that the writer and the parser of the text form share, and the form itself.
///
///   weft-exact 1 "graph name"
///   # blank lines and comments are skipped; every other line is one of
///   value NAME shape [2 3] scale [1/16] ranges [-8..7*4 0..12~2 0..0] = PRIMITIVE
///   input "name" %NAME fixed|affine|bipolar type fixed<..> scale R zero_point R lo N hi N rounding MODE round_first
///   rule "r" output "name" %NAME mul [0.5] add [1 2] probe "layer" %NAME mul [0.5] folded_into "other layer"
///
/// A range is lo..hi~step_log2 (~0 is left out), item*count repeats it, and so for scales. A value line may end with
/// `origin "file" "node" "op" "tensor"`. Fields of an input that hold their default are left out. PRIMITIVE is the name
/// of primitives.def and then
///   input | constant codes [..] | mul %a %b | add|sub %a %b shift_a N shift_b N | reshape %x | permute %x permutation
///   [..] matvec %x n_in N n_out N weights [..] bias [..] accumulator fixed<..> lsb_frac_bits N requant %x
///   count_saturation functions [shift(..) pieces([..],[..])] | reduce %x sum|max | argmax %x k N concat %a %b .. axis
///   N | forest %x n_in N n_out N nodes [feature threshold low high ..] trees [root first width ..] leaves [..] bias
///   [..]
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
