// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/hls/statements.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "weft/exact/forest.h"
#include "weft/fixed/quantize.h"

namespace weft::backends::hls {
namespace {

constexpr std::size_t kMaxComparators = 32;
constexpr Int kMaxTable = Int{1} << 16;

/// Breaks long initializer lists into readable lines.
template <class List>
std::string initializer(const List& list) {
  std::string out = "{";
  std::size_t column = 1;
  bool first = true;
  for (const auto& item : list) {
    const std::string text = literal(item);
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

fixed::Range whole(const exact::Value& value) {
  fixed::Range all = value.ranges.empty() ? fixed::Range{} : value.ranges[0];
  for (const auto& r : value.ranges) all = fixed::unite(all, r);
  return all;
}

template <class List>
CodeType type_of_list(const List& list) {
  Int lo = 0;
  Int hi = 0;
  for (const auto& v : list) {
    lo = std::min<Int>(lo, v);
    hi = std::max<Int>(hi, v);
  }
  return {fixed::width_bits(lo, hi, lo < 0), lo < 0};
}

const char* overflow_name(fixed::Overflow overflow) {
  switch (overflow) {
    case fixed::Overflow::Wrap:
      return "AP_WRAP";
    case fixed::Overflow::Sat:
      return "AP_SAT";
    case fixed::Overflow::SatZero:
      return "AP_SAT_ZERO";
    case fixed::Overflow::SatSym:
      return "AP_SAT_SYM";
    case fixed::Overflow::WrapSm:
      return "AP_WRAP_SM";
  }
  return "AP_WRAP";
}

struct Writer {
  const exact::Graph& graph;
  const exact::Value& value;
  Context& ctx;
  Code out;

  [[nodiscard]] std::string name() const { return identifier(value); }
  [[nodiscard]] std::size_t size() const { return value.ranges.size(); }
  [[nodiscard]] const exact::Value& at(exact::ValueId id) const { return graph.at(id); }
  void line(const std::string& text) { out.statements += "  " + text + "\n"; }

  void declare() {
    line(fmt::format("{} {}[{}];  // {}", to_string(type_of(value)), name(), size(),
                     value.origin.node.empty() ? value.name : value.origin.node));
    out.statements += fmt::format("#pragma HLS ARRAY_PARTITION variable={} complete\n", name());
  }

  Result<void> operator()(const exact::Input&) { return {}; }

  Result<void> operator()(const exact::Constant& c) {
    out.constants +=
        fmt::format("static const {} {}[{}] = {};\n", to_string(type_of(value)), name(), size(), initializer(c.codes));
    return {};
  }

  Result<void> operator()(const exact::MatVec& m) {
    declare();
    out.constants += fmt::format("static const {} {}_w[{}] = {};\n", to_string(type_of_list(m.weights)), name(),
                                 m.weights.size(), initializer(m.weights));
    out.constants += fmt::format("static const {} {}_b[{}] = {};\n", to_string(type_of_list(m.bias)), name(),
                                 m.bias.size(), initializer(m.bias));
    const std::string x = identifier(at(m.x));
    const auto rows = static_cast<std::int64_t>(size()) / m.n_out;
    if (!m.accumulator) {
      line(fmt::format("weft::matvec<{}, {}, {}>({}, {}_w, {}_b, {});", rows, m.n_in, m.n_out, x, name(), name(),
                       name()));
      return {};
    }
    const auto& type = m.accumulator->type;
    static constexpr const char* kRounding[] = {"AP_TRN",     "AP_TRN_ZERO",    "AP_RND",     "AP_RND_ZERO",
                                                "AP_RND_INF", "AP_RND_MIN_INF", "AP_RND_CONV"};
    const auto rounding = static_cast<std::size_t>(type.rounding);
    if (rounding >= std::size(kRounding))
      return ctx.fail(Kind::LoweringUnsupported, value.origin,
                      "HLS types have no rounding toward +inf or away from zero; use another mode for the accumulator");
    const int product =
        type_of(at(m.x)).width_bits + type_of_list(m.weights).width_bits + type_of_list(m.bias).width_bits + 2;
    line(fmt::format("weft::matvec_forced<{}, {}, {}, {}, {}, {}<{}, {}, {}, {}, {}>>({}, {}_w, {}_b, {});", rows,
                     m.n_in, m.n_out, m.accumulator->lsb_frac_bits, product, type.is_signed ? "ap_fixed" : "ap_ufixed",
                     type.width_bits, type.integer_bits, kRounding[rounding], overflow_name(type.overflow),
                     type.saturation_bits, x, name(), name(), name()));
    return {};
  }

  /// Element `i` of an operand broadcast to this value's shape.
  std::string element(exact::ValueId id, std::size_t i) {
    return fmt::format("{}[{}]", identifier(at(id)), tensor::broadcast_index(at(id).shape, value.shape, i));
  }

  Result<void> two(exact::ValueId a, exact::ValueId b, int shift_a, int shift_b, char sign) {
    declare();
    const std::string type = to_string(type_of(value));
    for (std::size_t i = 0; i < size(); ++i)
      line(fmt::format("{}[{}] = ({}({}) << {}) {} ({}({}) << {});", name(), i, type, element(a, i), shift_a, sign,
                       type, element(b, i), shift_b));
    return {};
  }
  Result<void> operator()(const exact::Add& a) { return two(a.a, a.b, a.shift_a, a.shift_b, '+'); }
  Result<void> operator()(const exact::Sub& s) { return two(s.a, s.b, s.shift_a, s.shift_b, '-'); }
  Result<void> operator()(const exact::Mul& m) {
    declare();
    for (std::size_t i = 0; i < size(); ++i)
      line(fmt::format("{}[{}] = {} * {};", name(), i, element(m.a, i), element(m.b, i)));
    return {};
  }

  /// A function `y <function>(x)` in front of the top.
  void function(const std::string& function_name, const fixed::StepFunction& f, const exact::Value& x) {
    const std::string xt = to_string(type_of(x));
    const std::string yt = to_string(type_of(value));
    std::string body;
    if (const auto* s = std::get_if<fixed::ShiftRound>(&f)) {
      const int grow = std::max(-s->shift, 0);
      const int width =
          std::max({type_of(x).width_bits + grow, s->shift, fixed::width_bits(s->lo, s->hi, true), s->width_bits}) + 2;
      static constexpr const char* kRounding[] = {"TRN",         "TRN_ZERO", "RND",  "RND_ZERO", "RND_INF",
                                                  "RND_MIN_INF", "RND_CONV", "CEIL", "UP"};
      body += s->shift > 0 ? fmt::format("  const ap_int<{}> r = weft::round_shift<{}, weft::{}>(ap_int<{}>(x));\n",
                                         width, s->shift, kRounding[static_cast<std::size_t>(s->rounding)], width)
                           : fmt::format("  const ap_int<{}> r = ap_int<{}>(x) << {};\n", width, width, -s->shift);
      if (s->overflow == fixed::Overflow::Sat)
        body += fmt::format("  return weft::clip<{}>(r, ap_int<{}>({}), ap_int<{}>({}));\n", yt, width, literal(s->lo),
                            width, literal(s->hi));
      else
        body +=
            fmt::format("  return {}({}<{}, {}, AP_TRN, {}, {}>(r));\n", yt, s->is_signed ? "ap_fixed" : "ap_ufixed",
                        s->width_bits, s->width_bits, overflow_name(s->overflow), s->saturation_bits);
    } else {
      const auto& p = std::get<fixed::Pieces>(f);
      const fixed::Range range = whole(x);
      if (p.breakpoints.empty()) {
        body += fmt::format("  (void)x;\n  return {};\n", literal(p.values[0]));
      } else if (p.breakpoints.size() <= kMaxComparators || range.hi - range.lo >= kMaxTable) {
        body += fmt::format("  static const {} t[{}] = {};\n", to_string(type_of_list(p.breakpoints)),
                            p.breakpoints.size(), initializer(p.breakpoints));
        body += fmt::format("  static const {} v[{}] = {};\n", yt, p.values.size(), initializer(p.values));
        body += fmt::format("  return weft::pieces<{}, {}, {}, {}, {}>(x, t, v);\n", p.breakpoints.size(), xt,
                            to_string(type_of_list(p.breakpoints)), yt, yt);
      } else {
        std::vector<Int> table;
        for (Int c = range.lo; c <= range.hi; ++c) table.push_back(fixed::evaluate(f, c));
        body += fmt::format("  static const {} table[{}] = {};\n", yt, table.size(), initializer(table));
        body += fmt::format("  return table[int(x) - ({})];\n", literal(range.lo));
      }
    }
    out.constants +=
        fmt::format("static {} {}(const {}& x) {{\n#pragma HLS INLINE\n{}}}\n", yt, function_name, xt, body);
  }

  Result<void> operator()(const exact::Requant& r) {
    declare();
    const auto& x = at(r.x);
    std::vector<std::size_t> first;  // index of the first equal function
    for (std::size_t f = 0; f < r.functions.size(); ++f) {
      std::size_t same = 0;
      while (!(r.functions[same] == r.functions[f])) ++same;
      first.push_back(same);
      if (same == f) function(fmt::format("{}_f{}", name(), f), r.functions[f], x);
    }
    if (r.functions.size() == 1) {
      line(fmt::format("for (int i = 0; i < {}; ++i) {{", size()));
      out.statements += "#pragma HLS UNROLL\n";
      line(fmt::format("  {}[i] = {}_f0({}[i]);", name(), name(), identifier(x)));
      line("}");
      return {};
    }
    for (std::size_t i = 0; i < size(); ++i)
      line(fmt::format("{}[{}] = {}_f{}({}[{}]);", name(), i, name(), first[i % r.functions.size()], identifier(x), i));
    return {};
  }

  Result<void> operator()(const exact::Reduce& r) {
    declare();
    const auto n = static_cast<std::size_t>(at(r.x).shape.back());
    const std::string x = identifier(at(r.x));
    for (std::size_t i = 0; i < size(); ++i) {
      line(fmt::format("{}[{}] = {}[{}];", name(), i, x, i * n));
      for (std::size_t k = 1; k < n; ++k)
        line(r.kind == exact::Reduce::Kind::Sum ? fmt::format("{}[{}] += {}[{}];", name(), i, x, i * n + k)
                                                : fmt::format("if ({}[{}] > {}[{}]) {}[{}] = {}[{}];", x, i * n + k,
                                                              name(), i, name(), i, x, i * n + k));
    }
    return {};
  }

  Result<void> operator()(const exact::ArgMax& a) {
    declare();
    const auto n = at(a.x).shape.back();
    const auto rows = static_cast<std::int64_t>(size()) / a.k;
    for (std::int64_t r = 0; r < rows; ++r)
      line(fmt::format("weft::argmax<{}, {}>({} + {}, {} + {});", n, a.k, identifier(at(a.x)), r * n, name(), r * a.k));
    return {};
  }

  Result<void> operator()(const exact::Concat& c) {
    declare();
    const auto axis = static_cast<std::size_t>(c.axis);
    std::size_t inner = 1;
    for (std::size_t d = axis + 1; d < value.shape.size(); ++d) inner *= static_cast<std::size_t>(value.shape[d]);
    const std::size_t row = inner * static_cast<std::size_t>(value.shape[axis]);
    std::size_t offset = 0;
    for (const auto id : c.xs) {
      const std::size_t part = inner * static_cast<std::size_t>(at(id).shape[axis]);
      for (std::size_t i = 0; i < at(id).ranges.size(); ++i)
        line(fmt::format("{}[{}] = {}[{}];", name(), i / part * row + offset + i % part, identifier(at(id)), i));
      offset += part;
    }
    return {};
  }

  Result<void> move() {
    declare();
    const auto m = exact::movement(graph, value);
    for (std::size_t i = 0; i < size(); ++i)
      if (m->from[i] < 0)
        line(fmt::format("{}[{}] = {};", name(), i, literal(m->pad)));
      else
        line(fmt::format("{}[{}] = {}[{}];", name(), i, identifier(at(m->x)), m->from[i]));
    return {};
  }
  Result<void> operator()(const exact::Permute&) { return move(); }
  Result<void> operator()(const exact::Window&) { return move(); }
  Result<void> operator()(const exact::Gather&) { return move(); }

  /// One selection per node, from the leaves up.
  Result<void> operator()(const exact::Forest& f) {
    declare();
    const std::string type = to_string(type_of(value));
    const std::string x = identifier(at(f.x));
    const auto rows = static_cast<std::int64_t>(size()) / f.n_out;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < f.n_out; ++o)
        line(fmt::format("{}[{}] = {};", name(), r * f.n_out + o, literal(f.bias[static_cast<std::size_t>(o)])));
      for (std::size_t t = 0; t < f.trees.size(); ++t) {
        const auto& tree = f.trees[t];
        const auto nodes = exact::reachable_nodes(f, tree.root);
        for (std::int64_t j = 0; j < tree.width; ++j) {
          // Partial sums may wrap in the type: the whole one fits.
          const auto of = [&](std::int64_t child) {
            return child >= 0
                       ? fmt::format("n{}", child)
                       : fmt::format("{}({})", type, literal(f.leaves[static_cast<std::size_t>(-1 - child + j)]));
          };
          line("{");
          for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
            const auto& node = f.nodes[static_cast<std::size_t>(*it)];
            line(fmt::format("  const {} n{} = {}[{}] >= {} ? {} : {};", type, *it, x, r * f.n_in + node.feature,
                             literal(node.threshold), of(node.high), of(node.low)));
          }
          line(fmt::format("  {}[{}] += {};", name(), r * f.n_out + tree.first + j, of(tree.root)));
          line("}");
        }
      }
    }
    return {};
  }

  Result<void> operator()(const exact::Reshape& r) {
    declare();
    line(fmt::format("for (int i = 0; i < {}; ++i) {}[i] = {}[i];", size(), name(), identifier(at(r.x))));
    return {};
  }
};

}  // namespace

CodeType type_of(const exact::Value& value) {
  const fixed::Range all = whole(value);
  return {fixed::width_bits(all), all.lo < 0};
}

std::string to_string(const CodeType& type) {
  return fmt::format("{}<{}>", type.is_signed ? "ap_int" : "ap_uint", type.width_bits);
}

std::string identifier(const exact::Value& value) {
  static const std::set<std::string> reserved = {
      "alignas",  "alignof",  "and",      "asm",       "auto",     "bool",      "break",    "case",      "catch",
      "char",     "class",    "const",    "constexpr", "continue", "decltype",  "default",  "delete",    "do",
      "double",   "else",     "enum",     "explicit",  "export",   "extern",    "false",    "float",     "for",
      "friend",   "goto",     "if",       "inline",    "int",      "long",      "mutable",  "namespace", "new",
      "noexcept", "not",      "operator", "or",        "private",  "protected", "public",   "register",  "return",
      "short",    "signed",   "sizeof",   "static",    "struct",   "switch",    "template", "this",      "throw",
      "true",     "try",      "typedef",  "typeid",    "typename", "union",     "unsigned", "using",     "virtual",
      "void",     "volatile", "while",    "xor",       "main",     "weft",      "i"};
  return reserved.count(value.name) != 0 ? value.name + "_v" : value.name;
}

std::string literal(Int value) {
  if (value >= std::numeric_limits<std::int32_t>::min() + 1 && value <= std::numeric_limits<std::int32_t>::max())
    return fixed::to_string(value);
  if (value > std::numeric_limits<std::int64_t>::min() && value <= std::numeric_limits<std::int64_t>::max())
    return fixed::to_string(value) + "LL";
  return fmt::format("ap_int<130>(\"{}\", 10)", fixed::to_string(value));
}

Result<Code> write_value(const exact::Graph& graph, exact::ValueId id, Context& ctx) {
  Writer writer{graph, graph.at(id), ctx, {}};
  WEFT_TRY_VOID(std::visit([&](const auto& p) { return writer(p); }, graph.at(id).primitive));
  return std::move(writer.out);
}

}  // namespace weft::backends::hls
