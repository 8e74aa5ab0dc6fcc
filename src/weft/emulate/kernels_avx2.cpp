// SPDX-License-Identifier: Apache-2.0
// Only what the instruction set needs is included: code shared with other files must not be compiled for it.
#include "weft/emulate/simd_avx2.h"
//
#include "weft/emulate/convert_impl.h"
#include "weft/emulate/forest_impl.h"
#include "weft/emulate/lanes_impl.h"
#include "weft/emulate/matvec_impl.h"
//
#include "weft/emulate/kernel_table.h"

namespace weft::emulate {

const Kernels& avx2_kernels() {
  static constexpr Kernels kTable = make_kernels(ByteDot::Pairs);
  return kTable;
}

}  // namespace weft::emulate
