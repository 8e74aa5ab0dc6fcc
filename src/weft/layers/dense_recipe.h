// SPDX-License-Identifier: Apache-2.0
/// @file
/// The recipe that Dense and DenseBatchnorm share. Private to this room.
#pragma once

#include "weft/layers/recipe.h"

namespace weft::layers {

/// y = x W + b in exact integers, the activation, the certificate. `bias` may be missing; it lies along the outputs.
Result<void> lower_dense(const nn::Node& node, Recipe& recipe, const IntegerParameter& kernel,
                         const std::optional<IntegerParameter>& bias, Context& ctx);

/// The same for codes that are at hand: x [..., n_in] behind `node`, whose activation follows.
Result<void> lower_product(const nn::Node& node, Recipe& recipe, const Recipe::Codes& x, const IntegerParameter& kernel,
                           const std::optional<IntegerParameter>& bias, Context& ctx);

/// The same sum without what follows it; the value is called `name`. No certificate or result is made but for the bound
/// on the order of additions, which is the symbol's.
Result<Symbol> product(const nn::Node& node, const std::string& name, Recipe& recipe, const Recipe::Codes& x,
                       const IntegerParameter& kernel, const std::optional<IntegerParameter>& bias, Context& ctx);

/// Largest float32 difference that any order of `terms` additions of products with this sum of magnitudes can make.
double order_bound(double magnitude, std::int64_t terms);

/// The bias of a node as integers, or as float32 values where it is added in the step function: a float bias behind a
/// kernel that carries its own quantizer.
Result<std::optional<IntegerParameter>> bias_parameter(const nn::Node& node, Recipe& recipe,
                                                       const IntegerParameter& kernel,
                                                       const std::string& role = "bias");

/// float32 y = x W + b on a batch, products and sums in index order.
void evaluate_dense(const std::vector<float>& x, const FloatTensor& kernel, const FloatTensor* bias,
                    std::vector<float>& y);

Result<Shape> dense_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx);
std::int64_t dense_macs(const nn::Graph& graph, const nn::Node& node);

}  // namespace weft::layers
