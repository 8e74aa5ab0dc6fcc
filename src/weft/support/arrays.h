// SPDX-License-Identifier: Apache-2.0
/// @file
/// Arrays on disk: .npy, .npz and .csv. No pickle is ever executed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "weft/support/context.h"

namespace weft::support {

/// A dense row-major array of float64 or int64 with the dtype it had on disk ("f4", "f8", "i1" ... "u8", "b1").
/// uint64 values above the int64 range are an error. Fixed-length byte/unicode string arrays are read as `text`.
struct Array {
  std::vector<std::int64_t> shape;
  std::variant<std::vector<float>, std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>> data;
  std::string dtype;

  [[nodiscard]] bool is_integer() const { return std::holds_alternative<std::vector<std::int64_t>>(data); }
  [[nodiscard]] std::int64_t size() const {
    std::int64_t n = 1;
    for (auto d : shape) n *= d;
    return n;
  }
};

/// Reads C or Fortran order, either byte order, versions 1 to 3. `name` is for messages only.
Result<Array> parse_npy(const std::string& bytes, const std::string& name, Context& ctx);
/// Version 1.0, C order, little endian; float32 for float data, int64 for integers.
std::string format_npy(const Array& array);
/// Members in name order (".npy" stripped).
Result<std::map<std::string, Array>> parse_npz(const std::string& bytes, const std::string& name, Context& ctx);
Result<std::string> format_npz(const std::map<std::string, Array>& arrays, Context& ctx);
/// One row per line, comma, semicolon or blank separated, optional header line; shape [rows, columns], float64.
Result<Array> parse_csv(const std::string& text, const std::string& name, Context& ctx);

/// Reads .npy, .npz or .csv by content. A single array has the name "".
Result<std::map<std::string, Array>> read_arrays(const std::filesystem::path& path, Context& ctx);

}  // namespace weft::support
