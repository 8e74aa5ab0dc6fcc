// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <string_view>

#include "weft/support/archive.h"
#include "weft/support/arrays.h"
#include "weft/support/files.h"

namespace weft::support {
namespace {

constexpr std::string_view kSuffix = ".npy";

}  // namespace

Result<std::map<std::string, Array>> parse_npz(const std::string& bytes, const std::string& name, Context& ctx) {
  WEFT_TRY(const auto members, read_zip(bytes, name, ctx));
  std::map<std::string, Array> arrays;
  for (const auto& [member, content] : members) {
    if (!member.ends_with(kSuffix)) {
      return ctx.fail(Kind::ArrayMalformed, {.file = name}, fmt::format("member `{}` is no .npy array", member));
    }
    WEFT_TRY(auto array, parse_npy(content, fmt::format("{}: {}", name, member), ctx));
    arrays.emplace(member.substr(0, member.size() - kSuffix.size()), std::move(array));
  }
  return arrays;
}

Result<std::string> format_npz(const std::map<std::string, Array>& arrays, Context& ctx) {
  std::map<std::string, std::string> members;
  for (const auto& [member, array] : arrays) members.emplace(member + std::string(kSuffix), format_npy(array));
  return write_zip(members, ctx);
}

Result<std::map<std::string, Array>> read_arrays(const std::filesystem::path& path, Context& ctx) {
  WEFT_TRY(const auto bytes, read_file(path, ctx));
  const auto name = path.string();
  if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06")) return parse_npz(bytes, name, ctx);
  std::map<std::string, Array> arrays;
  if (bytes.starts_with("\x93NUMPY")) {
    WEFT_TRY(auto array, parse_npy(bytes, name, ctx));
    arrays.emplace("", std::move(array));
  } else {
    WEFT_TRY(auto array, parse_csv(bytes, name, ctx));
    arrays.emplace("", std::move(array));
  }
  return arrays;
}

}  // namespace weft::support
