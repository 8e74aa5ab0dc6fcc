// SPDX-License-Identifier: Apache-2.0
#include "terminal_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace weft::cli {

TerminalProgress::TerminalProgress() : thread_([this] { draw(); }) {}

TerminalProgress::~TerminalProgress() { finish(); }

void TerminalProgress::update(std::string_view stage, std::uint64_t done, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  stage_ = stage;
  done_ = done;
  total_ = total;
}

void TerminalProgress::finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::string TerminalProgress::line() const {
  constexpr int kWidth = 30;
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_).count();
  std::string out = fmt::format("\r{:>4} s  {:<24.24} ", seconds, stage_.empty() ? "working" : stage_);
  if (total_ > 0) {
    const double part = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    for (int i = 0; i < kWidth; ++i) out += i < static_cast<int>(part * kWidth) ? '#' : '.';
    out += fmt::format(" {:3d} %", static_cast<int>(part * 100));
  } else if (done_ > 0) {
    out += fmt::format("{}", done_);
  }
  return out + "\033[K";
}

void TerminalProgress::draw() {
  std::unique_lock lock(mutex_);
  bool shown = false;
  while (!wake_.wait_for(lock, std::chrono::milliseconds(shown ? 200 : 1000), [this] { return finished_; })) {
    std::fputs(line().c_str(), stderr);
    shown = true;
  }
  if (shown) std::fputs("\r\033[K", stderr);
}

}  // namespace weft::cli
