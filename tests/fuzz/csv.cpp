// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"
#include "weft/support/arrays.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const auto array = support::parse_csv(input, "fuzz.csv", session.ctx);
  check_reported(array.ok(), session);
  if (array && array->shape.size() != 2) throw Finding{"a table is not two-dimensional"};
  return array.ok();
}

const Target kTarget{
    "csv", run, {",", ";", "\n", "\r\n", "nan", "inf", "1e400", "-0", "\"", "#", "\xef\xbb\xbf", "0x1p3"}};

}  // namespace weft::fuzz
