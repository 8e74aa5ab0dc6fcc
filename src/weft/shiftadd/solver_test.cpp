// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/solver.h"

#include <gtest/gtest.h>
