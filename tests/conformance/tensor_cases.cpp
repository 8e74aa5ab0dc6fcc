// SPDX-License-Identifier: Apache-2.0
// Products of tensors, transposed convolutions, sorting, and arrangements of elements.
#include "builder.h"
#include "weft/layers/resample.h"

namespace weft::conformance {
namespace {

using Ints = std::vector<std::int64_t>;

nn::Node& einsum(Builder& b, const std::string& name, const std::string& equation, std::vector<nn::TensorId> inputs) {
  auto& n = b.node("Einsum", name);
  n.attributes["equation"] = equation;
  n.inputs = std::move(inputs);
  return n;
}

nn::Node& conv_transpose(Builder& b, const std::string& name, const Shape& kernel, std::int64_t outputs,
                         AttributeMap attributes) {
  auto& n = b.node("ConvTranspose", name);
  n.attributes = std::move(attributes);
  n.parameters["kernel"].values = b.tensor(kernel, -1.0, 1.0);
  n.parameters["kernel"].quantizer = Builder::bits(4, 0);
  n.parameters["bias"].values = b.tensor({outputs}, -0.5, 0.5);
  n.parameters["bias"].quantizer = Builder::bits(6, 1);
  return n;
}

/// Two tensors of one input on different grids.
std::pair<nn::TensorId, nn::TensorId> two(Builder& b) {
  const auto x = b.last();
  b.activation("left", Builder::bits(5, 1));
  const auto left = b.last();
  b.set_last(x);
  b.activation("right", Builder::bits(4, 2));
  return {left, b.last()};
}

}  // namespace

void add_tensor_cases(std::vector<Case>& out) {
  const Spec narrow = Builder::bits(6, 3);
  const auto exact = [&](Builder& b) { out.push_back(b.done(layers::Word::Exact)); };
  {
    Builder b("matmul_of_two", {2, 3, 4}, "fixed<6,2>");
    const auto [left, right] = two(b);
    einsum(b, "scores", "hid,hjd->hij", {left, right});
    b.activation("act", narrow);
    const auto scores = b.last();
    einsum(b, "mixed", "hij,hjd->ihd", {scores, right});
    b.activation("act2", narrow);
    exact(b);
  }
  {
    Builder b("einsum_stretched_and_summed", {3, 4}, "fixed<6,2>");
    const auto [left, right] = two(b);
    b.set_last(right);
    b.node("ReduceSum", "sums").attributes = {{"axes", Ints{1}}, {"keepdims", true}};
    const auto sums = b.last();
    einsum(b, "outer", "ik,jk->ji", {left, sums});
    b.activation("act", narrow);
    einsum(b, "alone", "ij->j", {b.last()});
    b.activation("act2", narrow);
    exact(b);
  }
  {
    // Every row of the first axis has a matrix of its own; the bias varies with both.
    Builder b("einsum_constant_per_row", {3, 4}, "fixed<6,2>");
    auto& n = einsum(b, "rows", "bi,bij->bj", {b.last()});
    n.parameters["kernel"].values = b.tensor({3, 4, 2}, -1.0, 1.0);
    n.parameters["kernel"].quantizer = Builder::bits(4, 0);
    n.parameters["bias"].values = b.tensor({3, 2}, -1.0, 1.0);
    n.parameters["bias"].quantizer = Builder::bits(5, 1);
    b.activation("act", narrow);
    exact(b);
  }
  {
    Builder b("einsum_constant_first", {3, 4}, "fixed<6,2>");
    auto& n = einsum(b, "left", "oi,ij->oj", {b.last()});
    n.attributes["constant_first"] = true;
    n.parameters["kernel"].values = b.tensor({2, 3}, -1.0, 1.0);
    n.parameters["kernel"].quantizer = Builder::bits(4, 0);
    n.functions["activation"] = narrow;
    exact(b);
  }
  {
    Builder b("bilinear_resize", {3, 4, 2}, "fixed<6,2>");
    layers::Resampling how;
    how.mode = "linear";
    how.scale = 2.0;
    auto& rows = einsum(b, "rows", "hwc,hZ->Zwc", {b.last()});
    rows.parameters["kernel"] = layers::interpolation_weights(how, 3, 6)->matrix;
    auto& columns = einsum(b, "columns", "hwc,wZ->hZc", {b.last()});
    columns.parameters["kernel"] = layers::interpolation_weights(how, 4, 8)->matrix;
    b.activation("act", Builder::bits(8, 2));
    exact(b);
  }
  {
    Builder b("conv_transpose_2d", {3, 4, 2}, "fixed<6,2>");
    conv_transpose(b, "up", {3, 2, 2, 3}, 3, {{"strides", Ints{2, 3}}, {"before", Ints{1, 0}}, {"after", Ints{0, -2}}});
    b.activation("act", narrow);
    exact(b);
  }
  {
    Builder b("conv_transpose_1d_grouped_dilated", {5, 4}, "fixed<6,2>");
    conv_transpose(b, "up", {3, 2, 6}, 6,
                   {{"strides", Ints{2}}, {"dilations", Ints{2}}, {"before", Ints{1}}, {"groups", std::int64_t{2}}});
    b.activation("act", narrow);
    exact(b);
  }
  {
    Builder b("top_k_and_positions", {3, 7}, "fixed<6,2>");
    const auto x = b.last();
    b.node("TopK", "largest").attributes = {{"k", std::int64_t{4}}};
    const auto largest = b.last();
    b.set_last(x);
    b.node("TopK", "smallest").attributes = {{"k", std::int64_t{2}}, {"smallest", true}};
    const auto smallest = b.last();
    b.set_last(x);
    b.node("ArgMax", "last").attributes = {
        {"k", std::int64_t{2}}, {"keepdims", true}, {"last", true}, {"smallest", true}};
    const auto positions = b.last();
    auto& all = b.node("Concat", "all");
    all.inputs = {largest, smallest, positions};
    all.attributes = {{"axis", std::int64_t{-1}}};
    exact(b);
  }
  {
    Builder b("pick_and_where", {2, 3}, "fixed<6,2>");
    const auto x = b.last();
    b.node("Pick", "pick").attributes = {
        {"shape", Ints{3, 3}}, {"indices", Ints{5, -1, 0, 3, 3, -1, 1, 2, 4}}, {"value", 0.75}};
    const auto picked = b.last();
    auto& constant = b.node("Constant", "constant");
    constant.inputs = {};
    constant.parameters["value"].values = b.tensor({3}, -1.0, 1.0);
    constant.parameters["value"].quantizer = Builder::bits(5, 1);
    const auto number = b.last();
    b.set_last(x);
    b.node("Slice", "row").attributes = {{"begin", Ints{1, 0}}, {"end", Ints{2, 3}}, {"step", Ints{1, 1}}};
    b.activation("condition", Builder::spec("multithreshold", {{"thresholds", std::vector<double>{0.25}}}));
    const auto condition = b.last();
    b.node("Where", "where").inputs = {condition, picked, number};
    exact(b);
  }
  {
    Builder b("embedding", {4}, "ufixed<3,3>");
    auto& n = b.node("Embedding", "embedding");
    n.parameters["table"].values = b.tensor({8, 3}, -1.0, 1.0);
    n.parameters["table"].quantizer = Builder::bits(5, 0);
    exact(b);
  }
}

}  // namespace weft::conformance
