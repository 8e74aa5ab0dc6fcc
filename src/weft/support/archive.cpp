// SPDX-License-Identifier: Apache-2.0
#include "weft/support/archive.h"

#include <fmt/format.h>
#include <zip.h>

#include <array>
#include <memory>
#include <string_view>

namespace weft::support {
namespace {

struct SourceFree {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
struct ArchiveDiscard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct FileClose {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
struct ErrorText {
  zip_error_t error{};
  ErrorText() { zip_error_init(&error); }
  ~ErrorText() { zip_error_fini(&error); }
  ErrorText(const ErrorText&) = delete;
  ErrorText& operator=(const ErrorText&) = delete;
  std::string text() { return zip_error_strerror(&error); }
};
using Source = std::unique_ptr<zip_source_t, SourceFree>;
using Archive = std::unique_ptr<zip_t, ArchiveDiscard>;

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\\') != std::string_view::npos) return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return false;
    begin = end + 1;
  }
  return true;
}

/// Appends the member to `out` and stops beyond `budget_bytes`, whatever size the header promises.
Result<std::string> read_member(zip_t* archive, zip_uint64_t index, const std::string& member,
                                std::uint64_t budget_bytes, const std::string& name, Context& ctx) {
  const std::unique_ptr<zip_file_t, FileClose> file(zip_fopen_index(archive, index, 0));
  if (!file) {
    return ctx.fail(Kind::ArchiveMalformed, {.file = name}, fmt::format("member `{}` cannot be opened", member),
                    {zip_strerror(archive)});
  }
  std::string out;
  std::array<char, 65536> chunk{};
  while (true) {
    const zip_int64_t got = zip_fread(file.get(), chunk.data(), chunk.size());
    if (got < 0) {
      return ctx.fail(Kind::ArchiveMalformed, {.file = name}, fmt::format("member `{}` cannot be unpacked", member),
                      {zip_file_strerror(file.get())});
    }
    if (got == 0) return out;
    if (static_cast<std::uint64_t>(got) > budget_bytes - out.size()) {
      return ctx.fail(Kind::LimitExceeded, {.file = name},
                      fmt::format("the archive unpacks to more than {} bytes", ctx.limits.unpacked_bytes));
    }
    out.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

Result<std::map<std::string, std::string>> read_zip(const std::string& bytes, const std::string& name, Context& ctx) {
  // libzip takes an empty file for an archive without members.
  if (bytes.empty()) return ctx.fail(Kind::ArchiveMalformed, {.file = name}, "the zip archive is an empty file");
  ErrorText error;
  Source source(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error.error));
  Archive archive(source ? zip_open_from_source(source.get(), ZIP_RDONLY, &error.error) : nullptr);
  if (!archive) return ctx.fail(Kind::ArchiveMalformed, {.file = name}, "not a readable zip archive", {error.text()});
  (void)source.release();  // the archive owns it now

  const zip_int64_t entries = zip_get_num_entries(archive.get(), 0);
  if (entries < 0 || static_cast<std::uint64_t>(entries) > ctx.limits.archive_entries) {
    return ctx.fail(Kind::LimitExceeded, {.file = name},
                    fmt::format("the archive has {} members, more than {}", entries, ctx.limits.archive_entries));
  }
  std::map<std::string, std::string> members;
  std::uint64_t budget_bytes = ctx.limits.unpacked_bytes;
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(entries); ++i) {
    const char* raw_name = zip_get_name(archive.get(), i, ZIP_FL_ENC_GUESS);
    if (raw_name == nullptr) {
      return ctx.fail(Kind::ArchiveMalformed, {.file = name}, fmt::format("member {} has no readable name", i));
    }
    const std::string member = raw_name;
    if (!is_safe_name(member)) {
      return ctx.fail(Kind::ArchiveMalformed, {.file = name},
                      fmt::format("member name `{}` points outside of the archive", member));
    }
    if (member.back() == '/') continue;  // a folder
    if (members.count(member) != 0) {
      return ctx.fail(Kind::ArchiveMalformed, {.file = name}, fmt::format("member `{}` is there twice", member));
    }
    WEFT_TRY(std::string content, read_member(archive.get(), i, member, budget_bytes, name, ctx));
    budget_bytes -= content.size();
    members.emplace(member, std::move(content));
  }
  return members;
}

Result<std::string> write_zip(const std::map<std::string, std::string>& members, Context& ctx) {
  const auto failed = [&](const std::string& why) {
    return ctx.fail(Kind::FileUnwritable, {}, "a zip archive cannot be made", {why});
  };
  ErrorText error;
  Source target(zip_source_buffer_create(nullptr, 0, 0, &error.error));
  if (!target) return failed(error.text());
  Archive archive(zip_open_from_source(target.get(), ZIP_TRUNCATE, &error.error));
  if (!archive) return failed(error.text());
  zip_source_keep(target.get());  // one reference for the archive, one to read the result

  for (const auto& [member, content] : members) {
    if (!is_safe_name(member)) return failed(fmt::format("member name `{}` points outside of the archive", member));
    Source source(zip_source_buffer(archive.get(), content.data(), content.size(), 0));
    if (!source) return failed(zip_strerror(archive.get()));
    const zip_int64_t index = zip_file_add(archive.get(), member.c_str(), source.get(), ZIP_FL_ENC_UTF_8);
    if (index < 0) return failed(zip_strerror(archive.get()));
    (void)source.release();
    const auto at = static_cast<zip_uint64_t>(index);
    // 1980-01-01 00:00, the first date that the format can write.
    constexpr zip_uint16_t kDosDate = (1 << 5) | 1;
    if (zip_file_set_dostime(archive.get(), at, 0, kDosDate, 0) != 0 ||
        zip_set_file_compression(archive.get(), at, ZIP_CM_DEFLATE, 6) != 0) {
      return failed(zip_strerror(archive.get()));
    }
  }
  if (members.empty()) {
    // libzip writes no file for an empty archive: this is the end-of-directory record alone.
    return std::string("PK\x05\x06", 4) + std::string(18, '\0');
  }
  if (zip_close(archive.get()) != 0) return failed(zip_strerror(archive.get()));
  (void)archive.release();

  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_source_stat(target.get(), &stat) != 0 || zip_source_open(target.get()) != 0) {
    return failed("the packed bytes cannot be read back");
  }
  std::string out(static_cast<std::size_t>(stat.size), '\0');
  const zip_int64_t got = zip_source_read(target.get(), out.data(), out.size());
  zip_source_close(target.get());
  if (got < 0 || static_cast<std::size_t>(got) != out.size()) return failed("the packed bytes cannot be read back");
  return out;
}

}  // namespace weft::support
