// SPDX-License-Identifier: Apache-2.0
// hls4ml 1.3's own C simulation, layer by layer, against --compat hls4ml: every traced layer's integers and the
// outputs.
//
//     weft_hls4ml_golden [--cases DIR] [--only SUBSTRING] [--markdown FILE]
//
// Every case must be equal, or stand in kKnown below with its reason; a case that is listed and equal is pointed out.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "case.h"
#include "weft/emulate/emulator.h"
#include "weft/lower/hls4ml/lowering.h"

namespace weft::golden {
namespace {

struct Known {
  std::string_view name;  ///< a case, or the beginning of several when it ends with *
  std::string_view reason;
};
constexpr Known kKnown[] = {
    {"T_acts", "PyTorch's one slope, where hls4ml reads one per element from behind its array"},
};

std::string known(const std::string& name) {
  for (const auto& k : kKnown) {
    const bool prefix = k.name.ends_with('*');
    if (prefix ? name.starts_with(k.name.substr(0, k.name.size() - 1)) : name == k.name) return std::string(k.reason);
  }
  return {};
}

/// hls4ml's raw integer of a code: one bit stands for -1 and +1.
Int raw(Int code, int code_frac, const Trace& t) {
  if (t.bipolar) return code > 0 ? 1 : 0;
  return t.frac_bits >= code_frac ? code << (t.frac_bits - code_frac)
                                  : fixed::floor_shift(code, code_frac - t.frac_bits);
}

struct Outcome {
  std::size_t equal = 0;
  std::size_t compared = 0;
  bool outputs = false;
  std::string what;
};

std::vector<double> numbers(const support::Array& array) {
  if (const auto* f = std::get_if<std::vector<float>>(&array.data)) return {f->begin(), f->end()};
  return std::get<std::vector<double>>(array.data);
}

/// First difference of a traced tensor, empty when there is none.
std::string difference(const Case& c, const exact::Graph& graph, exact::ValueId id, const Trace& t,
                       const std::vector<std::vector<Int>>& samples) {
  const auto& array = c.arrays.at(t.array);
  const auto& want = std::get<std::vector<std::int64_t>>(array.data);
  const std::size_t rows = std::min<std::size_t>(static_cast<std::size_t>(array.shape.at(0)), samples.size());
  const int frac = -fixed::log2_exact(graph.at(id).scale.at(0)).value();
  for (std::size_t r = 0; r < rows; ++r) {
    const auto n = want.size() / static_cast<std::size_t>(array.shape.at(0));
    if (samples[r].size() != n) return fmt::format("{}: {} elements for {}", t.layer, samples[r].size(), n);
    for (std::size_t e = 0; e < n; ++e) {
      const Int got = raw(samples[r][e], frac, t);
      const Int exact = want[r * n + e];
      // Traces of more than 53 bits went through a double.
      const bool rounded = t.width_bits > 53 && static_cast<Int>(static_cast<double>(got)) == exact;
      if (got != exact && !rounded)
        return fmt::format("{}: sample {} element {}: {} instead of {}", t.layer, r, e, fixed::to_string(got),
                           fixed::to_string(exact));
    }
  }
  return {};
}

Outcome run(Case& c) {
  Outcome out;
  if (!c.obstacle.empty()) {
    out.what = c.obstacle;
    return out;
  }
  diag::Engine engine;
  Context ctx{engine};
  auto lowered = lower::lower(c.graph, c.options, ctx);
  if (!lowered) {
    out.what = engine.all().empty() ? "lowering failed" : engine.all().back().message;
    return out;
  }
  const auto& graph = lowered->graph;
  std::size_t samples = 0;
  std::vector<std::vector<double>> inputs;
  for (const auto& name : c.inputs) {
    inputs.push_back(numbers(c.arrays.at(name)));
    samples = static_cast<std::size_t>(c.arrays.at(name).shape.at(0));
  }
  // Codes of every value for all samples: the plain executor, which knows every width.
  std::vector<std::vector<std::vector<Int>>> values(graph.values.size());
  for (std::size_t s = 0; s < samples; ++s) {
    std::vector<std::vector<Int>> codes;
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
      const auto n = static_cast<std::size_t>(element_count(graph.at(graph.inputs[i].value).shape));
      std::vector<Int> row;
      for (std::size_t e = 0; e < n; ++e) {
        bool saturated = false;
        row.push_back(
            exact::convert_input(graph.inputs[i].conversion, static_cast<float>(inputs[i][s * n + e]), saturated));
      }
      codes.push_back(std::move(row));
    }
    auto result = emulate::run_plain(graph, codes);
    for (std::size_t v = 0; v < graph.values.size(); ++v) values[v].push_back(std::move(result.values[v]));
  }
  for (const auto& t : c.traces) {
    const auto probe =
        std::find_if(graph.probes.begin(), graph.probes.end(), [&](const auto& p) { return p.layer == t.layer; });
    if (probe == graph.probes.end() || !probe->value) continue;
    ++out.compared;
    const auto what = difference(c, graph, *probe->value, t, values[probe->value->index]);
    if (what.empty())
      ++out.equal;
    else if (out.what.empty())
      out.what = what;
  }
  out.outputs = true;
  for (std::size_t o = 0; o < graph.outputs.size(); ++o) {
    const auto id = graph.outputs[o].value;
    const auto what = difference(c, graph, id, c.outputs[o], values[id.index]);
    if (what.empty()) continue;
    out.outputs = false;
    if (out.what.empty()) out.what = what;
  }
  return out;
}

/// Cases whose sums and results hls4ml typed by its own inference, model default and all.
bool is_inferred(const std::string& name) {
  for (const std::string_view prefix :
       {"A_jet_auto", "B_svhn_auto", "C_ad08_qkeras", "D_rn07_stream", "Q_conv", "Q_three", "T_"})
    if (name.starts_with(prefix)) return true;
  return false;
}

/// The same case with the types of sums and results left to inference.
void infer_types(Case& c) {
  auto& config = c.options.config;
  config.model.precision["default"] = config.layer_name.at(c.graph.inputs[0].name).precision.at("result");
  for (const auto& node : c.graph.nodes) {
    if (node.op != "Dense" && node.op != "Conv" && node.op != "DepthwiseConv" && node.op != "MaxPool") continue;
    for (const char* role : {"accum", "result"}) config.layer_name[node.name].precision[role] = {};
  }
}

int main_of(int argc, char** argv) {
  std::filesystem::path folder = WEFT_HLS4ML_CASES;
  std::string only;
  std::string markdown;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--cases") == 0) folder = argv[i + 1];
    if (std::strcmp(argv[i], "--only") == 0) only = argv[i + 1];
    if (std::strcmp(argv[i], "--markdown") == 0) markdown = argv[i + 1];
  }
  if (!std::filesystem::is_directory(folder)) {
    std::printf("skipped: there is no %s\n", folder.c_str());
    return 77;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".json" && entry.path().stem().string().find(only) != std::string::npos)
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::size_t equal = 0;
  std::size_t layers = 0;
  std::size_t layers_equal = 0;
  std::size_t inferred = 0;
  bool failed = files.empty();
  std::string table = "| case | layers equal | outputs | reason |\n|---|---|---|---|\n";
  for (const auto& file : files) {
    Case c = read_case(file);
    Outcome o = run(c);
    if (o.outputs && is_inferred(c.name)) {
      infer_types(c);
      ++inferred;
      const Outcome again = run(c);
      o.outputs = again.outputs && again.equal == o.equal;
      if (!o.outputs) o.what = "with inferred types: " + again.what;
    }
    const bool good = o.outputs && o.equal == o.compared;
    const std::string reason = known(c.name);
    equal += good ? 1 : 0;
    layers += o.compared;
    layers_equal += o.equal;
    failed = failed || (!good && reason.empty());
    std::printf("%-42s %3zu/%-3zu %-9s %s\n", c.name.c_str(), o.equal, o.compared, good ? "equal" : "different",
                good && reason.empty() ? "" : (o.what + (reason.empty() ? "" : " [" + reason + "]")).c_str());
    table +=
        fmt::format("| {} | {} of {} | {} | {} |\n", c.name, o.equal, o.compared, good ? "equal" : "different", reason);
  }
  std::printf("%zu of %zu cases equal, %zu of %zu layers; %zu of them again with inferred types\n", equal, files.size(),
              layers_equal, layers, inferred);
  if (!markdown.empty()) {
    std::ofstream out(markdown);
    out << fmt::format("{} of {} cases are equal, {} of {} traced layers.\n\n", equal, files.size(), layers_equal,
                       layers)
        << table;
  }
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace weft::golden

int main(int argc, char** argv) {
  try {
    return weft::golden::main_of(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
