// What a scalar type must offer so that the formulas of csrc/math can be instantiated with it.
//
// A formula is a template on the scalar type T and runs as
//   - float inside a CUDA thread,
//   - gsplat::<isa>::Float, a SIMD vector of pixels or Gaussians, on the CPU (csrc/cpu/simd),
//   - double in the tests that check derivatives,
//   - Dual of any of these, which carries a tangent along: forward-mode derivatives (math/dual.h).
// It never branches on a value: it computes a Mask<T> with a comparison and chooses with select().
//
// Every type has + - * / and comparisons, T(double) for constants, and the functions below (found by
// argument-dependent lookup for the SIMD types).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define GSPLAT_HD __host__ __device__ inline
#else
#define GSPLAT_HD inline
#endif
// For the innermost loops, where a call would spill the registers of all lanes.
#define GSPLAT_HD_INLINE GSPLAT_HD __attribute__((always_inline))

// Translation units that are compiled once per instruction set keep all of their code, these formulas
// included, in a namespace of their own: an inline function compiled for AVX-512 must not be merged by the
// linker with the one that an older CPU runs. See csrc/cpu/isa.h.
#if defined(GSPLAT_ISA)
#define GSPLAT_MATH_BEGIN \
  namespace gsplat {      \
  namespace GSPLAT_ISA {
#else
#define GSPLAT_MATH_BEGIN \
  namespace gsplat {      \
  inline namespace portable {
#endif
#define GSPLAT_MATH_END \
  }                     \
  }

GSPLAT_MATH_BEGIN

inline constexpr double kLn2 = 0.69314718055994531, kLog2E = 1.4426950408889634;

// The result of comparing two T: bool for scalars, one flag per lane for SIMD types.
template <class T>
struct MaskOf {
  using type = bool;
};
template <class T>
using Mask = typename MaskOf<T>::type;

GSPLAT_HD float select(bool mask, float yes, float no) { return mask ? yes : no; }
GSPLAT_HD double select(bool mask, double yes, double no) { return mask ? yes : no; }

GSPLAT_HD float min(float a, float b) { return a < b ? a : b; }
GSPLAT_HD double min(double a, double b) { return a < b ? a : b; }
GSPLAT_HD float max(float a, float b) { return a > b ? a : b; }
GSPLAT_HD double max(double a, double b) { return a > b ? a : b; }

GSPLAT_HD float abs(float a) { return ::fabsf(a); }
GSPLAT_HD double abs(double a) { return ::fabs(a); }
GSPLAT_HD float sqrt(float a) { return ::sqrtf(a); }
GSPLAT_HD double sqrt(double a) { return ::sqrt(a); }
GSPLAT_HD float floor(float a) { return ::floorf(a); }
GSPLAT_HD double floor(double a) { return ::floor(a); }

// x - floor(x)
GSPLAT_HD float fraction(float a) { return a - ::floorf(a); }
GSPLAT_HD double fraction(double a) { return a - ::floor(a); }

// value where the mask holds, else zero.
GSPLAT_HD float zero_unless(bool mask, float value) { return mask ? value : 0.0f; }
GSPLAT_HD double zero_unless(bool mask, double value) { return mask ? value : 0.0; }

// a * b + c with a single rounding.
GSPLAT_HD float fma(float a, float b, float c) { return ::fmaf(a, b, c); }
GSPLAT_HD double fma(double a, double b, double c) { return ::fma(a, b, c); }

// The same number, taken as a constant where a formula is differentiated (math/dual.h).
template <class T>
GSPLAT_HD const T& constant(const T& a) {
  return a;
}

// 1 / a, on SIMD types by a fast estimate and a Newton step.
GSPLAT_HD float reciprocal(float a) { return 1.0f / a; }
GSPLAT_HD double reciprocal(double a) { return 1.0 / a; }

// value * 2^floor(power), for powers in [-126, 127].
GSPLAT_HD float scale_by_floor_exp2(float value, float power) {
  return ::ldexpf(value, static_cast<int>(::floorf(power)));
}

// The same where the mask holds, else zero; other lanes may hold any power.
GSPLAT_HD float scale_by_floor_exp2_where(bool mask, float value, float power) {
  return mask ? scale_by_floor_exp2(value, power) : 0.0f;
}

// Splits a positive normal x into mantissa * 2^exponent with the mantissa in [1, 2).
GSPLAT_HD void split_exponent(float x, float& mantissa, float& exponent) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  exponent = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
  bits = (bits & 0x007fffffu) | 0x3f800000u;
  memcpy(&mantissa, &bits, 4);
}

GSPLAT_MATH_END
