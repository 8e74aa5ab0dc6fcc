// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/integer_rows.h"
#include "weft/layers/layer.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

bool contains(const std::vector<std::string_view>& list, const std::string& key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

/// What an importer wrote for a node must fit the row; hostile `.weft` files make this a user error.
Result<void> check_schema(const Layer& layer, const nn::Node& node, Context& ctx) {
  const auto fail = [&](const std::string& what) { return ctx.fail(Kind::ModelMalformed, node.origin, what); };
  if (node.inputs.size() < layer.min_inputs || node.inputs.size() > layer.max_inputs)
    return fail(fmt::format("{} takes {} to {} inputs, {} are given", layer.op, layer.min_inputs, layer.max_inputs,
                            node.inputs.size()));
  if (node.outputs.empty() || node.outputs.size() > layer.max_outputs)
    return fail(fmt::format("{} has up to {} outputs, {} are given", layer.op, layer.max_outputs, node.outputs.size()));
  for (const auto& [key, value] : node.attributes)
    if (!contains(layer.attributes, key)) return fail(fmt::format("{} has no attribute `{}`", layer.op, key));
  for (const auto& [role, value] : node.parameters)
    if (!contains(layer.required_parameters, role) && !contains(layer.optional_parameters, role))
      return fail(fmt::format("{} has no parameter `{}`", layer.op, role));
  for (const auto& role : layer.required_parameters)
    if (node.parameters.count(std::string(role)) == 0)
      return fail(fmt::format("{} lacks its parameter `{}`", layer.op, role));
  for (const auto& [role, value] : node.functions)
    if (!contains(layer.functions, role)) return fail(fmt::format("{} has no function `{}`", layer.op, role));
  return {};
}

}  // namespace

const std::vector<Layer>& all_layers() {
  static const std::vector<Layer> rows = {activation_layer(),
                                          add_layer(),
                                          argmax_layer(),
                                          average_layer(),
                                          average_pool_layer(),
                                          batch_norm_layer(),
                                          concat_layer(),
                                          constant_layer(),
                                          conv_layer(),
                                          conv_batchnorm_layer(),
                                          conv_transpose_layer(),
                                          dense_layer(),
                                          dense_batchnorm_layer(),
                                          depthwise_conv_layer(),
                                          depthwise_conv_batchnorm_layer(),
                                          div_layer(),
                                          einsum_layer(),
                                          embedding_layer(),
                                          forest_layer(),
                                          global_average_pool_layer(),
                                          global_max_pool_layer(),
                                          gru_layer(),
                                          identity_layer(),
                                          if_layer(),
                                          layer_norm_layer(),
                                          integer_add_layer(),
                                          integer_average_pool_layer(),
                                          integer_conv_layer(),
                                          integer_dense_layer(),
                                          integer_depthwise_conv_layer(),
                                          integer_einsum_layer(),
                                          integer_lstm_layer(),
                                          integer_mul_layer(),
                                          integer_rescale_layer(),
                                          integer_resize_layer(),
                                          integer_softmax_layer(),
                                          integer_sum_layer(),
                                          integer_table_layer(),
                                          integer_transposed_conv_layer(),
                                          lif_layer(),
                                          link_layer(),
                                          log_softmax_layer(),
                                          lstm_layer(),
                                          max_pool_layer(),
                                          maximum_layer(),
                                          minimum_layer(),
                                          mul_layer(),
                                          normalization_layer(),
                                          pad_layer(),
                                          permute_layer(),
                                          pick_layer(),
                                          pow_layer(),
                                          reduce_max_layer(),
                                          reduce_mean_layer(),
                                          reduce_min_layer(),
                                          reduce_sum_layer(),
                                          rescaling_layer(),
                                          reshape_layer(),
                                          simple_rnn_layer(),
                                          slice_layer(),
                                          softmax_layer(),
                                          sub_layer(),
                                          take_layer(),
                                          top_k_layer(),
                                          upsample_layer(),
                                          where_layer()};
  return rows;
}

const Layer* find_layer(std::string_view op) {
  for (const auto& row : all_layers())
    if (row.op == op) return &row;
  return nullptr;
}

Result<std::vector<Shape>> output_shapes(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Layer* layer = find_layer(node.op);
  WEFT_CHECK(layer != nullptr, "a node of no layer");
  if (layer->infer_shapes != nullptr) return layer->infer_shapes(graph, node, ctx);
  WEFT_TRY(auto shape, layer->infer_shape(graph, node, ctx));
  return std::vector<Shape>{std::move(shape)};
}

Result<Shape> same_shape(const nn::Graph& graph, const nn::Node& node, Context&) {
  return graph.at(node.inputs[0]).shape;
}
std::int64_t no_macs(const nn::Graph&, const nn::Node&) { return 0; }

Result<void> check(nn::Graph& graph, Context& ctx) {
  bool ok = true;
  std::vector<bool> known(graph.tensors.size(), false);
  for (const auto& port : graph.inputs) known[port.tensor.index] = true;
  for (const auto& node : graph.nodes) {
    const Layer* layer = find_layer(node.op);
    if (layer == nullptr) {
      ctx.report(Kind::LayerUnsupported, node.origin, fmt::format("`{}` is no layer that weft knows", node.op));
      return diag::failure;
    }
    if (!check_schema(*layer, node, ctx)) {
      ok = false;
      continue;
    }
    for (auto id : node.inputs)
      if (!known[id.index])
        return ctx.fail(Kind::ModelMalformed, node.origin, "the node reads a tensor that nothing has computed yet");
    const auto shapes = output_shapes(graph, node, ctx);
    if (!shapes) {
      ok = false;
      continue;
    }
    WEFT_CHECK(shapes->size() >= node.outputs.size(), "a layer without shapes of its outputs");
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      graph.tensors[node.outputs[i].index].shape = (*shapes)[i];
      known[node.outputs[i].index] = true;
    }
  }
  if (!ok) return diag::failure;
  for (const auto& port : graph.outputs)
    if (!known[port.tensor.index])
      return ctx.fail(Kind::ModelMalformed, {.file = graph.file, .tensor = port.name},
                      "nothing computes this graph output");
  return {};
}

}  // namespace weft::layers
