// SPDX-License-Identifier: Apache-2.0
// A recipe is data: names of operators and of what they carry. Nothing in it is run.
#include "weft/formats/keras/user_layers.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/keras/quantizer_spec.h"
#include "weft/layers/layer.h"

namespace weft::formats::keras {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxNodes = 4096;
constexpr int kMaxDepth = 32;

/// YAML scalars are text: the types of JSON where they look like them, unless they were quoted.
Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;
  if (text.empty() || text == "null" || text == "~") return nullptr;
  if (text == "true" || text == "false") return text == "true";
  std::int64_t whole = 0;
  if (YAML::convert<std::int64_t>::decode(node, whole)) return whole;
  double number = 0.0;
  if (YAML::convert<double>::decode(node, number) && std::isfinite(number)) return number;
  return text;
}

/// `budget` bounds what aliases can multiply.
bool convert(const YAML::Node& node, Json& out, std::size_t& budget, int depth) {
  if (budget == 0 || depth > kMaxDepth) return false;
  --budget;
  if (node.IsSequence()) {
    out = Json::array();
    for (const auto& item : node) {
      Json value;
      if (!convert(item, value, budget, depth + 1)) return false;
      out.push_back(std::move(value));
    }
  } else if (node.IsMap()) {
    out = Json::object();
    for (const auto& item : node) {
      Json value;
      if (!item.first.IsScalar() || !convert(item.second, value, budget, depth + 1)) return false;
      out[item.first.Scalar()] = std::move(value);
    }
  } else if (node.IsScalar()) {
    out = scalar(node);
  }
  return true;
}

Result<Json> parse_yaml(const std::string& text, const std::string& file, Context& ctx) {
  const auto refuse = [&](std::string why) { return ctx.fail(Kind::ConfigInvalid, {.file = file}, std::move(why)); };
  if (text.size() > kMaxBytes) return refuse("a recipe file of more than 1 MiB");
  // yaml-cpp recurses per level: of brackets, and of indentation.
  int flow = 0;
  int deepest = 0;
  std::size_t indent = 0;
  std::size_t deepest_indent = 0;
  bool at_start = true;
  for (const char c : text) {
    if (c == '[' || c == '{') deepest = std::max(deepest, ++flow);
    if (c == ']' || c == '}') --flow;
    if (c == '\n') {
      at_start = true;
      indent = 0;
    } else if (at_start && (c == ' ' || c == '-' || c == '?' || c == ':' || c == '\t')) {
      deepest_indent = std::max(deepest_indent, ++indent);
    } else {
      at_start = false;
    }
  }
  if (deepest > kMaxDepth || deepest_indent > 128) return refuse("the recipe file is nested too deeply");
  Json out;
  try {
    std::size_t budget = 65536;
    const YAML::Node root = YAML::Load(text);
    if (!convert(root, out, budget, 0)) return refuse("the recipe file is too large or nested too deeply");
  } catch (const YAML::Exception& e) {
    return refuse(fmt::format("not readable as YAML: {}", e.what()));
  }
  return out;
}

bool among(const std::vector<std::string_view>& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

/// Text that names a key of the layer's config.
std::optional<std::string> config_key(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto text = value.get<std::string>();
  if (text.size() < 2 || text[0] != '$') return std::nullopt;
  return text.substr(1);
}

/// Checks one recipe.
class Checker {
 public:
  Checker(UserLayer& layer, std::string file, Context& ctx) : layer_(layer), file_(std::move(file)), ctx_(ctx) {}

  bool run() {
    const Json& recipe = layer_.recipe;
    if (!recipe.is_object()) return fail("a recipe is a map");
    for (const auto& [key, value] : recipe.items()) {
      if (key != "config" && key != "ignore" && key != "weights" && key != "nodes" && key != "outputs")
        return fail(fmt::format("unknown key `{}`; a recipe has config, ignore, weights, nodes and outputs", key));
    }
    if (const auto* config = member(recipe, "config"); config != nullptr && !config->is_object())
      return fail("`config` is a map of keys to defaults");
    for (const auto* key : {"ignore", "weights", "outputs"}) {
      const auto* list = member(recipe, key);
      const auto text = [](const Json& e) { return e.is_string() && !e.get<std::string>().empty(); };
      if (list != nullptr && !(list->is_array() && std::all_of(list->begin(), list->end(), text)))
        return fail(fmt::format("`{}` is a list of names", key));
    }
    const auto* nodes = member(recipe, "nodes");
    if (nodes == nullptr || !nodes->is_array() || nodes->empty() || nodes->size() > kMaxNodes)
      return fail(fmt::format("`nodes` is a list of 1 to {} operators", kMaxNodes));
    for (const auto& node : *nodes) {
      if (!check_node(node)) return false;
    }
    if (const auto* outputs = member(recipe, "outputs")) {
      for (const auto& name : *outputs)
        if (std::find(names_.begin(), names_.end(), name.get<std::string>()) == names_.end())
          return fail(fmt::format("output `{}` is no node", name.get<std::string>()));
    }
    return true;
  }

 private:
  bool fail(const std::string& what) {
    ctx_.report(Kind::ConfigInvalid, {.file = file_, .node = layer_.class_name}, what);
    return false;
  }

  bool check_node(const Json& node) {
    const auto op = text_member(node, "op");
    const auto* row = layers::find_layer(op);
    if (row == nullptr) return fail(fmt::format("operator `{}` does not exist; `weft ops` lists them", op));
    for (const auto& [key, value] : node.items()) {
      if (key != "name" && key != "op" && key != "inputs" && key != "attributes" && key != "parameters" &&
          key != "functions")
        return fail(fmt::format("unknown key `{}` of a node", key));
    }
    const auto* inputs = member(node, "inputs");
    const auto count = inputs != nullptr && inputs->is_array() ? inputs->size() : 0;
    if (count < row->min_inputs || count > row->max_inputs)
      return fail(fmt::format("operator `{}` has {} inputs", op, count));
    for (const auto& input : *inputs) {
      const auto name = input.is_string() ? input.get<std::string>() : "";
      const bool layer_input =
          name == "x" || (name.size() > 1 && name.size() < 6 && name[0] == 'x' &&
                          std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; }));
      if (!layer_input && std::find(names_.begin(), names_.end(), name) == names_.end())
        return fail(fmt::format("input {} is neither x (x0, x1 ...) nor a node in front", shown(input)));
    }
    const auto known = [&](const char* key, const std::vector<std::string_view>& a,
                           const std::vector<std::string_view>& b) {
      const auto* map = member(node, key);
      if (map == nullptr) return true;
      if (!map->is_object()) return fail(fmt::format("`{}` is a map", key));
      for (const auto& [name, value] : map->items())
        if (!among(a, name) && !among(b, name))
          return fail(fmt::format("operator `{}` has no `{}` among its {}", op, name, key));
      return true;
    };
    if (!known("attributes", row->attributes, {}) ||
        !known("parameters", row->required_parameters, row->optional_parameters) ||
        !known("functions", row->functions, {}))
      return false;
    for (const auto role : row->required_parameters) {
      const auto* map = member(node, "parameters");
      if (map == nullptr || member(*map, role) == nullptr)
        return fail(fmt::format("operator `{}` needs the parameter `{}`", op, role));
    }
    auto name = text_member(node, "name");
    if (name.empty()) name = fmt::format("node{}", names_.size());
    if (std::find(names_.begin(), names_.end(), name) != names_.end() || name[0] == 'x')
      return fail(fmt::format("a node cannot have the name `{}`", name));
    names_.push_back(name);
    return true;
  }

  UserLayer& layer_;
  std::string file_;
  Context& ctx_;
  std::vector<std::string> names_;
};

/// Builds the nodes of one call of a layer.
class Builder {
 public:
  explicit Builder(LayerImport& in) : in_(in), recipe_(in.user->recipe) {}

  void run() {
    if (!in_.ready() || (!in_.variables && member(recipe_, "weights") != nullptr)) return in_.config.fail_reported();
    std::string last;
    for (const auto& node : *member(recipe_, "nodes")) {
      const auto made = build(node);
      if (!made) return in_.config.fail_reported();
      last = text_member(node, "name");
      if (last.empty()) last = fmt::format("node{}", tensors_.size());
      tensors_[last] = *made;
    }
    const auto* outputs = member(recipe_, "outputs");
    if (outputs == nullptr || outputs->size() < 2)
      return in_.finish(tensors_.at(outputs == nullptr || outputs->empty() ? last : (*outputs)[0].get<std::string>()));
    for (const auto& name : *outputs) in_.results.push_back(tensors_.at(name.get<std::string>()));
  }

 private:
  /// The value itself, or that of the config's key, or its default.
  const Json* value_of(const Json& value) {
    const auto key = config_key(value);
    if (!key) return &value;
    if (in_.config.has_key(*key)) return member(in_.config.json(), *key);
    const auto* defaults = member(recipe_, "config");
    const auto* fallback = defaults == nullptr ? nullptr : member(*defaults, *key);
    if (fallback == nullptr || *fallback == "required") {
      in_.config.fail(Kind::ModelMalformed, fmt::format("attribute `{}` is missing", *key));
      return nullptr;
    }
    return fallback;
  }

  std::optional<Attribute> attribute(const Json& given) {
    const auto* value = value_of(given);
    if (value == nullptr) return std::nullopt;
    if (value->is_boolean()) return value->get<bool>();
    if (value->is_number_integer()) return value->get<std::int64_t>();
    if (value->is_number()) return value->get<double>();
    if (value->is_string()) return value->get<std::string>();
    if (value->is_array() && value->size() < 65536) {
      std::vector<std::int64_t> whole;
      std::vector<double> numbers;
      for (const auto& e : *value) {
        if (!e.is_number()) break;
        if (e.is_number_integer()) whole.push_back(e.get<std::int64_t>());
        numbers.push_back(e.get<double>());
      }
      if (whole.size() == value->size()) return whole;
      if (numbers.size() == value->size()) return numbers;
    }
    in_.config.fail(Kind::AttributeUnsupported, fmt::format("the recipe gives an operator {}", shown(*value)));
    return std::nullopt;
  }

  /// A function or quantizer: text as QKeras writes it, or a key of the config. `absent` is set when the config says
  /// that there is none.
  std::optional<quantizers::Spec> function(const Json& given, bool& absent) {
    const auto key = config_key(given);
    const Json* text = &given;
    if (key && !in_.config.has_key(*key)) {
      text = value_of(given);
      absent = text == nullptr || text->is_null() || *text == "linear";
      if (absent) return std::nullopt;
    } else if (key) {
      auto choice = read_activation(in_.config, *key, true, in_.keras_major);
      if (choice.softmax) in_.config.fail(Kind::AttributeUnsupported, fmt::format("`{}` is a softmax", *key));
      absent = !choice.function;
      return choice.function;
    }
    auto spec = quantizers::parse_text(text->is_string() ? text->get<std::string>() : "", in_.config.origin(),
                                       in_.config.context());
    if (spec) return std::move(spec).value();
    in_.config.fail_reported();
    return std::nullopt;
  }

  std::optional<nn::Parameter> parameter(const Json& given) {
    const bool map = given.is_object();
    const auto* numbers = map ? member(given, "value") : given.is_string() ? nullptr : &given;
    nn::Parameter out;
    if (numbers != nullptr) {
      const auto* value = value_of(*numbers);
      if (value == nullptr) return std::nullopt;
      if (value->is_number()) {
        out.values = FloatTensor({}, {static_cast<float>(value->get<double>())});
      } else if (value->is_array() && !value->empty() && value->size() < 65536 &&
                 std::all_of(value->begin(), value->end(), [](const Json& e) { return e.is_number(); })) {
        out.values = FloatTensor(Shape{static_cast<std::int64_t>(value->size())});
        for (std::size_t i = 0; i < value->size(); ++i)
          out.values.data[i] = static_cast<float>((*value)[i].get<double>());
      } else {
        in_.config.fail(Kind::AttributeUnsupported, fmt::format("the recipe gives {} as numbers", shown(*value)));
        return std::nullopt;
      }
    } else {
      const auto name = map ? text_member(given, "weight") : given.get<std::string>();
      if (!take(name, out.values)) return std::nullopt;
    }
    if (!map) return out;
    if (const auto* order = member(given, "permute")) {
      std::vector<std::int64_t> axes;
      for (const auto& e : *order) axes.push_back(e.is_number_integer() ? e.get<std::int64_t>() : -1);
      auto sorted = axes;
      std::sort(sorted.begin(), sorted.end());
      bool good = sorted.size() == out.values.shape.size();
      for (std::size_t i = 0; good && i < sorted.size(); ++i) good = sorted[i] == static_cast<std::int64_t>(i);
      if (!good) {
        in_.config.fail(Kind::ShapeMismatch, fmt::format("`permute` {} does not fit a weight of shape {}",
                                                         shown(*order), weft::to_string(out.values.shape)));
        return std::nullopt;
      }
      out.values = tensor::permute(out.values, axes);
    }
    if (const auto* target = member(given, "reshape")) {
      Shape shape;
      std::int64_t known = 1;
      bool good = target->is_array() && target->size() <= 8;
      for (std::size_t i = 0; good && i < target->size(); ++i) {
        const auto* e = value_of((*target)[i]);
        good = e != nullptr && e->is_number_integer() && e->get<std::int64_t>() >= 1 &&
               e->get<std::int64_t>() <= out.values.size() / known;
        if (good) known *= shape.emplace_back(e->get<std::int64_t>());
      }
      if (!good || known != out.values.size()) {
        in_.config.fail(Kind::ShapeMismatch, fmt::format("`reshape` {} does not fit a weight of shape {}",
                                                         shown(*target), weft::to_string(out.values.shape)));
        return std::nullopt;
      }
      out.values.shape = shape;
    }
    if (const auto* quantizer = member(given, "quantizer")) {
      bool absent = false;
      out.quantizer = function(*quantizer, absent);
      if (!out.quantizer && !absent) return std::nullopt;
    }
    return out;
  }

  bool take(const std::string& name, FloatTensor& out) {
    const auto* weights = member(recipe_, "weights");
    const auto known = [&](const Json& w) { return w == name; };
    if (weights == nullptr || std::none_of(weights->begin(), weights->end(), known)) {
      in_.config.fail(Kind::ConfigInvalid, fmt::format("`{}` is not among the recipe's weights", name));
      return false;
    }
    const auto it = in_.variables->find(name);
    if (it == in_.variables->end()) {
      in_.config.fail(Kind::WeightMissing, fmt::format("weight `{}` is not in `{}`", name, in_.weights->hdf5().name()));
      return false;
    }
    auto values = in_.weights->hdf5().read_floats(it->second, in_.config.context());
    if (values) out = std::move(values).value();
    if (!values) in_.config.fail_reported();
    return in_.config.ok();
  }

  std::optional<nn::TensorId> input(const std::string& name) {
    const auto it = tensors_.find(name);
    if (it != tensors_.end()) return it->second;
    std::size_t index = 0;
    for (std::size_t i = 1; i < name.size(); ++i) index = index * 10 + static_cast<std::size_t>(name[i] - '0');
    if (index < in_.tensors.size()) return in_.tensors[index];
    in_.config.fail(Kind::AttributeUnsupported,
                    fmt::format("the recipe reads input {} of {}", index, in_.tensors.size()));
    return std::nullopt;
  }

  std::optional<nn::TensorId> build(const Json& json) {
    nn::Node node;
    node.op = text_member(json, "op");
    node.name = in_.node.name + "_" + (text_member(json, "name").empty() ? node.op : text_member(json, "name"));
    for (const auto& name : *member(json, "inputs")) {
      const auto tensor = input(name.get<std::string>());
      if (!tensor) return tensor;
      node.inputs.push_back(*tensor);
    }
    if (const auto* map = member(json, "attributes")) {
      for (const auto& [key, value] : map->items()) {
        auto made = attribute(value);
        if (!made) return std::nullopt;
        node.attributes[key] = std::move(*made);
      }
    }
    if (const auto* map = member(json, "parameters")) {
      for (const auto& [key, value] : map->items()) {
        auto made = parameter(value);
        if (!made) return std::nullopt;
        node.parameters[key] = std::move(*made);
      }
    }
    if (const auto* map = member(json, "functions")) {
      for (const auto& [key, value] : map->items()) {
        bool absent = false;
        auto made = function(value, absent);
        if (made) node.functions[key] = std::move(*made);
        if (!made && !absent) return std::nullopt;
      }
    }
    if (node.op == "Activation" && node.functions.empty()) node.op = "Identity";
    // The recipe's author is no importer of ours: attributes of a wrong type are their mistake.
    const std::string op = node.op;
    try {
      return in_.emit(std::move(node));
    } catch (const diag::InternalError&) {
      in_.config.fail(Kind::ConfigInvalid, fmt::format("operator `{}` cannot have what the recipe gives it", op));
      return std::nullopt;
    }
  }

  LayerImport& in_;
  const Json& recipe_;
  std::map<std::string, nn::TensorId> tensors_;
};

void import_user(LayerImport& in) { Builder(in).run(); }

}  // namespace

Result<UserLayers> read_user_layers(const std::string& text, const std::string& file, Context& ctx) {
  WEFT_TRY(const auto json, parse_yaml(text, file, ctx));
  if (!json.is_object() || json.empty())
    return ctx.fail(Kind::ConfigInvalid, {.file = file}, "a recipe file maps class names to recipes");
  UserLayers out;
  bool good = true;
  for (const auto& [name, recipe] : json.items()) {
    auto& layer = out.emplace_back();
    std::tie(layer.package, layer.class_name) = split_registered(name);
    layer.recipe = recipe;
    good = Checker(layer, file, ctx).run() && good;
    if (!good) continue;
    std::vector<std::pair<int, std::string>> words;  // 0: used, 1: ignored, 2: weight
    if (const auto* config = member(recipe, "config"))
      for (const auto& [key, value] : config->items()) words.emplace_back(0, key);
    for (const auto& [kind, list] : {std::pair(1, "ignore"), std::pair(2, "weights")})
      if (const auto* names = member(recipe, list))
        for (const auto& e : *names) words.emplace_back(kind, e.get<std::string>());
    for (const auto& word : words) layer.words.push_back(word.second);
    layer.row = {.class_name = layer.class_name,
                 .package = layer.package,
                 .op = "Identity",
                 .used = {},
                 .ignored = {},
                 .refused = {},
                 .weights = {},
                 .min_inputs = 1,
                 .max_inputs = 256,
                 .import = import_user};
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::string_view word = layer.words[i];
      if (words[i].first == 0) layer.row.used.push_back(word);
      if (words[i].first == 1) layer.row.ignored.push_back(word);
      if (words[i].first == 2) layer.row.weights.push_back({.name = word});
    }
  }
  if (!good) return diag::failure;
  return out;
}

const UserLayer* find_user_layer(const UserLayers& layers, std::string_view class_name, std::string_view package) {
  for (const auto& layer : layers)
    if (layer.class_name == class_name && (layer.package.empty() || layer.package == package)) return &layer;
  return nullptr;
}

}  // namespace weft::formats::keras
