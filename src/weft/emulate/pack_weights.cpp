// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/pack_weights.h"

#include "weft/fixed/quantize.h"

namespace weft::emulate {
namespace {

std::size_t padded(std::int64_t n_out) { return static_cast<std::size_t>(n_out + 3) / 4 * 4; }

}  // namespace

std::vector<std::int32_t> pack_weights(const exact::MatVec& m, const Product& product) {
  const auto n_in = static_cast<std::size_t>(m.n_in);
  const auto n_out = static_cast<std::size_t>(m.n_out);
  const auto per_unit = static_cast<std::size_t>(codes_per_unit(product.form.layout));
  const std::size_t units = (n_in + per_unit - 1) / per_unit;
  const unsigned bits = 32 / static_cast<unsigned>(per_unit);
  const std::uint32_t mask = bits == 32 ? ~0U : (1U << bits) - 1;
  std::vector<std::int32_t> out(padded(m.n_out) * units, 0);
  for (std::size_t i = 0; i < n_in; ++i) {
    const unsigned at = static_cast<unsigned>(i % per_unit) * bits;
    for (std::size_t o = 0; o < n_out; ++o) {
      const std::int64_t w = m.weights[i * n_out + o];
      const auto code = product.dot == DotKind::Bits
                            ? (w > 0 ? 1U : 0U)
                            : static_cast<std::uint32_t>(static_cast<std::uint64_t>(w) << product.weight_shift);
      std::int32_t& unit = out[(o / 4 * units + i / per_unit) * 4 + o % 4];
      unit = static_cast<std::int32_t>(static_cast<std::uint32_t>(unit) | (code & mask) << at);
    }
  }
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
