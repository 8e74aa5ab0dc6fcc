// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "weft/emulate/analysis.h"
#include "weft/emulate/forest_plan.h"
#include "weft/emulate/input_plan.h"
#include "weft/emulate/pack_weights.h"

namespace weft::emulate {
namespace {

using exact::ValueId;

/// Scratch memory beyond this is better spent on fewer lanes.
constexpr std::size_t kManyLanesBytes = std::size_t{8} << 20;
constexpr std::size_t kAlignment = 64;
/// Entries of all tables of one step.
constexpr std::int64_t kMaxTableEntries = std::int64_t{1} << 18;
/// Without a table, comparing still beats searching up to here.
constexpr std::int32_t kMaxComparedWithoutTable = 64;

/// For every element of the broadcast shape the element of `from`; empty when they are the same.
std::vector<std::uint32_t> broadcast_indices(const Shape& from, const Shape& to) {
  if (from == to) return {};
  std::vector<std::uint32_t> out(static_cast<std::size_t>(element_count(to)));
  for (std::size_t e = 0; e < out.size(); ++e) {
    out[e] = static_cast<std::uint32_t>(tensor::broadcast_index(from, to, e));
  }
  return out;
}

class Planner {
 public:
  Planner(const exact::Graph& graph, const Kernels& kernels, const std::vector<ValueId>& outputs)
      : graph_(graph), analysis_(analyse(graph, kernels, outputs)) {
    plan_.outputs = outputs;
    lanes_.resize(graph.values.size());
    packed_.resize(graph.values.size());
  }

  Plan run() {
    for (std::size_t v = 0; v < graph_.values.size(); ++v) {
      // A product that a step function took over is computed there, and a window in place not at all.
      if (!analysis_.fused_into[v] && !analysis_.skipped[v])
        std::visit(Emit{*this, v, graph_.values[v]}, graph_.values[v].primitive);
    }
    for (std::size_t o = 0; o < plan_.outputs.size(); ++o) {
      const ValueId id = plan_.outputs[o];
      const Buffer x = lanes_of(id);
      push(OutputStep{o, x, size_of(id)}, {x});
    }
    plan_.lanes = kMaxLanes;
    place();
    if (plan_.scratch_bytes > kManyLanesBytes) {
      plan_.lanes = kMinLanes;
      place();
    }
    plan_.rows_bytes = row_bytes_ * static_cast<std::size_t>(plan_.lanes);
    plan_.block_ns = cost_ns_ * plan_.lanes;
    return std::move(plan_);
  }

 private:
  struct Life {
    std::size_t bytes_per_lane = 0;
    std::size_t first = 0;
    std::size_t last = 0;
    bool always = false;
  };
  struct PackedBuffer {
    Form form;
    Buffer buffer;
  };

  [[nodiscard]] std::int64_t size_of(ValueId id) const { return element_count(graph_.at(id).shape); }
  [[nodiscard]] std::size_t root(ValueId id) const { return analysis_.root[id.index]; }

  Buffer allocate(std::int64_t units, bool wide) {
    lives_.push_back({static_cast<std::size_t>(units) * (wide ? 8 : 4), plan_.steps.size(), plan_.steps.size()});
    return {lives_.size() - 1, wide};
  }
  void push(Step step, std::initializer_list<Buffer> buffers) { push(std::move(step), std::vector<Buffer>(buffers)); }
  void push(Step step, const std::vector<Buffer>& buffers) {
    for (const auto& buffer : buffers) lives_[buffer.index].last = plan_.steps.size();
    plan_.steps.push_back(std::move(step));
  }

  /// The buffer for the plain lanes of a value that is about to be computed.
  Buffer make_lanes(std::size_t v) {
    const Buffer out = allocate(element_count(graph_.values[v].shape), analysis_.wide[v]);
    lanes_[v] = out;
    return out;
  }
  Buffer lanes_of(ValueId id) const {
    const auto& lanes = lanes_[root(id)];
    WEFT_CHECK(lanes.has_value(), "a value is read before it is computed");
    return *lanes;
  }
  Buffer packed_of(ValueId id, const Form& form) {
    if (form.layout == Layout::Words) return lanes_of(id);
    auto& known = packed_[root(id)];
    for (const auto& p : known) {
      if (p.form == form) return p.buffer;
    }
    Buffer x = lanes_of(id);
    const std::int64_t elements = size_of(id);
    if (x.wide) {
      const Buffer narrow = allocate(elements, false);
      push(CopyStep{x, narrow, elements, {}, {}, 0}, {x, narrow});
      x = narrow;
    }
    const std::int64_t rows = elements / form.row_len;
    const Buffer y = allocate(rows * units_per_row(form), false);
    PackArgs args;
    args.layout = form.layout;
    args.offset = form.offset;
    args.rows = rows;
    args.n = form.row_len;
    push(PackStep{x, y, args}, {x, y});
    cost_ns_ += 0.1 * static_cast<double>(elements);
    known.push_back({form, y});
    return y;
  }
  /// The packed form in which a value can be born: when all its readers want that one.
  [[nodiscard]] std::optional<Form> birth_form(std::size_t v) const {
    if (analysis_.lanes_wanted[v] || analysis_.forms[v].size() != 1) return std::nullopt;
    return analysis_.forms[v].front();
  }
  Buffer make_packed(std::size_t v, const Form& form) {
    const Buffer out = allocate(element_count(graph_.values[v].shape) / form.row_len * units_per_row(form), false);
    packed_[v].push_back({form, out});
    return out;
  }

  /// The runs that a product or pool with `runs` runs per row reads: all of the row, or a window in place.
  RunsData runs_of(ValueId x, const Form& form, const std::optional<std::size_t>& in_place, Runs& args) {
    RunsData out;
    if (!in_place) {
      out.x = packed_of(x, form);
      return out;
    }
    const exact::Value& value = graph_.values[*in_place];
    const auto& window = std::get<exact::Window>(value.primitive);
    out.x = packed_of(window.x, form);
    out.first = run_starts(graph_, value, form.layout);
    args.runs = value.shape.back() / graph_.at(window.x).shape.back();
    args.run_units = units_per_row({form.layout, graph_.at(window.x).shape.back(), 0});
    if (std::find(out.first.begin(), out.first.end(), kCopyPad) != out.first.end()) {
      out.pad = allocate(args.run_units, false);
      lives_[out.pad->index].always = true;
      plan_.constants.push_back(
          {*out.pad, std::vector<std::int64_t>(static_cast<std::size_t>(args.run_units), pad_unit(form, window.pad))});
    }
    return out;
  }

  /// First fit over buffers in the order of their birth.
  void place() {
    plan_.offsets.assign(lives_.size(), 0);
    plan_.scratch_bytes = 0;
    std::vector<std::size_t> placed;  // by offset
    for (std::size_t i = 0; i < lives_.size(); ++i) {
      const Life& life = lives_[i];
      const auto bytes_of = [&](std::size_t j) {
        return (lives_[j].bytes_per_lane * static_cast<std::size_t>(plan_.lanes) + kAlignment - 1) / kAlignment *
               kAlignment;
      };
      std::size_t at = 0;
      for (const std::size_t j : placed) {
        const Life& other = lives_[j];
        const bool meets = life.always || other.always || (other.first <= life.last && life.first <= other.last);
        if (!meets) continue;
        if (plan_.offsets[j] >= at + bytes_of(i)) break;
        at = std::max(at, plan_.offsets[j] + bytes_of(j));
      }
      plan_.offsets[i] = at;
      plan_.scratch_bytes = std::max(plan_.scratch_bytes, at + bytes_of(i));
      const auto place =
          std::find_if(placed.begin(), placed.end(), [&](std::size_t j) { return plan_.offsets[j] > at; });
      placed.insert(place, i);
    }
  }

  /// One visitor call per primitive: a new row of primitives.def does not compile until it is planned here.
  struct Emit {
    Planner& p;
    std::size_t v;
    const exact::Value& value;

    [[nodiscard]] std::int64_t elements() const { return element_count(value.shape); }
    void cost(double ns_per_element) const { p.cost_ns_ += ns_per_element * static_cast<double>(elements()); }

    void operator()(const exact::Input&) const {
      for (std::size_t i = 0; i < p.graph_.inputs.size(); ++i) {
        if (p.graph_.inputs[i].value.index == v) input(i);
      }
    }
    void input(std::size_t i) const {
      const auto born = p.birth_form(v);
      const Form form = born.value_or(Form{p.analysis_.wide[v] ? Layout::Wide : Layout::Words, elements(), 0});
      InputStep step;
      step.input = i;
      step.y = born ? p.make_packed(v, form) : p.make_lanes(v);
      step.layout = form.layout;
      step.offset = form.offset;
      step.rows = elements() / form.row_len;
      step.n = form.row_len;
      step.units = units_per_row(form);
      step.convert = convert_args(p.graph_.inputs[i].conversion, form.layout, form.offset);
      const auto bytes = static_cast<std::size_t>(step.rows * step.units) * (form.layout == Layout::Wide ? 8 : 4);
      p.row_bytes_ = std::max(p.row_bytes_, bytes);
      cost(step.convert ? 0.3 : 40);
      p.push(std::move(step), {p.packed_[v].empty() ? *p.lanes_[v] : p.packed_[v].front().buffer});
    }

    void operator()(const exact::Constant& c) const {
      const Buffer y = p.make_lanes(v);
      p.lives_[y.index].always = true;
      ConstantLanes lanes{y, {}};
      for (const Int code : c.codes) lanes.codes.push_back(static_cast<std::int64_t>(code));
      p.plan_.constants.push_back(std::move(lanes));
    }

    void operator()(const exact::MatVec& m) const { matvec(m, v); }
    void matvec(const exact::MatVec& m, std::size_t from) const {
      const Product& product = p.analysis_.product[from];
      switch (product.path) {
        case Product::Path::Narrow:
          return narrow(m, product, from);
        case Product::Path::Wide:
        case Product::Path::Chain:
          return wide(m, product);
        case Product::Path::Plain:
          return plain();
      }
    }

    /// The product, and the step function behind it when v is a Requant.
    void narrow(const exact::MatVec& m, const Product& product, std::size_t from) const {
      MatVecStep step;
      step.args.x.run_units = units_per_row({product.form.layout, product.run_codes, 0});
      step.x = p.runs_of(m.x, product.form, p.analysis_.in_place[from], step.args.x);
      auto born = p.birth_form(v);
      EpilogueData epilogue;
      if (from == v) {
        born.reset();
      } else {
        const auto& requant = std::get<exact::Requant>(value.primitive);
        epilogue = std::move(p.analysis_.epilogue[v]);
        if (requant.count_saturation) step.counter = ValueId{static_cast<std::uint32_t>(v)};
        if (born && !(*born == form_of(born->layout, elements(), m.n_out, born->offset))) born.reset();
        if (born && born->offset != 0) {
          auto shifted = make_epilogue(requant.functions, hulls(p.graph_.values[from].ranges, requant.functions.size()),
                                       requant.count_saturation, born->offset, kMaxCompared);
          if (shifted) {
            epilogue = std::move(*shifted);
          } else {
            born.reset();
          }
        }
      }
      pad_to_tiles(epilogue, m.n_out);
      step.dot = product.dot;
      step.args.rows = elements() / m.n_out;
      step.args.units_out = m.n_out;
      step.args.n_out = m.n_out;
      if (born) {
        step.args.out = born->layout;
        step.args.units_out = units_per_row({born->layout, m.n_out, 0});
      }
      PackedWeights packed = pack_weights(m, product);
      step.weights = std::move(packed.weights);
      step.tile_begin = std::move(packed.tile_begin);
      step.tile_units = std::move(packed.tile_units);
      step.bias = pack_bias(m, product, epilogue);
      step.epilogue = std::move(epilogue);
      const Buffer y = born ? p.make_packed(v, *born) : p.make_lanes(v);
      step.y = y;
      // A tile of four outputs reads its units once per row.
      cost(0.02 * static_cast<double>(step.weights.size() / 4) / static_cast<double>((m.n_out + 3) / 4) + 0.1);
      const Buffer x = step.x.x;
      p.push(std::move(step), {x, y});
    }

    void wide(const exact::MatVec& m, const Product& product) const {
      WideMatVecStep step;
      const Buffer x = p.lanes_of(m.x);
      const Buffer y = p.make_lanes(v);
      step.x = x;
      step.y = y;
      step.args.rows = elements() / m.n_out;
      step.args.n_in = m.n_in;
      step.args.n_out = m.n_out;
      const bool chain = product.path == Product::Path::Chain;
      step.weights = m.weights;
      step.bias = wide_bias(m, product);
      for (auto& w : step.weights) {
        w = static_cast<std::int64_t>(static_cast<std::uint64_t>(w) << (chain ? 0 : product.weight_shift));
      }
      cost((chain ? 2.0 : 0.2) * static_cast<double>(m.n_in));
      if (chain) {
        p.push(ChainStep{std::move(step), product.product_function, product.sum_function}, {x, y});
      } else {
        p.push(std::move(step), {x, y});
      }
    }

    /// Any primitive, through the plain executor.
    void plain() const {
      PlainStep step;
      step.value = ValueId{static_cast<std::uint32_t>(v)};
      std::vector<Buffer> buffers;
      for (const auto id : exact::operands(value.primitive)) {
        step.operands.push_back(p.lanes_of(id));
        step.sizes.push_back(static_cast<std::size_t>(p.size_of(id)));
        cost(1000);
      }
      buffers = step.operands;
      step.y = p.make_lanes(v);
      buffers.push_back(step.y);
      step.counter = step.value;
      p.push(std::move(step), buffers);
    }

    void operator()(const exact::Add& a) const { binary(BinaryOp::Add, a.a, a.b, a.shift_a, a.shift_b); }
    void operator()(const exact::Sub& a) const { binary(BinaryOp::Sub, a.a, a.b, a.shift_a, a.shift_b); }
    void operator()(const exact::Mul& a) const { binary(BinaryOp::Mul, a.a, a.b, 0, 0); }
    void binary(BinaryOp op, ValueId a, ValueId b, int shift_a, int shift_b) const {
      if (shift_a > 63 || shift_b > 63) return plain();
      BinaryStep step;
      const Buffer x = p.lanes_of(a);
      const Buffer z = p.lanes_of(b);
      const Buffer y = p.make_lanes(v);
      step.a = x;
      step.b = z;
      step.y = y;
      step.args.op = op;
      step.args.elements = elements();
      step.args.shift_a = shift_a;
      step.args.shift_b = shift_b;
      step.a_index = broadcast_indices(p.graph_.at(a).shape, value.shape);
      step.b_index = broadcast_indices(p.graph_.at(b).shape, value.shape);
      cost(0.3);
      p.push(std::move(step), {x, z, y});
    }

    void operator()(const exact::Requant& r) const {
      if (const auto from = p.analysis_.fused_from[v]) {
        return matvec(std::get<exact::MatVec>(p.graph_.values[*from].primitive), *from);
      }
      const Buffer x = p.lanes_of(r.x);
      const auto ranges = hulls(p.graph_.at(r.x).ranges, r.functions.size());
      const bool narrow = !x.wide && !p.analysis_.wide[v];
      const auto id = ValueId{static_cast<std::uint32_t>(v)};
      const auto counter = r.count_saturation ? std::optional(id) : std::nullopt;
      const auto compared = [&](std::int32_t most) {
        auto epilogue = narrow ? make_epilogue(r.functions, ranges, r.count_saturation, 0, most) : std::nullopt;
        if (!epilogue) return false;
        const Buffer y = p.make_lanes(v);
        cost(0.3);
        p.push(RequantStep{x, y, elements(), std::move(*epilogue), counter}, {x, y});
        return true;
      };
      if (compared(kMaxCompared)) return;
      if (auto tables = narrow ? make_tables(r.functions, ranges, kMaxTableEntries) : std::nullopt) {
        TableStep step;
        const Buffer y = p.make_lanes(v);
        step.x = x;
        step.y = y;
        step.args.elements = elements();
        step.args.n_functions = static_cast<std::int32_t>(r.functions.size());
        step.args.lo = tables->lo;
        step.args.size = tables->size;
        step.table = std::move(tables->entries);
        cost(1);
        p.push(std::move(step), {x, y});
        return;
      }
      if (compared(kMaxComparedWithoutTable)) return;
      auto functions = make_wide(r.functions, ranges, r.count_saturation);
      if (!functions) return plain();
      const Buffer y = p.make_lanes(v);
      cost(3);
      p.push(WideRequantStep{x, y, elements(), std::move(*functions), counter}, {x, y});
    }

    void pool(const exact::Reduce& r) const {
      const Form& form = p.analysis_.pool_form[v];
      PoolStep step;
      step.args.maximum = r.kind == exact::Reduce::Kind::Max;
      step.args.layout = form.layout;
      step.x = p.runs_of(r.x, form, p.analysis_.in_place[v], step.args.x);
      const std::int64_t channels = std::get<exact::Window>(p.graph_.values[*p.analysis_.in_place[v]].primitive).groups;
      step.args.rows = elements() / channels;
      step.y = form.layout == Layout::Words ? p.make_lanes(v)
                                            : p.make_packed(v, form_of(form.layout, elements(), channels, form.offset));
      const Buffer x = step.x.x;
      const Buffer y = step.y;
      cost(0.1 * static_cast<double>(step.args.x.runs) / codes_per_unit(form.layout));
      p.push(std::move(step), {x, y});
    }
    void operator()(const exact::Reduce& r) const {
      if (p.analysis_.in_place[v]) return pool(r);
      ReduceStep step;
      const Buffer x = p.lanes_of(r.x);
      const Buffer y = p.make_lanes(v);
      step.x = x;
      step.y = y;
      step.args.maximum = r.kind == exact::Reduce::Kind::Max;
      step.args.rows = elements();
      step.args.n = p.size_of(r.x) / elements();
      cost(0.2 * static_cast<double>(step.args.n));
      p.push(step, {x, y});
    }

    void operator()(const exact::ArgMax& a) const {
      ArgMaxStep step;
      const Buffer x = p.lanes_of(a.x);
      const Buffer y = p.make_lanes(v);
      step.x = x;
      step.y = y;
      step.args.n = p.graph_.at(a.x).shape.back();
      step.args.rows = p.size_of(a.x) / step.args.n;
      step.args.k = a.k;
      cost(0.5 * static_cast<double>(step.args.n));
      p.push(step, {x, y});
    }

    void operator()(const exact::Forest& f) const {
      auto step =
          make_forest(f, hulls(p.graph_.at(f.x).ranges, static_cast<std::size_t>(f.n_in)), !p.analysis_.wide[v]);
      if (!step) return plain();
      const Buffer x = p.lanes_of(f.x);
      // Rows of sixteen lanes whatever the block has; as many lanes as the block keep the units whole.
      const Buffer scratch = p.allocate(longest_tree(*step), p.analysis_.wide[v]);
      const Buffer y = p.make_lanes(v);
      step->x = x;
      step->y = y;
      step->scratch = scratch;
      step->args.x_wide = x.wide;
      step->args.y_wide = y.wide;
      step->args.rows = elements() / f.n_out;
      p.cost_ns_ += forest_ns(*step) * static_cast<double>(step->args.rows);
      p.push(std::move(*step), {x, scratch, y});
    }

    void operator()(const exact::Concat& c) const {
      const Buffer y = p.make_lanes(v);
      const auto axis = static_cast<std::size_t>(c.axis);
      std::int64_t inner = 1;
      for (std::size_t d = axis; d < value.shape.size(); ++d) inner *= value.shape[d];
      std::int64_t start = 0;
      for (const auto id : c.xs) {
        const std::int64_t piece = inner / value.shape[axis] * p.graph_.at(id).shape[axis];
        const Buffer x = p.lanes_of(id);
        CopyStep step{x, y, p.size_of(id), {}, {}, 0};
        for (std::int64_t e = 0; e < step.elements; ++e) {
          step.to.push_back(static_cast<std::uint32_t>(e / piece * inner + start + e % piece));
        }
        start += piece;
        p.push(std::move(step), {x, y});
      }
      cost(0.2);
    }

    void moved() const {
      const auto m = exact::movement(p.graph_, value);
      if (p.analysis_.moves_units[v]) {
        const std::int64_t from = p.size_of(m->x);
        for (const Form& form : p.analysis_.forms[v]) {
          auto units = moved_units(*m, from, form);
          const Buffer x = p.packed_of(m->x, {form.layout, from, form.offset});
          const Buffer y = p.make_packed(v, form);
          const auto count = static_cast<std::int64_t>(units->size());
          cost(0.2 / codes_per_unit(form.layout));
          p.push(CopyStep{x, y, count, std::move(*units), {}, pad_unit(form, m->pad)}, {x, y});
        }
        return;
      }
      const Buffer x = p.lanes_of(m->x);
      const Buffer y = p.make_lanes(v);
      CopyStep step{x, y, elements(), {}, {}, static_cast<std::int64_t>(m->pad)};
      step.from.reserve(m->from.size());
      for (const auto i : m->from) step.from.push_back(i < 0 ? kCopyPad : static_cast<std::uint32_t>(i));
      cost(0.2);
      p.push(std::move(step), {x, y});
    }
    void operator()(const exact::Permute&) const { moved(); }
    void operator()(const exact::Window&) const { moved(); }
    void operator()(const exact::Gather&) const { moved(); }

    void operator()(const exact::Reshape&) const {}
  };

  const exact::Graph& graph_;
  Analysis analysis_;
  Plan plan_;
  std::vector<Life> lives_;
  std::vector<std::optional<Buffer>> lanes_;
  std::vector<std::vector<PackedBuffer>> packed_;
  std::size_t row_bytes_ = 0;
  double cost_ns_ = 0;
};

}  // namespace

Result<Plan> make_plan(const exact::Graph& graph, const Kernels& kernels, const std::vector<ValueId>& outputs,
                       Context& ctx) {
  for (const auto& value : graph.values) {
    for (const auto& range : value.ranges) {
      if (fits_int64(range.lo) && fits_int64(range.hi)) continue;
      return ctx.fail(Kind::TypeTooWide, value.origin,
                      fmt::format("codes of `{}` reach from {} to {}, the fast executor holds 64 bits; use narrower "
                                  "types in front of it, or the plain executor",
                                  value.name, fixed::to_string(range.lo), fixed::to_string(range.hi)));
    }
  }
  return Planner(graph, kernels, outputs).run();
}

}  // namespace weft::emulate
