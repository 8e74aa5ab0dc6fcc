// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>

#include "weft/diag/diag.h"
#include "weft/fixed/type.h"

int main() {
  std::string error;
  const auto type = weft::fixed::parse_type("ap_fixed<16,6>", true, error);
  if (!type || weft::fixed::to_string(type->fixed) != "fixed<16,6,TRN,WRAP>") return 1;
  std::puts(weft::fixed::to_string(type->fixed).c_str());
  return weft::diag::kind_table().empty() ? 1 : 0;
}
