// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random dense networks of a given shape, for tests and benches of the executors.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "weft/exact/graph.h"
#include "weft/exact/random_graph.h"
#include "weft/fixed/quantize.h"

namespace weft::emulate {

struct DenseOptions {
  std::vector<std::int64_t> sizes{16, 64, 32, 32, 5};
  fixed::FixedType input{.width_bits = 8, .integer_bits = 3};
  /// Signed weights of this width; 1 means -1 and +1.
  int weight_bits = 6;
  fixed::Rounding rounding = fixed::Rounding::RndConv;
  fixed::Overflow overflow = fixed::Overflow::Sat;
  int activation_bits = 6;
  bool signed_activations = false;
  /// Activations are -1 below 0 and +1 from there on.
  bool bipolar_activations = false;
  bool count_saturation = false;
};

/// Appends a value with its inferred shape and ranges.
inline exact::ValueId append(exact::Graph& graph, exact::Primitive primitive, Shape shape = {}) {
  diag::Engine engine;
  Context ctx{engine};
  exact::Value value;
  value.name = fmt::format("v{}", graph.values.size());
  value.shape = std::move(shape);
  value.primitive = std::move(primitive);
  const bool own_shape = std::holds_alternative<exact::Input>(value.primitive) ||
                         std::holds_alternative<exact::Constant>(value.primitive) ||
                         std::holds_alternative<exact::Reshape>(value.primitive);
  if (!own_shape) value.shape = exact::infer_shape(graph, value, ctx).value();
  if (!std::holds_alternative<exact::Input>(value.primitive)) {
    value.ranges = exact::infer_ranges(graph, value, ctx).value();
  }
  graph.values.push_back(std::move(value));
  return {static_cast<std::uint32_t>(graph.values.size() - 1)};
}

/// Appends a graph input.
inline exact::ValueId append_input(exact::Graph& graph, Shape shape, const exact::InputConversion& conversion) {
  const fixed::Range range = exact::conversion_range(conversion).value();
  const auto count = static_cast<std::size_t>(element_count(shape));
  const auto id = append(graph, exact::Input{}, std::move(shape));
  graph.values[id.index].ranges.assign(count, range);
  graph.inputs.push_back({fmt::format("x{}", graph.inputs.size()), id, conversion, "option"});
  return id;
}

inline exact::ValueId append_dense(exact::Graph& graph, exact::ValueId x, std::int64_t n_out, int weight_bits,
                                   exact::Random& random) {
  const std::int64_t n_in = graph.at(x).shape.back();
  exact::MatVec dense{x, n_in, n_out, {}, {}, {}};
  const std::int64_t top = (std::int64_t{1} << (weight_bits - 1)) - 1;
  for (std::int64_t i = 0; i < n_in * n_out; ++i) {
    dense.weights.push_back(weight_bits == 1 ? (random.one_in(2) ? 1 : -1) : random.between(-top - 1, top));
  }
  for (std::int64_t o = 0; o < n_out; ++o) dense.bias.push_back(random.between(-100, 100));
  return append(graph, std::move(dense));
}

/// Dense layers with a step function behind all but the last. Shifts are such that typical sums use the activation's
/// range.
inline exact::Graph dense_network(const DenseOptions& options, std::uint64_t seed) {
  exact::Random random(seed);
  exact::Graph graph;
  graph.name = "dense";
  exact::InputConversion conversion;
  conversion.type = options.input;
  auto x = append_input(graph, {options.sizes.front()}, conversion);
  for (std::size_t layer = 1; layer < options.sizes.size(); ++layer) {
    x = append_dense(graph, x, options.sizes[layer], options.weight_bits, random);
    if (layer + 1 == options.sizes.size()) break;
    exact::Requant requant{x, {}, options.count_saturation};
    if (options.bipolar_activations) {
      requant.functions.emplace_back(fixed::Pieces{{0}, {-1, 1}});
    } else {
      fixed::ShiftRound f;
      Int widest = 1;
      for (const auto& range : graph.at(x).ranges) widest = std::max({widest, range.hi, -range.lo});
      const int bits = fixed::width_bits(0, widest, false);
      f.shift = std::max(0, bits - options.activation_bits - 2);
      f.rounding = options.rounding;
      f.overflow = options.overflow;
      f.width_bits = options.activation_bits;
      f.is_signed = options.signed_activations;
      const fixed::FixedType type{
          .width_bits = f.width_bits, .integer_bits = f.width_bits, .is_signed = f.is_signed, .overflow = f.overflow};
      f.lo = fixed::min_code(type);
      f.hi = fixed::max_code(type);
      requant.functions.emplace_back(f);
    }
    x = append(graph, std::move(requant));
  }
  graph.outputs.push_back({"y", x, {}});
  return graph;
}

}  // namespace weft::emulate
