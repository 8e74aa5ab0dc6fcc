// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/project/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace weft::backends::project {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// The name that the user gave when it says more than the table's, such as another package of the device.
std::string part_name(const hw::Design& design) {
  const std::string known = lower(design.part.name);
  const std::string given = lower(design.options.part);
  return known.starts_with(given) ? std::string(design.part.name) : design.options.part;
}

}  // namespace

Device vivado_part(const hw::Design& design) {
  const std::string family(design.family.name);
  if (family == "xcup" || family == "xcu" || family == "xc7") return {part_name(design), true};
  return {std::string(hw::PlanOptions{}.part), false};
}

QuartusDevice quartus_device(const hw::Design&) { return {"Cyclone V", {"5CGXFC7C7F23C8", false}}; }

RadiantDevice radiant_device(const hw::Design& design) {
  if (lower(design.part.name).starts_with("ice40up5k")) return {{"iCE40UP5K-SG48I", true}, "High-Performance_1.2V"};
  return {{"LIFCL-40-7BG400I", false}, "7_High-Performance_1.0V"};
}

NextpnrDevice nextpnr_device(const hw::Design& design) {
  const std::string name = lower(part_name(design));
  const std::string family(design.family.name);
  if (family == "ice40" && name.starts_with("ice40")) {
    const auto dash = name.find('-');
    const std::string device = name.substr(5, dash == std::string::npos ? dash : dash - 5);
    NextpnrDevice out{"ice40", {"--" + device}, true};
    if (dash != std::string::npos) out.options.insert(out.options.end(), {"--package", name.substr(dash + 1)});
    return out;
  }
  if (family == "ecp5" && name.starts_with("lfe5u")) {
    // lfe5u-45f, lfe5um-45f, lfe5um5g-45f, with a package and speed grade behind that.
    const auto dash = name.find('-');
    const std::string kind = name.substr(4, dash - 4);  // u, um, um5g
    const auto end = name.find('f', dash);
    const std::string size = name.substr(dash + 1, end == std::string::npos ? end : end - dash - 1);
    return {"ecp5",
            {fmt::format("--{}{}k", kind == "u" ? std::string() : kind + "-", size), "--package", "CABGA381"},
            true};
  }
  return {"ecp5", {"--85k", "--package", "CABGA381"}, false};
}

}  // namespace weft::backends::project
