// SPDX-License-Identifier: Apache-2.0
#include "weft/support/json.h"

#include <fmt/format.h>

#include <limits>
#include <string_view>
#include <vector>

namespace weft::support {
namespace {

/// Ordered objects are searched linearly: an object of n keys costs n^2 / 2 comparisons.
constexpr std::size_t kMaxKeys = 16384;

/// Stand-ins for Python's tokens while the JSON library parses; turned back into doubles afterwards. A file that spells
/// such a string itself gets the number, which it could have written plainly.
constexpr std::string_view kMark = "\\u0001weft-number:";
constexpr std::string_view kDecodedMark = "\x01weft-number:";

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '+' || c == '.';
}

/// Checks depth and object sizes in one pass over the text, and replaces NaN and Infinity.
Result<std::string> screen(const std::string& text, const std::string& name, Context& ctx, bool& marked) {
  std::string out;
  out.reserve(text.size());
  std::vector<std::size_t> keys;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      const std::size_t begin = i++;
      while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
      i = std::min(i + 1, text.size());
      out.append(text, begin, i - begin);
      continue;
    }
    if (c == '{' || c == '[') {
      keys.push_back(0);
      if (keys.size() > static_cast<std::size_t>(std::max(ctx.limits.json_depth, 1))) {
        return ctx.fail(Kind::LimitExceeded, {.file = name},
                        fmt::format("JSON is nested deeper than {} levels", ctx.limits.json_depth));
      }
    } else if (c == '}' || c == ']') {
      if (!keys.empty()) keys.pop_back();
    } else if (c == ':' && !keys.empty() && ++keys.back() > kMaxKeys) {
      return ctx.fail(Kind::LimitExceeded, {.file = name},
                      fmt::format("a JSON object has more than {} keys", kMaxKeys));
    } else if (is_word(c)) {
      const std::size_t begin = i;
      while (i < text.size() && is_word(text[i])) ++i;
      const std::string_view word(text.data() + begin, i - begin);
      if (word == "NaN" || word == "Infinity" || word == "-Infinity") {
        out += fmt::format("\"{}{}\"", kMark, word);
        marked = true;
      } else {
        out += word;
      }
      continue;
    }
    out += c;
    ++i;
  }
  return out;
}

/// Depth is bounded by screen(), so recursion is safe.
void restore_numbers(Json& json) {
  if (json.is_structured()) {
    for (auto& child : json) restore_numbers(child);
    return;
  }
  if (!json.is_string()) return;
  const auto& text = json.get_ref<const std::string&>();
  if (text.compare(0, kDecodedMark.size(), kDecodedMark) != 0) return;
  const auto word = text.substr(kDecodedMark.size());
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (word == "NaN") {
    json = std::numeric_limits<double>::quiet_NaN();
  } else if (word == "Infinity") {
    json = kInfinity;
  } else if (word == "-Infinity") {
    json = -kInfinity;
  }
}

}  // namespace

Result<Json> parse_json(const std::string& text, const std::string& name, Context& ctx) {
  bool marked = false;
  WEFT_TRY(const std::string screened, screen(text, name, ctx, marked));
  try {
    Json json = Json::parse(screened);
    if (marked) restore_numbers(json);
    return json;
  } catch (const Json::exception& e) {
    return ctx.fail(Kind::ModelMalformed, {.file = name}, "not a JSON document", {e.what()});
  }
}

std::string dump_json(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace weft::support
