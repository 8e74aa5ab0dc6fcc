// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/dispatch.h"

namespace weft::emulate {

std::string_view to_string(Isa isa) {
  switch (isa) {
    case Isa::Auto:
      return "auto";
    case Isa::Portable:
      return "portable";
    case Isa::Avx2:
      return "avx2";
    case Isa::Avx512Vnni:
      return "avx512vnni";
  }
  return "";
}

const Kernels* kernels_of(Isa isa) {
  if (isa == Isa::Portable) return &portable_kernels();
#ifdef WEFT_EMULATE_X86
  // The compiler's builtins also ask the operating system whether it saves the wide registers.
  if (isa == Isa::Avx2 && __builtin_cpu_supports("avx2")) return &avx2_kernels();
  if (isa == Isa::Avx512Vnni && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni")) {
    return &avx512_kernels(__builtin_cpu_supports("avx512vpopcntdq") != 0);
  }
#endif
  return nullptr;
}

std::vector<Isa> available() {
  std::vector<Isa> out;
  for (const Isa isa : {Isa::Avx512Vnni, Isa::Avx2, Isa::Portable}) {
    if (kernels_of(isa) != nullptr) out.push_back(isa);
  }
  return out;
}

Isa resolve(Isa isa) { return isa == Isa::Auto ? available().front() : isa; }

}  // namespace weft::emulate
