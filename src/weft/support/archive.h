// SPDX-License-Identifier: Apache-2.0
/// @file
/// Zip archives in memory with bounds on entries and unpacked size.
#pragma once

#include <map>
#include <string>

#include "weft/support/context.h"

namespace weft::support {

/// All members by name. Fails on damaged archives, on names with "..", a leading "/" or a backslash, and beyond
/// ctx.limits.archive_entries or ctx.limits.unpacked_bytes (checked while unpacking, not from the header's word).
Result<std::map<std::string, std::string>> read_zip(const std::string& bytes, const std::string& name, Context& ctx);

/// Members in name order, stored or deflated, with a fixed time stamp: the same members give the same bytes.
Result<std::string> write_zip(const std::map<std::string, std::string>& members, Context& ctx);

}  // namespace weft::support
