// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <iterator>

#include "weft/exact/graph.h"
#include "weft/exact/text.h"

namespace weft::exact {
namespace {

using fixed::Range;

/// Appends to one growing string; the text of a large matrix is a loop of format_to.
class Writer {
 public:
  std::string take() { return std::move(out_); }

  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }
  void put_quoted(const std::string& text) {
    out_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (byte < 0x20 || byte == 0x7f) {
        put("\\x{:02x}", byte);
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }
  template <class List, class F>
  void put_list(const List& list, const F& item) {
    out_ += '[';
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i != 0) out_ += ' ';
      item(list[i]);
    }
    out_ += ']';
  }
  /// Equal neighbours as item*count.
  template <class List, class F>
  void put_runs(const List& list, const F& item) {
    out_ += '[';
    for (std::size_t i = 0; i < list.size();) {
      std::size_t end = i + 1;
      while (end < list.size() && list[end] == list[i]) ++end;
      if (i != 0) out_ += ' ';
      item(list[i]);
      if (end - i > 1) put("*{}", end - i);
      i = end;
    }
    out_ += ']';
  }
  void put_int(Int value) {
    if (value == static_cast<std::int64_t>(value)) {
      put("{}", static_cast<std::int64_t>(value));
    } else {
      out_ += fixed::to_string(value);
    }
  }

 private:
  std::string out_;
};

struct PrimitiveWriter {
  Writer& w;
  const Graph& graph;

  void ref(ValueId id) const { w.put(" %{}", graph.at(id).name); }
  void integers(const std::vector<std::int64_t>& list) const {
    w.put_list(list, [&](std::int64_t v) { w.put("{}", v); });
  }
  void codes(const std::vector<Int>& list) const {
    w.put_list(list, [&](Int v) { w.put_int(v); });
  }

  void operator()(const Input& /*p*/) const {}
  void operator()(const Constant& p) const {
    w.put(" codes ");
    codes(p.codes);
  }
  void operator()(const MatVec& p) const {
    ref(p.x);
    w.put(" n_in {} n_out {} weights ", p.n_in, p.n_out);
    integers(p.weights);
    w.put(" bias ");
    codes(p.bias);
    if (p.accumulator) {
      w.put(" accumulator {} lsb_frac_bits {}", fixed::to_string(p.accumulator->type), p.accumulator->lsb_frac_bits);
    }
  }
  void shifted(ValueId a, ValueId b, int shift_a, int shift_b) const {
    ref(a);
    ref(b);
    w.put(" shift_a {} shift_b {}", shift_a, shift_b);
  }
  void operator()(const Add& p) const { shifted(p.a, p.b, p.shift_a, p.shift_b); }
  void operator()(const Sub& p) const { shifted(p.a, p.b, p.shift_a, p.shift_b); }
  void operator()(const Mul& p) const {
    ref(p.a);
    ref(p.b);
  }
  void operator()(const Requant& p) const {
    ref(p.x);
    if (p.count_saturation) w.put(" count_saturation");
    w.put(" functions ");
    w.put_list(p.functions, [&](const fixed::StepFunction& f) { w.put("{}", fixed::to_string(f)); });
  }
  void operator()(const Reduce& p) const {
    ref(p.x);
    w.put(" {}", p.kind == Reduce::Kind::Sum ? "sum" : "max");
  }
  void operator()(const ArgMax& p) const {
    ref(p.x);
    w.put(" k {}", p.k);
  }
  void operator()(const Concat& p) const {
    for (const ValueId id : p.xs) ref(id);
    w.put(" axis {}", p.axis);
  }
  void operator()(const Permute& p) const {
    ref(p.x);
    w.put(" permutation ");
    integers(p.permutation);
  }
  void operator()(const Reshape& p) const { ref(p.x); }
  void operator()(const Window& p) const {
    ref(p.x);
    const std::pair<const char*, const std::vector<std::int64_t>&> lists[] = {
        {"kernel", p.kernel}, {"stride", p.stride}, {"dilation", p.dilation}, {"before", p.before}, {"after", p.after}};
    for (const auto& [name, list] : lists) {
      w.put(" {} ", name);
      integers(list);
    }
    w.put(" groups {} pad ", p.groups);
    w.put_int(p.pad);
  }
  void operator()(const Gather& p) const {
    ref(p.x);
    w.put(" pad ");
    w.put_int(p.pad);
    w.put(" indices ");
    integers(p.indices);
  }
  void operator()(const Forest& p) const {
    ref(p.x);
    w.put(" n_in {} n_out {} nodes ", p.n_in, p.n_out);
    w.put_list(p.nodes, [&](const Forest::Node& n) {
      w.put("{} ", n.feature);
      w.put_int(n.threshold);
      w.put(" {} {}", n.low, n.high);
    });
    w.put(" trees ");
    w.put_list(p.trees, [&](const Forest::Tree& t) { w.put("{} {} {}", t.root, t.first, t.width); });
    w.put(" leaves ");
    codes(p.leaves);
    w.put(" bias ");
    codes(p.bias);
  }
};

void put_range(Writer& w, const Range& range) {
  w.put_int(range.lo);
  w.put("..");
  w.put_int(range.hi);
  if (range.step_log2 != 0) w.put("~{}", range.step_log2);
}

void put_steps(Writer& w, const std::vector<ReadoutStep>& steps) {
  for (const auto& step : steps) {
    w.put(" {} ", text::kReadoutOps[static_cast<std::size_t>(step.op)]);
    w.put_list(step.operands, [&](float v) { w.put("{}", v); });
  }
}

void put_value(Writer& w, const Graph& graph, const Value& value) {
  w.put("value {} shape ", value.name);
  w.put_list(value.shape, [&](std::int64_t v) { w.put("{}", v); });
  w.put(" scale ");
  w.put_runs(value.scale.factors, [&](const Rational& v) { w.put("{}", fixed::to_string(v)); });
  w.put(" ranges ");
  w.put_runs(value.ranges, [&](const Range& v) { put_range(w, v); });
  w.put(" = {}", name_of(value.primitive));
  std::visit(PrimitiveWriter{w, graph}, value.primitive);
  if (!(value.origin == Origin{})) {
    w.put(" origin");
    for (const auto* part : {&value.origin.file, &value.origin.node, &value.origin.op, &value.origin.tensor}) {
      w.put(" ");
      w.put_quoted(*part);
    }
  }
  w.put("\n");
}

/// Fields that hold their default are left out.
void put_conversion(Writer& w, const InputConversion& c) {
  const InputConversion standard;
  w.put(" {}", text::kConversionForms[static_cast<std::size_t>(c.form)]);
  if (!(c.type == standard.type)) w.put(" type {}", fixed::to_string(c.type));
  if (c.scale != standard.scale) w.put(" scale {}", c.scale);
  if (c.zero_point != standard.zero_point) w.put(" zero_point {}", c.zero_point);
  if (c.lo != standard.lo) w.put(" lo {}", fixed::to_string(c.lo));
  if (c.hi != standard.hi) w.put(" hi {}", fixed::to_string(c.hi));
  if (c.rounding != standard.rounding) w.put(" rounding {}", fixed::to_string(c.rounding));
  if (c.round_first) w.put(" round_first");
}

}  // namespace

std::string to_text(const Graph& graph) {
  Writer w;
  w.put("{} ", text::kHeader);
  w.put_quoted(graph.name);
  w.put("\n");
  for (const auto& value : graph.values) put_value(w, graph, value);
  for (const auto& input : graph.inputs) {
    w.put("input ");
    w.put_quoted(input.name);
    w.put(" %{}", graph.at(input.value).name);
    put_conversion(w, input.conversion);
    w.put(" rule ");
    w.put_quoted(input.rule);
    w.put("\n");
  }
  for (const auto& output : graph.outputs) {
    w.put("output ");
    w.put_quoted(output.name);
    w.put(" %{}", graph.at(output.value).name);
    put_steps(w, output.steps);
    w.put("\n");
  }
  for (const auto& probe : graph.probes) {
    w.put("probe ");
    w.put_quoted(probe.layer);
    if (probe.value) w.put(" %{}", graph.at(*probe.value).name);
    put_steps(w, probe.steps);
    if (!probe.folded_into.empty()) {
      w.put(" folded_into ");
      w.put_quoted(probe.folded_into);
    }
    w.put("\n");
  }
  return w.take();
}

}  // namespace weft::exact
