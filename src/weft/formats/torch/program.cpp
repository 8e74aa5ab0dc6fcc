// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/program.h"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <utility>

#include "weft/support/json.h"

namespace weft::formats::torch {
namespace {

using support::Json;

constexpr std::int64_t kMajorVersions[] = {7, 8};
constexpr std::size_t kMaxNodes = std::size_t{1} << 20;

/// Unwinds out of nested readers; never leaves this file.
struct Malformed {
  std::string what;
};

const Json& member(const Json& json, const char* key) {
  if (!json.is_object()) throw Malformed{fmt::format("an object with `{}` is expected", key)};
  const auto found = json.find(key);
  if (found == json.end()) throw Malformed{fmt::format("`{}` is missing", key)};
  return *found;
}

/// nullptr when absent or null.
const Json* maybe(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

const Json& list(const Json& json, const char* what) {
  if (!json.is_array()) throw Malformed{fmt::format("`{}` is no list", what)};
  return json;
}

std::string text(const Json& json, const char* what) {
  if (!json.is_string()) throw Malformed{fmt::format("`{}` is no text", what)};
  return json.get<std::string>();
}

std::int64_t integer(const Json& json, const char* what) {
  if (json.is_boolean()) return json.get<bool>() ? 1 : 0;
  if (!json.is_number_integer()) throw Malformed{fmt::format("`{}` is no integer", what)};
  if (json.is_number_unsigned() &&
      json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw Malformed{fmt::format("`{}` does not fit 64 bits", what)};
  return json.get<std::int64_t>();
}

/// Newer files write "Infinity", "-Infinity" and "NaN" as text.
double real(const Json& json, const char* what) {
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) {
    const auto& word = json.get_ref<const std::string&>();
    if (word == "Infinity") return std::numeric_limits<double>::infinity();
    if (word == "-Infinity") return -std::numeric_limits<double>::infinity();
    if (word == "NaN") return std::numeric_limits<double>::quiet_NaN();
  }
  throw Malformed{fmt::format("`{}` is no number", what)};
}

/// A union is an object with one member, the other ones null or absent.
std::pair<std::string, const Json*> chosen(const Json& json, const char* what) {
  if (!json.is_object()) throw Malformed{fmt::format("`{}` is no object", what)};
  const std::pair<std::string, const Json*> none{"as_none", nullptr};
  std::pair<std::string, const Json*> out = none;
  for (auto it = json.begin(); it != json.end(); ++it) {
    if (it->is_null()) continue;
    if (out.second != nullptr) throw Malformed{fmt::format("`{}` holds several alternatives", what)};
    out = {it.key(), &*it};
  }
  return out;
}

/// {"as_int": 3}, {"as_name": "s0"}, and sizes {"as_expr": {"expr_str": "s0", "hint": ...}}.
Extent extent(const Json& json, const char* what) {
  const auto [kind, value] = chosen(json, what);
  if (value == nullptr) throw Malformed{fmt::format("`{}` is empty", what)};
  if (kind == "as_int") return {"", integer(*value, what)};
  if (kind == "as_name") return {text(*value, what), 0};
  if (kind == "as_expr") return {text(member(*value, "expr_str"), "expr_str"), 0};
  throw Malformed{fmt::format("`{}` holds a `{}`", what, kind)};
}

std::string tensor_name(const Json& json) { return text(member(json, "name"), "name"); }

Argument argument(const Json& json) {
  const auto [kind, value] = chosen(json, "arg");
  Argument out;
  using Type = Argument::Type;
  if (value == nullptr || kind == "as_none") return out;
  if (kind == "as_tensor") {
    out.type = Type::Tensor;
    out.names = {tensor_name(*value)};
  } else if (kind == "as_optional_tensor") {
    const auto [inner, tensor] = chosen(*value, "as_optional_tensor");
    if (inner != "as_tensor" || tensor == nullptr) return out;
    out.type = Type::Tensor;
    out.names = {tensor_name(*tensor)};
  } else if (kind == "as_tensors" || kind == "as_optional_tensors") {
    out.type = Type::Tensors;
    for (const Json& item : list(*value, kind.c_str())) {
      if (kind == "as_tensors") {
        out.names.push_back(tensor_name(item));
        continue;
      }
      const auto [inner, tensor] = chosen(item, "as_optional_tensors");
      out.names.push_back(inner == "as_tensor" && tensor != nullptr ? tensor_name(*tensor) : std::string());
    }
  } else if (kind == "as_int" || kind == "as_scalar_type" || kind == "as_memory_format" || kind == "as_layout") {
    out.type = Type::Int;
    out.integers = {{"", integer(*value, kind.c_str())}};
  } else if (kind == "as_sym_int") {
    out.type = Type::Int;
    out.integers = {extent(*value, "as_sym_int")};
  } else if (kind == "as_ints") {
    out.type = Type::Ints;
    for (const Json& item : list(*value, "as_ints")) out.integers.push_back({"", integer(item, "as_ints")});
  } else if (kind == "as_sym_ints") {
    out.type = Type::Ints;
    for (const Json& item : list(*value, "as_sym_ints")) out.integers.push_back(extent(item, "as_sym_ints"));
  } else if (kind == "as_bool") {
    out.type = Type::Bool;
    out.integers = {{"", integer(*value, "as_bool")}};
  } else if (kind == "as_bools") {
    out.type = Type::Bools;
    for (const Json& item : list(*value, "as_bools")) out.integers.push_back({"", integer(item, "as_bools")});
  } else if (kind == "as_float") {
    out.type = Type::Float;
    out.floats = {real(*value, "as_float")};
  } else if (kind == "as_floats") {
    out.type = Type::Floats;
    for (const Json& item : list(*value, "as_floats")) out.floats.push_back(real(item, "as_floats"));
  } else if (kind == "as_string") {
    out.type = Type::Text;
    out.text = text(*value, "as_string");
  } else {
    out.type = Type::Other;
    out.text = kind;
  }
  return out;
}

/// "key,path,class;key,path,class;...": the innermost entry. Commas and semicolons are escaped with a backslash.
void read_module(const Json& node, ProgramNode& out) {
  const Json* metadata = maybe(node, "metadata");
  if (metadata == nullptr) return;
  const Json* stack = maybe(*metadata, "nn_module_stack");
  if (stack == nullptr || !stack->is_string()) return;
  const auto& all = stack->get_ref<const std::string&>();
  std::array<std::string, 3> parts;
  std::size_t part = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == ';') {
      parts = {};
      part = 0;
    } else if (all[i] == ',') {
      part = std::min<std::size_t>(part + 1, 2);
    } else {
      if (all[i] == '\\' && i + 1 < all.size()) ++i;
      parts[part] += all[i];
    }
  }
  // "L['self'].features.0" in old files.
  std::string path = parts[1];
  for (const char* prefix : {"L['self'].", "L__self___"}) {
    if (path.rfind(prefix, 0) == 0) path.erase(0, std::string(prefix).size());
  }
  if (path == "L['self']") path.clear();
  out.module_path = std::move(path);
  out.module_type = parts[2];
}

ProgramNode read_node(const Json& json) {
  ProgramNode out;
  out.target = text(member(json, "target"), "target");
  for (const Json& item : list(member(json, "inputs"), "inputs"))
    out.inputs.push_back({text(member(item, "name"), "name"), argument(member(item, "arg"))});
  for (const Json& item : list(member(json, "outputs"), "outputs")) out.outputs.push_back(argument(item));
  read_module(json, out);
  return out;
}

TensorMeta read_meta(const Json& json) {
  TensorMeta out;
  const std::int64_t number = integer(member(json, "dtype"), "dtype");
  out.element = element_from_scalar_type(number);
  out.element_name = scalar_type_name(number);
  for (const Json& item : list(member(json, "sizes"), "sizes")) out.sizes.push_back(extent(item, "sizes"));
  return out;
}

InputSpec read_input(const Json& json) {
  const auto [kind, value] = chosen(json, "input_specs");
  if (value == nullptr) throw Malformed{"an input has no kind"};
  InputSpec out;
  if (kind == "user_input") {
    const Argument arg = argument(member(*value, "arg"));
    if (arg.type == Argument::Type::Tensor) out.name = arg.names.front();
    return out;
  }
  static constexpr std::array<std::pair<const char*, const char*>, 3> kConstants = {
      {{"parameter", "parameter_name"}, {"buffer", "buffer_name"}, {"tensor_constant", "tensor_constant_name"}}};
  for (const auto& [name, key] : kConstants) {
    if (kind != name) continue;
    out.type = InputSpec::Type::Constant;
    out.name = tensor_name(member(*value, "arg"));
    out.value = text(member(*value, key), key);
    return out;
  }
  out.type = InputSpec::Type::Other;
  out.text = kind;
  return out;
}

OutputSpec read_output(const Json& json) {
  const auto [kind, value] = chosen(json, "output_specs");
  if (value == nullptr) throw Malformed{"an output has no kind"};
  OutputSpec out;
  out.text = kind;
  out.user = kind == "user_output";
  if (!out.user) return out;
  const Argument arg = argument(member(*value, "arg"));
  if (arg.type == Argument::Type::Tensor) out.name = arg.names.front();
  return out;
}

Program read_program(const Json& json) {
  Program out;
  const Json& graph_module = member(json, "graph_module");
  const Json& graph = member(graph_module, "graph");
  const Json& nodes = list(member(graph, "nodes"), "nodes");
  if (nodes.size() > kMaxNodes) throw Malformed{fmt::format("the graph has {} nodes", nodes.size())};
  for (const Json& node : nodes) out.nodes.push_back(read_node(node));
  const Json& tensors = member(graph, "tensor_values");
  if (!tensors.is_object()) throw Malformed{"`tensor_values` is no object"};
  for (auto it = tensors.begin(); it != tensors.end(); ++it) out.tensors.emplace(it.key(), read_meta(*it));
  const Json& signature = member(graph_module, "signature");
  for (const Json& item : list(member(signature, "input_specs"), "input_specs")) out.inputs.push_back(read_input(item));
  for (const Json& item : list(member(signature, "output_specs"), "output_specs"))
    out.outputs.push_back(read_output(item));
  return out;
}

struct ScalarType {
  std::int64_t number;
  const char* name;
  std::optional<onnx::Element> element;
};

constexpr ScalarType kScalarTypes[] = {
    {1, "uint8", onnx::Element::Uint8},
    {2, "int8", onnx::Element::Int8},
    {3, "int16", onnx::Element::Int16},
    {4, "int32", onnx::Element::Int32},
    {5, "int64", onnx::Element::Int64},
    {6, "float16", onnx::Element::Float16},
    {7, "float32", onnx::Element::Float32},
    {8, "float64", onnx::Element::Float64},
    {9, "complex32", std::nullopt},
    {10, "complex64", std::nullopt},
    {11, "complex128", std::nullopt},
    {12, "bool", onnx::Element::Bool},
    {13, "bfloat16", onnx::Element::Bfloat16},
};

}  // namespace

std::optional<onnx::Element> element_from_scalar_type(std::int64_t number) {
  for (const auto& row : kScalarTypes) {
    if (row.number == number) return row.element;
  }
  return std::nullopt;
}

std::string scalar_type_name(std::int64_t number) {
  for (const auto& row : kScalarTypes) {
    if (row.number == number) return row.name;
  }
  return fmt::format("element type {}", number);
}

Result<Program> parse_program(const std::string& content, const std::string& file, Context& ctx) {
  WEFT_TRY(const Json json, support::parse_json(content, file, ctx));
  try {
    const Json& version = member(json, "schema_version");
    const std::int64_t major = version.is_object() ? integer(member(version, "major"), "major") : -1;
    if (std::find(std::begin(kMajorVersions), std::end(kMajorVersions), major) == std::end(kMajorVersions)) {
      return ctx.fail(Kind::FormatUnknown, {.file = file},
                      fmt::format("the exported program has the schema version {}; 7 and 8 are read (PyTorch 2.5 and "
                                  "later). Export the module again with such a version",
                                  major));
    }
    Program out = read_program(json);
    out.file = file;
    return out;
  } catch (const Malformed& problem) {
    return ctx.fail(Kind::ModelMalformed, {.file = file}, "the exported program: " + problem.what);
  }
}

}  // namespace weft::formats::torch
