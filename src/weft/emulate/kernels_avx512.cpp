// SPDX-License-Identifier: Apache-2.0
// Only what the instruction set needs is included: code shared with other files must not be compiled for it.
#include "weft/emulate/simd_avx512.h"
//
#include "weft/emulate/convert_impl.h"
#include "weft/emulate/lanes_impl.h"
#include "weft/emulate/matvec_impl.h"
//
#include "weft/emulate/kernel_table.h"

namespace weft::emulate {
namespace {

struct DotCountedBits {
  static constexpr bool kCountsUnequal = true;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) {
    // AVX512_VPOPCNTDQ came later than VNNI, so this file is not compiled for it.
    Vec count;
    __asm__("vpopcntd %1, %0" : "=v"(count) : "v"(_mm512_xor_si512(x, w)));
    return _mm512_add_epi32(sum, count);
  }
};

constexpr Kernels make_popcount_kernels() {
  Kernels k = make_kernels(ByteDot::Any);
  k.matvec[static_cast<int>(DotKind::Bits)] = matvec<DotCountedBits>;
  return k;
}

}  // namespace

const Kernels& avx512_kernels(bool has_vpopcntdq) {
  static constexpr Kernels kPlain = make_kernels(ByteDot::Any);
  static constexpr Kernels kPopcount = make_popcount_kernels();
  return has_vpopcntdq ? kPopcount : kPlain;
}

}  // namespace weft::emulate
