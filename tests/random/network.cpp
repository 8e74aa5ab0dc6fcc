// SPDX-License-Identifier: Apache-2.0
#include "network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "quantizer_choice.h"

namespace weft::random_networks {
namespace {

using quantizers::Spec;

/// A tensor that the next layer can read.
struct Wire {
  nn::TensorId id;
  Shape shape;
  [[nodiscard]] std::int64_t width() const { return shape.back(); }
};

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : dice_(seed * 0x9e3779b97f4a7c15ULL + 0x5851f42d4c957f2dULL) {
    out_.seed = seed;
    graph().name = fmt::format("random_{}", seed);
    graph().file = graph().name;
    odd_names_ = dice_.chance(15);
    graph().framework = dice_.chance(50) ? nn::Framework::Keras : nn::Framework::Onnx;
  }

  Network make() {
    Wire last = input("x");
    const bool two_inputs = dice_.chance(15);
    const std::int64_t depth = dice_.between(1, 4);
    // The layer at which the second input, or a second branch, joins.
    const std::int64_t join = two_inputs || dice_.chance(15) ? dice_.between(0, depth - 1) : -1;
    for (std::int64_t d = 0; d < depth; ++d) {
      const bool is_final = d + 1 == depth;
      if (d == join) {
        last = merge(last, two_inputs ? input("z") : dice_.pick(wires_));
      } else {
        last = dense_block(last, dice_.between(1, 24), is_final, std::nullopt);
      }
      if (last.shape.size() > 1) last = flatten(last);
    }
    last = finish(last);
    graph().outputs.push_back({name("y"), last.id});
    more_outputs(last);
    if (dice_.chance(6)) dense_block(dice_.pick(wires_), dice_.between(1, 6), true, std::nullopt);  // nobody reads it
    settings();
    plan();
    return std::move(out_);
  }

 private:
  nn::Graph& graph() { return out_.graph; }

  /// The plain name, or one that Verilog, C++ and files do not like.
  std::string name(const std::string& plain) {
    if (!odd_names_) return plain;
    static const std::vector<std::string> kOdd = {"a b",  "a-b", "a_b",   "a.b/c:0", "reg",  "module", "clk",
                                                  "rst",  "1st", "in_x",  "out_y",   "main", "int",    "\xc3\xa4",
                                                  "x__y", "$",   "valid", "weft",    "tb"};
    const std::string odd = dice_.pick(kOdd);
    return names_.insert(odd).second ? odd : odd + "." + plain;
  }

  // --- nodes
  nn::Node& node(const std::string& op, const std::vector<Wire>& inputs, const std::string& hint) {
    nn::Node node;
    node.name = name(fmt::format("{}_{}", hint, graph().nodes.size()));
    node.op = op;
    node.origin = {graph().file, node.name, op, ""};
    for (const auto& wire : inputs) node.inputs.push_back(wire.id);
    node.outputs = {graph().add_tensor(node.name, {})};
    graph().nodes.push_back(std::move(node));
    return graph().nodes.back();
  }
  Wire result(const nn::Node& node, Shape shape) {
    wires_.push_back({node.outputs[0], std::move(shape)});
    return wires_.back();
  }
  Wire activation(const Wire& x, const Spec& function) {
    auto& n = node("Activation", {x}, "act");
    n.functions["activation"] = function;
    return result(n, x.shape);
  }

  // --- numbers
  /// float32 numbers of [-1, 1] times `reach`, with ties of coarse grids and zeros put in.
  FloatTensor numbers(const Shape& shape, double reach) {
    FloatTensor out(shape);
    const bool coarse = dice_.chance(30);
    const int zeros = dice_.chance(30) ? 40 : 5;
    for (auto& v : out.data) {
      const double x = dice_.real(-reach, reach);
      v = static_cast<float>(dice_.chance(zeros) ? 0.0 : coarse || dice_.chance(15) ? std::rint(x * 16.0) / 16.0 : x);
    }
    return out;
  }
  FloatTensor positive(const Shape& shape, double lo, double hi) {
    FloatTensor out(shape);
    for (auto& v : out.data) v = static_cast<float>(dice_.real(lo, hi));
    return out;
  }

  // --- layers
  Wire input(const std::string& plain) {
    Shape shape{dice_.between(1, 24)};
    if (plain == "x" && dice_.chance(10)) shape = {dice_.between(1, 4), dice_.between(1, 6)};
    const std::string own = name(plain);
    Wire x{graph().add_tensor(own, shape), shape};
    wires_.push_back(x);
    graph().inputs.push_back({own, x.id});
    if (dice_.chance(30)) {
      // The model's own quantizer, perhaps behind data movement.
      if (dice_.chance(20)) x = result(node("Identity", {x}, "identity"), shape);
      const Spec spec = dice_.chance(50)   ? plain_activation(dice_)
                        : dice_.chance(60) ? random_qonnx(dice_, 1, true)
                                           : make_spec("bipolar_quant", {{"scale", std::vector<double>{1.0}}});
      return activation(x, spec);
    }
    out_.input_types[own] = input_type();
    if (dice_.chance(20)) {
      x = affine(x);
      return activation(x, dice_.chance(70) ? plain_activation(dice_) : random_activation(dice_, x.width()));
    }
    return x;
  }
  std::string input_type() {
    if (dice_.chance(20))
      return dice_.pick<std::string>({"bipolar", "ternary", "binary", "int<4>", "uint<3>", "int<8>"});
    const auto width = dice_.between(1, 9);
    const auto integer = dice_.between(-1, width + 1);
    const auto* modes = dice_.pick<const char*>({"", "", ",RND,SAT", ",TRN,SAT", ",RND_CONV,SAT_SYM", ",TRN,WRAP"});
    return fmt::format("{}fixed<{},{}{}>", dice_.chance(30) ? "u" : "", width, integer, modes);
  }

  /// Float arithmetic with constants.
  Wire affine(const Wire& x) {
    const Shape channels = dice_.chance(60) ? Shape{x.width()} : Shape{};
    switch (dice_.between(0, 3)) {
      case 0: {
        auto& n = node("Rescaling", {x}, "rescale");
        const bool simple = dice_.chance(50);
        n.parameters["scale"].values = simple ? FloatTensor(Shape{}, {2.0F}) : positive(channels, 0.1, 2.0);
        n.parameters["offset"].values = simple ? FloatTensor(Shape{}, {-1.0F}) : numbers(channels, 1.0);
        return result(n, x.shape);
      }
      case 1: {
        auto& n = node("Normalization", {x}, "norm");
        n.attributes["invert"] = dice_.chance(20);
        n.parameters["mean"].values = numbers({x.width()}, 1.0);
        n.parameters["variance"].values = positive({x.width()}, 0.1, 3.0);
        return result(n, x.shape);
      }
      default: {
        const std::string op = dice_.pick<std::string>({"Add", "Sub", "Mul", "Div"});
        auto& n = node(op, {x}, "const");
        const bool additive = op == "Add" || op == "Sub";
        n.parameters["constant"].values = additive ? numbers(channels, 1.0) : positive(channels, 0.2, 2.0);
        if (op == "Sub") n.attributes["constant_first"] = dice_.chance(30);
        return result(n, x.shape);
      }
    }
  }
  Wire batch_norm(const Wire& x) {
    auto& n = node("BatchNorm", {x}, "bn");
    n.attributes = {{"epsilon", 1e-3},
                    {"form", std::string(dice_.chance(50) ? "keras" : "onnx")},
                    {"inverse", std::string("rsqrt")}};
    if (!dice_.chance(20)) n.parameters["gamma"].values = numbers({x.width()}, 1.5);
    if (!dice_.chance(20)) n.parameters["beta"].values = numbers({x.width()}, 1.0);
    n.parameters["mean"].values = numbers({x.width()}, 1.0);
    n.parameters["variance"].values = positive({x.width()}, 0.2, 4.0);
    if (dice_.chance(15))
      for (auto& [role, p] : n.parameters)
        p.quantizer = make_spec("quantized_bits", {{"bits", std::int64_t{8}},
                                                   {"integer", std::int64_t{2}},
                                                   {"keep_negative", role != "variance"},
                                                   {"alpha", 1.0}});
    return result(n, x.shape);
  }

  /// Dead inputs and outputs: rows and columns of zeros.
  void clear_some(FloatTensor& kernel) {
    const auto n_out = static_cast<std::size_t>(kernel.shape[1]);
    const bool rows = dice_.chance(15);
    const bool columns = dice_.chance(15);
    for (std::size_t i = 0; rows && i < static_cast<std::size_t>(kernel.shape[0]); ++i)
      if (dice_.chance(30)) std::fill_n(kernel.data.begin() + static_cast<std::ptrdiff_t>(i * n_out), n_out, 0.0F);
    for (std::size_t o = 0; columns && o < n_out; ++o)
      if (dice_.chance(30))
        for (std::size_t i = o; i < kernel.data.size(); i += n_out) kernel.data[i] = 0.0F;
  }
  /// The form of QONNX: integers and a scale beside the float32 numbers.
  void quantize_in_file(nn::Parameter& parameter, const Spec& spec) {
    diag::Engine engine;
    Context ctx{engine};
    const auto function = quantizers::make(spec, {}, ctx);
    if (!function) return;
    auto quantized = (*function)->quantize(parameter.values, {}, ctx);
    if (!quantized) return;
    parameter.values = quantized->values;
    parameter.quantized = std::move(*quantized);
  }

  nn::Node& dense(const Wire& x, std::int64_t outputs, bool with_bias) {
    const bool folded = dice_.chance(10);
    auto& n = node(folded ? "DenseBatchnorm" : "Dense", {x}, "fc");
    auto& kernel = n.parameters["kernel"];
    kernel.values = numbers({x.width(), outputs}, random_scale(dice_, true) * 4.0);
    clear_some(kernel.values);
    const bool in_file = !folded && dice_.chance(20);
    const bool none = !folded && !in_file && dice_.chance(4);
    if (in_file) {
      quantize_in_file(kernel, random_qonnx(dice_, outputs, false));
    } else if (!none) {
      kernel.quantizer = random_kernel_quantizer(dice_, outputs);
    }
    if (with_bias) {
      auto& bias = n.parameters["bias"];
      bias.values = numbers({outputs}, 1.0);
      if (in_file && dice_.chance(50))
        quantize_in_file(bias, random_qonnx(dice_, outputs, false));
      else if (!in_file && dice_.chance(80))
        bias.quantizer = random_fixed_point(dice_, 8, 2);
    }
    if (folded) {
      n.attributes = {{"epsilon", 1e-3}, {"inverse", std::string("rsqrt")}};
      if (dice_.chance(80)) n.parameters["gamma"].values = numbers({outputs}, 1.5);
      if (dice_.chance(80)) n.parameters["beta"].values = numbers({outputs}, 1.0);
      n.parameters["mean"].values = numbers({outputs}, 1.0);
      n.parameters["variance"].values = positive({outputs}, 0.2, 4.0);
    }
    return n;
  }

  /// Dense, perhaps normalization, arithmetic and a function, then a quantizer.
  Wire dense_block(const Wire& x, std::int64_t outputs, bool is_final, const std::optional<Spec>& quantizer) {
    auto& n = dense(x, outputs, dice_.chance(70));
    const auto index = graph().nodes.size() - 1;
    Shape shape = x.shape;
    shape.back() = outputs;
    Wire y = result(n, shape);
    const bool has_quantizer = quantizer || !dice_.chance(is_final ? 55 : 8);
    const Spec spec = quantizer ? *quantizer : random_activation(dice_, outputs);
    if (has_quantizer && dice_.chance(30)) {
      graph().nodes[index].functions["activation"] = spec;
      return y;
    }
    if (dice_.chance(20)) y = batch_norm(y);
    if (dice_.chance(12)) y = affine(y);
    if (dice_.chance(20) && has_quantizer) y = activation(y, random_function(dice_));
    if (dice_.chance(5)) y = result(node("Identity", {y}, "dropout"), shape);
    if (!has_quantizer) return y;
    y = activation(y, spec);
    // A second quantizer sees the float32 results of the first.
    if (dice_.chance(quantizer ? 0 : 8)) {
      if (dice_.chance(50)) y = affine(y);
      y = activation(y, random_activation(dice_, outputs));
    }
    return y;
  }

  /// Two branches of one grid meet.
  Wire merge(const Wire& a, const Wire& b) {
    const std::int64_t width = dice_.between(1, 16);
    const Spec grid = dice_.chance(50) ? random_fixed_point(dice_, 6, 2)
                                       : make_spec("quantized_relu",
                                                   {{"bits", dice_.between(2, 6)}, {"integer", dice_.between(0, 3)}});
    const Spec other = dice_.chance(50) ? grid : random_fixed_point(dice_, 6, 1);
    const Wire from_left = vector(a);
    const Wire left = dense_block(from_left, width, false, grid);
    const Wire from_right = vector(b);
    const Wire right = dense_block(from_right, width, false, other);
    auto& n = node(dice_.pick<std::string>({"Add", "Add", "Sub", "Mul"}), {left, right}, "merge");
    const Wire sum = result(n, {width});
    return dice_.chance(50) ? sum : activation(sum, random_activation(dice_, width));
  }
  Wire vector(const Wire& x) { return x.shape.size() > 1 ? flatten(x) : x; }
  Wire flatten(Wire x) {
    if (dice_.chance(40)) {
      auto& n = node("Permute", {x}, "permute");
      n.attributes["permutation"] = std::vector<std::int64_t>{1, 0};
      x = result(n, {x.shape[1], x.shape[0]});
    }
    auto& n = node("Reshape", {x}, "flatten");
    n.attributes["shape"] = std::vector<std::int64_t>{element_count(x.shape)};
    return result(n, {element_count(x.shape)});
  }

  Wire finish(const Wire& x) {
    if (dice_.chance(8)) {
      auto& n = node("ArgMax", {x}, "top");
      const std::int64_t k = dice_.between(1, std::min<std::int64_t>(3, x.width()));
      n.attributes = {{"k", k}, {"keepdims", true}};
      return result(n, {k});
    }
    if (dice_.chance(8)) {
      auto& n = node("Softmax", {x}, "softmax");
      n.attributes["axis"] = std::int64_t{-1};
      if (dice_.chance(25)) out_.settings.push_back(n.name + ".softmax=table");
      return result(n, x.shape);
    }
    return x;
  }
  void more_outputs(const Wire& last) {
    for (int k = 0; k < 2; ++k) {
      if (!dice_.chance(15)) continue;
      const Wire other = dice_.pick(wires_);
      const bool taken = other.id == last.id || std::any_of(graph().outputs.begin(), graph().outputs.end(),
                                                            [&](const auto& port) { return port.tensor == other.id; });
      if (!taken || dice_.chance(10)) graph().outputs.push_back({name(fmt::format("also_{}", k)), other.id});
    }
  }
  void settings() {
    for (const auto& n : graph().nodes) {
      if (n.op != "Dense") continue;
      const auto width = dice_.between(4, 14);
      if (dice_.chance(2))
        out_.settings.push_back(fmt::format("{}.precision.accum=fixed<{},{}{}>", n.name, width, width / 2,
                                            dice_.chance(50) ? "" : ",TRN,WRAP"));
      if (dice_.chance(3))
        out_.settings.push_back(fmt::format("{}.precision.result=fixed<{},{}{}>", n.name, width, width / 2,
                                            dice_.chance(70) ? "" : ",TRN,WRAP"));
    }
  }
  void plan() {
    auto& p = out_.plan;
    p.clock_ns = dice_.pick<double>({1.5, 2.5, 5.0, 5.0, 40.0});
    p.register_inputs = dice_.chance(30);
    p.register_outputs = !dice_.chance(20);
    p.clock_enable = dice_.chance(15);
    p.valid = !dice_.chance(15);
    if (dice_.chance(10)) p.max_latency_cycles = static_cast<int>(dice_.between(2, 4));
    if (dice_.chance(50)) {
      p.primitives = hw::Primitives::Xilinx;
      p.part = dice_.pick<const char*>({"xcvu9p", "xc7k325t"});
    }
    // A bound of the latency would refuse most of them.
    if (p.valid && !p.max_latency_cycles && dice_.chance(30))
      p.reuse_factor = dice_.pick<int>({2, 2, 3, 4, 5, 8, 13, 40});
    if (!dice_.chance(10)) p.effort = hw::Effort::Fast;  // most of the time goes into simulations
  }

  Dice dice_;
  bool odd_names_ = false;
  std::set<std::string> names_;
  Network out_;
  std::vector<Wire> wires_;
};

}  // namespace

Network random_network(std::uint64_t seed) { return Generator(seed).make(); }

}  // namespace weft::random_networks
