// Branch-free elementary functions, the same to the last bit in forward and backward passes.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

// 2^x to 2 ulp. Inputs are clamped to [-126, 127], so the result is never denormal: a denormal costs a
// microcode assist on most CPUs, and the compositing loop meets them in every far-away pixel.
//
// The polynomial is the degree-5 minimax fit of 2^f on [0, 1); its relative error is 7.5e-8.
template <class T>
GSPLAT_HD T exp2(T x) {
  x = max(min(x, T(127.0)), T(-126.0));
  const T f = x - floor(x);
  T p = T(1.877576675e-03);
  p = fma(p, f, T(8.989340091e-03));
  p = fma(p, f, T(5.582631805e-02));
  p = fma(p, f, T(2.401536170e-01));
  p = fma(p, f, T(6.931530732e-01));
  p = fma(p, f, T(9.999999251e-01));
  return scale_by_floor_exp2(p, x);
}
GSPLAT_HD double exp2(double x) { return ::exp2(x); }

// log2(x) for positive normal x, to 2 ulp (absolute near x = 1).
//
// With x = m 2^e and m in [sqrt(1/2), sqrt(2)): log2 m = 2/ln 2 * atanh(s), s = (m - 1)/(m + 1), |s| < 0.172.
template <class T>
GSPLAT_HD T log2(T x) {
  T m, e;
  split_exponent(x, m, e);
  const Mask<T> high = m > T(1.4142135623730951);
  m = select(high, m * T(0.5), m);
  e = select(high, e + T(1.0), e);
  const T s = (m - T(1.0)) / (m + T(1.0));
  const T s2 = s * s;
  T p = T(2.8853900817779268 / 9);
  p = fma(p, s2, T(2.8853900817779268 / 7));
  p = fma(p, s2, T(2.8853900817779268 / 5));
  p = fma(p, s2, T(2.8853900817779268 / 3));
  p = fma(p, s2, T(2.8853900817779268));
  return fma(p, s, e);
}
GSPLAT_HD double log2(double x) { return ::log2(x); }

GSPLAT_MATH_END
