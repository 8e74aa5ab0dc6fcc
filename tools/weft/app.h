// SPDX-License-Identifier: Apache-2.0
/// @file
/// What all subcommands share: the context, progress on a terminal, printing of results and diagnostics, exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "terminal_progress.h"
#include "weft/driver/model.h"
#include "weft/support/context.h"
#include "weft/support/json.h"

namespace weft::cli {

using support::Json;

/// Exit codes of the command line.
inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kInternal = 70;

/// Global options and the run of one command.
struct App {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  int threads = 0;  ///< 0: all cores
  std::uint64_t seed = 1;
  /// argv joined, for weft.json.
  std::string command_line;
  /// Set by the chosen subcommand's callback.
  std::function<int(App&, Context&)> run;
  /// Null when stderr is no terminal.
  std::unique_ptr<TerminalProgress> progress;

  /// Ends the progress and prints the JSON object (with "diagnostics" added) when --json, else the text.
  void print(Context& ctx, Json result, const std::string& text) const;
};

/// Registers -q -v --json --threads --seed on a subcommand.
void add_common(CLI::App& command, App& app);
/// Registers --weights --config --set --calibrate --compat --default-type --input-type.
void add_lowering(CLI::App& command, driver::LoweringOptions& options);

// One function per subcommand file.
void add_inspect(CLI::App& root, App& app);
void add_config(CLI::App& root, App& app);
void add_convert(CLI::App& root, App& app);
void add_predict(CLI::App& root, App& app);
void add_compare(CLI::App& root, App& app);
void add_verify(CLI::App& root, App& app);
void add_export(CLI::App& root, App& app);
void add_synth(CLI::App& root, App& app);
void add_build(CLI::App& root, App& app);
void add_cmvm(CLI::App& root, App& app);
void add_information(CLI::App& root, App& app);

/// Left-aligned columns separated by two blanks; numbers right-aligned where every cell of a column is one.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace weft::cli
