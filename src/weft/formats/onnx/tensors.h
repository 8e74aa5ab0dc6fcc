// SPDX-License-Identifier: Apache-2.0
/// @file
/// Tensors in ONNX order with all their axes, for operators that treat every axis alike.
#pragma once

#include "weft/formats/onnx/call.h"

namespace weft::formats::onnx {

/// Input i, which is data, in ONNX order; the layer graph's tensor has exactly its sample shape.
Result<Dynamic> plain(const Call& call, std::size_t i, bool float_only = true);

/// A constant as a layer of its own, for data with `rank` axes and its batch at `batch_axis`. Refused where it differs
/// between samples.
Result<Dynamic> as_layer(const Call& call, const Constant& c, std::int64_t rank, std::int64_t batch_axis);

/// All inputs from `first` on as plain tensors for element-by-element operators, constants as layers; their common
/// shape. Data of different ranks meets only where there is no batch.
struct Group {
  std::vector<Dynamic> parts;
  Dynamic out;  ///< without a tensor yet
};
Result<Group> group(const Call& call, std::size_t first, bool float_only);

/// Adds a layer without parameters on plain tensors. `main`: it carries the operator's name.
Result<nn::TensorId> layer(const Call& call, const std::string& op, std::vector<nn::TensorId> inputs, Shape shape,
                           AttributeMap attributes, const std::string& suffix);
/// An Activation layer of this family.
Result<nn::TensorId> function_layer(const Call& call, nn::TensorId in, const Shape& shape, quantizers::Spec spec,
                                    const std::string& suffix);
/// A layer with a number as its constant operand.
Result<nn::TensorId> number_layer(const Call& call, const std::string& op, nn::TensorId in, const Shape& shape,
                                  float number, bool constant_first, const std::string& suffix);

/// The position of axis `axis` among the axes of a plain tensor.
inline std::int64_t sample_axis(const Dynamic& x, std::int64_t axis) { return x.layer_axis(axis); }

/// A plain tensor with axis `axis` moved to the end; adds a Permute when it is not there.
struct Turned {
  nn::TensorId tensor;
  Shape shape;
  std::vector<std::int64_t> permutation;  ///< empty: nothing moved
};
Result<Turned> turn_to_end(const Call& call, const Dynamic& x, std::int64_t axis);
/// Moves the last axis of `tensor` back; the result carries the operator's name.
Result<nn::TensorId> turn_back(const Call& call, nn::TensorId tensor, const Shape& shape,
                               const std::vector<std::int64_t>& permutation);

}  // namespace weft::formats::onnx
