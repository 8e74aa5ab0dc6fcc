// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/tables.h"

#include <fmt/format.h>

#include "weft/support/arrays.h"

namespace weft::driver {
namespace {

constexpr std::int64_t kMostPoints = std::int64_t{1} << 16;

Result<quantizers::Spec> read_table(const std::string& path, const std::string& mode, const Origin& origin,
                                    Context& ctx) {
  WEFT_TRY(const auto arrays, support::read_arrays(path, ctx));
  const auto fail = [&](const std::string& what) {
    return ctx.fail(Kind::ConfigInvalid, origin, fmt::format("the table `{}` {}", path, what));
  };
  if (arrays.size() != 1) return fail("holds several arrays; one of shape [n, 2] is needed");
  const support::Array& array = arrays.begin()->second;
  if (array.shape.size() != 2 || array.shape[1] != 2 || array.shape[0] < 1 || array.shape[0] > kMostPoints)
    return fail(fmt::format("is no array [n, 2] of up to {} points (x, y)", kMostPoints));
  std::vector<double> xs;
  std::vector<double> ys;
  const bool numbers = std::visit(
      [&](const auto& data) {
        if constexpr (std::is_same_v<std::decay_t<decltype(data)>, std::vector<std::string>>) {
          return false;
        } else {
          for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
            xs.push_back(static_cast<double>(data[i]));
            ys.push_back(static_cast<double>(data[i + 1]));
          }
          return true;
        }
      },
      array.data);
  if (!numbers) return fail("holds no numbers");
  return quantizers::Spec{"table", {{"x", std::move(xs)}, {"y", std::move(ys)}, {"mode", mode}}};
}

}  // namespace

Result<void> apply_tables(const lower::Config& config, nn::Graph& graph, Context& ctx) {
  const lower::LayerSettings settings{&config};
  for (auto& node : graph.nodes) {
    const auto path = settings.table(node);
    if (!path) continue;
    const auto function = node.functions.find("activation");
    if (function == node.functions.end())
      return ctx.fail(Kind::ConfigInvalid, node.origin,
                      fmt::format("`table` is set for `{}`, which has no activation", node.name));
    WEFT_TRY(const auto spec, read_table(*path, settings.table_mode(node), node.origin, ctx));
    if (!quantizers::make(spec, node.origin, ctx)) return diag::failure;
    function->second = spec;
    ctx.report(Kind::Info, node.origin, fmt::format("its function is the table `{}`", *path));
  }
  return {};
}

}  // namespace weft::driver
