// SPDX-License-Identifier: Apache-2.0
#include "bridge.h"

#include <fmt/format.h>
#include <pybind11/stl.h>

#include <cmath>
#include <utility>

namespace weft::python {

Call::Call(const CallOptions& options) : options_(options), context_{engine_} {
  context_.progress = this;
  context_.cancel = &cancel_;
  context_.threads = options.threads;
  context_.seed = options.seed;
}

void Call::update(std::string_view stage, std::uint64_t done, std::uint64_t total) {
  py::gil_scoped_acquire locked;
  if (raised_) return;
  try {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (options_.progress) (*options_.progress)(std::string(stage), done, total);
  } catch (py::error_already_set& error) {
    // Not thrown through the library: it stops at its next look at the flag.
    raised_ = std::move(error);
    cancel_ = true;
  }
}

void Call::finish(bool good) {
  if (raised_) throw py::error_already_set(std::move(*raised_));
  const py::module_ package = py::module_::import("weft");
  const auto diagnostics = engine_.all();
  if (good) {
    for (const auto& d : diagnostics)
      if (d.severity == diag::Severity::Warning)
        if (PyErr_WarnEx(package.attr("WeftWarning").ptr(), diag::to_text(d).c_str(), 3) != 0)
          throw py::error_already_set();
    return;
  }
  std::string text;
  for (const auto& d : diagnostics)
    if (d.severity == diag::Severity::Error) text += (text.empty() ? "" : "\n") + diag::to_text(d);
  const py::object type = package.attr("CompileError");
  const py::object error = type(text, py::cast(diagnostics));
  PyErr_SetObject(type.ptr(), error.ptr());
  throw py::error_already_set();
}

py::object to_python(const support::Json& json) {
  switch (json.type()) {
    case support::Json::value_t::object: {
      py::dict out;
      for (const auto& [key, value] : json.items()) out[py::str(key)] = to_python(value);
      return out;
    }
    case support::Json::value_t::array: {
      py::list out;
      for (const auto& value : json) out.append(to_python(value));
      return out;
    }
    case support::Json::value_t::string:
      return py::str(json.get<std::string>());
    case support::Json::value_t::boolean:
      return py::bool_(json.get<bool>());
    case support::Json::value_t::number_integer:
      return py::int_(json.get<std::int64_t>());
    case support::Json::value_t::number_unsigned:
      return py::int_(json.get<std::uint64_t>());
    case support::Json::value_t::number_float:
      return py::float_(json.get<double>());
    default:
      return py::none();
  }
}

namespace {

template <class T, class Rows>
void fill(const std::vector<py::array_t<T, py::array::c_style | py::array::forcecast>>& inputs, const nn::Graph& graph,
          Rows& rows) {
  if (inputs.size() != graph.inputs.size())
    throw py::value_error(fmt::format("{} arrays for {} inputs", inputs.size(), graph.inputs.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& array = inputs[i];
    if (array.ndim() == 0) throw py::value_error("an array needs a batch axis");
    const std::int64_t batch = array.shape(0);
    if (i > 0 && batch != rows.batch) throw py::value_error("the inputs have different numbers of rows");
    if (array.size() != batch * element_count(graph.at(graph.inputs[i].tensor).shape))
      throw py::value_error(fmt::format("input `{}`: the array does not have the input's size", graph.inputs[i].name));
    rows.batch = batch;
    rows.inputs.emplace_back(array.data(), array.data() + array.size());
  }
}

}  // namespace

driver::InputRows to_rows(const std::vector<py::array_t<float, py::array::c_style | py::array::forcecast>>& inputs,
                          const nn::Graph& graph) {
  driver::InputRows rows;
  fill<float>(inputs, graph, rows);
  for (const auto& row : rows.inputs)
    for (const float value : row)
      if (!std::isfinite(value)) throw py::value_error("the data holds NaN or infinity");
  return rows;
}

driver::InputCodes to_codes(
    const std::vector<py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>>& inputs,
    const nn::Graph& graph) {
  driver::InputCodes rows;
  fill<std::int64_t>(inputs, graph, rows);
  return rows;
}

py::object to_array(const support::Array& array) {
  return std::visit(
      [&](const auto& values) -> py::object {
        using T = typename std::decay_t<decltype(values)>::value_type;
        if constexpr (std::is_same_v<T, std::string>) {
          return py::cast(values);
        } else {
          return to_array<T>(values, array.shape);
        }
      },
      array.data);
}

}  // namespace weft::python
