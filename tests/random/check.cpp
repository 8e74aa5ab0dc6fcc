// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "weft/backends/verilog/emit.h"
#include "weft/driver/run.h"
#include "weft/driver/simulate.h"
#include "weft/driver/verify.h"
#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::random_networks {
namespace {

/// Leaves the check; caught in check().
struct Stop {
  Outcome::State state;
  std::string stage;
  std::string text;
  std::int64_t sample = -1;
};

[[noreturn]] void fail(const std::string& stage, const std::string& text, std::int64_t sample = -1) {
  throw Stop{Outcome::State::Failed, stage, text, sample};
}

class Check {
 public:
  Check(const Network& network, const CheckOptions& options, Outcome& outcome)
      : network_(network), options_(options), outcome_(outcome) {
    ctx_.seed = network.seed;
  }

  void run(const Vectors* vectors) {
    graph_ = network_.graph;
    if (!layers::check(graph_, ctx_)) refuse("lower");
    lower();
    exact_text();
    make_vectors(vectors);
    plain();
    for (const auto isa : emulate::available()) {
      simd(isa);
      off_grid(isa);
    }
    float_run();
    if (options_.corrupt == "crash") {
      outcome_.corrupted = true;
      WEFT_CHECK(false, "broken on purpose");
    }
    verilog();
  }

  /// A diagnostic of kind Error refuses the network; anything else that fails is a bug.
  [[noreturn]] void refuse(const std::string& stage) {
    for (const auto& d : engine_.all()) {
      if (d.severity != diag::Severity::Error) continue;
      outcome_.kind = std::string(diag::info(d.kind).slug);
      throw Stop{Outcome::State::Refused, stage, diag::to_text(d)};
    }
    fail(stage, "failed without a diagnostic");
  }

 private:
  bool corrupt(const char* stage) {
    if (options_.corrupt != stage || outcome_.corrupted) return false;
    outcome_.corrupted = true;
    return true;
  }

  // --- exact graph
  lower::Options lowering() {
    lower::Options out;
    for (const auto& [name, text] : network_.input_types) {
      std::string error;
      const auto spec = fixed::parse_type(text, true, error);
      if (!spec) fail("lower", fmt::format("type `{}`: {}", text, error));
      out.input_types[name] = *spec;
    }
    for (const auto& setting : network_.settings)
      if (!lower::apply_setting(out.config, setting, graph_, ctx_)) refuse("lower");
    return out;
  }
  void lower() {
    const lower::Options options = lowering();
    auto lowered = lower::lower(graph_, options, ctx_);
    if (!lowered || engine_.has_errors()) refuse("lower");
    diag::Engine engine;
    Context ctx{engine};
    const auto again = lower::lower(graph_, options, ctx);
    if (!again || exact::to_text(again->graph) != exact::to_text(lowered->graph))
      fail("lower", "lowering twice gives two graphs");
    session_.model.graph = graph_;
    session_.exact = std::move(lowered->graph);
    session_.certificate = std::move(lowered->certificate);
    session_.network = outcome_.word = lowered->network;
    outcome_.lowered = true;
  }
  void exact_text() {
    const std::string text = exact::to_text(exact());
    const auto parsed = exact::parse_text(text, "text", ctx_);
    if (!parsed || exact::to_text(*parsed) != text) fail("text", "the text form does not come back");
  }
  [[nodiscard]] const exact::Graph& exact() const { return session_.exact; }
  [[nodiscard]] std::size_t elements(exact::ValueId id) const { return exact().at(id).ranges.size(); }

  // --- inputs
  void make_vectors(const Vectors* vectors) {
    if (vectors != nullptr) {
      outcome_.vectors = *vectors;
    } else {
      auto inputs =
          driver::verification_inputs(session_, {.samples = options_.samples}, outcome_.vectors.samples, ctx_);
      if (!inputs) refuse("input");
      outcome_.vectors.inputs = std::move(*inputs);
    }
    const Vectors& all = outcome_.vectors;
    if (all.inputs.size() != exact().inputs.size()) fail("input", "the vectors are of another network");
    for (std::size_t i = 0; i < all.inputs.size(); ++i) {
      const auto& input = exact().inputs[i];
      const std::size_t n = elements(input.value);
      if (all.inputs[i].size() != n * static_cast<std::size_t>(all.samples)) fail("input", "vectors of another size");
      std::vector<float> real;
      std::vector<std::int64_t> codes;
      for (std::size_t k = 0; k < all.inputs[i].size(); ++k) {
        const Int code = all.inputs[i][k];
        real.push_back(exact::read_out(exact().at(input.value), {}, k % n, code));
        codes.push_back(static_cast<std::int64_t>(code));
        Int back = 0;
        const float first = real.back();
        const bool found = on_code(input.conversion, code, real.back(), back);
        if (real.back() != first) off_scale_.insert(graph_.inputs[i].tensor.index);
        if (!found)
          fail("input",
               fmt::format("code {} of `{}` is {} as a real number, which becomes code {}", fixed::to_string(code),
                           input.name, real.back(), fixed::to_string(back)),
               static_cast<std::int64_t>(k / n));
      }
      real_.push_back(std::move(real));
      codes_.push_back(std::move(codes));
    }
  }
  /// Moves `real` to a neighbour where the conversion gives `code` there only: scale * code, rounded to float32, may
  /// lie just below the number at which a quantizer that rounds down takes the next code.
  static bool on_code(const exact::InputConversion& conversion, Int code, float& real, Int& back) {
    for (const float x : {real, std::nextafter(real, 1e30F), std::nextafter(real, -1e30F)}) {
      bool saturated = false;
      back = exact::convert_input(conversion, x, saturated);
      if (back != code || saturated) continue;
      real = x;
      return true;
    }
    return false;
  }
  [[nodiscard]] std::vector<std::vector<Int>> row(std::int64_t sample) const {
    std::vector<std::vector<Int>> out;
    for (std::size_t i = 0; i < exact().inputs.size(); ++i) {
      const auto n = static_cast<std::ptrdiff_t>(elements(exact().inputs[i].value));
      const auto& codes = outcome_.vectors.inputs[i];
      out.emplace_back(codes.begin() + sample * n, codes.begin() + (sample + 1) * n);
    }
    return out;
  }

  // --- executors
  void plain() {
    values_.resize(exact().values.size());
    saturations_.resize(exact().values.size());
    for (std::int64_t s = 0; s < outcome_.vectors.samples; ++s) {
      const auto result = emulate::run_plain(exact(), row(s));
      for (std::size_t v = 0; v < values_.size(); ++v) {
        const auto& codes = result.values[v];
        for (std::size_t k = 0; k < codes.size(); ++k) {
          const auto& r = exact().values[v].ranges[k];
          if (codes[k] < r.lo || codes[k] > r.hi)
            fail("plain",
                 fmt::format("`{}` element {} is {}, outside of its range {} to {}", exact().values[v].name, k,
                             fixed::to_string(codes[k]), fixed::to_string(r.lo), fixed::to_string(r.hi)),
                 s);
        }
        values_[v].insert(values_[v].end(), codes.begin(), codes.end());
        saturations_[v] += result.saturations[v];
      }
    }
  }
  [[nodiscard]] bool fits_int64() const {
    for (const auto& value : exact().values)
      for (const auto& r : value.ranges)
        if (fixed::width_bits(r) > (r.lo < 0 ? 64 : 63)) return false;
    return true;
  }
  /// Every value of the graph from real numbers, and the outputs from codes.
  void simd(emulate::Isa isa) {
    if (!fits_int64()) return;
    const std::string name(emulate::to_string(isa));
    const auto emulator = emulate::Emulator::compile(exact(), isa, ctx_);
    if (!emulator) fail("simd", fmt::format("{}: does not compile: {}", name, diagnostics()));
    std::vector<const float*> reals;
    std::vector<const std::int64_t*> codes;
    for (const auto& r : real_) reals.push_back(r.data());
    for (const auto& c : codes_) codes.push_back(c.data());
    const auto samples = static_cast<std::size_t>(outcome_.vectors.samples);
    std::vector<exact::ValueId> wanted;
    for (std::uint32_t v = 0; v < exact().values.size(); ++v) wanted.push_back({v});
    std::vector<std::vector<std::int64_t>> traced;
    const auto counters = emulator->run_traced(reals, samples, wanted, traced, ctx_);
    if (!counters) fail("simd", fmt::format("{}: {}", name, diagnostics()));
    if (corrupt("simd") && !traced.back().empty()) traced.back().back() ^= 1;
    for (std::uint32_t v = 0; v < wanted.size(); ++v) compare(name + " traced", wanted[v], traced[v]);
    for (std::size_t v = 0; v < values_.size(); ++v)
      if (counters->value_saturations[v] != saturations_[v])
        fail("simd", fmt::format("{}: {} clips of `{}` are counted, {} by the plain executor", name,
                                 counters->value_saturations[v], exact().values[v].name, saturations_[v]));
    std::vector<std::vector<std::int64_t>> outputs;
    if (!emulator->run(reals, samples, outputs, ctx_)) fail("simd", fmt::format("{}: {}", name, diagnostics()));
    for (std::size_t o = 0; o < outputs.size(); ++o) compare(name, exact().outputs[o].value, outputs[o]);
    if (!emulator->run_codes(codes, samples, outputs, ctx_)) fail("simd", fmt::format("{}: {}", name, diagnostics()));
    for (std::size_t o = 0; o < outputs.size(); ++o)
      compare(name + " from codes", exact().outputs[o].value, outputs[o]);
  }
  /// Real numbers between the codes, at ties and outside of the type: the executors convert them as convert_input does.
  void off_grid(emulate::Isa isa) {
    if (!fits_int64()) return;
    constexpr std::int64_t kSamples = 40;
    exact::Random random(network_.seed + 1);
    std::vector<std::vector<float>> real;
    std::vector<std::vector<Int>> codes;
    std::vector<std::uint64_t> saturated(exact().inputs.size(), 0);
    for (const auto& input : exact().inputs) {
      const auto& value = exact().at(input.value);
      const std::size_t n = value.ranges.size();
      const double unit = fixed::to_double(value.scale.at(0));
      auto& x = real.emplace_back();
      auto& c = codes.emplace_back();
      for (std::size_t k = 0; k < n * kSamples; ++k) {
        const auto& r = value.ranges[k % n];
        // Quarters of a step, a little beyond both ends.
        const auto quarters =
            random.between(4 * static_cast<std::int64_t>(r.lo) - 9, 4 * static_cast<std::int64_t>(r.hi) + 9);
        x.push_back(static_cast<float>(unit * static_cast<double>(quarters) / 4.0));
        bool clipped = false;
        c.push_back(exact::convert_input(input.conversion, x.back(), clipped));
        saturated[real.size() - 1] += clipped ? 1 : 0;
      }
    }
    std::vector<std::vector<Int>> expected(exact().outputs.size());
    for (std::int64_t s = 0; s < kSamples; ++s) {
      std::vector<std::vector<Int>> sample;
      for (const auto& c : codes) {
        const auto n = static_cast<std::ptrdiff_t>(c.size()) / kSamples;
        sample.emplace_back(c.begin() + s * n, c.begin() + (s + 1) * n);
      }
      const auto result = emulate::run_plain(exact(), sample);
      for (std::size_t o = 0; o < expected.size(); ++o) {
        const auto& row = result.values[exact().outputs[o].value.index];
        expected[o].insert(expected[o].end(), row.begin(), row.end());
      }
    }
    const std::string name(emulate::to_string(isa));
    const auto emulator = emulate::Emulator::compile(exact(), isa, ctx_);
    std::vector<const float*> pointers;
    for (const auto& x : real) pointers.push_back(x.data());
    std::vector<std::vector<std::int64_t>> outputs;
    const auto counters = emulator ? emulator->run(pointers, kSamples, outputs, ctx_) : diag::failure;
    if (!counters) fail("off-grid", fmt::format("{}: {}", name, diagnostics()));
    if (counters->input_saturations != saturated)
      fail("off-grid", fmt::format("{}: other numbers of clipped inputs than by convert_input", name));
    for (std::size_t o = 0; o < expected.size(); ++o) {
      const std::size_t n = std::max<std::size_t>(elements(exact().outputs[o].value), 1);
      for (std::size_t k = 0; k < expected[o].size(); ++k)
        if (expected[o][k] != static_cast<Int>(outputs[o][k]))
          fail("off-grid",
               fmt::format("{}: output `{}` sample {} element {} is {}, {} by the plain executor", name,
                           exact().outputs[o].name, k / n, k % n, outputs[o][k], fixed::to_string(expected[o][k])));
    }
  }
  void compare(const std::string& who, exact::ValueId id, const std::vector<std::int64_t>& codes) const {
    const auto& expected = values_[id.index];
    if (codes.size() != expected.size()) fail("simd", fmt::format("{}: another number of codes", who));
    const std::size_t n = std::max<std::size_t>(elements(id), 1);
    for (std::size_t k = 0; k < codes.size(); ++k)
      if (static_cast<Int>(codes[k]) != expected[k])
        fail("simd",
             fmt::format("{}: `{}` sample {} element {} is {}, {} by the plain executor", who, exact().at(id).name,
                         k / n, k % n, codes[k], fixed::to_string(expected[k])),
             static_cast<std::int64_t>(k / n));
  }

  // --- the source's own arithmetic
  [[nodiscard]] const layers::LayerCertificate* certificate(const std::string& layer) const {
    for (const auto& c : session_.certificate)
      if (c.layer == layer) return &c;
    return nullptr;
  }
  static bool is_quantizer(const nn::Node& node) {
    const auto it = node.functions.find("activation");
    if (it == node.functions.end()) return false;
    const auto* family = quantizers::find_family(it->second.family);
    return family != nullptr && family->is_quantizer;
  }
  /// Whether the codes of a layer's result stand for float32 numbers without a rounding of their own.
  [[nodiscard]] bool has_binary_scale(const std::string& layer) const {
    for (const auto& probe : exact().probes) {
      if (probe.layer != layer || !probe.value) continue;
      const auto& factors = exact().at(*probe.value).scale.factors;
      return std::all_of(factors.begin(), factors.end(),
                         [](const auto& f) { return fixed::log2_exact(f).has_value(); });
    }
    return false;
  }
  /// Tensors on which a graph output depends: the certificate speaks of nothing else.
  [[nodiscard]] std::vector<bool> live_tensors() const {
    std::vector<bool> live(graph_.tensors.size(), false);
    for (const auto& port : graph_.outputs) live[port.tensor.index] = true;
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node)
      for (const auto id : node->inputs) live[id.index] = live[id.index] || live[node->outputs[0].index];
    return live;
  }
  /// Tensors that must equal the float32 run: their layer and all layers in front of it are certified as exact. Sums
  /// whose order of additions only a later quantizer makes harmless differ by ulps until then; so do the results of
  /// quantizers whose scale is no power of two, x + (quantized - x), which count into the bound of the next sum.
  [[nodiscard]] std::vector<bool> certain_tensors() const {
    std::vector<bool> exact_here(graph_.tensors.size(), true);
    std::vector<bool> blurred(graph_.tensors.size(), false);
    const auto live = live_tensors();
    for (const auto t : off_scale_) blurred[t] = true;
    for (const auto& node : graph_.nodes) {
      const auto out = node.outputs[0].index;
      const auto* c = certificate(node.name);
      exact_here[out] = c != nullptr && c->word == layers::Word::Exact && live[out];
      blurred[out] = c != nullptr && c->bound > 0.0;
      for (const auto id : node.inputs) {
        exact_here[out] = exact_here[out] && exact_here[id.index];
        blurred[out] = blurred[out] || blurred[id.index];
      }
      if (is_quantizer(node)) blurred[out] = !has_binary_scale(node.name);
    }
    for (std::size_t t = 0; t < exact_here.size(); ++t) exact_here[t] = exact_here[t] && !blurred[t];
    return exact_here;
  }
  void float_run() {
    const auto source = layers::run_float(graph_, real_, outcome_.vectors.samples, ctx_);
    if (!source) fail("float", diagnostics());
    const auto certain = certain_tensors();
    for (const auto& probe : exact().probes) {
      if (!probe.value) continue;
      for (const auto& node : graph_.nodes)
        if (node.name == probe.layer && certain[node.outputs[0].index])
          compare_float(probe.layer, *probe.value, probe.steps, (*source)[node.outputs[0].index]);
    }
    if (session_.network != layers::Word::Exact) return;
    for (std::size_t o = 0; o < exact().outputs.size(); ++o) {
      // A softmax left to the host: the outputs are its logits.
      nn::TensorId tensor = graph_.outputs[o].tensor;
      for (const nn::Node* node = graph_.producer(tensor); node != nullptr && node->op == "Softmax";
           node = graph_.producer(tensor))
        tensor = node->inputs[0];
      const auto& output = exact().outputs[o];
      compare_float("output " + output.name, output.value, output.steps, (*source)[tensor.index]);
    }
  }
  void compare_float(const std::string& what, exact::ValueId id, const std::vector<exact::ReadoutStep>& steps,
                     const std::vector<float>& expected) {
    const auto& codes = values_[id.index];
    if (codes.size() != expected.size()) fail("float", fmt::format("`{}` has another number of elements", what));
    const std::size_t n = std::max<std::size_t>(elements(id), 1);
    ++outcome_.float_layers;
    outcome_.float_values += codes.size();
    for (std::size_t k = 0; k < codes.size(); ++k) {
      float real = exact::read_out(exact().at(id), steps, k % n, codes[k]);
      if (corrupt("float")) real = std::nextafter(real, 1e30F);
      if (real == expected[k]) continue;
      fail("float",
           fmt::format("`{}` sample {} element {}: {} (code {}), {} by the source's own float32 arithmetic", what,
                       k / n, k % n, real, fixed::to_string(codes[k]), expected[k]),
           static_cast<std::int64_t>(k / n));
    }
  }

  // --- hardware
  void verilog() {
    const auto design = hw::plan(exact(), network_.plan, ctx_);
    if (!design) refuse("plan");
    const auto files = backends::verilog::emit(*design, {}, ctx_);
    if (!files) refuse("emit");
    if (!options_.simulate) return;
    support::FileSet set = *files;
    set["weft.json"] = "{}\n";
    if (!support::write_directory(options_.scratch, set, ctx_)) fail("verilog", diagnostics());
    std::vector<std::vector<Int>> outputs;
    for (const auto& output : exact().outputs) outputs.push_back(values_[output.value.index]);
    damage(outputs);
    const auto result =
        driver::simulate({.project = options_.scratch, .top = design->top, .simulator = "iverilog", .threads = 1},
                         exact(), outcome_.vectors.inputs, outputs, ctx_);
    if (!result) fail("verilog", diagnostics());
    if (result->samples != outcome_.vectors.samples)
      fail("verilog", fmt::format("{} of {} vectors came back", result->samples, outcome_.vectors.samples));
    if (result->mismatches != 0)
      fail("verilog", fmt::format("{} of {} vectors differ from the emulator", result->mismatches, result->samples));
    const int predicted = design->latency_cycles + (corrupt("latency") ? 1 : 0);
    if (result->latency_cycles != predicted || result->interval_cycles != design->interval_cycles)
      fail("latency", fmt::format("latency {} and interval {} were predicted, {} and {} simulated", predicted,
                                  design->interval_cycles, result->latency_cycles, result->interval_cycles));
    outcome_.simulated = true;
  }
  /// Changes one expected code, within its range so that it fits its port.
  void damage(std::vector<std::vector<Int>>& outputs) {
    if (options_.corrupt != "verilog") return;
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const auto& ranges = exact().at(exact().outputs[o].value).ranges;
      for (std::size_t k = 0; k < outputs[o].size(); ++k) {
        const auto& r = ranges[k % ranges.size()];
        if (r.lo == r.hi) continue;
        outputs[o][k] += outputs[o][k] < r.hi ? 1 : -1;
        outcome_.corrupted = true;
        return;
      }
    }
  }

  [[nodiscard]] std::string diagnostics() const {
    std::string out;
    for (const auto& d : engine_.all())
      if (d.severity == diag::Severity::Error) out += (out.empty() ? "" : "; ") + diag::to_text(d);
    return out.empty() ? "failed without a diagnostic" : out;
  }

  const Network& network_;
  const CheckOptions& options_;
  Outcome& outcome_;
  diag::Engine engine_;
  Context ctx_{engine_};
  nn::Graph graph_;
  driver::Session session_;
  /// Per graph input: real numbers and codes of all samples.
  std::vector<std::vector<float>> real_;
  std::vector<std::vector<std::int64_t>> codes_;
  /// Graph inputs some of whose real numbers are neighbours of scale * code.
  std::set<std::uint32_t> off_scale_;
  /// By the plain executor, per value of the graph: codes of all samples, and clips.
  std::vector<std::vector<Int>> values_;
  std::vector<std::uint64_t> saturations_;
};

}  // namespace

Outcome check(const Network& network, const CheckOptions& options, const Vectors* vectors) {
  Outcome outcome;
  try {
    Check(network, options, outcome).run(vectors);
  } catch (const Stop& stop) {
    outcome.state = stop.state;
    outcome.stage = stop.stage;
    outcome.text = stop.text;
    outcome.sample = stop.sample;
  } catch (const std::exception& e) {
    outcome.state = Outcome::State::Failed;
    outcome.stage = "crash";
    outcome.text = e.what();
  }
  std::error_code ignored;
  if (!options.scratch.empty()) std::filesystem::remove_all(options.scratch, ignored);
  return outcome;
}

}  // namespace weft::random_networks
