// SPDX-License-Identifier: Apache-2.0
// The .npy format, versions 1 to 3: magic, version, header length, a Python dict literal with exactly the keys descr,
// fortran_order and shape, then the elements (numpy/lib/format.py describes it).
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include "weft/support/arrays.h"

namespace weft::support {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxRank = 32;  // numpy's own limit

struct Header {
  bool big_endian = false;
  char kind = 0;  ///< f i u b S U
  std::size_t item_bytes = 0;
  bool fortran = false;
  std::vector<std::int64_t> shape;
  std::size_t data_begin = 0;
};

/// Reads the few Python literals that a header holds. Every function returns false on text it does not know.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  bool parse(std::string& descr, bool& fortran, std::vector<std::int64_t>& shape) {
    int seen = 0;
    if (!take('{')) return false;
    while (!take('}')) {
      std::string key;
      if (!quoted(key) || !take(':')) return false;
      if (key == "descr") {
        seen |= 1;
        if (!quoted(descr)) return false;
      } else if (key == "fortran_order") {
        seen |= 2;
        if (!boolean(fortran)) return false;
      } else if (key == "shape") {
        seen |= 4;
        if (!tuple(shape)) return false;
      } else {
        return false;
      }
      if (!take(',')) {
        if (!take('}')) return false;
        break;
      }
    }
    skip_blanks();
    return seen == 7 && at_ == text_.size();
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool quoted(std::string& out) {
    skip_blanks();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return false;
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) return false;
    out = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  bool boolean(bool& out) {
    skip_blanks();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      out = value;
      return true;
    }
    return false;
  }
  bool tuple(std::vector<std::int64_t>& out) {
    if (!take('(')) return false;
    out.clear();
    while (!take(')')) {
      skip_blanks();
      std::int64_t value = 0;
      const std::size_t begin = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
        if (value > (std::numeric_limits<std::int64_t>::max() - 9) / 10) return false;
        value = 10 * value + (text_[at_++] - '0');
      }
      if (at_ == begin || out.size() == kMaxRank) return false;
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote long integers so
      out.push_back(value);
      if (!take(',')) {
        if (!take(')')) return false;
        break;
      }
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// "<f4" and friends; false for objects, structures, complex numbers, dates.
bool parse_descr(const std::string& descr, Header& header) {
  std::size_t at = 0;
  if (!descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string_view::npos) {
    header.big_endian = descr[0] == '>';
    at = 1;
  }
  if (at >= descr.size()) return false;
  header.kind = descr[at++];
  std::size_t size = 0;
  if (at >= descr.size() || descr.size() - at > 6) return false;
  for (; at < descr.size(); ++at) {
    if (descr[at] < '0' || descr[at] > '9') return false;
    size = 10 * size + static_cast<std::size_t>(descr[at] - '0');
  }
  switch (header.kind) {
    case 'f':
      header.item_bytes = size;
      return size == 2 || size == 4 || size == 8;
    case 'i':
    case 'u':
      header.item_bytes = size;
      return size == 1 || size == 2 || size == 4 || size == 8;
    case 'b':
      header.item_bytes = size;
      return size == 1;
    case 'S':
      header.item_bytes = size;
      return size >= 1;
    case 'U':
      header.item_bytes = 4 * size;
      return size >= 1;
    default:
      return false;
  }
}

Result<Header> parse_header(const std::string& bytes, const std::string& name, Context& ctx) {
  const auto malformed = [&](std::string why) {
    return ctx.fail(Kind::ArrayMalformed, {.file = name}, "not a readable .npy array: " + std::move(why));
  };
  if (bytes.size() < 10 || bytes.compare(0, kMagic.size(), kMagic) != 0) return malformed("the signature is missing");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3) return malformed(fmt::format("version {} is unknown", version));
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (bytes.size() < 8 + length_bytes) return malformed("the header is cut off");
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) {
    length |= std::size_t{static_cast<unsigned char>(bytes[8 + i])} << (8 * i);
  }
  Header header;
  const std::size_t begin = 8 + length_bytes;
  if (length > bytes.size() - begin) return malformed("the header is cut off");
  header.data_begin = begin + length;
  std::string descr;
  if (!HeaderParser(std::string_view(bytes).substr(begin, length)).parse(descr, header.fortran, header.shape)) {
    return malformed("the header is not the dict that numpy writes for a plain array");
  }
  if (!parse_descr(descr, header)) {
    return malformed(fmt::format("element type `{}` is not read; use floats, integers, booleans or text", descr));
  }
  return header;
}

/// Number of elements, or nullopt beyond `limit`.
std::optional<std::uint64_t> checked_count(const std::vector<std::int64_t>& shape, std::uint64_t limit) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::uint64_t count = 1;
  for (const auto extent : shape) {
    if (static_cast<std::uint64_t>(extent) > limit / count) return std::nullopt;
    count *= static_cast<std::uint64_t>(extent);
  }
  return count <= limit ? std::optional(count) : std::nullopt;
}

std::uint64_t load_bits(const char* from, std::size_t size, bool big_endian) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t shift = 8 * (big_endian ? size - 1 - i : i);
    out |= std::uint64_t{static_cast<unsigned char>(from[i])} << shift;
  }
  return out;
}

float half_to_float(std::uint64_t bits) {
  const int exponent = static_cast<int>((bits >> 10) & 31U);
  const auto mantissa = static_cast<float>(bits & 1023U);
  float value = 0;
  if (exponent == 31) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else {
    value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  }
  return (bits >> 15) != 0 ? -value : value;
}

void append_utf8(std::string& out, std::uint64_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = 0xFFFD;
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
    return;
  }
  const int more = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
  static constexpr unsigned kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[more] | (code_point >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80U | ((code_point >> (6 * i)) & 0x3FU));
}

std::string load_text(const char* from, const Header& header) {
  std::string out;
  if (header.kind == 'S') {
    out.assign(from, header.item_bytes);
    out.resize(out.find_last_not_of('\0') + 1);
    return out;
  }
  std::size_t used = header.item_bytes;
  while (used > 0 && load_bits(from + used - 4, 4, header.big_endian) == 0) used -= 4;
  for (std::size_t i = 0; i < used; i += 4) append_utf8(out, load_bits(from + i, 4, header.big_endian));
  return out;
}

/// `values` in Fortran order, given back in C order.
template <class T>
std::vector<T> to_c_order(std::vector<T> values, const std::vector<std::int64_t>& shape) {
  std::vector<T> out(values.size());
  std::vector<std::int64_t> index(shape.size(), 0);
  for (auto& element : out) {
    std::size_t source = 0;
    for (std::size_t d = shape.size(); d-- > 0;) {
      source = source * static_cast<std::size_t>(shape[d]) + static_cast<std::size_t>(index[d]);
    }
    element = std::move(values[source]);
    for (std::size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
  return out;
}

template <class T, class Load>
std::vector<T> load_all(const std::string& bytes, const Header& header, std::size_t count, const Load& load) {
  std::vector<T> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = load(bytes.data() + header.data_begin + i * header.item_bytes);
  return header.fortran && header.shape.size() > 1 ? to_c_order(std::move(out), header.shape) : out;
}

}  // namespace

Result<Array> parse_npy(const std::string& bytes, const std::string& name, Context& ctx) {
  WEFT_TRY(const Header header, parse_header(bytes, name, ctx));
  const auto count = checked_count(header.shape, ctx.limits.tensor_elements);
  if (!count) {
    return ctx.fail(Kind::LimitExceeded, {.file = name},
                    fmt::format("the array has more than {} elements", ctx.limits.tensor_elements));
  }
  const std::size_t have = bytes.size() - header.data_begin;
  if (*count > have / header.item_bytes || *count * header.item_bytes != have) {
    return ctx.fail(Kind::ArrayMalformed, {.file = name},
                    fmt::format("the header promises {} elements of {} bytes, the file holds {} bytes", *count,
                                header.item_bytes, have));
  }
  Array array;
  array.shape = header.shape;
  const std::size_t n = *count;
  const std::size_t item = header.item_bytes;
  const bool big = header.big_endian;
  switch (header.kind) {
    case 'f':
      array.dtype = fmt::format("f{}", item);
      if (item == 8) {
        array.data = load_all<double>(bytes, header, n,
                                      [&](const char* p) { return std::bit_cast<double>(load_bits(p, 8, big)); });
      } else {
        array.data = load_all<float>(bytes, header, n, [&](const char* p) {
          const auto bits = load_bits(p, item, big);
          return item == 2 ? half_to_float(bits) : std::bit_cast<float>(static_cast<std::uint32_t>(bits));
        });
      }
      break;
    case 'S':
    case 'U':
      array.dtype = fmt::format("{}{}", header.kind, header.kind == 'U' ? item / 4 : item);
      array.data = load_all<std::string>(bytes, header, n, [&](const char* p) { return load_text(p, header); });
      break;
    default: {
      array.dtype = fmt::format("{}{}", header.kind, item);
      bool too_large = false;
      array.data = load_all<std::int64_t>(bytes, header, n, [&](const char* p) -> std::int64_t {
        const auto bits = load_bits(p, item, big);
        if (header.kind == 'b') return bits != 0 ? 1 : 0;
        if (header.kind == 'u') {
          too_large |= bits > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
          return static_cast<std::int64_t>(bits);
        }
        const auto unused = static_cast<int>(64 - 8 * item);
        return static_cast<std::int64_t>(bits << unused) >> unused;
      });
      if (too_large) {
        return ctx.fail(Kind::ArrayMalformed, {.file = name}, "a uint64 element is larger than 2^63 - 1");
      }
    }
  }
  return array;
}

namespace {

template <class T>
void store(std::string& out, const std::vector<T>& values) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  for (const T value : values) {
    const auto bits = std::bit_cast<Bits>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>((bits >> (8 * i)) & 0xFFU);
  }
}

}  // namespace

std::string format_npy(const Array& array) {
  std::string descr;
  std::string body;
  std::size_t text_bytes = 1;
  if (const auto* f = std::get_if<std::vector<float>>(&array.data)) {
    descr = "<f4";
    store(body, *f);
  } else if (const auto* d = std::get_if<std::vector<double>>(&array.data)) {
    descr = "<f8";
    store(body, *d);
  } else if (const auto* i = std::get_if<std::vector<std::int64_t>>(&array.data)) {
    descr = "<i8";
    store(body, *i);
  } else {
    const auto& texts = std::get<std::vector<std::string>>(array.data);
    for (const auto& text : texts) text_bytes = std::max(text_bytes, text.size());
    descr = fmt::format("|S{}", text_bytes);
    for (const auto& text : texts) body += text + std::string(text_bytes - text.size(), '\0');
  }
  std::string shape;
  for (const auto extent : array.shape) shape += fmt::format("{}{}", shape.empty() ? "" : ", ", extent);
  if (array.shape.size() == 1) shape += ",";
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  // Data begin at a multiple of 64 and the header ends with a line feed.
  header.append(63 - (kMagic.size() + 4 + header.size()) % 64, ' ');
  header += '\n';
  WEFT_CHECK(header.size() < 65536, "a .npy header of version 1 is shorter than 64 KiB");
  std::string out(kMagic);
  out += '\x01';
  out += '\0';
  out += static_cast<char>(header.size() & 0xFFU);
  out += static_cast<char>(header.size() >> 8U);
  return out + header + body;
}

}  // namespace weft::support
