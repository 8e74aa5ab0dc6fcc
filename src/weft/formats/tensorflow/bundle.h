// SPDX-License-Identifier: Apache-2.0
/// @file
/// Checkpoints of TensorFlow ("tensor bundles"): an index, which is a sorted string table as LevelDB writes it, and
/// files of data.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "weft/support/context.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::tensorflow {

/// Data types of tensors by their number in the files.
inline constexpr std::int64_t kFloat = 1;
inline constexpr std::int64_t kDouble = 2;
inline constexpr std::int64_t kInt32 = 3;
inline constexpr std::int64_t kString = 7;
inline constexpr std::int64_t kInt64 = 9;
inline constexpr std::int64_t kBool = 10;
inline constexpr std::int64_t kHalf = 19;

struct BundleEntry {
  std::int64_t type = 0;
  Shape shape;
  std::int64_t shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint32_t checksum = 0;
};

struct Bundle {
  std::int64_t shards = 1;
  std::map<std::string, BundleEntry> entries;
};

/// Reads the index; every offset, length and checksum is verified. Blocks may be stored or compressed by snappy.
Result<Bundle> read_bundle(std::string_view index, const std::string& file, Context& ctx);

/// The bytes of an entry in its shard, with their checksum verified.
Result<std::string_view> entry_bytes(const BundleEntry& entry, std::string_view shard, const std::string& what,
                                     const std::string& file, Context& ctx);

/// CRC-32C (Castagnoli).
std::uint32_t crc32c(std::string_view bytes);
/// Raw snappy; nullopt when damaged or longer than `limit` when unpacked.
std::optional<std::string> unpack_snappy(std::string_view bytes, std::size_t limit);

/// The value stored under the key `_CHECKPOINTABLE_OBJECT_GRAPH`: a serialized graph of objects; empty when damaged.
std::string_view single_string(std::string_view stored);

}  // namespace weft::formats::tensorflow
