// SPDX-License-Identifier: Apache-2.0
/// @file
/// Cases of CMSIS-NN (npz files with parameters, inputs and outputs) and graphs of integer layers that are run on them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "weft/nn/graph.h"
#include "weft/support/json.h"

namespace weft::golden {

using Ints = std::vector<std::int64_t>;

/// Arrays and numbers of a case, without the case's name in front.
struct Case {
  std::string name;
  std::map<std::string, Ints> arrays;
  support::Json numbers;

  [[nodiscard]] bool has(const std::string& key) const { return arrays.count(key) != 0; }
  [[nodiscard]] const Ints& at(const std::string& key) const { return arrays.at(key); }
  /// The first of the arrays that is there.
  [[nodiscard]] const Ints& any(std::initializer_list<const char*> keys) const;
  [[nodiscard]] bool knows(const std::string& key) const { return numbers.contains(key); }
  [[nodiscard]] std::int64_t number(const std::string& key) const;
  [[nodiscard]] std::int64_t number(const std::string& key, std::int64_t fallback) const;
};

/// Throws std::runtime_error when the file cannot be read.
Case load_case(const std::filesystem::path& path);

/// Codes of int4 weights, two in a byte.
Ints unpacked(const Ints& packed, std::size_t count);
/// A parameter of integers under the scale 1.
nn::Parameter codes_parameter(const Shape& shape, const Ints& codes);
Ints plus(Ints values, std::int64_t offset);

inline std::int64_t least(bool wide) { return wide ? -32768 : -128; }
inline std::int64_t most(bool wide) { return wide ? 32767 : 127; }

/// A graph of integer layers all of whose scales are 1, so that real numbers are the codes.
class Bench {
 public:
  explicit Bench(const std::string& name) { graph_.file = graph_.name = name; }

  /// Codes from lo to hi.
  nn::TensorId input(const std::string& name, const Shape& shape, std::int64_t lo, std::int64_t hi);
  nn::Node make(const std::string& op, const std::string& name, std::vector<nn::TensorId> inputs);
  nn::TensorId place(nn::Node node);
  void finish(nn::TensorId y) { graph_.outputs = {{"y", y}}; }

  /// Results of the float run and of the exact graph, for codes of each input, all samples in a row. The network must
  /// be certified `exact`; throws std::runtime_error with what was said when it cannot be run.
  std::pair<Ints, Ints> run(const std::vector<Ints>& inputs, std::size_t samples);

 private:
  nn::Graph graph_;
};

/// Whether the case's results fit: both runs against the expected integers, which carry their zero point.
bool matches(Bench& bench, const std::vector<Ints>& inputs, std::size_t samples, const Ints& expected,
             std::int64_t zero_point);

/// Cases of several layers or of two tensors; nullopt when there is no runner for this kind.
std::optional<bool> run_network(const Case& c);

}  // namespace weft::golden
