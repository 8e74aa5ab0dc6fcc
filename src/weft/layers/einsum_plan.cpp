// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/einsum_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace weft::layers {
namespace {

constexpr std::int64_t kMaxProducts = std::int64_t{1} << 36;

bool contains(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

}  // namespace

std::int64_t EinsumPlan::extent(char label) const {
  std::int64_t out = 1;
  for (std::size_t k = 0; k < operands.size(); ++k)
    for (std::size_t d = 0; d < operands[k].size(); ++d)
      if (operands[k][d] == label) out = std::max(out, shapes[k][d]);
  return out;
}

Shape EinsumPlan::extents(const std::string& labels) const {
  Shape out;
  for (const char label : labels) out.push_back(extent(label));
  return out;
}

bool EinsumPlan::varies(std::size_t k, char label) const {
  for (std::size_t d = 0; d < operands[k].size(); ++d)
    if (operands[k][d] == label && shapes[k][d] != 1) return true;
  return false;
}

std::int64_t EinsumPlan::stride(std::size_t k, char label) const {
  const auto strides = strides_of(shapes[k]);
  std::int64_t out = 0;
  for (std::size_t d = 0; d < operands[k].size(); ++d)
    if (operands[k][d] == label && shapes[k][d] != 1) out += strides[d];
  return out;
}

std::vector<std::int64_t> EinsumPlan::elements(std::size_t k, const std::string& labels) const {
  std::vector<std::int64_t> out{0};
  for (const char label : labels) {
    const std::int64_t n = extent(label);
    const std::int64_t step = stride(k, label);
    std::vector<std::int64_t> next;
    next.reserve(out.size() * static_cast<std::size_t>(n));
    for (const auto base : out)
      for (std::int64_t i = 0; i < n; ++i) next.push_back(base + i * step);
    out = std::move(next);
  }
  return out;
}

Result<EinsumPlan> einsum_plan(const nn::Node& node, std::vector<Shape> shapes, Context& ctx) {
  const std::string equation = get_string(node.attributes, "equation", "");
  const auto bad = [&](const std::string& why) {
    return ctx.fail(
        Kind::AttributeUnsupported, node.origin,
        fmt::format("equation `{}`: {}; letters, one or two operands and `->` are expected", equation, why));
  };
  EinsumPlan plan;
  const auto arrow = equation.find("->");
  if (arrow == std::string::npos) return bad("the result is missing");
  plan.result = equation.substr(arrow + 2);
  const std::string left = equation.substr(0, arrow);
  const auto comma = left.find(',');
  plan.operands.push_back(left.substr(0, comma));
  if (comma != std::string::npos) plan.operands.push_back(left.substr(comma + 1));
  if (plan.operands.size() != shapes.size()) return bad(fmt::format("there are {} operands", shapes.size()));
  plan.shapes = std::move(shapes);
  std::int64_t products = 1;
  std::string seen;
  for (std::size_t k = 0; k < plan.operands.size(); ++k) {
    const auto& labels = plan.operands[k];
    if (labels.size() != plan.shapes[k].size())
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("operand {} of `{}` has the shape {}", k, equation, weft::to_string(plan.shapes[k])));
    for (const char label : labels) {
      if (std::isalpha(static_cast<unsigned char>(label)) == 0) return bad("a label is no letter");
      if (contains(seen, label)) continue;
      seen += label;
      if (!contains(plan.result, label)) plan.summed += label;
      const std::int64_t n = plan.extent(label);
      if (n < 1 || n > kMaxProducts / products)
        return ctx.fail(Kind::LimitExceeded, node.origin, fmt::format("`{}` needs too many products", equation));
      products *= n;
    }
  }
  for (std::size_t i = 0; i < plan.result.size(); ++i)
    if (!contains(seen, plan.result[i]) || plan.result.find(plan.result[i], i + 1) != std::string::npos)
      return bad("a label of the result is unknown or given twice");
  for (std::size_t k = 0; k < plan.operands.size(); ++k)
    for (std::size_t d = 0; d < plan.operands[k].size(); ++d) {
      const std::int64_t n = plan.shapes[k][d];
      if (n != 1 && n != plan.extent(plan.operands[k][d]))
        return ctx.fail(Kind::ShapeMismatch, node.origin,
                        fmt::format("label `{}` of `{}` has the extents {} and {}", plan.operands[k][d], equation, n,
                                    plan.extent(plan.operands[k][d])));
    }
  return plan;
}

std::vector<Shape> einsum_shapes(const nn::Graph& graph, const nn::Node& node) {
  std::vector<Shape> out;
  for (const auto id : node.inputs) out.push_back(graph.at(id).shape);
  const auto kernel = node.parameters.find("kernel");
  if (kernel == node.parameters.end()) return out;
  const bool first = get_bool(node.attributes, "constant_first", false);
  out.insert(first ? out.begin() : out.end(), kernel->second.values.shape);
  return out;
}

}  // namespace weft::layers
