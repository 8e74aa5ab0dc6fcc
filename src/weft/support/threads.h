// SPDX-License-Identifier: Apache-2.0
/// @file
/// A plain parallel loop over blocks of work.
#pragma once

#include <cstddef>
#include <functional>

namespace weft::support {

/// Calls `work(begin, end)` over [0, count) in at most `threads` contiguous blocks; the calling thread takes one. The
/// first exception is rethrown after all blocks ended.
void parallel_blocks(std::size_t count, int threads, const std::function<void(std::size_t, std::size_t)>& work);

}  // namespace weft::support
