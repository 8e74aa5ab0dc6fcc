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

/// Bits of an adder: its result has `width_bits` bits above the common zeros of the operands, of which the low
/// `free_bits` are copies of one operand (all of them when two operands do not overlap) and the high `growth_bits` lie
/// above all operands.
struct AdderShape {
  int width_bits = 0;
  int free_bits = 0;
  int growth_bits = 0;
};

/// What an adder costs and takes on the target; passed in so that the solver knows no target.
struct CostModel {
  /// LUTs of a two-input adder or subtractor.
  std::function<double(const AdderShape&)> adder_lut;
  /// Delay of that adder in picoseconds.
  std::function<double(const AdderShape&)> adder_delay_ps;
  /// The same of a three-input adder, of whose operands up to two are subtracted. Without these two, all sums have two
  /// terms.
  std::function<double(const AdderShape&)> ternary_lut{};
  std::function<double(const AdderShape&)> ternary_delay_ps{};

  [[nodiscard]] bool has_ternary() const { return ternary_lut && ternary_delay_ps; }
  [[nodiscard]] double lut(int terms, const AdderShape& shape) const {
    return terms == 3 ? ternary_lut(shape) : adder_lut(shape);
  }
  [[nodiscard]] double delay_ps(int terms, const AdderShape& shape) const {
    return terms == 3 ? ternary_delay_ps(shape) : adder_delay_ps(shape);
  }
};
/// One LUT per bit that is really added, unit delay (delay counts adder levels), two-input adders only.
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

  bool operator==(const Problem&) const = default;
};

struct Options {
  /// Two-input adder levels above the minimum that sharing may add; negative means no bound.
  int extra_levels = 0;
  /// Latest time of every output, in the unit of the cost model and from the same zero as the arrivals; takes the place
  /// of extra_levels. An impossible one is refused with what was reached.
  std::optional<double> max_delay{};
  /// Recipes drawn after the first pass.
  int restarts = 0;
  /// Time for restarts; 0 means one pass. Results depend on seconds only when > 0.
  double seconds = 0.0;
};

/// One term of a node: (negate ? -1 : 1) * operand * 2^shift.
struct Term {
  std::int32_t operand = -1;  ///< index into Solution::nodes
  int shift = 0;
  bool negate = false;
};

/// Either an input, a constant, or the sum of two or three terms. The value is an integer with an exact range.
struct Node {
  enum class Kind { Input, Constant, Sum } kind = Kind::Input;
  std::int32_t input = -1;
  Int constant = 0;
  Term a, b;
  Term c;  ///< operand -1 in a sum of two terms
  fixed::Range range;
  int level = 0;  ///< adder levels from the inputs
  double delay = 0.0;

  /// Number of terms of a sum; 0 for inputs and constants.
  [[nodiscard]] int terms() const { return kind != Kind::Sum ? 0 : c.operand < 0 ? 2 : 3; }
  [[nodiscard]] const Term& term(int index) const { return index == 0 ? a : index == 1 ? b : c; }
  [[nodiscard]] Term& term(int index) { return index == 0 ? a : index == 1 ? b : c; }
};

/// Nodes in topological order: inputs first. outputs[o] is a single term (operand -1: the constant 0).
struct Solution {
  std::vector<Node> nodes;
  std::vector<Term> outputs;
  std::int64_t adders = 0;          ///< of two and of three inputs
  std::int64_t ternary_adders = 0;  ///< of three inputs
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
