// SPDX-License-Identifier: Apache-2.0
/// @file
/// Quantizers of HGQ with their trained widths, as `hgq_fixed`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

/// The value of a variable of the layer, by its path (WeightFile::all_variables()); nullopt after a failure, which the
/// config remembers, and without a weight file.
std::optional<FloatTensor> read_variable(LayerImport& in, const std::string& path);

/// Sign, integer and fraction bits, of one shape.
struct Widths {
  FloatTensor k, i, f;
};

/// The quantizer of a tensor of shape `target`; `batch` when the widths have an axis for it.
std::optional<quantizers::Spec> make_fixed(LayerImport& in, const Widths& w, const Shape& target, bool batch,
                                           const std::string& rounding, const std::string& overflow);

/// Reads the quantizer configured under `key` (or as `conf`) with the variables of `part` ("iq", "kq" ...).
std::optional<quantizers::Spec> read_hgq(LayerImport& in, std::string_view key, const std::string& part,
                                         const Shape& target, bool batch, const Json* conf = nullptr);

}  // namespace weft::formats::keras
