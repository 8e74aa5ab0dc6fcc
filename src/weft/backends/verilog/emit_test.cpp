// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/verilog/emit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
    if (seed % 3 != 0) options.primitives = hw::Primitives::Xilinx;
    if (seed % 6 == 5) options.max_latency_cycles = 3;
    if (seed % 8 != 0) options.effort = hw::Effort::Fast;
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

/// A sum of three inputs of its own for each row of weights, behind it a rounding, which for some drops low bits.
exact::Graph three_term_graph(const std::vector<fixed::Range>& ranges,
                              const std::vector<std::array<std::int64_t, 3>>& rows) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  exact::Graph graph;
  graph.name = "three";
  const auto n = static_cast<std::int64_t>(rows.size());
  const auto add = [&](const std::string& name, Shape shape, exact::Primitive primitive) {
    exact::Value value;
    value.name = name;
    value.shape = std::move(shape);
    value.primitive = std::move(primitive);
    if (graph.values.empty()) {
      for (std::int64_t i = 0; i < 3 * n; ++i) value.ranges.push_back(ranges[static_cast<std::size_t>(i % 3)]);
    } else {
      value.ranges = *exact::infer_ranges(graph, value, ctx);
    }
    graph.values.push_back(std::move(value));
  };
  add("codes", {3 * n}, exact::Input{});
  graph.inputs = {{"x", exact::ValueId{0}, {}, "option"}};
  exact::MatVec p{.x = exact::ValueId{0}, .n_in = 3 * n, .n_out = n, .weights = {}, .bias = {}, .accumulator = {}};
  for (std::int64_t i = 0; i < 3 * n; ++i) {
    for (std::int64_t o = 0; o < n; ++o)
      p.weights.push_back(i / 3 == o ? rows[static_cast<std::size_t>(o)][static_cast<std::size_t>(i % 3)] : 0);
  }
  for (std::int64_t o = 0; o < n; ++o) p.bias.push_back(o % 5 == 4 ? o - 100 : 0);
  add("sums", {n}, std::move(p));
  exact::Requant requant{exact::ValueId{1}, {}};
  for (std::int64_t o = 0; o < n; ++o)
    requant.functions.emplace_back(fixed::ShiftRound{.shift = static_cast<int>(o % 3), .lo = -1000, .hi = 1000});
  add("rounded", {n}, std::move(requant));
  graph.outputs = {{"y", exact::ValueId{2}, {}}};
  return graph;
}

/// Weights 1, -1, -2 and 4 in all ways.
std::vector<std::array<std::int64_t, 3>> all_rows() {
  const std::int64_t weights[] = {1, -1, -2, 4};
  std::vector<std::array<std::int64_t, 3>> rows;
  for (const std::int64_t a : weights) {
    for (const std::int64_t b : weights) {
      for (const std::int64_t c : weights) rows.push_back({a, b, c});
    }
  }
  return rows;
}

std::int64_t ternary_sums(const hw::Design& design) {
  const auto& cells = design.netlist.cells;
  return std::count_if(cells.begin(), cells.end(),
                       [](const auto& cell) { return cell.op == netlist::Op::Sum && cell.terms.size() == 3; });
}

TEST(Emit, SumsOfThreeInXilinxCells) {
  SimulationRun run;
  for (const char* part : {"xcvu9p", "xc7k325t"}) {
    for (const auto& ranges : std::vector<std::vector<fixed::Range>>{{{-8, 7, 0}, {-8, 7, 0}, {-8, 7, 0}},
                                                                     {{0, 15, 0}, {0, 15, 0}, {0, 15, 0}},
                                                                     {{-1, 0, 0}, {0, 1, 0}, {-512, 511, 0}}}) {
      run.add(three_term_graph(ranges, all_rows()),
              {.clock_ns = 2.5, .part = part, .primitives = hw::Primitives::Xilinx, .extra_levels = 0}, 1, 100);
      EXPECT_GE(ternary_sums(run.designs().back()), 20);
    }
  }
  run.add(three_term_graph({{-8, 7, 0}, {-8, 7, 0}, {-8, 7, 0}}, all_rows()),
          {.primitives = hw::Primitives::Xilinx, .ternary_lut = 0}, 1, 100);
  EXPECT_EQ(ternary_sums(run.designs().back()), 0);
  if (!is_installed(Simulator::Iverilog)) GTEST_SKIP() << kMissing;
  expect_clean(run, Simulator::Iverilog, 100);
}

TEST(Emit, XilinxCellsInVerilator) {
  if (!is_installed(Simulator::Verilator)) GTEST_SKIP() << kMissing;
  SimulationRun run;
  for (const char* part : {"xcvu9p", "xc7k325t"})
    run.add(dense_graph(8, 6, 3), {.clock_ns = 2.5, .part = part, .primitives = hw::Primitives::Xilinx}, 1, 30);
  expect_clean(run, Simulator::Verilator, 30);
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

/// Cells that Yosys maps a design of UltraScale+ to.
std::string yosys_statistic(const hw::Design& design, const support::FileSet& files) {
  std::string pattern = (std::filesystem::temp_directory_path() / "weft_synth_XXXXXX").string();
  const std::filesystem::path folder = mkdtemp(pattern.data());
  for (const auto& [path, content] : files) {
    std::filesystem::create_directories((folder / path).parent_path());
    std::ofstream(folder / path) << content;
  }
  const std::string script =
      "read_verilog rtl/*.v; synth_xilinx -flatten -nodsp -noiopad -noclkbuf -family xcup -top " + design.top +
      "; tee -o stat stat";
  const int status = std::system(("cd " + folder.string() + " && yosys -q -p '" + script + "' > log 2>&1").c_str());
  std::ifstream in(folder / "stat");
  std::stringstream statistic;
  statistic << in.rdbuf();
  std::filesystem::remove_all(folder);
  EXPECT_EQ(status, 0);
  return statistic.str();
}

TEST_F(EmitFiles, PredictedResourcesAreThoseOfYosys) {
  if (std::system("yosys -V >/dev/null 2>&1") != 0) GTEST_SKIP() << "yosys is not installed";
  for (const auto primitives : {hw::Primitives::Portable, hw::Primitives::Xilinx}) {
    const auto design = hw::plan(dense_graph(8, 6, 3), {.clock_ns = 2.5, .primitives = primitives}, ctx_);
    const std::string statistic = yosys_statistic(*design, *emit(*design, {}, ctx_));
    const double lut = count_cells(statistic, "LUT") + count_cells(statistic, "SRL");
    EXPECT_NEAR(design->predicted.lut, lut, 0.2 * lut);
    // Synthesis merges a few more registers that it finds equal.
    const double ff = count_cells(statistic, "FD");
    EXPECT_NEAR(design->predicted.ff, ff, 0.03 * ff);
  }
}

TEST_F(EmitFiles, AThreeInputAdderTakesTheLutsOfItsChain) {
  if (std::system("yosys -V >/dev/null 2>&1") != 0) GTEST_SKIP() << "yosys is not installed";
  const fixed::Range s{-8, 7, 0};
  const fixed::Range u{0, 15, 0};
  for (const auto& [ranges, column] : std::vector<std::pair<std::vector<fixed::Range>, std::array<std::int64_t, 3>>>{
           {{s, s, s}, {1, 1, 1}}, {{u, u, u}, {1, 1, 1}}, {{u, s, s}, {1, -4, -2}}, {{s, u, u}, {-1, 2, 4}}}) {
    auto graph = three_term_graph(ranges, {column});
    graph.values.pop_back();  // the sum alone
    graph.outputs = {{"y", exact::ValueId{1}, {}}};
    const auto design = hw::plan(graph, {.clock_ns = 100, .primitives = hw::Primitives::Xilinx}, ctx_);
    EXPECT_EQ(ternary_sums(*design), 1);
    const std::string statistic = yosys_statistic(*design, *emit(*design, {}, ctx_));
    EXPECT_GE(count_cells(statistic, "LUT6_2"), 4);
    EXPECT_EQ(count_cells(statistic, "CARRY8"), 1);
    EXPECT_EQ(design->predicted.lut, count_cells(statistic, "LUT"));
    // Synthesis merges a few more registers that it finds equal.
    const double ff = count_cells(statistic, "FD");
    EXPECT_NEAR(design->predicted.ff, ff, 0.03 * ff);
  }
}

TEST_F(EmitFiles, FamiliesWithoutTheCellsAreRefused) {
  for (const char* part : {"lfe5u-25f", "ice40hx8k-ct256"}) {
    EXPECT_FALSE(hw::plan(dense_graph(4, 3, 2), {.part = part, .primitives = hw::Primitives::Xilinx}, ctx_).ok());
    EXPECT_EQ(engine_.all().back().kind, Kind::DoesNotFit);
    EXPECT_NE(engine_.all().back().message.find("Lattice"), std::string::npos);
  }
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
