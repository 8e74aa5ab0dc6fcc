// SPDX-License-Identifier: Apache-2.0
/// @file
/// Synthesizes an emitted project with Yosys and reads back what it takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/driver/process.h"

namespace weft::driver {

struct SynthesisRequest {
  /// Holds rtl/*.v, or rtl/*.vhd and filelist.f; logs go to logs/ in it.
  std::filesystem::path project{};
  /// The sources are VHDL, which GHDL makes Verilog of first.
  bool vhdl = false;
  std::string top{};
  /// "xcup", "xcu", "xc7", "ecp5", "ice40", or "gates" (with a liberty file).
  std::string family = "xcup";
  /// Cell library for "gates"; .gz is unpacked first.
  std::filesystem::path liberty{};
  /// One run per module, out of context, instead of one run for the flattened design.
  bool per_module = false;
  /// Runs side by side when per_module is set.
  int threads = 1;
  /// Let Yosys put multiplications into DSP blocks; otherwise they become LUTs.
  bool use_dsp = false;
  /// Folder of earlier results, by content of the module and script; empty means no cache.
  std::filesystem::path cache{};
  /// For each run; 0 means none.
  double timeout_seconds = 0.0;
  std::string yosys = "yosys";
};

/// What a netlist takes. Vendor cells are classified in one table in synthesize.cpp.
struct Usage {
  std::int64_t lut = 0;                       ///< LUT1..LUT6 and LUT6_2 (SB_LUT4, LUT4), one each
  std::map<int, std::int64_t> lut_by_size{};  ///< inputs -> count
  std::int64_t inverters = 0;                 ///< INV; place and route absorbs them
  std::int64_t carry = 0;                     ///< CARRY4, CARRY8, CCU2C, SB_CARRY
  std::int64_t muxf = 0;                      ///< MUXF7, MUXF8, MUXF9, PFUMX, L6MUX21
  std::int64_t srl = 0;                       ///< shift registers in LUTs
  std::int64_t lutram = 0;                    ///< LUT RAM cells
  std::int64_t ff = 0;
  std::int64_t latch = 0;
  std::int64_t dsp = 0;
  std::int64_t bram18 = 0;  ///< 18 kbit blocks; a RAMB36 is two, on other families one block each
  std::int64_t uram = 0;
  std::int64_t gates = 0;  ///< all cells of a "gates" run
  std::map<std::string, std::int64_t> cells{};

  /// Adds `count` times another usage.
  void add(const Usage& other, std::int64_t count);
  /// Counts cells of one type.
  void add_cell(const std::string& type, std::int64_t count);
};

struct ModuleReport {
  std::string name;
  std::int64_t instances = 1;
  Usage usage;  ///< of one instance, without its children
  std::optional<double> area_um2;
  std::optional<double> critical_path_ps;
  double seconds = 0.0;
  bool cached = false;
};

struct SynthesisReport {
  Usage usage;
  std::optional<double> area_um2;
  /// Longest combinational path that ABC reports for a cell library.
  std::optional<double> critical_path_ps;
  double seconds = 0.0;  ///< wall time of all runs together
  double peak_mb = 0.0;
  std::vector<ModuleReport> modules;  ///< top first; one entry when not per module
};

/// Runs Yosys. Fails with TargetUnknown (family), UsageInvalid (gates without library), FileUnreadable (no sources),
/// ToolMissing, ToolFailed, LimitExceeded or Cancelled.
Result<SynthesisReport> synthesize(const SynthesisRequest& request, Context& ctx);

/// Parsed parts of Yosys' outputs, on their own so that recorded outputs can be tested.
/// Cells of every module of `stat -json`, by module name without the backslash.
Result<std::map<std::string, std::map<std::string, std::int64_t>>> parse_stat(const std::string& json,
                                                                              const std::string& name, Context& ctx);
/// "Chip area for [top] module ...: N" of `stat -liberty` (the last one), and the largest "Delay = N ps" of ABC.
std::optional<double> parse_area(const std::string& log);
std::optional<double> parse_delay(const std::string& log);

/// One module of a text RTLIL file.
struct RtlilModule {
  std::string name;
  std::string text;                               ///< without source positions
  std::string stub;                               ///< its ports as a black box
  std::map<std::string, std::int64_t> instances;  ///< cell type -> count, other modules of the file only
};
std::vector<RtlilModule> split_rtlil(const std::string& text);

}  // namespace weft::driver
