// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/config.h"
#include "fuzz.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  Session session;
  const auto config = lower::parse_config(input, "fuzz.yaml", session.ctx);
  check_reported(config.ok(), session);
  return config.ok();
}

const Target kTarget{"config",
                     run,
                     {"Model:", "LayerName:", "LayerType:", "Precision:", "ReuseFactor:", "Strategy:", "HLSConfig:",
                      "&a", "*a", "<<:", "- ", "!!", "? ", "{", "}", "|", "ap_fixed<16,6>", "\t"}};

}  // namespace weft::fuzz
