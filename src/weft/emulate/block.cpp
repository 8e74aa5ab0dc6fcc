// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/block.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "weft/emulate/input_plan.h"
#include "weft/emulate/plain.h"

namespace weft::emulate {
namespace {

constexpr std::align_val_t kAlignment{64};
/// Transposing kernels may read, not use, this much behind the rows.
constexpr std::size_t kReadAhead = 64;

unsigned char* allocate(std::size_t bytes) {
  auto* p = static_cast<unsigned char*>(::operator new(bytes + 1, kAlignment));
  std::memset(p, 0, bytes + 1);
  return p;
}

std::int64_t lane_code(const Lanes& lanes, std::size_t at) {
  return lanes.wide ? static_cast<const std::int64_t*>(lanes.data)[at]
                    : static_cast<const std::int32_t*>(lanes.data)[at];
}
void set_lane_code(const Lanes& lanes, std::size_t at, std::int64_t code) {
  if (lanes.wide) {
    static_cast<std::int64_t*>(lanes.data)[at] = code;
  } else {
    static_cast<std::int32_t*>(lanes.data)[at] = static_cast<std::int32_t>(code);
  }
}

}  // namespace

bool is_input_code(const exact::Graph& graph, std::size_t input, std::size_t element, std::int64_t code) {
  const auto& range = graph.at(graph.inputs[input].value).ranges[element];
  if (graph.inputs[input].conversion.form == exact::InputConversion::Form::Bipolar && code == 0) return false;
  return code >= range.lo && code <= range.hi && fixed::floor_shift(code, range.step_log2) << range.step_log2 == code;
}

void Worker::Deleter::operator()(unsigned char* p) const { ::operator delete(p, kAlignment); }

Worker::Worker(const exact::Graph& graph, const Kernels& kernels, const Plan& plan,
               const std::vector<const float*>& reals, const std::vector<const std::int64_t*>& codes,
               const std::vector<std::int64_t*>& outputs)
    : graph_(graph),
      kernels_(kernels),
      plan_(plan),
      reals_(reals),
      codes_(codes),
      outputs_(outputs),
      scratch_(allocate(plan.scratch_bytes)),
      rows_(allocate(plan.rows_bytes + kReadAhead)),
      epilogues_(plan.steps.size()),
      functions_(plan.steps.size()) {
  counters_.input_saturations.resize(graph.inputs.size());
  counters_.value_saturations.resize(graph.values.size());
  const auto n = static_cast<std::size_t>(plan.lanes);
  for (const auto& constant : plan.constants) {
    const Lanes y = lanes(constant.y);
    for (std::size_t i = 0; i < constant.codes.size() * n; ++i) set_lane_code(y, i, constant.codes[i / n]);
  }
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    if (const auto* m = std::get_if<MatVecStep>(&plan.steps[i])) epilogues_[i] = m->epilogue.view();
    if (const auto* r = std::get_if<RequantStep>(&plan.steps[i])) epilogues_[i] = r->epilogue.view();
    if (const auto* w = std::get_if<WideRequantStep>(&plan.steps[i])) functions_[i] = w->functions.view();
  }
}

template <class T>
T* Worker::at(const Buffer& buffer) const {
  return static_cast<T*>(static_cast<void*>(scratch_.get() + plan_.offsets[buffer.index]));
}

Lanes Worker::lanes(const Buffer& buffer) const { return {at<void>(buffer), buffer.wide}; }

bool Worker::read(const InputStep& step) {
  const std::int64_t unit_bytes = step.layout == Layout::Wide ? 8 : 4;
  const std::int64_t stride = step.units * unit_bytes;
  const auto sample_bytes = static_cast<std::size_t>(step.rows * stride);
  const auto elements = static_cast<std::size_t>(step.rows * step.n);
  const auto rows = static_cast<std::int64_t>(count_) * step.rows;
  if (!reals_.empty() && step.convert) {
    ConvertArgs a = *step.convert;
    a.x = reals_[step.input] + first_ * elements;
    a.y = rows_.get();
    a.rows = rows;
    a.n = step.n;
    a.y_stride = stride;
    const ConvertResult result = kernels_.convert(a);
    if (!result.finite) return false;
    counters_.input_saturations[step.input] += result.saturated;
  } else {
    const auto& input = graph_.inputs[step.input];
    const std::int64_t* source = nullptr;
    if (codes_.empty()) {
      slow_codes_.resize(count_ * elements);
      const float* x = reals_[step.input] + first_ * elements;
      for (std::size_t i = 0; i < slow_codes_.size(); ++i) {
        if (!std::isfinite(x[i])) return false;
        bool saturated = false;
        slow_codes_[i] = static_cast<std::int64_t>(exact::convert_input(input.conversion, x[i], saturated));
        if (saturated) ++counters_.input_saturations[step.input];
      }
      source = slow_codes_.data();
    } else {
      source = codes_[step.input] + first_ * elements;
      for (std::size_t i = 0; i < count_ * elements; ++i) {
        if (!is_input_code(graph_, step.input, i % elements, source[i])) return false;
      }
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      write_row(source + r * step.n, step.n, step.layout, step.offset, rows_.get() + r * stride);
    }
  }
  // Lanes without a sample repeat the last one, so that every lane holds codes of the proven range.
  for (std::size_t l = count_; l < static_cast<std::size_t>(plan_.lanes); ++l) {
    std::memcpy(rows_.get() + l * sample_bytes, rows_.get() + (count_ - 1) * sample_bytes, sample_bytes);
  }
  TransposeArgs t;
  t.x = rows_.get();
  t.x_stride = static_cast<std::int64_t>(sample_bytes);
  t.y = lanes(step.y);
  t.lanes = plan_.lanes;
  t.units = step.rows * step.units;
  kernels_.transpose(t);
  return true;
}

void Worker::run_plain_step(const PlainStep& step) {
  const auto& value = graph_.at(step.value);
  const auto n = static_cast<std::size_t>(plan_.lanes);
  std::vector<std::vector<Int>> operands(step.operands.size());
  std::vector<const std::vector<Int>*> pointers;
  for (auto& operand : operands) pointers.push_back(&operand);
  std::vector<Int> result;
  for (std::size_t l = 0; l < n; ++l) {
    if (l < count_) {
      for (std::size_t i = 0; i < operands.size(); ++i) {
        operands[i].resize(step.sizes[i]);
        const Lanes x = lanes(step.operands[i]);
        for (std::size_t e = 0; e < step.sizes[i]; ++e) operands[i][e] = lane_code(x, e * n + l);
      }
      result = evaluate_primitive(graph_, value, pointers, counters_.value_saturations[step.value.index]);
    }
    const Lanes y = lanes(step.y);
    for (std::size_t e = 0; e < result.size(); ++e) set_lane_code(y, e * n + l, static_cast<std::int64_t>(result[e]));
  }
}

/// Fills in the pointers of each step and calls its kernel.
struct Worker::Execute {
  Worker& w;
  std::size_t index;

  [[nodiscard]] const Kernels& kernels() const { return w.kernels_; }
  [[nodiscard]] Tally tally() const {
    return {w.count_ >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << w.count_) - 1, 0};
  }
  void count(const std::optional<exact::ValueId>& counter, const Tally& t) const {
    if (counter) w.counters_.value_saturations[counter->index] += t.count;
  }

  void point(Runs& runs, const RunsData& data) const {
    runs.units = w.at<std::int32_t>(data.x);
    if (!data.first.empty()) runs.first = data.first.data();
    if (data.pad) runs.pad = w.at<std::int32_t>(*data.pad);
  }

  bool operator()(const InputStep& s) const { return w.read(s); }
  bool operator()(const MatVecStep& s) const {
    MatVecArgs a = s.args;
    point(a.x, s.x);
    if (!s.tile_units.empty()) {
      a.tile_begin = s.tile_begin.data();
      a.tile_units = s.tile_units.data();
    }
    a.y = w.at<std::int32_t>(s.y);
    a.lanes = w.plan_.lanes;
    a.weights = s.weights.data();
    a.bias = s.bias.data();
    a.epilogue = &w.epilogues_[index];
    Tally t = tally();
    kernels().matvec[static_cast<std::size_t>(s.dot)](a, t);
    count(s.counter, t);
    return true;
  }
  [[nodiscard]] WideMatVecArgs wide(const WideMatVecStep& s) const {
    WideMatVecArgs a = s.args;
    a.x = w.lanes(s.x);
    a.y = w.at<std::int64_t>(s.y);
    a.lanes = w.plan_.lanes;
    a.weights = s.weights.data();
    a.bias = s.bias.data();
    return a;
  }
  bool operator()(const WideMatVecStep& s) const {
    kernels().matvec_wide(wide(s));
    return true;
  }
  bool operator()(const ChainStep& s) const {
    kernels().chain({wide(s.matvec), s.product_function, s.sum_function});
    return true;
  }
  bool operator()(const RequantStep& s) const {
    Tally t = tally();
    kernels().requant(
        {w.at<std::int32_t>(s.x), w.at<std::int32_t>(s.y), w.plan_.lanes, s.elements, &w.epilogues_[index]}, t);
    count(s.counter, t);
    return true;
  }
  bool operator()(const TableStep& s) const {
    TableArgs a = s.args;
    a.x = w.at<std::int32_t>(s.x);
    a.y = w.at<std::int32_t>(s.y);
    a.lanes = w.plan_.lanes;
    a.table = s.table.data();
    kernels().table(a);
    return true;
  }
  bool operator()(const WideRequantStep& s) const {
    WideRequantArgs a;
    a.x = w.lanes(s.x);
    a.y = w.lanes(s.y);
    a.lanes = w.plan_.lanes;
    a.elements = s.elements;
    a.functions = w.functions_[index].data();
    a.n_functions = static_cast<std::int64_t>(w.functions_[index].size());
    a.count = s.functions.count;
    Tally t = tally();
    kernels().requant_wide(a, t);
    count(s.counter, t);
    return true;
  }
  bool operator()(const BinaryStep& s) const {
    BinaryArgs a = s.args;
    a.a = w.lanes(s.a);
    a.b = w.lanes(s.b);
    a.y = w.lanes(s.y);
    a.lanes = w.plan_.lanes;
    a.a_index = s.a_index.empty() ? nullptr : s.a_index.data();
    a.b_index = s.b_index.empty() ? nullptr : s.b_index.data();
    kernels().binary(a);
    return true;
  }
  bool operator()(const CopyStep& s) const {
    kernels().copy({w.lanes(s.x), w.lanes(s.y), w.plan_.lanes, s.elements, s.from.empty() ? nullptr : s.from.data(),
                    s.to.empty() ? nullptr : s.to.data(), s.pad});
    return true;
  }
  bool operator()(const ReduceStep& s) const {
    ReduceArgs a = s.args;
    a.x = w.lanes(s.x);
    a.y = w.lanes(s.y);
    a.lanes = w.plan_.lanes;
    kernels().reduce(a);
    return true;
  }
  bool operator()(const PoolStep& s) const {
    PoolArgs a = s.args;
    point(a.x, s.x);
    a.y = w.at<std::int32_t>(s.y);
    a.lanes = w.plan_.lanes;
    kernels().pool(a);
    return true;
  }
  bool operator()(const ArgMaxStep& s) const {
    ArgMaxArgs a = s.args;
    a.x = w.lanes(s.x);
    a.y = w.lanes(s.y);
    a.lanes = w.plan_.lanes;
    kernels().argmax(a);
    return true;
  }
  bool operator()(const ForestStep& s) const {
    ForestArgs a = s.args;
    a.x = w.lanes(s.x).data;
    a.y = w.lanes(s.y).data;
    a.scratch = w.lanes(s.scratch).data;
    a.lanes = w.plan_.lanes;
    a.nodes = s.nodes.data();
    a.trees = s.trees.data();
    a.leaves = s.leaves.data();
    a.bias = s.bias.data();
    kernels().forest(a);
    return true;
  }
  bool operator()(const PackStep& s) const {
    PackArgs a = s.args;
    a.x = w.at<std::int32_t>(s.x);
    a.y = w.at<std::int32_t>(s.y);
    a.lanes = w.plan_.lanes;
    kernels().pack(a);
    return true;
  }
  bool operator()(const PlainStep& s) const {
    w.run_plain_step(s);
    return true;
  }
  bool operator()(const OutputStep& s) const {
    kernels().store({w.lanes(s.x), w.outputs_[s.output] + w.first_ * static_cast<std::size_t>(s.n), w.plan_.lanes,
                     static_cast<int>(w.count_), s.n});
    return true;
  }
};

bool Worker::run(std::size_t first, std::size_t count) {
  first_ = first;
  count_ = count;
  for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
    if (!std::visit(Execute{*this, i}, plan_.steps[i])) return false;
  }
  return true;
}

}  // namespace weft::emulate
