// SPDX-License-Identifier: Apache-2.0
/// @file
/// The stages of a circuit that takes an event every few cycles. Internal to netlist.
#pragma once

#include <algorithm>
#include <vector>

#include "weft/netlist/pipeline.h"

namespace weft::netlist {

/// What rounding of times may make of a sum of delays.
inline constexpr double kSlack = 1e-6;

/// Joins a cell of delay `d` to `before` picoseconds of its stage: whether both fit. A cell slower than the stage may
/// stand alone; wiring always fits.
inline bool fits(double before, double d, double budget) {
  return before + d <= std::max(budget, before) + kSlack || (before <= 0.0 && budget > 0.0);
}

/// Stages from the one of a cell to the one in which it reads the operand.
int read_offset(const Netlist& netlist, const Cell& cell, std::size_t term);

/// make_pipeline and count_stages for an interval above 1.
Pipeline schedule_slots(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options,
                        Context& ctx);
int count_slot_stages(const Netlist& netlist, const std::vector<double>& delay_ps, const PipelineOptions& options);

}  // namespace weft::netlist
