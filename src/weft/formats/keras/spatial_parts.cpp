// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/spatial_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/quantizer_spec.h"

namespace weft::formats::keras {

using Ints = std::vector<std::int64_t>;

std::size_t axes_of(const LayerImport& in) {
  const auto digit = in.layer.class_name.find_first_of("123");
  return digit == std::string::npos ? 2 : static_cast<std::size_t>(in.layer.class_name[digit] - '0');
}

void check_channels_last(LayerImport& in) {
  const auto format = in.config.text("data_format", "channels_last");
  if (format != "channels_last") {
    in.config.fail(Kind::AttributeUnsupported,
                   fmt::format("`data_format` is `{}`; only channels_last is supported", format));
  }
}

Ints per_axis(LayerImport& in, std::string_view key, std::int64_t fallback, std::int64_t least) {
  const std::size_t axes = axes_of(in);
  Ints out = in.config.find(key) == nullptr ? Ints{fallback} : in.config.integers(key);
  if (out.size() == 1) out.assign(axes, out[0]);
  if (out.size() != axes || std::any_of(out.begin(), out.end(), [&](auto v) { return v < least; })) {
    if (in.config.ok())
      in.config.fail(Kind::ModelMalformed, fmt::format("attribute `{}` does not fit {} axes", key, axes));
    out.assign(axes, std::max<std::int64_t>(least, 1));
  }
  return out;
}

std::int64_t positive(LayerImport& in, std::string_view key, std::optional<std::int64_t> fallback) {
  const auto value = in.config.integer(key, fallback);
  if (value >= 1 && static_cast<std::uint64_t>(value) <= in.config.context().limits.tensor_elements) return value;
  in.config.fail(Kind::ModelMalformed, fmt::format("attribute `{}` is {}", key, value));
  return 1;
}

std::int64_t channels_of(LayerImport& in) {
  if (!in.input()) return -1;
  if (in.input()->size() == axes_of(in) + 1) return in.input()->back();
  in.config.fail(Kind::ShapeMismatch, fmt::format("the input has shape {}, {} axes and the channels are expected",
                                                  weft::to_string(*in.input()), axes_of(in)));
  return -1;
}

std::string padding_of(LayerImport& in) {
  auto text = in.config.text("padding", "valid");
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void set_quantizer(LayerImport& in, const char* key, nn::Node& node, const char* role, bool promoted) {
  auto spec = read_quantizer(in.config, key);
  if (!spec || node.parameters.count(role) == 0) return;
  if (promoted) promote_kernel_quantizer(*spec);
  node.parameters[role].quantizer = std::move(spec);
}

}  // namespace weft::formats::keras
