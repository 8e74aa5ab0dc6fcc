// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "weft/support/files.h"

namespace weft::driver {
namespace {

namespace fs = std::filesystem;

/// The arrays in the order of the graph's inputs, shapes checked.
struct Matched {
  std::vector<support::Array> arrays;
  std::int64_t batch = 0;
};

Result<Matched> match(const nn::Graph& graph, std::map<std::string, support::Array> read, const std::string& file,
                      Context& ctx) {
  Matched out;
  for (const auto& port : graph.inputs) {
    auto it = read.find(port.name);
    // A model with one input takes the only array, or the one called x.
    if (it == read.end() && graph.inputs.size() == 1) it = read.size() == 1 ? read.begin() : read.find("x");
    if (it == read.end()) {
      std::string names;
      for (const auto& [name, array] : read) names += (names.empty() ? "`" : ", `") + name + "`";
      return ctx.fail(Kind::ShapeMismatch, {.file = file, .tensor = port.name},
                      fmt::format("no array for input `{}`; given: {}", port.name, names.empty() ? "none" : names));
    }
    support::Array array = std::move(it->second);
    if (std::holds_alternative<std::vector<std::string>>(array.data))
      return ctx.fail(Kind::ArrayMalformed, {.file = file, .tensor = port.name},
                      "the array holds texts, numbers are expected");
    // One sample may come without its batch axis where the model itself has none.
    if (array.shape == graph.at(port.tensor).shape) array.shape.insert(array.shape.begin(), 1);
    if (array.shape.empty())
      return ctx.fail(Kind::ShapeMismatch, {.file = file, .tensor = port.name},
                      "a single number has no batch axis; give one row per sample");
    const Shape& shape = graph.at(port.tensor).shape;
    const std::int64_t elements = element_count(shape);
    Shape with_batch = shape;
    with_batch.insert(with_batch.begin(), array.shape[0]);
    if (array.shape != with_batch) {
      const bool flat = array.shape.size() == 2 && array.shape[1] == elements;
      // Extra axes of extent 1 do not change the order of the elements.
      std::int64_t rest = 1;
      for (std::size_t i = 1; i < array.shape.size(); ++i) rest *= array.shape[i];
      Shape squeezed;
      Shape wanted;
      for (std::size_t i = 1; i < array.shape.size(); ++i)
        if (array.shape[i] != 1) squeezed.push_back(array.shape[i]);
      for (auto d : shape)
        if (d != 1) wanted.push_back(d);
      if (!flat && !(array.shape.size() > 1 && squeezed == wanted))
        return ctx.fail(Kind::ShapeMismatch, {.file = file, .tensor = port.name},
                        fmt::format("the array has shape {}, the input {} behind the batch",
                                    weft::to_string(array.shape), weft::to_string(shape)));
      ctx.report(
          Kind::Info, {.file = file, .tensor = port.name},
          fmt::format("rows of shape {} are read as {} in the same order",
                      weft::to_string(Shape(array.shape.begin() + 1, array.shape.end())), weft::to_string(shape)));
    }
    const std::int64_t batch = array.shape[0];
    if (!out.arrays.empty() && batch != out.batch)
      return ctx.fail(Kind::ShapeMismatch, {.file = file, .tensor = port.name},
                      fmt::format("the inputs have {} and {} rows", out.batch, batch));
    out.batch = batch;
    out.arrays.push_back(std::move(array));
  }
  return out;
}

bool feeds_trees(const nn::Graph& graph, nn::TensorId tensor) {
  const auto consumers = graph.consumers(tensor);
  return !consumers.empty() &&
         std::all_of(consumers.begin(), consumers.end(), [](const nn::Node* node) { return node->op == "Forest"; });
}

/// The number that stands for NaN in an input that only trees read, when they all name the same one.
std::optional<float> missing_of(const nn::Graph& graph, nn::TensorId tensor) {
  if (!feeds_trees(graph, tensor)) return std::nullopt;
  std::optional<float> out;
  for (const nn::Node* node : graph.consumers(tensor)) {
    if (!has(node->attributes, "missing")) return std::nullopt;
    const auto value = static_cast<float>(get_double(node->attributes, "missing", 0.0));
    if (out && *out != value) return std::nullopt;
    out = value;
  }
  return out;
}

}  // namespace

Result<InputRows> input_rows(const nn::Graph& graph, std::map<std::string, support::Array> arrays,
                             const std::string& file, Context& ctx) {
  WEFT_TRY(auto matched, match(graph, std::move(arrays), file, ctx));
  InputRows out;
  out.batch = matched.batch;
  for (std::size_t i = 0; i < matched.arrays.size(); ++i) {
    auto& array = matched.arrays[i];
    std::vector<float> row;
    if (auto* f = std::get_if<std::vector<float>>(&array.data))
      row = std::move(*f);
    else if (auto* d = std::get_if<std::vector<double>>(&array.data))
      row.assign(d->begin(), d->end());
    else if (auto* n = std::get_if<std::vector<std::int64_t>>(&array.data))
      row.assign(n->begin(), n->end());
    const auto columns =
        static_cast<std::size_t>(std::max<std::int64_t>(element_count(graph.at(graph.inputs[i].tensor).shape), 1));
    const auto missing = missing_of(graph, graph.inputs[i].tensor);
    for (std::size_t k = 0; k < row.size(); ++k) {
      if (std::isfinite(row[k])) continue;
      if (std::isnan(row[k]) && missing) {
        row[k] = *missing;
        continue;
      }
      return ctx.fail(Kind::DataNotFinite, {.file = file, .tensor = graph.inputs[i].name},
                      fmt::format("row {}, column {} is {}{}", k / columns, k % columns, row[k],
                                  std::isnan(row[k]) && feeds_trees(graph, graph.inputs[i].tensor)
                                      ? "; say which number means missing with --set LAYER.missing=NUMBER"
                                      : ""));
    }
    out.inputs.push_back(std::move(row));
  }
  return out;
}

Result<InputRows> read_input_rows(const nn::Graph& graph, const fs::path& path, Context& ctx) {
  WEFT_TRY(auto arrays, support::read_arrays(path, ctx));
  return input_rows(graph, std::move(arrays), path.string(), ctx);
}

Result<InputCodes> input_codes(const nn::Graph& graph, std::map<std::string, support::Array> arrays,
                               const std::string& file, Context& ctx) {
  WEFT_TRY(auto matched, match(graph, std::move(arrays), file, ctx));
  InputCodes out;
  out.batch = matched.batch;
  for (std::size_t i = 0; i < matched.arrays.size(); ++i) {
    auto* codes = std::get_if<std::vector<std::int64_t>>(&matched.arrays[i].data);
    if (codes == nullptr)
      return ctx.fail(Kind::ArrayMalformed, {.file = file, .tensor = graph.inputs[i].name},
                      "codes are integers; give an integer array");
    out.inputs.push_back(std::move(*codes));
  }
  return out;
}

Result<InputCodes> read_input_codes(const nn::Graph& graph, const fs::path& path, Context& ctx) {
  WEFT_TRY(auto arrays, support::read_arrays(path, ctx));
  return input_codes(graph, std::move(arrays), path.string(), ctx);
}

Result<std::vector<std::int64_t>> read_labels(const fs::path& path, Context& ctx) {
  WEFT_TRY(auto read, support::read_arrays(path, ctx));
  auto it = read.find("y");
  if (it == read.end()) it = read.begin();
  if (it == read.end() || (read.size() > 1 && it->first != "y"))
    return ctx.fail(Kind::ArrayMalformed, {.file = path.string()}, "expected one array of labels (or one named `y`)");
  const support::Array& array = it->second;
  std::vector<double> values;
  if (const auto* f = std::get_if<std::vector<float>>(&array.data))
    values.assign(f->begin(), f->end());
  else if (const auto* d = std::get_if<std::vector<double>>(&array.data))
    values = *d;
  else if (const auto* n = std::get_if<std::vector<std::int64_t>>(&array.data))
    values.assign(n->begin(), n->end());
  std::vector<std::int64_t> labels;
  const bool one_hot = array.shape.size() == 2 && array.shape[1] > 1;
  const std::size_t columns = one_hot ? static_cast<std::size_t>(array.shape[1]) : 1;
  for (std::size_t i = 0; i + columns <= values.size(); i += columns) {
    if (one_hot) {
      labels.push_back(std::max_element(values.begin() + static_cast<std::ptrdiff_t>(i),
                                        values.begin() + static_cast<std::ptrdiff_t>(i + columns)) -
                       (values.begin() + static_cast<std::ptrdiff_t>(i)));
    } else {
      if (values[i] != std::floor(values[i]) || std::fabs(values[i]) > 1e9)
        return ctx.fail(Kind::ArrayMalformed, {.file = path.string()},
                        fmt::format("label {} is {}, an integer is expected", i, values[i]));
      labels.push_back(static_cast<std::int64_t>(values[i]));
    }
  }
  return labels;
}

Result<void> write_arrays(const std::map<std::string, support::Array>& arrays, const fs::path& path, Context& ctx) {
  if (arrays.size() == 1 && path.extension() != ".npz")
    return support::write_file(path, support::format_npy(arrays.begin()->second), ctx);
  if (path.extension() == ".npy")
    return ctx.fail(Kind::UsageInvalid, {.file = path.string()},
                    "several arrays do not fit one .npy file; name it .npz");
  WEFT_TRY(const std::string bytes, support::format_npz(arrays, ctx));
  return support::write_file(path, bytes, ctx);
}

}  // namespace weft::driver
