// SPDX-License-Identifier: Apache-2.0
// Layers that are sums of products. Every product is cast to the accumulator type, the accumulator starts at the bias,
// products are added one after the other, the sum is cast to the result type. Where no cast can lose anything, or where
// sums only wrap, this is the exact sum, which is what is built then.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "weft/fixed/quantize.h"
#include "weft/layers/geometry.h"
#include "weft/lower/hls4ml/lowering.h"

namespace weft::lower::hls4ml {
namespace {

using fixed::FixedType;

/// What the casts to the accumulator can do to the products and sums of a matrix-vector product.
struct Losses {
  bool rounding = false;
  bool overflow = false;
};

Losses losses_of(const exact::Value& x, const ProductSum& s, const std::vector<Int>& weights,
                 const std::vector<Int>& bias, int grid) {
  Losses out;
  const FixedType& a = s.accum;
  const int drop = grid - a.frac_bits();
  const auto n_in = static_cast<std::size_t>(s.n_in);
  const auto n_out = static_cast<std::size_t>(s.n_out);
  const auto limit = [&](Int code) {  // a code of the accumulator's bounds on the products' grid
    return drop >= 0 ? fixed::checked_shift_left(code, drop) : std::optional(fixed::floor_shift(code, -drop));
  };
  const auto lowest = limit(fixed::min_code(a));
  const auto highest = limit(fixed::max_code(a));
  for (std::size_t o = 0; o < n_out; ++o) {
    const Int b = bias.empty() ? 0 : bias[o];
    if (b != 0 && fixed::trailing_zeros(b) < drop) out.rounding = true;
    for (std::size_t i = 0; i < n_in && !out.rounding; ++i) {
      const Int w = weights[i * n_out + o];
      if (w == 0) continue;
      for (std::size_t row = i; row < x.ranges.size(); row += n_in) {
        const auto& r = x.ranges[row];
        if (r.lo == 0 && r.hi == 0) continue;
        if (r.step_log2 + fixed::trailing_zeros(w) < drop) {
          out.rounding = true;
          break;
        }
      }
    }
    for (std::size_t first = 0; first < x.ranges.size() && !out.overflow; first += n_in) {
      Int lo = std::min<Int>(b, 0);
      Int hi = std::max<Int>(b, 0);
      for (std::size_t i = 0; i < n_in; ++i) {
        const Int w = weights[i * n_out + o];
        if (w == 0) continue;
        const auto& r = x.ranges[first + i];
        lo += std::min<Int>({w * r.lo, w * r.hi, 0});
        hi += std::max<Int>({w * r.lo, w * r.hi, 0});
      }
      if ((lowest && lo < *lowest) || (highest && hi > *highest)) out.overflow = true;
    }
  }
  return out;
}

/// The order in which hls4ml's Resource kernels visit the inputs of a sum: in steps of the reuse factor.
Result<std::vector<std::int64_t>> resource_order(Lowering& l, const nn::Node& node, std::int64_t n_in) {
  std::vector<std::int64_t> order;
  if (!l.types.resource(node)) return order;
  const std::int64_t reuse = l.types.reuse_factor(node);
  if (reuse > n_in || reuse <= 1) return order;  // one input after the other
  if (n_in % reuse != 0)
    return l.ctx.fail(
        Kind::ConfigInvalid, node.origin,
        fmt::format("hls4ml's Resource strategy takes reuse factors that divide {}, not {}", n_in, reuse));
  for (std::int64_t first = 0; first < reuse; ++first)
    for (std::int64_t i = first; i < n_in; i += reuse) order.push_back(i);
  return order;
}

/// Weights and bias of a layer, and the types hls4ml gives its sum.
struct Parameters {
  Weights kernel;
  std::vector<Int> bias;
  int bias_frac = 0;
  FixedType accum;
  FixedType result;
};

Result<Parameters> parameters_of(Lowering& l, const nn::Node& node, std::int64_t terms) {
  Parameters p;
  WEFT_TRY(p.kernel, l.weights(node, "kernel", "weight"));
  FixedType bias_type = plain(1, 1, false);  // what hls4ml gives a missing bias
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(Weights bias, l.weights(node, "bias", "bias"));
    bias_type = bias.type;
    p.bias = std::move(bias.codes);
    p.bias_frac = bias.frac_bits;
  }
  const Variable& x = l.in(node);
  const bool known = !x.bipolar && !p.kernel.bipolar;
  const FixedType inferred =
      known ? infer_product_sum(x.type, p.kernel.type, bias_type, terms, l.types.maximum()) : l.types.model_default();
  p.accum = l.type(node, "accum", inferred);
  p.result = l.type(node, "result", inferred);
  return p;
}

/// Both factors one bit wide: hls4ml counts equal bits, bias included, doubles, and takes the number of inputs off.
/// That is the sum itself, with twice the bias.
Result<exact::ValueId> sum_of(Lowering& l, const nn::Node& node, const ProductSum& s, bool both_bipolar) {
  if (!both_bipolar) return accumulate(l, node, s);
  ProductSum exact = s;
  const int bits = ceil_log2(s.n_in) + 2;
  if (s.accum.integer_bits < bits || s.accum.frac_bits() < 0)
    return l.unlike(node, fmt::format("hls4ml's count of equal bits does not fit {}", fixed::to_string(s.accum)));
  exact.accum = plain(bits + 64, bits + 64);
  for (auto& b : exact.bias) b *= 2;
  return accumulate(l, node, exact);
}

}  // namespace

Result<exact::ValueId> accumulate(Lowering& l, const nn::Node& node, const ProductSum& s) {
  const int products = l.frac_bits(s.x) + s.weight_frac;
  const int grid = s.bias.empty() ? products : std::max(products, s.bias_frac);
  const auto grow = [&](std::vector<Int> codes, int frac) -> std::optional<std::vector<Int>> {
    for (auto& c : codes) {
      const auto grown = fixed::checked_shift_left(c, grid - frac);
      if (!grown || *grown > std::numeric_limits<std::int64_t>::max() ||
          *grown < std::numeric_limits<std::int64_t>::min())
        return std::nullopt;
      c = *grown;
    }
    return codes;
  };
  const auto weights = grow(s.weights, products);
  const auto bias = grow(s.bias, s.bias_frac);
  if (!weights || !bias)
    return l.ctx.fail(Kind::TypeTooWide, node.origin,
                      "weights and bias on one grid need more than 63 bits; use narrower types");
  exact::MatVec matvec{s.x, s.n_in, s.n_out, {weights->begin(), weights->end()}, *bias, std::nullopt};
  if (matvec.bias.empty()) matvec.bias.assign(static_cast<std::size_t>(s.n_out), 0);
  const Losses losses = losses_of(l.value(s.x), s, *weights, matvec.bias, grid);
  const bool modular = s.accum.overflow == fixed::Overflow::Wrap && s.accum.saturation_bits == 0;
  if (!losses.rounding && (!losses.overflow || modular)) {
    WEFT_TRY(const auto sum, l.add(node, "_sum", std::move(matvec), grid));
    return l.fit(node, "_accum", sum, s.accum);
  }
  if (!s.order.empty() && !modular) {
    // The inputs in the order of the visits; the sum itself stays in index order.
    const Shape& shape = l.value(s.x).shape;
    exact::Gather gather{s.x, {}, 0};
    const std::int64_t rows = element_count(shape) / s.n_in;
    for (std::int64_t r = 0; r < rows; ++r)
      for (const auto i : s.order) gather.indices.push_back(r * s.n_in + i);
    WEFT_TRY(matvec.x, l.add(node, "_visits", std::move(gather), l.frac_bits(s.x), shape));
    std::vector<std::int64_t> visited;
    visited.reserve(matvec.weights.size());
    for (const auto i : s.order)
      for (std::int64_t o = 0; o < s.n_out; ++o)
        visited.push_back(matvec.weights[static_cast<std::size_t>(i * s.n_out + o)]);
    matvec.weights = std::move(visited);
  }
  matvec.accumulator = exact::MatVec::ForcedAccumulator{s.accum, grid};
  l.ctx.report(Kind::SequentialAccumulator, node.origin,
               fmt::format("the accumulator {} is applied after every addition", fixed::to_string(s.accum)));
  return l.add(node, "_accum", std::move(matvec), s.accum.frac_bits());
}

Result<void> lower_dense(Lowering& l, const nn::Node& node) {
  const Shape& kernel = node.parameters.at("kernel").values.shape;
  WEFT_TRY(Parameters p, parameters_of(l, node, kernel.at(0)));
  const Variable x = l.in(node);
  WEFT_TRY(auto order, resource_order(l, node, kernel.at(0)));
  const ProductSum s{x.value,           kernel.at(0), kernel.at(1), std::move(p.kernel.codes), p.kernel.frac_bits,
                     std::move(p.bias), p.bias_frac,  p.accum,      std::move(order)};
  WEFT_TRY(const auto sum, sum_of(l, node, s, x.bipolar && p.kernel.bipolar));
  return l.finish(node, sum, p.result, "accumulator " + fixed::to_string(p.accum));
}

Result<void> lower_conv(Lowering& l, const nn::Node& node) {
  const bool depthwise = node.op == "DepthwiseConv";
  const Shape& x_shape = l.shape(node.inputs[0]);
  const Shape& kernel = node.parameters.at("kernel").values.shape;
  const Shape spatial(kernel.begin(), kernel.end() - 2);
  const std::int64_t taps = element_count(spatial);
  const std::int64_t channels = x_shape.back();
  if (get_int(node.attributes, "groups", 1) != 1) return l.unlike(node, "hls4ml 1.3 ignores `groups`");
  const auto dilations = get_ints(node.attributes, "dilations");
  if (std::any_of(dilations.begin(), dilations.end(), [](auto d) { return d != 1; }))
    return l.unlike(node, "hls4ml 1.3 ignores dilation");
  if (depthwise && kernel.back() != 1) return l.unlike(node, "hls4ml 1.3 has no depth multiplier");
  WEFT_TRY(Parameters p, parameters_of(l, node, depthwise ? taps : taps * channels));
  const Variable x = l.in(node);
  WEFT_TRY(auto window, layers::window_of(node, x_shape, spatial, l.ctx));
  window.x = x.value;
  exact::ValueId columns = x.value;
  const Shape to = layers::window_shape(window, x_shape);
  if (to != l.value(x.value).shape) {
    WEFT_TRY(columns, l.add(node, "_window", std::move(window), l.frac_bits(x.value)));
  }
  const std::int64_t n_in = taps * channels;
  const std::int64_t n_out = depthwise ? channels : kernel.back();
  std::vector<Int> matrix = std::move(p.kernel.codes);
  if (depthwise) {
    std::vector<Int> blocks(static_cast<std::size_t>(n_in * n_out), 0);
    for (std::int64_t t = 0; t < taps; ++t)
      for (std::int64_t c = 0; c < channels; ++c)
        blocks[static_cast<std::size_t>((t * channels + c) * n_out + c)] =
            matrix[static_cast<std::size_t>(t * channels + c)];
    matrix = std::move(blocks);
  }
  std::vector<std::int64_t> order;
  if (!depthwise) {
    WEFT_TRY(order, resource_order(l, node, n_in));
  }
  const ProductSum s{columns,           n_in,        n_out,   std::move(matrix), p.kernel.frac_bits,
                     std::move(p.bias), p.bias_frac, p.accum, std::move(order)};
  WEFT_TRY(const auto sum, sum_of(l, node, s, x.bipolar && p.kernel.bipolar));
  return l.finish(node, sum, p.result, "accumulator " + fixed::to_string(p.accum));
}

/// x * scale + bias at full precision, one cast.
Result<void> lower_scale_bias(Lowering& l, const nn::Node& node) {
  const Variable x = l.in(node);
  const Shape& shape = l.shape(node.inputs[0]);
  const auto channels = static_cast<std::size_t>(shape.empty() ? 1 : shape.back());
  std::vector<float> scale;
  std::vector<float> bias;
  const auto values = [&](const std::string& key, float fallback) {
    const auto it = node.parameters.find(key);
    std::vector<float> out = it == node.parameters.end() ? std::vector<float>{fallback} : it->second.values.data;
    if (out.size() == 1) out.assign(channels, out[0]);
    return out;
  };
  if (node.op == "Rescaling") {
    scale = values("scale", 1.0F);
    bias = values("offset", 0.0F);
  } else {
    const auto epsilon = static_cast<float>(get_double(node.attributes, "epsilon", 1e-3));
    scale = values("gamma", 1.0F);
    bias = values("beta", 0.0F);
    const auto mean = values("mean", 0.0F);
    const auto variance = values("variance", 1.0F);
    for (std::size_t c = 0; c < channels; ++c) {
      scale[c] = scale[c] / std::sqrt(variance[c] + epsilon);
      const float moved = scale[c] * mean[c];
      bias[c] = bias[c] - moved;
    }
  }
  if (scale.size() != channels || bias.size() != channels)
    return l.unlike(node, "hls4ml scales along the last axis only");
  const FixedType scale_type = l.type(node, "scale", l.types.model_default());
  const FixedType bias_type = l.type(node, "bias", l.types.model_default());
  const FixedType result = l.type(node, "result", infer_scale_bias(x.type, scale_type, bias_type, l.types.maximum()));
  const Shape along{static_cast<std::int64_t>(channels)};
  WEFT_TRY(const auto factor,
           l.constant(node, "_scale", l.through_text(scale, scale_type), scale_type.frac_bits(), along));
  WEFT_TRY(const auto offset, l.constant(node, "_bias", l.through_text(bias, bias_type), bias_type.frac_bits(), along));
  WEFT_TRY(const auto product, l.product(node, "_product", x.value, factor));
  WEFT_TRY(const auto sum, l.sum(node, "_sum", product, offset));
  return l.finish(node, sum, result,
                  fmt::format("scale {}, bias {}", fixed::to_string(scale_type), fixed::to_string(bias_type)));
}

}  // namespace weft::lower::hls4ml
