// SPDX-License-Identifier: Apache-2.0
/// @file
/// One harness per parser: the entry, and what a mutation may use beyond plain bytes.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "weft/support/context.h"

namespace weft::fuzz {

/// A parser under test. `run` gets one input and must come back: no crash, no hang, no leak, no InternalError. It
/// throws Finding for a wrong answer.
struct Target {
  std::string_view name;
  bool (*run)(const std::string& input);
  /// Words worth inserting.
  std::vector<std::string_view> dictionary{};
  /// When set, half of the inputs are made by it instead of by plain mutation (archives: mutate a member, pack again).
  std::string (*mutate)(const std::string& input, std::mt19937_64& random) = nullptr;
};

/// The target of this binary; every harness defines it.
extern const Target kTarget;

/// A wrong answer that is no crash.
struct Finding {
  std::string what;
};

/// Diagnostics and a context with limits that fit the harness: what is beyond them must be refused, not allocated.
struct Session {
  Session();
  diag::Engine engine;
  Context ctx;
};

/// A failure must have reported an error, a success must not.
void check_reported(bool ok, const Session& session);

/// One random change: bits, bytes, integers, blocks, words of the dictionary, truncation.
std::string mutate_bytes(std::string input, std::mt19937_64& random, const std::vector<std::string_view>& dictionary);

/// Unpacks an archive, mutates, drops, doubles or renames a member, packs again; plain mutation when it is no archive.
std::string mutate_archive(const std::string& input, std::mt19937_64& random);

}  // namespace weft::fuzz
