// Arithmetic intrinsics. The fast ones are exact to float rounding here, which those of a GPU are not.
#pragma once

#include <cmath>
#include <cstring>

#include "emulation/vector_types.h"

namespace cuda_on_cpu {

template <class To, class From>
CUDA_ON_CPU_INLINE To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// A product or sum that is never contracted into a fused multiply-add.
CUDA_ON_CPU_INLINE float rounded(float value) {
  asm volatile("" : "+m"(value));
  return value;
}

}  // namespace cuda_on_cpu

CUDA_ON_CPU_INLINE int __float_as_int(float f) { return cuda_on_cpu::bit_cast<int>(f); }
CUDA_ON_CPU_INLINE unsigned __float_as_uint(float f) { return cuda_on_cpu::bit_cast<unsigned>(f); }
CUDA_ON_CPU_INLINE float __int_as_float(int i) { return cuda_on_cpu::bit_cast<float>(i); }
CUDA_ON_CPU_INLINE float __uint_as_float(unsigned i) { return cuda_on_cpu::bit_cast<float>(i); }

CUDA_ON_CPU_INLINE int __popc(unsigned v) { return __builtin_popcount(v); }
CUDA_ON_CPU_INLINE int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
CUDA_ON_CPU_INLINE int __ffs(int v) { return __builtin_ffs(v); }
CUDA_ON_CPU_INLINE int __ffsll(long long v) { return __builtin_ffsll(v); }
CUDA_ON_CPU_INLINE int __clz(int v) { return v != 0 ? __builtin_clz(static_cast<unsigned>(v)) : 32; }
CUDA_ON_CPU_INLINE int __clzll(long long v) {
  return v != 0 ? __builtin_clzll(static_cast<unsigned long long>(v)) : 64;
}
CUDA_ON_CPU_INLINE unsigned __brev(unsigned v) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (v >> i & 1u) << (31 - i);
  return reversed;
}
CUDA_ON_CPU_INLINE unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
CUDA_ON_CPU_INLINE unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  shift &= 31;
  return shift != 0 ? (high << shift) | (low >> (32 - shift)) : high;
}
CUDA_ON_CPU_INLINE unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  shift &= 31;
  return shift != 0 ? (low >> shift) | (high << (32 - shift)) : low;
}

CUDA_ON_CPU_INLINE float rsqrtf(float x) { return 1.0f / sqrtf(x); }
CUDA_ON_CPU_INLINE float __expf(float x) { return expf(x); }
CUDA_ON_CPU_INLINE float __logf(float x) { return logf(x); }
CUDA_ON_CPU_INLINE float __log2f(float x) { return log2f(x); }
CUDA_ON_CPU_INLINE float __powf(float x, float y) { return powf(x, y); }
CUDA_ON_CPU_INLINE float __sinf(float x) { return sinf(x); }
CUDA_ON_CPU_INLINE float __cosf(float x) { return cosf(x); }
CUDA_ON_CPU_INLINE float __fdividef(float a, float b) { return a / b; }
CUDA_ON_CPU_INLINE float __fdiv_rn(float a, float b) { return a / b; }
CUDA_ON_CPU_INLINE float __frcp_rn(float a) { return 1.0f / a; }
CUDA_ON_CPU_INLINE float __fsqrt_rn(float a) { return sqrtf(a); }
CUDA_ON_CPU_INLINE float __frsqrt_rn(float a) { return 1.0f / sqrtf(a); }
CUDA_ON_CPU_INLINE float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
CUDA_ON_CPU_INLINE float __fmul_rn(float a, float b) { return cuda_on_cpu::rounded(a * b); }
CUDA_ON_CPU_INLINE float __fadd_rn(float a, float b) { return cuda_on_cpu::rounded(a + b); }
CUDA_ON_CPU_INLINE float __fsub_rn(float a, float b) { return cuda_on_cpu::rounded(a - b); }
CUDA_ON_CPU_INLINE float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

CUDA_ON_CPU_INLINE int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
CUDA_ON_CPU_INLINE int __float2int_rz(float x) { return static_cast<int>(truncf(x)); }
CUDA_ON_CPU_INLINE int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
CUDA_ON_CPU_INLINE int __float2int_ru(float x) { return static_cast<int>(ceilf(x)); }
CUDA_ON_CPU_INLINE float __int2float_rn(int x) { return static_cast<float>(x); }
CUDA_ON_CPU_INLINE float __uint2float_rn(unsigned x) { return static_cast<float>(x); }

#define CUDA_ON_CPU_MIN_MAX(T)                                 \
  CUDA_ON_CPU_INLINE T min(T a, T b) { return b < a ? b : a; } \
  CUDA_ON_CPU_INLINE T max(T a, T b) { return a < b ? b : a; }
CUDA_ON_CPU_MIN_MAX(int)
CUDA_ON_CPU_MIN_MAX(unsigned)
CUDA_ON_CPU_MIN_MAX(long)
CUDA_ON_CPU_MIN_MAX(unsigned long)
CUDA_ON_CPU_MIN_MAX(long long)
CUDA_ON_CPU_MIN_MAX(unsigned long long)
#undef CUDA_ON_CPU_MIN_MAX
CUDA_ON_CPU_INLINE float min(float a, float b) { return fminf(a, b); }
CUDA_ON_CPU_INLINE float max(float a, float b) { return fmaxf(a, b); }
CUDA_ON_CPU_INLINE double min(double a, double b) { return fmin(a, b); }
CUDA_ON_CPU_INLINE double max(double a, double b) { return fmax(a, b); }
