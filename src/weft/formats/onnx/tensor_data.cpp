// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/tensor_data.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>

#include "onnx_subset.pb.h"
#include "weft/support/files.h"

namespace weft::formats::onnx {
namespace {

using onnx_proto::TensorProto;

std::uint64_t little_endian(std::string_view raw, std::size_t offset, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t b = 0; b < bytes; ++b) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[offset + b])) << (8 * b);
  }
  return value;
}

float float_from_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int mantissa = bits & 0x3ff;
  float magnitude = 0;
  if (exponent == 0x1f) {
    magnitude = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

float float_from_bfloat(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

/// Bits of one element in raw storage; 4-bit types are packed two per byte.
std::size_t element_bits(Element element) {
  switch (element) {
    case Element::Uint4:
    case Element::Int4:
      return 4;
    case Element::Uint8:
    case Element::Int8:
    case Element::Bool:
      return 8;
    case Element::Uint16:
    case Element::Int16:
    case Element::Float16:
    case Element::Bfloat16:
      return 16;
    case Element::Float32:
    case Element::Int32:
    case Element::Uint32:
      return 32;
    default:
      return 64;
  }
}

std::int64_t sign_extend(std::uint64_t bits, std::size_t width) {
  const auto shift = 64 - width;
  return static_cast<std::int64_t>(bits << shift) >> shift;
}

/// Stores the element with the given bit pattern; false for a uint64 beyond int64.
bool store(Constant& out, std::size_t i, std::uint64_t bits) {
  switch (out.element) {
    case Element::Float32:
      out.floats[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
      return true;
    case Element::Float64:
      out.floats[i] = static_cast<float>(std::bit_cast<double>(bits));
      return true;
    case Element::Float16:
      out.floats[i] = float_from_half(static_cast<std::uint16_t>(bits));
      return true;
    case Element::Bfloat16:
      out.floats[i] = float_from_bfloat(static_cast<std::uint16_t>(bits));
      return true;
    case Element::Bool:
      out.ints[i] = bits != 0 ? 1 : 0;
      return true;
    case Element::Int4:
    case Element::Int8:
    case Element::Int16:
    case Element::Int32:
      out.ints[i] = sign_extend(bits, element_bits(out.element));
      return true;
    case Element::Uint64:
      out.ints[i] = static_cast<std::int64_t>(bits);
      return out.ints[i] >= 0;
    default:
      out.ints[i] = static_cast<std::int64_t>(bits);
      return true;
  }
}

bool read_raw(Constant& out, std::string_view raw) {
  const std::size_t bits = element_bits(out.element);
  bool ok = true;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (bits == 4) {
      const auto byte = static_cast<unsigned char>(raw[i / 2]);
      ok = store(out, i, (i % 2 == 0 ? byte : byte >> 4) & 0xfU) && ok;
    } else {
      ok = store(out, i, little_endian(raw, i * (bits / 8), bits / 8)) && ok;
    }
  }
  return ok;
}

/// The external file of a tensor, checked to lie inside `folder`, cut to offset and length.
Result<std::string> read_external(const TensorProto& tensor, const std::filesystem::path& folder, const Origin& origin,
                                  Context& ctx) {
  if (folder.empty()) {
    return ctx.fail(
        Kind::ModelMalformed, origin,
        fmt::format("tensor `{}` keeps its data in another file; give the model as a file beside it, or save "
                    "it with the data inside",
                    origin.tensor));
  }
  std::string location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
  for (const auto& pair : tensor.external_data()) {
    const std::string& text = pair.value();
    if (pair.key() == "location") {
      location = text;
      continue;
    }
    if (pair.key() != "offset" && pair.key() != "length") continue;  // checksum
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) {
      return ctx.fail(Kind::ModelMalformed, origin, fmt::format("external data `{}` is no number", pair.key()));
    }
    if (pair.key() == "offset")
      offset = number;
    else
      length = number;
  }
  const std::filesystem::path relative(location);
  bool inside = !location.empty() && relative.is_relative() && location.find('\0') == std::string::npos;
  for (const auto& part : relative) inside = inside && part != "..";
  std::error_code error;
  const auto root = std::filesystem::weakly_canonical(folder, error);
  const auto target = error ? std::filesystem::path{} : std::filesystem::weakly_canonical(folder / relative, error);
  const auto outward = error ? std::filesystem::path("..") : target.lexically_relative(root);
  inside = inside && !outward.empty() && *outward.begin() != "..";
  if (!inside) {
    return ctx.fail(Kind::ModelMalformed, origin,
                    fmt::format("tensor `{}` keeps its data in `{}`, which is not inside the model's folder",
                                origin.tensor, location));
  }
  WEFT_TRY(std::string bytes, support::read_file(target, ctx));
  if (offset > bytes.size() || length.value_or(0) > bytes.size() - offset) {
    return ctx.fail(Kind::ModelMalformed, origin,
                    fmt::format("data of tensor `{}` runs over the end of `{}`", origin.tensor, location));
  }
  return bytes.substr(static_cast<std::size_t>(offset),
                      static_cast<std::size_t>(length.value_or(bytes.size() - offset)));
}

/// Typed storage of the element type; -1 when the tensor has none.
std::int64_t typed_size(const TensorProto& tensor, Element element) {
  switch (element) {
    case Element::Float32:
      return tensor.float_data_size();
    case Element::Float64:
      return tensor.double_data_size();
    case Element::Int64:
      return tensor.int64_data_size();
    case Element::Uint32:
    case Element::Uint64:
      return tensor.uint64_data_size();
    default:
      return tensor.int32_data_size();
  }
}

std::uint64_t typed_bits(const TensorProto& tensor, Element element, int i) {
  switch (element) {
    case Element::Float32:
      return std::bit_cast<std::uint32_t>(tensor.float_data(i));
    case Element::Float64:
      return std::bit_cast<std::uint64_t>(tensor.double_data(i));
    case Element::Int64:
      return static_cast<std::uint64_t>(tensor.int64_data(i));
    case Element::Uint32:
    case Element::Uint64:
      return tensor.uint64_data(i);
    default:
      return static_cast<std::uint32_t>(tensor.int32_data(i));
  }
}

/// Unsigned types narrower than their storage must fit.
bool typed_fits(Element element, std::uint64_t bits) {
  switch (element) {
    case Element::Uint8:
      return bits <= 0xff;
    case Element::Uint16:
    case Element::Float16:
    case Element::Bfloat16:
      return bits <= 0xffff;
    case Element::Uint32:
      return bits <= 0xffffffff;
    case Element::Int8:
    case Element::Int16: {
      const auto value = static_cast<std::int64_t>(static_cast<std::int32_t>(bits));
      return value >= integer_limits(element).lo && value <= integer_limits(element).hi;
    }
    default:
      return true;
  }
}

}  // namespace

Result<Constant> decode_tensor(const TensorProto& tensor, const std::filesystem::path& folder, const Origin& origin,
                               Context& ctx) {
  const auto malformed = [&](const std::string& what) {
    return ctx.fail(Kind::ModelMalformed, origin, fmt::format("tensor `{}` {}", origin.tensor, what));
  };
  const auto element = element_from_number(tensor.data_type());
  if (!element) {
    return ctx.fail(Kind::AttributeUnsupported, origin,
                    fmt::format("tensor `{}` holds {}; numbers of up to 64 bits and bools are read", origin.tensor,
                                element_name(tensor.data_type())));
  }
  if (tensor.has_segment()) return malformed("is split into segments, which no writer uses; save the model again");
  Constant out;
  out.element = *element;
  if (tensor.dims_size() > 64) return malformed(fmt::format("has {} axes", tensor.dims_size()));
  out.shape.assign(tensor.dims().begin(), tensor.dims().end());
  const auto count = checked_count(out.shape, ctx.limits.tensor_elements);
  if (!count) {
    for (const auto extent : out.shape) {
      if (extent < 0) return malformed(fmt::format("has the extent {} in its shape", extent));
    }
    return ctx.fail(Kind::LimitExceeded, origin,
                    fmt::format("tensor `{}` has more than {} elements", origin.tensor, ctx.limits.tensor_elements));
  }
  const std::size_t bits = element_bits(*element);
  const std::uint64_t raw_bytes = (static_cast<std::uint64_t>(*count) * bits + 7) / 8;
  const bool external = tensor.data_location() == 1;
  std::string outside;
  if (external) {
    WEFT_TRY(outside, read_external(tensor, folder, origin, ctx));
  }
  const std::string& raw = external ? outside : tensor.raw_data();
  const std::int64_t typed = typed_size(tensor, *element);
  const bool use_raw = external || (!raw.empty() && typed == 0);
  if (!external && !raw.empty() && typed != 0) return malformed("has both raw and typed data");
  // Sizes are compared before anything is allocated for them.
  const std::int64_t typed_expected = bits == 4 ? (*count + 1) / 2 : *count;
  if (use_raw && raw.size() != raw_bytes) {
    return malformed(fmt::format("has {} bytes of data; its shape {} of {} needs {}", raw.size(), to_string(out.shape),
                                 element_name(tensor.data_type()), raw_bytes));
  }
  if (!use_raw && typed != typed_expected) {
    return malformed(fmt::format("has {} numbers; its shape {} of {} needs {}", typed, to_string(out.shape),
                                 element_name(tensor.data_type()), typed_expected));
  }
  if (is_floating(*element))
    out.floats.resize(static_cast<std::size_t>(*count));
  else
    out.ints.resize(static_cast<std::size_t>(*count));
  bool ok = true;
  if (use_raw) {
    ok = read_raw(out, raw);
  } else {
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (bits == 4) {
        const std::uint64_t pair = typed_bits(tensor, *element, static_cast<int>(i / 2));
        ok = store(out, i, (i % 2 == 0 ? pair : pair >> 4) & 0xfU) && ok;
        continue;
      }
      const std::uint64_t pattern = typed_bits(tensor, *element, static_cast<int>(i));
      if (!typed_fits(*element, pattern))
        return malformed(fmt::format("holds a number that is no {}", element_name(tensor.data_type())));
      ok = store(out, i, pattern) && ok;
    }
  }
  if (!ok) {
    return ctx.fail(Kind::LimitExceeded, origin,
                    fmt::format("tensor `{}` holds a uint64 above the int64 range", origin.tensor));
  }
  return out;
}

}  // namespace weft::formats::onnx
