// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "weft/layers/float_run.h"
#include "weft/layers/recipe.h"
#include "weft/layers/scaled_float.h"

namespace weft::driver {
namespace {

bool fits_int64(const exact::Graph& graph) {
  for (const auto& value : graph.values)
    for (const auto& r : value.ranges)
      if (fixed::width_bits(r) > (r.lo < 0 ? 64 : 63)) return false;
  return true;
}

/// Codes of the wanted values for all samples by the plain executor; used where codes need more than 63 bits, whose
/// values are then handed on as real numbers only.
struct PlainRun {
  std::vector<std::vector<Int>> wanted;
  emulate::Counters counters;
};

Result<PlainRun> run_plain(const exact::Graph& graph, const InputRows& rows, const std::vector<exact::ValueId>& wanted,
                           Context& ctx) {
  PlainRun out;
  out.wanted.resize(wanted.size());
  out.counters.input_saturations.assign(graph.inputs.size(), 0);
  out.counters.value_saturations.assign(graph.values.size(), 0);
  for (std::int64_t s = 0; s < rows.batch; ++s) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "the run was interrupted");
    if (ctx.progress != nullptr)
      ctx.progress->update("plain emulation", static_cast<std::uint64_t>(s), static_cast<std::uint64_t>(rows.batch));
    std::vector<std::vector<Int>> codes;
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
      const auto n = static_cast<std::size_t>(element_count(graph.at(graph.inputs[i].value).shape));
      std::vector<Int> row(n);
      for (std::size_t k = 0; k < n; ++k) {
        bool saturated = false;
        row[k] = exact::convert_input(graph.inputs[i].conversion, rows.inputs[i][static_cast<std::size_t>(s) * n + k],
                                      saturated);
        out.counters.input_saturations[i] += saturated ? 1 : 0;
      }
      codes.push_back(std::move(row));
    }
    const auto result = emulate::run_plain(graph, codes);
    for (std::size_t v = 0; v < graph.values.size(); ++v) out.counters.value_saturations[v] += result.saturations[v];
    for (std::size_t w = 0; w < wanted.size(); ++w) {
      const auto& c = result.values[wanted[w].index];
      out.wanted[w].insert(out.wanted[w].end(), c.begin(), c.end());
    }
  }
  return out;
}

void note_saturations(Prediction& out, const exact::Graph& graph, const emulate::Counters& counters, Context& ctx) {
  for (std::size_t i = 0; i < counters.input_saturations.size(); ++i) {
    out.input_saturations += counters.input_saturations[i];
    if (counters.input_saturations[i] != 0)
      ctx.report(Kind::InputSaturated, {.tensor = graph.inputs[i].name},
                 fmt::format("{} values lie outside of {} and were clipped", counters.input_saturations[i],
                             type_text(graph.at(graph.inputs[i].value))));
  }
  for (std::size_t v = 0; v < counters.value_saturations.size(); ++v) {
    if (counters.value_saturations[v] == 0) continue;
    const auto& value = graph.values[v];
    const std::string layer = value.origin.node.empty() ? value.name : value.origin.node;
    out.saturations[layer] += counters.value_saturations[v];
    ctx.report(Kind::ValueSaturated, value.origin,
               fmt::format("{} values were clipped to {}; widen the result type of this layer",
                           counters.value_saturations[v], type_text(value)));
  }
}

/// As exact::read_out for whole batches: the scales are prepared once.
std::vector<float> read_out_all(const exact::Value& value, const std::vector<exact::ReadoutStep>& steps,
                                const std::vector<std::int64_t>& codes) {
  std::size_t channels = value.shape.empty() ? 1 : static_cast<std::size_t>(value.shape.back());
  channels = std::max(channels, value.scale.factors.size());
  for (const auto& step : steps) channels = std::max(channels, step.operands.size());
  std::vector<layers::ScaledFloat> real;
  for (std::size_t c = 0; c < channels; ++c) real.emplace_back(value.scale.of(c));
  const std::vector<layers::Step> list(steps.begin(), steps.end());
  std::vector<float> out(codes.size());
  std::size_t c = 0;
  for (std::size_t k = 0; k < codes.size(); ++k) {
    const float x = real[c](codes[k]);
    out[k] = list.empty() ? x : layers::run_steps(list, x, c);
    if (++c == channels) c = 0;
  }
  return out;
}

Shape batched(std::int64_t batch, const Shape& shape) {
  Shape out{batch};
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string type_text(const exact::Value& value) {
  fixed::Range all = value.ranges.empty() ? fixed::Range{} : value.ranges[0];
  for (const auto& r : value.ranges) all = fixed::unite(all, r);
  const bool is_signed = all.lo < 0;
  const int width = fixed::width_bits(all);
  if (value.scale.per_tensor())
    if (const auto log2 = fixed::log2_exact(value.scale.at(0)))
      return fmt::format("{}fixed<{},{}>", is_signed ? "" : "u", width, width + *log2);
  return fmt::format("{}int<{}> * {}", is_signed ? "" : "u", width,
                     value.scale.per_tensor() ? fmt::format("{:.9g}", fixed::to_double(value.scale.at(0)))
                                              : std::string("scale per channel"));
}

Result<Prediction> predict_float(const nn::Graph& graph, const InputRows& rows, bool trace, Context& ctx) {
  Prediction out;
  out.samples = rows.batch;
  out.isa = "float32";
  const auto start = std::chrono::steady_clock::now();
  WEFT_TRY(const auto tensors,
           layers::run_float(graph, rows.inputs, rows.batch, ctx, trace ? layers::Keep::All : layers::Keep::Outputs));
  out.seconds = seconds_since(start);
  for (const auto& port : graph.outputs)
    out.outputs.push_back({port.name, graph.at(port.tensor).shape, "float32", tensors[port.tensor.index], {}});
  if (trace)
    for (const auto& node : graph.nodes)
      out.trace[node.name] = {batched(rows.batch, graph.at(node.outputs[0]).shape), tensors[node.outputs[0].index],
                              "f4"};
  return out;
}

Result<Prediction> predict(const Session& session, const InputRows& rows, bool trace, Context& ctx) {
  const exact::Graph& graph = session.exact;
  Prediction out;
  out.samples = rows.batch;
  std::vector<exact::ValueId> wanted;
  for (const auto& output : graph.outputs) wanted.push_back(output.value);
  std::vector<const exact::Probe*> probes;
  if (trace)
    for (const auto& probe : graph.probes)
      if (probe.value) {
        probes.push_back(&probe);
        wanted.push_back(*probe.value);
      }
  emulate::Counters counters;
  std::vector<std::vector<float>> values(wanted.size());
  std::vector<std::vector<std::int64_t>> codes(wanted.size());
  const auto steps_of = [&](std::size_t w) -> const std::vector<exact::ReadoutStep>& {
    return w < graph.outputs.size() ? graph.outputs[w].steps : probes[w - graph.outputs.size()]->steps;
  };
  if (fits_int64(graph)) {
    WEFT_TRY(const auto emulator, emulate::Emulator::compile(graph, emulate::Isa::Auto, ctx));
    std::vector<const float*> pointers;
    for (const auto& in : rows.inputs) pointers.push_back(in.data());
    out.isa = std::string(emulate::to_string(emulator.isa()));
    // Sized in front of the clock: the run is timed, not the first touch of fresh memory.
    for (std::size_t w = 0; w < wanted.size(); ++w)
      codes[w].resize(static_cast<std::size_t>(rows.batch) * graph.at(wanted[w]).ranges.size());
    if (!trace) codes.resize(graph.outputs.size());
    const auto start = std::chrono::steady_clock::now();
    if (trace) {
      WEFT_TRY(counters, emulator.run_traced(pointers, static_cast<std::size_t>(rows.batch), wanted, codes, ctx));
    } else {
      WEFT_TRY(counters, emulator.run(pointers, static_cast<std::size_t>(rows.batch), codes, ctx));
    }
    out.seconds = seconds_since(start);
    for (std::size_t w = 0; w < wanted.size(); ++w)
      values[w] = read_out_all(graph.at(wanted[w]), steps_of(w), codes[w]);
  } else {
    const auto start = std::chrono::steady_clock::now();
    WEFT_TRY(const auto plain, run_plain(graph, rows, wanted, ctx));
    out.seconds = seconds_since(start);
    out.isa = "plain";
    counters = plain.counters;
    for (std::size_t w = 0; w < wanted.size(); ++w) {
      const auto& value = graph.at(wanted[w]);
      const auto n = static_cast<std::size_t>(std::max<std::int64_t>(element_count(value.shape), 1));
      bool narrow = true;
      for (const auto& r : value.ranges) narrow = narrow && fixed::width_bits(r) <= 63;
      for (std::size_t k = 0; k < plain.wanted[w].size(); ++k) {
        values[w].push_back(exact::read_out(value, steps_of(w), k % n, plain.wanted[w][k]));
        if (narrow) codes[w].push_back(static_cast<std::int64_t>(plain.wanted[w][k]));
      }
    }
  }
  for (std::size_t o = 0; o < graph.outputs.size(); ++o) {
    const auto& value = graph.at(graph.outputs[o].value);
    out.outputs.push_back(
        {graph.outputs[o].name, value.shape, type_text(value), std::move(values[o]), std::move(codes[o])});
  }
  for (std::size_t p = 0; p < probes.size(); ++p) {
    const auto& value = graph.at(*probes[p]->value);
    out.trace[probes[p]->layer] = {batched(rows.batch, value.shape), std::move(values[graph.outputs.size() + p]), "f4"};
  }
  note_saturations(out, graph, counters, ctx);
  return out;
}

Result<Prediction> predict_codes(const Session& session, const InputCodes& rows, Context& ctx) {
  const exact::Graph& graph = session.exact;
  Prediction out;
  out.samples = rows.batch;
  WEFT_TRY(const auto emulator, emulate::Emulator::compile(graph, emulate::Isa::Auto, ctx));
  std::vector<const std::int64_t*> pointers;
  for (const auto& in : rows.inputs) pointers.push_back(in.data());
  std::vector<std::vector<std::int64_t>> codes;
  const auto start = std::chrono::steady_clock::now();
  WEFT_TRY(const auto counters, emulator.run_codes(pointers, static_cast<std::size_t>(rows.batch), codes, ctx));
  out.seconds = seconds_since(start);
  out.isa = std::string(emulate::to_string(emulator.isa()));
  for (std::size_t o = 0; o < graph.outputs.size(); ++o) {
    const auto& value = graph.at(graph.outputs[o].value);
    out.outputs.push_back({graph.outputs[o].name, value.shape, type_text(value),
                           read_out_all(value, graph.outputs[o].steps, codes[o]), std::move(codes[o])});
  }
  note_saturations(out, graph, counters, ctx);
  return out;
}

}  // namespace weft::driver
