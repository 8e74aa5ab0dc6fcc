// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/tensorflow/graph_def.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "weft/formats/tensorflow/bundle.h"
#include "weft/formats/tensorflow/wire.h"

namespace weft::formats::tensorflow {
namespace {

constexpr std::int64_t kMaxExtents = std::int64_t{1} << 40;

/// Reads the fields of a message; f says what to do with one. False when it is damaged.
template <class F>
bool each(std::string_view bytes, F f) {
  Fields fields(bytes);
  while (const auto field = fields.next())
    if (!f(*field)) return false;
  return !fields.broken();
}

/// A map entry: key 1, value 2.
template <class F>
bool map_entry(std::string_view bytes, F f) {
  std::string key;
  std::string_view value;
  if (!each(bytes, [&](const Field& e) {
        if (e.number == 1) key = std::string(e.bytes);
        if (e.number == 2) value = e.bytes;
        return true;
      }))
    return false;
  return f(std::move(key), value);
}

bool read_node(std::string_view bytes, NodeDef& node) {
  return each(bytes, [&](const Field& f) {
    switch (f.number) {
      case 1:
        node.name = std::string(f.bytes);
        return true;
      case 2:
        node.op = std::string(f.bytes);
        return true;
      case 3:
        node.inputs.emplace_back(f.bytes);
        return true;
      case 5:
        return map_entry(f.bytes, [&](std::string key, std::string_view value) {
          node.attributes[std::move(key)] = value;
          return true;
        });
      default:
        return true;
    }
  });
}

bool read_function(std::string_view bytes, FunctionDef& out) {
  const auto argument = [](std::string_view def) {
    std::string name;
    Fields fields(def);
    while (const auto f = fields.next())
      if (f->number == 1) name = std::string(f->bytes);
    return name;
  };
  return each(bytes, [&](const Field& f) {
    switch (f.number) {
      case 1:
        return each(f.bytes, [&](const Field& s) {
          if (s.number == 1) out.name = std::string(s.bytes);
          if (s.number == 2) out.arguments.push_back(argument(s.bytes));
          if (s.number == 3) out.results.push_back(argument(s.bytes));
          return true;
        });
      case 3:
        out.nodes.emplace_back();
        return read_node(f.bytes, out.nodes.back());
      case 4:
        return map_entry(f.bytes, [&](std::string key, std::string_view value) {
          out.returns[std::move(key)] = std::string(value);
          return true;
        });
      default:
        return true;
    }
  });
}

bool read_graph_message(std::string_view bytes, GraphDef& out) {
  return each(bytes, [&](const Field& f) {
    if (f.number == 1) {
      out.nodes.emplace_back();
      return f.is_bytes && read_node(f.bytes, out.nodes.back());
    }
    if (f.number != 2) return true;
    return each(f.bytes, [&](const Field& l) {
      if (l.number != 1) return true;
      FunctionDef function;
      if (!read_function(l.bytes, function)) return false;
      std::string name = function.name;
      out.functions[std::move(name)] = std::move(function);
      return true;
    });
  });
}

bool read_signature(std::string_view bytes, Signature& out) {
  const auto tensor_name = [](std::string_view info) {
    std::string name;
    Fields fields(info);
    while (const auto f = fields.next())
      if (f->number == 1) name = std::string(f->bytes);
    return name;
  };
  return each(bytes, [&](const Field& f) {
    if (f.number != 1 && f.number != 2) return true;
    return map_entry(f.bytes, [&](std::string key, std::string_view value) {
      (f.number == 1 ? out.inputs : out.outputs)[std::move(key)] = tensor_name(value);
      return true;
    });
  });
}

std::optional<Field> value_of(const NodeDef& node, const std::string& name, std::uint64_t number) {
  const auto it = node.attributes.find(name);
  if (it == node.attributes.end()) return std::nullopt;
  std::optional<Field> out;
  Fields fields(it->second);
  while (const auto f = fields.next())
    if (f->number == number) out = f;
  return out;
}

std::optional<Shape> read_shape(std::string_view bytes) {
  Shape out;
  bool known = true;
  const bool ok = each(bytes, [&](const Field& f) {
    if (f.number == 3 && f.value != 0) known = false;
    if (f.number != 2) return true;
    std::int64_t extent = 0;
    const bool dim = each(f.bytes, [&](const Field& d) {
      if (d.number == 1) extent = d.integer();
      return true;
    });
    out.push_back(extent);
    return dim && out.size() <= 64;
  });
  if (!ok || !known) return std::nullopt;
  return out;
}

/// Varints of a packed or single repeated field.
bool append_varints(const Field& f, std::vector<std::int64_t>& out) {
  if (!f.is_bytes) {
    out.push_back(f.integer());
    return true;
  }
  std::size_t at = 0;
  while (at < f.bytes.size()) {
    const auto v = read_varint(f.bytes, at);
    if (!v) return false;
    out.push_back(static_cast<std::int64_t>(*v));
  }
  return true;
}

std::uint64_t fixed_at(std::string_view bytes, std::size_t i, std::size_t size) {
  std::uint64_t out = 0;
  for (std::size_t k = 0; k < size; ++k)
    out |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i * size + k])) << (8 * k);
  return out;
}

}  // namespace

Result<GraphDef> read_graph(std::string_view bytes, const std::string& file, Context& ctx) {
  GraphDef out;
  if (!read_graph_message(bytes, out))
    return ctx.fail(Kind::ModelMalformed, {.file = file}, "the graph is damaged; save the model again");
  return out;
}

Result<SavedModel> read_saved_model_message(std::string_view bytes, const std::string& file, Context& ctx) {
  SavedModel out;
  bool found = false;
  const bool ok = each(bytes, [&](const Field& f) {
    // The first graph is the one to serve.
    if (f.number != 2 || found) return true;
    found = true;
    return each(f.bytes, [&](const Field& m) {
      if (m.number == 2) return read_graph_message(m.bytes, out.graph);
      if (m.number == 5)
        return map_entry(m.bytes, [&](std::string key, std::string_view value) {
          return read_signature(value, out.signatures[std::move(key)]);
        });
      return true;
    });
  });
  if (!ok || !found) return ctx.fail(Kind::ModelMalformed, {.file = file}, "the model is damaged; save it again");
  return out;
}

std::optional<std::int64_t> integer_attribute(const NodeDef& node, const std::string& name) {
  const auto f = value_of(node, name, 3);
  return f ? std::optional(f->integer()) : std::nullopt;
}
std::optional<float> real_attribute(const NodeDef& node, const std::string& name) {
  const auto f = value_of(node, name, 4);
  return f ? std::optional(std::bit_cast<float>(static_cast<std::uint32_t>(f->value))) : std::nullopt;
}
std::optional<bool> bool_attribute(const NodeDef& node, const std::string& name) {
  const auto f = value_of(node, name, 5);
  return f ? std::optional(f->value != 0) : std::nullopt;
}
std::optional<std::int64_t> type_attribute(const NodeDef& node, const std::string& name) {
  const auto f = value_of(node, name, 6);
  return f ? std::optional(f->integer()) : std::nullopt;
}
std::optional<std::string> text_attribute(const NodeDef& node, const std::string& name) {
  const auto f = value_of(node, name, 2);
  return f ? std::optional(std::string(f->bytes)) : std::nullopt;
}
std::optional<std::vector<std::int64_t>> integers_attribute(const NodeDef& node, const std::string& name) {
  const auto list = value_of(node, name, 1);
  if (!list) return std::nullopt;
  std::vector<std::int64_t> out;
  const bool ok = each(list->bytes, [&](const Field& f) { return f.number != 3 || append_varints(f, out); });
  return ok ? std::optional(std::move(out)) : std::nullopt;
}
std::optional<std::string> function_attribute(const NodeDef& node, const std::string& name) {
  const auto f = value_of(node, name, 10);
  if (!f) return std::nullopt;
  std::optional<std::string> out;
  each(f->bytes, [&](const Field& n) {
    if (n.number == 1) out = std::string(n.bytes);
    return true;
  });
  return out;
}
std::optional<Shape> shape_attribute(const NodeDef& node, const std::string& name) {
  const auto f = value_of(node, name, 7);
  return f ? read_shape(f->bytes) : std::nullopt;
}
std::optional<std::string_view> tensor_attribute(const NodeDef& node, const std::string& name) {
  const auto f = value_of(node, name, 8);
  return f ? std::optional(f->bytes) : std::nullopt;
}

std::optional<TensorValue> decode_elements(std::int64_t type, Shape shape, std::string_view bytes) {
  TensorValue out{type, std::move(shape), {}, {}};
  const std::size_t size = type == kDouble || type == kInt64 ? 8 : type == kHalf ? 2 : type == kBool ? 1 : 4;
  const auto count = static_cast<std::size_t>(element_count(out.shape));
  if (bytes.size() != count * size) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t bits = fixed_at(bytes, i, size);
    if (type == kFloat)
      out.reals.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    else if (type == kDouble)
      out.reals.push_back(static_cast<float>(std::bit_cast<double>(bits)));
    else if (type == kInt32)
      out.integers.push_back(std::bit_cast<std::int32_t>(static_cast<std::uint32_t>(bits)));
    else if (type == kInt64 || type == kBool)
      out.integers.push_back(static_cast<std::int64_t>(bits));
    else
      return std::nullopt;
  }
  return out;
}

std::optional<TensorValue> read_tensor(std::string_view bytes, std::uint64_t limit) {
  TensorValue out;
  std::string_view content;
  bool has_content = false;
  bool ok = each(bytes, [&](const Field& f) {
    switch (f.number) {
      case 1:
        out.type = f.integer();
        return true;
      case 2: {
        const auto shape = read_shape(f.bytes);
        if (!shape) return false;
        out.shape = *shape;
        return true;
      }
      case 4:
        content = f.bytes;
        has_content = !content.empty();
        return true;
      case 5:
        if (f.bytes.size() % 4 != 0) return false;
        for (std::size_t i = 0; i < f.bytes.size() / 4; ++i)
          out.reals.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(fixed_at(f.bytes, i, 4))));
        return true;
      case 6:
        if (f.bytes.size() % 8 != 0) return false;
        for (std::size_t i = 0; i < f.bytes.size() / 8; ++i)
          out.reals.push_back(static_cast<float>(std::bit_cast<double>(fixed_at(f.bytes, i, 8))));
        return true;
      case 7:
      case 10:
      case 11:
        return append_varints(f, out.integers);
      default:
        return true;
    }
  });
  std::int64_t elements = 1;
  for (const auto d : out.shape) {
    ok = ok && d >= 0 && (d == 0 || elements <= kMaxExtents / d);
    if (!ok) return std::nullopt;
    elements *= d;
  }
  const auto count = static_cast<std::uint64_t>(elements);
  if (!ok || count > limit) return std::nullopt;
  if (has_content) return decode_elements(out.type, std::move(out.shape), content);
  const bool real = out.type == kFloat || out.type == kDouble;
  const bool whole = out.type == kInt32 || out.type == kInt64 || out.type == kBool;
  if (!real && !whole) {
    out.reals.clear();
    out.integers.clear();
    return out;
  }
  // A shorter list means that its last number repeats.
  const auto fill = [&](auto& list) {
    if (list.size() > count) return false;
    if (list.empty() && count != 0) list.push_back(0);
    list.resize(count, list.empty() ? 0 : list.back());
    return true;
  };
  if (real ? !fill(out.reals) || !out.integers.empty() : !fill(out.integers) || !out.reals.empty()) return std::nullopt;
  return out;
}

std::map<std::string, std::string> checkpoint_keys(std::string_view objects) {
  std::map<std::string, std::string> out;
  each(objects, [&](const Field& node) {
    if (node.number != 1) return true;
    return each(node.bytes, [&](const Field& attribute) {
      if (attribute.number != 2) return true;
      std::string full;
      std::string key;
      const bool ok = each(attribute.bytes, [&](const Field& f) {
        if (f.number == 2) full = std::string(f.bytes);
        if (f.number == 3) key = std::string(f.bytes);
        return true;
      });
      if (!full.empty()) out.emplace(std::move(full), std::move(key));
      return ok;
    });
  });
  return out;
}

}  // namespace weft::formats::tensorflow
