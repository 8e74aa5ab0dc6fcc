// SPDX-License-Identifier: Apache-2.0
/// @file
/// Executors of the exact graph: a plain 128-bit one and a SIMD one, bit-identical.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "weft/exact/graph.h"

namespace weft::emulate {

/// Codes of every value of the graph for one sample, by ValueId; simple and obviously right.
struct PlainResult {
  std::vector<std::vector<Int>> values;
  /// Per value: how often a Requant with count_saturation clipped.
  std::vector<std::uint64_t> saturations;
};
/// `inputs[i]` are the codes of graph.inputs[i], element_count of its value.
PlainResult run_plain(const exact::Graph& graph, const std::vector<std::vector<Int>>& inputs);

/// Instruction sets of the fast executor; Auto takes the best one of this processor at run time.
enum class Isa { Auto, Portable, Avx2, Avx512Vnni };
std::string_view to_string(Isa isa);
/// Those that this processor can run, best first (Portable is always there).
std::vector<Isa> available();

struct Counters {
  /// Per graph input: real numbers outside of the input type.
  std::vector<std::uint64_t> input_saturations;
  /// Per value of the graph: clips of Requants with count_saturation.
  std::vector<std::uint64_t> value_saturations;
};

/// A graph compiled for batches. Immutable after compile; run() may be called from several threads.
class Emulator {
 public:
  /// `graph` is copied. Codes of inputs, outputs and intermediate values must fit int64 (else TypeTooWide; use
  /// run_plain).
  static Result<Emulator> compile(const exact::Graph& graph, Isa isa, Context& ctx);
  Emulator(Emulator&&) noexcept;
  Emulator& operator=(Emulator&&) noexcept;
  ~Emulator();

  /// inputs[i] points at `batch` rows of element_count floats in row-major order. NaN and infinity are DataNotFinite
  /// errors naming row and column. outputs[o] is resized to batch rows of codes. Uses ctx.threads threads.
  Result<Counters> run(const std::vector<const float*>& inputs, std::size_t batch,
                       std::vector<std::vector<std::int64_t>>& outputs, Context& ctx) const;
  /// The same from codes (already of the input's type and range; out-of-range codes are ShapeMismatch errors).
  Result<Counters> run_codes(const std::vector<const std::int64_t*>& inputs, std::size_t batch,
                             std::vector<std::vector<std::int64_t>>& outputs, Context& ctx) const;
  /// As run(), and also the codes of the values asked for (by ValueId), batch rows each: what --trace uses.
  Result<Counters> run_traced(const std::vector<const float*>& inputs, std::size_t batch,
                              const std::vector<exact::ValueId>& wanted, std::vector<std::vector<std::int64_t>>& traced,
                              Context& ctx) const;
  [[nodiscard]] Isa isa() const;
  [[nodiscard]] const exact::Graph& graph() const;

 private:
  struct Impl;
  explicit Emulator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft::emulate
