// SPDX-License-Identifier: Apache-2.0
// The `.weft` file: a zip of graph.json and one .npy per constant tensor. Numbers that must survive exactly (scales)
// are written as rational text, float32 attributes as shortest round-trip decimals.
#include <fmt/format.h>

#include <cmath>

#include "weft/fixed/rational.h"
#include "weft/nn/graph.h"
#include "weft/support/archive.h"
#include "weft/support/arrays.h"
#include "weft/support/json.h"

namespace weft::nn {
namespace {

using support::Array;
using support::Json;

constexpr int kVersion = 1;

Json number_to_json(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json attribute_to_json(const Attribute& attribute) {
  return std::visit(
      [](const auto& value) -> Json {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, bool>) return {{"bool", value}};
        if constexpr (std::is_same_v<T, std::int64_t>) return {{"int", value}};
        if constexpr (std::is_same_v<T, double>) return {{"real", number_to_json(value)}};
        if constexpr (std::is_same_v<T, std::string>) return {{"text", value}};
        if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) return {{"ints", value}};
        if constexpr (std::is_same_v<T, std::vector<double>>) {
          Json list = Json::array();
          for (double v : value) list.push_back(number_to_json(v));
          return {{"reals", std::move(list)}};
        }
      },
      attribute);
}

Json attributes_to_json(const AttributeMap& map) {
  Json out = Json::object();
  for (const auto& [key, value] : map) out[key] = attribute_to_json(value);
  return out;
}

Json spec_to_json(const quantizers::Spec& spec) {
  return {{"family", spec.family}, {"parameters", attributes_to_json(spec.parameters)}};
}

Array to_array(const FloatTensor& t) { return {t.shape, t.data, "f4"}; }
Array to_array(const IntTensor& t) { return {t.shape, t.data, "i8"}; }

Json shape_to_json(const Shape& shape) { return Json(shape); }

/// Reading: every access is checked; the first problem is remembered and everything after it yields defaults.
class Reader {
 public:
  Reader(const std::map<std::string, std::string>& members, std::string file, Context& ctx)
      : members_(members), file_(std::move(file)), ctx_(ctx) {}

  [[nodiscard]] bool failed() const { return failed_; }

  void problem(const std::string& what) {
    if (!failed_) ctx_.report(Kind::ModelMalformed, {.file = file_}, what);
    failed_ = true;
  }

  const Json& member(const Json& object, const char* key) {
    static const Json null;
    if (!object.is_object() || !object.contains(key)) {
      problem(fmt::format("graph.json lacks `{}`", key));
      return null;
    }
    return object[key];
  }
  std::string text(const Json& j) {
    if (j.is_string()) return j.get<std::string>();
    problem("graph.json holds something else where a text is expected");
    return {};
  }
  std::int64_t integer(const Json& j) {
    if (j.is_number_integer()) return j.get<std::int64_t>();
    problem("graph.json holds something else where an integer is expected");
    return 0;
  }
  double real(const Json& j) {
    if (j.is_number()) return j.get<double>();
    if (j == "nan") return std::nan("");
    if (j == "inf") return INFINITY;
    if (j == "-inf") return -INFINITY;
    problem("graph.json holds something else where a number is expected");
    return 0;
  }
  template <class F>
  void each(const Json& list, F&& f) {
    if (!list.is_array()) return problem("graph.json holds something else where a list is expected");
    for (const auto& item : list) {
      if (failed_) return;
      f(item);
    }
  }
  std::vector<std::int64_t> integers(const Json& list) {
    std::vector<std::int64_t> out;
    each(list, [&](const Json& j) { out.push_back(integer(j)); });
    return out;
  }
  Shape shape(const Json& list) {
    Shape out = integers(list);
    std::int64_t n = 1;
    for (auto d : out) {
      if (d < 0 || d > (std::int64_t{1} << 31) || n > (std::int64_t{1} << 31))
        problem("graph.json holds an impossible shape");
      n *= std::max<std::int64_t>(d, 1);
      if (failed_) return {};
    }
    return out;
  }
  Attribute attribute(const Json& j) {
    if (!j.is_object() || j.size() != 1) {
      problem("graph.json holds a malformed attribute");
      return false;
    }
    const std::string kind = j.begin().key();
    const Json& v = j.begin().value();
    if (kind == "bool" && v.is_boolean()) return v.get<bool>();
    if (kind == "int") return integer(v);
    if (kind == "real") return real(v);
    if (kind == "text") return text(v);
    if (kind == "ints") return integers(v);
    if (kind == "reals") {
      std::vector<double> out;
      each(v, [&](const Json& x) { out.push_back(real(x)); });
      return out;
    }
    problem(fmt::format("graph.json holds an attribute of unknown kind `{}`", kind));
    return false;
  }
  AttributeMap attributes(const Json& j) {
    AttributeMap out;
    if (!j.is_object()) {
      problem("graph.json holds malformed attributes");
      return out;
    }
    for (const auto& [key, value] : j.items()) out[key] = attribute(value);
    return out;
  }
  quantizers::Spec spec(const Json& j) { return {text(member(j, "family")), attributes(member(j, "parameters"))}; }

  std::optional<Array> array(const Json& j) {
    const std::string name = text(j);
    if (failed_) return std::nullopt;
    const auto it = members_.find(name);
    if (it == members_.end()) {
      problem(fmt::format("member `{}` is missing", name));
      return std::nullopt;
    }
    auto result = support::parse_npy(it->second, file_ + ":" + name, ctx_);
    if (!result) {
      failed_ = true;
      return std::nullopt;
    }
    return *result;
  }
  FloatTensor floats(const Json& j) {
    auto a = array(j);
    if (!a) return {};
    if (auto* data = std::get_if<std::vector<float>>(&a->data)) return {a->shape, std::move(*data)};
    problem("a tensor is not float32");
    return {};
  }
  IntTensor ints(const Json& j) {
    auto a = array(j);
    if (!a) return {};
    if (auto* data = std::get_if<std::vector<std::int64_t>>(&a->data)) return {a->shape, std::move(*data)};
    problem("a tensor of codes is not integer");
    return {};
  }

 private:
  const std::map<std::string, std::string>& members_;
  std::string file_;
  Context& ctx_;
  bool failed_ = false;
};

Json ports_to_json(const std::vector<GraphPort>& ports) {
  Json out = Json::array();
  for (const auto& port : ports) out.push_back({{"name", port.name}, {"tensor", port.tensor.index}});
  return out;
}

}  // namespace

Result<std::string> save(const Graph& graph, const std::map<std::string, std::string>& extra, Context& ctx) {
  std::map<std::string, std::string> members = extra;
  std::size_t next = 0;
  const auto store = [&](const Array& array) {
    const std::string name = fmt::format("tensors/{:05}.npy", next++);
    members[name] = support::format_npy(array);
    return name;
  };
  Json json = {{"weft", kVersion},
               {"name", graph.name},
               {"file", graph.file},
               {"framework", graph.framework == Framework::Keras ? "keras" : "onnx"}};
  Json tensors = Json::array();
  for (const auto& t : graph.tensors) tensors.push_back({{"name", t.name}, {"shape", shape_to_json(t.shape)}});
  json["tensors"] = std::move(tensors);
  json["inputs"] = ports_to_json(graph.inputs);
  json["outputs"] = ports_to_json(graph.outputs);
  Json nodes = Json::array();
  for (const auto& node : graph.nodes) {
    Json j = {{"name", node.name}, {"op", node.op}, {"attributes", attributes_to_json(node.attributes)}};
    Json inputs = Json::array();
    for (auto id : node.inputs) inputs.push_back(id.index);
    Json outputs = Json::array();
    for (auto id : node.outputs) outputs.push_back(id.index);
    j["inputs"] = std::move(inputs);
    j["outputs"] = std::move(outputs);
    Json parameters = Json::object();
    for (const auto& [role, p] : node.parameters) {
      Json pj = {{"values", store(to_array(p.values))}};
      if (p.quantizer) pj["quantizer"] = spec_to_json(*p.quantizer);
      if (p.quantized) {
        Json factors = Json::array();
        for (const auto& f : p.quantized->scale.factors) factors.push_back(fixed::to_string(f));
        pj["quantized"] = {{"values", store(to_array(p.quantized->values))},
                           {"codes", store(to_array(p.quantized->codes))},
                           {"scale", std::move(factors)}};
      }
      parameters[role] = std::move(pj);
    }
    j["parameters"] = std::move(parameters);
    Json functions = Json::object();
    for (const auto& [role, spec] : node.functions) functions[role] = spec_to_json(spec);
    j["functions"] = std::move(functions);
    j["origin"] = {
        {"file", node.origin.file}, {"node", node.origin.node}, {"op", node.origin.op}, {"tensor", node.origin.tensor}};
    nodes.push_back(std::move(j));
  }
  json["nodes"] = std::move(nodes);
  members["graph.json"] = support::dump_json(json, 1);
  return support::write_zip(members, ctx);
}

Result<Loaded> load(const std::string& bytes, const std::string& name, Context& ctx) {
  WEFT_TRY(auto members, support::read_zip(bytes, name, ctx));
  const auto it = members.find("graph.json");
  if (it == members.end()) return ctx.fail(Kind::ModelMalformed, {.file = name}, "member `graph.json` is missing");
  WEFT_TRY(const Json json, support::parse_json(it->second, name + ":graph.json", ctx));
  Reader in(members, name, ctx);
  if (in.integer(in.member(json, "weft")) != kVersion && !in.failed())
    return ctx.fail(Kind::ModelMalformed, {.file = name},
                    fmt::format("the file has another version than {}; write it again with this weft", kVersion));
  Loaded out;
  Graph& graph = out.graph;
  graph.name = in.text(in.member(json, "name"));
  graph.file = in.text(in.member(json, "file"));
  graph.framework = in.text(in.member(json, "framework")) == "onnx" ? Framework::Onnx : Framework::Keras;
  in.each(in.member(json, "tensors"),
          [&](const Json& j) { graph.add_tensor(in.text(in.member(j, "name")), in.shape(in.member(j, "shape"))); });
  const auto tensor_id = [&](const Json& j) {
    const std::int64_t index = in.integer(j);
    if (index < 0 || index >= static_cast<std::int64_t>(graph.tensors.size()))
      in.problem("graph.json names a tensor that is not there");
    return TensorId{static_cast<std::uint32_t>(index)};
  };
  const auto ports = [&](const Json& list, std::vector<GraphPort>& to) {
    in.each(list,
            [&](const Json& j) { to.push_back({in.text(in.member(j, "name")), tensor_id(in.member(j, "tensor"))}); });
  };
  ports(in.member(json, "inputs"), graph.inputs);
  ports(in.member(json, "outputs"), graph.outputs);
  in.each(in.member(json, "nodes"), [&](const Json& j) {
    Node node;
    node.name = in.text(in.member(j, "name"));
    node.op = in.text(in.member(j, "op"));
    node.attributes = in.attributes(in.member(j, "attributes"));
    in.each(in.member(j, "inputs"), [&](const Json& id) { node.inputs.push_back(tensor_id(id)); });
    in.each(in.member(j, "outputs"), [&](const Json& id) { node.outputs.push_back(tensor_id(id)); });
    const Json& parameters = in.member(j, "parameters");
    if (parameters.is_object()) {
      for (const auto& [role, pj] : parameters.items()) {
        Parameter p;
        p.values = in.floats(in.member(pj, "values"));
        if (pj.is_object() && pj.contains("quantizer")) p.quantizer = in.spec(pj["quantizer"]);
        if (pj.is_object() && pj.contains("quantized")) {
          const Json& qj = pj["quantized"];
          quantizers::Quantized q;
          q.values = in.floats(in.member(qj, "values"));
          q.codes = in.ints(in.member(qj, "codes"));
          q.scale.factors.clear();
          in.each(in.member(qj, "scale"), [&](const Json& f) {
            const auto r = fixed::parse_rational(in.text(f));
            if (!r || *r <= 0) return in.problem("a scale is not a positive rational");
            q.scale.factors.push_back(*r);
          });
          if (!in.failed() &&
              (q.values.shape != q.codes.shape || q.values.shape != p.values.shape || q.scale.factors.empty() ||
               (!q.scale.per_tensor() &&
                (q.codes.shape.empty() || static_cast<std::int64_t>(q.scale.factors.size()) != q.codes.shape.back()))))
            in.problem("codes, values and scale of a quantized tensor do not fit together");
          p.quantized = std::move(q);
        }
        node.parameters[role] = std::move(p);
      }
    }
    const Json& functions = in.member(j, "functions");
    if (functions.is_object())
      for (const auto& [role, spec] : functions.items()) node.functions[role] = in.spec(spec);
    const Json& origin = in.member(j, "origin");
    node.origin = {in.text(in.member(origin, "file")), in.text(in.member(origin, "node")),
                   in.text(in.member(origin, "op")), in.text(in.member(origin, "tensor"))};
    graph.nodes.push_back(std::move(node));
  });
  if (in.failed()) return diag::failure;
  for (auto& [member, content] : members)
    if (member != "graph.json" && member.rfind("tensors/", 0) != 0) out.extra[member] = std::move(content);
  return out;
}

}  // namespace weft::nn
