// SPDX-License-Identifier: Apache-2.0
/// @file
/// How each tool names the part of a design, and the device it takes when the part is another vendor's.
#pragma once

#include <string>
#include <vector>

#include "weft/hw/design.h"

namespace weft::backends::project {

struct Device {
  std::string name;        ///< as the tool writes it
  bool is_planned = true;  ///< false: the design was planned for a part that the tool does not know
};

/// The full name of a Xilinx part.
Device vivado_part(const hw::Design& design);

/// Quartus: no part of another vendor; family and device of a board that the free edition knows.
struct QuartusDevice {
  std::string family;
  Device device;
};
QuartusDevice quartus_device(const hw::Design& design);

/// Radiant: device and performance grade.
struct RadiantDevice {
  Device device;
  std::string performance;
};
RadiantDevice radiant_device(const hw::Design& design);

/// nextpnr: "ecp5" or "ice40", and the options that choose the device.
struct NextpnrDevice {
  std::string architecture;
  std::vector<std::string> options;
  bool is_planned = true;
};
NextpnrDevice nextpnr_device(const hw::Design& design);

}  // namespace weft::backends::project
