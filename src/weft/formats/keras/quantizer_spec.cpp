// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/quantizer_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace weft::formats::keras {
namespace {

using quantizers::Spec;

constexpr std::string_view kQkerasQuantizers[] = {
    "quantized_bits",    "quantized_linear", "quantized_relu", "quantized_tanh",     "quantized_sigmoid",
    "quantized_ulaw",    "quantized_hswish", "quantized_po2",  "quantized_relu_po2", "binary",
    "stochastic_binary", "bernoulli",        "ternary",        "stochastic_ternary"};
constexpr std::string_view kQkerasFunctions[] = {"hard_sigmoid", "smooth_sigmoid", "binary_sigmoid",
                                                 "hard_tanh",    "smooth_tanh",    "binary_tanh"};

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

/// [[[1, 2]]] -> {1, 2}: lists with one element outside, numbers inside. nullopt for anything else.
std::optional<std::vector<double>> flat_numbers(const Json& json) {
  const Json* list = &json;
  while (list->is_array() && list->size() == 1 && list->front().is_array()) list = &list->front();
  if (!list->is_array()) return std::nullopt;
  std::vector<double> out;
  for (const auto& item : *list) {
    // An array of shape [n, 1] has one number per element of a leading axis: not ours.
    if (!item.is_number()) return std::nullopt;
    out.push_back(item.get<double>());
  }
  return out;
}

/// The attribute that stands for a JSON value, of the default's type where nothing is lost. Bad values are passed on
/// for the quantizer's own check, which knows what it needs.
std::optional<Attribute> to_attribute(const Json& raw, const Attribute& fallback) {
  const Json& json = unwrap_array(raw);
  if (json.is_null()) return std::string("none");
  if (json.is_string()) return json.get<std::string>();
  if (json.is_boolean()) {
    const bool value = json.get<bool>();
    if (std::holds_alternative<std::int64_t>(fallback)) return std::int64_t{value ? 1 : 0};
    if (std::holds_alternative<bool>(fallback)) return value;
    return value ? 1.0 : 0.0;
  }
  if (json.is_number()) {
    const double value = json.get<double>();
    if (std::holds_alternative<bool>(fallback) && (value == 0 || value == 1)) return value == 1;
    const bool whole = std::fabs(value) < 0x1p53 && value == std::floor(value);
    if (std::holds_alternative<std::int64_t>(fallback) && whole) return static_cast<std::int64_t>(value);
    return value;
  }
  if (const auto numbers = flat_numbers(json)) return *numbers;
  return std::nullopt;
}

std::optional<Spec> spec_from_object(const Json& object, std::string_view key, ConfigReader& config) {
  const auto fail = [&](Kind kind, std::string message) {
    config.fail(kind, std::move(message));
    return std::nullopt;
  };
  auto [package, class_name] = split_registered(text_member(object, "class_name"));
  if (const auto registered = split_registered(text_member(object, "registered_name")).first; !registered.empty()) {
    package = registered;
  }
  const auto module = text_member(object, "module");
  const bool foreign = (!package.empty() && package != "qkeras" && package != "Custom" && package != "keras") ||
                       (package.empty() && !module.empty() && !module.starts_with("qkeras"));
  const bool known_class = !foreign && contains(kQkerasQuantizers, class_name);
  const auto* family = known_class ? quantizers::find_family(class_name) : nullptr;
  if (family == nullptr) {
    return fail(Kind::QuantizerUnsupported,
                fmt::format("`{}` is {}, which is not a quantizer that Weft knows", key,
                            foreign ? fmt::format("`{}` of `{}`", class_name, package.empty() ? module : package)
                                    : fmt::format("`{}`", class_name)));
  }
  Spec spec{class_name, family->defaults};
  const auto* parameters = member(object, "config");
  if (parameters == nullptr || !parameters->is_object()) {
    return fail(Kind::ModelMalformed, fmt::format("the quantizer `{}` of `{}` has no config", class_name, key));
  }
  bool good = true;
  for (const auto& [name, value] : parameters->items()) {
    const auto known = spec.parameters.find(name);
    if (known == spec.parameters.end()) {
      // Keras 3's quantizers are layers of their own in some versions and then say these.
      if (name == "name" || name == "dtype" || name == "trainable") continue;
      fail(Kind::AttributeUnknown,
           fmt::format("`{}`: quantizer `{}` has an unknown argument `{}`", key, class_name, name));
      good = false;
      continue;
    }
    const auto attribute = to_attribute(value, known->second);
    if (!attribute) {
      fail(Kind::QuantizerUnsupported, fmt::format("`{}`: argument `{}` of `{}` is {}, which is not supported", key,
                                                   name, class_name, shown(value)));
      good = false;
      continue;
    }
    known->second = *attribute;
  }
  if (!good) return std::nullopt;
  return spec;
}

/// Builds the function once, so that impossible parameters are reported with the layer.
std::optional<Spec> checked(std::optional<Spec> spec, ConfigReader& config) {
  if (!spec || quantizers::make(*spec, config.origin(), config.context()).ok()) return spec;
  config.fail_reported();
  return std::nullopt;
}

/// Keras' own activation names that stand for a family of the same meaning.
std::optional<Spec> keras_function(const std::string& name, int keras_major) {
  static constexpr std::string_view kSame[] = {
      "celu",     "elu",         "exponential",    "gelu",    "hard_shrink", "linear",      "log_sigmoid",
      "mish",     "relu",        "selu",           "sigmoid", "silu",        "soft_shrink", "softplus",
      "softsign", "sparse_plus", "sparse_sigmoid", "swish",   "tanh",        "tanh_shrink"};
  if (contains(kSame, name)) return make_spec(name);
  if (name == "hard_silu" || name == "hard_swish") return make_spec("hard_swish", {{"form", std::string("keras")}});
  if (name == "hard_tanh") return make_spec("clip", {{"min", -1.0}, {"max", 1.0}});
  if (name == "relu6") return make_spec("relu", {{"max_value", 6.0}});
  // A user's own function that hls4ml knows by its name.
  if (name == "relu1") return make_spec("relu", {{"max_value", 1.0}});
  // Keras 3 changed its hard sigmoid from clip(0.2 x + 0.5) to relu6(x + 3) / 6.
  if (name == "hard_sigmoid") return make_spec("keras_hard_sigmoid", {{"slope", keras_major < 3 ? 0.2 : 1.0 / 6.0}});
  if (name == "leaky_relu") return make_spec("leaky_relu");
  return std::nullopt;
}

}  // namespace

Spec make_spec(const std::string& family, const AttributeMap& parameters) {
  const auto* row = quantizers::find_family(family);
  WEFT_CHECK(row != nullptr, "no quantizer family " + family);
  Spec spec{family, row->defaults};
  for (const auto& [key, value] : parameters) {
    WEFT_CHECK(has(spec.parameters, key), "family " + family + " has no parameter " + key);
    spec.parameters[key] = value;
  }
  return spec;
}

std::optional<Spec> read_quantizer(ConfigReader& config, std::string_view key) {
  const auto* value = config.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_object()) return checked(spec_from_object(*value, key, config), config);
  if (!value->is_string()) {
    config.fail(Kind::ModelMalformed, fmt::format("`{}` is {}, not a quantizer", key, shown(*value)));
    return std::nullopt;
  }
  auto spec = quantizers::parse_text(value->get<std::string>(), config.origin(), config.context());
  if (!spec) {
    config.fail_reported();
    return std::nullopt;
  }
  return checked(std::move(spec).value(), config);
}

void promote_kernel_quantizer(Spec& spec) {
  const auto alpha = spec.parameters.find("alpha");
  if (alpha == spec.parameters.end() || alpha->second != Attribute(std::string("none"))) return;
  alpha->second = std::string("auto_po2");
  if (spec.family == "quantized_bits" || spec.family == "quantized_linear") spec.parameters["symmetric"] = true;
}

ActivationChoice read_activation(ConfigReader& config, std::string_view key, bool quantized, int keras_major) {
  const auto* value = config.find(key);
  if (value == nullptr) return {};
  std::string name;
  if (value->is_string()) {
    name = value->get<std::string>();
  } else if (text_member(*value, "class_name") == "function") {
    name = text_member(*value, "config");  // how Keras 3 writes a plain function
  } else if (value->is_object()) {
    return {checked(spec_from_object(*value, key, config), config), false};
  } else {
    config.fail(Kind::ModelMalformed, fmt::format("`{}` is {}, not an activation", key, shown(*value)));
    return {};
  }
  name = split_registered(name).second;
  if (name == "linear") return {};
  if (name == "softmax") return {std::nullopt, true};
  // `hard_sigmoid` is QKeras' own in QKeras layers, and Keras' in Keras layers.
  const bool own = contains(kQkerasFunctions, name) && (quantized || name != "hard_sigmoid");
  if (!own) {
    if (auto spec = keras_function(name, keras_major)) return {std::move(spec), false};
  }
  if (!own && !contains(kQkerasQuantizers, name.substr(0, name.find('(')))) {
    config.fail(Kind::AttributeUnsupported,
                fmt::format("`{}` is `{}`, which is not a supported activation", key, name));
    return {};
  }
  auto spec = quantizers::parse_text(name, config.origin(), config.context());
  if (!spec) {
    config.fail_reported();
    return {};
  }
  return {checked(std::move(spec).value(), config), false};
}

}  // namespace weft::formats::keras
