// SPDX-License-Identifier: Apache-2.0
/// @file
/// Views that join the batch with other axes, as linear layers and attention do when PyTorch takes them apart. The
/// layer graph keeps the batch apart: such a value is held in a shape where it is, with a note which axes are one.
#pragma once

#include <optional>

#include "weft/formats/onnx/call.h"

namespace weft::formats::torch {

class AtenCall;

/// PyTorch's axis `axis` is the axes `axis` to `axis + count - 1` of the value that is held.
struct Merge {
  std::int64_t axis = 0;
  std::int64_t count = 1;
  bool operator==(const Merge&) const = default;
};

/// The shape that PyTorch sees.
Shape joined_shape(const Shape& held, const Merge& merge);

/// How to hold a reshape of `x` to `target`, which has as many elements: the shape with the batch apart, and which of
/// its axes are one in `target` (none when count is 1). nullopt where the batch would be torn.
struct Held {
  Shape shape;
  Merge merge;
};
std::optional<Held> hold(const onnx::Dynamic& x, const Shape& target);

/// A permutation of PyTorch's axes as one of those that are held, and where the joined axes are afterwards.
struct HeldPermutation {
  std::vector<std::int64_t> permutation;
  Merge merge;
};
HeldPermutation hold_permutation(const std::vector<std::int64_t>& permutation, const Merge& merge);

/// Data of equal shapes joined along the batch, as the last states of several layers are: held with one axis more, and
/// `merge` says so. nullopt for every other operator.
Result<std::optional<onnx::Values>> join_batches(AtenCall& call, std::optional<Merge>& merge);

}  // namespace weft::formats::torch
