// SPDX-License-Identifier: Apache-2.0
/// @file
/// Data files as batches of the model's inputs, and results as data files.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "weft/exact/graph.h"
#include "weft/nn/graph.h"
#include "weft/support/arrays.h"

namespace weft::driver {

/// Batches for every graph input, row-major [batch, ...].
struct InputRows {
  std::vector<std::vector<float>> inputs;
  std::int64_t batch = 0;
};

/// Real values from arrays: one array for a model with one input, else arrays by the inputs' names. Rows given flat are
/// accepted with a note, any other shape mismatch is an error; NaN and infinity are DataNotFinite. `file` names the
/// arrays' file in diagnostics.
Result<InputRows> input_rows(const nn::Graph& graph, std::map<std::string, support::Array> arrays,
                             const std::string& file, Context& ctx);
/// The same from a file.
Result<InputRows> read_input_rows(const nn::Graph& graph, const std::filesystem::path& path, Context& ctx);

/// Codes for every graph input, from integer arrays.
struct InputCodes {
  std::vector<std::vector<std::int64_t>> inputs;
  std::int64_t batch = 0;
};
Result<InputCodes> input_codes(const nn::Graph& graph, std::map<std::string, support::Array> arrays,
                               const std::string& file, Context& ctx);
Result<InputCodes> read_input_codes(const nn::Graph& graph, const std::filesystem::path& path, Context& ctx);

/// Integer labels, or one-hot rows.
Result<std::vector<std::int64_t>> read_labels(const std::filesystem::path& path, Context& ctx);

/// One array as .npy, several as .npz (or any when the path says .npz).
Result<void> write_arrays(const std::map<std::string, support::Array>& arrays, const std::filesystem::path& path,
                          Context& ctx);

}  // namespace weft::driver
