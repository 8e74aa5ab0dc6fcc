// SPDX-License-Identifier: Apache-2.0
// UpSampling and Resizing: whole repetitions, nearest neighbours, or weights of linear and cubic interpolation, as
// tf.image.resize computes them with centres of pixels at halves.
#include <fmt/format.h>

#include "weft/formats/keras/row_parts.h"
#include "weft/formats/keras/spatial_parts.h"
#include "weft/layers/resample.h"

namespace weft::formats::keras {
namespace {

using Ints = std::vector<std::int64_t>;

/// One axis of `x` resized to `extent`; nullopt after a failure.
std::optional<nn::TensorId> resized(LayerImport& in, nn::TensorId x, std::size_t axis, std::int64_t extent,
                                    const std::string& mode) {
  const Shape shape = in.shape_of(x);
  const std::int64_t n_in = shape[axis];
  constexpr std::int64_t kMostWeights = std::int64_t{1} << 24;
  if (extent > kMostWeights / n_in) {
    in.config.fail(Kind::LimitExceeded, fmt::format("axis {} is resized from {} to {}", axis, n_in, extent));
    return std::nullopt;
  }
  const std::string suffix = fmt::format("_axis{}", axis);
  layers::Resampling how;
  how.scale = static_cast<double>(extent) / static_cast<double>(n_in);
  if (mode == "nearest") {
    how.coordinates = "tf_half_pixel_for_nn";
    how.rounding = "floor";
    return in.emit(
        suffix, "Take", {x},
        {{"axis", static_cast<std::int64_t>(axis)}, {"indices", *layers::nearest_elements(how, n_in, extent)}});
  }
  how.mode = mode;
  // TensorFlow's kernel: Keys' weights from a table of 1024 positions, weights outside of the image left out.
  how.cubic_a = -0.5;
  how.position_steps = mode == "cubic" ? 1024.0 : 0.0;
  how.exclude_outside = mode == "cubic";
  std::string labels;
  for (std::size_t d = 0; d < shape.size(); ++d) labels += static_cast<char>('a' + d);
  std::string result = labels;
  result[axis] = 'Z';
  nn::Node node;
  node.name = in.node.name + suffix;
  node.op = "Einsum";
  node.inputs = {x};
  node.attributes["equation"] = labels + "," + labels[axis] + "Z->" + result;
  node.parameters["kernel"] = layers::interpolation_weights(how, n_in, extent)->matrix;
  return in.emit(std::move(node));
}

/// The spatial axes resized to `extents`, one after the other.
void finish_resized(LayerImport& in, const Ints& extents, const std::string& mode) {
  std::optional<nn::TensorId> x = in.tensors[0];
  for (std::size_t d = 0; d < extents.size() && x; ++d)
    if (in.shape_of(*x)[d] != extents[d]) x = resized(in, *x, d, extents[d], mode);
  in.finish(x);
}

/// "nearest", "linear" or "cubic"; nullopt after a failure.
std::optional<std::string> mode_of(LayerImport& in, std::string_view fallback) {
  const auto interpolation = in.config.text("interpolation", fallback);
  if (interpolation == "nearest") return "nearest";
  if (interpolation == "bilinear") return "linear";
  if (interpolation == "bicubic") return "cubic";
  in.config.fail(Kind::AttributeUnsupported,
                 fmt::format("`interpolation` is `{}`; nearest, bilinear and bicubic are supported", interpolation));
  return std::nullopt;
}

void import_upsampling(LayerImport& in) {
  check_channels_last(in);
  const auto mode = mode_of(in, "nearest");
  Ints repeats = per_axis(in, "size", 2);
  if (!mode || channels_of(in) < 0 || !in.ready()) return in.config.fail_reported();
  const Shape shape = *in.input();
  for (std::size_t d = 0; d < repeats.size(); ++d)
    if (repeats[d] > (std::int64_t{1} << 24) / shape[d])
      return in.config.fail(Kind::LimitExceeded, fmt::format("axis {} is repeated {} times", d, repeats[d]));
  if (*mode != "nearest") {
    for (std::size_t d = 0; d < repeats.size(); ++d) repeats[d] *= shape[d];
    return finish_resized(in, repeats, *mode);
  }
  repeats.push_back(1);
  in.finish(in.emit("_of", "Upsample", {in.tensors[0]}, {{"repeats", repeats}}));
}

void import_resizing(LayerImport& in) {
  check_channels_last(in);
  const auto mode = mode_of(in, "bilinear");
  const Ints extents = {positive(in, "height"), positive(in, "width")};
  if (!mode || channels_of(in) < 0 || !in.ready()) return in.config.fail_reported();
  finish_resized(in, extents, *mode);
}

}  // namespace

std::vector<LayerRow> resize_rows() {
  std::vector<LayerRow> rows;
  for (const auto* name : {"UpSampling1D", "UpSampling2D", "UpSampling3D"})
    rows.push_back({.class_name = name,
                    .package = "keras",
                    .op = "Upsample",
                    .used = {"size", "interpolation", "data_format"},
                    .ignored = {},
                    .refused = {},
                    .weights = {},
                    .import = import_upsampling});
  rows.push_back({.class_name = "Resizing",
                  .package = "keras",
                  .op = "Einsum",
                  .used = {"height", "width", "interpolation", "data_format"},
                  .ignored = {"fill_mode", "fill_value"},
                  .refused = {"crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"},
                  .weights = {},
                  .import = import_resizing});
  return rows;
}

}  // namespace weft::formats::keras
