// SPDX-License-Identifier: Apache-2.0
#include "case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "weft/fixed/quantize.h"
#include "weft/layers/layer.h"

namespace weft::golden {
namespace {

using support::Json;

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Unbuilt : std::runtime_error {
  using std::runtime_error::runtime_error;
};

fixed::TypeSpec type_of(const Json& type) {
  if (type.at("kind") == "APXnorPrecisionType") return {fixed::TypeSpec::Form::Bipolar, {2, 2, true}, true};
  fixed::FixedType t;
  t.width_bits = type.at("W");
  t.integer_bits = type.at("I");
  t.is_signed = type.at("signed");
  t.rounding = fixed::parse_rounding(type.at("rnd").get<std::string>()).value();
  t.overflow = fixed::parse_overflow(type.at("sat").get<std::string>()).value();
  t.saturation_bits = type.at("sat_bits");
  return {fixed::TypeSpec::Form::Fixed, t, true};
}

FloatTensor tensor(const support::Array& array) {
  FloatTensor out(array.shape);
  if (const auto* f = std::get_if<std::vector<float>>(&array.data))
    out.data = *f;
  else if (const auto* d = std::get_if<std::vector<double>>(&array.data))
    out.data.assign(d->begin(), d->end());
  else
    throw std::runtime_error("a weight is no float array");
  return out;
}

quantizers::Spec spec(const std::string& family, AttributeMap parameters = {}) {
  quantizers::Spec out{family, quantizers::find_family(family)->defaults};
  for (auto& [key, value] : parameters) out.parameters[key] = value;
  return out;
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
  return text;
}

class Builder {
 public:
  Builder(Case& out, const Json& json) : case_(out), json_(json) {}

  void build() {
    case_.options.config.io_type = json_.at("io_type").get<std::string>();
    auto& graph = case_.graph;
    graph.name = case_.name;
    graph.file = case_.name + ".json";
    for (const auto& layer : json_.at("layers")) add(layer);
    for (const auto& output : json_.at("outputs")) {
      const std::string var = output.at("var");
      if (by_var_.count(var) == 0) throw Unbuilt("the output `" + var + "` belongs to no layer of ours");
      graph.outputs.push_back({var, by_var_.at(var)});
      const auto* producer = graph.producer(by_var_.at(var));
      Trace t = trace_of(output.at("type"), producer->name, output.at("npz"));
      case_.outputs.push_back(t);
    }
  }

 private:
  static Trace trace_of(const Json& type, const std::string& layer, const std::string& array) {
    return {layer, array, type.at("F"), type.at("W"), type.at("kind") == "APXnorPrecisionType"};
  }

  nn::TensorId in(const Json& layer, std::size_t i = 0) {
    const std::string name = layer.at("inputs").at(i);
    if (tensors_.count(name) == 0) throw Unbuilt("`" + name + "` is made by no layer of ours");
    return tensors_.at(name);
  }

  nn::Node& node(const Json& layer, const std::string& op, std::size_t inputs = 1) {
    nn::Node n;
    n.name = layer.at("name");
    n.op = op;
    n.origin = {case_.graph.file, n.name, layer.at("class"), ""};
    for (std::size_t i = 0; i < inputs; ++i) n.inputs.push_back(in(layer, i));
    n.outputs = {case_.graph.add_tensor(n.name, {})};
    case_.graph.nodes.push_back(std::move(n));
    return case_.graph.nodes.back();
  }

  /// The layer's last node makes its tensors and its trace.
  void close(const Json& layer) {
    const auto& last = case_.graph.nodes.back();
    for (const auto& name : layer.at("outputs")) tensors_[name] = last.outputs[0];
    by_var_[layer.at("out_var")] = last.outputs[0];
    auto& block = case_.options.config.layer_name[last.name];
    for (const auto& [key, type] : layer.at("types").items()) {
      const std::string role = key.substr(0, key.size() - 2);
      // Exponents of two need no type: the weights are exact.
      if (type.at("kind") == "APExponentPrecisionType") continue;
      if (key.ends_with("_t") && role != "index" && type.at("cname") != "model_default_t")
        block.precision[role] = type_of(type);
      if (type.at("cname") == "model_default_t") {
        case_.options.config.model.precision["default"] = type_of(type);
        // Every other layer's types are written out; only a softmax asks where its accumulator comes from.
        if (layer.at("class") != "Softmax") block.precision[role] = type_of(type);
      }
    }
    const auto& attrs = layer.at("attrs");
    if (attrs.contains("table_size"))
      block.table_size = attrs["table_size"].is_string() ? std::stoll(attrs["table_size"].get<std::string>())
                                                         : attrs["table_size"].get<std::int64_t>();
    if (attrs.contains("strategy")) block.strategy = attrs["strategy"].get<std::string>();
    if (attrs.contains("reuse_factor")) block.reuse_factor = attrs["reuse_factor"].get<std::int64_t>();
    if (attrs.contains("implementation") && layer.at("class") == "Softmax")
      block.implementation = attrs["implementation"].get<std::string>();
    if (attrs.contains("table_range_power2"))
      block.table_range_power2 = attrs["table_range_power2"].get<std::int64_t>();
    if (layer.contains("trace_npz") && !layer["trace_npz"].is_null())
      case_.traces.push_back(trace_of(layer.at("out_type"), last.name, layer["trace_npz"]));
  }

  /// hls4ml's array of a weight as the layer's parameter.
  void weight(const Json& layer, nn::Node& n, const std::string& weight, const std::string& parameter,
              const Shape& shape) {
    const auto& w = layer.at("weights").at(weight);
    FloatTensor values = tensor(case_.arrays.at(w.at("npz_float")));
    if (values.size() != element_count(shape)) throw Unbuilt(fmt::format("`{}` has another size", weight));
    if (layer.at("attrs").value("_weights_transposed", false) && weight == "weight") {
      // [n_out, n_in...] in the file.
      const std::int64_t outputs = shape.back();
      const std::int64_t rest = values.size() / outputs;
      FloatTensor straight(shape);
      for (std::int64_t o = 0; o < outputs; ++o)
        for (std::int64_t i = 0; i < rest; ++i)
          straight.data[static_cast<std::size_t>(i * outputs + o)] =
              values.data[static_cast<std::size_t>(o * rest + i)];
      values = std::move(straight);
    } else {
      case_.weights.push_back({n.name, parameter, w.at("npz_raw")});
    }
    values.shape = shape;
    auto& p = n.parameters[parameter];
    p.values = std::move(values);
    if (w.at("type").at("kind") == "APExponentPrecisionType")
      p.quantizer = spec("quantized_po2", {{"bits", std::int64_t{8}}});
  }

  void bias(const Json& layer, nn::Node& n, std::int64_t channels) {
    if (layer.at("weights").contains("bias")) weight(layer, n, "bias", "bias", {channels});
  }

  static std::int64_t number(const Json& attrs, const char* key, std::int64_t fallback) {
    return attrs.contains(key) ? attrs[key].get<std::int64_t>() : fallback;
  }

  /// Windows: 1-D layers have widths only.
  static void windows(const Json& attrs, nn::Node& n, bool two) {
    std::vector<std::int64_t> strides;
    std::vector<std::int64_t> before;
    std::vector<std::int64_t> after;
    if (two) {
      strides.push_back(number(attrs, "stride_height", 1));
      before.push_back(number(attrs, "pad_top", 0));
      after.push_back(number(attrs, "pad_bottom", 0));
    }
    strides.push_back(number(attrs, "stride_width", 1));
    before.push_back(number(attrs, "pad_left", 0));
    after.push_back(number(attrs, "pad_right", 0));
    n.attributes["strides"] = strides;
    n.attributes["padding"] = std::string("explicit");
    n.attributes["before"] = before;
    n.attributes["after"] = after;
  }

  void add(const Json& layer) {
    const std::string kind = layer.at("class");
    const Json& attrs = layer.at("attrs");
    auto& graph = case_.graph;
    if (kind == "Input") {
      const std::string name = layer.at("name");
      const auto id = graph.add_tensor(name, layer.at("out_shape").get<Shape>());
      graph.inputs.push_back({name, id});
      tensors_[name] = id;
      by_var_[layer.at("out_var")] = id;
      case_.options.config.layer_name[name].precision["result"] = type_of(layer.at("types").at("result_t"));
      for (const auto& input : json_.at("inputs"))
        if (input.at("var") == layer.at("out_var")) case_.inputs.push_back(input.at("npz"));
      return;
    }
    if (kind == "Clone") {
      for (const auto& name : layer.at("outputs")) tensors_[name] = in(layer);
      return;
    }
    if (kind == "TimeDistributed") {
      // The layers between the pair work on every time step: ours work on the last axis.
      for (const auto& name : layer.at("outputs")) tensors_[name] = in(layer);
      if (!layer.contains("trace_npz") && by_var_.count(layer.at("out_var")) == 0)
        by_var_[layer.at("out_var")] = in(layer);
      return;
    }
    const bool two = kind.ends_with("2D");
    if (kind == "Dense") {
      auto& n = node(layer, "Dense");
      weight(layer, n, "weight", "kernel", {attrs.at("n_in"), attrs.at("n_out")});
      bias(layer, n, attrs.at("n_out"));
    } else if (kind.find("Conv") != std::string::npos && kind.find("Batchnorm") == std::string::npos) {
      const bool depthwise = kind.starts_with("Depthwise");
      auto& n = node(layer, depthwise ? "DepthwiseConv" : "Conv");
      Shape kernel;
      if (two) kernel.push_back(number(attrs, "filt_height", 1));
      kernel.push_back(number(attrs, "filt_width", 1));
      kernel.push_back(attrs.at("n_chan"));
      kernel.push_back(depthwise ? number(attrs, "depth_multiplier", 1) : attrs.at("n_filt").get<std::int64_t>());
      weight(layer, n, "weight", "kernel", kernel);
      bias(layer, n, attrs.at("n_filt"));
      windows(attrs, n, two);
    } else if (kind.starts_with("Pooling")) {
      auto& n = node(layer, attrs.at("pool_op") == "Max" ? "MaxPool" : "AveragePool");
      std::vector<std::int64_t> pool;
      if (two) pool.push_back(attrs.at("pool_height"));
      pool.push_back(attrs.at("pool_width"));
      n.attributes["pool"] = pool;
      windows(attrs, n, two);
      if (n.op == "AveragePool") n.attributes["count_padding"] = attrs.at("count_pad").get<bool>();
    } else if (kind.starts_with("GlobalPooling")) {
      auto& n = node(layer, attrs.at("pool_op") == "Max" ? "GlobalMaxPool" : "GlobalAveragePool");
      n.attributes["keepdims"] = layer.at("out_shape").size() > 1;
    } else if (kind == "BatchNormalization" || kind == "ApplyAlpha") {
      auto& n = node(layer, "Rescaling");
      const auto channels =
          static_cast<std::int64_t>(case_.arrays.at(layer.at("weights").at("scale").at("npz_float")).size());
      weight(layer, n, "scale", "scale", {channels});
      weight(layer, n, "bias", "offset", {channels});
    } else if (kind == "BatchNormalizationQuantizedTanh") {
      thresholds(layer);
    } else if (kind == "Merge") {
      const std::map<std::string, std::string> ops = {{"add", "Add"},         {"subtract", "Sub"},
                                                      {"multiply", "Mul"},    {"average", "Average"},
                                                      {"maximum", "Maximum"}, {"minimum", "Minimum"}};
      node(layer, ops.at(attrs.at("op")), 2);
    } else if (kind == "Dot") {
      auto& n = node(layer, "Einsum", 2);
      n.attributes["equation"] = std::string("a,a->");
    } else if (kind == "Concatenate") {
      auto& n = node(layer, "Concat", 2);
      n.attributes["axis"] = attrs.at("axis").get<std::int64_t>() - (attrs.at("axis").get<std::int64_t>() > 0 ? 1 : 0);
      if (attrs.at("axis").get<std::int64_t>() < 0)
        n.attributes["axis"] =
            static_cast<std::int64_t>(layer.at("out_shape").size()) + attrs.at("axis").get<std::int64_t>();
    } else if (kind == "Reshape") {
      auto& n = node(layer, "Reshape");
      n.attributes["shape"] = layer.at("out_shape").get<Shape>();
    } else if (kind == "Transpose") {
      auto& n = node(layer, "Permute");
      n.attributes["permutation"] = attrs.at("perm").get<Shape>();
    } else if (kind.starts_with("ZeroPadding") || kind.starts_with("Cropping")) {
      const bool crop = kind.starts_with("Cropping");
      auto& n = node(layer, "Pad");
      Shape before;
      Shape after;
      const std::string stem = crop ? "crop" : "pad";
      if (two) {
        before.push_back(attrs.at(stem + "_top"));
        after.push_back(attrs.at(stem + "_bottom"));
      }
      before.push_back(attrs.at(stem + "_left"));
      after.push_back(attrs.at(stem + "_right"));
      before.push_back(0);
      after.push_back(0);
      for (auto* list : {&before, &after})
        for (auto& v : *list) v = crop ? -v : v;
      n.attributes["before"] = before;
      n.attributes["after"] = after;
    } else if (kind == "Resize") {
      if (attrs.at("algorithm") != "nearest") throw Unbuilt("resize by other than nearest");
      auto& n = node(layer, "Upsample");
      const Shape out = layer.at("out_shape").get<Shape>();
      Shape repeats;
      if (out.size() == 3) repeats.push_back(out[0] / attrs.at("in_height").get<std::int64_t>());
      repeats.push_back(out[out.size() - 2] / attrs.at("in_width").get<std::int64_t>());
      repeats.push_back(1);
      n.attributes["repeats"] = repeats;
    } else if (kind == "Softmax") {
      softmax(layer);
    } else if (kind == "LSTM" || kind == "GRU") {
      recurrent(layer, kind, "");
    } else if (kind == "Bidirectional") {
      bidirectional(layer);
    } else if (kind == "LayerNormalization") {
      auto& n = node(layer, "LayerNorm");
      const Shape out = layer.at("out_shape").get<Shape>();
      n.attributes["axes"] = Shape{static_cast<std::int64_t>(out.size()) - 1};
      n.attributes["epsilon"] = std::pow(10.0, -number(attrs, "epsilon_power_of_10", 3));
      weight(layer, n, "scale", "gamma", {out.back()});
      weight(layer, n, "bias", "beta", {out.back()});
    } else if (kind == "Embedding") {
      auto& n = node(layer, "Embedding");
      weight(layer, n, "embeddings", "table", {attrs.at("vocab_size"), attrs.at("n_out")});
    } else if (kind == "PReLU") {
      auto& n = node(layer, "Activation");
      if (quantizers::find_family("prelu") == nullptr) throw Unbuilt("no function `prelu`");
      const auto slopes = tensor(case_.arrays.at(layer.at("weights").at("param").at("npz_float"))).data;
      n.functions["activation"] = spec("prelu", {{"alpha", std::vector<double>(slopes.begin(), slopes.end())}});
    } else if (kind == "Activation" || kind == "ParametrizedActivation" || kind == "HardActivation") {
      activation(layer);
    } else {
      throw Unbuilt(fmt::format("no layer `{}`", kind));
    }
    if (layers::find_layer(graph.nodes.back().op) == nullptr)
      throw Unbuilt(fmt::format("no layer `{}`", graph.nodes.back().op));
    close(layer);
  }

  /// n_outer = n_inner = 1 makes one vector of the whole tensor, whatever its axes are.
  void softmax(const Json& layer) {
    const Shape out = layer.at("out_shape").get<Shape>();
    if (out.size() == 1) {
      node(layer, "Softmax");
      return;
    }
    auto& flat = node(layer, "Reshape");
    flat.name += "_flat";
    flat.attributes["shape"] = Shape{element_count(out)};
    auto& s = node(layer, "Softmax");
    s.inputs = {case_.graph.nodes[case_.graph.nodes.size() - 2].outputs[0]};
    s.name += "_rows";
    const std::string inner = s.name;
    auto& back = node(layer, "Reshape");
    back.inputs = {case_.graph.nodes[case_.graph.nodes.size() - 2].outputs[0]};
    back.attributes["shape"] = out;
    auto& config = case_.options.config.layer_name[inner];
    for (const auto& [key, type] : layer.at("types").items())
      if (key.ends_with("_t")) config.precision[key.substr(0, key.size() - 2)] = type_of(type);
    case_.options.config.layer_name[layer.at("name").get<std::string>() + "_flat"].precision["result"] = {};
  }

  /// One direction; `half` is "", "forward_" or "backward_". hls4ml computes GRUs with the reset gate behind the
  /// product whatever the layer says, so that is what is built.
  nn::Node& recurrent(const Json& layer, const std::string& op, const std::string& half) {
    const Json& attrs = layer.at("attrs");
    auto& n = node(layer, op);
    const std::int64_t units =
        half.empty() ? attrs.at("n_out").get<std::int64_t>() : attrs.at(half + "n_states").get<std::int64_t>();
    const std::int64_t gates = op == "LSTM" ? 4 : 3;
    n.attributes["return_sequences"] = attrs.at("return_sequences").get<bool>();
    if (op == "GRU") n.attributes["reset_after"] = true;
    n.functions["activation"] = spec(attrs.at(half + "activation"));
    n.functions["recurrent_activation"] = spec(attrs.at(half + "recurrent_activation"));
    weight(layer, n, half + "weight", "kernel", {attrs.at("n_in"), gates * units});
    weight(layer, n, half + "recurrent_weight", "recurrent_kernel", {units, gates * units});
    weight(layer, n, half + "bias", "bias", {gates * units});
    if (op == "GRU") {
      weight(layer, n, half + "recurrent_bias", "recurrent_bias", {gates * units});
    } else {
      const auto zeros = tensor(case_.arrays.at(layer.at("weights").at(half + "recurrent_bias").at("npz_float")));
      if (std::any_of(zeros.data.begin(), zeros.data.end(), [](float v) { return v != 0.0F; }))
        throw Unbuilt("an LSTM with a bias of its state");
    }
    return n;
  }

  void bidirectional(const Json& layer) {
    const Json& attrs = layer.at("attrs");
    std::vector<nn::TensorId> halves;
    for (const std::string half : {"forward_", "backward_"}) {
      auto& n = recurrent(layer, attrs.at(half + "class_name"), half);
      n.name += "_" + half.substr(0, half.size() - 1);
      if (half == "backward_") {
        n.attributes["go_backwards"] = true;
        n.attributes["realign"] = true;
      }
      auto& block = case_.options.config.layer_name[n.name];
      for (const auto& [key, type] : layer.at("types").items()) {
        if (!key.ends_with("_t")) continue;
        std::string role = key.substr(0, key.size() - 2);
        if (role.starts_with(half)) role = role.substr(half.size());
        block.precision[role] = type_of(type);
      }
      block.table_size = attrs.at("table_size").get<std::int64_t>();
      halves.push_back(n.outputs[0]);
    }
    auto& both = node(layer, "Concat");
    both.inputs = halves;
    both.attributes["axis"] = static_cast<std::int64_t>(layer.at("out_shape").size()) - 1;
  }

  void activation(const Json& layer) {
    const Json& attrs = layer.at("attrs");
    const std::string name = lower_case(attrs.at("activation"));
    const double parameter = attrs.contains("activ_param") ? attrs["activ_param"].get<double>() : 0.0;
    auto& n = node(layer, "Activation");
    auto& function = n.functions["activation"];
    if (name == "leakyrelu")
      function = spec("leaky_relu", {{"alpha", parameter}});
    else if (name == "elu")
      function = spec("elu", {{"alpha", attrs.contains("activ_param") ? parameter : 1.0}});
    else if (name == "thresholdedrelu") {
      // The one ReLU of hls4ml that has a threshold.
      n.origin.op = "ThresholdedReLU";
      function = spec("relu", {{"threshold", parameter}});
    } else if (name == "hardsigmoid")
      function = spec("keras_hard_sigmoid",
                      {{"slope", attrs.at("slope").get<double>()}, {"offset", attrs.at("shift").get<double>()}});
    else if (name == "hardtanh")
      function = spec("hard_tanh");
    else if (name == "binarytanh")
      function = spec("binary_tanh");
    else if (quantizers::find_family(name) != nullptr)
      function = spec(name);
    else
      throw Unbuilt(fmt::format("no function `{}`", name));
  }

  /// x >= threshold (one bit), or x > hi and x <= lo: thresholds of the input's type.
  void thresholds(const Json& layer) {
    const auto list = [&](const char* key) {
      return tensor(case_.arrays.at(layer.at("weights").at(key).at("npz_float"))).data;
    };
    auto& n = node(layer, "Activation");
    const bool ternary = layer.at("weights").contains("threshold_hi");
    std::vector<double> all;
    std::size_t channels = 0;
    // data_T of the thresholds; the next number above is one step further.
    const auto input =
        case_.options.config.layer_name.at(case_.graph.producer(n.inputs[0])->name).precision.at("result").fixed;
    lower::Options unused;
    const auto in_type = [&](float v) { return fixed::to_double(fixed::from_double(v, input), input.frac_bits()); };
    const double step = std::ldexp(1.0, -input.frac_bits());
    if (ternary) {
      const auto hi = list("threshold_hi");
      const auto lo = list("threshold_lo");
      channels = hi.size();
      for (std::size_t c = 0; c < channels; ++c) {
        all.push_back(in_type(lo[c]) + step);
        all.push_back(in_type(hi[c]) + step);
        if (all[all.size() - 2] > all.back()) throw Unbuilt("thresholds in falling order");
      }
    } else {
      const auto t = list("threshold");
      channels = t.size();
      for (const float v : t) all.push_back(in_type(v));
    }
    n.functions["activation"] = spec("multithreshold", {{"thresholds", all},
                                                        {"channels", static_cast<std::int64_t>(channels)},
                                                        {"out_scale", ternary ? 1.0 : 2.0},
                                                        {"out_bias", -1.0}});
  }

  Case& case_;
  const Json& json_;
  std::map<std::string, nn::TensorId> tensors_;
  std::map<std::string, nn::TensorId> by_var_;
};

}  // namespace

Case read_case(const std::filesystem::path& path) {
  Case out;
  out.name = path.stem().string();
  const Json json = Json::parse(read_text(path));
  diag::Engine engine;
  Context ctx{engine};
  auto npz = path;
  npz.replace_extension(".npz");
  auto arrays = support::read_arrays(npz, ctx);
  if (!arrays) throw std::runtime_error(npz.string() + ": " + engine.all().back().message);
  out.arrays = std::move(*arrays);
  out.options.compat = lower::Compat::Hls4ml;
  try {
    Builder(out, json).build();
    if (!layers::check(out.graph, ctx)) out.obstacle = engine.all().back().message;
  } catch (const Unbuilt& e) {
    out.obstacle = e.what();
  }
  return out;
}

}  // namespace weft::golden
