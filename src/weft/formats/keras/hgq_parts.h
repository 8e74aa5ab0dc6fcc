// SPDX-License-Identifier: Apache-2.0
/// @file
/// What layers of HGQ2 are made of: quantized tensors, products with a constant kernel by an equation, and products of
/// two tensors. Each adds nodes with LayerImport::emit().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

/// A layer of HGQ2, or a part of one.
struct HgqPart {
  LayerImport& in;
  std::string path;   ///< of its variables below the layer's: "" or "query_dense/"
  std::string label;  ///< in names of nodes: "" or "_query"
};

/// A variable of the part itself: by name, or by its place among `order` (Keras 3: trainable ones first). -1 in `shape`
/// fits any extent.
std::optional<FloatTensor> read_own(const HgqPart& part, std::string_view name,
                                    const std::vector<std::string_view>& order, const Shape& shape);

/// The quantizer `name` ("iq", "oq" ...) of the part, configured by `conf`, as a node behind `x`.
std::optional<nn::TensorId> quantized(const HgqPart& part, nn::TensorId x, const Json* conf, const std::string& name,
                                      const std::string& suffix);

/// `values` after the quantizer, as a parameter that is exact already.
std::optional<nn::Parameter> fixed_parameter(const HgqPart& part, FloatTensor values, const Json* conf,
                                             const std::string& name);

/// An equation "x,w->y" with letters for all axes; x and y begin with the batch, which w does not have.
struct Equation {
  std::string x, w, y;
};
/// `rank`: axes of the input without the batch. Fails with a message that names what is not supported.
std::optional<Equation> parse_equation(LayerImport& in, const std::string& text, std::size_t rank);

/// y = einsum(x, kernel) + bias. `bias` has letters `bias_letters` of y, in their order. The node of the product has
/// `activation` when nothing stands between.
std::optional<nn::TensorId> einsum_dense(const HgqPart& part, nn::TensorId x, const Equation& equation,
                                         const nn::Parameter& kernel, const std::optional<nn::Parameter>& bias,
                                         const std::string& bias_letters);

/// "btnh,bsnh->bnts" without the batch, for two tensors of these ranks (without it); nullopt for what contract() does
/// not compute.
std::optional<std::string> without_batch(const std::string& equation, std::size_t rank_a, std::size_t rank_b);

/// einsum of two tensors, equations over axes without the batch: "tnh,snh->nts".
std::optional<nn::TensorId> contract(const HgqPart& part, nn::TensorId a, nn::TensorId b, const std::string& equation,
                                     const std::string& suffix);

/// Keras' Dot: the sum over axis `axis_a` of a and `axis_b` of b (with the batch as axis 0, or from behind).
std::optional<nn::TensorId> dot_product(const HgqPart& part, nn::TensorId a, nn::TensorId b, std::int64_t axis_a,
                                        std::int64_t axis_b);

/// The layer's input quantizer, unless it is off.
std::optional<nn::TensorId> input_quantized(const HgqPart& part, nn::TensorId x);
/// The layer's output quantizer, unless it is off, and the end of the layer.
void finish_quantized(const HgqPart& part, std::optional<nn::TensorId> y);

/// A node of Mul, Add ... with a constant.
nn::Node with_constant(const HgqPart& part, const std::string& suffix, const std::string& op, nn::TensorId x,
                       nn::Parameter constant);
/// x times a number.
std::optional<nn::TensorId> scaled(const HgqPart& part, nn::TensorId x, float factor, const std::string& suffix);

/// A row with the keys that all layers of HGQ2 have.
LayerRow hgq_row(std::string_view class_name, std::string_view op, std::vector<std::string_view> used,
                 const std::vector<std::string_view>& ignored, void (*import)(LayerImport&));

/// Kernel variable -> parameter with its axes moved.
nn::Parameter permuted(const nn::Parameter& parameter, const std::vector<std::int64_t>& permutation, Shape shape);

}  // namespace weft::formats::keras
