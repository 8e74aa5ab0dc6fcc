// SPDX-License-Identifier: Apache-2.0
#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>

#include "bridge.h"
#include "weft/driver/convert.h"
#include "weft/driver/inspect.h"
#include "weft/driver/run.h"
#include "weft/driver/synthesize.h"
#include "weft/driver/verify.h"

namespace weft::python {

namespace {

namespace fs = std::filesystem;
using driver::Session;

std::vector<std::int64_t> with_batch(std::int64_t batch, const Shape& shape) {
  std::vector<std::int64_t> out{batch};
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

py::dict ports(const nn::Graph& graph, const std::vector<nn::GraphPort>& list) {
  py::dict out;
  for (const auto& port : list) out[py::str(port.name)] = py::tuple(py::cast(graph.at(port.tensor).shape));
  return out;
}

py::dict prediction(const driver::Prediction& p) {
  py::dict outputs;
  for (const auto& out : p.outputs) {
    const auto shape = with_batch(p.samples, out.shape);
    outputs[py::str(out.name)] = out.values.empty() && !out.codes.empty() ? py::object(to_array(out.codes, shape))
                                                                          : py::object(to_array(out.values, shape));
  }
  return outputs;
}

}  // namespace

void bind_session(py::module_& m) {
  py::class_<Session>(m, "Session", "A model with its exact graph.")
      .def_property_readonly("name", [](const Session& s) { return s.model.graph.name; })
      .def_property_readonly("format", [](const Session& s) { return s.model.format; })
      .def_property_readonly(
          "inputs", [](const Session& s) { return ports(s.model.graph, s.model.graph.inputs); },
          "Shapes without batch, by name.")
      .def_property_readonly(
          "outputs", [](const Session& s) { return ports(s.model.graph, s.model.graph.outputs); },
          "Shapes without batch, by name.")
      .def_property_readonly("certificate", [](const Session& s) { return to_python(driver::certificate_json(s)); })
      .def_property_readonly("layers", [](const Session& s) { return to_python(driver::layers_json(s)); })
      .def_property_readonly(
          "exact_text", [](const Session& s) { return exact::to_text(s.exact); }, "The exact graph in its text form.")
      .def_property_readonly("project",
                             [](const Session& s) { return s.project ? to_python(*s.project) : py::none(); });

  m.def("is_project", &driver::is_project, py::arg("path"), "Whether the folder was written by convert.");
  m.def(
      "open_session",
      [](const fs::path& path, const driver::LoweringOptions& lowering, const CallOptions& options) {
        return Call(options).run([&](Context& ctx) { return driver::open_session(path, lowering, ctx); });
      },
      py::arg("path"), py::arg("lowering"), py::arg("options"), "Opens a model file or a folder that convert wrote.");
  m.def(
      "inspect",
      [](const fs::path& path, const driver::LoweringOptions& lowering, const CallOptions& options) {
        return to_python(Call(options).run([&](Context& ctx) { return driver::inspect(path, lowering, ctx); }));
      },
      py::arg("path"), py::arg("lowering"), py::arg("options"), "The JSON of `weft inspect`.");
  m.def(
      "configuration",
      [](const fs::path& path, const driver::LoweringOptions& lowering, const CallOptions& options) {
        return to_python(Call(options).run([&](Context& ctx) { return driver::configuration(path, lowering, ctx); }));
      },
      py::arg("path"), py::arg("lowering"), py::arg("options"), "The configuration with the values in force.");
  m.def(
      "convert",
      [](const fs::path& path, const fs::path& directory, const driver::ConvertOptions& convert,
         const CallOptions& options) {
        return to_python(
            Call(options).run([&](Context& ctx) { return driver::convert(path, directory, convert, ctx); }));
      },
      py::arg("path"), py::arg("directory"), py::arg("convert"), py::arg("options"),
      "Writes the project folder; returns the content of weft.json.");
  m.def(
      "predict",
      [](const Session& session, const py::dict& inputs, bool use_float, const CallOptions& options) {
        auto arrays = to_arrays(inputs);
        return prediction(Call(options).run([&](Context& ctx) -> Result<driver::Prediction> {
          WEFT_TRY(const auto rows, driver::input_rows(session.model.graph, std::move(arrays), "", ctx));
          return use_float ? driver::predict_float(session.model.graph, rows, false, ctx)
                           : driver::predict(session, rows, false, ctx);
        }));
      },
      py::arg("session"), py::arg("inputs"), py::arg("use_float"), py::arg("options"), "Outputs by name.");
  m.def(
      "predict_codes",
      [](const Session& session, const py::dict& inputs, const CallOptions& options) {
        auto arrays = to_arrays(inputs);
        const auto p = Call(options).run([&](Context& ctx) -> Result<driver::Prediction> {
          WEFT_TRY(const auto rows, driver::input_codes(session.model.graph, std::move(arrays), "", ctx));
          return driver::predict_codes(session, rows, ctx);
        });
        py::dict outputs;
        for (const auto& out : p.outputs)
          outputs[py::str(out.name)] = to_array(out.codes, with_batch(p.samples, out.shape));
        return outputs;
      },
      py::arg("session"), py::arg("inputs"), py::arg("options"), "Codes of the outputs by name, from codes.");
  m.def(
      "trace",
      [](const Session& session, const py::dict& inputs, bool use_float, const CallOptions& options) {
        auto arrays = to_arrays(inputs);
        const auto p = Call(options).run([&](Context& ctx) -> Result<driver::Prediction> {
          WEFT_TRY(const auto rows, driver::input_rows(session.model.graph, std::move(arrays), "", ctx));
          return use_float ? driver::predict_float(session.model.graph, rows, true, ctx)
                           : driver::predict(session, rows, true, ctx);
        });
        py::dict layers;
        for (const auto& [name, array] : p.trace) layers[py::str(name)] = to_array(array);
        return layers;
      },
      py::arg("session"), py::arg("inputs"), py::arg("use_float"), py::arg("options"), "Every layer's output by name.");
  m.def(
      "compare",
      [](const Session& session, const py::dict& inputs, const std::optional<std::vector<std::int64_t>>& labels,
         const CallOptions& options) {
        auto arrays = to_arrays(inputs);
        return Call(options).run([&](Context& ctx) -> Result<driver::Comparison> {
          WEFT_TRY(const auto rows, driver::input_rows(session.model.graph, std::move(arrays), "", ctx));
          return driver::compare(session, rows, labels, ctx);
        });
      },
      py::arg("session"), py::arg("inputs"), py::arg("labels"), py::arg("options"),
      "The float model against the exact one.");
  m.def(
      "verify",
      [](const fs::path& project, const driver::VerifyOptions& verify, const CallOptions& options) {
        return Call(options).run([&](Context& ctx) { return driver::verify(project, verify, ctx); });
      },
      py::arg("project"), py::arg("verify"), py::arg("options"), "Simulates what convert wrote.");
  m.def(
      "synthesize",
      [](const driver::SynthesisRequest& request, const CallOptions& options) {
        return Call(options).run([&](Context& ctx) { return driver::synthesize(request, ctx); });
      },
      py::arg("request"), py::arg("options"), "Synthesizes what convert wrote.");
}

}  // namespace weft::python
