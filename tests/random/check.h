// SPDX-License-Identifier: Apache-2.0
/// @file
/// Runs one network on everything that computes it and compares.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "network.h"
#include "weft/exact/graph.h"
#include "weft/layers/recipe.h"

namespace weft::random_networks {

/// Codes of all graph inputs: per input, rows of `samples` samples.
struct Vectors {
  std::vector<std::vector<Int>> inputs;
  std::int64_t samples = 0;
};

struct CheckOptions {
  std::int64_t samples = 100;
  /// Compile and run the Verilog in Icarus.
  bool simulate = true;
  /// Folder for the emitted project; removed afterwards.
  std::filesystem::path scratch{};
  /// Damage the result of this stage, to test the tester: "simd", "float", "verilog", "latency", "crash"; "" for none.
  std::string corrupt{};
};

/// What became of a network.
struct Outcome {
  enum class State { Passed, Refused, Failed } state = State::Passed;
  /// Failed: where: "lower", "text", "input", "plain", "simd", "off-grid", "float", "verilog",
  /// "latency", "crash".
  std::string stage{};
  /// Refused: the kind and the message; Failed: what differs.
  std::string text{};
  std::string kind{};
  layers::Word word = layers::Word::Exact;
  bool lowered = false;
  bool simulated = false;
  /// Whether the corruption that was asked for found something to damage.
  bool corrupted = false;
  /// Values compared with the float32 run of the source, and layers of which they are.
  std::uint64_t float_values = 0;
  std::uint64_t float_layers = 0;
  /// All vectors that ran, and the first sample that differs (negative: not known).
  Vectors vectors{};
  std::int64_t sample = -1;
};

/// Lowers, runs, emits and simulates. `vectors` replaces the extremes and random numbers (a replay).
Outcome check(const Network& network, const CheckOptions& options, const Vectors* vectors = nullptr);

}  // namespace weft::random_networks
