// SPDX-License-Identifier: Apache-2.0
/// @file
/// Functions that a layer applies again and again, as time steps do: each is made once and written again for every
/// tensor. Private to this room.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "weft/layers/recipe.h"

namespace weft::layers {

class SharedFunctions {
 public:
  SharedFunctions(const nn::Node& node, Recipe& recipe, Context& ctx) : node_(node), recipe_(recipe), ctx_(ctx) {}

  /// Codes that a function is made for.
  enum class Domain {
    Reachable,  ///< those of its first tensor: the certificate counts reachable codes
    Rounded     ///< up to a power of two with room, so that tensors which reach farther share it
  };
  /// Adds requantizations of the tensor, and what they are made of, to the recipe that it is given.
  using Make = std::function<Result<Symbol>(Recipe&, const Symbol&)>;

  /// What `make` gives for `x`. Equal keys mean equal functions for tensors of one shape and scale; the pending steps
  /// of `x` belong to the function.
  Result<Symbol> apply(const std::string& key, const Symbol& x, Domain domain, const Make& make);

 private:
  struct Made {
    std::string key;
    Shape shape;
    Scale scale;
    std::vector<double> order_bound;
    std::vector<fixed::Range> ranges;  ///< of the elements; one: of all
    std::vector<exact::Value> values;  ///< the tensor itself first
    Symbol result;
  };

  Result<Made> made_for(const std::string& key, const Symbol& x, Domain domain, const Make& make);
  Result<Symbol> write(const Made& made, const Symbol& x);

  const nn::Node& node_;
  Recipe& recipe_;
  Context& ctx_;
  std::vector<Made> made_;
};

}  // namespace weft::layers
