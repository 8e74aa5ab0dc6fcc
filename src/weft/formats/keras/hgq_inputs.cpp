// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <set>

#include "weft/formats/keras/hgq_rows.h"
#include "weft/formats/keras/quantizer_spec.h"

namespace weft::formats::keras {

void add_input_grids(nn::Graph& graph) {
  struct Found {
    int integer = std::numeric_limits<int>::min();
    int frac = std::numeric_limits<int>::min();
    std::set<std::string> overflows;
    std::set<std::string> roundings;
    bool same = true;
    const quantizers::Spec* first = nullptr;
    bool only_these = true;
  };
  for (std::size_t p = 0; p < graph.inputs.size(); ++p) {
    const auto input = graph.inputs[p].tensor;
    Found found;
    std::vector<nn::TensorId> open{input};
    while (!open.empty() && found.only_these) {
      const auto id = open.back();
      open.pop_back();
      for (const auto& port : graph.outputs) found.only_these = found.only_these && port.tensor != id;
      for (const auto* node : graph.consumers(id)) {
        if (node->op == "Identity" || node->op == "Reshape" || node->op == "Permute") {
          open.push_back(node->outputs[0]);
          continue;
        }
        const auto function = node->functions.find("activation");
        if (node->op != "Activation" || function == node->functions.end() || function->second.family != "hgq_fixed") {
          found.only_these = false;
          break;
        }
        const auto& spec = function->second;
        found.same = found.same && (found.first == nullptr || *found.first == spec);
        found.first = &spec;
        const auto k = get_doubles(spec.parameters, "k");
        const auto i = get_doubles(spec.parameters, "i");
        const auto f = get_doubles(spec.parameters, "f");
        const std::size_t count = std::max({k.size(), i.size(), f.size()});
        found.same = found.same && count == 1;
        const auto at = [](const std::vector<double>& v, std::size_t c) {
          return static_cast<int>(v[v.size() == 1 ? 0 : c]);
        };
        for (std::size_t c = 0; c < count; ++c) {
          if (at(k, c) + at(i, c) + at(f, c) <= 0) continue;
          found.integer = std::max({found.integer, at(i, c), -at(f, c)});
          found.frac = std::max(found.frac, at(f, c));
        }
        found.overflows.insert(get_string(spec.parameters, "overflow", ""));
        found.roundings.insert(get_string(spec.parameters, "rounding", ""));
      }
    }
    const bool clips = found.overflows == std::set<std::string>{"SAT"};
    const bool wraps = found.overflows == std::set<std::string>{"WRAP"};
    const bool rounds = found.roundings == std::set<std::string>{"RND"};
    const bool floors = found.roundings == std::set<std::string>{"TRN"};
    if (!found.only_these || found.first == nullptr || found.same || !(clips || wraps) || !(rounds || floors)) continue;
    if (found.frac == std::numeric_limits<int>::min()) continue;  // nothing of the input is used
    // Half a step more for what rounds to nearest: floor(v + 1/2) = floor((floor(2 v) + 1) / 2).
    nn::Node grid;
    grid.name = graph.inputs[p].name + "_grid";
    while (std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const auto& n) { return n.name == grid.name; }))
      grid.name += "_";
    grid.op = "Activation";
    grid.origin = {graph.file, graph.inputs[p].name, "InputLayer", ""};
    grid.functions["activation"] =
        make_spec("hgq_fixed", {{"k", std::vector<double>{1.0}},
                                {"i", std::vector<double>{static_cast<double>(found.integer)}},
                                {"f", std::vector<double>{static_cast<double>(found.frac + (rounds ? 1 : 0))}},
                                {"rounding", std::string("TRN")},
                                {"overflow", std::string(wraps ? "WRAP" : "SAT")}});
    grid.inputs = {input};
    const auto tensor = graph.add_tensor(grid.name, graph.at(input).shape);
    for (auto& node : graph.nodes)
      for (auto& id : node.inputs)
        if (id == input) id = tensor;
    grid.outputs = {tensor};
    graph.nodes.insert(graph.nodes.begin(), std::move(grid));
  }
}

}  // namespace weft::formats::keras
