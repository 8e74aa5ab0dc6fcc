// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/digits.h"

namespace weft::shiftadd {

std::vector<SignedDigit> canonical_digits(Int value) {
  std::vector<SignedDigit> digits;
  const bool flip = value < 0;
  UInt rest = flip ? UInt{0} - static_cast<UInt>(value) : static_cast<UInt>(value);
  for (int shift = 0; rest != 0; ++shift, rest >>= 1) {
    if ((rest & 1) == 0) continue;
    const bool minus = (rest & 3) == 3;  // ...11 becomes (carry) 0 -1
    digits.push_back({shift, minus != flip});
    if (minus) {
      rest += 1;
    } else {
      rest -= 1;
    }
  }
  return digits;
}

std::vector<SignedDigit> minimal_digits(Int value, std::uint64_t choice) {
  std::vector<SignedDigit> digits = canonical_digits(value);
  // From the top: +2^(k+1) - 2^(k-1) = 2^k + 2^(k-1), mirrored for negative values. The rewritten pair may touch the
  // digit above it but never collides: canonical digits leave position k empty, and position k+1 becomes empty.
  for (std::size_t i = digits.size(); i-- > 1;) {
    SignedDigit& high = digits[i];
    SignedDigit& low = digits[i - 1];
    if (high.shift != low.shift + 2 || high.negative == low.negative) continue;
    const bool rewrite = (choice & 1) != 0;
    choice >>= 1;
    if (!rewrite) continue;
    high.shift -= 1;
    low.negative = high.negative;
  }
  return digits;
}

}  // namespace weft::shiftadd
