// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/type.h"
#include "fuzz.h"

namespace weft::fuzz {

static bool run(const std::string& input) {
  bool accepted = false;
  for (const bool own : {false, true}) {
    std::string error;
    const auto type = fixed::parse_type(input, own, error);
    if (!type) {
      if (error.empty()) throw Finding{"refused without a reason"};
      continue;
    }
    accepted = true;
    const std::string text = fixed::to_string(*type);
    const auto again = fixed::parse_type(text, true, error);
    if (!again || fixed::to_string(*again) != text) throw Finding{"`" + text + "` does not read back"};
    // Codes of wider types need the functions for 256 bits.
    if (type->form == fixed::TypeSpec::Form::Fixed && type->fixed.width_bits < 128 &&
        fixed::min_code(type->fixed) > fixed::max_code(type->fixed))
      throw Finding{"an empty range"};
  }
  return accepted;
}

const Target kTarget{"type",
                     run,
                     {"fixed<", "ufixed<", "ap_fixed<", "ac_fixed<", "int<", "uint<", ">", ",", "RND_CONV",
                      "AP_SAT_SYM", "true", "128", "-1", "bipolar", "auto"}};

}  // namespace weft::fuzz
