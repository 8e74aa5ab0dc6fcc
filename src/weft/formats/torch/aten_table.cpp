// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "weft/formats/torch/aten.h"
#include "weft/formats/torch/torch.h"

namespace weft::formats::torch {

const std::vector<AtenOperator>& aten_table() {
  static const std::vector<AtenOperator> table = [] {
    AtenRows all;
    for (auto rows : {arithmetic_rows(), function_rows(), linear_rows(), movement_rows(), normalize_rows(), pool_rows(),
                      quantize_rows(), recurrent_rows(), reduction_rows(), scatter_rows(), selection_rows()})
      all.insert(all.end(), rows.begin(), rows.end());
    std::sort(all.begin(), all.end(), [](const AtenOperator& a, const AtenOperator& b) { return a.name < b.name; });
    return all;
  }();
  return table;
}

const AtenOperator* find_aten(const std::string& target) {
  const auto row = [](std::string_view name) -> const AtenOperator* {
    const auto& table = aten_table();
    const auto found = std::lower_bound(table.begin(), table.end(), name,
                                        [](const AtenOperator& a, std::string_view wanted) { return a.name < wanted; });
    return found != table.end() && found->name == name ? &*found : nullptr;
  };
  if (const AtenOperator* exact = row(target)) return exact;
  const auto dot = target.rfind('.');
  return dot == std::string::npos ? nullptr : row(std::string_view(target).substr(0, dot));
}

std::vector<OperatorInfo> supported_operators() {
  std::vector<OperatorInfo> out;
  for (const auto& row : aten_table()) out.push_back({row.name, row.note});
  return out;
}

}  // namespace weft::formats::torch
