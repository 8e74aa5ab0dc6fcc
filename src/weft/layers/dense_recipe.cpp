// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/dense_recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/fixed/quantize.h"

namespace weft::layers {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::denominator;
using boost::multiprecision::numerator;

/// Codes of the kernel when the inputs have a scale each: row i times s_i, on the grid that all of them share. The
/// scale of the inputs is then that grid. Fails when the grown codes leave 62 bits.
struct Absorbed {
  std::vector<std::int64_t> codes;
  Rational input_scale;
};
std::optional<Absorbed> absorb_input_scales(const IntegerParameter& kernel, const Scale& scale, std::int64_t n_in,
                                            std::int64_t n_out) {
  if (scale.per_tensor()) return Absorbed{kernel.codes.data, scale.at(0)};
  cpp_int common = 1;
  for (const auto& f : scale.factors) common = boost::multiprecision::lcm(common, cpp_int(denominator(f)));
  cpp_int gcd = 0;
  for (const auto& f : scale.factors)
    gcd = boost::multiprecision::gcd(gcd, cpp_int(numerator(f) * (common / denominator(f))));
  const Rational grid = Rational(gcd) / Rational(common);
  Absorbed out{kernel.codes.data, grid};
  for (std::int64_t i = 0; i < n_in; ++i) {
    const auto factor = fixed::to_int(cpp_int(numerator(Rational(scale.at(static_cast<std::size_t>(i)) / grid))));
    if (!factor) return std::nullopt;
    for (std::int64_t o = 0; o < n_out; ++o) {
      auto& code = out.codes[static_cast<std::size_t>(i * n_out + o)];
      const auto product = fixed::checked_mul(code, *factor);
      if (!product || *product > (Int{1} << 62) || *product < -(Int{1} << 62)) return std::nullopt;
      code = static_cast<std::int64_t>(*product);
    }
  }
  return out;
}

/// How many bits finer than the products' grid the bias lies, or nullopt when it is on no such grid up to 32 bits.
std::optional<int> bias_refinement(const std::vector<Rational>& bias_codes) {
  int bits = 0;
  for (const auto& b : bias_codes) {
    const auto log2 = fixed::log2_exact(Rational(denominator(b)));
    if (!log2 || *log2 > 32) return std::nullopt;
    bits = std::max(bits, *log2);
  }
  return bits;
}

}  // namespace

/// Largest float32 difference that any order of the framework's additions can make, per output: each of the n products
/// and the operands behind them is rounded once, every partial sum once more (Higham, Accuracy and Stability of
/// Numerical Algorithms, section 4.2): gamma_k = k u / (1 - k u), u = 2^-24.
double order_bound(double magnitude, std::int64_t terms) {
  const double ku = static_cast<double>(terms + 3) * 0x1p-24;
  return magnitude * ku / (1.0 - ku);
}

Result<void> lower_dense(const nn::Node& node, Recipe& recipe, const IntegerParameter& kernel,
                         const std::optional<IntegerParameter>& bias, Context& ctx) {
  // Copied: the certificate of an input layer may grow the tables behind references.
  const Symbol input = recipe.input(node);
  WEFT_TRY(const Recipe::Codes x, recipe.codes(node, input, true));
  return lower_product(node, recipe, x, kernel, bias, ctx);
}

Result<std::optional<IntegerParameter>> bias_parameter(const nn::Node& node, Recipe& recipe,
                                                       const IntegerParameter& kernel, const std::string& role) {
  const auto it = node.parameters.find(role);
  if (it == node.parameters.end()) return std::optional<IntegerParameter>();
  if (!kernel.chosen && !it->second.quantizer && !it->second.quantized) {
    const auto& values = it->second.values;
    return std::optional<IntegerParameter>(IntegerParameter{values, IntTensor(values.shape), Scale(), false, {}});
  }
  WEFT_TRY(auto bias, recipe.integer_parameter(node, role));
  return std::optional<IntegerParameter>(std::move(bias));
}

Result<void> lower_product(const nn::Node& node, Recipe& recipe, const Recipe::Codes& x, const IntegerParameter& kernel,
                           const std::optional<IntegerParameter>& bias, Context& ctx) {
  WEFT_TRY(Symbol out, product(node, node.name, recipe, x, kernel, bias, ctx));
  const auto activation = node.functions.find("activation");
  if (activation != node.functions.end()) {
    WEFT_TRY(out, recipe.apply(node, std::move(out), activation->second));
  }
  return recipe.set_output(node, std::move(out));
}

Result<Symbol> product(const nn::Node& node, const std::string& name, Recipe& recipe, const Recipe::Codes& x,
                       const IntegerParameter& kernel, const std::optional<IntegerParameter>& bias, Context& ctx) {
  const std::int64_t n_in = kernel.codes.shape.at(0);
  const std::int64_t n_out = kernel.codes.shape.at(1);
  const auto outputs = static_cast<std::size_t>(n_out);
  const Scale x_scale = recipe.value(x.value).scale;
  const auto absorbed = absorb_input_scales(kernel, x_scale, n_in, n_out);
  if (!absorbed)
    return ctx.fail(
        Kind::TypeTooWide, node.origin,
        "the inputs' scales differ too much to meet in one integer sum; give the layer in front a result type");

  // Real value of one unit of the sum, per output; the bias and the input's offset in such units.
  std::vector<Rational> unit(outputs);
  for (std::size_t o = 0; o < outputs; ++o) unit[o] = absorbed->input_scale * kernel.scale.at(o);
  std::vector<Rational> bias_codes(outputs, Rational(0));
  if (x.offset != 0) {
    for (std::size_t o = 0; o < outputs; ++o) {
      Int sum = 0;
      for (std::int64_t i = 0; i < n_in; ++i) sum += kernel.codes.data[static_cast<std::size_t>(i) * outputs + o];
      bias_codes[o] = x.offset * fixed::rational_from_int(sum) * kernel.scale.at(o) / unit[o];
    }
  }
  const bool bias_on_grid = [&] {
    if (!bias) return true;
    for (std::size_t o = 0; o < outputs; ++o)
      if (!fixed::log2_exact(unit[o])) return false;
    return true;
  }();
  bool bias_pending = false;
  std::vector<Rational> with_bias = bias_codes;
  if (bias) {
    for (std::size_t o = 0; o < outputs; ++o)
      with_bias[o] += fixed::rational_from_double(bias->values.data[o]) / unit[o];
    bias_pending = !bias_on_grid || !bias_refinement(with_bias);
    if (!bias_pending) bias_codes = with_bias;
  }
  const auto refinement = bias_refinement(bias_codes);
  if (!refinement)
    return ctx.fail(Kind::LoweringUnsupported, node.origin,
                    "the input's offset does not fall on the grid of the products; declare the input behind the affine "
                    "part with --input-type");
  std::vector<std::int64_t> weights = absorbed->codes;
  for (auto& w : weights) {
    const auto refined = fixed::checked_shift_left(w, *refinement);
    if (!refined || *refined > std::numeric_limits<std::int64_t>::max() ||
        *refined < std::numeric_limits<std::int64_t>::min())
      return ctx.fail(Kind::TypeTooWide, node.origin,
                      "the bias is too fine for the products' grid; quantize the bias more coarsely");
    w = static_cast<std::int64_t>(*refined);
  }
  std::vector<Int> bias_ints(outputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    unit[o] /= fixed::pow2(*refinement);
    const Rational code = bias_codes[o] * fixed::pow2(*refinement);
    const auto as_int = fixed::to_int(cpp_int(numerator(code)));
    if (!as_int)
      return ctx.fail(Kind::TypeTooWide, node.origin, "the bias does not fit 128 bits on the products' grid");
    bias_ints[o] = *as_int;
  }
  if (std::all_of(unit.begin(), unit.end(), [&](const auto& u) { return u == unit[0]; })) unit.resize(1);

  exact::MatVec matvec{x.value, n_in, n_out, weights, bias_ints, std::nullopt};
  Scale scale(unit);
  const auto accumulator = recipe.policy().accumulator(node);
  if (accumulator) {
    const auto log2 = fixed::log2_exact(unit[0]);
    if (unit.size() != 1 || !log2)
      return ctx.fail(Kind::ConfigInvalid, node.origin,
                      "an accumulator type can only be forced where all scales are one power of two");
    matvec.accumulator = exact::MatVec::ForcedAccumulator{*accumulator, -*log2};
    scale = Scale(fixed::pow2(-accumulator->frac_bits()));
    recipe.weaken(node, Word::Quantized, fmt::format("accumulator as {}", fixed::to_string(*accumulator)));
    ctx.report(Kind::SequentialAccumulator, node.origin,
               fmt::format("the accumulator {} is applied after every addition, in index order",
                           fixed::to_string(*accumulator)));
  }

  // Certificate: all partial sums fit the float mantissa in whatever order the framework adds.
  const exact::Value& xv = recipe.value(x.value);
  std::vector<Int> largest_of(static_cast<std::size_t>(n_in), 0);
  std::vector<int> step_of(static_cast<std::size_t>(n_in), 126);
  for (std::size_t e = 0; e < xv.ranges.size(); ++e) {
    const auto& r = xv.ranges[e];
    const std::size_t i = e % static_cast<std::size_t>(n_in);
    largest_of[i] = std::max({largest_of[i], r.hi, -r.lo});
    step_of[i] = std::min(step_of[i], r.step_log2);
  }
  std::vector<double> bounds(outputs, 0.0);
  bool exact = true;
  for (std::size_t o = 0; o < outputs; ++o) {
    const Rational& u = unit[unit.size() == 1 ? 0 : o];
    Int worst = 0;
    int grid = 126;
    std::int64_t terms = 0;
    double uncertain = bias && !bias->uncertainty.empty() ? bias->uncertainty[o] : 0.0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(n_in); ++i) {
      const Int w = weights[i * outputs + o];
      const float difference = kernel.uncertainty.empty() ? 0.0F : kernel.uncertainty[i * outputs + o];
      if (w == 0 && difference == 0.0F) continue;
      terms += w == 0 ? 0 : 1;
      const Int largest = largest_of[i];
      if (difference != 0.0F)
        uncertain += difference * fixed::to_double(x_scale.at(i) * fixed::rational_from_int(largest) +
                                                   boost::multiprecision::abs(x.offset));
      if (w == 0) continue;
      worst += (w < 0 ? -w : w) * largest;
      grid = std::min(grid, step_of[i] + fixed::trailing_zeros(w));
    }
    if (bias_ints[o] != 0) {
      worst += bias_ints[o] < 0 ? -bias_ints[o] : bias_ints[o];
      grid = std::min(grid, fixed::trailing_zeros(bias_ints[o]));
      ++terms;
    }
    const bool here = terms == 0 || (fixed::log2_exact(u) && fixed::floor_shift(worst, grid) < (Int{1} << 24));
    if (here && uncertain == 0.0) continue;
    exact = false;
    bounds[o] = uncertain + (here ? 0.0 : order_bound(fixed::to_double(u) * static_cast<double>(worst), terms));
  }

  Symbol out;
  WEFT_TRY(out.value, recipe.add(name, std::move(matvec), std::move(scale), node.origin));
  out.typed = !kernel.chosen;
  out.layer = node.name;
  recipe.certificate(node.name, node.op);
  if (!exact && !kernel.chosen && !accumulator) {
    out.order_bound = bounds;
    out.sum_layer = node.name;
  }
  if (bias_pending) {
    exact::ReadoutStep step{exact::ReadoutStep::Op::Add, bias->values.data};
    WEFT_TRY(out, recipe.push(node, std::move(out), std::move(step)));
  }
  return out;
}

void evaluate_dense(const std::vector<float>& x, const FloatTensor& kernel, const FloatTensor* bias,
                    std::vector<float>& y) {
  const auto n_in = static_cast<std::size_t>(kernel.shape[0]);
  const auto n_out = static_cast<std::size_t>(kernel.shape[1]);
  const std::size_t rows = n_in == 0 ? 0 : x.size() / n_in;
  y.assign(rows * n_out, 0.0F);
  for (std::size_t r = 0; r < rows; ++r) {
    float* out = y.data() + r * n_out;
    for (std::size_t i = 0; i < n_in; ++i) {
      const float xi = x[r * n_in + i];
      const float* w = kernel.data.data() + i * n_out;
      for (std::size_t o = 0; o < n_out; ++o) out[o] += xi * w[o];
    }
    if (bias != nullptr)
      for (std::size_t o = 0; o < n_out; ++o) out[o] += bias->data[o];
  }
}

Result<Shape> dense_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Shape shape = graph.at(node.inputs[0]).shape;
  const auto& kernel = node.parameters.at("kernel").values.shape;
  if (kernel.size() != 2 || shape.empty() || shape.back() != kernel[0] || kernel[0] < 1 || kernel[1] < 1)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("the input has shape {}, the kernel {}; its first extent must be the input's last",
                                weft::to_string(shape), weft::to_string(kernel)));
  const auto bias = node.parameters.find("bias");
  if (bias != node.parameters.end() && bias->second.values.size() != kernel[1])
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("the bias has {} elements for {} outputs", bias->second.values.size(), kernel[1]));
  shape.back() = kernel[1];
  return shape;
}

std::int64_t dense_macs(const nn::Graph& graph, const nn::Node& node) {
  const auto& kernel = node.parameters.at("kernel").values;
  return element_count(graph.at(node.inputs[0]).shape) / std::max<std::int64_t>(kernel.shape.at(0), 1) * kernel.size();
}

}  // namespace weft::layers
