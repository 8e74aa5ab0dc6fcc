// SPDX-License-Identifier: Apache-2.0
#include "weft/support/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>  // renameat2
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <optional>
#include <system_error>

namespace weft::support {
namespace fs = std::filesystem;
namespace {

std::string errno_text(int code) { return std::generic_category().message(code); }

/// Calls `make` with names beside `path` until one is new; nullopt when none can be made (errno says why).
template <class Make>
std::optional<fs::path> make_sibling(const fs::path& path, const char* tag, const Make& make) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    const fs::path sibling = path.parent_path() / fmt::format(".{}.{}{}", path.filename().string(), tag, i);
    if (make(sibling)) return sibling;
    if (errno != EEXIST) return std::nullopt;
  }
  return std::nullopt;
}

bool write_all(int descriptor, const std::string& content) {
  for (std::size_t at = 0; at < content.size();) {
    const ssize_t n = ::write(descriptor, content.data() + at, content.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<std::size_t>(n);
  }
  return true;
}

/// Creates a new file; false with errno set when that fails.
bool write_new(const fs::path& path, const std::string& content) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) return false;
  const bool written = write_all(descriptor, content);
  const int error = errno;
  const bool closed = ::close(descriptor) == 0;
  if (written && closed) return true;
  if (!written) errno = error;
  return false;
}

/// Where a path really lies: absolute, links followed as far as the path exists, no trailing slash.
fs::path resolve(const fs::path& path) {
  std::error_code ignored;
  fs::path out = fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  if (out.empty()) out = path;
  if (out.filename().empty()) out = out.parent_path();
  return out;
}

bool is_inside(const std::string& relative) {
  const fs::path path(relative);
  if (relative.empty() || path.is_absolute() || path.filename().empty()) return false;
  for (const auto& part : path) {
    if (part == ".." || part == ".") return false;
  }
  return relative.find('\0') == std::string::npos;
}

/// Removes a folder on the way out unless it was released.
struct RemoveFolder {
  fs::path path;
  ~RemoveFolder() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
};

/// Puts `fresh` in the place of `target`; on success `fresh` names what is to be removed (the old folder) or nothing.
bool swap_in(fs::path& fresh, const fs::path& target, bool target_exists) {
  if (!target_exists) {
    if (::rename(fresh.c_str(), target.c_str()) != 0) return false;
    fresh.clear();
    return true;
  }
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return true;
  // File systems without the atomic exchange: two steps, undone when the second fails.
  const auto old =
      make_sibling(target, "old", [&](const fs::path& sibling) { return ::mkdir(sibling.c_str(), 0777) == 0; });
  if (!old || ::rename(target.c_str(), old->c_str()) != 0) return false;
  if (::rename(fresh.c_str(), target.c_str()) != 0) {
    const int error = errno;
    (void)::rename(old->c_str(), target.c_str());
    errno = error;
    return false;
  }
  fresh = *old;
  return true;
}

}  // namespace

Result<std::string> read_file(const fs::path& path, Context& ctx) {
  const Origin origin{.file = path.string()};
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) return ctx.fail(Kind::FileUnreadable, origin, "the file does not exist");
  if (!fs::is_regular_file(status)) return ctx.fail(Kind::FileUnreadable, origin, "not a regular file");
  std::ifstream in(path, std::ios::binary);
  if (!in) return ctx.fail(Kind::FileUnreadable, origin, fmt::format("cannot be opened: {}", errno_text(errno)));
  std::string out;
  const auto size = fs::file_size(path, error);
  if (!error && size <= ctx.limits.file_bytes) out.reserve(size);
  std::array<char, 65536> chunk{};
  while (in) {
    in.read(chunk.data(), chunk.size());
    const auto got = static_cast<std::size_t>(in.gcount());
    if (got > ctx.limits.file_bytes - out.size() || (!error && size > ctx.limits.file_bytes)) {
      return ctx.fail(Kind::LimitExceeded, origin,
                      fmt::format("the file is larger than {} bytes", ctx.limits.file_bytes));
    }
    out.append(chunk.data(), got);
  }
  if (in.bad()) return ctx.fail(Kind::FileUnreadable, origin, fmt::format("cannot be read: {}", errno_text(errno)));
  return out;
}

Result<void> write_file(const fs::path& path, const std::string& content, Context& ctx) {
  const Origin origin{.file = path.string()};
  const fs::path target = resolve(path);
  std::error_code ignored;
  const auto status = fs::status(target, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return ctx.fail(Kind::FileUnwritable, origin, "something that is no regular file is in the way");
  }
  fs::path partial;  // also known when the write itself fails, so that nothing half-written stays
  const auto made = make_sibling(target, "partial", [&](const fs::path& sibling) {
    if (write_new(sibling, content)) return true;
    if (errno != EEXIST) partial = sibling;
    return false;
  });
  if (!made || ::rename(made->c_str(), target.c_str()) != 0) {
    const int error = errno;
    fs::remove(made ? *made : partial, ignored);
    return ctx.fail(Kind::FileUnwritable, origin, fmt::format("cannot be written: {}", errno_text(error)));
  }
  return {};
}

Result<void> write_directory(const fs::path& directory, const FileSet& files, Context& ctx) {
  const Origin origin{.file = directory.string()};
  const fs::path target = resolve(directory);
  std::error_code error;
  const auto status = fs::status(target, error);
  const bool target_exists = fs::exists(status);
  if (target_exists) {
    if (!fs::is_directory(status)) {
      return ctx.fail(Kind::FileUnwritable, origin, "a file is in the way of the output folder");
    }
    const bool ours = fs::is_empty(target, error) || fs::exists(target / "weft.json", error);
    if (!ours) {
      return ctx.fail(Kind::FileUnwritable, origin,
                      "the folder holds something else than an earlier result (no `weft.json`); name another folder or "
                      "empty it");
    }
  }
  for (const auto& [relative, content] : files) {
    if (!is_inside(relative)) {
      return ctx.fail(Kind::FileUnwritable, origin,
                      fmt::format("file name `{}` points outside of the folder", relative));
    }
  }
  fs::create_directories(target.parent_path(), error);
  const auto made =
      make_sibling(target, "partial", [&](const fs::path& sibling) { return ::mkdir(sibling.c_str(), 0777) == 0; });
  if (!made) {
    return ctx.fail(Kind::FileUnwritable, origin, fmt::format("no folder can be made here: {}", errno_text(errno)));
  }
  RemoveFolder fresh{*made};
  for (const auto& [relative, content] : files) {
    const fs::path file = fresh.path / relative;
    fs::create_directories(file.parent_path(), error);
    if (error || !write_new(file, content)) {
      const std::string why = error ? error.message() : errno_text(errno);
      return ctx.fail(Kind::FileUnwritable, origin, fmt::format("`{}` cannot be written: {}", relative, why));
    }
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, origin, "interrupted; the folder is as it was before");
  }
  if (!swap_in(fresh.path, target, target_exists)) {
    return ctx.fail(Kind::FileUnwritable, origin, fmt::format("the folder cannot be replaced: {}", errno_text(errno)));
  }
  return {};
}

}  // namespace weft::support
