// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/hls/emit.h"

#include <fmt/format.h>

#include "weft/backends/hls/statements.h"
#include "weft/support/json.h"

namespace weft::backends::hls {
namespace {

using support::Json;

std::string signature(const hw::Design& design) {
  std::string ports;
  for (const auto& input : design.graph.inputs) {
    const auto& v = design.graph.at(input.value);
    ports += fmt::format("{}const {} {}[{}]", ports.empty() ? "" : ", ", to_string(type_of(v)), identifier(v),
                         v.ranges.size());
  }
  for (std::size_t o = 0; o < design.graph.outputs.size(); ++o) {
    const auto& v = design.graph.at(design.graph.outputs[o].value);
    ports += fmt::format(", {} out_{}[{}]", to_string(type_of(v)), o, v.ranges.size());
  }
  return fmt::format("void {}({})", design.top, ports);
}

std::string header_comment(const hw::Design& design) {
  std::string out = fmt::format(
      "// {}: written by weft; the same integers as its emulator.\n// value = scale * code; scales stand in "
      "interface.json.\n",
      design.top);
  for (const auto& input : design.graph.inputs)
    out += fmt::format("// input  {}: {} codes of {}\n", input.name, design.graph.at(input.value).ranges.size(),
                       to_string(type_of(design.graph.at(input.value))));
  for (std::size_t o = 0; o < design.graph.outputs.size(); ++o) {
    const auto& v = design.graph.at(design.graph.outputs[o].value);
    out += fmt::format("// output {} (out_{}): {} codes of {}\n", design.graph.outputs[o].name, o, v.ranges.size(),
                       to_string(type_of(v)));
  }
  return out;
}

Result<std::string> source(const hw::Design& design, Context& ctx) {
  std::string constants;
  std::string statements;
  for (std::uint32_t i = 0; i < design.graph.values.size(); ++i) {
    WEFT_TRY(const Code code, write_value(design.graph, exact::ValueId{i}, ctx));
    constants += code.constants;
    statements += code.statements;
  }
  std::string out =
      "// SPDX-License-Identifier: Apache-2.0\n" + header_comment(design) +
      fmt::format("#include \"{}.h\"\n\n#include \"weft_hls.h\"\n\n{}\n{} {{\n#pragma HLS PIPELINE II={}\n", design.top,
                  constants, signature(design), design.interval_cycles);
  for (const auto& input : design.graph.inputs)
    out += fmt::format("#pragma HLS ARRAY_PARTITION variable={} complete\n", identifier(design.graph.at(input.value)));
  for (std::size_t o = 0; o < design.graph.outputs.size(); ++o)
    out += fmt::format("#pragma HLS ARRAY_PARTITION variable=out_{} complete\n", o);
  out += statements;
  for (std::size_t o = 0; o < design.graph.outputs.size(); ++o) {
    const auto& v = design.graph.at(design.graph.outputs[o].value);
    out += fmt::format("  for (int i = 0; i < {}; ++i) out_{}[i] = {}[i];\n", v.ranges.size(), o, identifier(v));
  }
  return out + "}\n";
}

/// Reads codes, one sample per line, inputs one after the other; writes codes the same way.
std::string csim(const hw::Design& design) {
  std::string declare;
  std::string read;
  std::string call;
  std::string write;
  for (const auto& input : design.graph.inputs) {
    const auto& v = design.graph.at(input.value);
    const std::string type = to_string(type_of(v));
    declare += fmt::format("  static {} {}[{}];\n", type, identifier(v), v.ranges.size());
    read += fmt::format("    for (int i = 0; i < {}; ++i) {{ in >> word; {}[i] = {}(word); }}\n", v.ranges.size(),
                        identifier(v), "std::stoll");
    call += (call.empty() ? "" : ", ") + identifier(v);
  }
  for (std::size_t o = 0; o < design.graph.outputs.size(); ++o) {
    const auto& v = design.graph.at(design.graph.outputs[o].value);
    declare += fmt::format("  static {} out_{}[{}];\n", to_string(type_of(v)), o, v.ranges.size());
    call += fmt::format(", out_{}", o);
    write += fmt::format("    for (int i = 0; i < {}; ++i) out << (long long)out_{}[i] << ' ';\n", v.ranges.size(), o);
  }
  return fmt::format(
      "// SPDX-License-Identifier: Apache-2.0\n// C simulation: {0}_csim IN OUT; codes in decimal, one sample per "
      "line.\n#include <fstream>\n#include <string>\n\n"
      "#include \"{0}.h\"\n\nint main(int argc, char** argv) {{\n  if (argc != 3) return 2;\n  std::ifstream "
      "in(argv[1]);\n  std::ofstream out(argv[2]);\n  std::string word;\n"
      "{1}  while (in >> std::ws && in.good()) {{\n{2}    {0}({3});\n{4}    out << '\\n';\n  }}\n  return 0;\n}}\n",
      design.top, declare, read, call, write);
}

std::string tcl(const hw::Design& design) {
  return fmt::format(
      "# vitis_hls -f build.tcl (in this folder)\nopen_project -reset project\nset_top {0}\nadd_files "
      "{0}.cpp\nadd_files -tb {0}_csim.cpp\n"
      "open_solution -reset solution -flow_target vivado\nset_part {1}\ncreate_clock -period {2} -name default\n"
      "csynth_design\nexport_design -format ip_catalog\n",
      design.top, design.part.name, design.options.clock_ns);
}

Json ports(const hw::Design& design) {
  Json inputs = Json::array();
  const auto row = [&](const std::string& name, const std::string& argument, const exact::Value& v) {
    Json scales = Json::array();
    for (const auto& f : v.scale.factors) scales.push_back(fixed::to_string(f));
    return Json{{"name", name},
                {"argument", argument},
                {"elements", v.ranges.size()},
                {"shape", v.shape},
                {"width_bits", type_of(v).width_bits},
                {"signed", type_of(v).is_signed},
                {"scale", std::move(scales)}};
  };
  for (const auto& input : design.graph.inputs)
    inputs.push_back(row(input.name, identifier(design.graph.at(input.value)), design.graph.at(input.value)));
  Json outputs = Json::array();
  for (std::size_t o = 0; o < design.graph.outputs.size(); ++o)
    outputs.push_back(
        row(design.graph.outputs[o].name, fmt::format("out_{}", o), design.graph.at(design.graph.outputs[o].value)));
  return {{"top", design.top},
          {"style", "parallel"},
          {"interval_cycles", design.interval_cycles},
          {"inputs", std::move(inputs)},
          {"outputs", std::move(outputs)}};
}

}  // namespace

Result<support::FileSet> emit(const hw::Design& design, const EmitOptions& options, Context& ctx) {
  WEFT_CHECK(options.dialect == Dialect::Vitis, "only Vitis is written");
  for (const auto& value : design.graph.values) {
    const bool port = std::holds_alternative<exact::Input>(value.primitive);
    if (type_of(value).width_bits > (port ? 63 : 1024))
      return ctx.fail(
          Kind::TypeTooWide, value.origin,
          fmt::format("a port of {} bits; C simulation reads codes of at most 63", type_of(value).width_bits));
  }
  support::FileSet files;
  WEFT_TRY(files[fmt::format("hls/{}.cpp", design.top)], source(design, ctx));
  files[fmt::format("hls/{}.h", design.top)] =
      fmt::format("// SPDX-License-Identifier: Apache-2.0\n{}#pragma once\n\n#include <ap_int.h>\n\n{};\n",
                  header_comment(design), signature(design));
  files[fmt::format("hls/{}_csim.cpp", design.top)] = csim(design);
  files["hls/weft_hls.h"] = library_text();
  files["hls/build.tcl"] = tcl(design);
  files["interface.json"] = support::dump_json(ports(design)) + "\n";
  return files;
}

}  // namespace weft::backends::hls
