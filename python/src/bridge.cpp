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

std::map<std::string, support::Array> to_arrays(const py::dict& inputs) {
  std::map<std::string, support::Array> out;
  for (const auto& [name, value] : inputs) {
    const auto array = py::array::ensure(value);
    if (!array) throw py::error_already_set();
    auto& to = out[py::cast<std::string>(name)];
    to.shape.assign(array.shape(), array.shape() + array.ndim());
    const auto copy = [&]<class T>(T) {
      const py::array_t<T, py::array::c_style | py::array::forcecast> typed(array);
      to.data = std::vector<T>(typed.data(), typed.data() + typed.size());
    };
    switch (array.dtype().kind()) {
      case 'b':
      case 'i':
      case 'u':
        copy(std::int64_t{});
        break;
      case 'f':
        if (array.itemsize() <= 4)
          copy(float{});
        else
          copy(double{});
        break;
      default:
        throw py::type_error(fmt::format("input `{}`: an array of numbers is expected", py::cast<std::string>(name)));
    }
  }
  return out;
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
