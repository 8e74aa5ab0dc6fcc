// SPDX-License-Identifier: Apache-2.0
/// @file
/// From an exported program to the graph of layers.
#pragma once

#include "weft/formats/torch/archive.h"
#include "weft/formats/torch/program.h"
#include "weft/nn/graph.h"

namespace weft::formats::torch {

Result<nn::Graph> import_program(const Program& program, Archive& tensors, Context& ctx);

}  // namespace weft::formats::torch
