// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "weft/exact/graph.h"
#include "weft/exact/infer.h"
#include "weft/exact/text.h"
#include "weft/exact/text_cursor.h"

namespace weft::exact {
namespace {

using fixed::Range;
using text::Cursor;

/// Bounds on what a short text may expand to.
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 25;
constexpr std::uint64_t kMaxWork = std::uint64_t{1} << 31;
constexpr int kMaxRank = 16;

class Parser {
 public:
  explicit Parser(std::uint64_t max_elements) : elements_left_(max_elements) {}

  /// One line; the message when it is wrong.
  std::string parse_line(std::string_view line) {
    Cursor c(line);
    if (c.take("value")) {
      parse_value(c);
    } else if (c.take("input")) {
      parse_input(c);
    } else if (c.take("output")) {
      GraphOutput output;
      output.name = c.quoted();
      output.value = ref(c);
      output.steps = steps(c);
      graph_.outputs.push_back(std::move(output));
    } else if (c.take("probe")) {
      Probe probe;
      probe.layer = c.quoted();
      if (c.take_char('%')) probe.value = named(c);
      probe.steps = steps(c);
      if (c.take("folded_into")) probe.folded_into = c.quoted();
      graph_.probes.push_back(std::move(probe));
    } else {
      c.fail("a line begins with `value`, `input`, `output` or `probe`");
    }
    if (!c.failed() && !c.at_end()) c.fail("unexpected text");
    return c.error();
  }

  Graph& graph() { return graph_; }
  [[nodiscard]] std::uint64_t work() const { return work_; }

 private:
  ValueId named(Cursor& c) {
    const auto name = c.word();
    if (c.failed()) return {};
    const auto found = ids_.find(std::string(name));
    if (found == ids_.end()) {
      c.fail("an unknown value");
      return {};
    }
    return {found->second};
  }
  ValueId ref(Cursor& c) {
    if (!c.failed() && !c.take_char('%')) c.fail("`%name` is missing");
    return named(c);
  }

  /// Counts what a run expands to.
  bool spend(Cursor& c, std::int64_t count) {
    if (c.failed()) return false;
    if (static_cast<std::uint64_t>(count) > elements_left_) {
      c.fail("the text expands to more elements than the limits allow");
      return false;
    }
    elements_left_ -= static_cast<std::uint64_t>(count);
    return true;
  }

  std::vector<std::int64_t> integers(Cursor& c) {
    std::vector<std::int64_t> out;
    c.list([&] { out.push_back(c.int64()); });
    return out;
  }
  std::vector<Int> codes(Cursor& c) {
    std::vector<Int> out;
    c.list([&] { out.push_back(c.integer()); });
    return out;
  }

  static Rational rational(Cursor& c) {
    const auto value = fixed::parse_rational(c.fraction());
    if (!value) c.fail("a fraction is missing");
    return value.value_or(Rational(1));
  }

  static Range range(Cursor& c) {
    Range out;
    out.lo = c.integer();
    if (!c.take_char('.') || !c.take_char('.')) c.fail("`..` is missing");
    out.hi = c.integer();
    if (c.take_char('~')) out.step_log2 = c.small(0, 126);
    return out;
  }

  static std::vector<ReadoutStep> steps(Cursor& c) {
    std::vector<ReadoutStep> out;
    while (!c.failed()) {
      const auto op =
          std::find_if(text::kReadoutOps.begin(), text::kReadoutOps.end(), [&](auto w) { return c.take(w); });
      if (op == text::kReadoutOps.end()) break;
      ReadoutStep step;
      step.op = static_cast<ReadoutStep::Op>(op - text::kReadoutOps.begin());
      c.list([&] { step.operands.push_back(c.real()); });
      out.push_back(std::move(step));
    }
    return out;
  }

  static fixed::FixedType type(Cursor& c) {
    std::string why;
    const auto word = c.word();
    const auto spec = fixed::parse_type(word, true, why);
    if (!spec || spec->form != fixed::TypeSpec::Form::Fixed) {
      c.fail("a fixed-point type is missing");
      return {};
    }
    return spec->fixed;
  }

  template <class AddOrSub>
  AddOrSub shifted(Cursor& c) {
    AddOrSub p;
    p.a = ref(c);
    p.b = ref(c);
    c.expect("shift_a");
    p.shift_a = c.small(0, 127);
    c.expect("shift_b");
    p.shift_b = c.small(0, 127);
    return p;
  }

  void parse_value(Cursor& c);
  Primitive parse_primitive(Cursor& c);
  Primitive parse_matvec(Cursor& c);
  Primitive parse_requant(Cursor& c);
  void parse_input(Cursor& c);

  Graph graph_;
  std::unordered_map<std::string, std::uint32_t> ids_;
  std::uint64_t elements_left_;
  std::uint64_t work_ = 0;
};

void Parser::parse_value(Cursor& c) {
  Value value;
  value.name = std::string(c.word());
  c.expect("shape");
  c.list([&] {
    value.shape.push_back(c.int64());
    if (value.shape.size() > kMaxRank) c.fail("too many axes");
  });
  if (!c.failed() && !is_sound(value.shape)) c.fail("the shape is out of bounds");
  c.expect("scale");
  value.scale.factors.clear();
  c.list([&] {
    const Rational factor = rational(c);
    const std::int64_t count = c.repeat();
    if (spend(c, count)) value.scale.factors.insert(value.scale.factors.end(), static_cast<std::size_t>(count), factor);
  });
  c.expect("ranges");
  c.list([&] {
    const Range item = range(c);
    const std::int64_t count = c.repeat();
    if (spend(c, count)) value.ranges.insert(value.ranges.end(), static_cast<std::size_t>(count), item);
  });
  c.expect("=");
  value.primitive = parse_primitive(c);
  if (c.take("origin")) {
    for (auto* part : {&value.origin.file, &value.origin.node, &value.origin.op, &value.origin.tensor})
      *part = c.quoted();
  }
  if (c.failed()) return;
  if (value.ranges.size() != static_cast<std::size_t>(element_count(value.shape))) {
    return c.fail(fmt::format("{} ranges for shape {}", value.ranges.size(), to_string(value.shape)));
  }
  // Operands exist: ref() has looked them up. Their ranges have the size of their shapes.
  const auto rule = shape_rule(graph_, value);
  if (!rule.error.empty()) return c.fail(rule.error);
  work_ += inference_work(graph_, value);
  if (work_ > kMaxWork) return c.fail("the ranges take too long to check");
  if (!ids_.emplace(value.name, static_cast<std::uint32_t>(graph_.values.size())).second) {
    return c.fail("the name is taken");
  }
  graph_.values.push_back(std::move(value));
}

Primitive Parser::parse_matvec(Cursor& c) {
  MatVec p;
  p.x = ref(c);
  c.expect("n_in");
  p.n_in = c.int64();
  c.expect("n_out");
  p.n_out = c.int64();
  c.expect("weights");
  p.weights = integers(c);
  c.expect("bias");
  p.bias = codes(c);
  if (c.take("accumulator")) {
    MatVec::ForcedAccumulator accumulator;
    accumulator.type = type(c);
    c.expect("lsb_frac_bits");
    accumulator.lsb_frac_bits = c.small(-4096, 4096);
    p.accumulator = accumulator;
  }
  return p;
}

Primitive Parser::parse_requant(Cursor& c) {
  Requant p;
  p.x = ref(c);
  p.count_saturation = c.take("count_saturation");
  c.expect("functions");
  c.list([&] {
    auto f = fixed::parse_step_function(std::string(c.call()));
    if (f) {
      p.functions.push_back(std::move(*f));
    } else {
      c.fail("a step function is malformed");
    }
  });
  return p;
}

Primitive Parser::parse_primitive(Cursor& c) {
  // Every row of primitives.def parses itself; a row without an overload does not compile.
  struct Body {
    Parser& parser;
    Cursor& c;
    Primitive operator()(Input /*p*/) const { return Input{}; }
    Primitive operator()(Constant p) const {
      c.expect("codes");
      p.codes = parser.codes(c);
      return p;
    }
    Primitive operator()(const MatVec& /*p*/) const { return parser.parse_matvec(c); }
    Primitive operator()(const Add& /*p*/) const { return parser.shifted<Add>(c); }
    Primitive operator()(const Sub& /*p*/) const { return parser.shifted<Sub>(c); }
    Primitive operator()(Mul p) const {
      p.a = parser.ref(c);
      p.b = parser.ref(c);
      return p;
    }
    Primitive operator()(const Requant& /*p*/) const { return parser.parse_requant(c); }
    Primitive operator()(Reduce p) const {
      p.x = parser.ref(c);
      if (c.take("max")) {
        p.kind = Reduce::Kind::Max;
      } else {
        c.expect("sum");
      }
      return p;
    }
    Primitive operator()(ArgMax p) const {
      p.x = parser.ref(c);
      c.expect("k");
      p.k = c.int64();
      return p;
    }
    Primitive operator()(Concat p) const {
      while (c.take_char('%')) p.xs.push_back(parser.named(c));
      c.expect("axis");
      p.axis = c.int64();
      return p;
    }
    Primitive operator()(Permute p) const {
      p.x = parser.ref(c);
      c.expect("permutation");
      p.permutation = parser.integers(c);
      return p;
    }
    Primitive operator()(Reshape p) const {
      p.x = parser.ref(c);
      return p;
    }
    Primitive operator()(Window p) const {
      p.x = parser.ref(c);
      const std::pair<const char*, std::vector<std::int64_t>*> lists[] = {{"kernel", &p.kernel},
                                                                          {"stride", &p.stride},
                                                                          {"dilation", &p.dilation},
                                                                          {"before", &p.before},
                                                                          {"after", &p.after}};
      for (const auto& [name, list] : lists) {
        c.expect(name);
        *list = parser.integers(c);
      }
      c.expect("groups");
      p.groups = c.int64();
      c.expect("pad");
      p.pad = c.integer();
      return p;
    }
    Primitive operator()(Gather p) const {
      p.x = parser.ref(c);
      c.expect("pad");
      p.pad = c.integer();
      c.expect("indices");
      p.indices = parser.integers(c);
      return p;
    }
    Primitive operator()(Forest p) const {
      p.x = parser.ref(c);
      c.expect("n_in");
      p.n_in = c.int64();
      c.expect("n_out");
      p.n_out = c.int64();
      c.expect("nodes");
      c.list([&] {
        Forest::Node node;
        node.feature = c.int64();
        node.threshold = c.integer();
        node.low = c.int64();
        node.high = c.int64();
        p.nodes.push_back(node);
      });
      c.expect("trees");
      c.list([&] {
        Forest::Tree tree;
        tree.root = c.int64();
        tree.first = c.int64();
        tree.width = c.int64();
        p.trees.push_back(tree);
      });
      c.expect("leaves");
      p.leaves = parser.codes(c);
      c.expect("bias");
      p.bias = parser.codes(c);
      return p;
    }
  };
  const Body body{*this, c};
#define WEFT_PRIMITIVE(name, text, meaning) \
  if (c.take(text)) return body(name{});
#include "weft/exact/primitives.def"
  c.fail("an unknown primitive");
  return Input{};
}

void Parser::parse_input(Cursor& c) {
  GraphInput input;
  input.name = c.quoted();
  input.value = ref(c);
  const auto form =
      std::find_if(text::kConversionForms.begin(), text::kConversionForms.end(), [&](auto w) { return c.take(w); });
  if (form == text::kConversionForms.end()) return c.fail("an unknown conversion");
  InputConversion& k = input.conversion;
  k.form = static_cast<InputConversion::Form>(form - text::kConversionForms.begin());
  if (c.take("type")) k.type = type(c);
  if (c.take("scale")) k.scale = c.real();
  if (c.take("zero_point")) k.zero_point = c.real();
  if (c.take("lo")) k.lo = c.integer();
  if (c.take("hi")) k.hi = c.integer();
  if (c.take("rounding")) {
    const auto rounding = fixed::parse_rounding(c.word());
    if (!rounding) return c.fail("an unknown rounding mode");
    k.rounding = *rounding;
  }
  k.round_first = c.take("round_first");
  c.expect("rule");
  input.rule = c.quoted();
  graph_.inputs.push_back(std::move(input));
}

}  // namespace

Result<Graph> parse_text(const std::string& text, const std::string& name, Context& ctx) {
  const auto fail = [&](std::string what) { return ctx.fail(Kind::ModelMalformed, {.file = name}, std::move(what)); };
  Parser parser(std::min(kMaxElements, ctx.limits.tensor_elements));
  std::string_view rest = text;
  std::size_t number = 0;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++number;
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {.file = name}, "reading the graph was cancelled");
    if (number == 1) {
      Cursor c(line);
      if (!c.take(text::kHeader)) return fail(fmt::format("the file does not begin with `{}`", text::kHeader));
      parser.graph().name = c.quoted();
      if (!c.failed() && !c.at_end()) c.fail("unexpected text");
      if (c.failed()) return fail("line 1: " + c.error());
      continue;
    }
    // Blank lines and comments are for people.
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#') continue;
    if (const auto error = parser.parse_line(line); !error.empty())
      return fail(fmt::format("line {}: {}", number, error));
  }
  if (number == 0) return fail("the file is empty");
  if (const auto error = verify(parser.graph()); !error.empty()) return fail(error);
  return std::move(parser.graph());
}

}  // namespace weft::exact
