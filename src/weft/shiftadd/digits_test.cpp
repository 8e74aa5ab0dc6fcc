// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/digits.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

namespace weft::shiftadd {
namespace {

Int value_of(const std::vector<SignedDigit>& digits) {
  Int sum = 0;
  for (const SignedDigit& digit : digits) {
    const Int power = static_cast<Int>(1) << digit.shift;
    sum += digit.negative ? -power : power;
  }
  return sum;
}

/// The least number of signed digits of v is popcount(v xor 3v): a formula that knows nothing of the recoding.
int minimal_count(std::int64_t v) {
  const std::uint64_t magnitude = v < 0 ? -static_cast<std::uint64_t>(v) : static_cast<std::uint64_t>(v);
  return std::popcount(magnitude ^ (3 * magnitude));
}

TEST(Digits, CanonicalFormIsExactMinimalAndSparse) {
  for (std::int64_t v = -5000; v <= 5000; ++v) {
    const auto digits = canonical_digits(v);
    ASSERT_EQ(value_of(digits), v);
    ASSERT_EQ(static_cast<int>(digits.size()), minimal_count(v)) << v;
    for (std::size_t i = 1; i < digits.size(); ++i) ASSERT_GE(digits[i].shift, digits[i - 1].shift + 2) << v;
  }
}

TEST(Digits, EveryChoiceKeepsValueCountAndDistinctShifts) {
  for (std::int64_t v = -700; v <= 700; ++v) {
    for (std::uint64_t choice = 0; choice < 32; ++choice) {
      const auto digits = minimal_digits(v, choice);
      ASSERT_EQ(value_of(digits), v);
      ASSERT_EQ(static_cast<int>(digits.size()), minimal_count(v));
      for (std::size_t i = 1; i < digits.size(); ++i)
        ASSERT_GT(digits[i].shift, digits[i - 1].shift) << v << " " << choice;
    }
  }
  EXPECT_EQ(minimal_digits(3, 0), (std::vector<SignedDigit>{{0, true}, {2, false}}));
  EXPECT_EQ(minimal_digits(3, 1), (std::vector<SignedDigit>{{0, false}, {1, false}}));
}

TEST(Digits, ExtremesOfTheMatrixType) {
  for (const Int v : {static_cast<Int>(std::numeric_limits<std::int64_t>::min()),
                      static_cast<Int>(std::numeric_limits<std::int64_t>::max())}) {
    EXPECT_EQ(value_of(canonical_digits(v)), v);
  }
  EXPECT_TRUE(canonical_digits(0).empty());
}

}  // namespace
}  // namespace weft::shiftadd
