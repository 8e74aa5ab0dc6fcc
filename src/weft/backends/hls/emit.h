// SPDX-License-Identifier: Apache-2.0
/// @file
/// Writes a planned design as an HLS project: one shared C++ template library, a thin dialect per vendor.
#pragma once

#include "weft/hw/design.h"
#include "weft/support/context.h"
#include "weft/support/files.h"

namespace weft::backends::hls {

enum class Dialect { Vitis };

struct EmitOptions {
  Dialect dialect = Dialect::Vitis;
};

/// hls/<top>.h, hls/<top>.cpp, hls/weft_hls.h (the template library), hls/<top>_csim.cpp (reads codes, writes codes),
/// hls/build.tcl, interface.json. Only the exact graph and the ports of the design are used.
Result<support::FileSet> emit(const hw::Design& design, const EmitOptions& options, Context& ctx);

}  // namespace weft::backends::hls
