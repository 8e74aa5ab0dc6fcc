// SPDX-License-Identifier: Apache-2.0
#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "bridge.h"
#include "weft/driver/convert.h"
#include "weft/driver/synthesize.h"
#include "weft/driver/verify.h"

namespace weft::python {

void bind_options(py::module_& m) {
  py::class_<CallOptions>(m, "CallOptions", "Threads, seed and progress of one call.")
      .def(py::init<>())
      .def_readwrite("threads", &CallOptions::threads, "Threads to use.")
      .def_readwrite("seed", &CallOptions::seed, "Seed of everything random.")
      .def_readwrite("progress", &CallOptions::progress, "Called with (stage, done, total), or None.");

  using driver::LoweringOptions;
  py::class_<LoweringOptions>(m, "LoweringOptions", "How a model becomes integers; the options of `weft convert`.")
      .def(py::init<>())
      .def_readwrite("weights", &LoweringOptions::weights, "Weights (.h5) of a Keras architecture (.json).")
      .def_readwrite("layers", &LoweringOptions::layers, "Recipes (YAML) of layer classes of your own in a Keras file.")
      .def_readwrite("config", &LoweringOptions::config, "Configuration file (YAML).")
      .def_readwrite("settings", &LoweringOptions::settings, "Single settings, layer.key=value.")
      .def_readwrite("calibrate", &LoweringOptions::calibrate, "Data file that gives float layers their ranges.")
      .def_readwrite("compat", &LoweringOptions::compat, "\"hls4ml\": its integers instead of Weft's.")
      .def_readwrite("default_type", &LoweringOptions::default_type, "Type where nothing else is known.")
      .def_readwrite("input_types", &LoweringOptions::input_types, "Types of inputs: T or name=T.");

  using driver::ConvertOptions;
  py::class_<ConvertOptions>(m, "ConvertOptions", "What to write; the options of `weft convert`.")
      .def(py::init<>())
      .def_readwrite("lowering", &ConvertOptions::lowering)
      .def_readwrite("io", &ConvertOptions::io, "\"parallel\".")
      .def_readwrite("target", &ConvertOptions::target, "\"verilog\", \"vhdl\" or \"vitis\".")
      .def_readwrite("part", &ConvertOptions::part, "Part number, see `weft targets`.")
      .def_readwrite("clock_ns", &ConvertOptions::clock_ns, "Clock period in ns.")
      .def_readwrite("clock_uncertainty_percent", &ConvertOptions::clock_uncertainty_percent,
                     "Percent of the period that is kept free.")
      .def_readwrite("max_latency_cycles", &ConvertOptions::max_latency_cycles, "Upper bound of the latency.")
      .def_readwrite("reuse_factor", &ConvertOptions::reuse_factor,
                     "Cycles from one event to the next; None: the configuration's.")
      .def_readwrite("top", &ConvertOptions::top, "Name of the top module.")
      .def_readwrite("prefix", &ConvertOptions::prefix, "Put in front of every module name.")
      .def_readwrite("primitives", &ConvertOptions::primitives, "\"portable\" or \"xilinx\".")
      .def_readwrite("effort", &ConvertOptions::effort, "Search for adder graphs: \"fast\", \"normal\" or \"high\".")
      .def_readwrite("register_inputs", &ConvertOptions::register_inputs, "Registers at the inputs.")
      .def_readwrite("register_outputs", &ConvertOptions::register_outputs, "Registers at the outputs.")
      .def_readwrite("clock_enable", &ConvertOptions::clock_enable, "A port `ce` that holds the pipeline.")
      .def_readwrite("valid", &ConvertOptions::valid, "Ports in_valid and out_valid.")
      .def_readwrite("command", &ConvertOptions::command, "Written to weft.json.");

  using driver::VerifyOptions;
  py::class_<VerifyOptions>(m, "VerifyOptions", "How to simulate; the options of `weft verify`.")
      .def(py::init<>())
      .def_readwrite("data", &VerifyOptions::data, "Data file whose rows become vectors.")
      .def_readwrite("samples", &VerifyOptions::samples, "Number of vectors.")
      .def_readwrite("simulator", &VerifyOptions::simulator,
                     "\"verilator\", \"iverilog\", \"ghdl\" or \"csim\"; empty: the first that runs the project.")
      .def_readwrite("timeout_seconds", &VerifyOptions::timeout_seconds, "Limit of the simulation.")
      .def_readwrite("ap_types", &VerifyOptions::ap_types, "Folder of the open ap_types headers, for csim.");

  using driver::SynthesisRequest;
  py::class_<SynthesisRequest>(m, "SynthesisRequest", "How to synthesize; the options of `weft synth`.")
      .def(py::init<>())
      .def_readwrite("project", &SynthesisRequest::project, "Folder that convert wrote.")
      .def_readwrite("top", &SynthesisRequest::top, "Name of the top module.")
      .def_readwrite("family", &SynthesisRequest::family, "\"xcup\", \"xc7\", \"ecp5\", \"ice40\" or \"gates\".")
      .def_readwrite("liberty", &SynthesisRequest::liberty, "Cell library for \"gates\".")
      .def_readwrite("per_module", &SynthesisRequest::per_module, "One run per module.")
      .def_readwrite("threads", &SynthesisRequest::threads, "Runs side by side.")
      .def_readwrite("use_dsp", &SynthesisRequest::use_dsp, "Allow DSP blocks.")
      .def_readwrite("cache", &SynthesisRequest::cache, "Folder of earlier results; empty for none.")
      .def_readwrite("timeout_seconds", &SynthesisRequest::timeout_seconds, "Limit of each run, 0 for none.");
}

}  // namespace weft::python
