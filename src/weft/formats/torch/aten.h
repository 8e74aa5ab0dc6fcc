// SPDX-License-Identifier: Apache-2.0
/// @file
/// One ATen operator being read: its arguments, and the ONNX operators with whose handlers it is said.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/torch/program.h"

namespace weft::formats::torch {

using onnx::Constant;
using onnx::ConstantPtr;
using onnx::Dynamic;
using onnx::Element;
using onnx::Value;
using onnx::Values;

/// Attributes of an ONNX operator, written in one line: {{"axis", 1}, {"mode", "linear"}}.
struct AttributeValue {
  AttributeValue(std::int64_t value);               // NOLINT: implicit by design
  AttributeValue(int value);                        // NOLINT: implicit by design
  AttributeValue(float value);                      // NOLINT: implicit by design
  AttributeValue(const char* value);                // NOLINT: implicit by design
  AttributeValue(std::string value);                // NOLINT: implicit by design
  AttributeValue(std::vector<std::int64_t> value);  // NOLINT: implicit by design
  AttributeValue(std::vector<float> value);         // NOLINT: implicit by design
  AttributeValue(std::vector<std::string> value);   // NOLINT: implicit by design
  onnx::SourceAttribute attribute;
};
using Attributes = std::map<std::string, AttributeValue>;

/// A shape is Shape{...} in ONNX order; the batch counts as the file says, 1 when it is open.
const Shape& shape_of(const Value& value);
Element element_of(const Value& value);
inline std::int64_t rank_of(const Value& value) { return static_cast<std::int64_t>(shape_of(value).size()); }

Constant float_constant(std::vector<float> values, Shape shape);
Constant int_constant(std::vector<std::int64_t> values);
inline Constant number(float value) { return float_constant({value}, {}); }

/// What handlers see. Arguments are asked for by their names in the operator's schema; any that nobody asked for is an
/// AttributeUnknown afterwards.
class AtenCall {
 public:
  AtenCall(Context& context, onnx::Builder& b, const ProgramNode& n, std::string name, Origin where)
      : ctx(context), builder(b), node(n), layer_name(std::move(name)), origin(std::move(where)) {}

  Context& ctx;
  onnx::Builder& builder;
  const ProgramNode& node;
  std::string layer_name;
  Origin origin;
  /// The version of ONNX's operators that handlers are called with.
  static constexpr std::int64_t kOpset = 24;

  diag::Failure fail(Kind kind, const std::string& message) const { return ctx.fail(kind, origin, message); }
  /// "aten.add.Tensor".
  [[nodiscard]] std::string target() const;

  // --- arguments
  [[nodiscard]] bool has(const std::string& name) const;
  Result<Value> tensor(const std::string& name) const;
  /// Absent value when the argument is absent or None.
  Result<Value> optional_tensor(const std::string& name) const;
  Result<Values> tensors(const std::string& name) const;
  Result<ConstantPtr> constant(const std::string& name) const;
  Result<std::int64_t> integer(const std::string& name, std::optional<std::int64_t> fallback = std::nullopt) const;
  /// Empty when absent. A single integer counts as a list of one.
  Result<std::vector<std::int64_t>> integers(const std::string& name) const;
  /// `count` integers; one is repeated.
  Result<std::vector<std::int64_t>> integers(const std::string& name, std::size_t count, std::int64_t fallback) const;
  /// Integers and bools count as numbers.
  Result<double> real(const std::string& name, std::optional<double> fallback = std::nullopt) const;
  Result<std::vector<double>> reals(const std::string& name) const;
  Result<bool> flag(const std::string& name, bool fallback) const;
  Result<std::string> text(const std::string& name, const std::string& fallback) const;
  /// An argument that changes nothing here (memory format, device ...).
  void ignore(std::initializer_list<const char*> names) const;
  /// An axis in [0, rank).
  Result<std::int64_t> axis(std::int64_t given, std::int64_t rank) const;
  /// Fails unless every given argument was asked for.
  Result<void> check_arguments() const;
  /// Whether output `i` of the operator is used.
  [[nodiscard]] bool uses_output(std::size_t i) const { return used_outputs.count(i) != 0; }
  std::set<std::size_t> used_outputs;

  // --- what it becomes
  /// Runs the handler of an ONNX operator. The last one of a handler is `main`: its layer carries the source's name.
  Result<Values> onnx(const std::string& op, Values inputs, const Attributes& attributes = {}, bool main = true,
                      std::size_t outputs = 1) const;
  /// The only result of it.
  Result<Value> one(const std::string& op, Values inputs, const Attributes& attributes = {}, bool main = true) const;
  /// A call of ONNX's with no operator, for its layout helpers and `add`.
  [[nodiscard]] onnx::Call layers(const Value& input, bool main = true) const;
  /// float32 where it was an integer, so that the arithmetic of mixed operands is PyTorch's.
  Result<Value> as_float(const Value& value, bool main = false) const;

  // --- set by the importer
  std::function<Result<Value>(const std::string&)> find_value;
  std::function<std::optional<std::int64_t>(const std::string&)> find_integer;

 private:
  const Argument* find(const std::string& name) const;
  Result<std::int64_t> resolve(const Extent& extent, const std::string& name) const;
  diag::Failure wrong(const std::string& name, const char* what) const;

  mutable std::set<std::string> asked_;
};

/// One row of the table. `name` is the operator with or without overload: "aten.add" has all of them.
struct AtenOperator {
  std::string_view name;
  Result<Values> (*handler)(AtenCall&) = nullptr;
  std::string_view note{};
};

/// In alphabetic order; made of the groups below.
const std::vector<AtenOperator>& aten_table();
/// The row for "aten.add.Tensor": its own or that of all overloads.
const AtenOperator* find_aten(const std::string& target);

using AtenRows = std::vector<AtenOperator>;
// One group per file.
AtenRows arithmetic_rows();  // aten_arithmetic.cpp
AtenRows function_rows();    // aten_functions.cpp
AtenRows linear_rows();      // aten_linear.cpp
AtenRows movement_rows();    // aten_movement.cpp
AtenRows selection_rows();   // aten_selection.cpp
AtenRows normalize_rows();   // aten_normalize.cpp
AtenRows pool_rows();        // aten_pools.cpp
AtenRows quantize_rows();    // aten_quantize.cpp
AtenRows recurrent_rows();   // aten_recurrent.cpp
AtenRows reduction_rows();   // aten_reductions.cpp
AtenRows scatter_rows();     // aten_scatter.cpp

/// A bool of the shape of `x`, every element `value`.
Result<Values> filled_bool(const AtenCall& call, const Value& x, bool value);

/// A function of quantizers/ on data.
Result<Values> activation_layer(const AtenCall& call, const Dynamic& x, const quantizers::Spec& spec);

/// Data times a [n_out, n_in] matrix plus a bias, contracting the last axis.
Result<Value> dense(const AtenCall& call, const Value& x, const Value& weight, const Value& bias);

}  // namespace weft::formats::torch
