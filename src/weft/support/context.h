// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every long call gets: diagnostics, progress, cancellation, threads, seed and limits.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "weft/diag/diag.h"

namespace weft {

/// Receives progress of long calls. Called from one thread at a time.
class Progress {
 public:
  virtual ~Progress() = default;
  /// `done` of `total` units of `stage`; total 0 means unknown.
  virtual void update(std::string_view stage, std::uint64_t done, std::uint64_t total) = 0;
};

/// Bounds on what a hostile or careless input may cost.
struct Limits {
  std::uint64_t file_bytes = std::uint64_t{4} << 30;
  std::uint64_t unpacked_bytes = std::uint64_t{4} << 30;
  std::uint64_t archive_entries = 65536;
  std::uint64_t tensor_elements = std::uint64_t{1} << 29;
  int json_depth = 128;
};

/// Passed by reference to every call that can report, take long or allocate much.
struct Context {
  diag::Engine& diag;
  Progress* progress = nullptr;
  const std::atomic<bool>* cancel = nullptr;
  int threads = 1;
  std::uint64_t seed = 0;
  Limits limits{};

  [[nodiscard]] bool cancelled() const { return cancel != nullptr && cancel->load(std::memory_order_relaxed); }
  void report(Kind kind, Origin origin, std::string message, std::vector<std::string> notes = {}) const {
    diag.report(kind, std::move(origin), std::move(message), std::move(notes));
  }
  /// Reports and returns the failure tag: `return ctx.fail(...)`.
  diag::Failure fail(Kind kind, Origin origin, std::string message, std::vector<std::string> notes = {}) const {
    diag.report(kind, std::move(origin), std::move(message), std::move(notes));
    return diag::failure;
  }
};

}  // namespace weft
