// SPDX-License-Identifier: Apache-2.0
/// @file
/// The exact graph: integer tensors and the primitives between them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "weft/fixed/range.h"
#include "weft/fixed/scale.h"
#include "weft/fixed/step_function.h"
#include "weft/fixed/type.h"
#include "weft/support/context.h"
#include "weft/tensor/tensor.h"

namespace weft::exact {

/// Index into Graph::values; value i is the result of Graph::values[i].primitive.
struct ValueId {
  std::uint32_t index = 0;
  auto operator<=>(const ValueId&) const = default;
};

struct Input {
  bool operator==(const Input&) const = default;
};

struct Constant {
  std::vector<Int> codes;
  bool operator==(const Constant&) const = default;
};

/// y[..., o] = sum_i x[..., i] * weights[i * n_out + o] + bias[o], all integers. The result's scale is the product of
/// the scales of x and the weights (per channel o where the weights have one per output).
struct MatVec {
  ValueId x;
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  std::vector<std::int64_t> weights;
  std::vector<Int> bias;
  /// A forced accumulator (arithmetic.md): bias first, each product cast to the type, inputs added in index order. The
  /// type's fraction is relative to the exact accumulator's LSB: code_acc = cast(exact code, lsb_shift): the exact code
  /// is worth 2^-lsb_frac_bits in units of the type's value.
  struct ForcedAccumulator {
    fixed::FixedType type;
    int lsb_frac_bits = 0;
    bool operator==(const ForcedAccumulator&) const = default;
  };
  std::optional<ForcedAccumulator> accumulator;
  bool operator==(const MatVec&) const = default;
};

struct Add {
  ValueId a, b;
  int shift_a = 0;
  int shift_b = 0;
  bool operator==(const Add&) const = default;
};

struct Sub {
  ValueId a, b;
  int shift_a = 0;
  int shift_b = 0;
  bool operator==(const Sub&) const = default;
};

struct Mul {
  ValueId a, b;
  bool operator==(const Mul&) const = default;
};

/// functions.size() is 1 (all elements), the extent of the last axis (per channel), or the number of elements.
struct Requant {
  ValueId x;
  std::vector<fixed::StepFunction> functions;
  /// True when clipping comes from a type that the source model does not have: executors count those saturations.
  bool count_saturation = false;
  bool operator==(const Requant&) const = default;
};

struct Reduce {
  enum class Kind { Sum, Max } kind = Kind::Sum;
  ValueId x;
  bool operator==(const Reduce&) const = default;
};

struct ArgMax {
  ValueId x;
  std::int64_t k = 1;
  bool operator==(const ArgMax&) const = default;
};

struct Concat {
  std::vector<ValueId> xs;
  std::int64_t axis = 0;
  bool operator==(const Concat&) const = default;
};

struct Permute {
  ValueId x;
  std::vector<std::int64_t> permutation;
  bool operator==(const Permute&) const = default;
};

struct Reshape {
  ValueId x;
  bool operator==(const Reshape&) const = default;
};

/// Sliding windows of x [spatial..., C]: y [out..., groups * taps * C / groups]. The last axis runs over the groups of
/// channels, in each over the taps of the kernel in row-major order, in each over the group's channels. Positions
/// outside of x hold `pad`. All lists have one entry per spatial axis; out = (extent + before + after - dilation *
/// (kernel - 1) - 1) / stride + 1, rounded down.
struct Window {
  ValueId x;
  std::vector<std::int64_t> kernel;
  std::vector<std::int64_t> stride;
  std::vector<std::int64_t> dilation;
  std::vector<std::int64_t> before;
  std::vector<std::int64_t> after;
  std::int64_t groups = 1;
  Int pad = 0;
  bool operator==(const Window&) const = default;
};

/// y[e] = x[indices[e]] in row-major order, `pad` where the index is -1: slices, padding, repetition, any movement.
struct Gather {
  ValueId x;
  std::vector<std::int64_t> indices;
  Int pad = 0;
  bool operator==(const Gather&) const = default;
};

/// Decision trees on integer codes, summed: y[..., j] = bias[j] + the leaves that x[..., :] reaches. A node goes on to
/// `high` when x[..., feature] >= threshold, else to `low`. A child >= 0 is a node with a higher index than its parent
/// (parents may share children); a child < 0 is the leaf -1 - child, an index into `leaves`. A tree adds `width`
/// entries of `leaves` from its leaf on to the outputs `first`, `first` + 1, ...
struct Forest {
  struct Node {
    std::int64_t feature = 0;
    Int threshold = 0;
    std::int64_t low = -1;
    std::int64_t high = -1;
    bool operator==(const Node&) const = default;
  };
  struct Tree {
    std::int64_t root = -1;  ///< node or leaf, as a child is
    std::int64_t first = 0;
    std::int64_t width = 1;
    bool operator==(const Tree&) const = default;
  };
  ValueId x;
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  std::vector<Node> nodes;
  std::vector<Tree> trees;
  std::vector<Int> leaves;
  std::vector<Int> bias;
  bool operator==(const Forest&) const = default;
};

// The variant of all rows of primitives.def, in their order.
using Primitive = std::variant<Input, Constant, MatVec, Add, Sub, Mul, Requant, Reduce, ArgMax, Concat, Permute,
                               Reshape, Window, Gather, Forest>;

/// "matvec" and so on.
std::string_view name_of(const Primitive& primitive);
/// Operands in order.
std::vector<ValueId> operands(const Primitive& primitive);

/// Where the elements of a value come from that only moves those of one operand.
struct Movement {
  ValueId x;
  /// Per element of the value: the operand's element, or -1 for `pad`.
  std::vector<std::int64_t> from;
  Int pad = 0;
};

/// One integer tensor and how it is computed.
struct Value {
  std::string name;  ///< unique, [A-Za-z0-9_]+, starts with a letter
  Shape shape;       ///< without batch
  Scale scale;       ///< real value = scale * code
  /// Per element: reachable range and grid. Size element_count(shape).
  std::vector<fixed::Range> ranges;
  Primitive primitive;
  Origin origin;  ///< node of the source model
};

/// How a real number becomes the code of a graph input.
struct InputConversion {
  enum class Form {
    Fixed,   ///< code = from_double(x - offset, type): the scale is 2^-type.frac_bits()
    Affine,  ///< float32 QONNX order: clamp(x / scale + zero_point), round, minus zero_point; or round first
    Bipolar  ///< +1 when x >= 0, else -1
  } form = Form::Fixed;
  fixed::FixedType type{};
  float scale = 1.0F;
  float zero_point = 0.0F;
  Int lo = 0;
  Int hi = 0;
  fixed::Rounding rounding = fixed::Rounding::RndConv;
  bool round_first = false;
  bool operator==(const InputConversion&) const = default;
};

/// A graph input: the codes of `value` come from real numbers by `conversion`.
struct GraphInput {
  std::string name;  ///< as in the source model
  ValueId value;
  InputConversion conversion;
  /// Which rule gave the type: "model", "option", "configuration", "calibration", "default".
  std::string rule;
};

/// One float32 step of what the host does with an output: x -> op(x, operand).
struct ReadoutStep {
  enum class Op { Add, Sub, Mul, Div, Pow, ReverseSub, ReverseDiv } op = Op::Add;
  std::vector<float> operands;  ///< one, one per index of the last axis, or one per element
  bool operator==(const ReadoutStep&) const = default;
};

/// A graph output: real = steps(float32(scale * code)).
struct GraphOutput {
  std::string name;
  ValueId value;
  std::vector<ReadoutStep> steps;
};

/// Where a layer of the source can be seen: the values of `value` through `steps`, or the layer it was folded into.
struct Probe {
  std::string layer;
  std::optional<ValueId> value;
  std::vector<ReadoutStep> steps;
  std::string folded_into;
};

/// Values in topological order: operands of a value have lower indices.
struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<GraphInput> inputs;
  std::vector<GraphOutput> outputs;
  std::vector<Probe> probes;

  [[nodiscard]] const Value& at(ValueId id) const { return values[id.index]; }
};

/// Recomputes the ranges of value `id` from its operands and its primitive (Input values keep theirs). Fails with
/// TypeTooWide when 128 bits do not suffice.
Result<std::vector<fixed::Range>> infer_ranges(const Graph& graph, const Value& value, Context& ctx);

/// Shape of the result of a primitive (Input, Constant, Reshape: `value.shape` itself).
Result<Shape> infer_shape(const Graph& graph, const Value& value, Context& ctx);

/// Elements of x, shaped `x`, that the windows, shaped `y`, hold in row-major order; -1 outside.
std::vector<std::int64_t> window_indices(const Window& window, const Shape& x, const Shape& y);

/// Permute, Reshape, Window and Gather as element lists; nullopt for every other primitive. `value` is sound.
std::optional<Movement> movement(const Graph& graph, const Value& value);

/// Checks order, shapes, sizes of parameters, unique legal names, and that the stored ranges contain the inferred ones.
/// A violation is an InternalError's text; empty when the graph is sound.
std::string verify(const Graph& graph);

/// Total width in bits of a code of this range: two's complement when lo < 0.
using fixed::width_bits;

/// Text form; parse_text(to_text(g)) gives an equal graph.
std::string to_text(const Graph& graph);
Result<Graph> parse_text(const std::string& text, const std::string& name, Context& ctx);

/// Real number to code and back, shared by every executor and the test bench writer.
/// Code of a finite number; `saturated` tells whether the rounded number lay outside of the type or [lo, hi].
Int convert_input(const InputConversion& conversion, float x, bool& saturated);
/// Codes that the conversion can give, as the ranges of its input value must contain them; nullopt when its parameters
/// are out of bounds.
std::optional<fixed::Range> conversion_range(const InputConversion& conversion);
float read_out(const Graph& graph, const GraphOutput& output, std::size_t element, Int code);
float read_out(const Value& value, const std::vector<ReadoutStep>& steps, std::size_t element, Int code);

}  // namespace weft::exact
