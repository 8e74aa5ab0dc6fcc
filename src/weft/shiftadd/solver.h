// SPDX-License-Identifier: Apache-2.0
/// @file
/// Constant matrix-vector multiplication y = x M as a graph of shifted additions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "weft/fixed/range.h"
#include "weft/support/context.h"

namespace weft::shiftadd {

/// What an adder costs and takes on the target; passed in so that the solver knows no target.
struct CostModel {
  /// LUTs of a two-input adder or subtractor whose result has `width_bits` bits, of which the low `free_bits` are
  /// copies of one operand.
  std::function<double(int width_bits, int free_bits)> adder_lut;
  /// Delay of that adder in picoseconds.
  std::function<double(int width_bits)> adder_delay_ps;
};
/// One LUT per bit that is really added, unit delay (delay counts adder levels).
CostModel unit_cost();

struct Problem {
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  /// Row-major [n_in, n_out].
  std::vector<std::int64_t> matrix{};
  /// Added to the outputs; empty means zeros.
  std::vector<Int> bias{};
  /// Per input: reachable codes.
  std::vector<fixed::Range> inputs{};
  /// Per input arrival time in the unit of the cost model; empty means zeros.
  std::vector<double> arrival{};
};

struct Options {
  /// Adder levels above the minimum that sharing may add; negative means no bound.
  int extra_levels = 0;
  /// Time for restarts; 0 means one pass. Results depend on seconds only when > 0.
  double seconds = 0.0;
};

/// One term of a node: (negate ? -1 : 1) * operand * 2^shift.
struct Term {
  std::int32_t operand = -1;  ///< index into Solution::nodes
  int shift = 0;
  bool negate = false;
};

/// Either an input, a constant, or the sum of two terms. The value is an integer with an exact range.
struct Node {
  enum class Kind { Input, Constant, Sum } kind = Kind::Input;
  std::int32_t input = -1;
  Int constant = 0;
  Term a, b;
  fixed::Range range;
  int level = 0;  ///< adder levels from the inputs
  double delay = 0.0;
};

/// Nodes in topological order: inputs first. outputs[o] is a single term (operand -1: the constant 0).
struct Solution {
  std::vector<Node> nodes;
  std::vector<Term> outputs;
  std::int64_t adders = 0;
  double lut = 0.0;
  int depth = 0;
  double delay = 0.0;
};

/// Deterministic for the same problem, options and ctx.seed (with seconds == 0).
Result<Solution> solve(const Problem& problem, const Options& options, const CostModel& cost, Context& ctx);

/// Evaluates the solution symbolically: recovers the matrix and the bias and compares them with the problem, and checks
/// every node's range against its operands. Empty when right, else what is wrong.
std::string check(const Problem& problem, const Solution& solution);

}  // namespace weft::shiftadd
