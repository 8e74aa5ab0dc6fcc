// SPDX-License-Identifier: Apache-2.0
// Random dense networks through everything that computes them: plain and SIMD executors, the float32 run of the source,
// Verilog in Icarus. Any difference is a bug and leaves one file that runs it again.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include "reproducer.h"
#include "weft/driver/process.h"

namespace {

using namespace weft;
using namespace weft::random_networks;
namespace fs = std::filesystem;
using State = Outcome::State;

constexpr double kMostRefused = 0.10;
/// Below this many networks the share of refused ones says nothing.
constexpr std::int64_t kEnough = 100;

struct Options {
  std::uint64_t seed = 1;
  std::int64_t count = 0;
  double seconds = 0;
  fs::path directory = "weft_random_networks";
  fs::path replay;
  std::string corrupt;
  bool self_check = false;
  bool no_simulation = false;
  bool verbose = false;
  std::string program;
};

CheckOptions check_options(const Options& options) {
  CheckOptions out;
  out.simulate = !options.no_simulation && driver::program_exists("iverilog");
  out.scratch = fs::temp_directory_path() / fmt::format("weft_random_{}", ::getpid());
  return out;
}

/// The command that runs a file again, for a shell.
std::string replay_command(const Options& options, const fs::path& file) {
  return fmt::format("'{}' --replay '{}'", options.program, fs::absolute(file).string());
}

/// Only the sample that differs, where it is known: the rest is noise to whoever reads the file.
Vectors reduced(const Outcome& outcome) {
  const Vectors& all = outcome.vectors;
  if (outcome.sample < 0 || all.samples < 1) return all;
  Vectors out{{}, 1};
  for (const auto& codes : all.inputs) {
    const auto n = static_cast<std::ptrdiff_t>(codes.size()) / all.samples;
    out.inputs.emplace_back(codes.begin() + outcome.sample * n, codes.begin() + (outcome.sample + 1) * n);
  }
  return out;
}

/// Writes the file for a failed network and prints how to run it again. Empty when it cannot be written.
fs::path report(const Options& options, const Network& network, const Outcome& outcome, const std::string& corrupt) {
  Reproducer reproducer{network, reduced(outcome), corrupt, outcome.stage, outcome.text};
  // A difference that one sample alone does not show (lanes, pipelines) keeps all samples.
  if (reproducer.vectors.samples != outcome.vectors.samples) {
    auto again = check_options(options);
    again.corrupt = corrupt;
    if (check(network, again, &reproducer.vectors).stage != outcome.stage) reproducer.vectors = outcome.vectors;
  }
  const fs::path file = options.directory / fmt::format("seed_{}_{}.weft", network.seed, outcome.stage);
  const std::string problem = write_reproducer(reproducer, file);
  fmt::print("FAILED seed {} in {}: {}\n", network.seed, outcome.stage, outcome.text);
  if (!problem.empty()) {
    fmt::print("  the reproducer cannot be written: {}\n", problem);
    return {};
  }
  fmt::print("  {}\n  {}\n", fs::absolute(file).string(), replay_command(options, file));
  return file;
}

int replay(const Options& options) {
  std::string problem;
  const auto reproducer = read_reproducer(options.replay, problem);
  if (!reproducer) {
    fmt::print(stderr, "{}\n", problem);
    return 2;
  }
  auto how = check_options(options);
  how.corrupt = options.corrupt == "none" ? "" : options.corrupt.empty() ? reproducer->corrupt : options.corrupt;
  const Outcome outcome =
      check(reproducer->network, how, reproducer->vectors.inputs.empty() ? nullptr : &reproducer->vectors);
  fmt::print("seed {}, {} samples; recorded: {}: {}\n", reproducer->network.seed, reproducer->vectors.samples,
             reproducer->stage, reproducer->text);
  switch (outcome.state) {
    case State::Passed:
      fmt::print("passed\n");
      return 0;
    case State::Refused:
      fmt::print("refused: {}\n", outcome.text);
      return 0;
    case State::Failed:
      break;
  }
  fmt::print("FAILED in {}: {}\n", outcome.stage, outcome.text);
  return 1;
}

class Tally {
 public:
  void add(const Network& network, const Outcome& outcome, double seconds) {
    ++networks_;
    if (seconds > slowest_seconds_) {
      slowest_seconds_ = seconds;
      slowest_seed_ = network.seed;
    }
    if (outcome.state == State::Failed) ++failed_;
    if (outcome.state == State::Refused) {
      ++refused_;
      ++kinds_[outcome.kind];
    }
    if (outcome.lowered) ++words_[std::string(layers::to_string(outcome.word))];
    simulated_ += outcome.simulated ? 1 : 0;
    if (outcome.state == State::Passed) {
      samples_ += outcome.vectors.samples;
      float_values_ += outcome.float_values;
      for (const auto& node : network.graph.nodes) {
        ++ops_[node.op];
        for (const auto& [role, spec] : node.functions) ++families_[spec.family];
        for (const auto& [role, p] : node.parameters)
          if (p.quantizer) ++families_[p.quantizer->family];
      }
    }
  }
  void print(double seconds, bool verbose) const {
    fmt::print(
        "{} networks in {:.1f} s: {}{} refused, {} failed; {} simulated, {} samples, {} numbers equal to the "
        "source's float32\n",
        networks_, seconds, list(words_), refused_, failed_, simulated_, samples_, float_values_);
    fmt::print("the slowest was seed {} with {:.1f} s\n", slowest_seed_, slowest_seconds_);
    if (refused_ != 0) fmt::print("refused ({:.1f} %): {}\n", 100.0 * share(), list(kinds_));
    if (verbose) fmt::print("layers: {}\nfunctions and quantizers: {}\n", list(ops_), list(families_));
  }
  [[nodiscard]] bool good() const { return failed_ == 0 && (networks_ < kEnough || share() < kMostRefused); }
  [[nodiscard]] std::int64_t failed() const { return failed_; }

 private:
  [[nodiscard]] double share() const {
    return static_cast<double>(refused_) / static_cast<double>(std::max<std::int64_t>(networks_, 1));
  }
  static std::string list(const std::map<std::string, std::int64_t>& counts) {
    std::string out;
    for (const auto& [name, count] : counts) out += fmt::format("{} {}, ", count, name);
    return out;
  }

  std::int64_t networks_ = 0;
  std::int64_t refused_ = 0;
  std::int64_t failed_ = 0;
  std::int64_t simulated_ = 0;
  std::int64_t samples_ = 0;
  double slowest_seconds_ = 0.0;
  std::uint64_t slowest_seed_ = 0;
  std::uint64_t float_values_ = 0;
  std::map<std::string, std::int64_t> kinds_, words_, ops_, families_;
};

int run(const Options& options) {
  constexpr std::int64_t kMostFailures = 20;
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  auto how = check_options(options);
  how.corrupt = options.corrupt;
  if (!how.simulate) fmt::print("without simulation: {}\n", options.no_simulation ? "asked for" : "no iverilog");
  Tally tally;
  for (std::int64_t i = 0; options.count == 0 || i < options.count; ++i) {
    if (options.seconds > 0 && seconds() >= options.seconds) {
      if (options.count > 0) fmt::print("stopped by the time limit after {} networks\n", i);
      break;
    }
    const Network network = random_network(options.seed + static_cast<std::uint64_t>(i));
    // A crash leaves this file behind.
    const fs::path running = options.directory / fmt::format("seed_{}_running.weft", network.seed);
    write_reproducer({network, {}, options.corrupt, "running", "the process ended while it worked on this"}, running);
    const double before = seconds();
    const Outcome outcome = check(network, how);
    fs::remove(running);
    tally.add(network, outcome, seconds() - before);
    if (outcome.state == State::Failed) report(options, network, outcome, options.corrupt);
    if (options.verbose)
      fmt::print("seed {}: {} {} {:.2f} s {}\n", network.seed,
                 outcome.state == State::Passed    ? "passed"
                 : outcome.state == State::Refused ? "refused"
                                                   : "failed",
                 outcome.lowered ? layers::to_string(outcome.word) : "-", seconds() - before,
                 outcome.state == State::Refused ? outcome.text : "");
    std::fflush(stdout);
    if (tally.failed() >= kMostFailures) {
      fmt::print("stopped after {} failures\n", kMostFailures);
      break;
    }
  }
  std::error_code ignored;
  fs::remove(options.directory, ignored);  // only when empty
  tally.print(seconds(), options.verbose);
  return tally.good() ? 0 : 1;
}

/// Damages one result of each stage and expects a file that fails in the same way, and passes without the damage.
int self_check(const Options& options) {
  int problems = 0;
  const auto expect = [&](bool good, const std::string& what) {
    if (good) return;
    fmt::print("SELF-CHECK FAILED: {}\n", what);
    ++problems;
  };
  auto how = check_options(options);
  for (const char* stage : {"simd", "float", "verilog", "latency", "crash"}) {
    how.corrupt = stage;
    const bool hardware = how.corrupt == "verilog" || how.corrupt == "latency";
    if (hardware && !how.simulate) {
      fmt::print("skipped: {} (no iverilog)\n", stage);
      continue;
    }
    bool found = false;
    for (std::uint64_t seed = options.seed; !found && seed < options.seed + 50; ++seed) {
      const Network network = random_network(seed);
      const Outcome outcome = check(network, how);
      if (!outcome.corrupted) continue;
      found = true;
      expect(outcome.state == State::Failed && outcome.stage == stage,
             fmt::format("the damage to {} of seed {} is not seen: {} {}", stage, seed, outcome.stage, outcome.text));
      const fs::path file = report(options, network, outcome, stage);
      expect(!file.empty(), "no reproducer");
      if (file.empty()) break;
      Options again = options;
      again.replay = file;
      expect(replay(again) == 1, fmt::format("{} does not fail again", file.string()));
      again.corrupt = "none";
      expect(replay(again) == 0, fmt::format("{} fails without the damage", file.string()));
      fs::remove(file);
    }
    expect(found, fmt::format("no network in which {} can be damaged", stage));
  }
  Options none = options;
  none.replay = options.directory / "none.weft";
  expect(replay(none) == 2, "a missing file replays");
  std::error_code ignored;
  fs::remove(options.directory, ignored);
  fmt::print("self-check: {} problems\n", problems);
  return problems == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.program = argv[0];
  CLI::App app{"Random dense networks through every executor and the emitted Verilog.", "weft_random_networks"};
  app.add_option("--seed", options.seed, "seed of the first network; the others follow")->capture_default_str();
  app.add_option("--count", options.count, "networks to run (0: until --seconds)");
  app.add_option("--seconds", options.seconds, "stop after so many seconds (0: no limit)");
  app.add_option("--reproducer-dir", options.directory, "folder for the files of failing networks")
      ->capture_default_str();
  app.add_option("--replay", options.replay, "run the network of such a file again");
  app.add_flag("--no-simulation", options.no_simulation, "leave out Icarus");
  app.add_flag("-v,--verbose", options.verbose, "a line for every network");
  app.add_option("--corrupt", options.corrupt)->group("");
  app.add_flag("--self-check", options.self_check)->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (!options.replay.empty()) return replay(options);
  if (options.self_check) return self_check(options);
  if (options.count == 0 && options.seconds == 0) options.count = 100;
  return run(options);
}
