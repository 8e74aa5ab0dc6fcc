// SPDX-License-Identifier: Apache-2.0
#include "weft/support/attributes.h"

#include <gtest/gtest.h>

#include "weft/diag/diag.h"

namespace weft {
namespace {

TEST(Attributes, WidensAndFallsBack) {
  const AttributeMap map = {{"flag", true},
                            {"n", std::int64_t{3}},
                            {"x", 1.5},
                            {"s", std::string("t")},
                            {"v", std::vector<std::int64_t>{1, 2}}};
  EXPECT_EQ(get_int(map, "flag", 0), 1);
  EXPECT_EQ(get_double(map, "n", 0), 3.0);
  EXPECT_TRUE(get_bool(map, "n", false));
  EXPECT_EQ(get_string(map, "s", ""), "t");
  EXPECT_EQ(get_doubles(map, "v"), (std::vector<double>{1, 2}));
  EXPECT_EQ(get_int(map, "absent", 7), 7);
  EXPECT_THROW(get_int(map, "x", 0), diag::InternalError);
  EXPECT_THROW(get_string(map, "n", ""), diag::InternalError);
}

}  // namespace
}  // namespace weft
