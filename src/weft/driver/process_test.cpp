// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/process.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "weft/support/files.h"

namespace weft::driver {
namespace {

class Process : public testing::Test {
 protected:
  void SetUp() override {
    if (!program_exists("sh")) GTEST_SKIP() << "there is no `sh`";
    folder_ = std::filesystem::temp_directory_path() / fmt::format("weft_process_{}", ::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  ProcessRequest shell(const std::string& script) {
    return {.program = "sh", .arguments = {"-c", script}, .directory = folder_, .log = folder_ / "logs" / "out.log"};
  }
  std::string log() {
    auto text = support::read_file(folder_ / "logs" / "out.log", ctx_);
    return text ? *text : "";
  }
  Kind last_kind() { return engine_.all().empty() ? Kind::Info : engine_.all().back().kind; }
  /// Whether a process with this id exists and is no zombie waiting for someone else.
  static bool is_alive(int pid) {
    if (::kill(pid, 0) != 0) return false;
    if (!std::filesystem::exists("/proc/self/stat")) return true;
    std::FILE* file = std::fopen(fmt::format("/proc/{}/stat", pid).c_str(), "r");
    if (file == nullptr) return false;
    char state = 'Z';
    const int read = std::fscanf(file, "%*d %*s %c", &state);
    std::fclose(file);
    return read == 1 && state != 'Z';
  }

  std::filesystem::path folder_;
  diag::Engine engine_;
  Context ctx_{engine_};
};

TEST_F(Process, OutputGoesToTheLogAndTheCodeComesBack) {
  const auto result = run_process(shell("echo out; echo err >&2; pwd; exit 3"), ctx_);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_GT(result->peak_mb, 0.1);
  EXPECT_EQ(log(), fmt::format("out\nerr\n{}\n", std::filesystem::canonical(folder_).string()));
}

TEST_F(Process, StandardOutputAloneWhereItIsTheResult) {
  ProcessRequest request = shell("echo out; echo err >&2");
  request.output = folder_ / "result";
  ASSERT_TRUE(run_tool(request, ctx_).ok());
  const auto result = support::read_file(request.output, ctx_);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, "out\n");
  EXPECT_EQ(log(), "err\n");
  request.output = folder_ / "missing" / "result";
  EXPECT_FALSE(run_tool(request, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::FileUnwritable);
}

TEST_F(Process, ArgumentsAreNotInterpreted) {
  ProcessRequest request{.program = "printf",
                         .arguments = {"%s|", "a b", "$HOME", "*", "\"", "; ls"},
                         .log = folder_ / "logs" / "out.log"};
  if (!program_exists("printf")) GTEST_SKIP() << "there is no `printf` program";
  ASSERT_TRUE(run_process(request, ctx_).ok());
  EXPECT_EQ(log(), "a b|$HOME|*|\"|; ls|");
}

TEST_F(Process, StandardInputIsEmpty) {
  ASSERT_TRUE(run_process(shell("cat; echo end"), ctx_).ok());
  EXPECT_EQ(log(), "end\n");
}

TEST_F(Process, MissingProgramNamesThePackage) {
  EXPECT_FALSE(run_process({.program = "no-such-program-here", .package = "some-package"}, ctx_).ok());
  ASSERT_EQ(last_kind(), Kind::ToolMissing);
  EXPECT_NE(engine_.all().back().message.find("apt-get install some-package"), std::string::npos);
  EXPECT_FALSE(run_process({.program = (folder_ / "absent").string()}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::ToolMissing);
  EXPECT_FALSE(program_exists("no-such-program-here"));
  EXPECT_FALSE(program_exists(""));
}

TEST_F(Process, MissingFolderAndUnwritableLog) {
  ProcessRequest request = shell("true");
  request.directory = folder_ / "absent";
  EXPECT_FALSE(run_process(request, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::FileUnreadable);
  request = shell("true");
  request.log = folder_;  // a folder
  EXPECT_FALSE(run_process(request, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::FileUnwritable);
}

TEST_F(Process, FailingToolShowsTheEndOfItsLog) {
  EXPECT_FALSE(
      run_tool(shell("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo line $i; done; exit 1"), ctx_).ok());
  ASSERT_EQ(last_kind(), Kind::ToolFailed);
  const auto last = engine_.all().back();
  ASSERT_EQ(last.notes.size(), 12U);
  EXPECT_EQ(last.notes.front(), "line 4");
  EXPECT_EQ(last.notes.back(), "line 15");
  EXPECT_FALSE(run_tool(shell("kill -9 $$"), ctx_).ok());
  EXPECT_NE(engine_.all().back().message.find("137"), std::string::npos);
}

TEST_F(Process, TimeoutEndsTheWholeGroup) {
  ProcessRequest request = shell("sleep 60 & echo $!; sleep 60");
  request.timeout_seconds = 0.3;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(run_process(request, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::LimitExceeded);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 20.0);
  const int grandchild = std::stoi(log());
  for (int i = 0; i < 200 && is_alive(grandchild); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(is_alive(grandchild));
}

TEST_F(Process, ProgramThatIgnoresTheSignalIsKilled) {
  ProcessRequest request = shell("trap '' TERM; while true; do sleep 0.05; done");
  request.timeout_seconds = 0.2;
  EXPECT_FALSE(run_process(request, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::LimitExceeded);
}

TEST_F(Process, CancellationStops) {
  std::atomic<bool> cancel{false};
  ctx_.cancel = &cancel;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    cancel = true;
  });
  EXPECT_FALSE(run_process(shell("sleep 60"), ctx_).ok());
  later.join();
  EXPECT_EQ(last_kind(), Kind::Cancelled);
  EXPECT_FALSE(run_process(shell("true"), ctx_).ok());  // not even started
  EXPECT_EQ(last_kind(), Kind::Cancelled);
}

TEST_F(Process, GrandchildrenDoNotOutliveTheProgram) {
  ASSERT_TRUE(run_process(shell("sleep 60 & echo $!"), ctx_).ok());
  const int grandchild = std::stoi(log());
  for (int i = 0; i < 200 && is_alive(grandchild); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(is_alive(grandchild));
}

TEST(LastLines, SkipsEmptyOnes) {
  EXPECT_EQ(last_lines("a\n\nb\r\n  \nc", 2), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(last_lines("a", 5), std::vector<std::string>{"a"});
  EXPECT_TRUE(last_lines("", 5).empty());
}

}  // namespace
}  // namespace weft::driver
