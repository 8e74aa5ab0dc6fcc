// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/source.h"

#include <fmt/format.h>

#include <algorithm>

#include <limits>
#include <string_view>

#include "onnx_subset.pb.h"
#include "weft/formats/onnx/tensor_data.h"
#include "weft/formats/onnx/wire.h"

namespace weft::formats::onnx {
namespace {

constexpr std::uint64_t kMaxNodes = 1'000'000;
/// Every message costs protobuf some hundred bytes, however small it is in the file.
constexpr std::uint64_t kMaxObjects = 8'000'000;
constexpr std::int64_t kMaxIr = 13;

/// UTF-8 without overlong forms and surrogates: names go into JSON later.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t more = 0;
    std::uint32_t code = 0;
    if (lead < 0x80) {
      ++i;
      continue;
    }
    if (lead >= 0xc2 && lead < 0xe0) {
      more = 1;
      code = lead & 0x1fU;
    } else if (lead >= 0xe0 && lead < 0xf0) {
      more = 2;
      code = lead & 0x0fU;
    } else if (lead >= 0xf0 && lead < 0xf5) {
      more = 3;
      code = lead & 0x07U;
    } else
      return false;
    if (text.size() - i <= more) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xc0) != 0x80) return false;
      code = (code << 6) | (byte & 0x3fU);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff))) return false;
    if (code >= 0xd800 && code < 0xe000) return false;
    i += more + 1;
  }
  return true;
}

bool names_valid(const NodeHead& node) {
  bool ok = is_utf8(node.name) && is_utf8(node.op_type) && is_utf8(node.domain);
  for (const auto& name : node.inputs) ok = ok && is_utf8(name);
  for (const auto& name : node.outputs) ok = ok && is_utf8(name);
  return ok;
}

PortInfo read_port(const onnx_proto::ValueInfoProto& info) {
  PortInfo port;
  port.name = info.name();
  if (!info.has_type() || !info.type().has_tensor_type()) return port;
  const auto& type = info.type().tensor_type();
  port.element_number = type.elem_type();
  port.has_shape = type.has_shape();
  for (const auto& dim : type.shape().dim()) port.shape.push_back(dim.has_dim_value() ? dim.dim_value() : -1);
  return port;
}

/// Old files leave the type out; it follows from the field that is set.
AttributeType attribute_type(const onnx_proto::AttributeProto& attribute) {
  switch (attribute.type()) {
    case 1:
      return AttributeType::Float;
    case 2:
      return AttributeType::Int;
    case 3:
      return AttributeType::String;
    case 4:
      return AttributeType::Tensor;
    case 6:
      return AttributeType::Floats;
    case 7:
      return AttributeType::Ints;
    case 8:
      return AttributeType::Strings;
    case 0:
      break;
    default:
      return AttributeType::Other;
  }
  if (attribute.has_f()) return AttributeType::Float;
  if (attribute.has_i()) return AttributeType::Int;
  if (attribute.has_s()) return AttributeType::String;
  if (attribute.has_t()) return AttributeType::Tensor;
  if (attribute.floats_size() != 0) return AttributeType::Floats;
  if (attribute.ints_size() != 0) return AttributeType::Ints;
  if (attribute.strings_size() != 0) return AttributeType::Strings;
  return AttributeType::Other;
}

}  // namespace

SourceModel::SourceModel() = default;
SourceModel::~SourceModel() = default;
SourceModel::SourceModel(SourceModel&&) noexcept = default;

Result<SourceModel> SourceModel::parse(const std::string& bytes, const std::string& file,
                                       const std::filesystem::path& folder, Context& ctx) {
  const Origin origin{.file = file};
  if (bytes.size() > ctx.limits.file_bytes ||
      bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    return ctx.fail(
        Kind::LimitExceeded, origin,
        fmt::format("the model has {} bytes; up to {} are read. Keep large weights in external data", bytes.size(),
                    std::min<std::uint64_t>(ctx.limits.file_bytes, std::numeric_limits<int>::max())));
  }
  const WireCounts counts = count_objects(bytes, kMaxObjects);
  if (counts.nodes > kMaxNodes || counts.objects > kMaxObjects) {
    return ctx.fail(Kind::LimitExceeded, origin,
                    fmt::format("the model has more than {} nodes or {} parts", kMaxNodes, kMaxObjects));
  }
  SourceModel source;
  source.file_ = file;
  source.folder_ = folder;
  source.model_ = std::make_unique<onnx_proto::ModelProto>();
  if (!counts.well_formed || !source.model_->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return ctx.fail(Kind::ModelMalformed, origin, "the file is no serialized ONNX model, or it is cut off or damaged");
  }
  WEFT_TRY_VOID(source.index(ctx));
  return source;
}

Result<void> SourceModel::index(Context& ctx) {
  const Origin origin{.file = file_};
  const auto malformed = [&](std::string what) { return ctx.fail(Kind::ModelMalformed, origin, std::move(what)); };
  if (!model_->has_graph()) return malformed("the model holds no graph");
  if (!model_->has_ir_version()) return malformed("the model has no IR version");
  if (model_->ir_version() < 3 || model_->ir_version() > kMaxIr) {
    return ctx.fail(Kind::AttributeUnsupported, origin,
                    fmt::format("IR version {} is not read; 3 to {} are", model_->ir_version(), kMaxIr));
  }
  for (const auto& import : model_->opset_import()) {
    std::string domain = import.domain() == "ai.onnx" ? "" : import.domain();
    if (!is_utf8(domain)) return malformed("an operator set's name is no UTF-8 text");
    if (!opsets_.emplace(domain, import.version()).second) {
      return malformed(fmt::format("operator set `{}` is imported twice", domain));
    }
  }
  const auto& graph = model_->graph();
  if (!is_utf8(graph.name())) return malformed("the graph's name is no UTF-8 text");
  graph_name_ = graph.name();
  for (int i = 0; i < graph.initializer_size(); ++i) {
    const std::string& name = graph.initializer(i).name();
    if (name.empty() || !is_utf8(name)) return malformed("an initializer's name is empty or no UTF-8 text");
    if (!initializers_.emplace(name, i).second)
      return malformed(fmt::format("initializer `{}` is defined twice", name));
  }
  for (int i = 0; i < graph.sparse_initializer_size(); ++i) {
    const std::string& name = graph.sparse_initializer(i).values().name();
    if (name.empty() || !is_utf8(name)) return malformed("a sparse initializer's name is empty or no UTF-8 text");
    if (initializers_.count(name) != 0 || !sparse_.emplace(name, i).second) {
      return malformed(fmt::format("initializer `{}` is defined twice", name));
    }
  }
  for (const auto& info : graph.input()) {
    PortInfo port = read_port(info);
    if (port.name.empty() || !is_utf8(port.name)) return malformed("a graph input's name is empty or no UTF-8 text");
    if (initializers_.count(port.name) == 0 && sparse_.count(port.name) == 0) inputs_.push_back(std::move(port));
  }
  for (const auto& info : graph.output()) {
    if (info.name().empty() || !is_utf8(info.name()))
      return malformed("a graph output's name is empty or no UTF-8 text");
    outputs_.push_back(info.name());
  }
  nodes_.reserve(static_cast<std::size_t>(graph.node_size()));
  for (const auto& node : graph.node()) {
    NodeHead head{
        .name = node.name(), .op_type = node.op_type(), .domain = node.domain() == "ai.onnx" ? "" : node.domain()};
    head.inputs.assign(node.input().begin(), node.input().end());
    head.outputs.assign(node.output().begin(), node.output().end());
    if (!names_valid(head)) return malformed(fmt::format("node {} has a name that is no UTF-8 text", nodes_.size()));
    nodes_.push_back(std::move(head));
  }
  return {};
}

std::optional<std::int64_t> SourceModel::opset(const std::string& domain) const {
  const auto found = opsets_.find(domain);
  if (found == opsets_.end()) return std::nullopt;
  return found->second;
}

Result<Constant> SourceModel::initializer(const std::string& name, Context& ctx) const {
  const auto& tensor = model_->graph().initializer(initializers_.at(name));
  return decode_tensor(tensor, folder_, {.file = file_, .tensor = name}, ctx);
}

Result<SourceAttributes> SourceModel::attributes(std::size_t node, const Origin& origin, Context& ctx) const {
  SourceAttributes out;
  for (const auto& attribute : model_->graph().node(static_cast<int>(node)).attribute()) {
    const std::string& name = attribute.name();
    if (!is_utf8(name)) return ctx.fail(Kind::ModelMalformed, origin, "an attribute's name is no UTF-8 text");
    if (!attribute.ref_attr_name().empty()) {
      return ctx.fail(
          Kind::ModelMalformed, origin,
          fmt::format("attribute `{}` refers to an attribute of a function, but stands in no function", name));
    }
    SourceAttribute value;
    value.type = attribute_type(attribute);
    value.f = attribute.f();
    value.i = attribute.i();
    value.s = attribute.s();
    if (!is_utf8(value.s))
      return ctx.fail(Kind::ModelMalformed, origin, fmt::format("attribute `{}` is no UTF-8 text", name));
    value.floats.assign(attribute.floats().begin(), attribute.floats().end());
    value.ints.assign(attribute.ints().begin(), attribute.ints().end());
    value.strings.assign(attribute.strings().begin(), attribute.strings().end());
    if (!std::all_of(value.strings.begin(), value.strings.end(), [](const auto& s) { return is_utf8(s); }))
      return ctx.fail(Kind::ModelMalformed, origin, fmt::format("attribute `{}` is no UTF-8 text", name));
    if (value.type == AttributeType::Tensor) {
      Origin where = origin;
      where.tensor = name;
      WEFT_TRY(Constant tensor, decode_tensor(attribute.t(), folder_, where, ctx));
      value.tensor = std::make_shared<const Constant>(std::move(tensor));
    }
    if (!out.emplace(name, std::move(value)).second) {
      return ctx.fail(Kind::ModelMalformed, origin, fmt::format("attribute `{}` is given twice", name));
    }
  }
  return out;
}

}  // namespace weft::formats::onnx
