// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"
#include "weft/support/archive.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const auto members = support::read_zip(input, "fuzz.zip", session.ctx);
  check_reported(members.ok(), session);
  if (!members) return false;
  std::uint64_t total = 0;
  for (const auto& [name, content] : *members) {
    total += content.size();
    const std::string walked = "/" + name + "/";
    if (name.empty() || name[0] == '/' || name.find('\\') != std::string::npos ||
        walked.find("/../") != std::string::npos)
      throw Finding{"a dangerous member name was let through: " + name};
  }
  if (total > session.ctx.limits.unpacked_bytes) throw Finding{"more was unpacked than the limit allows"};
  return true;
}

const Target kTarget{
    "zip", run, {"PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "../", "/etc/passwd", "\\"}, mutate_archive};

}  // namespace weft::fuzz
