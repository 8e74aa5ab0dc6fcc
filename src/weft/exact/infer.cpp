// SPDX-License-Identifier: Apache-2.0
#include "weft/exact/infer.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "weft/exact/forest.h"

namespace weft::exact {
namespace {

using fixed::Range;

constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;
constexpr int kMaxShift = 127;
constexpr int kMaxFracBits = 4096;

ShapeOrError wrong(std::string what) { return {{}, std::move(what)}; }

struct ShapeRule {
  const Graph& graph;
  const Value& value;

  [[nodiscard]] const Shape& shape_of(ValueId id) const { return graph.at(id).shape; }

  ShapeOrError operator()(const Input& /*p*/) const { return {value.shape, {}}; }
  ShapeOrError operator()(const Constant& p) const {
    if (static_cast<std::int64_t>(p.codes.size()) != element_count(value.shape)) {
      return wrong(fmt::format("{} codes do not fill shape {}", p.codes.size(), to_string(value.shape)));
    }
    return {value.shape, {}};
  }
  ShapeOrError operator()(const MatVec& p) const {
    Shape shape = shape_of(p.x);
    if (shape.empty() || shape.back() != p.n_in) {
      return wrong(fmt::format("a matrix with {} inputs does not fit shape {}", p.n_in, to_string(shape)));
    }
    if (p.n_out < 1 || p.n_out > kMaxElements / p.n_in) return wrong(fmt::format("{} outputs", p.n_out));
    if (static_cast<std::int64_t>(p.weights.size()) != p.n_in * p.n_out) {
      return wrong(fmt::format("{} weights are not {} x {}", p.weights.size(), p.n_in, p.n_out));
    }
    if (static_cast<std::int64_t>(p.bias.size()) != p.n_out) {
      return wrong(fmt::format("{} biases for {} outputs", p.bias.size(), p.n_out));
    }
    if (p.accumulator) {
      const auto& type = p.accumulator->type;
      if (type.width_bits < 1 || type.width_bits > (type.is_signed ? 128 : 127) || type.saturation_bits < 0 ||
          type.saturation_bits > type.width_bits || std::abs(type.integer_bits) > kMaxFracBits ||
          std::abs(p.accumulator->lsb_frac_bits) > kMaxFracBits) {
        return wrong("the accumulator type is out of bounds");
      }
    }
    shape.back() = p.n_out;
    return {shape, {}};
  }
  [[nodiscard]] ShapeOrError elementwise(ValueId a, ValueId b) const {
    const auto out = tensor::broadcast(shape_of(a), shape_of(b));
    if (!out.ok) {
      return wrong(fmt::format("{} and {} do not broadcast", to_string(shape_of(a)), to_string(shape_of(b))));
    }
    return {out.shape, {}};
  }
  [[nodiscard]] ShapeOrError shifted(ValueId a, ValueId b, int shift_a, int shift_b) const {
    if (shift_a < 0 || shift_a > kMaxShift || shift_b < 0 || shift_b > kMaxShift) {
      return wrong(fmt::format("shifts {} and {} are not 0 to {}", shift_a, shift_b, kMaxShift));
    }
    return elementwise(a, b);
  }
  ShapeOrError operator()(const Add& p) const { return shifted(p.a, p.b, p.shift_a, p.shift_b); }
  ShapeOrError operator()(const Sub& p) const { return shifted(p.a, p.b, p.shift_a, p.shift_b); }
  ShapeOrError operator()(const Mul& p) const { return elementwise(p.a, p.b); }
  ShapeOrError operator()(const Requant& p) const {
    const Shape& shape = shape_of(p.x);
    const auto n = static_cast<std::int64_t>(p.functions.size());
    if (n != 1 && n != element_count(shape) && (shape.empty() || n != shape.back())) {
      return wrong(fmt::format("{} functions for shape {}", n, to_string(shape)));
    }
    for (const auto& f : p.functions) {
      if (!fixed::is_valid(f)) return wrong("a step function is malformed");
    }
    return {shape, {}};
  }
  ShapeOrError operator()(const Reduce& p) const {
    Shape shape = shape_of(p.x);
    if (shape.empty()) return wrong("a scalar has no axis to reduce");
    shape.back() = 1;
    return {shape, {}};
  }
  ShapeOrError operator()(const ArgMax& p) const {
    Shape shape = shape_of(p.x);
    if (shape.empty() || p.k < 1 || p.k > shape.back()) {
      return wrong(fmt::format("k = {} does not fit shape {}", p.k, to_string(shape)));
    }
    shape.back() = p.k;
    return {shape, {}};
  }
  ShapeOrError operator()(const Concat& p) const {
    if (p.xs.empty()) return wrong("nothing to concatenate");
    Shape shape = shape_of(p.xs.front());
    if (p.axis < 0 || p.axis >= static_cast<std::int64_t>(shape.size())) {
      return wrong(fmt::format("axis {} is not in shape {}", p.axis, to_string(shape)));
    }
    const auto axis = static_cast<std::size_t>(p.axis);
    for (std::size_t i = 1; i < p.xs.size(); ++i) {
      Shape other = shape_of(p.xs[i]);
      if (other.size() != shape.size()) return wrong("shapes of different ranks");
      const std::int64_t extent = other[axis];
      other[axis] = shape[axis];
      if (other != shape) {
        return wrong(
            fmt::format("{} and {} differ beside axis {}", to_string(shape), to_string(shape_of(p.xs[i])), axis));
      }
      shape[axis] += extent;
    }
    return {shape, {}};
  }
  ShapeOrError operator()(const Permute& p) const {
    const Shape& shape = shape_of(p.x);
    std::vector<bool> seen(shape.size(), false);
    Shape out;
    for (const auto axis : p.permutation) {
      if (axis < 0 || axis >= static_cast<std::int64_t>(shape.size()) || seen[static_cast<std::size_t>(axis)]) {
        return wrong("not a permutation of the axes");
      }
      seen[static_cast<std::size_t>(axis)] = true;
      out.push_back(shape[static_cast<std::size_t>(axis)]);
    }
    if (out.size() != shape.size()) return wrong("not a permutation of the axes");
    return {out, {}};
  }
  ShapeOrError operator()(const Window& p) const {
    const Shape& x = shape_of(p.x);
    const std::size_t axes = p.kernel.size();
    if (axes == 0 || x.size() != axes + 1) {
      return wrong(fmt::format("a window over {} axes does not fit shape {}", axes, to_string(x)));
    }
    for (const auto* list : {&p.stride, &p.dilation, &p.before, &p.after}) {
      if (list->size() != axes) return wrong("the lists of a window have different lengths");
    }
    if (p.groups < 1 || x.back() % p.groups != 0) {
      return wrong(fmt::format("{} groups do not divide {} channels", p.groups, x.back()));
    }
    constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;
    Shape shape;
    std::int64_t taps = 1;
    for (std::size_t d = 0; d < axes; ++d) {
      if (p.kernel[d] < 1 || p.kernel[d] > kMaxExtent || p.stride[d] < 1 || p.stride[d] > kMaxExtent ||
          p.dilation[d] < 1 || p.dilation[d] > kMaxExtent || p.before[d] < 0 || p.before[d] > kMaxExtent ||
          p.after[d] < 0 || p.after[d] > kMaxExtent || p.kernel[d] > kMaxElements / taps) {
        return wrong("a window's parameters are out of bounds");
      }
      taps *= p.kernel[d];
      const std::int64_t room = x[d] + p.before[d] + p.after[d] - p.dilation[d] * (p.kernel[d] - 1) - 1;
      if (room < 0) return wrong(fmt::format("the window is larger than axis {} of {}", d, to_string(x)));
      shape.push_back(room / p.stride[d] + 1);
    }
    if (taps > kMaxElements / x.back()) return wrong("a window's parameters are out of bounds");
    shape.push_back(taps * x.back());
    if (!is_sound(shape)) return wrong("a window's result is out of bounds");
    return {shape, {}};
  }
  ShapeOrError operator()(const Gather& p) const {
    if (static_cast<std::int64_t>(p.indices.size()) != element_count(value.shape)) {
      return wrong(fmt::format("{} indices do not fill shape {}", p.indices.size(), to_string(value.shape)));
    }
    const std::int64_t n = element_count(shape_of(p.x));
    for (const auto i : p.indices) {
      if (i < -1 || i >= n) return wrong(fmt::format("index {} is not in the {} elements", i, n));
    }
    return {value.shape, {}};
  }
  ShapeOrError operator()(const Forest& p) const {
    Shape shape = shape_of(p.x);
    if (shape.empty() || shape.back() != p.n_in) {
      return wrong(fmt::format("trees over {} features do not fit shape {}", p.n_in, to_string(shape)));
    }
    if (auto error = check_forest(p); !error.empty()) return wrong(std::move(error));
    shape.back() = p.n_out;
    return {shape, {}};
  }
  ShapeOrError operator()(const Reshape& p) const {
    if (element_count(shape_of(p.x)) != element_count(value.shape)) {
      return wrong(fmt::format("{} does not reshape to {}", to_string(shape_of(p.x)), to_string(value.shape)));
    }
    return {value.shape, {}};
  }
};

/// For every element of the broadcast shape `to` the element of `from`.
std::vector<std::size_t> broadcast_map(const Shape& from, const Shape& to) {
  std::vector<std::size_t> map(static_cast<std::size_t>(element_count(to)));
  const auto strides = strides_of(from);
  const std::size_t lead = to.size() - from.size();
  std::vector<std::int64_t> at(to.size(), 0);
  std::int64_t source = 0;
  for (auto& m : map) {
    m = static_cast<std::size_t>(source);
    for (std::size_t d = to.size(); d-- > 0;) {
      const std::int64_t stride = d >= lead && from[d - lead] != 1 ? strides[d - lead] : 0;
      source += stride;
      if (++at[d] < to[d]) break;
      source -= stride * to[d];
      at[d] = 0;
    }
  }
  return map;
}

/// Ranges of a primitive; nullopt when 128 bits do not suffice.
struct RangeRule {
  using Ranges = std::vector<Range>;
  using Out = std::optional<Ranges>;
  const Graph& graph;
  const Value& value;
  const Shape& shape;

  [[nodiscard]] const Ranges& ranges_of(ValueId id) const { return graph.at(id).ranges; }

  Out operator()(const Input& /*p*/) const { return value.ranges; }
  Out operator()(const Constant& p) const {
    Ranges out;
    for (const Int code : p.codes) out.push_back({code, code, code == 0 ? 0 : fixed::trailing_zeros(code)});
    return out;
  }

  static std::optional<Range> product_sum(const MatVec& p, const Range* x, std::int64_t o) {
    const Int b = p.bias[static_cast<std::size_t>(o)];
    std::optional<Range> sum = Range{b, b, b == 0 ? 0 : fixed::trailing_zeros(b)};
    for (std::int64_t i = 0; i < p.n_in && sum; ++i) {
      const std::int64_t weight = p.weights[static_cast<std::size_t>(i * p.n_out + o)];
      if (weight == 0) continue;
      const auto term = fixed::scale(x[i], weight);
      sum = term ? fixed::add(*sum, *term) : std::nullopt;
    }
    return sum;
  }
  Out operator()(const MatVec& p) const {
    Ranges out;
    if (p.accumulator) {
      const auto& type = p.accumulator->type;
      out.assign(static_cast<std::size_t>(element_count(shape)), {fixed::min_code(type), fixed::max_code(type), 0});
      return out;
    }
    const Ranges& x = ranges_of(p.x);
    const auto n_in = static_cast<std::size_t>(p.n_in);
    const auto n_out = static_cast<std::size_t>(p.n_out);
    out.reserve(static_cast<std::size_t>(element_count(shape)));
    for (std::size_t row = 0; row * n_in < x.size(); ++row) {
      const Range* at = x.data() + row * n_in;
      // Rows of a convolution mostly have the ranges of the row before.
      if (row > 0 && std::equal(at, at + n_in, at - n_in)) {
        for (std::size_t o = 0; o < n_out; ++o) out.push_back(out[out.size() - n_out]);
        continue;
      }
      for (std::int64_t o = 0; o < p.n_out; ++o) {
        const auto sum = product_sum(p, at, o);
        if (!sum) return std::nullopt;
        out.push_back(*sum);
      }
    }
    return out;
  }

  /// The functions that lead from the codes of `x` to those of `y`, first to last, when `y` is a step function of `x`,
  /// or a chain of them; empty otherwise.
  [[nodiscard]] std::vector<const Requant*> chain(ValueId x, ValueId y) const {
    constexpr std::size_t kLongest = 4;
    std::vector<const Requant*> steps;
    while (steps.size() < kLongest) {
      const auto* requant = std::get_if<Requant>(&graph.at(y).primitive);
      if (requant == nullptr) return {};
      steps.insert(steps.begin(), requant);
      if (requant->x == x) return steps;
      y = requant->x;
    }
    return {};
  }

  /// Range of f(x, y) over x in `range` when y is constant on every piece of the first function of `steps`; nullopt
  /// when that function has no such form or too many pieces.
  template <class F>
  [[nodiscard]] static std::optional<Range> piecewise(const std::vector<const Requant*>& steps, std::size_t element,
                                                      const Range& range, const F& f) {
    constexpr std::size_t kMostPieces = std::size_t{1} << 13;
    const auto function = [&](const Requant& r) -> const fixed::StepFunction& {
      return r.functions[element % r.functions.size()];
    };
    const auto* pieces = std::get_if<fixed::Pieces>(&function(*steps[0]));
    if (pieces == nullptr || pieces->values.size() > kMostPieces) return std::nullopt;
    std::optional<Range> all;
    for (std::size_t i = 0; i < pieces->values.size(); ++i) {
      Range part = range;
      if (i > 0) part.lo = std::max(part.lo, pieces->breakpoints[i - 1]);
      if (i < pieces->breakpoints.size()) part.hi = std::min(part.hi, pieces->breakpoints[i] - 1);
      if (part.lo > part.hi) continue;
      Int y = pieces->values[i];
      for (std::size_t k = 1; k < steps.size(); ++k) y = fixed::evaluate(function(*steps[k]), y);
      const auto here = f(part, Range{y, y, y == 0 ? 0 : fixed::trailing_zeros(y)});
      if (!here) return std::nullopt;
      all = all ? fixed::unite(*all, *here) : *here;
    }
    return all;
  }

  /// `f` of two operands of one shape that are step functions of each other, or of one x: x - start_of_segment(x), a
  /// slope times that, a product that brings x into one octave. They reach much less far than their operands would by
  /// themselves.
  template <class F>
  [[nodiscard]] std::optional<Ranges> correlated(ValueId a, ValueId b, const F& f) const {
    if (a == b || graph.at(a).shape != graph.at(b).shape) return std::nullopt;
    if (auto steps = chain(a, b); !steps.empty()) return by_pieces(a, steps, f);
    if (auto steps = chain(b, a); !steps.empty())
      return by_pieces(b, steps, [&](const Range& p, const Range& q) { return f(q, p); });
    const auto with_difference = [&](ValueId y, ValueId difference, const auto& g) -> std::optional<Ranges> {
      const auto* sub = std::get_if<Sub>(&graph.at(difference).primitive);
      if (sub == nullptr || sub->shift_a != 0 || sub->shift_b != 0 || sub->a == sub->b) return std::nullopt;
      if (graph.at(sub->a).shape != graph.at(sub->b).shape) return std::nullopt;
      const auto start = chain(sub->a, sub->b);
      const auto steps = chain(sub->a, y);
      if (start.empty() || steps.empty() || start[0] != steps[0]) return std::nullopt;
      return by_pieces(sub->a, steps, start, g);
    };
    if (auto ranges = with_difference(a, b, f)) return ranges;
    return with_difference(b, a, [&](const Range& p, const Range& q) { return f(q, p); });
  }

  /// f(x, y) with y a step function of x.
  template <class F>
  [[nodiscard]] std::optional<Ranges> by_pieces(ValueId x, const std::vector<const Requant*>& steps, const F& f) const {
    return over_pieces(x, steps, [&](const Range& part, const Range& y, std::size_t) { return f(part, y); });
  }
  /// f(y, x - z) with y and z step functions of x that share their pieces.
  template <class F>
  [[nodiscard]] std::optional<Ranges> by_pieces(ValueId x, const std::vector<const Requant*>& y_steps,
                                                const std::vector<const Requant*>& z_steps, const F& f) const {
    return over_pieces(x, y_steps, [&](const Range& part, const Range& y, std::size_t element) -> std::optional<Range> {
      const auto& first = z_steps[0]->functions[element % z_steps[0]->functions.size()];
      Int z = fixed::evaluate(first, part.lo);
      for (std::size_t k = 1; k < z_steps.size(); ++k)
        z = fixed::evaluate(z_steps[k]->functions[element % z_steps[k]->functions.size()], z);
      const auto difference = fixed::sub(part, Range{z, z, z == 0 ? 0 : fixed::trailing_zeros(z)});
      if (!difference) return std::nullopt;
      return f(y, *difference);
    });
  }
  template <class F>
  [[nodiscard]] std::optional<Ranges> over_pieces(ValueId id, const std::vector<const Requant*>& steps,
                                                  const F& f) const {
    const Ranges& x = ranges_of(id);
    std::size_t period = 1;
    for (const auto* step : steps) period = std::max(period, step->functions.size());
    Ranges out;
    std::vector<std::optional<std::pair<Range, Range>>> last(std::min(period, x.size()));
    for (std::size_t i = 0; i < x.size(); ++i) {
      auto& memo = last[i % last.size()];
      if (!memo || !(memo->first == x[i])) {
        const auto range = piecewise(steps, i, x[i], [&](const Range& p, const Range& q) { return f(p, q, i); });
        if (!range) return std::nullopt;
        memo = {x[i], *range};
      }
      out.push_back(memo->second);
    }
    return out;
  }

  template <class F>
  [[nodiscard]] Out elementwise(ValueId a, ValueId b, const F& f) const {
    if (auto ranges = correlated(a, b, f)) return ranges;
    const auto map_a = broadcast_map(graph.at(a).shape, shape);
    const auto map_b = broadcast_map(graph.at(b).shape, shape);
    Ranges out;
    out.reserve(map_a.size());
    for (std::size_t i = 0; i < map_a.size(); ++i) {
      const auto range = f(ranges_of(a)[map_a[i]], ranges_of(b)[map_b[i]]);
      if (!range) return std::nullopt;
      out.push_back(*range);
    }
    return out;
  }
  Out operator()(const Add& p) const {
    return elementwise(p.a, p.b, [&](const Range& a, const Range& b) -> std::optional<Range> {
      const auto wide_a = fixed::shift_left(a, p.shift_a);
      const auto wide_b = fixed::shift_left(b, p.shift_b);
      if (!wide_a || !wide_b) return std::nullopt;
      return fixed::add(*wide_a, *wide_b);
    });
  }
  Out operator()(const Sub& p) const {
    return elementwise(p.a, p.b, [&](const Range& a, const Range& b) -> std::optional<Range> {
      const auto wide_a = fixed::shift_left(a, p.shift_a);
      const auto wide_b = fixed::shift_left(b, p.shift_b);
      if (!wide_a || !wide_b) return std::nullopt;
      return fixed::sub(*wide_a, *wide_b);
    });
  }
  Out operator()(const Mul& p) const {
    return elementwise(p.a, p.b, [&](const Range& a, const Range& b) {
      auto out = fixed::mul(a, b);
      // A square is not negative.
      if (out && p.a == p.b && out->lo < 0) out->lo = 0;
      return out;
    });
  }
  Out operator()(const Requant& p) const {
    const Ranges& x = ranges_of(p.x);
    Ranges out;
    out.reserve(x.size());
    // The last argument and result of each function: neighbouring elements mostly agree.
    std::vector<std::optional<std::pair<Range, Range>>> last(p.functions.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t f = i % p.functions.size();
      if (!last[f] || !(last[f]->first == x[i])) last[f] = {x[i], fixed::range_of(p.functions[f], x[i])};
      out.push_back(last[f]->second);
    }
    return out;
  }
  Out operator()(const Reduce& p) const {
    const Ranges& x = ranges_of(p.x);
    const auto n = static_cast<std::size_t>(graph.at(p.x).shape.back());
    Ranges out;
    for (std::size_t i = 0; i < x.size(); i += n) {
      std::optional<Range> sum = x[i];
      for (std::size_t j = 1; j < n && sum; ++j) {
        sum = p.kind == Reduce::Kind::Sum ? fixed::add(*sum, x[i + j]) : fixed::max(*sum, x[i + j]);
      }
      if (!sum) return std::nullopt;
      out.push_back(*sum);
    }
    return out;
  }
  Out operator()(const ArgMax& p) const {
    return Ranges(static_cast<std::size_t>(element_count(shape)), Range{0, graph.at(p.x).shape.back() - 1, 0});
  }
  Out operator()(const Concat& p) const {
    const auto axis = static_cast<std::ptrdiff_t>(p.axis);
    const auto product = [](auto begin, auto end) {
      return static_cast<std::size_t>(std::accumulate(begin, end, std::int64_t{1}, std::multiplies<>()));
    };
    const std::size_t outer = product(shape.begin(), shape.begin() + axis);
    Ranges out;
    out.reserve(static_cast<std::size_t>(element_count(shape)));
    for (std::size_t row = 0; row < outer; ++row) {
      for (const ValueId id : p.xs) {
        const Ranges& x = ranges_of(id);
        const auto chunk = static_cast<std::ptrdiff_t>(x.size() / outer);
        const auto begin = x.begin() + static_cast<std::ptrdiff_t>(row) * chunk;
        out.insert(out.end(), begin, begin + chunk);
      }
    }
    return out;
  }
  Out moved() const {
    Value shaped = {value.name, shape, value.scale, {}, value.primitive, {}};
    const auto m = movement(graph, shaped);
    const Ranges& x = ranges_of(m->x);
    const Range pad{m->pad, m->pad, m->pad == 0 ? 0 : fixed::trailing_zeros(m->pad)};
    Ranges out;
    out.reserve(m->from.size());
    for (const auto i : m->from) out.push_back(i < 0 ? pad : x[static_cast<std::size_t>(i)]);
    return out;
  }
  Out operator()(const Permute& /*p*/) const { return moved(); }
  Out operator()(const Reshape& p) const { return ranges_of(p.x); }
  Out operator()(const Window& /*p*/) const { return moved(); }
  Out operator()(const Gather& /*p*/) const { return moved(); }
  Out operator()(const Forest& p) const {
    const Ranges& x = ranges_of(p.x);
    const auto n_in = static_cast<std::size_t>(p.n_in);
    Ranges out;
    out.reserve(static_cast<std::size_t>(element_count(shape)));
    for (std::size_t i = 0; i < x.size(); i += n_in) {
      const auto row = forest_ranges(p, x.data() + i);
      if (!row) return std::nullopt;
      out.insert(out.end(), row->begin(), row->end());
    }
    return out;
  }
};

}  // namespace

bool is_sound(const Shape& shape) {
  std::int64_t n = 1;
  for (const auto extent : shape) {
    if (extent < 1 || extent > kMaxElements / n) return false;
    n *= extent;
  }
  return true;
}

ShapeOrError shape_rule(const Graph& graph, const Value& value) {
  for (const ValueId id : operands(value.primitive)) {
    if (id.index >= graph.values.size()) return wrong("an operand does not exist");
  }
  if (!is_sound(value.shape)) return wrong(fmt::format("shape {} is out of bounds", to_string(value.shape)));
  return std::visit(ShapeRule{graph, value}, value.primitive);
}

std::uint64_t inference_work(const Graph& graph, const Value& value) {
  if (const auto* forest = std::get_if<Forest>(&value.primitive)) {
    const auto rows = static_cast<std::uint64_t>(element_count(graph.at(forest->x).shape) / forest->n_in);
    const std::uint64_t work = forest_work(*forest);
    return work > (std::uint64_t{1} << 62) / rows ? std::uint64_t{1} << 62 : rows * work;
  }
  const auto* p = std::get_if<MatVec>(&value.primitive);
  if (p == nullptr || p->accumulator) return static_cast<std::uint64_t>(element_count(value.shape));
  const auto& x = graph.at(p->x).ranges;
  const auto n_in = static_cast<std::size_t>(p->n_in);
  std::uint64_t rows = 1;
  for (std::size_t i = n_in; i < x.size(); i += n_in) {
    const auto at = x.begin() + static_cast<std::ptrdiff_t>(i);
    if (!std::equal(at, at + p->n_in, at - p->n_in)) ++rows;
  }
  return rows * p->weights.size();
}

Result<Shape> infer_shape(const Graph& graph, const Value& value, Context& ctx) {
  auto out = shape_rule(graph, value);
  if (!out.error.empty()) {
    return ctx.fail(Kind::ShapeMismatch, value.origin,
                    fmt::format("`{}` ({}): {}", value.name, name_of(value.primitive), out.error));
  }
  return std::move(out.shape);
}

Result<std::vector<fixed::Range>> infer_ranges(const Graph& graph, const Value& value, Context& ctx) {
  WEFT_TRY(const Shape shape, infer_shape(graph, value, ctx));
  auto out = std::visit(RangeRule{graph, value, shape}, value.primitive);
  if (!out) {
    return ctx.fail(Kind::TypeTooWide, value.origin,
                    fmt::format("`{}` ({}) needs more than 128 bits; use narrower types in front of it", value.name,
                                name_of(value.primitive)));
  }
  return std::move(*out);
}

}  // namespace weft::exact
