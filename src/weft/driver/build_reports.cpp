// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/build_reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>
#include <string_view>
#include <vector>

#include "weft/support/json.h"

namespace weft::driver {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

/// A whole text that is one finite number; thousands may be grouped by commas.
std::optional<double> number(std::string_view text) {
  std::string digits;
  for (const char c : trimmed(text))
    if (c != ',') digits.push_back(c);
  double value = 0.0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || end != digits.data() + digits.size() || !(value > -1e9 && value < 1e9))
    return std::nullopt;
  return value;
}

std::optional<std::int64_t> count_of(std::optional<double> value) {
  if (!value || *value < 0.0) return std::nullopt;
  return static_cast<std::int64_t>(*value + 0.5);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
  return lines;
}

diag::Failure incomplete(const std::string& file, std::string_view what, Context& ctx) {
  return ctx.fail(Kind::ToolFailed, {.file = file},
                  fmt::format("the report has no {}; the run did not end as it should", what));
}

/// Tables drawn with "|": the second cell of each row by its first, the first occurrence of a name.
std::map<std::string, std::string, std::less<>> used_column(const std::string& text) {
  std::map<std::string, std::string, std::less<>> rows;
  for (const std::string& line : lines_of(text)) {
    if (line.empty() || line.front() != '|') continue;
    const auto first = line.find('|', 1);
    const auto second = first == std::string::npos ? first : line.find('|', first + 1);
    if (second == std::string::npos) continue;  // a line that was cut is no row
    std::string_view name = trimmed(std::string_view(line).substr(1, first - 1));
    while (name.ends_with('*')) name.remove_suffix(1);  // a footnote
    rows.emplace(name, trimmed(std::string_view(line).substr(first + 1, second - first - 1)));
  }
  return rows;
}

/// "name : value" lines.
std::optional<std::string> value_of(const std::vector<std::string>& lines, std::string_view name) {
  for (const std::string& line : lines) {
    const auto colon = line.find(" : ");
    if (colon != std::string::npos && trimmed(std::string_view(line).substr(0, colon)) == name)
      return std::string(trimmed(std::string_view(line).substr(colon + 3)));
  }
  return std::nullopt;
}

/// The first number of "1,234 / 56,480 ( 2 % )".
std::optional<std::int64_t> used_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return count_of(number(std::string_view(*text).substr(0, text->find('/'))));
}

}  // namespace

Result<Utilization> parse_vivado_utilization(const std::string& text, const std::string& file, Context& ctx) {
  const auto rows = used_column(text);
  const auto used = [&](std::initializer_list<std::string_view> names) -> std::optional<double> {
    for (const auto name : names)
      if (const auto row = rows.find(name); row != rows.end())
        if (const auto value = number(row->second)) return value;
    return std::nullopt;
  };
  Utilization out;
  out.lut = count_of(used({"CLB LUTs", "Slice LUTs"}));
  out.ff = count_of(used({"CLB Registers", "Slice Registers"}));
  // Carry chains stand among the primitives, which leave out what the design has none of.
  out.carry = count_of(used({"CARRY8", "CARRY4"}).value_or(0.0));
  out.dsp = count_of(used({"DSPs"}));
  // A tile is two blocks of 18 kbit; a half tile is written as .5.
  if (const auto tiles = used({"Block RAM Tile"})) out.bram18 = count_of(2.0 * *tiles);
  out.uram = count_of(used({"URAM"}).value_or(0.0));
  if (!out.lut || !out.ff) return incomplete(file, "numbers of LUTs and registers", ctx);
  return out;
}

Result<std::optional<double>> parse_vivado_slack(const std::string& text, const std::string& file, Context& ctx) {
  const auto lines = lines_of(text);
  // The heading, its underline, the numbers.
  for (std::size_t i = 0; i + 2 < lines.size(); ++i) {
    if (!trimmed(lines[i]).starts_with("WNS(ns)")) continue;
    const std::string_view row = trimmed(lines[i + 2]);
    const std::string_view word = row.substr(0, row.find_first_of(" \t"));
    if (word == "NA") return std::optional<double>{};
    if (const auto slack = number(word)) return slack;
    break;
  }
  return incomplete(file, "worst negative slack", ctx);
}

Result<Utilization> parse_quartus_fit(const std::string& text, const std::string& file, Context& ctx) {
  const auto lines = lines_of(text);
  if (const auto status = value_of(lines, "Fitter Status"); !status || !status->starts_with("Successful"))
    return incomplete(file, "successful fitter status", ctx);
  Utilization out;
  out.lut = used_of(value_of(lines, "Logic utilization (in ALMs)"));
  out.lut_unit = "ALM";
  if (!out.lut) {
    out.lut = used_of(value_of(lines, "Total logic elements"));
    out.lut_unit = "LE";
  }
  out.ff = used_of(value_of(lines, "Total registers"));
  out.dsp = used_of(value_of(lines, "Total DSP Blocks"));
  if (!out.dsp) out.dsp = used_of(value_of(lines, "Embedded Multiplier 9-bit elements"));
  out.bram18 = used_of(value_of(lines, "Total RAM Blocks"));
  if (!out.lut || !out.ff) return incomplete(file, "numbers of logic cells and registers", ctx);
  return out;
}

Result<std::optional<double>> parse_quartus_slack(const std::string& text, const std::string& file, Context& ctx) {
  std::optional<double> worst;
  bool setup = false;
  for (const std::string& line : lines_of(text)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view name = trimmed(std::string_view(line).substr(0, colon));
    const std::string_view value = trimmed(std::string_view(line).substr(colon + 1));
    if (name == "Type") {
      setup = value.find(" Setup ") != std::string_view::npos;
    } else if (name == "Slack" && setup) {
      const auto slack = number(value);
      if (!slack) return incomplete(file, "number behind `Slack`", ctx);
      worst = worst ? std::min(*worst, *slack) : *slack;
      setup = false;
    }
  }
  if (setup) return incomplete(file, "slack behind the last heading", ctx);
  if (text.find("Timing Analyzer Summary") == std::string::npos &&
      text.find("TimeQuest Timing Analyzer Summary") == std::string::npos)
    return incomplete(file, "summary of the timing analyzer", ctx);
  return worst;
}

Result<NextpnrReport> parse_nextpnr_report(const std::string& text, const std::string& file, Context& ctx) {
  WEFT_TRY(const support::Json json, support::parse_json(text, file, ctx));
  NextpnrReport out;
  try {
    const auto& cells = json.at("utilization");
    const auto used = [&](std::initializer_list<const char*> names) -> std::optional<std::int64_t> {
      for (const char* name : names) {
        if (!cells.contains(name)) continue;
        const auto value = cells.at(name).at("used").get<std::int64_t>();
        if (value >= 0) return value;
      }
      return std::nullopt;
    };
    out.utilization.lut = used({"TRELLIS_COMB", "ICESTORM_LC"});
    if (cells.contains("ICESTORM_LC")) out.utilization.lut_unit = "LE";  // a LUT with its flip-flop
    out.utilization.ff = used({"TRELLIS_FF"});
    out.utilization.dsp = used({"MULT18X18D", "ICESTORM_DSP"});
    out.utilization.bram18 = used({"DP16KD", "ICESTORM_RAM"});
    for (const auto& [clock, figures] : json.at("fmax").items()) {
      const double achieved = figures.at("achieved").get<double>();
      if (achieved > 0.0) out.fmax_mhz = std::min(out.fmax_mhz.value_or(achieved), achieved);
    }
  } catch (const nlohmann::json::exception&) {
    return incomplete(file, "utilization and clocks", ctx);
  }
  if (!out.utilization.lut) return incomplete(file, "number of LUTs", ctx);
  return out;
}

}  // namespace weft::driver
