// SPDX-License-Identifier: Apache-2.0
// The C++ emulator as one more executor: every case of the table and random graphs with every primitive, compiled by
// g++ without any warning, give the codes of the plain executor; behind CMS's interface and from two threads at once,
// too.
#include <gtest/gtest.h>

#include <dlfcn.h>
#include <unistd.h>

#include <any>
#include <filesystem>
#include <sstream>
#include <thread>

#include "cases.h"
#include "weft/backends/cpp/emit.h"
#include "weft/driver/process.h"
#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"
#include "weft/layers/layer.h"
#include "weft/support/files.h"

// As a loader sees it: the class by its virtual functions, the model by two C functions. Not a local class: of those
// the compiler knows every descendant.
namespace hls4mlEmulator {
struct Model {
  virtual void prepare_input(std::any) = 0;
  virtual void predict() = 0;
  virtual void read_result(std::any) = 0;
  virtual ~Model() = default;
};
}  // namespace hls4mlEmulator

namespace weft::conformance {
namespace {

namespace fs = std::filesystem;

class EmulatorExport : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("weft_emulator_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string problems() {
    std::string out;
    for (const auto& d : engine_.all()) out += diag::to_text(d) + "\n";
    return out;
  }
  exact::Graph lowered(const Case& c) {
    nn::Graph graph = c.graph;
    EXPECT_TRUE(layers::check(graph, ctx_).ok()) << c.name;
    auto out = lower::lower(graph, c.options, ctx_);
    EXPECT_TRUE(out.ok()) << c.name << problems();
    return out ? std::move(out->graph) : exact::Graph{};
  }
  void compile(const std::vector<std::string>& words) {
    std::vector<std::string> all{"-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1"};
    all.insert(all.end(), words.begin(), words.end());
    const auto done = driver::run_tool(
        {.program = "g++", .arguments = all, .log = folder_ / "log.txt", .timeout_seconds = 1800, .package = "g++"},
        ctx_);
    ASSERT_TRUE(done.ok()) << problems();
  }

  /// One program that runs all graphs on their vectors and prints the first difference of each.
  void expect_equal(const std::vector<std::pair<std::string, exact::Graph>>& graphs) {
    constexpr int kSamples = 60;
    std::ostringstream vectors;
    std::string main = "#define WEFT_NO_CMS\n#include <cstdio>\n#include <fstream>\n";
    std::string body;
    exact::Random random(5);
    int written = 0;
    for (const auto& [name, graph] : graphs) {
      const auto files = backends::cpp::emit_emulator(graph, {.name = name, .source = name, .version = "test"}, ctx_);
      ASSERT_TRUE(files.ok()) << name << problems();
      ASSERT_TRUE(support::write_file(folder_ / (name + ".cpp"), files->source, ctx_).ok());
      ASSERT_TRUE(support::write_file(folder_ / (name + ".h"), files->header, ctx_).ok());
      main += "#include \"" + name + ".cpp\"\n";
      body += "  bad += check<" + std::to_string(written++) + ">(in, \"" + name + "\", " +
              backends::cpp::namespace_of(name) + "::run, {";
      for (const auto& input : graph.inputs) body += std::to_string(graph.at(input.value).ranges.size()) + ",";
      body += "}, {";
      for (const auto& output : graph.outputs) body += std::to_string(graph.at(output.value).ranges.size()) + ",";
      body += "}, " + std::to_string(kSamples) + ");\n";
      for (int s = 0; s < kSamples; ++s) {
        const auto codes = exact::random_codes(graph, random);
        const auto plain = emulate::run_plain(graph, codes);
        for (const auto& row : codes)
          for (const Int code : row) vectors << fixed::to_string(code) << ' ';
        for (const auto& output : graph.outputs)
          for (const Int code : plain.values[output.value.index]) vectors << fixed::to_string(code) << ' ';
        vectors << '\n';
      }
    }
    main +=
        R"cpp(
          using Codes = std::vector<std::vector<std::int64_t>>;
          template <int N>
          int check(std::ifstream& in, const char* name, void (*run)(const std::int64_t* const*, std::int64_t* const*),
                    const std::vector<std::size_t>& ins, const std::vector<std::size_t>& outs, int samples) {
            int bad = 0;
            for (int s = 0; s < samples; ++s) {
              Codes x, want, y;
              for (auto n : ins) x.emplace_back(n);
              for (auto n : outs) want.emplace_back(n);
              y = want;
              for (auto* rows : {&x, &want})
                for (auto& row : *rows)
                  for (auto& code : row) in >> code;
              std::vector<const std::int64_t*> from;
              std::vector<std::int64_t*> to;
              for (auto& row : x) from.push_back(row.data());
              for (auto& row : y) to.push_back(row.data());
              run(from.data(), to.data());
              if (y != want && bad++ == 0) std::printf("%s: sample %d differs\n", name, s);
            }
            return bad;
          }
          int main(int, char** argv) {
            std::ifstream in(argv[1]);
            int bad = 0;
        )cpp" +
        body + "  return bad == 0 && in ? 0 : 1;\n}\n";
    ASSERT_TRUE(support::write_file(folder_ / "main.cpp", main, ctx_).ok());
    ASSERT_TRUE(support::write_file(folder_ / "vectors.txt", vectors.str(), ctx_).ok());
    compile({(folder_ / "main.cpp").string(), "-o", (folder_ / "main").string()});
    const auto ran = driver::run_tool({.program = (folder_ / "main").string(),
                                       .arguments = {(folder_ / "vectors.txt").string()},
                                       .log = folder_ / "run.txt",
                                       .timeout_seconds = 600},
                                      ctx_);
    EXPECT_TRUE(ran.ok()) << problems();
  }

  fs::path folder_;
  diag::Engine engine_;
  Context ctx_{engine_};
};

TEST_F(EmulatorExport, GivesTheCodesOfEveryCase) {
  std::vector<std::pair<std::string, exact::Graph>> graphs;
  for (const auto& c : all_cases()) graphs.emplace_back(c.name, lowered(c));
  expect_equal(graphs);
}

TEST_F(EmulatorExport, GivesTheCodesOfRandomGraphs) {
  std::vector<std::pair<std::string, exact::Graph>> graphs;
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    graphs.emplace_back("random" + std::to_string(seed),
                        exact::random_graph(seed, {.max_width_bits = 40, .steps = 14}));
  expect_equal(graphs);
}

TEST_F(EmulatorExport, StandsBehindTheInterfaceOfCms) {
  using hls4mlEmulator::Model;
  const auto& cases = all_cases();
  const auto row = std::find_if(cases.begin(), cases.end(), [](const Case& c) { return c.name == "forest_classes"; });
  ASSERT_NE(row, cases.end());
  const exact::Graph graph = lowered(*row);
  const auto files = backends::cpp::emit_emulator(graph, {.name = "cms", .source = "s", .version = "v"}, ctx_);
  ASSERT_TRUE(files.ok()) << problems();
  ASSERT_TRUE(support::write_file(folder_ / "cms.cpp", files->source, ctx_).ok());
  compile({"-shared", "-fPIC", (folder_ / "cms.cpp").string(), "-o", (folder_ / "cms.so").string()});
  // The header is enough for callers.
  ASSERT_TRUE(support::write_file(folder_ / "cms.h", files->header, ctx_).ok());
  ASSERT_TRUE(
      support::write_file(folder_ / "user.cpp",
                          "#include \"cms.h\"\nint main() { return weft_cms::input(0).elements == 4 ? 0 : 1; }\n", ctx_)
          .ok());
  compile({(folder_ / "user.cpp").string(), (folder_ / "cms.cpp").string(), "-o", (folder_ / "user").string()});
  EXPECT_TRUE(driver::run_tool({.program = (folder_ / "user").string(), .log = folder_ / "user.txt"}, ctx_).ok());
  void* library = dlopen((folder_ / "cms.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto create = reinterpret_cast<Model* (*)()>(dlsym(library, "create_model"));
  const auto destroy = reinterpret_cast<void (*)(Model*)>(dlsym(library, "destroy_model"));
  ASSERT_TRUE(create != nullptr && destroy != nullptr);
  const auto& in = graph.at(graph.inputs[0].value);
  const auto& out = graph.at(graph.outputs[0].value);
  const auto work = [&](std::uint64_t seed, int& wrong) {
    Model* model = create();
    exact::Random random(seed);
    for (int s = 0; s < 300; ++s) {
      const auto codes = exact::random_codes(graph, random);
      const auto plain = emulate::run_plain(graph, codes);
      std::vector<float> x;
      for (std::size_t e = 0; e < codes[0].size(); ++e) x.push_back(exact::read_out(in, {}, e, codes[0][e]));
      std::vector<float> y(out.ranges.size());
      model->prepare_input(static_cast<const float*>(x.data()));
      model->predict();
      model->read_result(y.data());
      for (std::size_t e = 0; e < y.size(); ++e)
        wrong += y[e] != exact::read_out(graph, graph.outputs[0], e, plain.values[graph.outputs[0].value.index][e]);
    }
    destroy(model);
  };
  int wrong_here = 0;
  int wrong_there = 0;
  std::thread other([&] { work(1, wrong_there); });
  work(2, wrong_here);
  other.join();
  EXPECT_EQ(wrong_here, 0);
  EXPECT_EQ(wrong_there, 0);
}

}  // namespace
}  // namespace weft::conformance
