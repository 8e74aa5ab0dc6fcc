// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/verify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>

#include "weft/backends/verilog/emit.h"
#include "weft/driver/convert.h"
#include "weft/driver/csim.h"
#include "weft/driver/run.h"
#include "weft/driver/simulate.h"
#include "weft/emulate/emulator.h"

namespace weft::driver {
namespace {

namespace fs = std::filesystem;

/// One row of codes over all inputs, flattened input after input.
using Row = std::vector<Int>;

struct InputSpace {
  std::vector<fixed::Range> ranges;  ///< of all elements of all inputs
  std::vector<bool> bipolar;
};

InputSpace space_of(const exact::Graph& graph) {
  InputSpace out;
  for (const auto& input : graph.inputs)
    for (const auto& r : graph.at(input.value).ranges) {
      out.ranges.push_back(r);
      out.bipolar.push_back(input.conversion.form == exact::InputConversion::Form::Bipolar);
    }
  return out;
}

/// Uniform over the reachable codes, on their grid.
Int random_code(const InputSpace& space, std::size_t i, std::mt19937_64& random) {
  const auto& r = space.ranges[i];
  if (space.bipolar[i]) return (random() & 1) != 0 ? r.hi : r.lo;
  const auto count = static_cast<UInt>((r.hi - r.lo) >> r.step_log2) + 1;
  const UInt wide = (static_cast<UInt>(random()) << 64) | random();
  return r.lo + static_cast<Int>((count == 0 ? wide : wide % count) << r.step_log2);
}

/// Inputs that drive the sums of the first matrix behind the inputs to their ends.
void add_extreme_sums(const exact::Graph& graph, const InputSpace& space, std::size_t limit, std::vector<Row>& rows) {
  std::size_t offset = 0;
  for (const auto& input : graph.inputs) {
    const auto n = graph.at(input.value).ranges.size();
    for (const auto& value : graph.values) {
      const auto* matvec = std::get_if<exact::MatVec>(&value.primitive);
      if (matvec == nullptr || static_cast<std::size_t>(matvec->n_in) != n) continue;
      const auto outputs = static_cast<std::size_t>(matvec->n_out);
      for (std::size_t o = 0; o < outputs && rows.size() + 1 < limit; ++o) {
        Row high(space.ranges.size());
        Row low(space.ranges.size());
        for (std::size_t i = 0; i < space.ranges.size(); ++i) {
          const bool mine = i >= offset && i < offset + n;
          const auto w = mine ? matvec->weights[(i - offset) * outputs + o] : 0;
          high[i] = w >= 0 ? space.ranges[i].hi : space.ranges[i].lo;
          low[i] = w >= 0 ? space.ranges[i].lo : space.ranges[i].hi;
        }
        rows.push_back(std::move(high));
        rows.push_back(std::move(low));
      }
      break;  // the first matrix only
    }
    offset += n;
  }
}

/// The simulator asked for, which must run the language of the target, or the target's own.
Result<std::string> simulator_of(const std::string& target, const std::string& wanted, Context& ctx) {
  const std::vector<std::string> fitting = target == "vitis"  ? std::vector<std::string>{"csim"}
                                           : target == "vhdl" ? std::vector<std::string>{"ghdl"}
                                                              : std::vector<std::string>{"verilator", "iverilog"};
  if (wanted.empty()) return fitting.front();
  if (std::find(fitting.begin(), fitting.end(), wanted) == fitting.end())
    return ctx.fail(Kind::UsageInvalid, {},
                    fmt::format("`{}` does not run a project of --target {}; take `{}`", wanted, target,
                                fmt::join(fitting, "` or `")));
  return wanted;
}

/// Additions and multiplications of one sample, roughly.
double work_of(const exact::Graph& graph) {
  double work = 1.0;
  for (const auto& value : graph.values) {
    const auto* matvec = std::get_if<exact::MatVec>(&value.primitive);
    work +=
        static_cast<double>(element_count(value.shape)) * (matvec == nullptr ? 1.0 : static_cast<double>(matvec->n_in));
  }
  return work;
}

/// Random rows up to `wanted`. Where the outputs take few values, such as classes or signs, most random inputs end in
/// the same one, and a fault in front of it stays unseen: of several candidates those are taken whose outputs are rare
/// so far.
void add_random_rows(const exact::Graph& graph, const InputSpace& space, std::size_t wanted, std::mt19937_64& random,
                     std::vector<Row>& rows) {
  constexpr double kMostWork = 2e8;
  constexpr double kMostCandidates = 16.0;
  if (rows.size() >= wanted) return;
  const auto missing = wanted - rows.size();
  const double each = std::clamp(kMostWork / work_of(graph) / static_cast<double>(missing), 1.0, kMostCandidates);
  const auto candidates = static_cast<std::size_t>(each * static_cast<double>(missing));
  std::map<std::vector<Int>, std::size_t> seen;
  std::vector<Row> common;
  std::size_t taken = 0;
  for (std::size_t c = 0; c < candidates && taken < missing; ++c) {
    // Some rows stand at the ends of their ranges with a share of their elements: their sums reach further.
    const std::uint64_t at_ends = c % 2 == 0 ? 0 : random() % 100;
    Row row(space.ranges.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = random_code(space, i, random);
      if (random() % 100 < at_ends) row[i] = (random() & 1) != 0 ? space.ranges[i].hi : space.ranges[i].lo;
    }
    if (candidates <= missing) {
      rows.push_back(std::move(row));
      ++taken;
      continue;
    }
    std::vector<std::vector<Int>> inputs;
    auto at = row.begin();
    for (const auto& input : graph.inputs) {
      const auto n = static_cast<std::ptrdiff_t>(graph.at(input.value).ranges.size());
      inputs.emplace_back(at, at + n);
      at += n;
    }
    const auto result = emulate::run_plain(graph, inputs);
    std::vector<Int> outputs;
    for (const auto& output : graph.outputs) {
      const auto& codes = result.values[output.value.index];
      outputs.insert(outputs.end(), codes.begin(), codes.end());
    }
    std::size_t& count = seen[outputs];
    // Rare: below the mean of all that were seen, the new one among them.
    if (count * seen.size() <= taken) {
      ++count;
      ++taken;
      rows.push_back(std::move(row));
    } else if (common.size() < missing) {
      common.push_back(std::move(row));
    }
  }
  for (std::size_t i = 0; taken < missing && i < common.size(); ++i, ++taken) rows.push_back(std::move(common[i]));
}

}  // namespace

Result<std::vector<std::vector<Int>>> verification_inputs(const Session& session, const VerifyOptions& options,
                                                          std::int64_t& samples, Context& ctx) {
  const exact::Graph& graph = session.exact;
  const InputSpace space = space_of(graph);
  const std::size_t n = space.ranges.size();
  std::vector<Row> rows;
  if (options.data) {
    WEFT_TRY(const auto data, read_input_rows(session.model.graph, *options.data, ctx));
    for (std::int64_t s = 0; s < data.batch; ++s) {
      Row row;
      for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
        const std::size_t elements = graph.at(graph.inputs[i].value).ranges.size();
        for (std::size_t k = 0; k < elements; ++k) {
          bool saturated = false;
          row.push_back(exact::convert_input(graph.inputs[i].conversion,
                                             data.inputs[i][static_cast<std::size_t>(s) * elements + k], saturated));
        }
      }
      rows.push_back(std::move(row));
    }
  }
  const auto wanted = static_cast<std::size_t>(std::max<std::int64_t>(options.samples, 4)) + rows.size();
  const auto fill = [&](auto&& pick) {
    Row row(n);
    for (std::size_t i = 0; i < n; ++i) row[i] = pick(i);
    rows.push_back(std::move(row));
  };
  fill([&](std::size_t i) { return space.ranges[i].lo; });
  fill([&](std::size_t i) { return space.ranges[i].hi; });
  fill([&](std::size_t i) { return i % 2 == 0 ? space.ranges[i].lo : space.ranges[i].hi; });
  fill([&](std::size_t i) { return i % 2 == 1 ? space.ranges[i].lo : space.ranges[i].hi; });
  const std::size_t before = rows.size();
  add_extreme_sums(graph, space, before + (wanted - std::min(wanted, before)) / 2, rows);
  for (std::size_t i = 0; i < n && rows.size() + 1 < wanted - (wanted - std::min(wanted, before)) / 4; ++i)
    for (const bool high : {true, false})
      fill([&](std::size_t k) {
        return k == i ? (high ? space.ranges[k].hi : space.ranges[k].lo)
                      : std::clamp<Int>(0, space.ranges[k].lo, space.ranges[k].hi);
      });
  std::mt19937_64 random(ctx.seed);
  add_random_rows(graph, space, wanted, random, rows);
  // A bipolar code is never 0.
  for (auto& row : rows)
    for (std::size_t i = 0; i < n; ++i)
      if (space.bipolar[i] && row[i] == 0) row[i] = space.ranges[i].hi;
  samples = static_cast<std::int64_t>(rows.size());
  std::vector<std::vector<Int>> out(graph.inputs.size());
  for (const auto& row : rows) {
    std::size_t offset = 0;
    for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
      const std::size_t elements = graph.at(graph.inputs[i].value).ranges.size();
      out[i].insert(out[i].end(), row.begin() + static_cast<std::ptrdiff_t>(offset),
                    row.begin() + static_cast<std::ptrdiff_t>(offset + elements));
      offset += elements;
    }
  }
  return out;
}

Result<VerifyResult> verify(const fs::path& project, const VerifyOptions& options, Context& ctx) {
  const auto start = std::chrono::steady_clock::now();
  if (!is_project(project))
    return ctx.fail(Kind::UsageInvalid, {.file = project.string()}, "this is no folder that `weft convert` wrote");
  WEFT_TRY(const Session session, open_session(project, {}, ctx));
  const exact::Graph& graph = session.exact;
  std::int64_t samples = 0;
  WEFT_TRY(const auto inputs, verification_inputs(session, options, samples, ctx));

  // The reference is the plain executor: 128 bits, one sample at a time.
  std::vector<std::vector<Int>> outputs(graph.outputs.size());
  for (std::int64_t s = 0; s < samples; ++s) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {.file = project.string()}, "the run was interrupted");
    if (ctx.progress != nullptr)
      ctx.progress->update("reference", static_cast<std::uint64_t>(s), static_cast<std::uint64_t>(samples));
    std::vector<std::vector<Int>> row;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const auto n = static_cast<std::ptrdiff_t>(graph.at(graph.inputs[i].value).ranges.size());
      row.emplace_back(inputs[i].begin() + s * n, inputs[i].begin() + (s + 1) * n);
    }
    const auto result = emulate::run_plain(graph, row);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const auto& codes = result.values[graph.outputs[o].value.index];
      outputs[o].insert(outputs[o].end(), codes.begin(), codes.end());
    }
  }

  VerifyResult out;
  const support::Json& json = *session.project;
  std::string target;
  std::string top;
  try {
    out.predicted_latency_cycles = json.at("predicted").at("latency_cycles").get<int>();
    out.predicted_interval_cycles = json.at("predicted").at("interval_cycles").get<int>();
    target = json.at("options").at("target").get<std::string>();
    top = json.at("top").get<std::string>();
  } catch (const nlohmann::json::exception& e) {
    return ctx.fail(Kind::ModelMalformed, {.file = (project / "weft.json").string()},
                    fmt::format("{}; convert the model again", e.what()));
  }
  WEFT_TRY(out.simulator, simulator_of(target, options.simulator, ctx));
  if (target == "vitis") {
    WEFT_TRY(
        const auto result,
        run_csim(
            {.project = project, .top = top, .ap_types = options.ap_types, .timeout_seconds = options.timeout_seconds},
            graph, inputs, outputs, ctx));
    out.samples = result.samples;
    out.mismatches = result.mismatches;
    // C simulation has no clock: there is nothing to compare the prediction with.
    out.latency_cycles = out.predicted_latency_cycles;
    out.interval_cycles = out.predicted_interval_cycles;
  } else {
    WEFT_TRY(const auto result, simulate({.project = project,
                                          .top = top,
                                          .simulator = out.simulator,
                                          .samples = samples,
                                          .timeout_seconds = options.timeout_seconds,
                                          .threads = ctx.threads},
                                         graph, inputs, outputs, ctx));
    out.samples = result.samples;
    out.mismatches = result.mismatches;
    out.latency_cycles = result.latency_cycles;
    out.interval_cycles = result.interval_cycles;
  }
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (out.samples != samples)
    ctx.report(Kind::VerifyMismatch, {.file = project.string()},
               fmt::format("{} of {} vectors came back", out.samples, samples));
  if (out.mismatches != 0)
    ctx.report(Kind::VerifyMismatch, {.file = project.string()},
               fmt::format("{} of {} outputs differ from the emulator", out.mismatches, out.samples));
  if (out.latency_cycles != out.predicted_latency_cycles || out.interval_cycles != out.predicted_interval_cycles)
    ctx.report(
        Kind::VerifyMismatch, {.file = project.string()},
        fmt::format("latency {} and interval {} were predicted, {} and {} simulated", out.predicted_latency_cycles,
                    out.predicted_interval_cycles, out.latency_cycles, out.interval_cycles));
  return out;
}

}  // namespace weft::driver
