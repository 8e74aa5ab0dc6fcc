// SPDX-License-Identifier: Apache-2.0
#include "bridge.h"
#include "weft/driver/convert.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "Bindings of the C++ library; use the package `weft`.";
  m.attr("version") = std::string(weft::driver::kVersion);
  pybind11::register_exception<weft::diag::InternalError>(m, "InternalError", PyExc_RuntimeError);
  weft::python::bind_results(m);
  weft::python::bind_options(m);
  weft::python::bind_session(m);
}
