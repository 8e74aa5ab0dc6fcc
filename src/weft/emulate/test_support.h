// SPDX-License-Identifier: Apache-2.0
/// @file
/// Comparing the fast executor with the plain one, for tests.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "weft/emulate/dense_network.h"
#include "weft/emulate/emulator.h"

namespace weft::emulate {

/// What the plain executor says about a batch.
struct Expected {
  std::vector<std::vector<std::int64_t>> values;  ///< by ValueId, row-major
  Counters counters;
};

/// codes[i] are the rows of graph input i.
inline Expected expect_plain(const exact::Graph& graph, const std::vector<std::vector<std::int64_t>>& codes,
                             std::size_t batch) {
  Expected out;
  out.values.resize(graph.values.size());
  out.counters.value_saturations.resize(graph.values.size());
  out.counters.input_saturations.resize(graph.inputs.size());
  for (std::size_t s = 0; s < batch; ++s) {
    std::vector<std::vector<Int>> sample;
    for (const auto& rows : codes) {
      const std::size_t n = rows.size() / batch;
      sample.emplace_back(rows.begin() + static_cast<std::ptrdiff_t>(s * n),
                          rows.begin() + static_cast<std::ptrdiff_t>((s + 1) * n));
    }
    const auto result = run_plain(graph, sample);
    for (std::size_t v = 0; v < graph.values.size(); ++v) {
      for (const Int code : result.values[v]) out.values[v].push_back(static_cast<std::int64_t>(code));
      out.counters.value_saturations[v] += result.saturations[v];
    }
  }
  return out;
}

inline std::string first_message(const diag::Engine& engine) {
  const auto all = engine.all();
  return all.empty() ? "" : diag::to_text(all.front());
}

/// Every instruction set gives the plain executor's codes and counters on these codes.
inline void check_codes(const exact::Graph& graph, const std::vector<std::vector<std::int64_t>>& codes,
                        std::size_t batch) {
  const Expected expected = expect_plain(graph, codes, batch);
  std::vector<const std::int64_t*> pointers;
  for (const auto& rows : codes) pointers.push_back(rows.data());
  for (const Isa isa : available()) {
    SCOPED_TRACE(to_string(isa));
    diag::Engine engine;
    Context ctx{engine};
    const auto emulator = Emulator::compile(graph, isa, ctx);
    ASSERT_TRUE(emulator.ok()) << first_message(engine);
    std::vector<std::vector<std::int64_t>> outputs;
    const auto counters = emulator->run_codes(pointers, batch, outputs, ctx);
    ASSERT_TRUE(counters.ok()) << first_message(engine);
    ASSERT_EQ(outputs.size(), graph.outputs.size());
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      EXPECT_EQ(outputs[o], expected.values[graph.outputs[o].value.index]) << "output " << o;
    }
    EXPECT_EQ(counters->value_saturations, expected.counters.value_saturations);
  }
}

/// Rows of random codes, corners included.
inline std::vector<std::vector<std::int64_t>> random_rows(const exact::Graph& graph, std::size_t batch,
                                                          std::uint64_t seed) {
  exact::Random random(seed);
  std::vector<std::vector<std::int64_t>> rows(graph.inputs.size());
  for (std::size_t s = 0; s < batch; ++s) {
    const auto sample = exact::random_codes(graph, random);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (const Int code : sample[i]) rows[i].push_back(static_cast<std::int64_t>(code));
    }
  }
  return rows;
}

}  // namespace weft::emulate
