// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/analysis.h"

#include <algorithm>
#include <limits>

#include "weft/fixed/quantize.h"

namespace weft::emulate {
namespace {

using exact::MatVec;
using exact::Requant;
using exact::Value;
using fixed::Range;

Range hull_of(const std::vector<Range>& ranges) {
  Range out = ranges.front();
  for (const auto& range : ranges) out = fixed::unite(out, range);
  return out;
}

bool within(Int lo, Int hi, const Range& range) { return range.lo >= lo && range.hi <= hi; }

/// Whether a forced accumulator never changes a sum: products shift exactly and every partial sum, in index order,
/// stays in the type.
bool is_lossless(const MatVec& p, const std::vector<Range>& x, int weight_shift) {
  const auto& type = p.accumulator->type;
  if (weight_shift < 0 || weight_shift > 62) return false;
  const auto stays = [&](const std::optional<Range>& r) {
    return r && r->lo >= fixed::min_code(type) && r->hi <= fixed::max_code(type);
  };
  const Int unit = Int{1} << weight_shift;
  for (std::size_t o = 0; o < static_cast<std::size_t>(p.n_out); ++o) {
    std::optional<Range> sum = fixed::scale(Range{p.bias[o], p.bias[o], 0}, unit);
    if (!stays(sum)) return false;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::int64_t w = p.weights[i * static_cast<std::size_t>(p.n_out) + o];
      if (w == 0) continue;
      const auto product = fixed::scale(x[i], w);
      const auto scaled = product ? fixed::scale(*product, unit) : std::nullopt;
      if (!stays(scaled)) return false;
      sum = fixed::add(*sum, *scaled);
      if (!stays(sum)) return false;
    }
  }
  return true;
}

/// Two neighbouring products of bytes fit 16 bits for every reachable input (each x is one range per input).
bool pairs_fit(const MatVec& p, const std::vector<Range>& x, const Product& product) {
  const Int unit = Int{1} << product.weight_shift;
  const auto run_units = static_cast<std::size_t>(units_per_row({Layout::Bytes, product.run_codes, 0}));
  std::vector<Int> lo(x.size() / static_cast<std::size_t>(product.run_codes) * run_units * 2);
  std::vector<Int> hi(lo.size());
  for (std::size_t o = 0; o < static_cast<std::size_t>(p.n_out); ++o) {
    std::fill(lo.begin(), lo.end(), Int{0});
    std::fill(hi.begin(), hi.end(), Int{0});
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Slot slot = slot_of(product, p.n_in, i);
      const std::size_t pair = slot.unit * 2 + slot.code / 2;
      const Int w = unit * p.weights[i * static_cast<std::size_t>(p.n_out) + o];
      Int& sum = w < 0 ? lo[pair] : hi[pair];
      sum += w * (x[i].hi + product.form.offset);
      if (sum < std::numeric_limits<std::int16_t>::min() || sum > std::numeric_limits<std::int16_t>::max())
        return false;
    }
  }
  return true;
}

class Analyser {
 public:
  Analyser(const exact::Graph& graph, const Kernels& kernels) : graph_(graph), kernels_(kernels) {
    const std::size_t n = graph.values.size();
    a_.root.resize(n);
    a_.wide.resize(n);
    a_.bipolar.resize(n);
    a_.product.resize(n);
    a_.fused_into.resize(n);
    a_.fused_from.resize(n);
    a_.epilogue.resize(n);
    a_.in_place.resize(n);
    a_.pool_form.resize(n);
    a_.skipped.resize(n);
    a_.forms.resize(n);
    a_.lanes_wanted.resize(n);
    a_.moves_units.resize(n);
  }

  Analysis run(const std::vector<exact::ValueId>& outputs) {
    for (std::size_t v = 0; v < graph_.values.size(); ++v) {
      const Value& value = graph_.values[v];
      const auto* reshape = std::get_if<exact::Reshape>(&value.primitive);
      a_.root[v] = reshape != nullptr ? a_.root[reshape->x.index] : v;
      a_.bipolar[v] = is_bipolar(v);
      a_.wide[v] = !within(std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max(),
                           hull_of(value.ranges));
      if (const auto* p = std::get_if<MatVec>(&value.primitive)) {
        a_.product[v] = choose(*p, value);
        if (a_.product[v].path == Product::Path::Wide || a_.product[v].path == Product::Path::Chain) a_.wide[v] = true;
      }
    }
    count_readers(outputs);
    find_fusions();
    find_windows();
    find_readers(outputs);
    return std::move(a_);
  }

 private:
  [[nodiscard]] bool all_operands_bipolar(const Value& value) const {
    const auto ids = exact::operands(value.primitive);
    return std::all_of(ids.begin(), ids.end(), [&](exact::ValueId id) { return a_.bipolar[id.index]; });
  }

  [[nodiscard]] bool is_bipolar(std::size_t v) const {
    const Value& value = graph_.values[v];
    if (std::holds_alternative<exact::Input>(value.primitive)) {
      return std::any_of(graph_.inputs.begin(), graph_.inputs.end(), [&](const exact::GraphInput& input) {
        return input.value.index == v && input.conversion.form == exact::InputConversion::Form::Bipolar;
      });
    }
    if (const auto* p = std::get_if<Requant>(&value.primitive)) {
      return std::all_of(p->functions.begin(), p->functions.end(), [](const fixed::StepFunction& f) {
        const auto* pieces = std::get_if<fixed::Pieces>(&f);
        return pieces != nullptr &&
               std::all_of(pieces->values.begin(), pieces->values.end(), [](Int y) { return y == 1 || y == -1; });
      });
    }
    const auto* window = std::get_if<exact::Window>(&value.primitive);
    const auto* gather = std::get_if<exact::Gather>(&value.primitive);
    const Int pad = window != nullptr ? window->pad : gather != nullptr ? gather->pad : 1;
    const bool moves = std::holds_alternative<exact::Reshape>(value.primitive) ||
                       std::holds_alternative<exact::Permute>(value.primitive) ||
                       std::holds_alternative<exact::Concat>(value.primitive) || window != nullptr || gather != nullptr;
    // A pad of another value is in the ranges only where it occurs.
    const bool padded = pad != 1 && pad != -1 &&
                        std::any_of(value.ranges.begin(), value.ranges.end(),
                                    [&](const fixed::Range& r) { return r.lo == pad && r.hi == pad; });
    return moves && !padded && all_operands_bipolar(value);
  }

  [[nodiscard]] Product choose(const MatVec& p, const Value& value) const {
    Product out;
    const auto& x_ranges = graph_.at(p.x).ranges;
    const auto x = hulls(x_ranges, static_cast<std::size_t>(p.n_in));
    if (p.accumulator) {
      out.weight_shift = p.accumulator->type.frac_bits() - p.accumulator->lsb_frac_bits;
      if (!is_lossless(p, x, out.weight_shift)) return choose_chain(p, hull_of(x));
    }
    // From here on sums are exact, so they may wrap on the way: only the result must fit.
    out.path = Product::Path::Wide;
    if (out.weight_shift > 62) return Product{};
    if (!within(std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max(),
                hull_of(value.ranges))) {
      return out;
    }
    const auto dot = choose_dot(p, x, element_count(graph_.at(p.x).shape), out.weight_shift);
    return dot ? row_product(p, *dot, out.weight_shift) : out;
  }

  [[nodiscard]] static Product row_product(const MatVec& p, const std::pair<DotKind, Form>& dot, int weight_shift) {
    Product out;
    out.path = Product::Path::Narrow;
    out.dot = dot.first;
    out.form = dot.second;
    out.run_codes = p.n_in;
    out.weight_shift = weight_shift;
    return out;
  }

  /// The narrowest product that is exact modulo 2^32, and the form of its operand.
  [[nodiscard]] std::optional<std::pair<DotKind, Form>> choose_dot(const MatVec& p, const std::vector<Range>& x,
                                                                   std::int64_t elements, int weight_shift) const {
    const Int unit = Int{1} << weight_shift;
    std::int64_t lowest = 0;
    std::int64_t highest = 0;
    bool signs = true;
    for (const std::int64_t w : p.weights) {
      lowest = std::min(lowest, w);
      highest = std::max(highest, w);
      signs = signs && (w == 1 || w == -1);
    }
    const Range weights{lowest * unit, highest * unit, 0};
    const Range hull = hull_of(x);
    const auto form = [&](Layout layout, std::int32_t offset) { return form_of(layout, elements, p.n_in, offset); };
    if (a_.bipolar[p.x.index] && signs && unit == 1) return std::pair(DotKind::Bits, form(Layout::Bits, 0));
    if (kernels_.byte_dot != ByteDot::None && within(-128, 127, weights)) {
      if (const auto offset = pack_offset(Layout::Bytes, hull)) {
        const auto bytes = std::pair(DotKind::Bytes, form(Layout::Bytes, *offset));
        if (kernels_.byte_dot == ByteDot::Any || pairs_fit(p, x, row_product(p, bytes, weight_shift))) return bytes;
      }
    }
    if (within(-32768, 32767, weights)) {
      if (const auto offset = pack_offset(Layout::Halves, hull)) {
        return std::pair(DotKind::Halves, form(Layout::Halves, *offset));
      }
    }
    if (a_.wide[a_.root[p.x.index]]) return std::nullopt;
    return std::pair(DotKind::Words, form(Layout::Words, 0));
  }

  [[nodiscard]] static Product choose_chain(const MatVec& p, const Range& x) {
    Product out;
    const auto& type = p.accumulator->type;
    if (type.width_bits > 61) return out;
    Range products{0, 0, 0};
    for (const std::int64_t w : p.weights) {
      const auto product = fixed::scale(x, w);
      if (!product || !fits_int64(product->lo) || !fits_int64(product->hi)) return out;
      products = {std::min(products.lo, product->lo), std::max(products.hi, product->hi), 0};
    }
    const auto function = [&](int shift) {
      return fixed::ShiftRound{.shift = shift,
                               .rounding = type.rounding,
                               .overflow = type.overflow,
                               .lo = fixed::min_code(type),
                               .hi = fixed::max_code(type),
                               .width_bits = type.width_bits,
                               .is_signed = type.is_signed,
                               .saturation_bits = type.saturation_bits};
    };
    const auto product_function = make_wide(function(p.accumulator->lsb_frac_bits - type.frac_bits()), products);
    const auto sum_function = make_wide(function(0), {2 * fixed::min_code(type), 2 * fixed::max_code(type), 0});
    if (!product_function || !sum_function) return out;
    out.path = Product::Path::Chain;
    out.product_function = *product_function;
    out.sum_function = *sum_function;
    return out;
  }

  void count_readers(const std::vector<exact::ValueId>& outputs) {
    readers_.assign(graph_.values.size(), 0);
    for (const auto& value : graph_.values) {
      for (const auto id : exact::operands(value.primitive)) ++readers_[id.index];
    }
    for (const auto id : outputs) ++readers_[id.index];
  }

  /// A narrow product whose only reader is a step function keeps its sums in registers.
  void find_fusions() {
    for (std::size_t r = 0; r < graph_.values.size(); ++r) {
      const auto* p = std::get_if<Requant>(&graph_.values[r].primitive);
      if (p == nullptr || a_.wide[r]) continue;
      const std::size_t v = p->x.index;
      const auto* matvec = std::get_if<MatVec>(&graph_.values[v].primitive);
      if (matvec == nullptr || readers_[v] != 1 || a_.product[v].path != Product::Path::Narrow) continue;
      const auto n = static_cast<std::int64_t>(p->functions.size());
      if (n != 1 && n != matvec->n_out) continue;
      auto epilogue = make_epilogue(p->functions, hulls(graph_.values[v].ranges, p->functions.size()),
                                    p->count_saturation, 0, kMaxCompared);
      if (!epilogue) continue;
      a_.fused_into[v] = r;
      a_.fused_from[r] = v;
      a_.epilogue[r] = std::move(*epilogue);
    }
  }

  /// The window `id` when its only reader may read it in place.
  [[nodiscard]] const exact::Window* private_window(exact::ValueId id) const {
    const auto* window = std::get_if<exact::Window>(&graph_.at(id).primitive);
    return window != nullptr && readers_[id.index] == 1 && !a_.wide[a_.root[window->x.index]] ? window : nullptr;
  }

  void find_windows() {
    for (std::size_t v = 0; v < graph_.values.size(); ++v) {
      const auto& primitive = graph_.values[v].primitive;
      if (const auto* p = std::get_if<MatVec>(&primitive)) read_in_place(v, *p);
      if (const auto* p = std::get_if<exact::Reduce>(&primitive)) read_in_place(v, *p);
    }
  }

  void read_in_place(std::size_t v, const MatVec& p) {
    Product& product = a_.product[v];
    const auto* window = private_window(p.x);
    if (window == nullptr || product.path != Product::Path::Narrow) return;
    const Shape& x = graph_.at(window->x).shape;
    const Layout layout = product.form.layout;
    const std::int64_t per_unit = codes_per_unit(layout);
    const std::int64_t units = units_per_row({layout, x.back(), 0});
    const std::int64_t taps = p.n_in / x.back();
    // Padding each run to whole units must not cost more than half again, and bits of padding would be counted.
    if (layout == Layout::Bits && x.back() % per_unit != 0) return;
    if (2 * taps * units * per_unit > 3 * p.n_in + 2 * per_unit) return;
    Product moved = product;
    moved.form = form_of(layout, element_count(x), x.back(), product.form.offset);
    moved.run_codes = x.back();
    moved.groups = window->groups;
    if (product.dot == DotKind::Bytes && kernels_.byte_dot == ByteDot::Pairs &&
        !pairs_fit(p, hulls(graph_.at(p.x).ranges, static_cast<std::size_t>(p.n_in)), moved))
      return;
    product = moved;
    a_.in_place[v] = p.x.index;
    a_.skipped[p.x.index] = true;
  }

  /// A pool: a window with one group per channel, its taps on a last axis of their own, and the reduction over them.
  void read_in_place(std::size_t v, const exact::Reduce& p) {
    const auto* reshape = std::get_if<exact::Reshape>(&graph_.at(p.x).primitive);
    if (reshape == nullptr || readers_[p.x.index] != 1 || a_.wide[v]) return;
    const auto* window = private_window(reshape->x);
    if (window == nullptr) return;
    const std::int64_t channels = graph_.at(window->x).shape.back();
    const std::int64_t taps = graph_.at(reshape->x).shape.back() / channels;
    if (window->groups != channels || graph_.at(p.x).shape.back() != taps) return;
    a_.in_place[v] = reshape->x.index;
    a_.skipped[reshape->x.index] = true;
    a_.skipped[p.x.index] = true;
  }

  /// Packed when all readers want one packed form in which the operand's codes compare as they are.
  [[nodiscard]] Form form_of_pool(std::size_t v, const exact::Reduce& p) const {
    const Value& window = graph_.values[*a_.in_place[v]];
    const Shape& x = graph_.at(std::get<exact::Window>(window.primitive).x).shape;
    const Form words{Layout::Words, element_count(x), 0};
    if (p.kind != exact::Reduce::Kind::Max || a_.lanes_wanted[v] || a_.forms[v].size() != 1) return words;
    const Form& form = a_.forms[v].front();
    const Form result = form_of(form.layout, element_count(graph_.values[v].shape), x.back(), form.offset);
    const Range hull = hull_of(window.ranges);
    const bool bytes = form.layout == Layout::Bytes;
    if ((!bytes && form.layout != Layout::Halves) || !(result == form)) return words;
    if (!within(bytes ? 0 : -32768, bytes ? 255 : 32767, {hull.lo + form.offset, hull.hi + form.offset, 0}))
      return words;
    return form_of(form.layout, element_count(x), x.back(), form.offset);
  }

  void want(exact::ValueId id, const std::optional<Form>& form) {
    const std::size_t root = a_.root[id.index];
    if (!form || form->layout == Layout::Words) {
      a_.lanes_wanted[root] = true;
    } else if (std::find(a_.forms[root].begin(), a_.forms[root].end(), *form) == a_.forms[root].end()) {
      a_.forms[root].push_back(*form);
    }
  }

  /// From the last value on: what the readers of a value want is known before its operands are asked.
  void find_readers(const std::vector<exact::ValueId>& outputs) {
    for (const auto id : outputs) want(id, std::nullopt);
    for (std::size_t v = graph_.values.size(); v-- > 0;) {
      const Value& value = graph_.values[v];
      if (std::holds_alternative<exact::Reshape>(value.primitive) || a_.fused_from[v] || a_.skipped[v]) continue;
      if (a_.in_place[v]) {
        const auto x = std::get<exact::Window>(graph_.values[*a_.in_place[v]].primitive).x;
        const auto* pool = std::get_if<exact::Reduce>(&value.primitive);
        if (pool != nullptr) a_.pool_form[v] = form_of_pool(v, *pool);
        want(x, pool != nullptr ? a_.pool_form[v] : a_.product[v].form);
        continue;
      }
      if (move_units(v)) continue;
      const auto* p = std::get_if<MatVec>(&value.primitive);
      const bool narrow = p != nullptr && a_.product[v].path == Product::Path::Narrow;
      for (const auto id : exact::operands(value.primitive)) {
        want(id, narrow ? std::optional(a_.product[v].form) : std::nullopt);
      }
    }
  }

  /// Wants the packed forms of a movement's operand where they can serve all its readers.
  bool move_units(std::size_t v) {
    const Value& value = graph_.values[v];
    if (a_.lanes_wanted[v] || a_.forms[v].empty()) return false;
    const auto moved = exact::movement(graph_, value);
    if (!moved) return false;
    const std::int64_t elements = element_count(graph_.at(moved->x).shape);
    for (const Form& form : a_.forms[v])
      if (!moved_units(*moved, elements, form)) return false;
    a_.moves_units[v] = true;
    for (const Form& form : a_.forms[v]) want(moved->x, Form{form.layout, elements, form.offset});
    return true;
  }

  const exact::Graph& graph_;
  const Kernels& kernels_;
  Analysis a_;
  std::vector<int> readers_;
};

}  // namespace

Form form_of(Layout layout, std::int64_t elements, std::int64_t row_len, std::int32_t offset) {
  return {layout, row_len % codes_per_unit(layout) == 0 ? elements : row_len, offset};
}

Slot slot_of(const Product& product, std::int64_t n_in, std::size_t i) {
  const auto per_unit = static_cast<std::size_t>(codes_per_unit(product.form.layout));
  const auto run_codes = static_cast<std::size_t>(product.run_codes);
  const std::size_t per_group = run_codes / static_cast<std::size_t>(product.groups);
  const std::size_t runs = static_cast<std::size_t>(n_in) / run_codes;
  const std::size_t run = i / per_group % runs;
  const std::size_t code = i / per_group / runs * per_group + i % per_group;
  return {run * ((run_codes + per_unit - 1) / per_unit) + code / per_unit, code % per_unit};
}

std::vector<Range> hulls(const std::vector<Range>& ranges, std::size_t n) {
  std::vector<Range> out(ranges.begin(), ranges.begin() + static_cast<std::ptrdiff_t>(n));
  for (std::size_t i = n; i < ranges.size(); ++i) out[i % n] = fixed::unite(out[i % n], ranges[i]);
  return out;
}

std::optional<std::vector<std::uint32_t>> moved_units(const exact::Movement& moved, std::int64_t elements,
                                                      const Form& form) {
  const std::int64_t n = codes_per_unit(form.layout);
  const auto count = static_cast<std::int64_t>(moved.from.size());
  if (form.row_len != count || count % n != 0 || elements % n != 0) return std::nullopt;
  std::vector<std::uint32_t> out;
  out.reserve(static_cast<std::size_t>(count / n));
  for (std::int64_t u = 0; u < count; u += n) {
    const std::int64_t first = moved.from[static_cast<std::size_t>(u)];
    if (first >= 0 && first % n != 0) return std::nullopt;
    for (std::int64_t k = 1; k < n; ++k)
      if (moved.from[static_cast<std::size_t>(u + k)] != (first < 0 ? first : first + k)) return std::nullopt;
    if (first < 0 && form.layout == Layout::Bits && moved.pad != 1 && moved.pad != -1) return std::nullopt;
    out.push_back(first < 0 ? kCopyPad : static_cast<std::uint32_t>(first / n));
  }
  return out;
}

std::vector<std::uint32_t> run_starts(const exact::Graph& graph, const exact::Value& window, Layout layout) {
  const auto& w = std::get<exact::Window>(window.primitive);
  const Shape& x = graph.at(w.x).shape;
  const std::int64_t channels = x.back();
  const std::int64_t units = units_per_row({layout, channels, 0});
  const std::int64_t taps = window.shape.back() / channels;
  const std::int64_t per_group = channels / w.groups;
  const auto indices = exact::window_indices(w, x, window.shape);
  std::vector<std::uint32_t> out;
  out.reserve(indices.size() / static_cast<std::size_t>(channels));
  for (std::int64_t at = 0; at < static_cast<std::int64_t>(indices.size()); at += taps * channels) {
    for (std::int64_t t = 0; t < taps; ++t) {
      const std::int64_t element = indices[static_cast<std::size_t>(at + t * per_group)];
      out.push_back(element < 0 ? kCopyPad : static_cast<std::uint32_t>(element / channels * units));
    }
  }
  return out;
}

std::int32_t pad_unit(const Form& form, Int pad) {
  const auto code = static_cast<std::uint32_t>(static_cast<std::int64_t>(pad) + form.offset);
  switch (form.layout) {
    case Layout::Bytes:
      return static_cast<std::int32_t>((code & 0xFFU) * 0x01010101U);
    case Layout::Halves:
      return static_cast<std::int32_t>((code & 0xFFFFU) * 0x00010001U);
    case Layout::Bits:
      return pad > 0 ? -1 : 0;
    default:
      return static_cast<std::int32_t>(code);
  }
}

std::optional<std::int32_t> pack_offset(Layout layout, const Range& range) {
  const bool bytes = layout == Layout::Bytes;
  const Int lo = bytes ? 0 : std::numeric_limits<std::int16_t>::min();
  const Int hi = bytes ? 255 : std::numeric_limits<std::int16_t>::max();
  if (!fits_int32(range.lo) || !fits_int32(range.hi)) return std::nullopt;
  // The usual offsets first, so that readers with other ranges of the same codes agree.
  const Int to_lo = lo - range.lo;
  for (const Int offset : {Int{0}, bytes ? Int{128} : Int{-32768}, to_lo + (to_lo & 1)}) {
    if (range.lo + offset >= lo && range.hi + offset <= hi && fits_int32(offset)) {
      return static_cast<std::int32_t>(offset);
    }
  }
  return std::nullopt;
}

Analysis analyse(const exact::Graph& graph, const Kernels& kernels, const std::vector<exact::ValueId>& outputs) {
  return Analyser(graph, kernels).run(outputs);
}

}  // namespace weft::emulate
