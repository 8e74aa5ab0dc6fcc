// SPDX-License-Identifier: Apache-2.0
#include "weft/exact/random_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace weft::exact {
namespace {

using fixed::Overflow;
using fixed::Range;
using fixed::Rounding;

constexpr int kInputBits = 8;

/// Adds values one by one; what does not fit the options is dropped again.
class Builder {
 public:
  Builder(std::uint64_t seed, const RandomGraphOptions& options) : random_(seed), options_(options) {}

  Graph build() {
    graph_.name = "random";
    const std::int64_t inputs = options_.dense_layers > 0 ? 1 : random_.between(1, 3);
    for (std::int64_t i = 0; i < inputs; ++i) add_input();
    for (int i = 0; i < options_.dense_layers; ++i) {
      add_matvec(last());
      add_requant(last());
    }
    for (int i = 0; i < options_.steps; ++i) add_anything();
    add_outputs();
    return std::move(graph_);
  }

 private:
  [[nodiscard]] ValueId last() const { return {static_cast<std::uint32_t>(graph_.values.size() - 1)}; }
  /// Mostly something recent, so that graphs grow deep.
  ValueId pick() {
    const auto n = static_cast<std::int64_t>(graph_.values.size());
    const std::int64_t back =
        random_.one_in(3) ? random_.between(1, n) : random_.between(1, std::min<std::int64_t>(n, 3));
    return {static_cast<std::uint32_t>(n - back)};
  }
  [[nodiscard]] const Value& at(ValueId id) const { return graph_.at(id); }

  static int widest(const std::vector<Range>& ranges) {
    int width = 1;
    for (const auto& r : ranges) width = std::max(width, fixed::width_bits(r));
    return width;
  }

  Scale random_scale(const Shape& shape) {
    const auto factor = [&] {
      const Rational power = fixed::pow2(static_cast<int>(-random_.between(0, 12)));
      return random_.one_in(3) ? Rational(power * random_.between(1, 99)) : power;
    };
    if (shape.empty() || !random_.one_in(4)) return Scale(factor());
    std::vector<Rational> factors(static_cast<std::size_t>(shape.back()));
    for (auto& f : factors) f = factor();
    return Scale(std::move(factors));
  }

  /// Infers shape and ranges; false (and nothing added) when the codes would be too wide.
  bool add(Primitive primitive, Shape shape = {}) {
    Value value;
    value.name = fmt::format("v{}", graph_.values.size());
    value.shape = std::move(shape);
    value.primitive = std::move(primitive);
    value.origin.node = "node " + value.name;
    diag::Engine engine;
    Context ctx{engine};
    auto inferred_shape = infer_shape(graph_, value, ctx);
    WEFT_CHECK(inferred_shape.ok(), engine.all().empty() ? "" : engine.all().back().message);
    value.shape = *inferred_shape;
    auto ranges = infer_ranges(graph_, value, ctx);
    if (!ranges || widest(*ranges) > options_.max_width_bits) return false;
    value.ranges = std::move(*ranges);
    value.scale = random_scale(value.shape);
    graph_.values.push_back(std::move(value));
    return true;
  }

  Rounding random_rounding() { return static_cast<Rounding>(random_.between(0, 8)); }
  Overflow random_overflow() {
    return options_.every_overflow ? static_cast<Overflow>(random_.between(0, 4)) : Overflow::Sat;
  }

  fixed::FixedType random_type(int max_bits) {
    fixed::FixedType type;
    type.width_bits = static_cast<int>(random_.between(1, max_bits));
    type.integer_bits = static_cast<int>(random_.between(-2, type.width_bits + 2));
    type.is_signed = !random_.one_in(3);
    type.rounding = random_rounding();
    type.overflow = random_overflow();
    if (!type.is_signed && type.overflow == Overflow::WrapSm) type.overflow = Overflow::Wrap;
    const bool wraps = type.overflow == Overflow::Wrap || type.overflow == Overflow::WrapSm;
    if (wraps && random_.one_in(3))
      type.saturation_bits = static_cast<int>(random_.between(0, std::min(type.width_bits, 3)));
    return type;
  }

  void add_input() {
    GraphInput input;
    input.name = fmt::format("input {}", graph_.inputs.size());
    input.rule = "option";
    InputConversion& c = input.conversion;
    switch (random_.between(0, 5)) {
      case 0:
        c.form = InputConversion::Form::Bipolar;
        break;
      case 1:
        c.form = InputConversion::Form::Affine;
        c.scale = static_cast<float>(random_.between(1, 40)) * 0.01F;
        c.zero_point = static_cast<float>(random_.between(-4, 4));
        c.lo = random_.between(-20, 0);
        c.hi = random_.between(1, 40);
        c.rounding = random_rounding();
        c.round_first = random_.one_in(2);
        break;
      default:
        c.type = random_type(std::min(kInputBits, options_.max_width_bits));
    }
    Shape shape;
    for (std::int64_t d = random_.between(0, 2); d > 0; --d) {
      shape.push_back(random_.between(1, std::min<std::int64_t>(options_.max_extent, 3)));
    }
    shape.push_back(random_.between(1, options_.max_extent));
    Value value;
    value.name = fmt::format("v{}", graph_.values.size());
    value.shape = shape;
    value.ranges.assign(static_cast<std::size_t>(element_count(shape)), *conversion_range(c));
    value.scale = c.form == InputConversion::Form::Fixed ? Scale(fixed::pow2(-c.type.frac_bits())) : Scale();
    input.value = {static_cast<std::uint32_t>(graph_.values.size())};
    graph_.values.push_back(std::move(value));
    graph_.inputs.push_back(std::move(input));
  }

  std::int64_t random_weight() {
    const std::int64_t top = std::int64_t{1} << (options_.weight_bits - 1);
    switch (random_.between(0, 4)) {
      case 0:
        return 0;
      case 1:
        return (random_.one_in(2) ? -1 : 1) * (std::int64_t{1} << random_.between(0, options_.weight_bits - 1));
      default:
        return random_.between(-top, top - 1);
    }
  }

  bool add_matvec(ValueId x) {
    const Shape& shape = at(x).shape;
    if (shape.empty()) return false;
    MatVec p{.x = x,
             .n_in = shape.back(),
             .n_out = random_.between(1, options_.max_extent),
             .weights = {},
             .bias = {},
             .accumulator = {}};
    for (std::int64_t i = 0; i < p.n_in * p.n_out; ++i) p.weights.push_back(random_weight());
    const bool biased = random_.one_in(2);
    for (std::int64_t o = 0; o < p.n_out; ++o) p.bias.push_back(biased ? random_.between(-100, 100) : 0);
    if (options_.forced_accumulators && random_.one_in(6)) {
      const auto type = random_type(options_.max_width_bits);
      p.accumulator = MatVec::ForcedAccumulator{type, static_cast<int>(random_.between(-1, 3)) + type.frac_bits()};
    }
    return add(std::move(p));
  }

  fixed::ShiftRound random_shift(const Range& x) {
    fixed::ShiftRound f;
    const int width = fixed::width_bits(x);
    f.shift = static_cast<int>(random_.between(random_.one_in(4) ? -2 : 0, width));
    f.rounding = random_rounding();
    const auto type = random_type(std::min(10, options_.max_width_bits));
    f.overflow = type.overflow;
    f.lo = fixed::min_code(type);
    f.hi = fixed::max_code(type);
    if (f.overflow != Overflow::Sat) {
      f.width_bits = type.width_bits;
      f.is_signed = type.is_signed;
      f.saturation_bits = type.saturation_bits;
    } else if (random_.one_in(3)) {
      f.lo = random_.wide_between(f.lo, f.hi);
      f.hi = random_.wide_between(f.lo, f.hi);
    }
    return f;
  }

  fixed::Pieces random_pieces(const Range& x) {
    fixed::Pieces f;
    const std::int64_t count = random_.between(0, 9);
    for (std::int64_t i = 0; i < count; ++i) f.breakpoints.push_back(random_.wide_between(x.lo - 1, x.hi + 1));
    std::sort(f.breakpoints.begin(), f.breakpoints.end());
    f.breakpoints.erase(std::unique(f.breakpoints.begin(), f.breakpoints.end()), f.breakpoints.end());
    const std::int64_t style = random_.between(0, 3);
    Int value = random_.between(-8, 4);
    for (std::size_t i = 0; i <= f.breakpoints.size(); ++i) {
      f.values.push_back(value);
      if (style == 0) {
        ++value;
      } else if (style == 1) {
        value += random_.between(1, 3);
      } else if (style == 2) {
        value -= random_.between(1, 2);
      } else {
        value = random_.between(-8, 7);
      }
    }
    const Int limit = Int{1} << std::min(options_.max_width_bits - 1, 100);
    for (auto& v : f.values) v = std::clamp(v, -limit, limit - 1);
    return f;
  }

  bool add_requant(ValueId x) {
    const Value& source = at(x);
    const std::size_t elements = source.ranges.size();
    const std::size_t channels = source.shape.empty() ? 1 : static_cast<std::size_t>(source.shape.back());
    const std::array<std::size_t, 3> counts{1, channels, elements};
    Requant p{.x = x, .functions = {}, .count_saturation = random_.one_in(3)};
    const bool pieces = random_.one_in(3);
    const std::size_t count = counts[static_cast<std::size_t>(random_.between(0, 2))];
    for (std::size_t i = 0; i < count; ++i) {
      // A function shared by elements is made for one of them and holds for all: step functions are total.
      const Range& range = source.ranges[i];
      if (pieces) {
        p.functions.emplace_back(random_pieces(range));
      } else {
        p.functions.emplace_back(random_shift(range));
      }
    }
    return add(std::move(p));
  }

  bool add_constant() {
    Shape shape;
    const ValueId like = pick();
    // Broadcasts against what was picked.
    for (const auto extent : at(like).shape) shape.push_back(random_.one_in(3) ? 1 : extent);
    while (shape.size() > 1 && random_.one_in(2)) shape.erase(shape.begin());
    Constant p;
    for (std::int64_t i = 0; i < element_count(shape); ++i) p.codes.push_back(random_.between(-20, 20));
    return add(std::move(p), shape);
  }

  /// Something that broadcasts against `a`; constants are made when nothing does.
  ValueId partner(ValueId a) {
    for (int attempt = 0; attempt < 4; ++attempt) {
      const ValueId b = pick();
      const auto shape = tensor::broadcast(at(a).shape, at(b).shape);
      if (shape.ok && element_count(shape.shape) <= 256) return b;
    }
    const Shape shape = at(a).shape.empty() ? Shape{} : Shape{at(a).shape.back()};
    Constant p;
    for (std::int64_t i = 0; i < element_count(shape); ++i) p.codes.push_back(random_.between(-4, 4));
    return add(std::move(p), shape) ? last() : a;
  }

  bool add_binary() {
    const ValueId a = pick();
    const ValueId b = partner(a);
    const auto shift = [&] { return random_.one_in(2) ? 0 : static_cast<int>(random_.between(0, 4)); };
    switch (random_.between(0, 3)) {
      case 0:
        return add(Mul{.a = a, .b = b});
      case 1:
        return add(Sub{.a = a, .b = b, .shift_a = shift(), .shift_b = shift()});
      default:
        return add(Add{.a = a, .b = b, .shift_a = shift(), .shift_b = shift()});
    }
  }

  bool add_concat() {
    const ValueId a = pick();
    if (at(a).shape.empty()) return false;
    Concat p{.xs = {a}, .axis = random_.between(0, static_cast<std::int64_t>(at(a).shape.size()) - 1)};
    for (int attempt = 0; attempt < 5; ++attempt) {
      const ValueId b = pick();
      Shape shape = at(b).shape;
      if (shape.size() != at(a).shape.size()) continue;
      shape[static_cast<std::size_t>(p.axis)] = at(a).shape[static_cast<std::size_t>(p.axis)];
      if (shape == at(a).shape && element_count(at(b).shape) <= 64) p.xs.push_back(b);
    }
    return add(std::move(p));
  }

  bool add_permute() {
    const ValueId x = pick();
    Permute p{.x = x, .permutation = {}};
    for (std::size_t i = 0; i < at(x).shape.size(); ++i) p.permutation.push_back(static_cast<std::int64_t>(i));
    for (std::size_t i = p.permutation.size(); i-- > 1;) {
      std::swap(p.permutation[i],
                p.permutation[static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(i)))]);
    }
    return add(std::move(p));
  }

  bool add_reshape() {
    const ValueId x = pick();
    std::int64_t rest = element_count(at(x).shape);
    Shape shape;
    for (const std::int64_t factor : {2, 3, 5}) {
      if (rest % factor == 0 && random_.one_in(2)) {
        shape.push_back(factor);
        rest /= factor;
      }
    }
    shape.insert(random_.one_in(2) ? shape.begin() : shape.end(), rest);
    return add(Reshape{.x = x}, shape);
  }

  Int random_pad() { return random_.one_in(2) ? 0 : random_.between(-9, 9); }

  bool add_window() {
    const ValueId x = pick();
    const Shape& shape = at(x).shape;
    if (shape.size() < 2) return false;
    Window p;
    p.x = x;
    std::int64_t size = shape.back();
    for (std::size_t d = 0; d + 1 < shape.size(); ++d) {
      p.kernel.push_back(random_.between(1, std::min<std::int64_t>(3, shape[d])));
      p.stride.push_back(random_.between(1, 2));
      p.dilation.push_back(p.kernel.back() == 2 && shape[d] > 2 && random_.one_in(2) ? 2 : 1);
      p.before.push_back(random_.between(0, 1));
      p.after.push_back(random_.between(0, 1));
      size *= p.kernel.back() * (shape[d] + 2);
    }
    if (size > 1024) return false;
    if (random_.one_in(2)) p.groups = shape.back();
    p.pad = random_pad();
    return add(std::move(p));
  }

  bool add_gather() {
    const ValueId x = pick();
    const std::int64_t n = element_count(at(x).shape);
    const Shape shape{random_.between(1, 4), random_.between(1, 6)};
    Gather p{.x = x, .indices = {}, .pad = random_pad()};
    for (std::int64_t i = 0; i < element_count(shape); ++i) p.indices.push_back(random_.between(-1, n - 1));
    return add(std::move(p), shape);
  }

  /// Trees whose nodes may be shared, over thresholds in and around the ranges.
  bool add_forest(ValueId x) {
    const Value& source = at(x);
    Forest p;
    p.x = x;
    p.n_in = source.shape.back();
    p.n_out = random_.between(1, std::min<std::int64_t>(options_.max_extent, 4));
    const std::int64_t width = random_.between(1, p.n_out);
    const std::int64_t count = random_.between(0, 24);
    const std::int64_t leaves = random_.between(1, 12) + width - 1;
    const auto child = [&](std::int64_t after) {
      if (after + 1 < count && !random_.one_in(4)) return random_.between(after + 1, std::min(after + 3, count - 1));
      return -1 - random_.between(0, leaves - width);
    };
    for (std::int64_t i = 0; i < count; ++i) {
      Forest::Node node;
      node.feature = random_.between(0, p.n_in - 1);
      const Range& range = source.ranges[static_cast<std::size_t>(node.feature)];
      node.threshold = random_.wide_between(range.lo - 1, range.hi + 1);
      node.low = child(i);
      node.high = child(i);
      p.nodes.push_back(node);
    }
    for (std::int64_t t = random_.between(0, 4); t >= 0; --t)
      p.trees.push_back({child(-1), random_.between(0, p.n_out - width), width});
    const std::int64_t grid = std::int64_t{1} << random_.between(0, 3);
    for (std::int64_t i = 0; i < leaves; ++i) p.leaves.push_back(grid * random_.between(-40, 40));
    for (std::int64_t o = 0; o < p.n_out; ++o) p.bias.push_back(random_.one_in(2) ? random_.between(-9, 9) : 0);
    return add(std::move(p));
  }

  bool add_anything() {
    const ValueId x = pick();
    const bool scalar = at(x).shape.empty();
    switch (random_.between(0, 15)) {
      case 0:
      case 1:
        return add_matvec(x);
      case 2:
      case 3:
      case 4:
        return add_requant(x);
      case 5:
      case 6:
        return add_binary();
      case 7:
        return !scalar && add(Reduce{.kind = random_.one_in(2) ? Reduce::Kind::Sum : Reduce::Kind::Max, .x = x});
      case 8:
        return !scalar && add(ArgMax{.x = x, .k = random_.between(1, std::min<std::int64_t>(3, at(x).shape.back()))});
      case 9:
        return add_concat();
      case 10:
        return add_permute();
      case 11:
        return add_reshape();
      case 12:
        return add_window();
      case 13:
        return add_gather();
      case 14:
        return !scalar && add_forest(x);
      default:
        return add_constant();
    }
  }

  std::vector<ReadoutStep> random_steps(const Shape& shape) {
    std::vector<ReadoutStep> steps;
    for (std::int64_t n = random_.between(-1, 2); n > 0; --n) {
      ReadoutStep step;
      step.op = static_cast<ReadoutStep::Op>(random_.between(0, 3));
      const std::int64_t count = shape.empty() || random_.one_in(2) ? 1 : shape.back();
      for (std::int64_t i = 0; i < count; ++i)
        step.operands.push_back(static_cast<float>(random_.between(1, 50)) * 0.1F);
      steps.push_back(std::move(step));
    }
    return steps;
  }

  void add_outputs() {
    std::vector<bool> used(graph_.values.size(), false);
    for (const auto& value : graph_.values) {
      for (const ValueId id : operands(value.primitive)) used[id.index] = true;
    }
    for (std::uint32_t i = 0; i < graph_.values.size(); ++i) {
      const Value& value = graph_.values[i];
      if (random_.one_in(3)) graph_.probes.push_back({value.origin.node, ValueId{i}, random_steps(value.shape), {}});
      if (used[i]) continue;
      graph_.outputs.push_back({fmt::format("output {}", graph_.outputs.size()), {i}, random_steps(value.shape)});
    }
    graph_.probes.push_back({"folded", std::nullopt, {}, "another"});
  }

  Random random_;
  const RandomGraphOptions& options_;
  Graph graph_;
};

}  // namespace

std::uint64_t Random::next() {
  state_ += 0x9E3779B97F4A7C15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

std::int64_t Random::between(std::int64_t lo, std::int64_t hi) {
  WEFT_CHECK(lo <= hi, "an empty interval has no random number");
  const auto span = static_cast<std::uint64_t>(hi) - static_cast<std::uint64_t>(lo) + 1;
  return lo + static_cast<std::int64_t>(next() % span);
}

Int Random::wide_between(Int lo, Int hi) {
  WEFT_CHECK(lo <= hi, "an empty interval has no random number");
  const UInt bits = (static_cast<UInt>(next()) << 64) | next();
  const UInt span = static_cast<UInt>(hi) - static_cast<UInt>(lo) + 1;
  return static_cast<Int>(static_cast<UInt>(lo) + (span == 0 ? bits : bits % span));
}

Graph random_graph(std::uint64_t seed, const RandomGraphOptions& options) { return Builder(seed, options).build(); }

std::vector<std::vector<Int>> random_codes(const Graph& graph, Random& random) {
  std::vector<std::vector<Int>> out;
  for (const auto& input : graph.inputs) {
    std::vector<Int> codes;
    const bool bipolar = input.conversion.form == InputConversion::Form::Bipolar;
    // Some samples stand in a corner as a whole.
    const std::int64_t corner = random.between(0, 5);
    for (const auto& range : graph.at(input.value).ranges) {
      const std::int64_t choice = corner < 2 ? corner : random.between(0, 5);
      Int code = 0;
      if (bipolar) {
        code = choice % 2 == 0 ? range.lo : range.hi;
      } else if (choice < 2) {
        code = choice == 0 ? range.lo : range.hi;
      } else {
        code = random.wide_between(range.lo, range.hi);
      }
      codes.push_back(code);
    }
    out.push_back(std::move(codes));
  }
  return out;
}

}  // namespace weft::exact
