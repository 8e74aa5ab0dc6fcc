// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/build.h"

#include <fmt/format.h>

#include "app.h"

namespace weft::cli {
namespace {

template <typename T>
Json optional_json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::string count_text(const std::optional<std::int64_t>& value, const std::string& unit) {
  return fmt::format("{} {}", value ? std::to_string(*value) : std::string(1, '?'), unit);
}

}  // namespace

void add_build(CLI::App& root, App& app) {
  auto request = std::make_shared<driver::BuildRequest>();
  auto* command = root.add_subcommand("build", "place and route what convert wrote and read the reports");
  command->add_option("DIR", request->project, "converted folder")->required();
  command
      ->add_option("--tool", request->tool,
                   "vivado, quartus, radiant, nextpnr or yosys (default: what is installed for the part)")
      ->check(CLI::IsMember(driver::build_tools()));
  command->add_option("--timeout", request->timeout_seconds, "seconds for the run (0: no limit)")
      ->capture_default_str();
  add_common(*command, app);
  command->callback([&app, request] {
    app.run = [request](App& a, Context& ctx) {
      request->threads = ctx.threads;
      const auto report = driver::build(*request, ctx);
      if (!report) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      const auto& u = report->usage;
      Json json = {{"tool", report->tool},
                   {"lut", optional_json(u.lut)},
                   {"lut_unit", u.lut_unit},
                   {"ff", optional_json(u.ff)},
                   {"carry", optional_json(u.carry)},
                   {"dsp", optional_json(u.dsp)},
                   {"bram18", optional_json(u.bram18)},
                   {"uram", optional_json(u.uram)},
                   {"clock_ns", report->clock_ns},
                   {"wns_ns", optional_json(report->wns_ns)},
                   {"meets_timing", report->wns_ns ? Json(*report->wns_ns >= 0.0) : Json(nullptr)},
                   {"fmax_mhz", optional_json(report->fmax_mhz)},
                   {"critical_path_ps", optional_json(report->critical_path_ps)},
                   {"seconds", report->seconds}};
      std::string text =
          fmt::format("{}: {}, {}, {}, {}, {}", report->tool, count_text(u.lut, u.lut_unit), count_text(u.ff, "FF"),
                      count_text(u.carry, "carry"), count_text(u.dsp, "DSP"), count_text(u.bram18, "BRAM18"));
      if (report->wns_ns)
        text += fmt::format("; slack {:.3f} ns at {:g} ns{}", *report->wns_ns, report->clock_ns,
                            *report->wns_ns < 0.0 ? " (NOT met)" : "");
      if (report->fmax_mhz) text += fmt::format(", {:.1f} MHz", *report->fmax_mhz);
      text += fmt::format("; {:.1f} s\n", report->seconds);
      if (report->tool != "yosys") text += fmt::format("reports in {}\n", report->folder.string());
      a.print(ctx, std::move(json), text);
      return kOk;
    };
  });
}

}  // namespace weft::cli
