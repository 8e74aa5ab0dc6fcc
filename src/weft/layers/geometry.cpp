// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/geometry.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::layers {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;

/// One entry per axis; missing means `fallback`, one entry counts for all.
Result<Shape> per_axis(const nn::Node& node, std::string_view key, std::size_t axes, std::int64_t fallback,
                       std::int64_t least, Context& ctx) {
  Shape list = get_ints(node.attributes, std::string(key));
  if (list.empty()) list.assign(axes, fallback);
  if (list.size() == 1) list.assign(axes, list[0]);
  if (list.size() != axes || std::any_of(list.begin(), list.end(), [&](auto v) { return v < least || v > kMaxExtent; }))
    return ctx.fail(
        Kind::ShapeMismatch, node.origin,
        fmt::format("`{}` is {}; {} numbers of at least {} are expected", key, weft::to_string(list), axes, least));
  return list;
}

}  // namespace

Result<exact::Window> window_of(const nn::Node& node, const Shape& x, const Shape& kernel, Context& ctx) {
  const std::size_t axes = kernel.size();
  if (axes == 0 || x.size() != axes + 1)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("windows over {} axes need an input of rank {}, its shape is {}", axes, axes + 1,
                                weft::to_string(x)));
  exact::Window w;
  w.kernel = kernel;
  WEFT_TRY(w.stride, per_axis(node, kStrides, axes, 1, 1, ctx));
  WEFT_TRY(w.dilation, per_axis(node, kDilations, axes, 1, 1, ctx));
  const std::string padding = get_string(node.attributes, std::string(kPadding), "valid");
  if (padding == "explicit") {
    WEFT_TRY(w.before, per_axis(node, kBefore, axes, 0, 0, ctx));
    WEFT_TRY(w.after, per_axis(node, kAfter, axes, 0, 0, ctx));
  } else if (padding == "valid" || padding == "same" || padding == "same_lower" || padding == "causal") {
    w.before.assign(axes, 0);
    w.after.assign(axes, 0);
    for (std::size_t d = 0; d < axes && padding != "valid"; ++d) {
      const std::int64_t reach = (kernel[d] - 1) * w.dilation[d];
      if (padding == "causal") {
        w.before[d] = reach;
        continue;
      }
      const std::int64_t positions = (x[d] + w.stride[d] - 1) / w.stride[d];
      const std::int64_t total = std::max<std::int64_t>((positions - 1) * w.stride[d] + reach + 1 - x[d], 0);
      w.before[d] = padding == "same" ? total / 2 : total - total / 2;
      w.after[d] = total - w.before[d];
    }
  } else {
    return ctx.fail(Kind::AttributeUnsupported, node.origin,
                    fmt::format("padding `{}` is not known; use valid, same, same_lower, causal or explicit", padding));
  }
  for (std::size_t d = 0; d < axes; ++d) {
    if (kernel[d] < 1 || kernel[d] > kMaxExtent)
      return ctx.fail(Kind::ShapeMismatch, node.origin, fmt::format("a window of extent {} is impossible", kernel[d]));
    const std::int64_t room = x[d] + w.before[d] + w.after[d] - (kernel[d] - 1) * w.dilation[d] - 1;
    if (room < 0)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("a window of {} with dilation {} does not fit axis {} of {}", kernel[d],
                                  w.dilation[d], d, weft::to_string(x)));
    // Rounded up, but a window must begin in the input or its padding before.
    if (get_bool(node.attributes, std::string(kCeil), false) && room % w.stride[d] != 0 &&
        (room / w.stride[d] + 1) * w.stride[d] < x[d] + w.before[d])
      w.after[d] += w.stride[d] - room % w.stride[d];
  }
  return w;
}

Shape positions_of(const exact::Window& window, const Shape& x) {
  Shape out;
  for (std::size_t d = 0; d < window.kernel.size(); ++d)
    out.push_back((x[d] + window.before[d] + window.after[d] - (window.kernel[d] - 1) * window.dilation[d] - 1) /
                      window.stride[d] +
                  1);
  return out;
}

Shape window_shape(const exact::Window& window, const Shape& x) {
  Shape out = positions_of(window, x);
  out.push_back(element_count(window.kernel) * x.back());
  return out;
}

}  // namespace weft::layers
