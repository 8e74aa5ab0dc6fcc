// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "weft/support/files.h"

extern "C" char** environ;  // NOLINT: POSIX names it so

namespace weft::driver {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{40};
/// Between the polite signal and the one that cannot be ignored.
constexpr std::chrono::milliseconds kGrace{1500};
constexpr std::size_t kLogLines = 12;

/// Closes a file descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

struct SpawnSettings {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

/// Whether the child has ended; it stays a zombie, so its group id stays ours until it is reaped.
bool has_ended(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

void wait_until_ended(pid_t pid, Clock::time_point deadline) {
  while (!has_ended(pid) && Clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

double peak_megabytes(const rusage& usage) {
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss) / 1e6;
#else
  return static_cast<double>(usage.ru_maxrss) * 1024.0 / 1e6;
#endif
}

diag::Failure missing(const ProcessRequest& request, Context& ctx) {
  const std::string way = request.package.empty()
                              ? "install it or put it into PATH"
                              : fmt::format("install it with `apt-get install {}`", request.package);
  return ctx.fail(Kind::ToolMissing, {}, fmt::format("program `{}` was not found; {}", request.program, way));
}

}  // namespace

bool program_exists(const std::string& program) {
  if (program.empty()) return false;
  const auto runnable = [](const std::string& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
  };
  if (program.find('/') != std::string::npos) return runnable(program);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("PATH=")) continue;
    std::string_view rest = text.substr(5);
    while (true) {
      const std::size_t colon = rest.find(':');
      const std::string_view folder = rest.substr(0, colon);
      if (runnable(fmt::format("{}/{}", folder.empty() ? "." : folder, program))) return true;
      if (colon == std::string_view::npos) break;
      rest.remove_prefix(colon + 1);
    }
  }
  return false;
}

std::vector<std::string> last_lines(const std::string& text, std::size_t lines) {
  std::vector<std::string> out;
  std::size_t end = text.size();
  while (end > 0 && out.size() < lines) {
    const std::size_t newline = text.rfind('\n', end - 1);
    const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
    std::string line = text.substr(begin, end - begin);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) out.push_back(std::move(line));
    if (newline == std::string::npos) break;
    end = newline;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

Result<ProcessResult> run_process(const ProcessRequest& request, Context& ctx) {
  if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {}, fmt::format("`{}` was not started", request.program));
  std::error_code error;
  std::string program = request.program;
  if (program.find('/') != std::string::npos) program = std::filesystem::absolute(program, error).string();
  if (!program_exists(program)) return missing(request, ctx);

  const Origin origin{.file = request.log.string()};
  if (!request.directory.empty() && !std::filesystem::is_directory(request.directory, error)) {
    return ctx.fail(Kind::FileUnreadable, {.file = request.directory.string()}, "the working directory does not exist");
  }
  if (request.log.has_parent_path()) std::filesystem::create_directories(request.log.parent_path(), error);
  const std::string log_path = request.log.empty() ? "/dev/null" : request.log.string();
  const Descriptor log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (log.get() < 0)
    return ctx.fail(Kind::FileUnwritable, origin, fmt::format("the log cannot be written: {}", std::strerror(errno)));

  SpawnSettings settings;
  posix_spawn_file_actions_addopen(&settings.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  const std::string output_path = request.output.empty() ? "/dev/null" : request.output.string();
  const Descriptor output(::open(output_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (output.get() < 0)
    return ctx.fail(Kind::FileUnwritable, {.file = output_path},
                    fmt::format("the output cannot be written: {}", std::strerror(errno)));
  posix_spawn_file_actions_adddup2(&settings.actions, request.output.empty() ? log.get() : output.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&settings.actions, log.get(), STDERR_FILENO);
  if (!request.directory.empty()) posix_spawn_file_actions_addchdir_np(&settings.actions, request.directory.c_str());
  // A group of its own, so that one signal reaches compilers started by make started by Verilator.
  posix_spawnattr_setpgroup(&settings.attributes, 0);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&settings.attributes, &none);
  sigset_t defaults;
  sigemptyset(&defaults);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGQUIT, SIGCHLD}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigdefault(&settings.attributes, &defaults);
  posix_spawnattr_setflags(&settings.attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<char*> argv;
  argv.push_back(program.data());
  std::vector<std::string> arguments = request.arguments;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  const Clock::time_point start = Clock::now();
  pid_t pid = -1;
  const int failure =
      ::posix_spawnp(&pid, program.c_str(), &settings.actions, &settings.attributes, argv.data(), environ);
  if (failure == ENOENT || failure == EACCES) return missing(request, ctx);
  if (failure != 0) {
    return ctx.fail(Kind::ToolFailed, origin,
                    fmt::format("`{}` cannot be started: {}", request.program, std::strerror(failure)));
  }

  bool cancelled = false;
  bool late = false;
  auto pause = kFirstPause;
  while (!has_ended(pid)) {
    cancelled = ctx.cancelled();
    late = request.timeout_seconds > 0.0 &&
           std::chrono::duration<double>(Clock::now() - start).count() > request.timeout_seconds;
    if (cancelled || late) {
      ::kill(-pid, SIGTERM);
      wait_until_ended(pid, Clock::now() + kGrace);
      break;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
  // Whatever is left of the group ends here, also grandchildren that outlived a regular end.
  ::kill(-pid, SIGKILL);
  int status = 0;
  rusage usage{};
  while (::wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }

  ProcessResult result;
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.peak_mb = peak_megabytes(usage);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (cancelled) return ctx.fail(Kind::Cancelled, origin, fmt::format("`{}` was stopped", request.program));
  if (late) {
    return ctx.fail(Kind::LimitExceeded, origin,
                    fmt::format("`{}` ran longer than {} s and was stopped", request.program, request.timeout_seconds));
  }
  return result;
}

Result<ProcessResult> run_tool(const ProcessRequest& request, Context& ctx) {
  WEFT_TRY(const ProcessResult result, run_process(request, ctx));
  if (result.exit_code == 0) return result;
  std::vector<std::string> notes;
  if (!request.log.empty()) {
    // The log may be long or not text; only its end is shown, and failing to read it is no second error.
    diag::Engine quiet;
    Context reader{quiet};
    if (auto text = support::read_file(request.log, reader)) notes = last_lines(*text, kLogLines);
  }
  ctx.report(Kind::ToolFailed, {.file = request.log.string()},
             fmt::format("`{}` ended with code {}", request.program, result.exit_code), std::move(notes));
  return diag::failure;
}

}  // namespace weft::driver
