// SPDX-License-Identifier: Apache-2.0
#include "weft/support/threads.h"

#include <algorithm>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace weft::support {

void parallel_blocks(std::size_t count, int threads, const std::function<void(std::size_t, std::size_t)>& work) {
  if (count == 0) return;
  const std::size_t blocks = std::min(count, static_cast<std::size_t>(std::max(threads, 1)));
  // Each block is count / blocks long, the first count % blocks ones longer by one: no product that could overflow.
  const auto begin_of = [&](std::size_t block) { return block * (count / blocks) + std::min(block, count % blocks); };
  std::vector<std::exception_ptr> errors(blocks);
  const auto run = [&](std::size_t block) noexcept {
    try {
      work(begin_of(block), begin_of(block + 1));
    } catch (...) {
      errors[block] = std::current_exception();
    }
  };
  std::vector<std::thread> pool;
  pool.reserve(blocks - 1);
  std::size_t started = 1;
  try {
    for (; started < blocks; ++started) pool.emplace_back(run, started);
  } catch (const std::system_error&) {
    // No more threads to be had: the caller does the rest itself.
  }
  run(0);
  for (std::size_t block = started; block < blocks; ++block) run(block);
  for (auto& thread : pool) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace weft::support
