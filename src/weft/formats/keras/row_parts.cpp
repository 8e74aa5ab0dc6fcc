// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/row_parts.h"

#include <fmt/format.h>

#include <numeric>

#include "weft/formats/keras/quantizer_spec.h"

namespace weft::formats::keras {
namespace {

bool has_bias(ConfigReader& config) { return config.flag("use_bias", true); }
bool has_gamma(ConfigReader& config) { return config.flag("scale", true); }
bool has_beta(ConfigReader& config) { return config.flag("center", true); }

}  // namespace

std::vector<std::string_view> dense_ignored() {
  return {"kernel_initializer", "bias_initializer",  "kernel_regularizer",
          "bias_regularizer",   "kernel_constraint", "bias_constraint"};
}

std::vector<std::string_view> dense_refused() {
  return {"lora_rank", "lora_alpha", "quantization_mode", "quantization_config"};
}

std::vector<WeightRow> dense_weights() { return {{.name = "kernel"}, {.name = "bias", .present = has_bias}}; }

void take_dense_weights(LayerImport& in) {
  const auto units = in.config.integer("units");
  if (units < 1 || static_cast<std::uint64_t>(units) > in.config.context().limits.tensor_elements) {
    return in.config.fail(Kind::ModelMalformed, fmt::format("attribute `units` is {}", units));
  }
  if (in.input() && in.input()->empty()) {
    return in.config.fail(Kind::ShapeMismatch, "the input has no axis besides the batch");
  }
  in.take("kernel", "kernel", {in.input() ? in.input()->back() : -1, units});
  if (has_bias(in.config)) in.take("bias", "bias", {units});
  in.output = in.input();
  if (in.output) in.output->back() = units;
}

std::vector<std::string_view> batch_norm_ignored() {
  return {"momentum",
          "beta_initializer",
          "gamma_initializer",
          "beta_regularizer",
          "gamma_regularizer",
          "moving_mean_initializer",
          "moving_variance_initializer",
          "beta_constraint",
          "gamma_constraint",
          "synchronized"};
}

std::vector<WeightRow> batch_norm_weights(std::string_view owner) {
  return {{.name = "gamma", .present = has_gamma, .owner = owner},
          {.name = "beta", .present = has_beta, .owner = owner},
          {.name = "moving_mean", .owner = owner},
          {.name = "moving_variance", .owner = owner}};
}

std::optional<std::size_t> batch_norm_axis(LayerImport& in, const Shape& shape) {
  const auto axes = in.config.find("axis") != nullptr ? in.config.integers("axis") : std::vector<std::int64_t>{-1};
  // Keras counts the batch.
  const auto rank = static_cast<std::int64_t>(shape.size());
  const std::int64_t axis = axes.empty() ? 0 : axes[0] < 0 ? axes[0] + rank : axes[0] - 1;
  if (axes.size() == 1 && axis >= 0 && axis < rank && axes[0] != 0) return static_cast<std::size_t>(axis);
  in.config.fail(Kind::AttributeUnsupported,
                 fmt::format("`axis` is {}; one axis of the input besides the batch is supported",
                             in.config.find("axis") == nullptr ? "-1" : shown(*in.config.find("axis"))));
  return std::nullopt;
}

std::int64_t batch_norm_channels(LayerImport& in, const std::optional<Shape>& shape) {
  if (!shape) return -1;
  const auto axis = batch_norm_axis(in, *shape);
  if (!axis) return -1;
  if (*axis + 1 == shape->size()) return shape->back();
  in.config.fail(Kind::AttributeUnsupported,
                 fmt::format("`axis` is {}, not the last one of what is normalized", shown(*in.config.find("axis"))));
  return -1;
}

void finish_batch_norm(LayerImport& in) {
  in.output = in.input();
  if (!in.input()) return take_batch_norm_weights(in, -1);
  const auto axis = batch_norm_axis(in, *in.input());
  if (!axis) return;
  take_batch_norm_weights(in, in.input()->at(*axis));
  if (*axis + 1 == in.input()->size()) return;
  // The axis behind all others, and back again.
  std::vector<std::int64_t> order(in.input()->size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::swap(order[*axis], order.back());
  const auto moved = [&](const char* suffix) {
    nn::Node node;
    node.name = in.layer.name + suffix;
    node.op = "Permute";
    node.origin = in.node.origin;
    node.attributes["permutation"] = order;
    node.inputs = in.node.inputs;
    return node;
  };
  nn::Node back = moved("");
  in.node.name += "_normalized";
  in.chain = {moved("_moved"), std::move(in.node)};
  in.node = std::move(back);
}

void take_batch_norm_weights(LayerImport& in, std::int64_t channels) {
  if (has_gamma(in.config)) in.take("gamma", "gamma", {channels});
  if (has_beta(in.config)) in.take("beta", "beta", {channels});
  in.take("moving_mean", "mean", {channels});
  in.take("moving_variance", "variance", {channels});
}

std::optional<nn::Parameter> quantized_values(LayerImport& in, FloatTensor values,
                                              const std::optional<quantizers::Spec>& spec) {
  if (!spec) return nn::Parameter{std::move(values), {}, {}};
  const auto function = quantizers::make(*spec, in.config.origin(), in.config.context());
  if (function) {
    auto done = (*function)->quantize(values, in.config.origin(), in.config.context());
    if (done) {
      nn::Parameter out{done->values, {}, {}};
      out.quantized = std::move(done).value();
      return out;
    }
  }
  in.config.fail_reported();
  return std::nullopt;
}

void set_activation(LayerImport& in, bool quantized) {
  auto choice = read_activation(in.config, "activation", quantized, in.keras_major);
  const bool alone = in.node.op == "Activation";
  if (choice.softmax && alone) {
    in.node.op = "Softmax";
    in.node.attributes["axis"] = std::int64_t{-1};
  } else if (choice.softmax) {
    in.softmax = true;
  } else if (choice.function) {
    in.node.functions["activation"] = std::move(*choice.function);
  } else if (alone) {
    in.node.op = "Identity";
  }
}

}  // namespace weft::formats::keras
