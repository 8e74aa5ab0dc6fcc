// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/steps.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::layers {

void evaluate_steps(const std::vector<exact::ReadoutStep>& steps, std::vector<float>& data, std::size_t channels) {
  std::vector<Step> list(steps.begin(), steps.end());
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = run_steps(list, data[i], i % channels);
}

Result<void> lower_steps(const nn::Node& node, Recipe& recipe, const std::vector<exact::ReadoutStep>& steps) {
  Symbol symbol = recipe.input(node);
  for (const auto& step : steps) {
    WEFT_TRY(symbol, recipe.push(node, std::move(symbol), step));
  }
  return recipe.set_output(node, std::move(symbol));
}

Result<std::vector<float>> channel_operands(const nn::Node& node, const FloatTensor& values, Context& ctx) {
  for (std::size_t d = 0; d + 1 < values.shape.size(); ++d)
    if (values.shape[d] != 1)
      return ctx.fail(
          Kind::LoweringUnsupported, node.origin,
          fmt::format("a constant of shape {} varies along more than the last axis", weft::to_string(values.shape)));
  if (!values.data.empty() &&
      std::all_of(values.data.begin(), values.data.end(), [&](float v) { return v == values.data[0]; }))
    return std::vector<float>{values.data[0]};
  return values.data;
}

}  // namespace weft::layers
