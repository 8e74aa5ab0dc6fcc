// SPDX-License-Identifier: Apache-2.0
/// @file
/// What an operator's handler gets: its values and attributes, and the graph of layers under construction.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "weft/formats/onnx/constant.h"
#include "weft/formats/onnx/source.h"
#include "weft/nn/graph.h"

namespace weft::formats::onnx {

/// Bounds that keep shape arithmetic inside int64 and chains of small files from costing much.
constexpr std::uint64_t kMaxExtentProduct = std::uint64_t{1} << 60;
constexpr std::size_t kMaxRank = 64;

/// A QuantizeLinear that has not become a layer yet: its DequantizeLinear makes one of both.
struct PendingQuantizer {
  ConstantPtr scale;
  ConstantPtr zero;
  std::int64_t axis = 1;
  std::int64_t lo = 0;  ///< smallest and largest integer
  std::int64_t hi = 0;
  /// The tensor holds the numbers that the integers stand for already.
  bool settled = false;
};

/// A tensor that depends on the input. The layer graph's tensor has the same elements without the batch axis, if there
/// is one (Builder::whole).
/// In ONNX order, its elements have the same order, and axes of extent one may be missing or added, so that Unsqueeze
/// and Squeeze cost nothing. With `channels_last`, it is exactly [spatial..., C] where ONNX has [batch, C, spatial...].
struct Dynamic {
  nn::TensorId tensor;
  Shape shape;                  ///< as ONNX sees it, with the file's batch
  std::int64_t batch_axis = 0;  ///< -1: none, all elements belong to one sample
  Element element = Element::Float32;
  bool channels_last = false;
  std::shared_ptr<const PendingQuantizer> pending{};  ///< `tensor` holds what is to be quantized

  [[nodiscard]] std::int64_t rank() const { return static_cast<std::int64_t>(shape.size()); }
  /// `shape` without the batch axis.
  [[nodiscard]] Shape sample_shape() const;
  /// Whether [spatial..., C] is a possible layout.
  [[nodiscard]] bool has_channels() const { return batch_axis == 0 && shape.size() >= 3; }
  /// [spatial..., C].
  [[nodiscard]] Shape channels_last_shape() const;
  /// The shape of a tensor with all axes in its own layout.
  [[nodiscard]] Shape layer_shape() const { return channels_last ? channels_last_shape() : sample_shape(); }
  /// The axis of `layer_shape` that is ONNX axis `axis`, which is not the batch.
  [[nodiscard]] std::int64_t layer_axis(std::int64_t axis) const;
};

/// Constant, dynamic, or absent (an optional input that is not given).
struct Value {
  ConstantPtr constant;
  std::optional<Dynamic> dynamic;

  Value() = default;
  Value(Constant c) : constant(std::make_shared<const Constant>(std::move(c))) {}  // NOLINT: implicit by design
  Value(ConstantPtr c) : constant(std::move(c)) {}                                 // NOLINT: implicit by design
  Value(Dynamic d) : dynamic(std::move(d)) {}                                      // NOLINT: implicit by design
  [[nodiscard]] bool present() const { return constant != nullptr || dynamic.has_value(); }
};
using Values = std::vector<Value>;

/// The graph under construction, and what all calls share.
struct Builder {
  nn::Graph graph;
  /// The file's batch extent; 1 when it is symbolic.
  std::int64_t batch = 1;
  bool batch_is_fixed = false;
  /// No axis is a batch: the file computes one sample from tensors of fixed shapes. Any axis of extent one may still
  /// play the batch where an operator wants one.
  bool whole = false;
  std::set<std::string> names;
  /// Next number to try for a name that was taken, so that many equal names cost no search.
  std::map<std::string, std::uint64_t> next_number;
  /// Elements made and multiplications done by folding so far, bounded against hostile files.
  std::uint64_t folded_elements = 0;
  std::uint64_t folded_products = 0;
  /// Tensors in ONNX order and the same with channels last, so that one Permute serves all readers.
  std::map<nn::TensorId, nn::TensorId> channels_last_of;
  std::map<nn::TensorId, nn::TensorId> channels_first_of;

  /// `wanted`, or `wanted` with a number, whichever is new.
  std::string unique_name(const std::string& wanted);

  /// What an operator that was read in vain leaves behind goes again.
  struct Mark {
    std::size_t nodes = 0;
    std::size_t tensors = 0;
    std::set<std::string> names;
  };
  [[nodiscard]] Mark mark() const { return {graph.nodes.size(), graph.tensors.size(), names}; }
  void roll_back(const Mark& mark);
};

/// A layer to be added.
struct LayerDraft {
  std::string op;
  AttributeMap attributes{};
  std::vector<nn::TensorId> inputs{};
  std::map<std::string, nn::Parameter> parameters{};
  std::map<std::string, quantizers::Spec> functions{};
  Shape shape{};         ///< of the output in the layer graph
  std::string suffix{};  ///< for layers that one operator needs besides its main one
};

/// One operator being read.
struct Call {
  Context& ctx;
  Builder& builder;
  const NodeHead& node;
  std::string layer_name;  ///< name of the main layer
  Origin origin;
  std::int64_t opset = 0;  ///< of the node's domain
  SourceAttributes attributes;
  Values inputs;
  /// Which outputs anything reads.
  std::vector<bool> used{};

  diag::Failure fail(Kind kind, std::string message) const { return ctx.fail(kind, origin, std::move(message)); }

  [[nodiscard]] bool has_input(std::size_t i) const { return i < inputs.size() && inputs[i].present(); }
  /// All inputs that are given are constants.
  [[nodiscard]] bool all_constant() const;
  /// The constant at input i; `what` names it when it is dynamic ("the exponent"). Fails when absent.
  Result<ConstantPtr> constant(std::size_t i, const std::string& what) const;
  /// A constant integer list at input i.
  Result<std::vector<std::int64_t>> integers(std::size_t i, const std::string& what) const;
  /// The tensor of any element type at input i; refused when it is a constant.
  Result<Dynamic> data(std::size_t i) const;
  /// The dynamic tensor at input i, with float elements.
  Result<Dynamic> dynamic_float(std::size_t i) const;

  [[nodiscard]] bool has_attribute(const std::string& name) const { return attributes.count(name) != 0; }
  Result<std::int64_t> get_int(const std::string& name, std::int64_t fallback) const;
  Result<float> get_float(const std::string& name, float fallback) const;
  Result<std::string> get_string(const std::string& name, const std::string& fallback) const;
  /// Empty when the attribute is absent.
  Result<std::vector<std::int64_t>> get_ints(const std::string& name) const;
  /// An axis in [0, rank) from one in [-rank, rank).
  Result<std::int64_t> axis(std::int64_t value, std::int64_t rank) const;

  /// Counts elements or products of folding against the limits.
  Result<void> spend_elements(const Shape& shape) const;
  Result<void> spend_products(std::uint64_t count) const;

  /// Adds a layer whose output carries the name of output 0 when `main`, or of an intermediate value.
  Result<nn::TensorId> add(LayerDraft draft, bool main = true) const;
  /// `x` in ONNX order; adds a Permute when the elements lie otherwise.
  Result<Dynamic> in_onnx_order(Dynamic x) const;
  /// `x`, which has channels, as [spatial..., C].
  Result<Dynamic> in_channels_last(Dynamic x) const;
  /// The tensor of `x`, in ONNX order, under a sample shape of equal elements; adds a Reshape when it differs.
  Result<nn::TensorId> as_sample_shape(const Dynamic& x, const Shape& wanted) const;
  /// The tensor of `x` with exactly the axes of its layout.
  Result<nn::TensorId> with_all_axes(const Dynamic& x) const;
  /// `x` as a layer input whose last axis is ONNX axis `axis`: the channels of [batch, C, spatial...], or an axis with
  /// nothing but extents of one after it.
  struct LastAxis {
    Dynamic x;  ///< in the layout of `tensor`
    nn::TensorId tensor;
    Shape shape;  ///< in the layer graph
  };
  Result<LastAxis> with_last_axis(const Dynamic& x, std::int64_t axis, const std::string& what) const;

  /// `x` in the layout in which a constant operand varies along the layer graph's last axis, if there is one.
  Result<Dynamic> laid_out_for(const Constant& c, const Dynamic& x) const;
  /// A constant operand as a parameter that broadcasts to the tensor of `x` in the layer graph. Refused where it
  /// differs between samples of the batch or would stretch `x`.
  Result<nn::Parameter> operand(const Constant& c, const Dynamic& x) const;
  /// A constant as one number, or one per index of the single axis of `x` along which it varies.
  struct PerChannel {
    std::vector<double> values;
    std::optional<std::int64_t> axis;  ///< ONNX axis of x; empty for one number
  };
  Result<PerChannel> per_channel(const Constant& c, const Dynamic& x, const std::string& what) const;
  /// Fails when a parameter holds NaN or infinity.
  Result<void> require_finite(const std::vector<float>& values, const std::string& what) const;

  /// `x`, which the source holds in this half precision from here on, as float32: an Identity that says so.
  Result<Dynamic> as_single(const Dynamic& x, Element half) const;

  /// x with another tensor behind it.
  [[nodiscard]] static Dynamic retarget(Dynamic x, nn::TensorId tensor) {
    x.tensor = tensor;
    return x;
  }
};

}  // namespace weft::formats::onnx
