// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the lane kernels take, and the table of them that each instruction set provides. Plain data only: kernels are
/// compiled for several instruction sets and must not share inline code with the rest of the program.
#pragma once

#include <cstddef>
#include <cstdint>

#include "weft/emulate/epilogue.h"

#include "weft/emulate/forest_args.h"

namespace weft::emulate {

/// Samples processed together; a block of a run has `lanes` of them, a multiple of 16.
constexpr int kMaxLanes = 64;
constexpr int kMinLanes = 16;

/// How the codes of one tensor lie in memory. All but Wide hold one 32-bit unit per lane: unit u of lane l is dword
/// [u * lanes + l]. A packed unit holds neighbours of the last axis, the first one in its low bits.
enum class Layout : std::uint8_t {
  Words,   ///< one code
  Bytes,   ///< four codes + offset, unsigned
  Halves,  ///< two codes + offset, signed
  Bits,    ///< 32 bipolar codes, a one for +1
  Wide     ///< one code in a 64-bit lane
};
constexpr int codes_per_unit(Layout layout) {
  return layout == Layout::Bytes ? 4 : layout == Layout::Halves ? 2 : layout == Layout::Bits ? 32 : 1;
}

/// What a bytewise product of an instruction set may meet.
enum class ByteDot : std::uint8_t {
  None,   ///< no bytewise product
  Pairs,  ///< exact when the sum of two neighbouring products fits 16 bits
  Any     ///< always exact modulo 2^32
};

/// In lists of elements or units: the constant instead.
constexpr std::uint32_t kCopyPad = 0xFFFFFFFF;

/// Which lanes hold samples, and where clips are counted.
struct Tally {
  std::uint64_t valid = 0;
  std::uint64_t count = 0;
};

/// The operand of a product or a pool: every row of it is `runs` runs of `run_units` neighbouring units. A window over
/// a spatial tensor is read where the tensor lies: one run per tap of the kernel.
struct Runs {
  const std::int32_t* units = nullptr;
  std::int64_t runs = 1;
  std::int64_t run_units = 0;
  /// First unit of run t of row r at [r * runs + t], kCopyPad for `pad`; null: all runs lie one behind the other.
  const std::uint32_t* first = nullptr;
  const std::int32_t* pad = nullptr;  ///< a run of padding
};

enum class DotKind : std::uint8_t { Bytes, Halves, Words, Bits };
constexpr int kDotKinds = 4;

/// y[row, o] = epilogue(bias[o] + sum over units of dot(x, w)). For Bits the dot counts unequal bits and y starts from
/// bias[o] - 2 * count. Sums are modulo 2^32, right when the result fits.
struct MatVecArgs {
  Runs x;
  std::int32_t* y = nullptr;
  int lanes = 0;
  std::int64_t rows = 0;
  /// Per tile of four outputs: entries [tile_begin[t], tile_begin[t + 1]) of `tile_units` are the units that it reads,
  /// as run << 16 | unit of the run; null when every tile reads every unit.
  const std::uint32_t* tile_begin = nullptr;
  const std::uint32_t* tile_units = nullptr;
  std::int64_t units_out = 0;  ///< per row, in the layout of the result
  std::int64_t n_out = 0;
  const std::int32_t* weights = nullptr;  ///< [tile of four outputs][unit that it reads][4]
  const std::int32_t* bias = nullptr;     ///< padded to a multiple of four; holds `addend` already
  Layout out = Layout::Words;
  const Epilogue* epilogue = nullptr;
};

/// A lane buffer of Words or Wide.
struct Lanes {
  void* data = nullptr;
  bool wide = false;
};

/// y[row, o] = bias[o] + sum of x[row, i] * weights[i * n_out + o] modulo 2^64; y is Wide.
struct WideMatVecArgs {
  Lanes x;
  std::int64_t* y = nullptr;
  int lanes = 0;
  std::int64_t rows = 0;
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  const std::int64_t* weights = nullptr;
  const std::int64_t* bias = nullptr;
};

/// Sums in index order in a forced type: product_function is the cast of a product, sum_function the overflow of a sum.
struct ChainArgs {
  WideMatVecArgs matvec;
  WideFunction product_function;
  WideFunction sum_function;
};

struct RequantArgs {
  const std::int32_t* x = nullptr;
  std::int32_t* y = nullptr;
  int lanes = 0;
  std::int64_t elements = 0;
  const Epilogue* epilogue = nullptr;
};

/// y = table of function e % n_functions at x - lo; x is clipped to the table.
struct TableArgs {
  const std::int32_t* x = nullptr;
  std::int32_t* y = nullptr;
  int lanes = 0;
  std::int64_t elements = 0;
  std::int32_t n_functions = 1;
  std::int32_t lo = 0;
  std::int32_t size = 0;
  const std::int32_t* table = nullptr;
};

struct WideRequantArgs {
  Lanes x;
  Lanes y;
  int lanes = 0;
  std::int64_t elements = 0;
  const WideFunction* functions = nullptr;
  std::int64_t n_functions = 1;
  bool count = false;
};

enum class BinaryOp : std::uint8_t { Add, Sub, Mul };
/// Element e of y from elements a_index[e] and b_index[e] (the same e when null).
struct BinaryArgs {
  BinaryOp op = BinaryOp::Add;
  Lanes a, b, y;
  int lanes = 0;
  std::int64_t elements = 0;
  const std::uint32_t* a_index = nullptr;
  const std::uint32_t* b_index = nullptr;
  int shift_a = 0;  ///< 0 to 63
  int shift_b = 0;
};

/// y[to[e]] = x[from[e]], `pad` where from[e] is kCopyPad; a null index is e itself.
struct CopyArgs {
  Lanes x, y;
  int lanes = 0;
  std::int64_t elements = 0;
  const std::uint32_t* from = nullptr;
  const std::uint32_t* to = nullptr;
  std::int64_t pad = 0;
};

struct ReduceArgs {
  bool maximum = false;
  Lanes x, y;
  int lanes = 0;
  std::int64_t rows = 0;
  std::int64_t n = 0;
};

/// y[row, unit] = largest, or sum, of that unit over the runs of the row. Packed codes are compared one by one.
struct PoolArgs {
  bool maximum = false;
  Layout layout = Layout::Words;  ///< Bytes, Halves or Words; sums are of Words
  Runs x;
  std::int32_t* y = nullptr;
  int lanes = 0;
  std::int64_t rows = 0;
};

struct ArgMaxArgs {
  Lanes x, y;
  int lanes = 0;
  std::int64_t rows = 0;
  std::int64_t n = 0;
  std::int64_t k = 1;
};

/// Words to a packed layout, row by row.
struct PackArgs {
  const std::int32_t* x = nullptr;
  std::int32_t* y = nullptr;
  int lanes = 0;
  Layout layout = Layout::Bytes;
  std::int32_t offset = 0;
  std::int64_t rows = 0;
  std::int64_t n = 0;
};

/// Real numbers to codes, row-major: uint8 (Bytes, + offset), int16 (Halves, + offset), int32 (Words) or int64 (Wide);
/// for Bits packed as uint32 words. Row r starts at y + r * y_stride. Rounding is given by what it does to y = floor +
/// rest: up when rest > threshold (of the sign of y), and with `even` also at rest == 0.5 over an odd floor.
struct ConvertArgs {
  enum class Form : std::uint8_t { Fixed, Affine, Bipolar } form = Form::Fixed;
  const float* x = nullptr;
  unsigned char* y = nullptr;
  std::int64_t rows = 0;
  std::int64_t n = 0;
  std::int64_t y_stride = 0;
  Layout layout = Layout::Bytes;
  std::int32_t offset = 0;
  bool even = false;
  bool wrap = false;                   ///< Fixed: WRAP without saturation bits, else clipping to [lo, hi]
  bool nearest_even_in_float = false;  ///< Fixed: RND_CONV, clipping, |lo|, |hi| < 2^21
  bool round_first = false;            ///< Affine
  bool is_signed = true;
  double threshold_positive = 0;
  double threshold_negative = 0;
  double scale = 1;    ///< Fixed: 2^frac_bits
  double modulus = 1;  ///< 2^width, for wrap
  float divisor = 1;   ///< Affine
  float zero_point = 0;
  double lo = 0;
  double hi = 0;
};
struct ConvertResult {
  std::uint64_t saturated = 0;
  bool finite = true;
};

/// Row-major units (dwords, or 64-bit codes when `wide`) of `lanes` rows to lanes: y[u * lanes + l] = row l, unit u.
struct TransposeArgs {
  const unsigned char* x = nullptr;
  std::int64_t x_stride = 0;  ///< bytes, a multiple of the unit
  Lanes y;
  int lanes = 0;
  std::int64_t units = 0;
};

/// Lanes to rows of int64 codes: y[l * n + e].
struct StoreArgs {
  Lanes x;
  std::int64_t* y = nullptr;
  int lanes = 0;
  int rows = 0;  ///< valid lanes
  std::int64_t n = 0;
};

/// One instruction set. Kernels that can clip take the tally of the block.
struct Kernels {
  ByteDot byte_dot = ByteDot::None;
  void (*matvec[kDotKinds])(const MatVecArgs&, Tally&) = {};
  void (*matvec_wide)(const WideMatVecArgs&) = nullptr;
  void (*chain)(const ChainArgs&) = nullptr;
  void (*requant)(const RequantArgs&, Tally&) = nullptr;
  void (*table)(const TableArgs&) = nullptr;
  void (*requant_wide)(const WideRequantArgs&, Tally&) = nullptr;
  void (*binary)(const BinaryArgs&) = nullptr;
  void (*copy)(const CopyArgs&) = nullptr;
  void (*reduce)(const ReduceArgs&) = nullptr;
  void (*pool)(const PoolArgs&) = nullptr;
  void (*argmax)(const ArgMaxArgs&) = nullptr;
  void (*pack)(const PackArgs&) = nullptr;
  void (*forest)(const ForestArgs&) = nullptr;
  ConvertResult (*convert)(const ConvertArgs&) = nullptr;
  void (*transpose)(const TransposeArgs&) = nullptr;
  void (*store)(const StoreArgs&) = nullptr;
};

/// Defined in kernels_portable.cpp, kernels_avx2.cpp and kernels_avx512.cpp; call only what dispatch.h offers.
const Kernels& portable_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels(bool has_vpopcntdq);

}  // namespace weft::emulate
