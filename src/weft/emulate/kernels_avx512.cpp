// SPDX-License-Identifier: Apache-2.0
// Only what the instruction set needs is included: code shared with other files must not be compiled for it.
#include "weft/emulate/simd_avx512.h"
//
#include "weft/emulate/convert_impl.h"
#include "weft/emulate/forest_impl.h"
#include "weft/emulate/lanes_impl.h"
#include "weft/emulate/matvec_impl.h"
#include "weft/emulate/rows_avx512.h"
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

constexpr Kernels make_avx512_kernels(bool has_vpopcntdq) {
  Kernels k = make_kernels(ByteDot::Any);
  if (has_vpopcntdq) k.matvec[static_cast<int>(DotKind::Bits)] = matvec<DotCountedBits>;
  k.convert = convert_avx512;
  k.transpose = transpose_avx512;
  k.store = store_avx512;
  return k;
}

}  // namespace

const Kernels& avx512_kernels(bool has_vpopcntdq) {
  static constexpr Kernels kPlain = make_avx512_kernels(false);
  static constexpr Kernels kPopcount = make_avx512_kernels(true);
  return has_vpopcntdq ? kPopcount : kPlain;
}

}  // namespace weft::emulate
