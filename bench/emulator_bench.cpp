// SPDX-License-Identifier: Apache-2.0
// Samples per second of the emulator on one core, beside two yardsticks measured in the same run: the multiplications
// that the core could do at best, and the same network in float by a tuned BLAS.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weft/emulate/dense_network.h"
#include "weft/emulate/emulator.h"
#ifdef WEFT_BENCH_BLAS
#include <cblas.h>
#include <unistd.h>

#include <cstdlib>
#endif

namespace {

using namespace weft;

constexpr std::size_t kBatch = std::size_t{1} << 15;

/// Multiplications of one sample.
double products_of(const std::vector<std::int64_t>& sizes) {
  double n = 0;
  for (std::size_t i = 1; i < sizes.size(); ++i) n += static_cast<double>(sizes[i - 1] * sizes[i]);
  return n;
}

std::vector<float> random_reals(std::size_t n) {
  exact::Random random(7);
  std::vector<float> out(n);
  for (auto& x : out) x = static_cast<float>(random.between(-4500, 4500)) / 1000.0F;
  return out;
}

void run_emulator(benchmark::State& state, const emulate::DenseOptions& options, emulate::Isa isa) {
  diag::Engine engine;
  Context ctx{engine};
  const auto graph = emulate::dense_network(options, 1);
  const auto emulator = emulate::Emulator::compile(graph, isa, ctx);
  const auto x = random_reals(kBatch * static_cast<std::size_t>(options.sizes.front()));
  std::vector<std::vector<std::int64_t>> y;
  for (auto _ : state) {
    auto counters = emulator->run({x.data()}, kBatch, y, ctx);
    benchmark::DoNotOptimize(counters);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}

void run_compile(benchmark::State& state, const emulate::DenseOptions& options) {
  diag::Engine engine;
  Context ctx{engine};
  const auto graph = emulate::dense_network(options, 1);
  for (auto _ : state) {
    auto emulator = emulate::Emulator::compile(graph, emulate::Isa::Auto, ctx);
    benchmark::DoNotOptimize(emulator);
  }
}

#if defined(__x86_64__)
/// 64 products of bytes per instruction on 24 independent sums, operands in registers: nothing is faster.
__attribute__((target("avx512f,avx512vnni"))) void multiply_bytes(std::int64_t rounds) {
#define WEFT_DOT(n) "vpdpbusd %%zmm30, %%zmm31, %%zmm" #n "\n\t"
  for (std::int64_t i = 0; i < rounds; ++i) {
    asm volatile(
        WEFT_DOT(0) WEFT_DOT(1) WEFT_DOT(2) WEFT_DOT(3) WEFT_DOT(4) WEFT_DOT(5) WEFT_DOT(6) WEFT_DOT(7) WEFT_DOT(8)
            WEFT_DOT(9) WEFT_DOT(10) WEFT_DOT(11) WEFT_DOT(12) WEFT_DOT(13) WEFT_DOT(14) WEFT_DOT(15) WEFT_DOT(16)
                WEFT_DOT(17) WEFT_DOT(18) WEFT_DOT(19) WEFT_DOT(20) WEFT_DOT(21) WEFT_DOT(22) WEFT_DOT(23)
        :
        :
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
          "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23");
  }
#undef WEFT_DOT
}

void run_bound(benchmark::State& state, double products_per_sample) {
  constexpr std::int64_t kRounds = 10000;
  for (auto _ : state) multiply_bytes(kRounds);
  const double products = static_cast<double>(state.iterations()) * kRounds * 24 * 64;
  state.SetItemsProcessed(static_cast<std::int64_t>(products / products_per_sample));
}
#endif

#ifdef WEFT_BENCH_BLAS
/// Old OpenBLAS takes its slowest kernels on processors that it does not know. Its choice is made while it is loaded,
/// so a better one needs a new start of this program.
void restart_with_best_blas(char** argv) {
#if defined(__x86_64__)
  if (std::getenv("OPENBLAS_CORETYPE") != nullptr) return;
  const char* core = __builtin_cpu_supports("avx512bw") ? "SkylakeX"
                     : __builtin_cpu_supports("avx2")   ? "Haswell"
                                                        : nullptr;
  const std::string chosen = openblas_get_corename();
  if (core == nullptr || (chosen != "Prescott" && chosen != "Core2" && chosen != "Nehalem")) return;
  setenv("OPENBLAS_CORETYPE", core, 1);
  execv("/proc/self/exe", argv);
#else
  (void)argv;
#endif
}

#if defined(__x86_64__)
__attribute__((target_clones("default", "avx2", "avx512f")))
#endif
void add_bias(float* y, const float* bias, std::size_t rows, std::size_t n, float lowest) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < n; ++o) {
      const float sum = y[r * n + o] + bias[o];
      y[r * n + o] = sum > lowest ? sum : lowest;
    }
  }
}

/// Matrix products, biases and ReLU in float, in batches that stay in the cache.
void run_blas(benchmark::State& state, const std::vector<std::int64_t>& sizes) {
  constexpr std::size_t kRows = 1024;
  openblas_set_num_threads(1);
  const auto x = random_reals(kBatch * static_cast<std::size_t>(sizes.front()));
  std::vector<std::vector<float>> weights;
  std::vector<std::vector<float>> values;
  for (std::size_t l = 1; l < sizes.size(); ++l) {
    weights.push_back(random_reals(static_cast<std::size_t>(sizes[l - 1] * sizes[l])));
    values.emplace_back(kRows * static_cast<std::size_t>(sizes[l]));
  }
  for (auto _ : state) {
    for (std::size_t first = 0; first < kBatch; first += kRows) {
      const float* in = x.data() + first * static_cast<std::size_t>(sizes.front());
      for (std::size_t l = 0; l < weights.size(); ++l) {
        const auto n_in = static_cast<int>(sizes[l]);
        const auto n_out = static_cast<int>(sizes[l + 1]);
        float* out = values[l].data();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(kRows), n_out, n_in, 1.0F, in, n_in,
                    weights[l].data(), n_out, 0.0F, out, n_out);
        const bool last = l + 1 == weights.size();
        add_bias(out, weights[l].data(), kRows, static_cast<std::size_t>(n_out), last ? -1e30F : 0.0F);
        in = out;
      }
      benchmark::DoNotOptimize(in);
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
}
#endif

/// Prints the table and keeps the best rate of every bench: on a busy machine the best is what the code can do.
class BestReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const auto& run : runs) {
      const auto rate = run.counters.find("items_per_second");
      if (run.run_type != Run::RT_Iteration || rate == run.counters.end()) continue;
      double& best = best_[run.run_name.function_name];
      best = std::max(best, static_cast<double>(rate->second));
    }
  }
  void ratio(const std::string& of, const std::string& to) const {
    const auto a = best_.find(of);
    const auto b = best_.find(to);
    if (a == best_.end() || b == best_.end()) return;
    fmt::print("{:40} {:8.2f} M/s  {:8.2f} M/s  ratio {:.3f}\n", of + " : " + to, a->second / 1e6, b->second / 1e6,
               a->second / b->second);
  }

 private:
  std::map<std::string, double> best_;
};

}  // namespace

int main(int argc, char** argv) {
#ifdef WEFT_BENCH_BLAS
  restart_with_best_blas(argv);
  fmt::print("float BLAS: OpenBLAS, {} kernels, one thread\n", openblas_get_corename());
#endif
  emulate::DenseOptions jet;
  emulate::DenseOptions jet16 = jet;
  jet16.input = {.width_bits = 16, .integer_bits = 6};
  emulate::DenseOptions binary = jet;
  binary.sizes = {16, 256, 256, 256, 5};
  binary.weight_bits = 1;
  binary.bipolar_activations = true;
  emulate::DenseOptions keywords;
  keywords.sizes = {490, 256, 256, 256, 12};
  keywords.weight_bits = 3;
  keywords.activation_bits = 3;
  // The shipped example, for the yardsticks alone: scripts/bench.py runs the network itself.
  const std::vector<std::int64_t> digits{64, 24, 16, 10};

  const auto add = [](const std::string& name, auto f) {
    benchmark::RegisterBenchmark(name.c_str(), f)->MinTime(0.1)->Repetitions(7)->Unit(benchmark::kMillisecond);
  };
  for (const auto isa : emulate::available()) {
    const std::string suffix = fmt::format("/{}", to_string(isa));
    for (const auto& [name, options] : {std::pair{"jet_8bit", jet}, std::pair{"jet_16bit", jet16},
                                        std::pair{"binary_256", binary}, std::pair{"keywords", keywords}}) {
      add(name + suffix, [options = options, isa](benchmark::State& state) { run_emulator(state, options, isa); });
    }
  }
#if defined(__x86_64__)
  if (emulate::available().front() == emulate::Isa::Avx512Vnni) {
    add("jet_bound", [&](benchmark::State& state) { run_bound(state, products_of(jet.sizes)); });
    add("digits_bound", [&](benchmark::State& state) { run_bound(state, products_of(digits)); });
  }
#endif
#ifdef WEFT_BENCH_BLAS
  add("jet_float_blas", [&](benchmark::State& state) { run_blas(state, jet.sizes); });
  add("digits_float_blas", [&](benchmark::State& state) { run_blas(state, digits); });
  add("keywords_float_blas", [&](benchmark::State& state) { run_blas(state, keywords.sizes); });
#endif
  add("jet_compile", [&](benchmark::State& state) { run_compile(state, jet); });

  benchmark::Initialize(&argc, argv);
  BestReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  for (const auto isa : emulate::available()) {
    const std::string suffix = fmt::format("/{}", to_string(isa));
    for (const char* name : {"jet_8bit", "jet_16bit"}) {
      reporter.ratio(name + suffix, "jet_bound");
      reporter.ratio(name + suffix, "jet_float_blas");
    }
    reporter.ratio("keywords" + suffix, "keywords_float_blas");
  }
  return 0;
}
