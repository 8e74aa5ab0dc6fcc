// SPDX-License-Identifier: Apache-2.0
#include "builder.h"

namespace weft::conformance {
namespace {

using Ints = std::vector<std::int64_t>;

/// A convolution with a quantized kernel and bias.
nn::Node& conv(Builder& b, const std::string& op, const std::string& name, const Shape& kernel, std::int64_t outputs,
               AttributeMap attributes) {
  auto& n = b.node(op, name);
  n.attributes = std::move(attributes);
  n.parameters["kernel"].values = b.tensor(kernel, -1.0, 1.0);
  n.parameters["kernel"].quantizer = Builder::bits(4, 0);
  n.parameters["bias"].values = b.tensor({outputs}, -0.5, 0.5);
  n.parameters["bias"].quantizer = Builder::bits(6, 1);
  return n;
}

void batch_norm(Builder& b, nn::Node& n, std::int64_t channels) {
  n.attributes["epsilon"] = 0.001;
  n.attributes["inverse"] = std::string("rsqrt");
  n.parameters["mean"].values = b.tensor({channels}, -0.5, 0.5);
  n.parameters["variance"].values = b.tensor({channels}, 0.25, 2.0);
  n.parameters["gamma"].values = b.tensor({channels}, 0.5, 1.5);
  n.parameters["beta"].values = b.tensor({channels}, -0.5, 0.5);
}

AttributeMap same(std::int64_t stride) { return {{"padding", std::string("same")}, {"strides", Ints{stride, stride}}}; }

}  // namespace

void add_spatial_cases(std::vector<Case>& out) {
  const Spec relu = Builder::relu_bits(4, 1);
  const auto exact = [&](Builder& b) { out.push_back(b.done(layers::Word::Exact)); };
  {
    Builder b("conv2d_same_stride", {5, 4, 2}, "fixed<6,2>");
    conv(b, "Conv", "conv", {3, 2, 2, 3}, 3, same(2)).functions["activation"] = relu;
    exact(b);
  }
  {
    Builder b("conv1d_causal_dilated", {7, 2}, "fixed<6,2>");
    conv(b, "Conv", "conv", {3, 2, 3}, 3, {{"padding", std::string("causal")}, {"dilations", Ints{2}}});
    b.activation("act", relu);
    exact(b);
  }
  {
    Builder b("conv2d_grouped_explicit", {4, 4, 4}, "fixed<6,2>");
    conv(b, "Conv", "conv", {2, 2, 2, 4}, 4,
         {{"groups", std::int64_t{2}},
          {"padding", std::string("explicit")},
          {"before", Ints{1, 0}},
          {"after", Ints{0, 2}}});
    b.activation("act", relu);
    exact(b);
  }
  {
    Builder b("conv3d", {3, 3, 2, 1}, "fixed<5,2>");
    conv(b, "Conv", "conv", {2, 2, 2, 1, 2}, 2, {});
    b.activation("act", relu);
    exact(b);
  }
  {
    Builder b("depthwise_and_pointwise", {4, 4, 3}, "fixed<6,2>");
    auto& n = b.node("DepthwiseConv", "depthwise");
    n.attributes = same(1);
    n.parameters["kernel"].values = b.tensor({3, 3, 3, 2}, -1.0, 1.0);
    n.parameters["kernel"].quantizer = Builder::bits(4, 0);
    conv(b, "Conv", "pointwise", {1, 1, 6, 2}, 2, {});
    b.activation("act", relu);
    exact(b);
  }
  {
    Builder b("conv_folded_batchnorm", {4, 3, 2}, "fixed<6,2>");
    batch_norm(b, conv(b, "ConvBatchnorm", "conv", {2, 2, 2, 3}, 3, same(1)), 3);
    b.activation("act", relu);
    batch_norm(b, conv(b, "DepthwiseConvBatchnorm", "depthwise", {2, 2, 3, 1}, 3, {}), 3);
    b.activation("act2", relu);
    exact(b);
  }
  {
    Builder b("max_pool_of_sums", {5, 5, 2}, "fixed<6,2>");
    conv(b, "Conv", "conv", {2, 2, 2, 2}, 2, same(1));
    b.node("MaxPool", "pool").attributes = {
        {"pool", Ints{2, 3}}, {"strides", Ints{2, 2}}, {"padding", std::string("same")}};
    b.activation("act", Builder::bits(5, 2));
    b.node("GlobalMaxPool", "global");
    exact(b);
  }
  {
    // 4, 6 and 9 taps meet in one integer; the quantizer rounds their float32 quotient.
    Builder b("average_pool_at_the_border", {5, 5, 2}, "fixed<6,2>");
    b.node("AveragePool", "pool").attributes = {
        {"pool", Ints{3, 3}}, {"strides", Ints{1, 1}}, {"padding", std::string("same")}};
    b.activation("act", Builder::bits(5, 2));
    exact(b);
  }
  {
    // The adaptive pools of PyTorch: two quotients, each rounded.
    Builder b("average_pool_divided_by_axis", {6, 5, 2}, "fixed<6,2>");
    b.node("AveragePool", "pool").attributes = {
        {"pool", Ints{3, 5}}, {"strides", Ints{3, 5}}, {"divide_by_axis", true}};
    b.activation("act", Builder::bits(5, 2));
    out.push_back(b.done(layers::Word::FloatOrder));
  }
  {
    Builder b("average_pool_ceil_counts_padding", {5, 4, 2}, "fixed<6,2>");
    b.node("AveragePool", "pool").attributes = {
        {"pool", Ints{2, 2}}, {"strides", Ints{2, 2}}, {"ceil", true}, {"count_padding", true}};
    b.activation("act", Builder::bits(5, 2));
    b.node("GlobalAveragePool", "global").attributes = {{"keepdims", true}};
    b.activation("act2", Builder::bits(5, 2));
    exact(b);
  }
  {
    Builder b("pad_slice_upsample_take", {3, 4, 2}, "fixed<6,2>");
    b.node("Pad", "pad").attributes = {
        {"before", Ints{1, 0, 0}}, {"after", Ints{0, 2, 0}}, {"mode", std::string("constant")}, {"value", 0.5}};
    b.node("Slice", "slice").attributes = {{"begin", Ints{0, 5, 0}}, {"end", Ints{4, -1, 2}}, {"step", Ints{1, -2, 1}}};
    b.node("Upsample", "upsample").attributes = {{"repeats", Ints{2, 1, 1}}};
    b.node("Take", "take").attributes = {{"axis", std::int64_t{0}}, {"indices", Ints{7, 0, 0, 3}}};
    b.node("Pad", "reflect").attributes = {
        {"before", Ints{2, -1, 0}}, {"after", Ints{1, 1, 0}}, {"mode", std::string("reflect")}};
    exact(b);
  }
  {
    Builder b("concat_two_grids", {3, 2}, "fixed<6,2>");
    const auto x = b.last();
    b.activation("left", Builder::bits(5, 1));
    const auto left = b.last();
    b.set_last(x);
    b.activation("right", relu);
    const auto right = b.last();
    auto& rows = b.node("Concat", "rows");
    rows.inputs = {left, right};
    rows.attributes = {{"axis", std::int64_t{0}}};
    const auto both = b.last();
    auto& channels = b.node("Concat", "channels");
    channels.inputs = {both, both};
    channels.attributes = {{"axis", std::int64_t{-1}}};
    exact(b);
  }
}

namespace {

/// Two quantized tensors of one input, on different grids.
std::pair<nn::TensorId, nn::TensorId> two_grids(Builder& b) {
  const auto x = b.last();
  b.activation("left", Builder::bits(5, 1));
  const auto left = b.last();
  b.set_last(x);
  b.activation("right", Builder::bits(4, 2));
  return {left, b.last()};
}

}  // namespace

void add_merge_cases(std::vector<Case>& out) {
  for (const std::string name : {"Maximum", "Minimum", "Average", "Average_by_reciprocal"}) {
    Builder b("merge_" + name, {2, 3}, "fixed<7,3>");
    const auto [left, right] = two_grids(b);
    const bool by_reciprocal = name == "Average_by_reciprocal";
    auto& merge = b.node(by_reciprocal ? "Average" : name, "merge");
    merge.inputs = {left, right, left};
    if (by_reciprocal) merge.attributes = {{"by_reciprocal", true}};
    b.activation("act", Builder::bits(5, 2));
    out.push_back(b.done(layers::Word::Exact));
  }
  for (const char* op : {"ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean"}) {
    Builder b(op, {2, 3, 2}, "fixed<6,2>");
    b.node(op, "inner").attributes = {{"axes", Ints{1}}, {"keepdims", true}};
    b.activation("act", Builder::bits(6, 3));
    b.node(op, "all");
    b.activation("act2", Builder::bits(6, 4));
    out.push_back(b.done(layers::Word::Exact));
  }
}

}  // namespace weft::conformance
