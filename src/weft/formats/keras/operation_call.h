// SPDX-License-Identifier: Apache-2.0
/// @file
/// The arguments with which a model calls a function on tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

/// An argument: tensors, or a constant, or nothing.
struct Operand {
  std::vector<nn::TensorId> tensors;
  const Json* constant = nullptr;
  [[nodiscard]] bool absent() const { return tensors.empty() && (constant == nullptr || constant->is_null()); }
};

/// Whether `name` is one of those in `names`, which are separated by '|'.
bool among(std::string_view names, std::string_view name);

/// What a function of several arguments is called with; names in the order of its signature, each with alternatives
/// ("x1|x").
class OperationCall {
 public:
  OperationCall(LayerImport& in, const std::vector<std::string_view>& names);

  [[nodiscard]] const Operand& at(std::size_t i) const { return operands_[i]; }
  /// The tensor that argument `i` is; a failure otherwise.
  std::optional<nn::TensorId> tensor(std::size_t i);
  /// The whole number that argument `i` is; nullopt when it is none.
  std::optional<std::int64_t> integer(std::size_t i);
  /// A whole number or a list of them; -1 for null. nullopt when there is nothing, or after a failure.
  std::optional<std::vector<std::int64_t>> integers(std::size_t i);
  bool flag(std::size_t i);
  /// Index of an axis without the batch; nullopt after a failure.
  std::optional<std::int64_t> axis(std::int64_t given, std::size_t rank_with_batch);
  /// A constant without its batch axis, for a tensor of `rank` axes; nullopt after a failure.
  std::optional<FloatTensor> constant(const Json& json, std::size_t rank);
  /// Fails: the function `what`, which is not supported.
  std::nullopt_t refuse(const std::string& what);
  [[nodiscard]] const Shape& shape(nn::TensorId t) const { return in_.shape_of(t); }

 private:
  LayerImport& in_;
  std::vector<Operand> operands_;
};

}  // namespace weft::formats::keras
