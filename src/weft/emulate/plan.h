// SPDX-License-Identifier: Apache-2.0
/// @file
/// A graph turned into kernel calls on lane buffers.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "weft/emulate/kernels.h"
#include "weft/emulate/step_terms.h"
#include "weft/exact/graph.h"

namespace weft::emulate {

/// A lane buffer of the plan: where its codes lie in the scratch memory of a thread.
struct Buffer {
  std::size_t index = 0;
  bool wide = false;
};

// One struct per kernel: its plain arguments (pointers are filled in when it runs) and the data that they point at.

/// What Runs points at.
struct RunsData {
  Buffer x;
  std::vector<std::uint32_t> first;
  std::optional<Buffer> pad;
};

struct MatVecStep {
  DotKind dot = DotKind::Words;
  RunsData x;
  Buffer y;
  MatVecArgs args;
  std::vector<std::uint32_t> tile_begin;
  std::vector<std::uint32_t> tile_units;
  std::vector<std::int32_t> weights;
  std::vector<std::int32_t> bias;
  EpilogueData epilogue;
  std::optional<exact::ValueId> counter;
};
struct WideMatVecStep {
  Buffer x, y;
  WideMatVecArgs args;
  std::vector<std::int64_t> weights;
  std::vector<std::int64_t> bias;
};
struct ChainStep {
  WideMatVecStep matvec;
  WideFunction product_function;
  WideFunction sum_function;
};
struct RequantStep {
  Buffer x, y;
  std::int64_t elements = 0;
  EpilogueData epilogue;
  std::optional<exact::ValueId> counter;
};
struct TableStep {
  Buffer x, y;
  TableArgs args;
  std::vector<std::int32_t> table;
};
struct WideRequantStep {
  Buffer x, y;
  std::int64_t elements = 0;
  WideFunctions functions;
  std::optional<exact::ValueId> counter;
};
struct BinaryStep {
  Buffer a, b, y;
  BinaryArgs args;
  std::vector<std::uint32_t> a_index;
  std::vector<std::uint32_t> b_index;
};
struct CopyStep {
  Buffer x, y;
  std::int64_t elements = 0;
  std::vector<std::uint32_t> from;  ///< kCopyPad: the constant
  std::vector<std::uint32_t> to;
  std::int64_t pad = 0;
};
struct ReduceStep {
  Buffer x, y;
  ReduceArgs args;
};
struct PoolStep {
  RunsData x;
  Buffer y;
  PoolArgs args;
};
struct ArgMaxStep {
  Buffer x, y;
  ArgMaxArgs args;
};
struct ForestStep {
  Buffer x, y, scratch;
  ForestArgs args;
  std::vector<ForestNode> nodes;
  std::vector<ForestTree> trees;
  std::vector<std::int64_t> leaves;
  std::vector<std::int64_t> bias;
};
struct PackStep {
  Buffer x, y;
  PackArgs args;
};
/// Any primitive, sample by sample through the plain executor: for what 64 bits cannot hold on the way.
struct PlainStep {
  exact::ValueId value;
  std::vector<Buffer> operands;
  std::vector<std::size_t> sizes;
  Buffer y;
  std::optional<exact::ValueId> counter;
};
/// Reads the rows of graph input `input`.
struct InputStep {
  std::size_t input = 0;
  Buffer y;
  Layout layout = Layout::Words;
  std::int32_t offset = 0;
  std::int64_t rows = 0;   ///< of the tensor, each padded to whole units
  std::int64_t n = 0;      ///< codes per row
  std::int64_t units = 0;  ///< per row
  /// Kernel arguments, or none when only exact::convert_input knows the conversion.
  std::optional<ConvertArgs> convert;
};
/// Writes the rows of output `output`.
struct OutputStep {
  std::size_t output = 0;
  Buffer x;
  std::int64_t n = 0;
};

using Step =
    std::variant<InputStep, MatVecStep, WideMatVecStep, ChainStep, RequantStep, TableStep, WideRequantStep, BinaryStep,
                 CopyStep, ReduceStep, PoolStep, ArgMaxStep, ForestStep, PackStep, PlainStep, OutputStep>;

/// A constant of the graph, written once into each thread's scratch memory.
struct ConstantLanes {
  Buffer y;
  std::vector<std::int64_t> codes;
};

struct Plan {
  int lanes = kMaxLanes;
  std::vector<Step> steps;
  std::vector<ConstantLanes> constants;
  /// Byte offset of every buffer in the scratch memory; buffers that do not live at once share memory.
  std::vector<std::size_t> offsets;
  std::size_t scratch_bytes = 0;
  std::size_t rows_bytes = 0;  ///< row-major side of the largest input
  std::vector<exact::ValueId> outputs;
  /// Rough cost of one block, for the choice of threads.
  double block_ns = 0;
};

/// Fails with TypeTooWide when codes of a value do not fit 64 bits.
Result<Plan> make_plan(const exact::Graph& graph, const Kernels& kernels, const std::vector<exact::ValueId>& outputs,
                       Context& ctx);

}  // namespace weft::emulate
