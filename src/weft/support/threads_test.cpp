// SPDX-License-Identifier: Apache-2.0
#include "weft/support/threads.h"

#include <gtest/gtest.h>

#include <mutex>
#include <stdexcept>
#include <vector>

namespace weft::support {
namespace {

TEST(ParallelBlocks, CoversEveryIndexOnce) {
  for (const std::size_t count : {0U, 1U, 2U, 7U, 100U}) {
    for (const int threads : {-1, 0, 1, 3, 8}) {
      std::vector<int> hits(count, 0);
      std::size_t calls = 0;
      std::mutex mutex;
      parallel_blocks(count, threads, [&](std::size_t begin, std::size_t end) {
        EXPECT_LT(begin, end);
        for (std::size_t i = begin; i < end; ++i) ++hits[i];
        const std::lock_guard lock(mutex);
        ++calls;
      });
      EXPECT_EQ(hits, std::vector<int>(count, 1));
      EXPECT_LE(calls, static_cast<std::size_t>(std::max(threads, 1)));
    }
  }
}

TEST(ParallelBlocks, RethrowsTheFirstBlocksError) {
  try {
    parallel_blocks(4, 4, [](std::size_t begin, std::size_t) {
      if (begin > 0) throw std::runtime_error(std::to_string(begin));
    });
    FAIL() << "no exception";
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "1");
  }
}

}  // namespace
}  // namespace weft::support
