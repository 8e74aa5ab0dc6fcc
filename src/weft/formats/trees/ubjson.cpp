// SPDX-License-Identifier: Apache-2.0
// UBJSON (ubjson.org, draft 12) as XGBoost writes it: big endian numbers, typed arrays `[$T#N`. Nothing is allocated
// that the file does not hold, and nesting is bounded.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "weft/formats/trees/ensemble.h"

namespace weft::formats::trees {
namespace {

using support::Json;

constexpr std::size_t kMaxKeys = 4096;

class Parser {
 public:
  Parser(const std::string& bytes, int depth) : bytes_(bytes), max_depth_(depth) {}

  Json parse() {
    const char marker = next();
    Json out = value(marker, 0);
    return out;
  }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  void fail(const std::string& what) {
    if (error_.empty()) error_ = fmt::format("byte {}: {}", at_, what);
  }
  [[nodiscard]] bool failed() const { return !error_.empty(); }

  char next() {
    while (at_ < bytes_.size() && bytes_[at_] == 'N') ++at_;  // no-op
    if (at_ >= bytes_.size()) {
      fail("the file ends early");
      return 0;
    }
    return bytes_[at_++];
  }
  [[nodiscard]] char peek() const { return at_ < bytes_.size() ? bytes_[at_] : '\0'; }

  std::uint64_t big_endian(std::size_t size) {
    if (bytes_.size() - at_ < size) {
      fail("the file ends early");
      at_ = bytes_.size();
      return 0;
    }
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < size; ++i) out = out << 8 | static_cast<unsigned char>(bytes_[at_ + i]);
    at_ += size;
    return out;
  }

  std::int64_t integer(char marker) {
    switch (marker) {
      case 'i':
        return static_cast<std::int8_t>(big_endian(1));
      case 'U':
        return static_cast<std::uint8_t>(big_endian(1));
      case 'I':
        return static_cast<std::int16_t>(big_endian(2));
      case 'l':
        return static_cast<std::int32_t>(big_endian(4));
      case 'L':
        return static_cast<std::int64_t>(big_endian(8));
      default:
        fail(fmt::format("marker `{}` where a count is expected", marker));
        return 0;
    }
  }
  static std::size_t payload(char marker) {
    switch (marker) {
      case 'i':
      case 'U':
      case 'C':
        return 1;
      case 'I':
        return 2;
      case 'l':
      case 'd':
        return 4;
      case 'L':
      case 'D':
        return 8;
      default:
        return 0;
    }
  }
  /// A count of things of at least `least` bytes each.
  std::size_t count(std::size_t least) {
    const std::int64_t n = integer(next());
    if (failed()) return 0;
    if (n < 0 || static_cast<std::uint64_t>(n) > (bytes_.size() - at_) / std::max<std::size_t>(least, 1)) {
      fail(fmt::format("{} elements are more than the file holds", n));
      return 0;
    }
    return static_cast<std::size_t>(n);
  }
  std::string text() {
    const std::size_t n = count(1);
    if (failed()) return {};
    std::string out = bytes_.substr(at_, n);
    at_ += n;
    return out;
  }

  Json value(char marker, int depth) {
    if (failed()) return {};
    if (depth > max_depth_) {
      fail("nested too deeply");
      return {};
    }
    switch (marker) {
      case 'Z':
        return nullptr;
      case 'T':
        return true;
      case 'F':
        return false;
      case 'i':
      case 'U':
      case 'I':
      case 'l':
      case 'L':
        return integer(marker);
      case 'C':
        return std::string(1, static_cast<char>(big_endian(1)));
      case 'd':
        return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(big_endian(4))));
      case 'D':
        return std::bit_cast<double>(big_endian(8));
      case 'S':
      case 'H':
        return text();
      case '[':
        return array(depth);
      case '{':
        return object(depth);
      default:
        fail(fmt::format("unknown marker {}", static_cast<int>(marker)));
        return {};
    }
  }

  /// `$T` and `#N` behind an opening bracket.
  struct Header {
    char type = 0;
    bool counted = false;
    std::size_t count = 0;
  };
  Header header(std::size_t least) {
    Header out;
    if (peek() == '$') {
      ++at_;
      out.type = next();
      if (peek() != '#') fail("a type without a count");
    }
    if (peek() == '#') {
      ++at_;
      out.counted = true;
      // A value without a payload would make something of nothing.
      if (out.type != 0 && payload(out.type) == 0 && out.type != 'S' && out.type != '[' && out.type != '{')
        fail("a typed list of values without bytes");
      out.count = count(std::max(least, out.type != 0 ? payload(out.type) : std::size_t{1}));
    }
    return out;
  }

  Json array(int depth) {
    Json out = Json::array();
    const Header h = header(1);
    if (h.counted) {
      for (std::size_t i = 0; i < h.count && !failed(); ++i)
        out.push_back(value(h.type != 0 ? h.type : next(), depth + 1));
      return out;
    }
    while (!failed()) {
      const char marker = next();
      if (marker == ']') break;
      out.push_back(value(marker, depth + 1));
    }
    return out;
  }

  Json object(int depth) {
    Json out = Json::object();
    const Header h = header(1);
    std::size_t left = h.count;
    while (!failed()) {
      if (h.counted ? left-- == 0 : peek() == '}') {
        if (!h.counted) ++at_;
        break;
      }
      std::string key = text();
      // Objects look their keys up one by one.
      if (out.size() > kMaxKeys) fail("an object with too many keys");
      if (failed()) break;
      Json item = value(h.type != 0 ? h.type : next(), depth + 1);
      out[std::move(key)] = std::move(item);
    }
    return out;
  }

  const std::string& bytes_;
  int max_depth_;
  std::size_t at_ = 0;
  std::string error_;
};

}  // namespace

Result<Json> parse_ubjson(const std::string& bytes, const std::string& name, Context& ctx) {
  Parser parser(bytes, static_cast<int>(ctx.limits.json_depth));
  Json out = parser.parse();
  if (!parser.error().empty())
    return ctx.fail(Kind::ModelMalformed, {.file = name}, "not readable as UBJSON: " + parser.error());
  return out;
}

}  // namespace weft::formats::trees
