// SPDX-License-Identifier: Apache-2.0
// Pools, adaptive pools, upsampling, pixel shuffles.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

constexpr std::int64_t kMaxCells = 1024;

Result<void> require_axes(const AtenCall& call, const Value& x, std::size_t axes) {
  if (shape_of(x).size() == axes + 2) return {};
  return call.fail(
      Kind::ShapeMismatch,
      fmt::format("data of shape {}; the batch, channels and {} spatial axes are read", to_string(shape_of(x)), axes));
}

struct Pool {
  std::vector<std::int64_t> kernel, strides, padding, dilations;
  bool ceil = false;

  [[nodiscard]] Attributes attributes() const {
    std::vector<std::int64_t> pads = padding;
    pads.insert(pads.end(), padding.begin(), padding.end());
    return {{"kernel_shape", kernel}, {"strides", strides}, {"pads", pads}, {"ceil_mode", ceil ? 1 : 0}};
  }
};

Result<Pool> read_pool(AtenCall& call, std::size_t axes) {
  Pool out;
  WEFT_TRY(out.kernel, call.integers("kernel_size", axes, 1));
  WEFT_TRY(out.strides, call.integers("stride"));
  if (out.strides.empty()) out.strides = out.kernel;
  if (out.strides.size() == 1) out.strides.resize(axes, out.strides.front());
  if (out.strides.size() != axes) return call.fail(Kind::ShapeMismatch, "strides do not fit the axes");
  WEFT_TRY(out.padding, call.integers("padding", axes, 0));
  WEFT_TRY(out.ceil, call.flag("ceil_mode", false));
  return out;
}

template <std::size_t Axes>
Result<Values> max_pool(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY_VOID(require_axes(call, x, Axes));
  WEFT_TRY(const Pool pool, read_pool(call, Axes));
  WEFT_TRY(const auto dilations, call.integers("dilation", Axes, 1));
  Attributes attributes = pool.attributes();
  attributes.emplace("dilations", dilations);
  if (call.uses_output(1))
    return call.fail(Kind::LayerUnsupported,
                     "the positions of the largest elements are used; only their values are read");
  return call.onnx("MaxPool", {x}, attributes);
}

template <std::size_t Axes>
Result<Values> avg_pool(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY_VOID(require_axes(call, x, Axes));
  WEFT_TRY(const Pool pool, read_pool(call, Axes));
  WEFT_TRY(const bool counts, call.flag("count_include_pad", true));
  WEFT_TRY(const std::int64_t divisor, call.integer("divisor_override", 0));
  Attributes attributes = pool.attributes();
  attributes.emplace("count_include_pad", counts || divisor != 0 ? 1 : 0);
  if (divisor == 0) return call.onnx("AveragePool", {x}, attributes);
  if (divisor < 0 || pool.ceil)
    return call.fail(
        Kind::AttributeUnsupported,
        fmt::format("`divisor_override` is {}; it is read when positive and without `ceil_mode`", divisor));
  double area = 1;
  for (const auto extent : pool.kernel) area *= static_cast<double>(extent);
  WEFT_TRY(const Value mean, call.one("AveragePool", {x}, attributes, false));
  return call.onnx("Mul", {mean, number(static_cast<float>(area / static_cast<double>(divisor)))});
}

/// PyTorch's windows: floor(i n / m) to ceil((i + 1) n / m).
struct Adaptive {
  std::vector<std::int64_t> begin, end;

  Adaptive(std::int64_t n, std::int64_t m) {
    for (std::int64_t i = 0; i < m; ++i) {
      begin.push_back(i * n / m);
      end.push_back(((i + 1) * n + m - 1) / m);
    }
  }
  [[nodiscard]] std::int64_t length() const { return end.front() - begin.front(); }
  [[nodiscard]] std::int64_t stride() const { return begin.size() > 1 ? begin[1] - begin[0] : 1; }
  /// An ordinary pool has windows of one length at equal distances.
  [[nodiscard]] bool regular() const {
    for (std::size_t i = 0; i < begin.size(); ++i) {
      if (end[i] - begin[i] != length() || begin[i] != static_cast<std::int64_t>(i) * stride()) return false;
    }
    return true;
  }
};

/// PyTorch divides the sum of an adaptive pool's window by its height, then by its width.
void divide_by_axis(AtenCall& call, const Value& pooled) {
  for (auto& node : call.builder.graph.nodes) {
    if (node.outputs[0] == pooled.dynamic->tensor) node.attributes["divide_by_axis"] = true;
  }
}

Result<Values> adaptive_pool(AtenCall& call, std::size_t axes, bool largest) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY_VOID(require_axes(call, x, axes));
  WEFT_TRY(const auto sizes, call.integers("output_size", axes, 1));
  if (largest && call.uses_output(1))
    return call.fail(Kind::LayerUnsupported,
                     "the positions of the largest elements are used; only their values are read");
  const Shape& shape = shape_of(x);
  std::vector<Adaptive> windows;
  std::int64_t cells = 1;
  for (std::size_t d = 0; d < axes; ++d) {
    if (sizes[d] < 1 || sizes[d] > (std::int64_t{1} << 20) || shape[d + 2] < 1)
      return call.fail(Kind::ShapeMismatch, fmt::format("`output_size` is {}", to_string(sizes)));
    windows.emplace_back(shape[d + 2], sizes[d]);
    cells = std::min<std::int64_t>(cells * sizes[d], std::int64_t{1} << 30);
  }
  const std::string global = largest ? "GlobalMaxPool" : "GlobalAveragePool";
  if (cells == 1) return call.onnx(global, {x});
  if (std::all_of(windows.begin(), windows.end(), [](const Adaptive& w) { return w.regular(); })) {
    Pool pool;
    for (const auto& w : windows) {
      pool.kernel.push_back(w.length());
      pool.strides.push_back(w.stride());
      pool.padding.push_back(0);
    }
    WEFT_TRY(const Value pooled, call.one(largest ? "MaxPool" : "AveragePool", {x}, pool.attributes()));
    if (!largest) divide_by_axis(call, pooled);
    return Values{pooled};
  }
  if (cells > kMaxCells)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("{} windows of different sizes; up to {} are read, or sizes that divide the data's",
                                 cells, kMaxCells));
  // Each window is cut out and pooled; then they are joined, the last axis first.
  std::vector<std::int64_t> all(axes);
  std::iota(all.begin(), all.end(), std::int64_t{2});
  std::vector<std::int64_t> at(axes, 0);
  std::vector<Value> parts;
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    std::vector<std::int64_t> begin, end;
    for (std::size_t d = 0; d < axes; ++d) {
      begin.push_back(windows[d].begin[static_cast<std::size_t>(at[d])]);
      end.push_back(windows[d].end[static_cast<std::size_t>(at[d])]);
    }
    WEFT_TRY(const Value cut, call.one("Slice",
                                       {x, int_constant(begin), int_constant(end), int_constant(all),
                                        int_constant(std::vector<std::int64_t>(axes, 1))},
                                       {}, false));
    WEFT_TRY(Value pooled, call.one(global, {cut}, {}, false));
    if (!largest) divide_by_axis(call, pooled);
    parts.push_back(std::move(pooled));
    for (std::size_t d = axes; d-- > 0;) {
      if (++at[d] < sizes[d]) break;
      at[d] = 0;
    }
  }
  for (std::size_t d = axes; d-- > 0;) {
    std::vector<Value> joined;
    const auto count = static_cast<std::size_t>(sizes[d]);
    for (std::size_t i = 0; i < parts.size(); i += count) {
      const Values row(parts.begin() + static_cast<std::ptrdiff_t>(i),
                       parts.begin() + static_cast<std::ptrdiff_t>(i + count));
      WEFT_TRY(Value line, call.one("Concat", row, {{"axis", static_cast<std::int64_t>(d) + 2}}, d == 0));
      joined.push_back(std::move(line));
    }
    parts = std::move(joined);
  }
  return Values{parts.front()};
}

template <std::size_t Axes, bool Largest>
Result<Values> adaptive(AtenCall& call) {
  return adaptive_pool(call, Axes, Largest);
}

struct Scaling {
  const char* mode;
  const char* transformation;
  const char* nearest;
};

Result<Values> resize(AtenCall& call, std::size_t axes, const Scaling& how) {
  WEFT_TRY(const Value x, call.tensor(call.has("self") ? "self" : "input"));
  WEFT_TRY_VOID(require_axes(call, x, axes));
  WEFT_TRY(auto sizes, call.integers("output_size"));
  WEFT_TRY(auto factors, call.reals("scale_factors"));
  WEFT_TRY(const bool corners, call.flag("align_corners", false));
  const char* const names[] = {"scales_d", "scales_h", "scales_w"};
  for (std::size_t d = 0; d < axes && factors.size() < axes; ++d) {
    const std::string name = axes == 1 ? "scales" : names[d + 3 - std::min<std::size_t>(axes, 3)];
    if (call.has(name)) {
      WEFT_TRY(const double factor, call.real(name));
      factors.push_back(factor);
    }
  }
  // Where corners meet corners, PyTorch counts whole elements of the result and ONNX the extent times the factor.
  if (corners && sizes.empty() && factors.size() == axes) {
    for (std::size_t d = 0; d < axes; ++d) {
      const double extent = std::floor(static_cast<double>(shape_of(x)[2 + d]) * factors[d]);
      if (!(extent >= 1.0 && extent < 0x1p31)) return call.fail(Kind::ShapeMismatch, "the factors leave nothing");
      sizes.push_back(static_cast<std::int64_t>(extent));
    }
    factors.clear();
  }
  std::vector<float> scales(2, 1.0F);
  scales.insert(scales.end(), factors.begin(), factors.end());
  Shape wanted(shape_of(x).begin(), shape_of(x).begin() + 2);
  wanted.insert(wanted.end(), sizes.begin(), sizes.end());
  Values inputs{x, Value()};
  if (factors.size() == axes) {
    inputs.emplace_back(float_constant(scales, {static_cast<std::int64_t>(scales.size())}));
  } else if (sizes.size() == axes) {
    inputs.emplace_back();
    inputs.emplace_back(int_constant(wanted));
  } else {
    return call.fail(Kind::ShapeMismatch, "neither `output_size` nor the factors fit the axes");
  }
  Attributes attributes{{"mode", how.mode},
                        {"coordinate_transformation_mode", corners ? "align_corners" : how.transformation}};
  if (how.nearest != nullptr) attributes.emplace("nearest_mode", how.nearest);
  return call.onnx("Resize", std::move(inputs), attributes);
}

template <std::size_t Axes>
Result<Values> nearest(AtenCall& call) {
  return resize(call, Axes, {"nearest", "asymmetric", "floor"});
}
template <std::size_t Axes>
Result<Values> nearest_exact(AtenCall& call) {
  return resize(call, Axes, {"nearest", "half_pixel", "round_prefer_ceil"});
}
template <std::size_t Axes>
Result<Values> bilinear(AtenCall& call) {
  return resize(call, Axes, {"linear", "half_pixel", nullptr});
}
Result<Values> bicubic(AtenCall& call) { return resize(call, 2, {"cubic", "half_pixel", nullptr}); }

Result<Value> reshaped(const AtenCall& call, const Value& x, std::vector<std::int64_t> shape, bool main) {
  return call.one("Reshape", {x, int_constant(std::move(shape))}, {}, main);
}

Result<Values> pixel_shuffle(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t factor, call.integer("upscale_factor"));
  return call.onnx("DepthToSpace", {x}, {{"blocksize", factor}, {"mode", "CRD"}});
}

Result<Values> pixel_unshuffle(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY_VOID(require_axes(call, x, 2));
  WEFT_TRY(const std::int64_t r, call.integer("downscale_factor"));
  const Shape shape = shape_of(x);
  if (r < 1 || r > (1 << 15) || shape[2] % r != 0 || shape[3] % r != 0)
    return call.fail(Kind::ShapeMismatch, fmt::format("blocks of {} do not fill {}", r, to_string(shape)));
  WEFT_TRY(const Value apart, reshaped(call, x, {shape[0], shape[1], shape[2] / r, r, shape[3] / r, r}, false));
  WEFT_TRY(const Value moved,
           call.one("Transpose", {apart}, {{"perm", std::vector<std::int64_t>{0, 1, 3, 5, 2, 4}}}, false));
  WEFT_TRY(Value out, reshaped(call, moved, {shape[0], shape[1] * r * r, shape[2] / r, shape[3] / r}, true));
  return Values{std::move(out)};
}

Result<Values> channel_shuffle(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t groups, call.integer("groups"));
  const Shape shape = shape_of(x);
  if (shape.size() < 3 || groups < 1 || shape[1] % groups != 0)
    return call.fail(Kind::ShapeMismatch, fmt::format("{} groups of channels in {}", groups, to_string(shape)));
  Shape apart{shape[0], groups, shape[1] / groups};
  apart.insert(apart.end(), shape.begin() + 2, shape.end());
  std::vector<std::int64_t> permutation(apart.size());
  std::iota(permutation.begin(), permutation.end(), std::int64_t{0});
  std::swap(permutation[1], permutation[2]);
  WEFT_TRY(const Value split, reshaped(call, x, apart, false));
  WEFT_TRY(const Value moved, call.one("Transpose", {split}, {{"perm", permutation}}, false));
  WEFT_TRY(Value out, reshaped(call, moved, shape, true));
  return Values{std::move(out)};
}

}  // namespace

AtenRows pool_rows() {
  return {{"aten._adaptive_avg_pool2d", adaptive<2, false>},
          {"aten._adaptive_avg_pool3d", adaptive<3, false>},
          {"aten._upsample_nearest_exact1d", nearest_exact<1>},
          {"aten._upsample_nearest_exact2d", nearest_exact<2>},
          {"aten._upsample_nearest_exact3d", nearest_exact<3>},
          {"aten.adaptive_avg_pool1d", adaptive<1, false>},
          {"aten.adaptive_avg_pool2d", adaptive<2, false>},
          {"aten.adaptive_avg_pool3d", adaptive<3, false>},
          {"aten.adaptive_max_pool1d", adaptive<1, true>, "values"},
          {"aten.adaptive_max_pool2d", adaptive<2, true>, "values"},
          {"aten.adaptive_max_pool3d", adaptive<3, true>, "values"},
          {"aten.avg_pool1d", avg_pool<1>},
          {"aten.avg_pool2d", avg_pool<2>},
          {"aten.avg_pool3d", avg_pool<3>},
          {"aten.channel_shuffle", channel_shuffle},
          {"aten.max_pool1d", max_pool<1>},
          {"aten.max_pool1d_with_indices", max_pool<1>, "values"},
          {"aten.max_pool2d", max_pool<2>},
          {"aten.max_pool2d_with_indices", max_pool<2>, "values"},
          {"aten.max_pool3d", max_pool<3>},
          {"aten.max_pool3d_with_indices", max_pool<3>, "values"},
          {"aten.native_channel_shuffle", channel_shuffle},
          {"aten.pixel_shuffle", pixel_shuffle},
          {"aten.pixel_unshuffle", pixel_unshuffle},
          {"aten.upsample_bicubic2d", bicubic},
          {"aten.upsample_bilinear2d", bilinear<2>},
          {"aten.upsample_linear1d", bilinear<1>},
          {"aten.upsample_nearest1d", nearest<1>},
          {"aten.upsample_nearest2d", nearest<2>},
          {"aten.upsample_nearest3d", nearest<3>},
          {"aten.upsample_trilinear3d", bilinear<3>}};
}

}  // namespace weft::formats::torch
