// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/vhdl/port_types.h"

#include <fmt/format.h>

#include "weft/netlist/hdl_tree.h"
#include "weft/netlist/print_vhdl.h"

namespace weft::backends::vhdl {

namespace {

struct Names {
  std::string port_type;
  std::string element;
  std::string elements;
};

std::string declarations(const hw::PortPlan& port, const Names& names) {
  const std::int64_t width = port.width_bits();
  return fmt::format(
      "\n"
      "  -- {}: {} elements of {} bits, {}, element 0 in the low bits.\n"
      "  subtype {} is {};\n"
      "  subtype {} is {}({} downto 0);\n"
      "  type {} is array (0 to {}) of {};\n"
      "  function pack(x : {}) return {};\n"
      "  function unpack(x : {}) return {};\n",
      port.name, port.elements, port.element_width_bits, port.is_signed ? "signed" : "unsigned", names.port_type,
      width == 1 ? std::string("std_logic") : fmt::format("std_logic_vector({} downto 0)", width - 1), names.element,
      port.is_signed ? "signed" : "unsigned", port.element_width_bits - 1, names.elements, port.elements - 1,
      names.element, names.elements, names.port_type, names.port_type, names.elements);
}

std::string bodies(const hw::PortPlan& port, const Names& names) {
  const std::string number = port.is_signed ? "signed" : "unsigned";
  if (port.width_bits() == 1) {
    return fmt::format(
        "\n"
        "  function pack(x : {0}) return {1} is\n"
        "  begin\n"
        "    return x(0)(0);\n"
        "  end function;\n"
        "\n"
        "  function unpack(x : {1}) return {0} is\n"
        "    variable y : {0};\n"
        "  begin\n"
        "    y(0)(0) := x;\n"
        "    return y;\n"
        "  end function;\n",
        names.elements, names.port_type);
  }
  return fmt::format(
      "\n"
      "  function pack(x : {0}) return {1} is\n"
      "    variable y : {1};\n"
      "  begin\n"
      "    for i in x'range loop\n"
      "      y({2} * i + {3} downto {2} * i) := std_logic_vector(x(i));\n"
      "    end loop;\n"
      "    return y;\n"
      "  end function;\n"
      "\n"
      "  function unpack(x : {1}) return {0} is\n"
      "    variable y : {0};\n"
      "  begin\n"
      "    for i in y'range loop\n"
      "      y(i) := {4}(x({2} * i + {3} downto {2} * i));\n"
      "    end loop;\n"
      "    return y;\n"
      "  end function;\n",
      names.elements, names.port_type, port.element_width_bits, port.element_width_bits - 1, number);
}

}  // namespace

PortTypes port_types(const hw::Design& design, const std::string& package) {
  PortTypes out;
  out.package = package;
  const std::string name = netlist::vhdl_identifier(package);
  netlist::NameScope scope;
  for (const char* taken : {"LATENCY_CYCLES", "INTERVAL_CYCLES", "pack", "unpack"}) scope.unique(taken);
  std::string body;
  out.text = fmt::format(
      "-- {0}: the types of the ports of {1}, and functions between a port and its elements.\n"
      "library ieee;\n"
      "use ieee.std_logic_1164.all;\n"
      "use ieee.numeric_std.all;\n"
      "\n"
      "package {2} is\n"
      "\n"
      "  constant LATENCY_CYCLES : natural := {3};\n"
      "  constant INTERVAL_CYCLES : positive := {4};\n",
      package, design.top, name, design.latency_cycles, design.interval_cycles);
  for (const auto* ports : {&design.inputs, &design.outputs}) {
    for (const hw::PortPlan& port : *ports) {
      const auto type = [&](const char* ending) { return netlist::vhdl_identifier(scope.unique(port.name + ending)); };
      const Names names{type("_t"), type("_element_t"), type("_elements_t")};
      out.by_port[port.name] = fmt::format("work.{}.{}", name, names.port_type);
      out.text += declarations(port, names);
      body += bodies(port, names);
    }
  }
  out.text += fmt::format("\nend package {0};\n\npackage body {0} is\n{1}\nend package body {0};\n", name, body);
  return out;
}

}  // namespace weft::backends::vhdl
