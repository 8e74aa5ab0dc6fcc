// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the recurrent layers share: their parts, their shapes, their float32 steps. Private to this room.
///
/// x [T, n] runs through T steps of a cell with `units` numbers of state. Gates lie side by side in the columns of the
/// kernels: SimpleRNN has one block, LSTM four (input, forget, cell, output), GRU three (update z, reset r, candidate).
#pragma once

#include "weft/layers/float_run.h"
#include "weft/layers/recipe.h"

namespace weft::layers {

/// Attributes.
inline constexpr std::string_view kGoBackwards = "go_backwards";          ///< the last row of x comes first
inline constexpr std::string_view kRealign = "realign";                   ///< output rows lie where their input lies
inline constexpr std::string_view kReturnSequences = "return_sequences";  ///< all h, else the last one
inline constexpr std::string_view kResetAfter = "reset_after";            ///< GRU: r multiplies h U, not h
inline constexpr std::string_view kMasked = "masked";                     ///< the last input is a mask [T] of 0 and 1
inline constexpr std::string_view kZeroOutput = "zero_output";            ///< rows of masked steps are 0
inline constexpr std::string_view kClip = "clip";                         ///< bound on what the functions see
inline constexpr std::string_view kNote = "note";                         ///< for the certificate

/// Roles of intermediates that have types of their own.
inline constexpr const char* kGateInput = "gate_input";
inline constexpr const char* kGate = "gate";
inline constexpr const char* kState = "state";
inline constexpr const char* kCell = "cell";

/// Extents of a recurrent node that passed its shape check.
struct Recurrence {
  std::int64_t steps = 0;
  std::int64_t inputs = 0;
  std::int64_t units = 0;
  /// Numbers of h: the units, or what an LSTM's projection makes of them.
  std::int64_t hidden = 0;
  bool backwards = false;
  bool realign = false;
  bool sequences = false;
  /// Steps whose mask is 0 leave the states as they are.
  bool masked = false;
  bool zero_output = false;
  /// Inputs besides the mask.
  std::size_t given = 1;
  /// Row of x at step `s`.
  [[nodiscard]] std::int64_t row(std::int64_t s) const { return backwards ? steps - 1 - s : s; }
};
Recurrence recurrence_of(const nn::Graph& graph, const nn::Node& node);

/// Blocks of gates in the kernels of `op`.
std::int64_t gate_blocks(const std::string& op);

Result<void> evaluate_recurrent(const nn::Node& node, FloatRun& run, Context& ctx);
Result<void> lower_recurrent(const nn::Node& node, Recipe& recipe, Context& ctx);

}  // namespace weft::layers
