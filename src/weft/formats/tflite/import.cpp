// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/tflite/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "weft/formats/tflite/tflite.h"
#include "weft/support/files.h"

namespace weft::formats::tflite {
namespace {

constexpr std::size_t kMaxErrors = 50;
constexpr std::uint64_t kMaxConstantElements = std::uint64_t{1} << 28;

/// Little-endian integer of `bytes` bytes at element i, sign extended.
std::int64_t integer_at(std::string_view data, std::size_t i, std::size_t bytes) {
  std::uint64_t bits = 0;
  for (std::size_t k = 0; k < bytes; ++k)
    bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(data[i * bytes + k])) << (8 * k);
  const auto shift = static_cast<int>(64 - 8 * bytes);
  return static_cast<std::int64_t>(bits << shift) >> shift;
}

float half_to_float(std::uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  float value = 0.0F;
  if (exponent == 31)
    value = mantissa != 0 ? std::nanf("") : INFINITY;
  else if (exponent == 0)
    value = std::ldexp(static_cast<float>(mantissa), -24);
  else
    value = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (h & 0x8000) != 0 ? -value : value;
}

/// "a/b/Relu;a/b/Conv2D" is the fused output `a/b/Relu`.
std::string short_name(const std::string& name) {
  std::string out = name.substr(0, name.find(';'));
  return out.empty() ? "tensor" : out;
}

class Importer {
 public:
  Importer(const ModelDef& model, Context& ctx) : model_(model), ctx_(ctx) {
    builder_.values.resize(model.tensors.size());
    builder_.folded.resize(model.tensors.size());
    builder_.graph.file = model.file;
    builder_.graph.name = model.file.substr(0, model.file.rfind('.'));
    builder_.graph.framework = nn::Framework::Keras;
  }

  Result<nn::Graph> run();

 private:
  Result<void> add_input(std::int64_t index);
  const ModelDef& model_;
  Context& ctx_;
  Builder builder_;
};

Result<void> Importer::add_input(std::int64_t index) {
  const TensorDef& tensor = model_.tensors[static_cast<std::size_t>(index)];
  const Origin origin{.file = model_.file, .tensor = tensor.name};
  for (const auto d : tensor.shape)
    if (d < 1)
      return ctx_.fail(Kind::ShapeMismatch, origin, "an input has an empty or unknown axis; convert with fixed shapes");
  if (tensor.type != Type::Float32 && !tensor.quantized()) {
    bool needed = false;
    for (const auto& op : model_.operators)
      for (std::size_t i = 0; i < op.inputs.size(); ++i)
        needed = needed || (op.inputs[i] == index && !(op.name == "TRANSPOSE_CONV" && i == 0));
    if (!needed) {
      ctx_.report(Kind::Info, origin, fmt::format("input `{}` is not needed and was left out", tensor.name));
      return {};
    }
    return ctx_.fail(Kind::LayerUnsupported, origin,
                     fmt::format("input `{}` of type {} has no scale; give the model float or quantized inputs",
                                 tensor.name, to_string(tensor.type)));
  }
  const auto id = builder_.graph.add_tensor(tensor.name, sample_shape(tensor.shape));
  builder_.graph.inputs.push_back({tensor.name, id});
  if (!tensor.quantized()) {
    builder_.values[static_cast<std::size_t>(index)] = id;
    return {};
  }
  const auto limits = limits_of(tensor.type);
  const OperatorDef quantize{"QUANTIZE", false, 1, {}, {}, {}, {}};
  const std::string name = builder_.unique_name(short_name(tensor.name) + "/codes");
  const Call call{ctx_, model_, builder_, quantize, {.file = model_.file, .node = name, .op = "QUANTIZE"}};
  builder_.values[static_cast<std::size_t>(index)] =
      call.add({.op = "Activation",
                .inputs = {id},
                .functions = {{"activation",
                               {"tflite_quantize",
                                {{"scale", static_cast<double>(tensor.scale())},
                                 {"zero_point", tensor.zero_point()},
                                 {"lo", limits.lo},
                                 {"hi", limits.hi}}}}},
                .shape = sample_shape(tensor.shape)});
  return {};
}

Result<nn::Graph> Importer::run() {
  if (model_.subgraphs != 1)
    return ctx_.fail(Kind::LayerUnsupported, {.file = model_.file},
                     fmt::format("the model has {} subgraphs; control flow is not read", model_.subgraphs));
  bool ok = true;
  for (const auto& op : model_.operators) {
    if (operators().count(op.name) != 0 && !op.custom) continue;
    ok = false;
    if (ctx_.diag.error_count() >= kMaxErrors) break;
    const auto& out = model_.tensors[static_cast<std::size_t>(op.outputs[0])].name;
    ctx_.report(Kind::LayerUnsupported, {.file = model_.file, .node = short_name(out), .op = op.name, .tensor = out},
                fmt::format("the {}operator {} is not supported; run `weft ops` for those that are",
                            op.custom ? "custom " : "", op.name));
  }
  if (!ok) return diag::failure;
  for (const auto index : model_.inputs) {
    if (builder_.values[static_cast<std::size_t>(index)])
      return ctx_.fail(Kind::ModelMalformed, {.file = model_.file}, "an input is listed twice");
    WEFT_TRY_VOID(add_input(index));
  }
  for (const auto& op : model_.operators) {
    if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, {.file = model_.file}, "the run was interrupted");
    const auto& out = model_.tensors[static_cast<std::size_t>(op.outputs[0])].name;
    const std::string name = builder_.unique_name(short_name(out));
    const Call call{ctx_, model_, builder_, op, {.file = model_.file, .node = name, .op = op.name, .tensor = out}};
    WEFT_TRY_VOID(operators().at(op.name).read(call));
  }
  for (const auto index : model_.outputs) {
    const auto& tensor = model_.tensors[static_cast<std::size_t>(index)];
    const auto& value = builder_.values[static_cast<std::size_t>(index)];
    if (!value)
      return ctx_.fail(Kind::LayerUnsupported, {.file = model_.file, .tensor = tensor.name},
                       fmt::format("output `{}` does not depend on the inputs", tensor.name));
    builder_.graph.outputs.push_back({tensor.name, *value});
  }
  if (builder_.graph.inputs.empty())
    return ctx_.fail(Kind::LayerUnsupported, {.file = model_.file}, "the model has no input that is read");
  return std::move(builder_.graph);
}

}  // namespace

Shape sample_shape(const Shape& shape) {
  return !shape.empty() && shape[0] == 1 ? Shape(shape.begin() + 1, shape.end()) : shape;
}

std::string Builder::unique_name(const std::string& wanted) {
  std::string name = wanted;
  for (int i = 1; !names.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
  return name;
}

Result<ConstantPtr> decode(const TensorDef& tensor, Builder& builder, const Origin& origin, Context& ctx) {
  const auto count = static_cast<std::uint64_t>(element_count(tensor.shape));
  builder.constant_elements += count;
  if (builder.constant_elements > kMaxConstantElements)
    return ctx.fail(Kind::LimitExceeded, origin, "the model's constants are used too often to be expanded");
  auto out = std::make_shared<Constant>();
  out->shape = tensor.shape;
  const auto integers = [&](std::size_t bytes) {
    out->integers.resize(count);
    for (std::size_t i = 0; i < count; ++i) out->integers[i] = integer_at(tensor.data, i, bytes);
  };
  switch (tensor.type) {
    case Type::Float32:
      out->reals.resize(count);
      for (std::size_t i = 0; i < count; ++i)
        out->reals[i] = std::bit_cast<float>(static_cast<std::uint32_t>(integer_at(tensor.data, i, 4)));
      break;
    case Type::Float16:
      out->reals.resize(count);
      for (std::size_t i = 0; i < count; ++i)
        out->reals[i] = half_to_float(static_cast<std::uint16_t>(integer_at(tensor.data, i, 2)));
      break;
    case Type::Int32:
      integers(4);
      break;
    case Type::Int64:
      integers(8);
      break;
    case Type::Int16:
      integers(2);
      break;
    case Type::Int8:
      integers(1);
      break;
    case Type::UInt8:
    case Type::Bool:
      integers(1);
      for (auto& v : out->integers) v &= 255;
      break;
    case Type::Int4:
      // Two per byte, the first in the low bits.
      for (std::size_t i = 0; i < count; ++i) {
        const auto byte = static_cast<unsigned char>(tensor.data[i / 2]);
        const int nibble = i % 2 == 0 ? byte & 15 : byte >> 4;
        out->integers.push_back(nibble >= 8 ? nibble - 16 : nibble);
      }
      break;
    case Type::Other:
      return ctx.fail(Kind::LayerUnsupported, origin,
                      fmt::format("constant `{}` has an element type that is not read", tensor.name));
  }
  return ConstantPtr(std::move(out));
}

Result<const TensorDef*> Call::input(std::size_t i) const {
  if (!has_input(i)) return fail(Kind::ModelMalformed, fmt::format("the operator has no input {}", i));
  return &model.tensors[static_cast<std::size_t>(op.inputs[i])];
}

bool Call::is_constant(std::size_t i) const {
  if (!has_input(i)) return false;
  const auto index = static_cast<std::size_t>(op.inputs[i]);
  const auto& tensor = model.tensors[index];
  return builder.folded[index] != nullptr ||
         (!builder.values[index] && (!tensor.data.empty() || element_count(tensor.shape) == 0));
}

Result<ConstantPtr> Call::constant(std::size_t i, const std::string& what) const {
  WEFT_TRY(const TensorDef* tensor, input(i));
  if (!is_constant(i))
    return fail(Kind::LayerUnsupported, fmt::format("{} (`{}`) must be constant", what, tensor->name));
  if (const auto& folded = builder.folded[static_cast<std::size_t>(op.inputs[i])]) return folded;
  return decode(*tensor, builder, origin, ctx);
}

Result<std::vector<std::int64_t>> Call::integers(std::size_t i, const std::string& what) const {
  WEFT_TRY(const auto values, constant(i, what));
  if (!values->reals.empty()) return fail(Kind::ModelMalformed, fmt::format("{} must be integers", what));
  return values->integers;
}

Result<nn::TensorId> Call::data(std::size_t i) const {
  WEFT_TRY(const TensorDef* tensor, input(i));
  const auto& value = builder.values[static_cast<std::size_t>(op.inputs[i])];
  if (!value)
    return fail(Kind::LayerUnsupported,
                fmt::format("input {} (`{}`) is not computed from the model's inputs", i, tensor->name));
  return *value;
}

Result<nn::TensorId> Call::data_as(std::size_t i, const Shape& shape) const {
  WEFT_TRY(const auto id, data(i));
  if (shape_of(id) == shape) return id;
  if (element_count(shape_of(id)) != element_count(shape))
    return fail(Kind::ShapeMismatch, fmt::format("a tensor of shape {} cannot be seen as {}",
                                                 weft::to_string(shape_of(id)), weft::to_string(shape)));
  return add({.op = "Reshape", .attributes = {{"shape", shape}}, .inputs = {id}, .shape = shape, .suffix = "/shaped"});
}

Result<Fused> Call::fused(int field) const {
  const auto code = op.options.integer8(field);
  if (code < 0 || code > 3)
    return fail(Kind::AttributeUnsupported,
                fmt::format("the fused activation {} is not supported; none, RELU, RELU6 and RELU_N1_TO_1 are", code));
  return static_cast<Fused>(code);
}

Result<std::int64_t> Call::sample_axis(std::int64_t axis, const Shape& shape) const {
  const auto rank = static_cast<std::int64_t>(shape.size());
  if (axis < -rank || axis >= rank)
    return fail(Kind::ModelMalformed, fmt::format("axis {} of a tensor of shape {}", axis, weft::to_string(shape)));
  if (axis < 0) axis += rank;
  if (shape[0] != 1) return axis;
  if (axis == 0) return fail(Kind::LayerUnsupported, "axis 0 is the batch, which is not moved or summed");
  return axis - 1;
}

nn::TensorId Call::add(LayerDraft draft) const {
  nn::Node node;
  node.name = draft.suffix.empty() ? origin.node : builder.unique_name(origin.node + draft.suffix);
  node.op = std::move(draft.op);
  node.attributes = std::move(draft.attributes);
  node.inputs = std::move(draft.inputs);
  node.parameters = std::move(draft.parameters);
  node.functions = std::move(draft.functions);
  node.origin = origin;
  node.origin.node = node.name;
  const auto id = builder.graph.add_tensor(node.name, std::move(draft.shape));
  node.outputs = {id};
  builder.graph.nodes.push_back(std::move(node));
  return id;
}

Result<void> Call::set(nn::TensorId tensor, std::size_t i) const {
  if (i >= op.outputs.size()) return fail(Kind::ModelMalformed, fmt::format("the operator has no output {}", i));
  const auto index = static_cast<std::size_t>(op.outputs[i]);
  if (builder.values[index] || builder.folded[index])
    return fail(Kind::ModelMalformed, fmt::format("tensor `{}` is made twice", output(i).name));
  const Shape wanted = sample_shape(output(i).shape);
  if (shape_of(tensor) != wanted) {
    if (element_count(wanted) != element_count(shape_of(tensor)))
      return fail(Kind::ShapeMismatch,
                  fmt::format("the file says that the result has shape {}, it has {}", weft::to_string(output(i).shape),
                              weft::to_string(shape_of(tensor))));
    tensor = add(
        {.op = "Reshape", .attributes = {{"shape", wanted}}, .inputs = {tensor}, .shape = wanted, .suffix = "/shaped"});
  }
  builder.values[index] = tensor;
  return {};
}

void Call::set_constant(Constant constant, std::size_t i) const {
  builder.folded[static_cast<std::size_t>(op.outputs[i])] = std::make_shared<const Constant>(std::move(constant));
}

Result<AttributeMap> Call::integer_attributes(const std::vector<const TensorDef*>& inputs, const TensorDef& out,
                                              Fused activation) const {
  std::vector<double> scales;
  for (const auto* in : inputs) {
    if (!in->quantized() || in->scales.size() != 1)
      return fail(Kind::LayerUnsupported, fmt::format("tensor `{}` has no single scale and zero point", in->name));
    scales.push_back(in->scale());
  }
  if (!out.quantized() || out.scales.size() != 1)
    return fail(Kind::LayerUnsupported, fmt::format("tensor `{}` has no single scale and zero point", out.name));
  const auto limits = limits_of(out.type);
  const std::int64_t zero = out.zero_point();
  std::int64_t lo = limits.lo - zero;
  std::int64_t hi = limits.hi - zero;
  const auto code = [&](float real) {
    return static_cast<std::int64_t>(std::clamp(std::round(real / out.scale()), -3.0e9F, 3.0e9F));
  };
  if (activation == Fused::Relu || activation == Fused::Relu6) lo = std::max<std::int64_t>(lo, 0);
  if (activation == Fused::Relu6) hi = std::min(hi, code(6.0F));
  if (activation == Fused::ReluN1To1) {
    lo = std::max(lo, code(-1.0F));
    hi = std::min(hi, code(1.0F));
  }
  if (lo > hi) return fail(Kind::ModelMalformed, "the activation leaves no value of the output's type");
  return AttributeMap{{"scales", scales}, {"scale", static_cast<double>(out.scale())}, {"lo", lo}, {"hi", hi}};
}

Result<std::map<std::string, quantizers::Spec>> Call::activation(Fused fused) const {
  std::map<std::string, quantizers::Spec> out;
  if (fused == Fused::Relu) out["activation"] = {"relu", {}};
  if (fused == Fused::Relu6) out["activation"] = {"relu", {{"max_value", 6.0}}};
  if (fused == Fused::ReluN1To1) out["activation"] = {"clip", {{"min", -1.0}, {"max", 1.0}}};
  return out;
}

Result<void> Call::add_table(const TensorDef& in, const TensorDef& out,
                             const std::function<std::int64_t(std::int64_t)>& f) const {
  WEFT_TRY(auto attributes, integer_attributes({&in}, out));
  const auto limits = limits_of(in.type);
  if (limits.hi - limits.lo > 65535)
    return fail(Kind::LayerUnsupported, fmt::format("a table of {} codes is not made", to_string(in.type)));
  const std::int64_t lo = std::get<std::int64_t>(attributes.at("lo"));
  const std::int64_t hi = std::get<std::int64_t>(attributes.at("hi"));
  std::vector<std::int64_t> table;
  for (std::int64_t q = limits.lo; q <= limits.hi; ++q) table.push_back(std::clamp(f(q - in.zero_point()), lo, hi));
  attributes.erase("lo");
  attributes.erase("hi");
  attributes["table"] = std::move(table);
  attributes["first"] = limits.lo - in.zero_point();
  WEFT_TRY(const auto x, data(0));
  return set(add({.op = "IntegerTable", .attributes = std::move(attributes), .inputs = {x}, .shape = shape_of(x)}));
}

void set_multipliers(AttributeMap& attributes, const std::vector<double>& factors) {
  std::vector<std::int64_t> mantissas;
  std::vector<std::int64_t> shifts;
  for (const double f : factors) {
    const auto m = fixed::tflite::quantize_multiplier(f);
    mantissas.push_back(m.mantissa);
    shifts.push_back(m.shift);
  }
  attributes["multipliers"] = std::move(mantissas);
  attributes["shifts"] = std::move(shifts);
}

nn::Parameter integer_parameter(Shape shape, std::vector<std::int64_t> codes, double scale) {
  nn::Parameter out;
  out.values = FloatTensor(shape);
  for (std::size_t i = 0; i < codes.size(); ++i)
    out.values.data[i] = static_cast<float>(scale * static_cast<double>(codes[i]));
  quantizers::Quantized q{out.values, IntTensor(std::move(shape), std::move(codes)),
                          Scale(fixed::rational_from_double(scale))};
  out.quantized = std::move(q);
  return out;
}

const std::map<std::string, Operator>& operators() {
  static const auto all = [] {
    std::map<std::string, Operator> out;
    for (const auto& list : {elementwise_operators(), linear_operators(), movement_operators(), reduction_operators(),
                             recurrent_operators()})
      for (const auto& row : list) out.emplace(row.name, row);
    return out;
  }();
  return all;
}

bool looks_like_tflite(std::string_view bytes) { return bytes.size() >= 8 && bytes.substr(4, 4) == "TFL3"; }

Result<nn::Graph> read_tflite_bytes(const std::string& bytes, const std::string& name, Context& ctx) {
  if (!looks_like_tflite(bytes))
    return ctx.fail(Kind::FormatUnknown, {.file = name}, "the file is no TensorFlow Lite model");
  FlatBuffer buffer(bytes);
  WEFT_TRY(const auto model, read_model(buffer, name, ctx));
  Importer importer(model, ctx);
  auto graph = importer.run();
  if (buffer.failed())
    return ctx.fail(Kind::ModelMalformed, {.file = name}, buffer.problem() + "; save the model again");
  return graph;
}

Result<nn::Graph> read_tflite(const std::filesystem::path& path, Context& ctx) {
  WEFT_TRY(const std::string bytes, support::read_file(path, ctx));
  return read_tflite_bytes(bytes, path.filename().string(), ctx);
}

std::vector<std::string> supported_operators() {
  std::vector<std::string> out;
  for (const auto& [name, row] : operators()) out.push_back(name);
  return out;
}

}  // namespace weft::formats::tflite
