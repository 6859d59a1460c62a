// The SIMD type of the instruction set that this translation unit is compiled for (csrc/cpu/isa.h).
#pragma once

#include <utility>

#if defined(GSPLAT_ISA_AVX512)
#include "cpu/simd/avx512.h"
#elif defined(GSPLAT_ISA_AVX2)
#include "cpu/simd/avx2.h"
#elif defined(GSPLAT_ISA_GENERIC)
#include "cpu/simd/generic.h"
#else
#error "compile this file once per instruction set: see setup.py"
#endif

namespace gsplat::GSPLAT_ISA {

// body(0), body(1), ..., body(kCount - 1), unrolled in the source: arrays of vectors that are only indexed in
// such loops are kept in registers, which compilers do not reliably manage for ordinary loops.
template <int kCount, class Body>
[[gnu::always_inline]] inline void repeat(Body&& body) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, kIndex>{}), ...);
  }(std::make_integer_sequence<int, kCount>{});
}

}  // namespace gsplat::GSPLAT_ISA
