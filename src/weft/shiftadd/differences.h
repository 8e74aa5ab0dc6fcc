// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rows that are nearly another row: sum j = +-(sum i) + rest.
#pragma once

#include "weft/shiftadd/prepare.h"

namespace weft::shiftadd {

/// The plan with each row written as another one plus a difference where that has fewer signed digits, in chains of at
/// most `longest` rows behind a first one. Rows that others build on get earlier deadlines; where those cannot be met,
/// the rows stay as they are. Rows come after the ones they build on.
Plan with_differences(const Plan& plan, int longest, double narrowing);

}  // namespace weft::shiftadd
