// SPDX-License-Identifier: Apache-2.0
#include "weft/support/json.h"
#include "fuzz.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const auto json = support::parse_json(input, "fuzz.json", session.ctx);
  check_reported(json.ok(), session);
  if (!json) return false;
  const std::string text = support::dump_json(*json);
  if (!support::parse_json(text, "again.json", session.ctx)) throw Finding{"dumped JSON does not read back"};
  return true;
}

const Target kTarget{
    "json",
    run,
    {"{", "}", "[", "]", "\"", ":", ",", "NaN", "-Infinity", "null", "true", "1e999", "\\ud800", "\xff", "//"}};

}  // namespace weft::fuzz
