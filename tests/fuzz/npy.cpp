// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"
#include "weft/support/arrays.h"

namespace weft::fuzz {

// Besides reading: what is written again must read equal.
static bool run(const std::string& input) {
  Session session;
  const auto array = support::parse_npy(input, "fuzz.npy", session.ctx);
  check_reported(array.ok(), session);
  if (!array || std::holds_alternative<std::vector<std::string>>(array->data)) return false;
  const auto again = support::parse_npy(support::format_npy(*array), "again.npy", session.ctx);
  if (!again || again->shape != array->shape) throw Finding{"a written array does not read back"};
  return true;
}

const Target kTarget{
    "npy", run, {"'descr': '<f4'", "'fortran_order': True", "(3, )", "'|O'", "'<U3'", "'>i8'", "18446744073709551615"}};

}  // namespace weft::fuzz
