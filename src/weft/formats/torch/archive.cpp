// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "weft/formats/torch/program.h"
#include "weft/formats/torch/torch.h"
#include "weft/support/archive.h"
#include "weft/support/json.h"

namespace weft::formats::torch {
namespace {

using onnx::Constant;
using onnx::Element;

/// Views with stride 0 can be larger than their storage: decoded elements of all tensors together.
constexpr std::uint64_t kMaxDecoded = std::uint64_t{1} << 28;

constexpr std::string_view kOldProgram = "serialized_exported_program.json";
constexpr std::string_view kModels = "models/";

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::size_t width_of(Element element) {
  switch (element) {
    case Element::Float64:
    case Element::Int64:
    case Element::Uint64:
      return 8;
    case Element::Float32:
    case Element::Int32:
    case Element::Uint32:
      return 4;
    case Element::Float16:
    case Element::Bfloat16:
    case Element::Int16:
    case Element::Uint16:
      return 2;
    default:
      return 1;
  }
}

float from_half(std::uint16_t bits) {
  const auto sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = bits >> 10 & 0x1fU;
  const std::uint32_t mantissa = bits & 0x3ffU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | mantissa << 13);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

/// Little-endian bits of one element.
std::uint64_t bits_at(const char* at, std::size_t width, bool big_endian) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < width; ++i)
    out = out << 8 | static_cast<unsigned char>(at[big_endian ? i : width - 1 - i]);
  return out;
}

void append(Constant& out, Element from, std::uint64_t bits) {
  switch (from) {
    case Element::Float32:
      out.floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
      return;
    case Element::Float64:
      out.floats.push_back(static_cast<float>(std::bit_cast<double>(bits)));
      return;
    case Element::Float16:
      out.floats.push_back(from_half(static_cast<std::uint16_t>(bits)));
      return;
    case Element::Bfloat16:
      out.floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16));
      return;
    case Element::Int8:
      out.ints.push_back(static_cast<std::int8_t>(bits));
      return;
    case Element::Int16:
      out.ints.push_back(static_cast<std::int16_t>(bits));
      return;
    case Element::Int32:
      out.ints.push_back(static_cast<std::int32_t>(bits));
      return;
    case Element::Bool:
      out.ints.push_back(bits != 0 ? 1 : 0);
      return;
    default:
      out.ints.push_back(static_cast<std::int64_t>(bits));
      return;
  }
}

struct Malformed {
  std::string what;
};

const support::Json& member(const support::Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key)) throw Malformed{fmt::format("`{}` is missing", key)};
  return json.at(key);
}

std::int64_t whole(const support::Json& json) {
  const auto& value = json.is_object() ? member(json, "as_int") : json;
  if (!value.is_number_integer() || value.get<std::int64_t>() < 0) throw Malformed{"a size or stride is no number"};
  return value.get<std::int64_t>();
}

std::vector<std::int64_t> wholes(const support::Json& json) {
  if (!json.is_array() || json.size() > 64) throw Malformed{"sizes or strides are no list"};
  std::vector<std::int64_t> out;
  for (const auto& item : json) out.push_back(whole(item));
  return out;
}

/// "weight_0/data/" of a nested archive, whose folder may have any name.
std::string folder_of(const std::map<std::string, std::string>& members, std::string_view file) {
  for (const auto& [name, content] : members) {
    if (name == file || ends_with(name, fmt::format("/{}", file))) return name.substr(0, name.size() - file.size());
  }
  return {};
}

/// Names in the central directory, as far as they can be read.
std::vector<std::string_view> member_names(std::string_view bytes) {
  std::vector<std::string_view> out;
  constexpr std::size_t kHeader = 46;
  for (auto at = bytes.find("PK\x01\x02"); at != std::string_view::npos && out.size() < 65536;
       at = bytes.find("PK\x01\x02", at + 4)) {
    if (bytes.size() - at < kHeader) break;
    const std::size_t length = static_cast<unsigned char>(bytes[at + 28]) |
                               static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 29])) << 8;
    out.push_back(bytes.substr(at + kHeader, length));
  }
  return out;
}

}  // namespace

FileKind recognize(std::string_view bytes) {
  // A pickle without archive, as PyTorch wrote before 1.6.
  if (bytes.size() > 2 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5) return FileKind::Pickle;
  if (bytes.substr(0, 4) != "PK\x03\x04") return FileKind::None;
  bool pickle = false;
  bool script = false;
  for (const auto name : member_names(bytes)) {
    if (name == kOldProgram || ends_with(name, "/archive_format")) return FileKind::Program;
    pickle = pickle || ends_with(name, "/data.pkl");
    script = script || ends_with(name, "/constants.pkl");
  }
  return script ? FileKind::Script : (pickle ? FileKind::Pickle : FileKind::None);
}

Result<Constant> decode_view(const TensorView& view, const std::string& bytes, bool big_endian, const Origin& origin,
                             Context& ctx) {
  const auto fail = [&](const std::string& what) {
    return ctx.fail(Kind::ModelMalformed, origin, fmt::format("tensor of shape {}: {}", to_string(view.sizes), what));
  };
  const auto count = onnx::checked_count(view.sizes, std::min(kMaxDecoded, ctx.limits.tensor_elements));
  if (!count) return ctx.fail(Kind::LimitExceeded, origin, fmt::format("a tensor of shape {}", to_string(view.sizes)));
  const std::size_t width = width_of(view.element);
  const auto stored = static_cast<std::int64_t>(bytes.size() / width);
  std::int64_t last = view.offset;
  for (std::size_t d = 0; d < view.sizes.size() && *count > 0; ++d) {
    std::int64_t reach = 0;
    if (__builtin_mul_overflow(view.sizes[d] - 1, view.strides[d], &reach) ||
        __builtin_add_overflow(last, reach, &last))
      return fail("its strides overflow");
  }
  if (*count > 0 && last >= stored) return fail(fmt::format("it reaches element {} of a storage of {}", last, stored));
  Constant out;
  out.shape = view.sizes;
  const bool floating = onnx::is_floating(view.element);
  out.element = floating ? Element::Float32 : view.element;
  if (floating)
    out.floats.reserve(static_cast<std::size_t>(*count));
  else
    out.ints.reserve(static_cast<std::size_t>(*count));
  std::vector<std::int64_t> index(view.sizes.size(), 0);
  std::int64_t at = view.offset;
  for (std::int64_t i = 0; i < *count; ++i) {
    append(out, view.element, bits_at(bytes.data() + static_cast<std::size_t>(at) * width, width, big_endian));
    for (std::size_t d = index.size(); d-- > 0;) {
      at += view.strides[d];
      if (++index[d] < view.sizes[d]) break;
      at -= view.strides[d] * view.sizes[d];
      index[d] = 0;
    }
  }
  return out;
}

/// A dictionary that torch.save wrote: a zip archive of its own.
Result<void> Archive::read_state(const std::string& packed, const std::string& name, Context& ctx) {
  if (packed.empty()) return {};
  // What is packed twice counts against the same limit.
  Context bounded = ctx;
  bounded.limits.unpacked_bytes = budget_;
  WEFT_TRY(auto inner, support::read_zip(packed, name, bounded));
  for (const auto& [member, content] : inner) budget_ -= std::min<std::uint64_t>(budget_, content.size());
  const std::string folder = folder_of(inner, "data.pkl");
  const auto pickle = inner.find(folder + "data.pkl");
  if (pickle == inner.end()) return ctx.fail(Kind::ModelMalformed, {.file = name}, "it holds no `data.pkl`");
  WEFT_TRY(const auto tensors, read_pickled_tensors(pickle->second, name + "/data.pkl", ctx));
  const auto order = inner.find(folder + "byteorder");
  const bool big_endian = order != inner.end() && order->second == "big";
  for (const auto& [key, view] : tensors) {
    const auto bytes = inner.find(fmt::format("{}data/{}", folder, view.storage));
    if (bytes == inner.end())
      return ctx.fail(Kind::ModelMalformed, {.file = name, .tensor = key},
                      fmt::format("storage `{}` of tensor `{}` is not in the archive", view.storage, key));
    const std::string kept = fmt::format("{}/{}", name, view.storage);
    members_.try_emplace(kept, bytes->second);
    entries_.insert_or_assign(key.empty() ? name : key, Entry{view, kept, big_endian});
  }
  return {};
}

/// {"config": {name in the module: {path_name, use_pickle, tensor_meta}}}.
Result<void> Archive::read_config(const std::string& name, const std::string& folder, Context& ctx) {
  const Origin origin{.file = name};
  WEFT_TRY(const support::Json json, support::parse_json(members_.at(name), name, ctx));
  const auto order = members_.find(folder + "byteorder");
  const bool big_endian = order != members_.end() && order->second == "big";
  const std::string beside = name.substr(0, name.rfind('/') + 1);
  try {
    const auto& config = member(json, "config");
    if (!config.is_object()) throw Malformed{"`config` is no object"};
    for (auto it = config.begin(); it != config.end(); ++it) {
      const auto& path = member(*it, "path_name");
      if (!path.is_string()) throw Malformed{"`path_name` is no text"};
      const std::string file = beside + path.get<std::string>();
      const auto found = members_.find(file);
      if (found == members_.end()) throw Malformed{fmt::format("`{}` is not in the archive", file)};
      const auto pickled = it->find("use_pickle");
      if (pickled != it->end() && pickled->is_boolean() && pickled->get<bool>()) {
        if (entries_.count(file) == 0) WEFT_TRY_VOID(read_state(std::string(found->second), file, ctx));
        const auto entry = entries_.find(file);
        if (entry == entries_.end()) continue;  // no plain tensor: an error once it is used
        entries_.insert_or_assign(it.key(), entry->second);
        continue;
      }
      if (!it->contains("tensor_meta") || (*it)["tensor_meta"].is_null()) continue;
      const auto& meta = (*it)["tensor_meta"];
      const auto element = element_from_scalar_type(whole(member(meta, "dtype")));
      if (!element) continue;
      TensorView view{.storage = file,
                      .element = *element,
                      .offset = whole(member(meta, "storage_offset")),
                      .sizes = wholes(member(meta, "sizes")),
                      .strides = wholes(member(meta, "strides"))};
      if (view.sizes.size() != view.strides.size()) throw Malformed{"sizes and strides differ in length"};
      entries_.insert_or_assign(it.key(), Entry{std::move(view), file, big_endian});
    }
  } catch (const Malformed& problem) {
    return ctx.fail(Kind::ModelMalformed, origin, problem.what);
  }
  return {};
}

Result<Archive> Archive::open(const std::string& bytes, const std::string& file, Context& ctx) {
  Archive out;
  out.budget_ = ctx.limits.unpacked_bytes;
  WEFT_TRY(out.members_, support::read_zip(bytes, file, ctx));
  std::vector<std::string> names;
  for (const auto& [name, content] : out.members_) names.push_back(name);
  const auto old = out.members_.find(std::string(kOldProgram));
  if (old != out.members_.end()) {
    out.program_ = old->second;
    for (const char* part : {"serialized_state_dict", "serialized_constants"}) {
      for (const char* ending : {".pt", ".json"}) {
        const auto state = out.members_.find(std::string(part) + ending);
        if (state == out.members_.end()) continue;
        WEFT_TRY_VOID(out.read_state(std::string(state->second), state->first, ctx));
      }
    }
    return out;
  }
  const std::string folder = folder_of(out.members_, "archive_format");
  std::string model;
  for (const auto& name : names) {
    if (name.rfind(folder + std::string(kModels), 0) != 0 || !ends_with(name, ".json")) continue;
    if (!model.empty())
      return ctx.fail(Kind::LayerUnsupported, {.file = file},
                      "the package holds several programs; save each with `torch.export.save`");
    const std::size_t begin = folder.size() + kModels.size();
    model = name.substr(begin, name.size() - begin - 5);
    out.program_ = out.members_.at(name);
  }
  if (model.empty())
    return ctx.fail(Kind::FormatUnknown, {.file = file},
                    "the package holds no exported program (models/*.json); save it with `torch.export.save`, not as "
                    "compiled code");
  for (const char* kind : {"weights", "constants"}) {
    const std::string place = fmt::format("{}data/{}/", folder, kind);
    const auto config = fmt::format("{}{}_{}_config.json", place, model, kind);
    if (out.members_.count(config) != 0) WEFT_TRY_VOID(out.read_config(config, folder, ctx));
    const auto state = out.members_.find(fmt::format("{}{}.pt", place, model));
    if (state != out.members_.end()) WEFT_TRY_VOID(out.read_state(std::string(state->second), state->first, ctx));
  }
  return out;
}

Result<Constant> Archive::tensor(const std::string& name, const Origin& origin, Context& ctx) {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    return ctx.fail(Kind::WeightMissing, origin,
                    fmt::format("tensor `{}` is not in the file, or is no plain dense tensor; save the program again "
                                "with `torch.export.save`",
                                name));
  const Entry& entry = found->second;
  const auto bytes = members_.find(entry.member);
  WEFT_CHECK(bytes != members_.end(), "a tensor without storage");
  const auto count = onnx::checked_count(entry.view.sizes, kMaxDecoded);
  if (!count || decoded_elements_ + static_cast<std::uint64_t>(*count) > kMaxDecoded)
    return ctx.fail(Kind::LimitExceeded, origin,
                    fmt::format("the tensors have more than {} elements together", kMaxDecoded));
  decoded_elements_ += static_cast<std::uint64_t>(*count);
  return decode_view(entry.view, bytes->second, entry.big_endian, origin, ctx);
}

}  // namespace weft::formats::torch
