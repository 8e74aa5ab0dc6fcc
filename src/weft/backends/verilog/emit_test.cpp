// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/verilog/emit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "weft/backends/verilog/simulate.h"
#include "weft/exact/random_graph.h"
#include "weft/support/json.h"

namespace weft::backends::verilog {
namespace {

const char* const kMissing = "the simulator is not installed";

/// Random graphs, all clocks and all options in turn.
void add_random(SimulationRun& run, std::uint64_t begin, std::uint64_t end) {
  const double clocks[] = {1.0, 2.5, 5.0, 100.0};
  for (std::uint64_t seed = begin; seed < end; ++seed) {
    hw::PlanOptions options;
    options.clock_ns = clocks[seed % 4];
    options.register_inputs = seed % 3 == 1;
    options.register_outputs = seed % 5 != 2;
    options.clock_enable = seed % 7 == 3;
    options.valid = seed % 4 != 1;
    if (seed % 6 == 5) options.max_latency_cycles = 3;
    run.add(exact::random_graph(seed, {.dense_layers = static_cast<int>(seed % 3)}), options, seed, 30);
  }
}

void expect_clean(SimulationRun& run, Simulator simulator, int samples) {
  const auto results = run.run(simulator);
  ASSERT_EQ(results.size(), run.designs().size()) << run.log().substr(0, 4000);
  for (std::size_t d = 0; d < results.size(); ++d) {
    SCOPED_TRACE(run.designs()[d].top);
    EXPECT_EQ(results[d].samples, samples);
    EXPECT_EQ(results[d].mismatches, 0);
    EXPECT_EQ(results[d].latency, run.designs()[d].latency_cycles);
    EXPECT_EQ(results[d].interval, run.designs()[d].interval_cycles);
  }
}

TEST(Emit, RandomGraphsInIverilog) {
  if (!is_installed(Simulator::Iverilog)) GTEST_SKIP() << kMissing;
  SimulationRun run;
  add_random(run, 0, 60);
  expect_clean(run, Simulator::Iverilog, 30);
}

TEST(Emit, RandomGraphsInVerilator) {
  if (!is_installed(Simulator::Verilator)) GTEST_SKIP() << kMissing;
  SimulationRun run;
  add_random(run, 60, 72);
  expect_clean(run, Simulator::Verilator, 30);
}

/// A dense layer, a clipped rounding, another dense layer; the names as hostile as value names may be.
exact::Graph dense_graph(std::int64_t n_in, std::int64_t n_hidden, std::int64_t n_out) {
  exact::Random random(3);
  diag::Engine engine;
  Context ctx{.diag = engine};
  exact::Graph graph;
  graph.name = "dense";
  const auto add = [&](const std::string& name, Shape shape, exact::Primitive primitive) {
    exact::Value value;
    value.name = name;
    value.shape = std::move(shape);
    value.primitive = std::move(primitive);
    if (std::holds_alternative<exact::Input>(value.primitive)) {
      value.ranges.assign(static_cast<std::size_t>(n_in), fixed::Range{-32, 31, 0});
    } else {
      value.ranges = *exact::infer_ranges(graph, value, ctx);
    }
    graph.values.push_back(std::move(value));
    return exact::ValueId{static_cast<std::uint32_t>(graph.values.size() - 1)};
  };
  const auto matvec = [&](exact::ValueId x, std::int64_t n, std::int64_t m) {
    exact::MatVec p{.x = x, .n_in = n, .n_out = m, .weights = {}, .bias = {}, .accumulator = {}};
    for (std::int64_t i = 0; i < n * m; ++i) p.weights.push_back(random.between(-16, 15));
    for (std::int64_t o = 0; o < m; ++o) p.bias.push_back(random.between(-100, 100));
    return p;
  };
  const auto x = add("wire", {n_in}, exact::Input{});
  graph.inputs = {{"input:0/a b", x, {}, "option"}};
  const auto sums = add("result", {n_hidden}, matvec(x, n_in, n_hidden));
  const fixed::StepFunction activation = fixed::ShiftRound{.shift = 5, .lo = 0, .hi = 63};
  const auto hidden = add("Result", {n_hidden}, exact::Requant{sums, {activation}});
  const auto y = add("tb", {n_out}, matvec(hidden, n_hidden, n_out));
  graph.outputs = {{"output", y, {}}, {"OUTPUT", hidden, {}}};
  return graph;
}

TEST(Emit, HandMadeNetworkWithHostileNames) {
  SimulationRun run;
  for (const double clock : {1.0, 2.5, 5.0, 100.0}) run.add(dense_graph(8, 6, 3), {.clock_ns = clock}, 1, 30);
  for (const Simulator simulator : {Simulator::Iverilog}) {
    if (!is_installed(simulator)) GTEST_SKIP() << kMissing;
    expect_clean(run, simulator, 30);
  }
}

TEST(Emit, TheBenchSeesWrongOutputs) {
  if (!is_installed(Simulator::Iverilog)) GTEST_SKIP() << kMissing;
  SimulationRun run;
  run.add(dense_graph(4, 3, 2), {}, 1, 20, 7);
  run.add(dense_graph(4, 3, 2), {.valid = false}, 1, 20, 2);
  const auto results = run.run(Simulator::Iverilog);
  ASSERT_EQ(results.size(), 2U) << run.log();
  EXPECT_EQ(results[0].mismatches, 7);
  EXPECT_EQ(results[1].mismatches, 2);
}

class EmitFiles : public testing::Test {
 protected:
  support::FileSet emitted(const exact::Graph& graph, const hw::PlanOptions& options) {
    const auto design = hw::plan(graph, options, ctx_);
    EXPECT_TRUE(design.ok());
    const auto files = emit(*design, {}, ctx_);
    EXPECT_TRUE(files.ok());
    return *files;
  }
  diag::Engine engine_;
  Context ctx_{.diag = engine_};
};

/// Cells of a Yosys statistic whose type begins with `prefix`.
double count_cells(const std::string& statistic, const std::string& prefix) {
  double total = 0;
  std::istringstream lines(statistic);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string type;
    double count = 0;
    if (words >> type >> count && type.rfind(prefix, 0) == 0) total += count;
  }
  return total;
}

TEST_F(EmitFiles, PredictedResourcesAreThoseOfYosys) {
  if (std::system("yosys -V >/dev/null 2>&1") != 0) GTEST_SKIP() << "yosys is not installed";
  const auto design = hw::plan(dense_graph(8, 6, 3), {.clock_ns = 2.5}, ctx_);
  const auto files = emit(*design, {}, ctx_);
  std::string pattern = (std::filesystem::temp_directory_path() / "weft_synth_XXXXXX").string();
  const std::filesystem::path folder = mkdtemp(pattern.data());
  for (const auto& [path, content] : *files) {
    std::filesystem::create_directories((folder / path).parent_path());
    std::ofstream(folder / path) << content;
  }
  const std::string script =
      "read_verilog rtl/*.v; synth_xilinx -flatten -nodsp -noiopad -noclkbuf -family xcup -top " + design->top +
      "; tee -o stat stat";
  const int status = std::system(("cd " + folder.string() + " && yosys -q -p '" + script + "' > log 2>&1").c_str());
  std::ifstream in(folder / "stat");
  std::stringstream statistic;
  statistic << in.rdbuf();
  std::filesystem::remove_all(folder);
  ASSERT_EQ(status, 0);
  const double lut = count_cells(statistic.str(), "LUT") + count_cells(statistic.str(), "SRL");
  EXPECT_NEAR(design->predicted.lut, lut, 0.2 * lut);
  const double ff = count_cells(statistic.str(), "FD");
  EXPECT_NEAR(design->predicted.ff, ff, 0.01 * ff);
}

TEST_F(EmitFiles, EveryFileHoldsTheModuleOfItsName) {
  const auto files = emitted(dense_graph(4, 3, 2), {.top = "module", .prefix = ""});
  ASSERT_TRUE(files.count("rtl/m_module.v"));
  ASSERT_TRUE(files.count("tb/m_module_tb.v"));
  ASSERT_TRUE(files.count("interface.json"));
  std::set<std::string> lower_names;
  for (const auto& [path, content] : files) {
    if (path.rfind("rtl/", 0) != 0) continue;
    const std::string name = path.substr(4, path.size() - 6);
    EXPECT_NE(content.find("\nmodule " + name + " (\n"), std::string::npos) << path;
    EXPECT_EQ(content.rfind("// ", 0), 0U) << path;
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    EXPECT_TRUE(lower_names.insert(lower).second) << path;
  }
  EXPECT_GE(lower_names.size(), 4U);
}

TEST_F(EmitFiles, PrefixesKeepNetworksApart) {
  const auto a = emitted(dense_graph(4, 3, 2), {.prefix = "a_"});
  const auto b = emitted(dense_graph(4, 3, 2), {.prefix = "b_"});
  for (const auto& [path, content] : a) {
    EXPECT_TRUE(path.rfind("rtl/", 0) != 0 || path.rfind("rtl/a_", 0) == 0) << path;
    EXPECT_TRUE(path == "interface.json" || b.count(path) == 0) << path;
  }
}

TEST_F(EmitFiles, TheSameGraphGivesTheSameBytes) {
  const auto graph = exact::random_graph(11, {.dense_layers = 2});
  EXPECT_EQ(emitted(graph, {}), emitted(graph, {}));
}

TEST_F(EmitFiles, VectorsArePackedWithElementZeroLow) {
  const auto design = hw::plan(dense_graph(3, 2, 1), {}, ctx_);
  ASSERT_EQ(design->inputs[0].element_width_bits, 6);
  EXPECT_EQ(design->inputs[0].name, "in_input_0_a_b");
  const Codes outputs(2, 0);
  const auto vectors = test_vectors(*design, {{1, -1, 2, 0, 0, -32}}, {outputs, {1, 2, 3, 4}}, ctx_);
  ASSERT_TRUE(vectors.ok());
  // 000010 111111 000001 and 100000 000000 000000 in 18 bits.
  EXPECT_EQ(vectors->at("tb/in_input_0_a_b.hex"), "02fc1\n20000\n");
  ASSERT_EQ(design->outputs[1].element_width_bits, 5);
  EXPECT_EQ(vectors->at("tb/out_OUTPUT_2.hex"), "041\n083\n");
  EXPECT_FALSE(test_vectors(*design, {{1, -1, 32}}, {{0}, {1, 2}}, ctx_).ok());
  EXPECT_EQ(engine_.all().back().kind, Kind::ShapeMismatch);
}

TEST_F(EmitFiles, TheInterfaceIsDescribed) {
  const auto files = emitted(dense_graph(3, 2, 1), {.clock_ns = 2.5, .clock_enable = true});
  const auto json = support::parse_json(files.at("interface.json"), "interface.json", ctx_);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["inputs"][0]["name"], "input:0/a b");
  EXPECT_EQ((*json)["inputs"][0]["port"], "in_input_0_a_b");
  EXPECT_EQ((*json)["inputs"][0]["width_bits"], 18);
  EXPECT_EQ((*json)["inputs"][0]["fields"][2]["offset_bits"], 12);
  EXPECT_EQ((*json)["clock"]["target_ns"], 2.5);
  EXPECT_EQ((*json)["clock_enable"], "ce");
  EXPECT_EQ((*json)["interval_cycles"], 1);
}

}  // namespace
}  // namespace weft::backends::verilog
