// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/emulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

#include "weft/emulate/block.h"
#include "weft/emulate/dispatch.h"
#include "weft/emulate/hoist.h"
#include "weft/emulate/plan.h"
#include "weft/support/threads.h"

namespace weft::emulate {
namespace {

/// A thread that has less to do than this costs more than it saves.
constexpr double kThreadNs = 50000;

std::size_t elements_of(const exact::Graph& graph, std::size_t input) {
  return static_cast<std::size_t>(element_count(graph.at(graph.inputs[input].value).shape));
}

/// Names the first bad element by input, row and column; called when some block has met one.
diag::Failure fail_not_finite(const exact::Graph& graph, const std::vector<const float*>& inputs, std::size_t batch,
                              Context& ctx) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::size_t n = elements_of(graph, i);
    for (std::size_t at = 0; at < batch * n; ++at) {
      const float x = inputs[i][at];
      if (std::isfinite(x)) continue;
      return ctx.fail(Kind::DataNotFinite, Origin{.tensor = graph.inputs[i].name},
                      fmt::format("input `{}` holds {} in row {}, column {} (counted from 0); clean the data",
                                  graph.inputs[i].name, std::isnan(x) ? "NaN" : "infinity", at / n, at % n));
    }
  }
  WEFT_CHECK(false, "a block found data that is not finite, the check of the whole batch did not");
  return diag::failure;
}

diag::Failure fail_out_of_range(const exact::Graph& graph, const std::vector<const std::int64_t*>& inputs,
                                std::size_t batch, Context& ctx) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::size_t n = elements_of(graph, i);
    const auto& ranges = graph.at(graph.inputs[i].value).ranges;
    for (std::size_t at = 0; at < batch * n; ++at) {
      if (is_input_code(graph, i, at % n, inputs[i][at])) continue;
      const auto& range = ranges[at % n];
      return ctx.fail(
          Kind::ShapeMismatch, Origin{.tensor = graph.inputs[i].name},
          fmt::format("input `{}` holds code {} in row {}, column {} (counted from 0), which is not in {} to "
                      "{} in steps of 2^{}; give codes of the input's type",
                      graph.inputs[i].name, inputs[i][at], at / n, at % n, fixed::to_string(range.lo),
                      fixed::to_string(range.hi), range.step_log2));
    }
  }
  WEFT_CHECK(false, "a block found a code out of range, the check of the whole batch did not");
  return diag::failure;
}

struct Batch {
  std::vector<const float*> reals;
  std::vector<const std::int64_t*> codes;
  std::size_t size = 0;
};

Result<Counters> run_batch(const exact::Graph& graph, const Kernels& kernels, const Plan& plan, const Batch& batch,
                           std::vector<std::vector<std::int64_t>>& outputs, Context& ctx) {
  WEFT_CHECK(batch.reals.size() + batch.codes.size() == graph.inputs.size(), "run needs one array per graph input");
  outputs.resize(plan.outputs.size());
  std::vector<std::int64_t*> pointers;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    outputs[o].resize(batch.size * static_cast<std::size_t>(element_count(graph.at(plan.outputs[o]).shape)));
    pointers.push_back(outputs[o].data());
  }
  Counters total;
  total.input_saturations.resize(graph.inputs.size());
  total.value_saturations.resize(graph.values.size());
  const auto lanes = static_cast<std::size_t>(plan.lanes);
  const std::size_t blocks = (batch.size + lanes - 1) / lanes;
  const double worth = static_cast<double>(blocks) * plan.block_ns / kThreadNs;
  const int threads = static_cast<int>(std::clamp(worth, 1.0, static_cast<double>(std::max(ctx.threads, 1))));
  std::mutex mutex;
  std::atomic<bool> bad = false;
  support::parallel_blocks(blocks, threads, [&](std::size_t begin, std::size_t end) {
    Worker worker(graph, kernels, plan, batch.reals, batch.codes, pointers);
    for (std::size_t b = begin; b < end && !bad && !ctx.cancelled(); ++b) {
      if (!worker.run(b * lanes, std::min(lanes, batch.size - b * lanes))) bad = true;
    }
    const std::lock_guard lock(mutex);
    const auto add = [](std::vector<std::uint64_t>& sum, const std::vector<std::uint64_t>& more) {
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
    };
    add(total.input_saturations, worker.counters().input_saturations);
    add(total.value_saturations, worker.counters().value_saturations);
  });
  if (bad && !batch.reals.empty()) return fail_not_finite(graph, batch.reals, batch.size, ctx);
  if (bad) return fail_out_of_range(graph, batch.codes, batch.size, ctx);
  if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, "the emulation was interrupted");
  return total;
}

}  // namespace

struct Emulator::Impl {
  exact::Graph graph;
  /// What the plan computes: the same inputs and outputs, maybe other values between.
  exact::Graph planned;
  Isa isa = Isa::Portable;
  const Kernels* kernels = nullptr;
  Plan plan;
};

Emulator::Emulator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Emulator::Emulator(Emulator&&) noexcept = default;
Emulator& Emulator::operator=(Emulator&&) noexcept = default;
Emulator::~Emulator() = default;

Result<Emulator> Emulator::compile(const exact::Graph& graph, Isa isa, Context& ctx) {
  auto impl = std::make_unique<Impl>();
  impl->graph = graph;
  impl->isa = resolve(isa);
  impl->kernels = kernels_of(impl->isa);
  if (impl->kernels == nullptr) {
    return ctx.fail(Kind::UsageInvalid, {},
                    fmt::format("this processor or build does not run `{}` kernels; use `auto`", to_string(isa)));
  }
  std::vector<exact::ValueId> outputs;
  for (const auto& output : graph.outputs) outputs.push_back(output.value);
  impl->planned = hoist_step_functions(impl->graph, outputs);
  WEFT_TRY(impl->plan, make_plan(impl->planned, *impl->kernels, outputs, ctx));
  return Emulator(std::move(impl));
}

Result<Counters> Emulator::run(const std::vector<const float*>& inputs, std::size_t batch,
                               std::vector<std::vector<std::int64_t>>& outputs, Context& ctx) const {
  return run_batch(impl_->planned, *impl_->kernels, impl_->plan, {inputs, {}, batch}, outputs, ctx);
}

Result<Counters> Emulator::run_codes(const std::vector<const std::int64_t*>& inputs, std::size_t batch,
                                     std::vector<std::vector<std::int64_t>>& outputs, Context& ctx) const {
  return run_batch(impl_->planned, *impl_->kernels, impl_->plan, {{}, inputs, batch}, outputs, ctx);
}

Result<Counters> Emulator::run_traced(const std::vector<const float*>& inputs, std::size_t batch,
                                      const std::vector<exact::ValueId>& wanted,
                                      std::vector<std::vector<std::int64_t>>& traced, Context& ctx) const {
  // A plan of its own: what is wanted must not stay in registers.
  WEFT_TRY(const Plan plan, make_plan(impl_->graph, *impl_->kernels, wanted, ctx));
  return run_batch(impl_->graph, *impl_->kernels, plan, {inputs, {}, batch}, traced, ctx);
}

Isa Emulator::isa() const { return impl_->isa; }
const exact::Graph& Emulator::graph() const { return impl_->graph; }

}  // namespace weft::emulate
