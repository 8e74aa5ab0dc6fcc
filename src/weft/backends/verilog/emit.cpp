// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/verilog/emit.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/backends/verilog/testbench.h"
#include "weft/backends/verilog/xilinx_cells.h"
#include "weft/hw/circuit.h"
#include "weft/hw/interface.h"
#include "weft/netlist/print_verilog.h"

namespace weft::backends::verilog {

namespace {

bool has_ternary_adders(const hw::Design& design) {
  const auto& cells = design.netlist.cells;
  return design.options.primitives == hw::Primitives::Xilinx &&
         std::any_of(cells.begin(), cells.end(),
                     [](const auto& cell) { return cell.op == netlist::Op::Sum && cell.terms.size() == 3; });
}

}  // namespace

Result<support::FileSet> emit(const hw::Design& design, const EmitOptions& options, Context& ctx) {
  WEFT_TRY(const auto trees, hw::design_trees(design, ctx));
  support::FileSet files;
  for (const auto& tree : trees) files[fmt::format("rtl/{}.v", tree.name())] = netlist::print_verilog(tree);
  const bool adders = has_ternary_adders(design);
  const bool pairs = std::find(design.paired.begin(), design.paired.end(), true) != design.paired.end();
  if (adders) files[fmt::format("rtl/{}.v", hw::ternary_adder_name(design))] = print_ternary_adder(design);
  if ((adders || pairs) && options.testbench) files["tb/weft_cells.v"] = print_cell_models();
  if (options.testbench) files[fmt::format("tb/{}_tb.v", design.top)] = print_testbench(design);
  files["interface.json"] = hw::print_interface(design);
  return files;
}

namespace {

/// One line per sample: the packed vector, most significant digit first.
Result<std::string> hex_lines(const hw::PortPlan& port, const Codes& codes, Context& ctx) {
  const auto elements = static_cast<std::size_t>(port.elements);
  if (elements == 0 || codes.size() % elements != 0) {
    return ctx.fail(
        Kind::ShapeMismatch, {.tensor = port.name},
        fmt::format("port `{}` takes {} codes per sample, {} were given", port.name, elements, codes.size()));
  }
  const int w = port.element_width_bits;
  const Int lo = port.is_signed ? -(Int{1} << (w - 1)) : 0;
  const Int hi = (Int{1} << (w - (port.is_signed ? 1 : 0))) - 1;
  const auto digits = static_cast<std::size_t>((port.width_bits() + 3) / 4);
  std::string text;
  text.reserve(codes.size() / elements * (digits + 1));
  std::vector<std::uint8_t> nibbles(digits);
  for (std::size_t sample = 0; sample < codes.size() / elements; ++sample) {
    nibbles.assign(digits, 0);
    for (std::size_t e = 0; e < elements; ++e) {
      const Int code = codes[sample * elements + e];
      if (code < lo || code > hi) {
        return ctx.fail(Kind::ShapeMismatch, {.tensor = port.name},
                        fmt::format("code {} of element {} in sample {} does not fit the {} bits of port `{}`",
                                    fixed::to_string(code), e, sample, w, port.name));
      }
      for (int b = 0; b < w; ++b) {
        const std::size_t bit = e * static_cast<std::size_t>(w) + static_cast<std::size_t>(b);
        nibbles[bit / 4] |= static_cast<std::uint8_t>((code >> b & 1) << (bit % 4));
      }
    }
    for (std::size_t i = digits; i-- > 0;) text += "0123456789abcdef"[nibbles[i]];
    text += '\n';
  }
  return text;
}

}  // namespace

Result<support::FileSet> test_vectors(const hw::Design& design, const std::vector<Codes>& inputs,
                                      const std::vector<Codes>& outputs, Context& ctx) {
  WEFT_CHECK(inputs.size() == design.inputs.size() && outputs.size() == design.outputs.size(),
             "test vectors come for every port");
  support::FileSet files;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    WEFT_TRY(files[fmt::format("tb/{}.hex", design.inputs[i].name)], hex_lines(design.inputs[i], inputs[i], ctx));
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    WEFT_TRY(files[fmt::format("tb/{}.hex", design.outputs[i].name)], hex_lines(design.outputs[i], outputs[i], ctx));
  }
  return files;
}

}  // namespace weft::backends::verilog
