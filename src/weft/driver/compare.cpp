// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/driver/explain.h"
#include "weft/driver/run.h"
#include "weft/layers/float_run.h"

namespace weft::driver {
namespace {

std::size_t argmax(const std::vector<float>& data, std::size_t row, std::size_t columns) {
  const auto begin = data.begin() + static_cast<std::ptrdiff_t>(row * columns);
  return static_cast<std::size_t>(std::max_element(begin, begin + static_cast<std::ptrdiff_t>(columns)) - begin);
}

/// Area under the ROC curve by ranks, ties counted half; one-vs-rest mean over the classes that occur for several
/// columns.
double auc(const std::vector<float>& scores, std::size_t columns, const std::vector<std::int64_t>& labels) {
  const auto one = [&](std::size_t column, std::int64_t positive) -> std::optional<double> {
    std::vector<std::size_t> order(labels.size());
    std::iota(order.begin(), order.end(), 0);
    const auto score = [&](std::size_t i) { return scores[i * columns + column]; };
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return score(a) < score(b); });
    double positives = 0;
    double rank_sum = 0;
    for (std::size_t i = 0; i < order.size();) {
      std::size_t j = i;
      while (j < order.size() && score(order[j]) == score(order[i])) ++j;
      const double rank = 0.5 * static_cast<double>(i + j + 1);
      for (; i < j; ++i)
        if (labels[order[i]] == positive) {
          ++positives;
          rank_sum += rank;
        }
    }
    const double negatives = static_cast<double>(labels.size()) - positives;
    if (positives == 0 || negatives == 0) return std::nullopt;
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
  };
  if (columns == 1) return one(0, 1).value_or(std::nan(""));
  double sum = 0;
  int count = 0;
  for (std::size_t c = 0; c < columns; ++c)
    if (const auto a = one(c, static_cast<std::int64_t>(c))) {
      sum += *a;
      ++count;
    }
  return count == 0 ? std::nan("") : sum / count;
}

double accuracy(const std::vector<float>& scores, std::size_t columns, const std::vector<std::int64_t>& labels,
                float threshold) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto answer = columns == 1 ? static_cast<std::int64_t>(scores[i] > threshold)
                                     : static_cast<std::int64_t>(argmax(scores, i, columns));
    right += answer == labels[i] ? 1 : 0;
  }
  return labels.empty() ? 0.0 : static_cast<double>(right) / static_cast<double>(labels.size());
}

/// The layer in front of `node`, through layers that are not seen by themselves, that differs in `sample`.
std::string differs_in_front(const nn::Graph& graph, const nn::Node& node, std::int64_t sample, const Comparison& all) {
  std::vector<nn::TensorId> open(node.inputs.begin(), node.inputs.end());
  for (std::size_t i = 0; i < open.size(); ++i) {
    const nn::Node* producer = graph.producer(open[i]);
    if (producer == nullptr) continue;
    const auto layer = std::find_if(all.layers.begin(), all.layers.end(),
                                    [&](const auto& l) { return l.name == producer->name && l.folded_into.empty(); });
    if (layer == all.layers.end())
      open.insert(open.end(), producer->inputs.begin(), producer->inputs.end());
    else if (layer->first_sample >= 0 && layer->first_sample <= sample)
      return layer->name;
  }
  return {};
}

/// Fills `reason` and `why` of every layer that differs.
Result<void> give_reasons(const Session& session, const Session* other, const InputRows& rows, const Prediction& exact,
                          Comparison& all, Context& ctx) {
  const bool any = std::any_of(all.layers.begin(), all.layers.end(), [](const auto& l) { return l.first_sample >= 0; });
  if (!any) return {};
  // The float model on the inputs that the network really gets.
  bool changed = false;
  const InputRows rounded = quantized_inputs(session, rows, changed);
  std::optional<Prediction> behind;
  if (changed && other == nullptr) {
    WEFT_TRY(behind, predict_float(session.model.graph, rounded, true, ctx));
  }
  for (auto& layer : all.layers) {
    if (layer.first_sample < 0) continue;
    const auto probe = std::find_if(session.exact.probes.begin(), session.exact.probes.end(),
                                    [&](const auto& p) { return p.layer == layer.name; });
    Difference d;
    d.element = static_cast<std::size_t>(layer.first_element);
    d.reference = layer.first_float;
    d.exact = layer.first_exact;
    if (probe != session.exact.probes.end() && probe->value && probe->steps.empty())
      d.value = &session.exact.at(*probe->value);
    if (behind) {
      const auto a = behind->trace.find(layer.name);
      const auto b = exact.trace.find(layer.name);
      d.equal_behind_inputs = a != behind->trace.end() && b != exact.trace.end() && a->second.data == b->second.data;
    }
    for (const auto& node : session.model.graph.nodes)
      if (node.name == layer.name)
        d.inherited_from = differs_in_front(session.model.graph, node, layer.first_sample, all);
    const Reason reason = explain(other == nullptr ? session : *other, layer.name, d);
    layer.reason = reason.word;
    layer.why = reason.text;
  }
  return {};
}

}  // namespace

Result<Comparison> compare(const Session& session, const InputRows& rows,
                           const std::optional<std::vector<std::int64_t>>& labels, Context& ctx, const Session* other) {
  if (labels && static_cast<std::int64_t>(labels->size()) != rows.batch)
    return ctx.fail(Kind::ShapeMismatch, {}, "there are not as many labels as samples");
  WEFT_TRY(const auto reference,
           other == nullptr ? predict_float(session.model.graph, rows, true, ctx) : predict(*other, rows, true, ctx));
  WEFT_TRY(const auto exact, predict(session, rows, true, ctx));
  Comparison out;
  out.samples = rows.batch;
  out.input_saturations = exact.input_saturations;
  for (std::size_t i = 0; i < session.exact.inputs.size(); ++i) {
    const auto& input = session.exact.inputs[i];
    const auto& value = session.exact.at(input.value);
    const auto n = static_cast<std::size_t>(std::max<std::int64_t>(element_count(value.shape), 1));
    for (std::size_t k = 0; k < rows.inputs[i].size(); ++k) {
      bool saturated = false;
      const Int code = exact::convert_input(input.conversion, rows.inputs[i][k], saturated);
      const double back = exact::read_out(value, {}, k % n, code);
      out.input_max_abs = std::max(out.input_max_abs, std::fabs(back - rows.inputs[i][k]));
    }
  }
  for (const auto& probe : session.exact.probes) {
    Comparison::Layer layer;
    layer.name = probe.layer;
    layer.folded_into = probe.folded_into;
    if (probe.value) layer.type = type_text(session.exact.at(*probe.value));
    const auto a = reference.trace.find(probe.layer);
    const auto b = exact.trace.find(probe.layer);
    if (const auto it = exact.saturations.find(probe.layer); it != exact.saturations.end())
      layer.saturations = it->second;
    if (a != reference.trace.end() && b != exact.trace.end()) {
      const auto& u = std::get<std::vector<float>>(a->second.data);
      const auto& v = std::get<std::vector<float>>(b->second.data);
      const std::size_t n =
          rows.batch == 0 ? 1 : std::max<std::size_t>(u.size() / static_cast<std::size_t>(rows.batch), 1);
      double sum = 0;
      double largest = 0;
      for (std::size_t k = 0; k < std::min(u.size(), v.size()); ++k) {
        const double d = std::fabs(static_cast<double>(u[k]) - static_cast<double>(v[k]));
        sum += d;
        layer.max_abs = std::max(layer.max_abs, d);
        largest = std::max(largest, std::fabs(static_cast<double>(v[k])));
        if (d != 0.0 && layer.first_sample < 0) {
          layer.first_sample = static_cast<std::int64_t>(k / n);
          layer.first_element = static_cast<std::int64_t>(k % n);
          layer.first_float = u[k];
          layer.first_exact = v[k];
        }
      }
      layer.mean_abs = u.empty() ? 0.0 : sum / static_cast<double>(u.size());
      const auto& value = session.exact.at(*probe.value);
      if (probe.steps.empty() && !u.empty()) {
        double reach = 0;
        for (std::size_t e = 0; e < value.ranges.size(); ++e) {
          const Int most = std::max(value.ranges[e].hi, -value.ranges[e].lo);
          reach = std::max(reach, static_cast<double>(most) *
                                      fixed::to_double(value.scale.at(
                                          value.shape.empty() ? 0 : e % static_cast<std::size_t>(value.shape.back()))));
        }
        if (largest > 0 && reach > largest)
          layer.unused_bits = static_cast<int>(std::floor(std::log2(reach / largest)));
      }
    }
    out.layers.push_back(std::move(layer));
  }
  WEFT_TRY_VOID(give_reasons(session, other, rows, exact, out, ctx));
  if (!reference.outputs.empty() && rows.batch > 0) {
    const auto& u = reference.outputs[0];
    auto v = exact.outputs[0];
    const auto columns = static_cast<std::size_t>(std::max<std::int64_t>(element_count(u.shape), 1));
    const nn::Node* last = session.model.graph.producer(session.model.graph.outputs[0].tensor);
    const bool left_to_host = std::any_of(session.exact.probes.begin(), session.exact.probes.end(), [&](const auto& p) {
      return last != nullptr && p.layer == last->name && p.folded_into == "host";
    });
    // The host's part, so that probabilities stand beside probabilities: ranks of one class depend on the other logits.
    if (left_to_host) layers::softmax_rows(v.values, static_cast<std::size_t>(u.shape.back()));
    if (v.values.size() == u.values.size()) {
      if (columns > 1) {
        std::size_t same = 0;
        for (std::size_t r = 0; r < static_cast<std::size_t>(rows.batch); ++r)
          same += argmax(u.values, r, columns) == argmax(v.values, r, columns) ? 1 : 0;
        out.argmax_agreement = static_cast<double>(same) / static_cast<double>(rows.batch);
      }
      if (labels) {
        out.accuracy_float = accuracy(u.values, columns, *labels, 0.5F);
        out.accuracy_exact = accuracy(v.values, columns, *labels, 0.5F);
        out.auc_float = auc(u.values, columns, *labels);
        out.auc_exact = auc(v.values, columns, *labels);
      }
    }
  }
  return out;
}

}  // namespace weft::driver
