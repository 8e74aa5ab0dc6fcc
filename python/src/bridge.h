// SPDX-License-Identifier: Apache-2.0
/// @file
/// Between Python and the driver: contexts, failures, JSON and arrays. No logic of networks.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "weft/driver/arrays.h"
#include "weft/support/context.h"
#include "weft/support/json.h"

namespace weft::python {

namespace py = pybind11;

/// What every long call may be told.
struct CallOptions {
  int threads = 1;
  std::uint64_t seed = 1;
  /// Called with (stage, done, total).
  std::optional<std::function<void(const std::string&, std::uint64_t, std::uint64_t)>> progress;
};

/// One call into the library: a Context whose progress looks for Ctrl-C, without the interpreter lock.
class Call : public Progress {
 public:
  explicit Call(const CallOptions& options);
  void update(std::string_view stage, std::uint64_t done, std::uint64_t total) override;

  /// Runs `work(context)` with the lock released. A failure raises CompileError with the diagnostics, an interrupt
  /// raises what the signal handler raised; warnings become Python warnings.
  template <class Work>
  auto run(Work work) {
    auto result = [&] {
      py::gil_scoped_release unlocked;
      return work(context_);
    }();
    finish(result.ok());
    if constexpr (!std::is_same_v<decltype(result), Result<void>>) return std::move(result).value();
  }

 private:
  void finish(bool good);

  diag::Engine engine_;
  std::atomic<bool> cancel_{false};
  CallOptions options_;
  Context context_;
  std::optional<py::error_already_set> raised_;
};

/// dict, list, str, int, float, bool, None.
py::object to_python(const support::Json& json);

/// Arrays by name: integers as int64, floats as they are. TypeError for anything else.
std::map<std::string, support::Array> to_arrays(const py::dict& inputs);

/// A new numpy array of `shape` with a copy of `values`.
template <class T>
py::array_t<T> to_array(const std::vector<T>& values, const std::vector<std::int64_t>& shape) {
  py::array_t<T> out(std::vector<py::ssize_t>(shape.begin(), shape.end()));
  if (static_cast<std::size_t>(out.size()) != values.size()) throw py::value_error("shape and size do not fit");
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}
py::object to_array(const support::Array& array);

void bind_options(py::module_& m);
void bind_results(py::module_& m);
void bind_session(py::module_& m);

}  // namespace weft::python
