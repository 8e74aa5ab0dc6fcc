// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/operation_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft::formats::keras {
namespace {

/// The number inside of Keras 2's ["_CONSTANT_VALUE", -1, value, {...}].
const Json* marked_constant(const Json& json) {
  const auto* list = &json;
  for (int deep = 0; deep < 4 && list->is_array() && !list->empty(); ++deep) {
    if ((*list)[0] == "_CONSTANT_VALUE" && list->size() >= 3) return &(*list)[2];
    list = &(*list)[0];
  }
  return nullptr;
}

/// Numbers in nested lists.
bool read_numbers(const Json& json, FloatTensor& out, std::size_t depth, std::uint64_t limit) {
  if (json.is_number()) {
    if (depth != out.shape.size() || out.data.size() >= limit) return false;
    out.data.push_back(static_cast<float>(json.get<double>()));
    return true;
  }
  if (!json.is_array() || json.empty() || depth > 8) return false;
  const auto extent = static_cast<std::int64_t>(json.size());
  if (out.data.empty() && depth == out.shape.size()) out.shape.push_back(extent);
  if (depth >= out.shape.size() || out.shape[depth] != extent) return false;
  return std::all_of(json.begin(), json.end(), [&](const Json& e) { return read_numbers(e, out, depth + 1, limit); });
}

}  // namespace

bool among(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const auto bar = names.find('|');
    if (names.substr(0, bar) == name) return true;
    names = bar == std::string_view::npos ? std::string_view() : names.substr(bar + 1);
  }
  return false;
}

OperationCall::OperationCall(LayerImport& in, const std::vector<std::string_view>& names) : in_(in) {
  std::size_t place = 0;
  for (const auto name : names) {
    Operand operand;
    std::size_t next = 0;
    for (const auto& argument : in.layer.arguments) {
      const bool here = argument.key.empty() ? next++ == place : among(name, argument.key);
      if (!here) continue;
      for (const auto i : argument.from) operand.tensors.push_back(in.tensors[i]);
      if (!argument.from.empty() || argument.value == nullptr) continue;
      const auto* marked = argument.key.empty() ? marked_constant(*argument.value) : nullptr;
      operand.constant = marked != nullptr ? marked : argument.value;
    }
    // Keras 3 keeps arguments that are no tensors in the operation's config.
    for (auto rest = name; in.layer.package == "keras.ops" && operand.absent() && !rest.empty();) {
      const auto bar = rest.find('|');
      operand.constant = in.config.find(rest.substr(0, bar));
      rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
    }
    operands_.push_back(std::move(operand));
    ++place;
  }
  for (const auto& argument : in.layer.arguments) {
    const bool known = argument.key.empty() || argument.key == "name" || argument.value == nullptr ||
                       argument.value->is_null() ||
                       std::any_of(names.begin(), names.end(), [&](auto n) { return among(n, argument.key); });
    if (!known) refuse(fmt::format("is called with `{}={}`", argument.key, shown(*argument.value)));
  }
}

std::optional<nn::TensorId> OperationCall::tensor(std::size_t i) {
  if (operands_[i].tensors.size() == 1) return operands_[i].tensors[0];
  refuse(fmt::format("wants a tensor as argument {}", i + 1));
  return std::nullopt;
}

std::optional<std::int64_t> OperationCall::integer(std::size_t i) {
  const auto* v = operands_[i].constant;
  if (v != nullptr && v->is_number_integer() && std::fabs(v->get<double>()) < 0x1p31) return v->get<std::int64_t>();
  return std::nullopt;
}

std::optional<std::vector<std::int64_t>> OperationCall::integers(std::size_t i) {
  const auto* v = operands_[i].constant;
  if (v == nullptr || v->is_null()) return std::nullopt;
  const Json& plain = unwrap_array(*v);
  std::vector<std::int64_t> out;
  const auto add = [&](const Json& e) {
    if (e.is_null()) {
      out.push_back(-1);
      return true;
    }
    if (!e.is_number_integer() || std::fabs(e.get<double>()) > 0x1p40) return false;
    out.push_back(e.get<std::int64_t>());
    return true;
  };
  bool good = plain.size() <= 65536;
  if (plain.is_array()) {
    for (const auto& e : plain) good = good && add(e);
  } else {
    good = add(plain);
  }
  if (!good) {
    refuse(fmt::format("is called with {} where whole numbers are expected", shown(*v)));
    return std::nullopt;
  }
  return out;
}

bool OperationCall::flag(std::size_t i) {
  const auto* v = operands_[i].constant;
  return v != nullptr && v->is_boolean() && v->get<bool>();
}

std::optional<std::int64_t> OperationCall::axis(std::int64_t given, std::size_t rank_with_batch) {
  const auto rank = static_cast<std::int64_t>(rank_with_batch);
  const auto out = given < 0 ? given + rank : given;
  if (out >= 1 && out < rank) return out - 1;
  refuse(out == 0 ? "works along the batch" : fmt::format("has no axis {}", given));
  return std::nullopt;
}

std::nullopt_t OperationCall::refuse(const std::string& what) {
  in_.config.fail(Kind::AttributeUnsupported,
                  fmt::format("the function {}, which is not supported; use a layer instead", what));
  return std::nullopt;
}

std::optional<FloatTensor> OperationCall::constant(const Json& json, std::size_t rank) {
  FloatTensor out;
  if (!read_numbers(unwrap_array(json), out, 0, in_.config.context().limits.tensor_elements)) {
    refuse(fmt::format("is called with {}", shown(json)));
    return std::nullopt;
  }
  if (out.shape.size() == rank + 1 && out.shape[0] == 1) out.shape.erase(out.shape.begin());
  if (out.shape.size() > rank) {
    refuse("has a constant with a batch");
    return std::nullopt;
  }
  return out;
}

}  // namespace weft::formats::keras
