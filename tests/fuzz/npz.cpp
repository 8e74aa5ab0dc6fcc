// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"
#include "weft/support/arrays.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const auto arrays = support::parse_npz(input, "fuzz.npz", session.ctx);
  check_reported(arrays.ok(), session);
  return arrays.ok();
}

const Target kTarget{"npz", run, {"'descr': '<f4'", "'fortran_order': True", "'|O'"}, mutate_archive};

}  // namespace weft::fuzz
