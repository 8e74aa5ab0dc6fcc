// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include "bridge.h"
#include "weft/driver/run.h"
#include "weft/driver/synthesize.h"
#include "weft/driver/verify.h"

namespace weft::python {

void bind_results(py::module_& m) {
  using diag::Diagnostic;
  py::class_<diag::Origin>(m, "Origin", "Where in the model a diagnostic belongs; empty parts are unknown.")
      .def_readonly("file", &diag::Origin::file)
      .def_readonly("node", &diag::Origin::node)
      .def_readonly("op", &diag::Origin::op)
      .def_readonly("tensor", &diag::Origin::tensor);
  py::class_<Diagnostic>(m, "Diagnostic", "One message of the compiler.")
      .def_property_readonly(
          "severity", [](const Diagnostic& d) { return std::string(diag::to_string(d.severity)); },
          "\"error\", \"warning\" or \"note\".")
      .def_property_readonly(
          "kind", [](const Diagnostic& d) { return std::string(diag::info(d.kind).slug); },
          "The word that `weft explain` explains.")
      .def_readonly("message", &Diagnostic::message)
      .def_readonly("origin", &Diagnostic::origin)
      .def_readonly("notes", &Diagnostic::notes)
      .def("__str__", [](const Diagnostic& d) { return diag::to_text(d); })
      .def("__repr__", [](const Diagnostic& d) { return "<weft.Diagnostic " + diag::to_text(d) + ">"; });

  using driver::VerifyResult;
  py::class_<VerifyResult>(m, "VerifyResult", "Simulation against the emulator.")
      .def_readonly("samples", &VerifyResult::samples, "Vectors that were simulated.")
      .def_readonly("mismatches", &VerifyResult::mismatches, "Vectors with a wrong output.")
      .def_readonly("latency_cycles", &VerifyResult::latency_cycles, "As simulated.")
      .def_readonly("interval_cycles", &VerifyResult::interval_cycles, "As simulated.")
      .def_readonly("predicted_latency_cycles", &VerifyResult::predicted_latency_cycles, "As planned.")
      .def_readonly("predicted_interval_cycles", &VerifyResult::predicted_interval_cycles, "As planned.")
      .def_readonly("simulator", &VerifyResult::simulator)
      .def_readonly("seconds", &VerifyResult::seconds)
      .def_property_readonly(
          "ok",
          [](const VerifyResult& r) {
            return r.mismatches == 0 && r.latency_cycles == r.predicted_latency_cycles &&
                   r.interval_cycles == r.predicted_interval_cycles;
          },
          "No mismatch, and latency and interval as predicted.")
      .def("__repr__", [](const VerifyResult& r) {
        return "<weft.VerifyResult samples=" + std::to_string(r.samples) +
               " mismatches=" + std::to_string(r.mismatches) + " latency_cycles=" + std::to_string(r.latency_cycles) +
               ">";
      });

  using driver::SynthesisReport;
  py::class_<SynthesisReport>(m, "SynthesisReport", "What the synthesized design takes.")
      .def_property_readonly("lut", [](const SynthesisReport& r) { return r.usage.lut; })
      .def_property_readonly("lut_by_size", [](const SynthesisReport& r) { return r.usage.lut_by_size; })
      .def_property_readonly("ff", [](const SynthesisReport& r) { return r.usage.ff; })
      .def_property_readonly("carry", [](const SynthesisReport& r) { return r.usage.carry; })
      .def_property_readonly("srl", [](const SynthesisReport& r) { return r.usage.srl; })
      .def_property_readonly("lutram", [](const SynthesisReport& r) { return r.usage.lutram; })
      .def_property_readonly("dsp", [](const SynthesisReport& r) { return r.usage.dsp; })
      .def_property_readonly("bram18", [](const SynthesisReport& r) { return r.usage.bram18; })
      .def_property_readonly("uram", [](const SynthesisReport& r) { return r.usage.uram; })
      .def_property_readonly("gates", [](const SynthesisReport& r) { return r.usage.gates; })
      .def_readonly("area_um2", &SynthesisReport::area_um2)
      .def_readonly("critical_path_ps", &SynthesisReport::critical_path_ps)
      .def_readonly("seconds", &SynthesisReport::seconds)
      .def_property_readonly(
          "modules",
          [](const SynthesisReport& r) {
            py::dict out;
            for (const auto& module : r.modules) out[py::str(module.name)] = module.usage.lut;
            return out;
          },
          "LUTs of one instance by module.")
      .def("__repr__", [](const SynthesisReport& r) {
        return "<weft.SynthesisReport lut=" + std::to_string(r.usage.lut) + " ff=" + std::to_string(r.usage.ff) +
               " dsp=" + std::to_string(r.usage.dsp) + ">";
      });

  using driver::Comparison;
  py::class_<Comparison::Layer>(m, "LayerComparison", "One layer of a comparison.")
      .def_readonly("name", &Comparison::Layer::name)
      .def_readonly("max_abs", &Comparison::Layer::max_abs)
      .def_readonly("mean_abs", &Comparison::Layer::mean_abs)
      .def_readonly("saturations", &Comparison::Layer::saturations)
      .def_readonly("first_sample", &Comparison::Layer::first_sample, "First sample that differs, -1 when none does.")
      .def_readonly("first_element", &Comparison::Layer::first_element)
      .def_readonly("unused_bits", &Comparison::Layer::unused_bits)
      .def_readonly("type", &Comparison::Layer::type)
      .def_readonly("folded_into", &Comparison::Layer::folded_into);
  py::class_<Comparison>(m, "Comparison", "The float model against the exact one.")
      .def_readonly("layers", &Comparison::layers)
      .def_readonly("samples", &Comparison::samples)
      .def_readonly("input_saturations", &Comparison::input_saturations)
      .def_readonly("input_max_abs", &Comparison::input_max_abs, "Largest error of input quantization.")
      .def_readonly("argmax_agreement", &Comparison::argmax_agreement)
      .def_readonly("accuracy_float", &Comparison::accuracy_float)
      .def_readonly("accuracy_exact", &Comparison::accuracy_exact)
      .def_readonly("auc_float", &Comparison::auc_float)
      .def_readonly("auc_exact", &Comparison::auc_exact);
}

}  // namespace weft::python
