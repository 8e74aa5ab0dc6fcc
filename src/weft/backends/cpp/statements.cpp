// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/cpp/statements.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "weft/exact/forest.h"

namespace weft::backends::cpp {
namespace {

/// Tables of functions up to here; larger ranges are searched.
constexpr Int kMaxTable = 4096;
constexpr std::size_t kMinTablePieces = 4;
/// Shifts beyond are written as pieces.
constexpr int kMaxShift = 100;
constexpr std::size_t kMaxAxes = 4;

template <class List, class F>
std::string initializer(const List& list, const F& text_of) {
  std::string out = "{";
  std::size_t column = 1;
  bool first = true;
  for (const auto& item : list) {
    const std::string text = text_of(item);
    if (!first) {
      out += ",";
      if (column + text.size() > 110) {
        out += "\n    ";
        column = 4;
      } else {
        out += " ";
      }
    }
    out += text;
    column += text.size() + 2;
    first = false;
  }
  return out + "}";
}
template <class List>
std::string initializer(const List& list) {
  return initializer(list, [](const auto& v) { return literal(v); });
}

template <class List>
fixed::Range range_of_list(const List& list) {
  fixed::Range out{};
  for (const auto& v : list) {
    out.lo = std::min<Int>(out.lo, v);
    out.hi = std::max<Int>(out.hi, v);
  }
  return out;
}

/// The type of partial sums.
std::string accumulator(const exact::MatVec& m, const exact::Value& x) {
  const fixed::Range r = hull(x);
  const Int largest = std::max(r.hi, -r.lo);
  Int worst = 0;
  for (std::int64_t o = 0; o < m.n_out; ++o) {
    Int sum = m.bias[static_cast<std::size_t>(o)] < 0 ? -m.bias[static_cast<std::size_t>(o)]
                                                      : m.bias[static_cast<std::size_t>(o)];
    for (std::int64_t i = 0; i < m.n_in; ++i) {
      const Int w = m.weights[static_cast<std::size_t>(i * m.n_out + o)];
      const auto product = fixed::checked_mul(w < 0 ? -w : w, largest);
      const auto next = product ? fixed::checked_add(sum, *product) : std::nullopt;
      if (!next) return "Int";
      sum = *next;
    }
    worst = std::max(worst, sum);
  }
  return type_for({-worst, worst, 0});
}

struct Writer {
  const exact::Graph& graph;
  const exact::Value& value;
  Context& ctx;
  Code out;

  [[nodiscard]] std::string name() const { return identifier(value); }
  [[nodiscard]] std::string y() const { return access(value); }
  [[nodiscard]] std::string x(exact::ValueId id) const { return access(graph.at(id)); }
  [[nodiscard]] std::size_t size() const { return value.ranges.size(); }
  [[nodiscard]] const exact::Value& at(exact::ValueId id) const { return graph.at(id); }
  [[nodiscard]] std::string type() const { return type_for(hull(value)); }
  void line(const std::string& text) { out.statements += "  " + text + "\n"; }
  void declare() { out.buffers += fmt::format("  {} {}[{}];\n", type(), name(), size()); }
  template <class List>
  std::string table(const std::string& suffix, const List& list) {
    const std::string n = name() + suffix;
    out.constants += fmt::format("constexpr {} {}[{}] = {};\n", type_for(range_of_list(list)), n,
                                 std::max<std::size_t>(list.size(), 1), initializer(list));
    return n;
  }

  Result<void> operator()(const exact::Input& /*p*/) {
    declare();
    return {};
  }
  Result<void> operator()(const exact::Constant& p) {
    out.constants += fmt::format("constexpr {} {}[{}] = {};\n", type(), name(), size(), initializer(p.codes));
    return {};
  }

  Result<void> operator()(const exact::MatVec& m) {
    declare();
    const std::string w = table("_w", m.weights);
    const std::string b = table("_b", m.bias);
    const auto rows = static_cast<std::int64_t>(size()) / m.n_out;
    if (m.accumulator) {
      const auto& t = m.accumulator->type;
      if (t.width_bits > 120) return ctx.fail(Kind::TypeTooWide, value.origin, "an accumulator of more than 120 bits");
      const int shift = m.accumulator->lsb_frac_bits - t.frac_bits();
      if (std::abs(shift) > kMaxShift)
        return ctx.fail(Kind::TypeTooWide, value.origin, "the accumulator lies too far from the products' grid");
      line(fmt::format("matvec_in({}, {}, {}, {}, {}, {}, {}, {}, {}, {});", x(m.x), w, b, y(), rows, m.n_in, m.n_out,
                       shift, rounding_name(t.rounding), type_literal(t)));
      return {};
    }
    const std::string sum = accumulator(m, at(m.x));
    out.buffers += fmt::format("  {} {}_sum[{}];\n", sum, name(), m.n_out);
    line(fmt::format("matvec({}, {}, {}, {}, {}, {}, {}, {}_sum);", x(m.x), w, b, y(), rows, m.n_in, m.n_out, y()));
    return {};
  }

  /// Subscript of element e of an operand broadcast to this value.
  std::string subscript(exact::ValueId id, const std::string& suffix) {
    const Shape& from = at(id).shape;
    if (from == value.shape) return "e";
    if (element_count(from) == 1) return "0";
    std::vector<std::int64_t> index(size());
    for (std::size_t e = 0; e < index.size(); ++e)
      index[e] = static_cast<std::int64_t>(tensor::broadcast_index(from, value.shape, e));
    return table(suffix, index) + "[e]";
  }
  Result<void> two(exact::ValueId a, exact::ValueId b, int shift_a, int shift_b, char sign) {
    declare();
    const fixed::Range ra = hull(at(a));
    const fixed::Range rb = hull(at(b));
    // Operands, shifted operands and results must fit what is computed in.
    fixed::Range all = fixed::unite(hull(value), fixed::unite(ra, rb));
    for (const auto& [r, shift] : {std::pair(ra, shift_a), std::pair(rb, shift_b)}) {
      const auto wide = fixed::shift_left(r, shift);
      if (!wide || fixed::width_bits(*wide) > 126)
        return ctx.fail(Kind::TypeTooWide, value.origin, fmt::format("`{}` needs more than 126 bits", value.name));
      all = fixed::unite(all, *wide);
    }
    const std::string t = type_for(all);
    const auto term = [&](exact::ValueId id, const std::string& suffix, int shift) {
      const std::string code = fmt::format("{}({}[{}])", t, x(id), subscript(id, suffix));
      return shift == 0 ? code : fmt::format("times_pow2({}, {})", code, shift);
    };
    const std::string left = term(a, "_a", shift_a);
    const std::string right = term(b, "_c", shift_b);
    line(fmt::format("for (std::size_t e = 0; e < {}; ++e) {}[e] = static_cast<{}>({} {} {});", size(), y(), type(),
                     left, sign, right));
    return {};
  }
  Result<void> operator()(const exact::Add& p) { return two(p.a, p.b, p.shift_a, p.shift_b, '+'); }
  Result<void> operator()(const exact::Sub& p) { return two(p.a, p.b, p.shift_a, p.shift_b, '-'); }
  Result<void> operator()(const exact::Mul& p) { return two(p.a, p.b, 0, 0, '*'); }

  /// A function `f(x)` in front of the class; elements that share it have codes in `range`.
  Result<std::string> function(const std::string& suffix, const fixed::StepFunction& f, const fixed::Range& range) {
    const std::string n = name() + suffix;
    const std::string xt = type_for(range);
    const auto* s = std::get_if<fixed::ShiftRound>(&f);
    if (s != nullptr && s->shift <= kMaxShift) {
      const auto grown = fixed::shift_left(range, std::max(-s->shift, 0));
      if (s->shift < -kMaxShift || !grown || fixed::width_bits(*grown) > 126)
        return ctx.fail(Kind::TypeTooWide, value.origin, fmt::format("`{}` needs more than 126 bits", value.name));
      std::string body;
      if (s->overflow == fixed::Overflow::Sat) {
        // 2^shift must fit too, half of it is compared with.
        const Int reach = s->shift > 0 ? Int{1} << std::min(s->shift + 1, 120) : 0;
        const std::string t = type_for(fixed::unite(fixed::unite(*grown, {s->lo, s->hi, 0}), {-reach, reach, 0}));
        const std::string rounded =
            s->shift > 0    ? fmt::format("round_shift({}(x), {}, {})", t, s->shift, rounding_name(s->rounding))
            : s->shift == 0 ? fmt::format("{}(x)", t)
                            : fmt::format("times_pow2({}(x), {})", t, -s->shift);
        body = fmt::format("return static_cast<{}>(clamp({}, {}({}), {}({})));", type(), rounded, t, literal(s->lo), t,
                           literal(s->hi));
      } else {
        if (s->width_bits > 120) return ctx.fail(Kind::TypeTooWide, value.origin, "a type of more than 120 bits");
        const fixed::FixedType t{s->width_bits, s->width_bits, s->is_signed,
                                 s->rounding,   s->overflow,   s->saturation_bits};
        body = fmt::format("return static_cast<{}>(cast(x, {}, {}, {}));", type(), s->shift, rounding_name(s->rounding),
                           type_literal(t));
      }
      out.constants += fmt::format("constexpr {} {}({} x) {{ {} }}\n", type(), n, xt, body);
      return n;
    }
    constexpr std::size_t kMaxPieces = std::size_t{1} << 20;
    const auto pieces = fixed::to_pieces(f, range, kMaxPieces);
    if (!pieces) return ctx.fail(Kind::LimitExceeded, value.origin, "a function of more than a million pieces");
    if (pieces->breakpoints.empty()) {
      out.constants +=
          fmt::format("constexpr {} {}({} /*x*/) {{ return {}; }}\n", type(), n, xt, literal(pieces->values[0]));
    } else if (range.hi - range.lo < kMaxTable && pieces->breakpoints.size() >= kMinTablePieces) {
      std::vector<Int> entries;
      for (Int c = range.lo; c <= range.hi; ++c) entries.push_back(fixed::evaluate(f, c));
      const std::string t = table(suffix + "_t", entries);
      out.constants +=
          fmt::format("constexpr {} {}({} x) {{ return static_cast<{}>({}[static_cast<std::int64_t>(x) - ({})]); }}\n",
                      type(), n, xt, type(), t, literal(range.lo));
    } else {
      const std::string t = table(suffix + "_t", pieces->breakpoints);
      const std::string v = table(suffix + "_v", pieces->values);
      out.constants += fmt::format("inline {} {}({} x) {{ return static_cast<{}>(piece(x, {}, {}, {})); }}\n", type(),
                                   n, xt, type(), t, pieces->breakpoints.size(), v);
    }
    return n;
  }
  Result<void> operator()(const exact::Requant& p) {
    declare();
    const auto& from = at(p.x);
    const std::size_t n = p.functions.size();
    std::vector<fixed::Range> ranges(from.ranges.begin(), from.ranges.begin() + static_cast<std::ptrdiff_t>(n));
    for (std::size_t e = n; e < from.ranges.size(); ++e) ranges[e % n] = fixed::unite(ranges[e % n], from.ranges[e]);
    std::vector<std::string> names(n);
    // Equal functions are written once, for the codes of all that share them.
    for (std::size_t i = 0; i < n; ++i) {
      std::size_t same = 0;
      while (!(p.functions[same] == p.functions[i])) ++same;
      if (same == i) {
        fixed::Range range = ranges[i];
        for (std::size_t k = i + 1; k < n; ++k)
          if (p.functions[k] == p.functions[i]) range = fixed::unite(range, ranges[k]);
        WEFT_TRY(names[i], function(fmt::format("_f{}", i), p.functions[i], range));
      } else {
        names[i] = names[same];
      }
    }
    const std::string xs = x(p.x);
    const bool one = std::all_of(names.begin(), names.end(), [&](const auto& s) { return s == names[0]; });
    const auto call = [&](std::size_t i, const std::string& e) {
      return fmt::format("{}[{}] = {}(static_cast<{}>({}[{}]));", y(), e, names[i], argument(p, ranges, i), xs, e);
    };
    if (one) {
      line(fmt::format("for (std::size_t e = 0; e < {}; ++e) {}", size(), call(0, "e")));
    } else if (n == size()) {
      for (std::size_t e = 0; e < n; ++e) line(call(e, fmt::format("{}", e)));
    } else {
      line(fmt::format("for (std::size_t e = 0; e < {}; e += {}) {{", size(), n));
      for (std::size_t i = 0; i < n; ++i) line("  " + call(i, fmt::format("e + {}", i)));
      line("}");
    }
    return {};
  }
  static std::string argument(const exact::Requant& p, const std::vector<fixed::Range>& ranges, std::size_t i) {
    std::optional<fixed::Range> range;
    for (std::size_t k = 0; k < ranges.size(); ++k)
      if (p.functions[k] == p.functions[i]) range = range ? fixed::unite(*range, ranges[k]) : ranges[k];
    return type_for(*range);
  }

  Result<void> operator()(const exact::Reduce& p) {
    declare();
    line(fmt::format("{}({}, {}, {}, {});", p.kind == exact::Reduce::Kind::Sum ? "sum_rows" : "max_rows", x(p.x), y(),
                     size(), at(p.x).shape.back()));
    return {};
  }
  Result<void> operator()(const exact::ArgMax& p) {
    declare();
    line(fmt::format("arg_max({}, {}, {}, {}, {});", x(p.x), y(), static_cast<std::int64_t>(size()) / p.k,
                     at(p.x).shape.back(), p.k));
    return {};
  }
  Result<void> operator()(const exact::Concat& p) {
    declare();
    const auto axis = static_cast<std::size_t>(p.axis);
    std::int64_t inner = 1;
    for (std::size_t d = axis; d < value.shape.size(); ++d) inner *= value.shape[d];
    std::int64_t start = 0;
    for (const auto id : p.xs) {
      const std::int64_t block = inner / value.shape[axis] * at(id).shape[axis];
      line(fmt::format("copy_blocks({}, {} + {}, {}, {}, {});", x(id), y(), start,
                       static_cast<std::int64_t>(at(id).ranges.size()) / block, block, inner));
      start += block;
    }
    return {};
  }

  Result<void> move() {
    declare();
    const auto m = exact::movement(graph, value);
    if (m->from.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      return ctx.fail(Kind::LimitExceeded, value.origin, "too many elements are moved");
    out.constants +=
        fmt::format("constexpr std::int32_t {}_from[{}] = {};\n", name(), m->from.size(), initializer(m->from));
    line(fmt::format("gather({}, {}, {}_from, {}, {}({}));", x(m->x), y(), name(), size(), type(), literal(m->pad)));
    return {};
  }
  Result<void> operator()(const exact::Permute& /*p*/) { return move(); }
  Result<void> operator()(const exact::Gather& /*p*/) { return move(); }
  Result<void> operator()(const exact::Reshape& p) {
    declare();
    line(fmt::format("copy_blocks({}, {}, 1, {}, {});", x(p.x), y(), size(), size()));
    return {};
  }
  Result<void> operator()(const exact::Window& p) {
    if (p.kernel.size() > kMaxAxes) return move();
    declare();
    const Shape& from = at(p.x).shape;
    const Shape extent(from.begin(), from.end() - 1);
    const Shape positions(value.shape.begin(), value.shape.end() - 1);
    out.constants +=
        fmt::format("constexpr Window {}_s = {{{}, {}, {}, {}, {}, {}, {}, {}, {}}};\n", name(), p.kernel.size(),
                    initializer(extent), initializer(positions), initializer(p.kernel), initializer(p.stride),
                    initializer(p.dilation), initializer(p.before), from.back(), p.groups);
    line(fmt::format("windows({}, {}, {}_s, {}({}));", x(p.x), y(), name(), type(), literal(p.pad)));
    return {};
  }

  Result<void> operator()(const exact::Forest& p) {
    declare();
    const auto fits = [](std::int64_t v) {
      return v <= std::numeric_limits<std::int32_t>::max() && v >= std::numeric_limits<std::int32_t>::min();
    };
    fixed::Range thresholds = hull(at(p.x));
    for (const auto& node : p.nodes) {
      thresholds = fixed::unite(thresholds, {node.threshold, node.threshold, 0});
      if (!fits(node.low) || !fits(node.high) || !fits(node.feature))
        return ctx.fail(Kind::LimitExceeded, value.origin, "the trees have too many nodes or leaves");
    }
    const std::string t = type_for(thresholds);
    out.constants +=
        fmt::format("constexpr Node<{}> {}_nodes[{}] = {};\n", t, name(), std::max<std::size_t>(p.nodes.size(), 1),
                    initializer(p.nodes, [](const exact::Forest::Node& n) {
                      return fmt::format("{{{}, {}, {}, {}}}", literal(n.threshold), n.feature, n.low, n.high);
                    }));
    out.constants +=
        fmt::format("constexpr Tree {}_trees[{}] = {};\n", name(), std::max<std::size_t>(p.trees.size(), 1),
                    initializer(p.trees, [](const exact::Forest::Tree& tree) {
                      return fmt::format("{{{}, {}, {}}}", tree.root, tree.first, tree.width);
                    }));
    std::vector<Int> numbers = p.leaves;
    numbers.insert(numbers.end(), p.bias.begin(), p.bias.end());
    const std::string leaves = table("_leaves", numbers);
    const auto rows = static_cast<std::int64_t>(size()) / p.n_out;
    line(fmt::format("forest({}, {}, {}, {}, {}, {}_nodes, {}_trees, {}, {}, {} + {});", x(p.x), y(), rows, p.n_in,
                     p.n_out, name(), name(), p.trees.size(), leaves, leaves, p.leaves.size()));
    return {};
  }
};

}  // namespace

fixed::Range hull(const exact::Value& value) {
  fixed::Range all = value.ranges.empty() ? fixed::Range{} : value.ranges[0];
  for (const auto& r : value.ranges) all = fixed::unite(all, r);
  return all;
}

std::string type_for(const fixed::Range& range) {
  const int bits = fixed::width_bits({range.lo, range.hi, 0}) + (range.lo < 0 ? 0 : 1);
  return bits <= 32 ? "std::int32_t" : bits <= 64 ? "std::int64_t" : "Int";
}

std::string identifier(const exact::Value& value) { return "v_" + value.name; }

std::string access(const exact::Value& value) {
  return (std::holds_alternative<exact::Constant>(value.primitive) ? "" : "b.") + identifier(value);
}

std::string literal(Int value) {
  if (value > std::numeric_limits<std::int32_t>::min() && value <= std::numeric_limits<std::int32_t>::max())
    return fixed::to_string(value);
  if (value > std::numeric_limits<std::int64_t>::min() && value <= std::numeric_limits<std::int64_t>::max())
    return fixed::to_string(value) + "LL";
  const auto bits = static_cast<UInt>(value);
  return fmt::format("Int(UInt(0x{:x}ULL) << 64 | UInt(0x{:x}ULL))", static_cast<std::uint64_t>(bits >> 64),
                     static_cast<std::uint64_t>(bits));
}

std::string rounding_name(fixed::Rounding rounding) {
  static constexpr const char* kNames[] = {"trn",         "trn_zero", "rnd",  "rnd_zero", "rnd_inf",
                                           "rnd_min_inf", "rnd_conv", "ceil", "up"};
  return fmt::format("Rounding::{}", kNames[static_cast<std::size_t>(rounding)]);
}

std::string overflow_name(fixed::Overflow overflow) {
  switch (overflow) {
    case fixed::Overflow::Wrap:
      return "Overflow::wrap";
    case fixed::Overflow::Sat:
      return "Overflow::sat";
    case fixed::Overflow::SatZero:
      return "Overflow::sat_zero";
    case fixed::Overflow::SatSym:
      return "Overflow::sat_sym";
    case fixed::Overflow::WrapSm:
      return "Overflow::wrap_sm";
  }
  return "Overflow::wrap";
}

std::string type_literal(const fixed::FixedType& type) {
  return fmt::format("Type{{{}, {}, {}, {}}}", type.width_bits, type.is_signed, overflow_name(type.overflow),
                     type.saturation_bits);
}

Result<Code> write_value(const exact::Graph& graph, exact::ValueId id, Context& ctx) {
  const exact::Value& value = graph.at(id);
  if (fixed::width_bits(hull(value)) > 126)
    return ctx.fail(Kind::TypeTooWide, value.origin,
                    fmt::format("`{}` has codes of more than 126 bits; use narrower types", value.name));
  Writer writer{graph, value, ctx, {}};
  WEFT_TRY_VOID(std::visit([&](const auto& p) { return writer(p); }, value.primitive));
  return std::move(writer.out);
}

}  // namespace weft::backends::cpp
