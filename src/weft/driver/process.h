// SPDX-License-Identifier: Apache-2.0
/// @file
/// Runs external programs: no shell, a log file, a time limit, cancellation of the whole process group.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weft/support/context.h"

namespace weft::driver {

struct ProcessRequest {
  /// A name looked up in PATH, or a path.
  std::string program{};
  std::vector<std::string> arguments{};
  /// Working directory; empty means the caller's.
  std::filesystem::path directory{};
  /// Receives standard output and standard error; its folder is made. Standard input is empty.
  std::filesystem::path log{};
  /// Receives standard output alone when it is the result of a program; its folder must exist.
  std::filesystem::path output{};
  /// 0 means no limit.
  double timeout_seconds = 0.0;
  /// Debian package named when the program is missing.
  std::string package{};
};

struct ProcessResult {
  /// Exit code; 128 + signal when a signal ended the program.
  int exit_code = 0;
  double seconds = 0.0;
  /// Largest resident set of the program and of the children it waited for.
  double peak_mb = 0.0;
};

/// Runs to the end. Fails with ToolMissing, FileUnwritable (log, working directory), LimitExceeded (time) or Cancelled;
/// in the last two cases the whole process group has been ended. An exit code that is not 0 is a result.
Result<ProcessResult> run_process(const ProcessRequest& request, Context& ctx);

/// As run_process, but an exit code that is not 0 is ToolFailed with the last lines of the log as notes.
Result<ProcessResult> run_tool(const ProcessRequest& request, Context& ctx);

/// Whether a program of this name is found in PATH (or at this path) and may be executed.
bool program_exists(const std::string& program);

/// The last `lines` non-empty lines of a text.
std::vector<std::string> last_lines(const std::string& text, std::size_t lines);

}  // namespace weft::driver
