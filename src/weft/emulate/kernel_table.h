// SPDX-License-Identifier: Apache-2.0
/// @file
/// The table of the kernels of the including translation unit.
#pragma once

#include "weft/emulate/kernels.h"

namespace weft::emulate {
namespace {

constexpr Kernels make_kernels(ByteDot byte_dot) {
  Kernels k;
  k.byte_dot = byte_dot;
  k.matvec[static_cast<int>(DotKind::Bytes)] = matvec<DotBytes>;
  k.matvec[static_cast<int>(DotKind::Halves)] = matvec<DotHalves>;
  k.matvec[static_cast<int>(DotKind::Words)] = matvec<DotWords>;
  k.matvec[static_cast<int>(DotKind::Bits)] = matvec<DotBits>;
  k.matvec_wide = matvec_wide;
  k.chain = chain;
  k.requant = requant;
  k.table = table;
  k.requant_wide = requant_wide;
  k.binary = binary;
  k.copy = copy;
  k.reduce = reduce;
  k.pool = pool;
  k.argmax = argmax;
  k.pack = pack;
  k.forest = forest;
  k.convert = convert;
  k.transpose = transpose;
  k.store = store;
  return k;
}

}  // namespace
}  // namespace weft::emulate
