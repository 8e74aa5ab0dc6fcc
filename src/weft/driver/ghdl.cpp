// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/ghdl.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "weft/driver/process.h"
#include "weft/netlist/print_vhdl.h"
#include "weft/support/files.h"

namespace weft::driver {

namespace fs = std::filesystem;

Result<std::string> vhdl_to_verilog(const fs::path& project, const std::string& top, const fs::path& verilog,
                                    double timeout_seconds, Context& ctx) {
  ProcessRequest process;
  process.program = "ghdl";
  process.package = "ghdl";
  process.arguments = {"--synth", "--std=08", "--out=verilog"};
  WEFT_TRY(const std::string list, support::read_file(project / "filelist.f", ctx));
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) process.arguments.push_back(line);
  process.arguments.insert(process.arguments.end(), {"-e", netlist::vhdl_identifier(top)});
  process.directory = project;
  process.log = project / "logs" / "ghdl_synth.log";
  process.output = verilog;
  process.timeout_seconds = timeout_seconds;
  WEFT_TRY_VOID(run_tool(process, ctx));
  WEFT_TRY(std::string text, support::read_file(verilog, ctx));
  // GHDL leaves the backslashes of VHDL's identifiers, which end otherwise in Verilog; names are legal without them.
  text.erase(std::remove(text.begin(), text.end(), '\\'), text.end());
  WEFT_TRY_VOID(support::write_file(verilog, text, ctx));
  return netlist::ghdl_verilog_name(top);
}

}  // namespace weft::driver
