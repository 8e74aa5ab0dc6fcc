// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/port_plan.h"

#include <algorithm>

namespace weft::hw {

PortPlan plan_port(std::string name, exact::ValueId value, const std::vector<fixed::Range>& ranges) {
  PortPlan plan;
  plan.name = std::move(name);
  plan.value = value;
  plan.elements = static_cast<std::int64_t>(ranges.size());
  Int lo = 0;
  Int hi = 0;
  for (const fixed::Range& range : ranges) {
    lo = std::min(lo, range.lo);
    hi = std::max(hi, range.hi);
  }
  plan.is_signed = lo < 0;
  plan.element_width_bits = fixed::width_bits(lo, hi, plan.is_signed);
  return plan;
}

netlist::Port port_of(const PortPlan& plan) { return {plan.name, {}, plan.element_width_bits, plan.is_signed}; }

}  // namespace weft::hw
