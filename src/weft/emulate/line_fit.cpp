// SPDX-License-Identifier: Apache-2.0
// At a breakpoint t the line must reach the higher value on one side and miss it on the other. For a given slope that
// bounds `start` from both sides; the room between the bounds is a concave function of the slope, so a ternary search
// finds the slope with the most room. The middle of the room is then tried in float32 and checked.
#include "weft/emulate/line_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace weft::emulate {
namespace {

/// The line is at least `value` at `reach` and below it at `miss`.
struct Bound {
  double value, reach, miss;
};

struct Room {
  double lowest, highest;
  [[nodiscard]] double width() const { return highest - lowest; }
};

Room room_at(const std::vector<Bound>& bounds, double slope) {
  Room room{-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  for (const auto& b : bounds) {
    room.lowest = std::max(room.lowest, b.value - slope * b.reach);
    room.highest = std::min(room.highest, b.value - slope * b.miss);
  }
  return room;
}

}  // namespace

std::int32_t line_value(const Line& line, std::int32_t x) {
  const float product = static_cast<float>(x) * line.slope;
  const float sum = product + line.start;
  return std::clamp(static_cast<std::int32_t>(std::floor(sum)), line.lo, line.hi);
}

std::optional<Line> fit_line(const fixed::Pieces& pieces, const fixed::Range& x) {
  constexpr Int kExact = Int{1} << 24;  // float32 holds all codes up to here
  constexpr Int kMostValue = Int{1} << 20;
  constexpr int kHalvings = 80;
  if (x.lo < -kExact || x.hi > kExact || pieces.breakpoints.empty()) return std::nullopt;
  for (const Int v : pieces.values)
    if (v < -kMostValue || v > kMostValue) return std::nullopt;
  const Int step = pieces.values[1] - pieces.values[0];
  if (step != 1 && step != -1) return std::nullopt;
  std::vector<Bound> bounds;
  for (std::size_t k = 0; k < pieces.breakpoints.size(); ++k) {
    const Int before = pieces.values[k];
    const Int after = pieces.values[k + 1];
    const Int t = pieces.breakpoints[k];
    if (after - before != step || t < -kExact || t > kExact) return std::nullopt;
    const auto at = static_cast<double>(t);
    bounds.push_back({static_cast<double>(std::max(before, after)), step > 0 ? at : at - 1, step > 0 ? at - 1 : at});
  }
  // From one breakpoint to the last, give or take a code at both ends.
  const Bound& first = bounds.front();
  const Bound& last = bounds.back();
  const double distance = std::abs(last.reach - first.reach);
  double low = bounds.size() == 1 ? 0.5 : std::abs(last.value - first.value) / (distance + 1);
  double high = bounds.size() == 1 ? 1.0 : std::abs(last.value - first.value) / std::max(distance - 1, 0.5);
  for (int i = 0; i < kHalvings; ++i) {
    const double left = low + (high - low) / 3;
    const double right = high - (high - low) / 3;
    const double sign = static_cast<double>(step);
    if (room_at(bounds, sign * left).width() < room_at(bounds, sign * right).width()) {
      low = left;
    } else {
      high = right;
    }
  }
  const double slope = static_cast<double>(step) * (low + high) / 2;
  const Room room = room_at(bounds, slope);
  const double largest =
      std::max(std::abs(slope * static_cast<double>(x.lo)), std::abs(slope * static_cast<double>(x.hi))) +
      std::abs(room.lowest);
  if (!(room.width() > 0) || !(largest < 0x1p30)) return std::nullopt;
  Line line;
  line.slope = static_cast<float>(slope);
  line.start = static_cast<float>((room.lowest + room.highest) / 2);
  line.lo = static_cast<std::int32_t>(std::min(pieces.values.front(), pieces.values.back()));
  line.hi = static_cast<std::int32_t>(std::max(pieces.values.front(), pieces.values.back()));
  for (std::size_t k = 0; k < pieces.breakpoints.size(); ++k) {
    const auto t = static_cast<std::int32_t>(pieces.breakpoints[k]);
    if (line_value(line, t) != pieces.values[k + 1] || line_value(line, t - 1) != pieces.values[k]) return std::nullopt;
  }
  return line;
}

}  // namespace weft::emulate
