// SPDX-License-Identifier: Apache-2.0
/// @file
/// A line on the terminal for anything that takes more than a second.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "weft/support/context.h"

namespace weft::cli {

/// Keeps what was said last; a thread of its own draws it, so that the line also moves while a long step says nothing.
class TerminalProgress final : public Progress {
 public:
  TerminalProgress();
  ~TerminalProgress() override;
  void update(std::string_view stage, std::uint64_t done, std::uint64_t total) override;
  /// Ends the drawing and takes the line away; nothing is drawn afterwards.
  void finish();

 private:
  void draw();
  [[nodiscard]] std::string line() const;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::string stage_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool finished_ = false;
  std::thread thread_;
};

}  // namespace weft::cli
