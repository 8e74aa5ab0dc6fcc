// SPDX-License-Identifier: Apache-2.0
// Transposed convolutions of Keras and QKeras: the gradients of convolutions from the output to the input.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/hgq_parts.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"
#include "weft/formats/keras/spatial_parts.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;
using Ints = std::vector<std::int64_t>;

bool has_bias(ConfigReader& config) { return config.flag("use_bias", true); }

/// Extent of the result, as Keras computes it; `kernel` counts the gaps of a dilated one.
std::int64_t extent_of(std::int64_t n, std::int64_t kernel, std::int64_t stride, bool same,
                       std::optional<std::int64_t> output_padding) {
  if (!output_padding) return n * stride + (same ? 0 : std::max<std::int64_t>(kernel - stride, 0));
  const std::int64_t cut = same ? kernel / 2 : 0;
  return (n - 1) * stride + kernel - 2 * cut + *output_padding;
}

/// What the full result of every axis is cut down to.
void set_geometry(LayerImport& in, const Ints& kernel) {
  check_channels_last(in);
  const auto padding = padding_of(in);
  if (padding != "valid" && padding != "same")
    return in.config.fail(Kind::AttributeUnsupported, fmt::format("`padding` is `{}`", padding));
  const bool same = padding == "same";
  const Ints strides = per_axis(in, "strides", 1);
  const Ints dilations = per_axis(in, "dilation_rate", 1);
  std::optional<Ints> more;
  if (in.config.find("output_padding") != nullptr) more = per_axis(in, "output_padding", 0, 0);
  in.node.attributes["strides"] = strides;
  in.node.attributes["dilations"] = dilations;
  if (channels_of(in) < 0 || !in.config.ok()) return;
  Ints before;
  Ints after;
  for (std::size_t d = 0; d < kernel.size(); ++d) {
    const std::int64_t n = in.input()->at(d);
    constexpr std::int64_t kMost = std::int64_t{1} << 24;
    if (n > kMost || kernel[d] > kMost || strides[d] > kMost || dilations[d] > kMost || (more && more->at(d) > kMost))
      return in.config.fail(Kind::LimitExceeded, fmt::format("axis {} of the layer is too long", d));
    const std::int64_t reach = (kernel[d] - 1) * dilations[d] + 1;
    const auto extent = extent_of(n, reach, strides[d], same, more ? std::optional(more->at(d)) : std::nullopt);
    // The convolution from the result back to the input: "same" pads it evenly, one more behind.
    const std::int64_t full = (n - 1) * strides[d] + reach;
    const std::int64_t back = same ? (extent + strides[d] - 1) / strides[d] : (extent - reach) / strides[d] + 1;
    if (extent < 1 || (!same && extent < reach) || back != n)
      return in.config.fail(
          Kind::ShapeMismatch,
          fmt::format("axis {} would get the extent {}, from which the convolution with kernel {} and "
                      "stride {} does not give {} again",
                      d, extent, kernel[d], strides[d], n));
    before.push_back(same ? std::max<std::int64_t>(full - extent, 0) / 2 : 0);
    after.push_back(full - before.back() - extent);
  }
  in.node.attributes["before"] = before;
  in.node.attributes["after"] = after;
}

/// Keras' kernel [k..., filters, channels] as [k..., channels, filters].
void turn_kernel(LayerImport& in) {
  const auto it = in.node.parameters.find("kernel");
  if (it == in.node.parameters.end()) return;
  auto made = quantized_values(in, std::move(it->second.values), it->second.quantizer);
  if (!made) return;
  if (made->quantized && !made->quantized->scale.per_tensor())
    return in.config.fail(Kind::QuantizerUnsupported,
                          "the kernel quantizer has a scale for each input channel, which no sum over these channels "
                          "can have; give it one alpha");
  Ints order;
  for (std::size_t d = 0; d < made->values.shape.size(); ++d) order.push_back(static_cast<std::int64_t>(d));
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  Shape shape;
  for (const auto d : order) shape.push_back(made->values.shape[static_cast<std::size_t>(d)]);
  it->second = permuted(*made, order, shape);
}

void import_transposed(LayerImport& in) {
  const bool quantized = in.layer.class_name.starts_with("Q");
  const Ints extents = per_axis(in, "kernel_size", 1);
  const auto filters = positive(in, "filters");
  if (positive(in, "groups", 1) != 1)
    return in.config.fail(Kind::AttributeUnsupported, "`groups` of a transposed convolution are not supported");
  set_geometry(in, extents);
  Shape kernel = extents;
  kernel.push_back(filters);
  kernel.push_back(channels_of(in));
  in.take("kernel", "kernel", kernel);
  if (has_bias(in.config)) in.take("bias", "bias", {filters});
  if (quantized) {
    set_quantizer(in, "kernel_quantizer", in.node, "kernel", true);
    set_quantizer(in, "bias_quantizer", in.node, "bias", false);
  }
  if (in.config.ok()) turn_kernel(in);
  set_activation(in, quantized);
  in.infer_output();
}

}  // namespace

std::vector<LayerRow> transposed_rows() {
  const Keys used = {"filters",        "kernel_size", "strides",    "padding",       "data_format",
                     "output_padding", "use_bias",    "activation", "dilation_rate", "groups"};
  std::vector<LayerRow> rows;
  for (const auto* name : {"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "QConv2DTranspose"}) {
    const bool quantized = name[0] == 'Q';
    LayerRow row{.class_name = name,
                 .package = quantized ? "qkeras" : "keras",
                 .op = "ConvTranspose",
                 .used = used,
                 .ignored = dense_ignored(),
                 .refused = dense_refused(),
                 .weights = {{.name = "kernel"}, {.name = "bias", .present = has_bias}},
                 .import = import_transposed};
    if (quantized) {
      row.used.insert(row.used.end(), {"kernel_quantizer", "bias_quantizer"});
      row.ignored.insert(row.ignored.end(), {"kernel_range", "bias_range"});
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace weft::formats::keras
