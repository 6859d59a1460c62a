// The SIMD type of the instruction set that this translation unit is compiled for (csrc/cpu/isa.h).
#pragma once

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

// Lanes 0, 1, 2, ... as numbers.
inline Float lane_numbers() {
  alignas(64) float numbers[kLanes];
  for (int i = 0; i < kLanes; ++i) numbers[i] = static_cast<float>(i);
  return Float::load(numbers);
}

}  // namespace gsplat::GSPLAT_ISA
