// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/windows.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::formats::onnx {
namespace {

/// Far above any real network; keeps products of a few of them inside int64.
constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;
constexpr std::uint64_t kMaxWindowElements = std::uint64_t{1} << 30;

/// `count` numbers of attribute `name` in [least, kMaxExtent]; `fallback` for each when it is absent.
Result<Shape> numbers(const Call& call, const char* name, std::size_t count, std::int64_t least,
                      std::int64_t fallback) {
  WEFT_TRY(Shape list, call.get_ints(name));
  if (list.empty()) list.assign(count, fallback);
  if (list.size() != count ||
      std::any_of(list.begin(), list.end(), [&](auto v) { return v < least || v > kMaxExtent; })) {
    return call.fail(Kind::AttributeUnsupported, fmt::format("`{}` is {}; {} numbers of {} to {} are needed", name,
                                                             to_string(list), count, least, kMaxExtent));
  }
  return list;
}

/// Whether some window along one axis sees nothing but padding.
bool misses_data(std::int64_t extent, std::int64_t positions, std::int64_t kernel, std::int64_t stride,
                 std::int64_t dilation, std::int64_t before) {
  for (std::int64_t p = 0; p < positions; ++p) {
    // The first tap at or behind the start of the data.
    const std::int64_t start = p * stride - before;
    const std::int64_t tap = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
    if (tap >= kernel || start + tap * dilation >= extent) return true;
  }
  return false;
}

bool any_positive(const Shape& list) {
  return std::any_of(list.begin(), list.end(), [](auto v) { return v > 0; });
}

}  // namespace

bool Windows::padded() const { return any_positive(before) || any_positive(after); }
bool Windows::overhangs() const { return any_positive(overhang); }

AttributeMap Windows::layer_attributes() const {
  AttributeMap out;
  const auto not_one = [](const Shape& list) {
    return std::any_of(list.begin(), list.end(), [](auto v) { return v != 1; });
  };
  if (not_one(strides)) out["strides"] = strides;
  if (not_one(dilations)) out["dilations"] = dilations;
  if (!padded() && !overhangs()) return out;
  Shape end = after;
  for (std::size_t d = 0; d < end.size(); ++d) end[d] += overhang[d];
  out["padding"] = std::string("explicit");
  out["before"] = before;
  out["after"] = end;
  return out;
}

Result<Windows> read_windows(const Call& call, const Shape& spatial, const Shape& kernel, std::int64_t channels) {
  const std::size_t axes = spatial.size();
  Windows w;
  w.kernel = kernel;
  if (kernel.size() != axes ||
      std::any_of(kernel.begin(), kernel.end(), [](auto v) { return v < 1 || v > kMaxExtent; })) {
    return call.fail(Kind::ShapeMismatch, fmt::format("windows of {} over data with the spatial extents {}",
                                                      to_string(kernel), to_string(spatial)));
  }
  WEFT_TRY(w.strides, numbers(call, "strides", axes, 1, 1));
  WEFT_TRY(w.dilations, numbers(call, "dilations", axes, 1, 1));
  WEFT_TRY(const std::string mode, call.get_string("auto_pad", "NOTSET"));
  WEFT_TRY(const std::int64_t ceil_mode, call.get_int("ceil_mode", 0));
  WEFT_TRY(Shape pads, numbers(call, "pads", 2 * axes, 0, 0));
  const bool same = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  if (!same && mode != "VALID" && mode != "NOTSET" && !mode.empty()) {
    return call.fail(Kind::AttributeUnsupported,
                     fmt::format("`auto_pad` is `{}`; NOTSET, VALID, SAME_UPPER and SAME_LOWER are defined", mode));
  }
  // `pads` has no meaning beside an automatic padding.
  if (same || mode == "VALID") pads.assign(2 * axes, 0);
  w.before.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(axes));
  w.after.assign(pads.begin() + static_cast<std::ptrdiff_t>(axes), pads.end());
  w.overhang.assign(axes, 0);
  std::uint64_t elements = static_cast<std::uint64_t>(std::max<std::int64_t>(channels, 1));
  for (std::size_t d = 0; d < axes; ++d) {
    const std::int64_t reach = (kernel[d] - 1) * w.dilations[d] + 1;
    const std::int64_t stride = w.strides[d];
    if (same) {
      const std::int64_t positions = (spatial[d] + stride - 1) / stride;
      const std::int64_t total = std::max<std::int64_t>((positions - 1) * stride + reach - spatial[d], 0);
      w.before[d] = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.after[d] = total - w.before[d];
    }
    const std::int64_t room = spatial[d] + w.before[d] + w.after[d] - reach;
    if (room < 0) {
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("windows of {} (dilations {}) do not fit data with the spatial extents {}",
                                   to_string(kernel), to_string(w.dilations), to_string(spatial)));
    }
    std::int64_t positions = room / stride + 1;
    // Rounded up, a window must still begin in the data or the padding before it.
    if (ceil_mode != 0 && room % stride != 0 && positions * stride < spatial[d] + w.before[d]) {
      w.overhang[d] = stride - room % stride;
      ++positions;
    }
    w.positions.push_back(positions);
    const auto taps = static_cast<std::uint64_t>(positions) * static_cast<std::uint64_t>(kernel[d]);
    if (taps > kMaxWindowElements / elements) {
      return call.fail(Kind::LimitExceeded, fmt::format("the windows have more than {} elements", kMaxWindowElements));
    }
    elements *= taps;
  }
  return w;
}

Result<void> require_data_in_windows(const Call& call, const Windows& w, const Shape& spatial) {
  for (std::size_t d = 0; d < spatial.size(); ++d) {
    if (misses_data(spatial[d], w.positions[d], w.kernel[d], w.strides[d], w.dilations[d], w.before[d])) {
      return call.fail(Kind::AttributeUnsupported,
                       fmt::format("a window along spatial axis {} sees nothing but padding; pad less", d));
    }
  }
  return {};
}

}  // namespace weft::formats::onnx
