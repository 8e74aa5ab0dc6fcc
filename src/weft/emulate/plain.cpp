// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/plain.h"

#include <algorithm>
#include <numeric>

#include "weft/emulate/emulator.h"
#include "weft/exact/forest.h"
#include "weft/fixed/quantize.h"

namespace weft::emulate {
namespace {

using Codes = std::vector<Int>;
using Operands = std::vector<const Codes*>;

/// Ranges prove that 128 bits suffice.
Int must(const std::optional<Int>& value) {
  WEFT_CHECK(value.has_value(), "a code of a sound graph does not fit 128 bits");
  return *value;
}

std::size_t last_extent(const Shape& shape) { return shape.empty() ? 1 : static_cast<std::size_t>(shape.back()); }

/// One visitor call per primitive: a new row of primitives.def does not compile until it has a meaning here.
struct Evaluate {
  const exact::Graph& graph;
  const exact::Value& value;
  const Operands& operands;
  std::uint64_t& saturations;

  [[nodiscard]] const Codes& operand(std::size_t i) const { return *operands[i]; }
  [[nodiscard]] const Shape& shape_of(exact::ValueId id) const { return graph.at(id).shape; }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(element_count(value.shape)); }

  Codes operator()(const exact::Input&) const {
    WEFT_CHECK(false, "an input has no codes of its own");
    return {};
  }
  Codes operator()(const exact::Constant& p) const { return p.codes; }

  Codes operator()(const exact::MatVec& p) const {
    const Codes& x = operand(0);
    const auto n_in = static_cast<std::size_t>(p.n_in);
    const auto n_out = static_cast<std::size_t>(p.n_out);
    Codes y(size());
    for (std::size_t row = 0; row * n_out < y.size(); ++row) {
      for (std::size_t o = 0; o < n_out; ++o) {
        Int sum = p.bias.empty() ? 0 : p.bias[o];
        if (p.accumulator) sum = fixed::cast(sum, p.accumulator->lsb_frac_bits, p.accumulator->type);
        for (std::size_t i = 0; i < n_in; ++i) {
          Int product = must(fixed::checked_mul(x[row * n_in + i], p.weights[i * n_out + o]));
          if (p.accumulator) product = fixed::cast(product, p.accumulator->lsb_frac_bits, p.accumulator->type);
          sum = must(fixed::checked_add(sum, product));
          if (p.accumulator) sum = fixed::apply_overflow(sum, p.accumulator->type);
        }
        y[row * n_out + o] = sum;
      }
    }
    return y;
  }

  template <class F>
  Codes broadcast(exact::ValueId a, exact::ValueId b, const F& f) const {
    Codes y(size());
    for (std::size_t e = 0; e < y.size(); ++e) {
      y[e] = f(operand(0)[tensor::broadcast_index(shape_of(a), value.shape, e)],
               operand(1)[tensor::broadcast_index(shape_of(b), value.shape, e)]);
    }
    return y;
  }
  Codes operator()(const exact::Add& p) const {
    return broadcast(p.a, p.b, [&](Int a, Int b) {
      return must(fixed::checked_add(must(fixed::checked_shift_left(a, p.shift_a)),
                                     must(fixed::checked_shift_left(b, p.shift_b))));
    });
  }
  Codes operator()(const exact::Sub& p) const {
    return broadcast(p.a, p.b, [&](Int a, Int b) {
      return must(fixed::checked_sub(must(fixed::checked_shift_left(a, p.shift_a)),
                                     must(fixed::checked_shift_left(b, p.shift_b))));
    });
  }
  Codes operator()(const exact::Mul& p) const {
    return broadcast(p.a, p.b, [](Int a, Int b) { return must(fixed::checked_mul(a, b)); });
  }

  Codes operator()(const exact::Requant& p) const {
    const Codes& x = operand(0);
    Codes y(x.size());
    for (std::size_t e = 0; e < y.size(); ++e) {
      const auto& function = p.functions[e % p.functions.size()];
      y[e] = fixed::evaluate(function, x[e]);
      if (p.count_saturation && clips(function, x[e])) ++saturations;
    }
    return y;
  }

  Codes operator()(const exact::Reduce& p) const {
    const Codes& x = operand(0);
    const std::size_t n = last_extent(shape_of(p.x));
    Codes y(size());
    for (std::size_t row = 0; row < y.size(); ++row) {
      y[row] = x[row * n];
      for (std::size_t i = 1; i < n; ++i) {
        const Int next = x[row * n + i];
        y[row] = p.kind == exact::Reduce::Kind::Max ? std::max(y[row], next) : must(fixed::checked_add(y[row], next));
      }
    }
    return y;
  }

  Codes operator()(const exact::ArgMax& p) const {
    const Codes& x = operand(0);
    const std::size_t n = last_extent(shape_of(p.x));
    const auto k = static_cast<std::size_t>(p.k);
    Codes y(size());
    std::vector<std::size_t> order(n);
    for (std::size_t row = 0; row * k < y.size(); ++row) {
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return x[row * n + a] > x[row * n + b]; });
      for (std::size_t j = 0; j < k; ++j) y[row * k + j] = static_cast<Int>(order[j]);
    }
    return y;
  }

  Codes operator()(const exact::Concat& p) const {
    // Everything from the axis on is one contiguous piece per operand.
    Codes y;
    y.reserve(size());
    std::vector<std::size_t> piece;
    std::size_t outer = 1;
    for (std::size_t d = 0; d < static_cast<std::size_t>(p.axis); ++d) {
      outer *= static_cast<std::size_t>(value.shape[d]);
    }
    for (std::size_t i = 0; i < p.xs.size(); ++i) piece.push_back(outer == 0 ? 0 : operand(i).size() / outer);
    for (std::size_t row = 0; row < outer; ++row) {
      for (std::size_t i = 0; i < p.xs.size(); ++i) {
        const auto begin = operand(i).begin() + static_cast<std::ptrdiff_t>(row * piece[i]);
        y.insert(y.end(), begin, begin + static_cast<std::ptrdiff_t>(piece[i]));
      }
    }
    return y;
  }

  Codes moved() const {
    const auto m = exact::movement(graph, value);
    Codes y;
    y.reserve(m->from.size());
    for (const auto i : m->from) y.push_back(i < 0 ? m->pad : operand(0)[static_cast<std::size_t>(i)]);
    return y;
  }
  Codes operator()(const exact::Permute&) const { return moved(); }
  Codes operator()(const exact::Reshape&) const { return operand(0); }
  Codes operator()(const exact::Window&) const { return moved(); }
  Codes operator()(const exact::Gather&) const { return moved(); }

  Codes operator()(const exact::Forest& p) const {
    const Codes& x = operand(0);
    const auto n_in = static_cast<std::size_t>(p.n_in);
    const auto n_out = static_cast<std::size_t>(p.n_out);
    Codes y(size());
    for (std::size_t row = 0; row * n_out < y.size(); ++row) {
      for (std::size_t o = 0; o < n_out; ++o) y[row * n_out + o] = p.bias[o];
      for (const auto& tree : p.trees) {
        const auto leaf = static_cast<std::size_t>(exact::walk(
            p, tree.root, [&](std::int64_t feature) { return x[row * n_in + static_cast<std::size_t>(feature)]; }));
        for (std::size_t j = 0; j < static_cast<std::size_t>(tree.width); ++j) {
          Int& sum = y[row * n_out + static_cast<std::size_t>(tree.first) + j];
          sum = must(fixed::checked_add(sum, p.leaves[leaf + j]));
        }
      }
    }
    return y;
  }
};

}  // namespace

bool clips(const fixed::StepFunction& function, Int x) {
  const auto* shift_round = std::get_if<fixed::ShiftRound>(&function);
  if (shift_round == nullptr) return false;
  const auto rounded = shift_round->shift > 0
                           ? std::optional<Int>(fixed::round_shift(x, shift_round->shift, shift_round->rounding))
                           : fixed::checked_shift_left(x, -shift_round->shift);
  return !rounded || *rounded != fixed::evaluate(function, x);
}

std::vector<Int> evaluate_primitive(const exact::Graph& graph, const exact::Value& value, const Operands& operands,
                                    std::uint64_t& saturations) {
  auto codes = std::visit(Evaluate{graph, value, operands, saturations}, value.primitive);
  WEFT_CHECK(static_cast<std::int64_t>(codes.size()) == element_count(value.shape),
             "a primitive gave another number of codes than its shape has");
  return codes;
}

PlainResult run_plain(const exact::Graph& graph, const std::vector<std::vector<Int>>& inputs) {
  WEFT_CHECK(inputs.size() == graph.inputs.size(), "run_plain needs the codes of every graph input");
  PlainResult result;
  result.values.resize(graph.values.size());
  result.saturations.resize(graph.values.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto id = graph.inputs[i].value;
    WEFT_CHECK(static_cast<std::int64_t>(inputs[i].size()) == element_count(graph.at(id).shape),
               "the codes of a graph input do not fit its shape");
    result.values[id.index] = inputs[i];
  }
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    const auto& value = graph.values[v];
    if (std::holds_alternative<exact::Input>(value.primitive)) continue;
    Operands operands;
    for (const auto id : exact::operands(value.primitive)) operands.push_back(&result.values[id.index]);
    result.values[v] = evaluate_primitive(graph, value, operands, result.saturations[v]);
  }
  return result;
}

}  // namespace weft::emulate
