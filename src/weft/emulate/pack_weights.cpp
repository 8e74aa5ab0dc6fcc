// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/pack_weights.h"

#include <algorithm>

#include "weft/fixed/quantize.h"

namespace weft::emulate {
namespace {

std::size_t padded(std::int64_t n_out) { return static_cast<std::size_t>(n_out + 3) / 4 * 4; }

/// A tile pays about half more for a unit of a list.
constexpr std::size_t kSparseNumerator = 2;
constexpr std::size_t kSparseDenominator = 3;

/// Lists the units with weights where enough of them have none: depthwise and grouped kernels, pruned networks.
void leave_out_zeros(PackedWeights& packed, std::size_t units, std::size_t run_units) {
  constexpr std::size_t kMost = 0xFFFF;
  if (run_units > kMost || units / run_units > kMost) return;
  std::vector<std::uint32_t> begin;
  std::vector<std::uint32_t> listed;
  std::vector<std::int32_t> weights;
  for (std::size_t at = 0; at < packed.weights.size(); at += 4) {
    const std::size_t unit = at / 4 % units;
    if (unit == 0) begin.push_back(static_cast<std::uint32_t>(listed.size()));
    const auto first = packed.weights.begin() + static_cast<std::ptrdiff_t>(at);
    if (std::all_of(first, first + 4, [](std::int32_t w) { return w == 0; })) continue;
    listed.push_back(static_cast<std::uint32_t>(unit / run_units << 16 | unit % run_units));
    weights.insert(weights.end(), first, first + 4);
  }
  if (kSparseDenominator * weights.size() > kSparseNumerator * packed.weights.size()) return;
  begin.push_back(static_cast<std::uint32_t>(listed.size()));
  // A list that is empty is still a list.
  if (listed.empty()) listed.push_back(0);
  packed = {std::move(weights), std::move(begin), std::move(listed)};
}

}  // namespace

PackedWeights pack_weights(const exact::MatVec& m, const Product& product) {
  const auto n_in = static_cast<std::size_t>(m.n_in);
  const auto n_out = static_cast<std::size_t>(m.n_out);
  const auto per_unit = static_cast<std::size_t>(codes_per_unit(product.form.layout));
  const auto run_codes = static_cast<std::size_t>(product.run_codes);
  const std::size_t run_units = (run_codes + per_unit - 1) / per_unit;
  const std::size_t units = n_in / run_codes * run_units;
  const unsigned bits = 32 / static_cast<unsigned>(per_unit);
  const std::uint32_t mask = bits == 32 ? ~0U : (1U << bits) - 1;
  PackedWeights out;
  out.weights.assign(padded(m.n_out) * units, 0);
  for (std::size_t i = 0; i < n_in; ++i) {
    const Slot slot = slot_of(product, m.n_in, i);
    const unsigned at = static_cast<unsigned>(slot.code) * bits;
    for (std::size_t o = 0; o < n_out; ++o) {
      const std::int64_t w = m.weights[i * n_out + o];
      const auto code = product.dot == DotKind::Bits
                            ? (w > 0 ? 1U : 0U)
                            : static_cast<std::uint32_t>(static_cast<std::uint64_t>(w) << product.weight_shift);
      std::int32_t& unit = out.weights[(o / 4 * units + slot.unit) * 4 + o % 4];
      unit = static_cast<std::int32_t>(static_cast<std::uint32_t>(unit) | (code & mask) << at);
    }
  }
  if (product.dot != DotKind::Bits) leave_out_zeros(out, units, run_units);
  return out;
}

std::vector<std::int32_t> pack_bias(const exact::MatVec& m, const Product& product, const EpilogueData& epilogue) {
  const auto n_out = static_cast<std::size_t>(m.n_out);
  std::vector<std::uint32_t> out(padded(m.n_out), 0);
  for (std::size_t o = 0; o < n_out; ++o) {
    // Narrowing conversions keep the low bits, and sums wrap.
    std::uint64_t sum = static_cast<std::uint64_t>(m.bias[o]) << product.weight_shift;
    if (product.dot == DotKind::Bits) sum += static_cast<std::uint64_t>(m.n_in);
    if (product.form.offset != 0) {
      std::uint64_t weights = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(m.n_in); ++i) {
        weights += static_cast<std::uint64_t>(m.weights[i * n_out + o]);
      }
      sum -= static_cast<std::uint64_t>(static_cast<std::int64_t>(product.form.offset)) *
             (weights << product.weight_shift);
    }
    out[o] = static_cast<std::uint32_t>(sum);
  }
  for (std::size_t o = 0; o < epilogue.addend.size(); ++o) out[o] += static_cast<std::uint32_t>(epilogue.addend[o]);
  return {out.begin(), out.end()};
}

std::vector<std::int64_t> wide_bias(const exact::MatVec& m, const Product& product) {
  std::vector<std::int64_t> out;
  for (const Int b : m.bias) {
    if (product.path == Product::Path::Chain) {
      out.push_back(static_cast<std::int64_t>(fixed::cast(b, m.accumulator->lsb_frac_bits, m.accumulator->type)));
    } else {
      out.push_back(static_cast<std::int64_t>(static_cast<std::uint64_t>(b) << product.weight_shift));
    }
  }
  return out;
}

}  // namespace weft::emulate
