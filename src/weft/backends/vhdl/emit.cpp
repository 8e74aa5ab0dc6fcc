// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/vhdl/emit.h"

#include <fmt/format.h>

#include "weft/backends/vhdl/port_types.h"
#include "weft/backends/vhdl/testbench.h"
#include "weft/hw/circuit.h"
#include "weft/hw/interface.h"
#include "weft/netlist/print_vhdl.h"

namespace weft::backends::vhdl {

Result<Emission> emit(const hw::Design& design, Context& ctx) {
  WEFT_TRY(const auto trees, hw::design_trees(design, ctx));
  const PortTypes types = port_types(design, design.top + "_types");

  Emission out;
  const auto add = [&](const std::string& name, std::string text) {
    out.order.push_back(fmt::format("rtl/{}.vhd", name));
    out.files[out.order.back()] = std::move(text);
  };
  add(types.package, types.text);
  for (const auto& tree : trees) {
    const bool is_top = tree.name() == design.top;
    add(tree.name(), netlist::print_vhdl(tree, {.port_types = is_top ? types.by_port : decltype(types.by_port){}}));
  }
  out.files[fmt::format("tb/{}_tb.vhd", design.top)] = print_testbench(design);
  out.files["interface.json"] = hw::print_interface(design);
  return out;
}

}  // namespace weft::backends::vhdl
