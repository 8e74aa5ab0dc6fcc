// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the writers of all primitives share. Private to this room.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "weft/fixed/quantize.h"
#include "weft/formats/onnx/model_writer.h"
#include "weft/formats/onnx/write.h"

namespace weft::formats::onnx {

inline constexpr const char* kQonnx = "qonnx.custom_op.general";
/// Codes and sums that a float32 holds exactly.
inline constexpr Int kFloatCodes = Int{1} << 24;
inline constexpr std::size_t kMaxThresholds = std::size_t{1} << 22;
inline constexpr std::size_t kMaxTreeNodes = std::size_t{1} << 20;

inline fixed::Range hull(const std::vector<fixed::Range>& ranges) {
  fixed::Range out = ranges.at(0);
  for (const auto& r : ranges) out = fixed::unite(out, r);
  return out;
}

/// The float32 that a rational is, if it is one.
inline std::optional<float> exact_float(const Rational& value) {
  const float out = fixed::to_float(value);
  if (!std::isfinite(out) || fixed::rational_from_double(out) != value) return std::nullopt;
  return out;
}

inline std::optional<std::string> rounding_name(fixed::Rounding rounding) {
  switch (rounding) {
    case fixed::Rounding::RndConv:
      return "ROUND";
    case fixed::Rounding::Ceil:
      return "CEIL";
    case fixed::Rounding::Trn:
      return "FLOOR";
    case fixed::Rounding::Up:
      return "UP";
    case fixed::Rounding::TrnZero:
      return "DOWN";
    case fixed::Rounding::RndInf:
      return "HALF_UP";
    case fixed::Rounding::RndZero:
      return "HALF_DOWN";
    default:
      return std::nullopt;
  }
}

/// A range of integers as bits, sign and narrowness.
struct Bits {
  int bits = 8;
  bool is_signed = true;
  bool narrow = false;
  [[nodiscard]] Int lo() const { return is_signed ? -(Int{1} << (bits - 1)) + (narrow ? 1 : 0) : 0; }
  [[nodiscard]] Int hi() const {
    return is_signed ? (Int{1} << (bits - 1)) - 1 : (Int{1} << bits) - 1 - (narrow ? 1 : 0);
  }
};

/// Bits that clip numbers of `rounded` to [lo, hi].
inline std::optional<Bits> bits_for(Int lo, Int hi, const fixed::Range& rounded) {
  for (int bits = 1; bits <= 25; ++bits)
    for (const bool is_signed : {false, true})
      for (const bool narrow : {false, true}) {
        if (is_signed && bits == 1) continue;  // QONNX reads one signed bit as bipolar
        if (!is_signed && narrow) continue;
        const Bits b{bits, is_signed, narrow};
        const bool low = b.lo() == lo || (b.lo() < lo && rounded.lo >= lo);
        const bool high = b.hi() == hi || (b.hi() > hi && rounded.hi <= hi);
        if (low && high) return b;
      }
  return std::nullopt;
}

/// The file under construction and the names of the values in it.
class GraphWriter {
 public:
  using ValueId = exact::ValueId;

  GraphWriter(const exact::Graph& graph, const WriteOptions& options, Context& ctx)
      : graph_(graph), options_(options), ctx_(ctx), out_(graph.name, options.qcdq ? 21 : 13) {
    if (!options.qcdq) out_.import(kQonnx, 1);
    names_.resize(graph.values.size());
  }

  [[nodiscard]] const exact::Graph& graph() const { return graph_; }
  [[nodiscard]] Context& context() const { return ctx_; }
  [[nodiscard]] bool is_qcdq() const { return options_.qcdq; }
  ModelWriter& out() { return out_; }
  [[nodiscard]] const exact::Value& at(ValueId id) const { return graph_.at(id); }
  [[nodiscard]] const std::string& tensor(ValueId id) const { return names_[id.index]; }
  std::string& name_of(ValueId id) { return names_[id.index]; }
  static std::size_t channels_of(const exact::Value& value) {
    return value.shape.empty() ? 1 : static_cast<std::size_t>(value.shape.back());
  }

  /// Of numbers that are one, one per index of the last axis, or one per element.
  static Shape shape_of(std::size_t count, const exact::Value& value) {
    if (count == 1) return {};
    return count == channels_of(value) ? Shape{value.shape.back()} : value.shape;
  }

  diag::Failure unsupported(const exact::Value& value, const std::string& what) const;
  /// Codes must survive in float32.
  Result<void> check_codes(const exact::Value& value) const;
  /// The value's scales; refused when one is no float32.
  Result<std::vector<float>> float_scale(const exact::Value& value) const;
  /// Quant, or QuantizeLinear, Clip and DequantizeLinear.
  Result<std::string> quantizer(const exact::Value& value, const std::string& x, const std::vector<float>& scale,
                                float zero_point, const Bits& bits, const std::string& rounding);
  /// Integer weights with a scale per output, elements `order` of the matrix under `shape`.
  Result<std::string> weights(const exact::Value& value, const exact::MatVec& m, const Rational& x_scale,
                              const Shape& shape, const std::vector<std::size_t>& order, std::int64_t channel_axis);
  /// The bias as real numbers; empty when there is none.
  Result<std::vector<float>> bias(const exact::Value& value, const exact::MatVec& m) const;
  /// A Reshape to [batch, shape...].
  std::string reshape(const std::string& base, const std::string& x, const Shape& shape);
  /// A movement keeps real numbers only where the scales move along.
  Result<void> check_movement(const exact::Value& value, const exact::Movement& m) const;

 private:
  Result<std::string> qcdq(const exact::Value& value, const std::string& x, const std::vector<float>& scale,
                           float zero_point, const Bits& bits, const std::string& rounding);

  const exact::Graph& graph_;
  const WriteOptions& options_;
  Context& ctx_;
  ModelWriter out_;
  std::vector<std::string> names_;
};

// One file each.
Result<std::string> write_requant(GraphWriter& w, const exact::Value& value, const exact::Requant& p);
Result<std::string> write_forest(GraphWriter& w, const exact::Value& value, const exact::Forest& p);

}  // namespace weft::formats::onnx
