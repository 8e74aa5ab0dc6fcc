// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/emulator.h"

#include <gtest/gtest.h>
TEST(Plain, Isas) { EXPECT_FALSE(weft::emulate::available().empty()); }
