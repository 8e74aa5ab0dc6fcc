// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reads what place and route tools say about a design: utilization and timing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "weft/support/context.h"

namespace weft::driver {

/// What a built design takes; nothing where a report has no such figure.
struct Utilization {
  std::optional<std::int64_t> lut{};  ///< in lut_unit
  std::string lut_unit = "LUT";       ///< "LUT", "ALM" or "LE", as the report counts
  std::optional<std::int64_t> ff{};
  std::optional<std::int64_t> carry{};
  std::optional<std::int64_t> dsp{};
  std::optional<std::int64_t> bram18{};  ///< blocks of 18 kbit; on families with other blocks one each
  std::optional<std::int64_t> uram{};
};

// `file` names the report in diagnostics. A report without the figures that its tool always writes is ToolFailed.

/// report_utilization of Vivado.
Result<Utilization> parse_vivado_utilization(const std::string& text, const std::string& file, Context& ctx);
/// The worst setup slack in ns of report_timing_summary; nothing when no path is constrained ("NA").
Result<std::optional<double>> parse_vivado_slack(const std::string& text, const std::string& file, Context& ctx);

/// <revision>.fit.summary of Quartus.
Result<Utilization> parse_quartus_fit(const std::string& text, const std::string& file, Context& ctx);
/// The worst setup slack in ns over all corners of <revision>.sta.summary; nothing when there is no setup section.
Result<std::optional<double>> parse_quartus_slack(const std::string& text, const std::string& file, Context& ctx);

/// The JSON report of nextpnr (--report): utilization of LUTs, flip-flops, memories and multipliers, and the lowest
/// achieved frequency of its clocks.
struct NextpnrReport {
  Utilization utilization;
  std::optional<double> fmax_mhz{};
};
Result<NextpnrReport> parse_nextpnr_report(const std::string& json, const std::string& file, Context& ctx);

}  // namespace weft::driver
