// SPDX-License-Identifier: Apache-2.0
/// @file
/// A TensorFlow Lite file as plain data. Field numbers are those of the published schema, version 3.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/tflite/flatbuffer.h"
#include "weft/support/context.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::tflite {

enum class Type {
  Float32 = 0,
  Float16 = 1,
  Int32 = 2,
  UInt8 = 3,
  Int64 = 4,
  Bool = 6,
  Int16 = 7,
  Int8 = 9,
  Int4 = 17,
  Other = 255
};
std::string_view to_string(Type type);
/// Smallest and largest integer of a type that can be quantized; both 0 for others.
struct IntegerLimits {
  std::int64_t lo = 0;
  std::int64_t hi = 0;
};
IntegerLimits limits_of(Type type);

struct TensorDef {
  std::string name;
  Shape shape;
  Type type = Type::Other;
  std::vector<float> scales;
  std::vector<std::int64_t> zero_points;
  std::int64_t axis = 0;
  std::string_view data;  ///< of a constant
  bool variable = false;

  [[nodiscard]] bool quantized() const { return !scales.empty() && limits_of(type).hi != 0; }
  [[nodiscard]] float scale() const { return scales.empty() ? 1.0F : scales[0]; }
  [[nodiscard]] std::int64_t zero_point() const { return zero_points.empty() ? 0 : zero_points[0]; }
};

struct OperatorDef {
  std::string name;  ///< "CONV_2D", or that of a custom operator
  bool custom = false;
  std::int64_t version = 1;
  std::vector<std::int64_t> inputs;  ///< tensor, or -1 for none
  std::vector<std::int64_t> outputs;
  std::vector<std::int64_t> intermediates;
  Table options;
};

/// The first subgraph. Views point into the bytes given to read_model().
struct ModelDef {
  std::string file;
  std::vector<TensorDef> tensors;
  std::vector<OperatorDef> operators;
  std::vector<std::int64_t> inputs;
  std::vector<std::int64_t> outputs;
  std::size_t subgraphs = 0;
};

/// Decodes and checks every index; `buffer` must outlive the result.
Result<ModelDef> read_model(FlatBuffer& buffer, const std::string& file, Context& ctx);

}  // namespace weft::formats::tflite
