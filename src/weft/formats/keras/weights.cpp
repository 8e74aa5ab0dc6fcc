// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace weft::formats::keras {
namespace {

using Object = Hdf5File::Object;
using Objects = std::map<std::string, Object>;

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

/// The number in "dense_3" for base "dense"; 0 for "dense" itself; nullopt for other names.
std::optional<std::uint32_t> counter_of(std::string_view name, std::string_view base) {
  if (!name.starts_with(base)) return std::nullopt;
  name.remove_prefix(base.size());
  if (name.empty()) return 0;
  if (!name.starts_with('_')) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), value);
  if (error != std::errc() || end != name.data() + name.size() || value == 0) return std::nullopt;
  return value;
}

/// "dense_1/kernel:0" -> "kernel".
std::string variable_name(const std::string& path) {
  auto name = path.substr(path.rfind('/') + 1);
  return name.substr(0, name.rfind(':'));
}

/// "m/bi/forward_lstm/lstm_cell/kernel:0" -> "forward_layer/lstm_cell/kernel" for layer "bi"; the whole path where the
/// layer is not in it. The layers of QKeras on Keras 3 give their name to their cell: "bi/qgru_1/forward_qgru/kernel"
/// -> "forward_layer/kernel".
std::string below_layer(const std::string& path, const std::string& layer) {
  auto at = path.starts_with(layer + "/") ? 0 : path.find("/" + layer + "/");
  if (at != std::string::npos) at += layer.size() + (at == 0 ? 1 : 2);
  auto key = at == std::string::npos ? path : path.substr(at);
  key = key.substr(0, key.rfind(':'));
  // The layer's name, then the cell's.
  std::size_t start = 0;
  for (int level = 0; level < 2; ++level) {
    const auto end = key.find('/', start);
    if (end == std::string::npos) break;
    for (const std::string part : {"forward", "backward"})
      if (key.compare(start, part.size() + 1, part + "_") == 0) return part + "_layer" + key.substr(end);
    start = end + 1;
  }
  return key;
}

}  // namespace

// Keras: "(.)([A-Z][a-z]+)" then "([a-z])([A-Z])", an underscore between both groups, all in lower case.
std::string snake_case(std::string_view class_name) {
  std::string first;
  for (std::size_t i = 0; i < class_name.size(); ++i) {
    const bool word = i > 0 && is_upper(class_name[i]) && i + 1 < class_name.size() && is_lower(class_name[i + 1]);
    if (word) first += '_';
    first += class_name[i];
  }
  std::string out;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (i > 0 && is_upper(first[i]) && is_lower(first[i - 1])) out += '_';
    out += is_upper(first[i]) ? static_cast<char>(first[i] - 'A' + 'a') : first[i];
  }
  return out;
}

Result<WeightFile> WeightFile::open(NamedBytes named, Context& ctx) {
  WEFT_TRY(auto hdf5, Hdf5File::open(std::move(named.bytes), std::move(named.name), ctx));
  WeightFile out(std::move(hdf5));
  auto& file = out.file_;
  const auto root = file.root();
  WEFT_TRY(const auto children, file.members(root, ctx));
  for (const auto* group : {"layers", "_layer_checkpoint_dependencies"}) {
    // A Keras 2 layer may be called "layers", but then it is listed in `layer_names`.
    if (children.count(group) == 0 || children.count("model_weights") != 0) continue;
    WEFT_TRY(const auto names, file.text_attribute(root, "layer_names", ctx));
    if (names) continue;
    out.counted_ = true;
    WEFT_TRY(const auto layers, file.find(root, group, ctx));
    out.layers_ = layers.value_or(root);
    return out;
  }
  WEFT_TRY(const auto weights, file.find(root, "model_weights", ctx));
  out.layers_ = weights.value_or(root);
  return out;
}

Result<std::optional<std::string>> WeightFile::root_text(std::string_view attribute, Context& ctx) {
  WEFT_TRY(auto texts, file_.text_attribute(file_.root(), attribute, ctx));
  if (!texts || texts->empty()) return std::optional<std::string>{};
  return std::optional<std::string>{std::move(texts->front())};
}

/// Keras splits lists that are too long for one attribute: name0, name1, ...
Result<std::vector<std::string>> WeightFile::text_list(Object object, const std::string& attribute, Context& ctx) {
  WEFT_TRY(auto whole, file_.text_attribute(object, attribute, ctx));
  if (whole) return std::move(*whole);
  std::vector<std::string> out;
  for (int i = 0;; ++i) {
    WEFT_TRY(auto part, file_.text_attribute(object, fmt::format("{}{}", attribute, i), ctx));
    if (!part) return out;
    out.insert(out.end(), part->begin(), part->end());
  }
}

Result<void> WeightFile::bind(const Topology& topology, const std::vector<bool>& weighted, Context& ctx) {
  return counted_ ? bind_counted(topology, 0, layers_, ctx) : bind_named(topology, weighted, ctx);
}

namespace {

bool scope_weighted(const Topology& topology, std::size_t scope, const std::vector<bool>& weighted) {
  const auto& members = topology.scopes[scope].members;
  return std::any_of(members.begin(), members.end(), [&](const Scope::Member& m) {
    return m.scope == Scope::kNone ? weighted[m.layer] : scope_weighted(topology, m.scope, weighted);
  });
}

}  // namespace

Result<void> WeightFile::bind_named(const Topology& topology, const std::vector<bool>& weighted, Context& ctx) {
  WEFT_TRY(const auto names, text_list(layers_, "layer_names", ctx));
  const std::set<std::string> known(names.begin(), names.end());
  std::vector<const Scope::Member*> wanted;
  bool all_there = true;
  for (const auto& m : topology.scopes.front().members) {
    const bool has = m.scope == Scope::kNone ? weighted[m.layer] : scope_weighted(topology, m.scope, weighted);
    if (!has) continue;
    wanted.push_back(&m);
    if (known.count(m.name) == 0) all_there = false;
  }
  std::vector<std::string> in_order;
  if (!all_there) {
    // Keras loads weights in the order of the layers; automatic names differ between two builds of one model.
    for (const auto& name : names) {
      WEFT_TRY(const auto group, file_.find(layers_, name, ctx));
      if (!group) continue;
      WEFT_TRY(const auto variables, text_list(*group, "weight_names", ctx));
      if (!variables.empty()) in_order.push_back(name);
    }
    if (in_order.size() != wanted.size()) {
      return ctx.fail(Kind::WeightMissing, {.file = file_.name()},
                      fmt::format("the file has weights of {} layers under other names, the architecture has {} layers "
                                  "with weights; give the weights of this model",
                                  in_order.size(), wanted.size()));
    }
    ctx.report(Kind::Info, {.file = file_.name()},
               "layer names differ from the architecture; weights are taken in order");
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    WEFT_TRY(const auto group, file_.find(layers_, all_there ? wanted[i]->name : in_order[i], ctx));
    if (!group) continue;
    if (wanted[i]->scope == Scope::kNone) {
      groups_.emplace(wanted[i]->layer, *group);
    } else {
      WEFT_TRY_VOID(bind_inner(topology, wanted[i]->scope, *group, ctx));
    }
  }
  return {};
}

// Keras 2's layout has the weights of a nested model in one flat group.
Result<void> WeightFile::bind_inner(const Topology& topology, std::size_t scope, Object group, Context& ctx) {
  for (const auto& m : topology.scopes[scope].members) {
    if (m.scope != Scope::kNone) {
      WEFT_TRY_VOID(bind_inner(topology, m.scope, group, ctx));
      continue;
    }
    groups_.emplace(m.layer, group);
    inner_.insert(m.layer);
  }
  return {};
}

// Keras 3 names groups by class with a counter in the order of the layers. Some versions count a layer twice, so that
// numbers have gaps: only their order is used. Newer versions note the layer's name on the group, which is surer.
Result<void> WeightFile::bind_counted(const Topology& topology, std::size_t scope, Object parent, Context& ctx) {
  const auto& members = topology.scopes[scope].members;
  WEFT_TRY(const auto children, file_.members(parent, ctx));
  std::map<std::string, std::vector<std::size_t>> by_base;
  for (std::size_t i = 0; i < members.size(); ++i) by_base[snake_case(members[i].class_name)].push_back(i);
  for (const auto& [base, layers] : by_base) {
    std::map<std::uint32_t, std::string> counted;
    for (const auto& [name, object] : children) {
      if (const auto n = counter_of(name, base)) counted.emplace(*n, name);
    }
    if (counted.size() != layers.size()) continue;  // variables() reports layers that need what is missing
    std::vector<Object> in_order;
    std::map<std::string, Object> by_name;
    for (const auto& [number, name] : counted) {
      WEFT_TRY(const auto group, file_.find(parent, name, ctx));
      WEFT_CHECK(group.has_value(), "a listed group is there");
      in_order.push_back(*group);
      WEFT_TRY(const auto vars, file_.find(*group, "vars", ctx));
      if (!vars) continue;
      WEFT_TRY(const auto stated, file_.text_attribute(*vars, "name", ctx));
      if (stated && !stated->empty()) by_name.emplace(stated->front(), *group);
    }
    const bool named = std::all_of(layers.begin(), layers.end(), [&, &names = by_name](std::size_t layer) {
      return names.count(members[layer].name) != 0;
    });
    for (std::size_t k = 0; k < layers.size(); ++k) {
      const auto& m = members[layers[k]];
      const auto group = named ? by_name.at(m.name) : in_order[k];
      if (m.scope == Scope::kNone) {
        groups_.emplace(m.layer, group);
        continue;
      }
      WEFT_TRY(const auto inner, file_.find(group, "layers", ctx));
      if (inner) WEFT_TRY_VOID(bind_counted(topology, m.scope, *inner, ctx));
    }
  }
  return {};
}

Result<std::vector<std::string>> WeightFile::names_of(std::size_t index, Object group, const LayerEntry& layer,
                                                      Context& ctx) {
  WEFT_TRY(auto paths, text_list(group, "weight_names", ctx));
  if (inner_.count(index) == 0) return paths;
  const auto other = [&](const std::string& path) {
    return !path.starts_with(layer.own_name + "/") && path.find("/" + layer.own_name + "/") == std::string::npos;
  };
  paths.erase(std::remove_if(paths.begin(), paths.end(), other), paths.end());
  return paths;
}

Result<Objects> WeightFile::variables(std::size_t index, const LayerEntry& layer, const std::vector<WeightRow>& rows,
                                      Context& ctx) {
  const auto group = groups_.find(index);
  if (group == groups_.end()) {
    if (rows.empty()) return Objects{};
    return ctx.fail(Kind::WeightMissing, layer.origin, fmt::format("no weights of this layer in `{}`", file_.name()));
  }
  return counted_ ? counted_variables(group->second, layer, rows, ctx)
                  : named_variables(index, group->second, layer, rows, ctx);
}

Result<Objects> WeightFile::named_variables(std::size_t index, Object group, const LayerEntry& layer,
                                            const std::vector<WeightRow>& rows, Context& ctx) {
  WEFT_TRY(const auto paths, names_of(index, group, layer, ctx));
  Objects out;
  for (const auto& path : paths) {
    const auto name = variable_name(path);
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const WeightRow& r) {
      return r.name == name || (!name.empty() && r.alias == name);
    });
    const bool known = found != rows.end();
    const auto pruning = [&] {
      return layer.pruned && std::any_of(std::begin(kPruningVariables), std::end(kPruningVariables),
                                         [&](auto row) { return name.starts_with(row); });
    };
    if (!known && !pruning()) {
      return ctx.fail(Kind::ModelMalformed, {layer.origin.file, layer.origin.node, layer.origin.op, path},
                      "the layer has a weight that its config does not explain");
    }
    WEFT_TRY(const auto object, file_.find(group, path, ctx));
    if (!object || !out.emplace(known ? std::string(found->name) : name, *object).second) {
      return ctx.fail(Kind::ModelMalformed, {layer.origin.file, layer.origin.node, layer.origin.op, path},
                      "the weight is listed twice or not there");
    }
  }
  return out;
}

Result<Objects> WeightFile::counted_variables(Object group, const LayerEntry& layer, const std::vector<WeightRow>& rows,
                                              Context& ctx) {
  const auto fail = [&](std::string message) {
    return ctx.fail(Kind::ModelMalformed, layer.origin, std::move(message));
  };
  WEFT_TRY(const auto parts, file_.members(group, ctx));
  std::set<std::string> owners = {""};
  for (const auto& row : rows) owners.insert(std::string(row.owner));
  for (const auto& [part, object] : parts) {
    if (part == "vars" || owners.count(part) != 0) continue;
    WEFT_TRY(const bool data, holds_data(object, 0, ctx));
    if (data) return fail(fmt::format("the layer has weights in a part `{}` that its config does not explain", part));
  }
  Objects out;
  for (const auto& owner : owners) {
    WEFT_TRY(const auto vars, file_.find(group, owner + "/vars", ctx));
    if (!vars) continue;
    WEFT_TRY(const auto datasets, file_.members(*vars, ctx));
    std::size_t next = 0;
    for (const auto& row : rows) {
      if (row.owner != owner) continue;
      const auto numbered = datasets.find(std::to_string(next++));
      if (numbered != datasets.end()) out.emplace(row.name, numbered->second);
    }
    for (const auto& [name, object] : datasets) {
      std::size_t number = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      const bool numbered = error == std::errc() && end == name.data() + name.size() && number < next;
      const bool ignored = std::any_of(rows.begin(), rows.end(), [&, n = std::string_view(name)](const auto& row) {
        return row.ignored && row.name == n;
      });
      if (!numbered && !ignored)
        return fail(fmt::format("the layer has a weight `{}` that its config does not explain", name));
    }
  }
  return out;
}

Result<void> WeightFile::collect(Object object, const std::string& path, int depth, Objects& out, Context& ctx) {
  WEFT_TRY(const bool dataset, file_.is_dataset(object, ctx));
  if (dataset) {
    out.emplace(path, object);
    return {};
  }
  constexpr int kMaxDepth = 16;
  if (depth > kMaxDepth)
    return ctx.fail(Kind::ModelMalformed, {.file = file_.name()}, "the weights of a layer lie too deep in groups");
  WEFT_TRY(const auto children, file_.members(object, ctx));
  for (const auto& [name, child] : children)
    WEFT_TRY_VOID(collect(child, path.empty() ? name : path + "/" + name, depth + 1, out, ctx));
  return {};
}

Result<Objects> WeightFile::all_variables(std::size_t index, const LayerEntry& layer, Context& ctx) {
  const auto group = groups_.find(index);
  if (group == groups_.end()) {
    return ctx.fail(Kind::WeightMissing, layer.origin, fmt::format("no weights of this layer in `{}`", file_.name()));
  }
  Objects out;
  if (counted_) {
    WEFT_TRY_VOID(collect(group->second, "", 0, out, ctx));
    return out;
  }
  WEFT_TRY(const auto paths, names_of(index, group->second, layer, ctx));
  const bool hgq = layer.package == "hgq" || layer.package == "HGQ";
  for (const auto& path : paths) {
    std::string key = variable_name(path);
    if (!hgq) key = below_layer(path, layer.own_name);
    for (const std::string part : {"iq", "kq", "bq", "oq"})
      if (hgq && path.find(layer.own_name + "_" + part + "/") != std::string::npos) key = part + "/" + key;
    if (const auto at = path.find("/multiple_quantizers"); hgq && at != std::string::npos) {
      const auto number =
          counter_of(path.substr(path.find('/', at + 1) + 1,
                                 path.find('/', path.find('/', at + 1) + 1) - path.find('/', at + 1) - 1),
                     "quantizer");
      if (number) key = fmt::format("iq{}/{}", *number, key);
    }
    WEFT_TRY(const auto object, file_.find(group->second, path, ctx));
    if (!object || !out.emplace(key, *object).second) {
      return ctx.fail(Kind::ModelMalformed, {layer.origin.file, layer.origin.node, layer.origin.op, path},
                      "the weight is listed twice or not there");
    }
  }
  return out;
}

Result<bool> WeightFile::holds_data(Object object, int depth, Context& ctx) {
  WEFT_TRY(const bool dataset, file_.is_dataset(object, ctx));
  constexpr int kMaxDepth = 16;
  if (dataset || depth > kMaxDepth) return true;
  WEFT_TRY(const auto children, file_.members(object, ctx));
  for (const auto& [name, child] : children) {
    WEFT_TRY(const bool data, holds_data(child, depth + 1, ctx));
    if (data) return true;
  }
  return false;
}

}  // namespace weft::formats::keras
