// Branch-free elementary functions, the same to the last bit in forward and backward passes.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

// 2^f for f in [0, 1): the minimax polynomial of degree 5; relative error 7.5e-8.
template <class T>
GSPLAT_HD T exp2_of_fraction(T f) {
  T p = T(1.877576675e-03);
  p = fma(p, f, T(8.989340091e-03));
  p = fma(p, f, T(5.582631805e-02));
  p = fma(p, f, T(2.401536170e-01));
  p = fma(p, f, T(6.931530732e-01));
  return fma(p, f, T(9.999999251e-01));
}

// 2^x to 2 ulp. Inputs are clamped to [-126, 127], so the result is never denormal.
template <class T>
GSPLAT_HD T exp2(T x) {
  x = max(min(x, T(127.0)), T(-126.0));
  return scale_by_floor_exp2(exp2_of_fraction(fraction(x)), x);
}
GSPLAT_HD double exp2(double x) { return ::exp2(x); }

// The same of inputs up to 127, of which those below -126 are clamped, as compositing needs it at every
// pixel. Scalars use the library's, and have no bound.
template <class T>
GSPLAT_HD T exp2_up_to_127(T x) {
  x = max(x, T(-126.0));
  return scale_by_floor_exp2(exp2_of_fraction(fraction(x)), x);
}
GSPLAT_HD float exp2_up_to_127(float x) { return ::exp2f(x); }
GSPLAT_HD double exp2_up_to_127(double x) { return ::exp2(x); }

// e^x to 2 ulp. Inputs are clamped to [-87.3, 87.3], so that neither the result nor its inverse is denormal.
//
// With n = floor(x / ln 2), e^x = 2^n 2^((x - n ln 2) / ln 2). The ln 2 of the difference comes in two parts,
// of which the first has so few digits that its product with n is exact.
template <class T>
GSPLAT_HD T exp(T x) {
  x = max(min(x, T(87.3)), T(-87.3));
  const T n = floor(x * T(kLog2E));
  const T rest = (x - n * T(0.693359375)) + n * T(2.1219444005469057e-4);
  return scale_by_floor_exp2(exp2_of_fraction(rest * T(kLog2E)), n);
}
GSPLAT_HD double exp(double x) { return ::exp(x); }

// 2^x where the mask holds, which must imply x in [-126, 127], and zero elsewhere. For compositing, where
// most far-away pixels are skipped anyway and would otherwise cost denormals, that is a microcode assist
// each.
template <class T>
GSPLAT_HD T exp2_where(Mask<T> mask, T x) {
  return scale_by_floor_exp2_where(mask, exp2_of_fraction(fraction(x)), x);
}
// Scalars use the library's: on a GPU that is one instruction.
GSPLAT_HD float exp2_where(bool mask, float x) { return mask ? ::exp2f(x) : 0.0f; }
GSPLAT_HD double exp2_where(bool mask, double x) { return mask ? ::exp2(x) : 0.0; }

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

// The same two for what compositing evaluates at every pixel: scalars use the library's, see exp2_where().
template <class T>
GSPLAT_HD T native_exp2(const T& x) {
  return exp2(x);
}
GSPLAT_HD float native_exp2(float x) { return ::exp2f(x); }
template <class T>
GSPLAT_HD T native_log2(const T& x) {
  return log2(x);
}
GSPLAT_HD float native_log2(float x) { return ::log2f(x); }

// Cosine and sine of 2 pi x for x in [0, 1], to 2 ulp of 1: Taylor series of at most an eighth of a turn from
// the nearest quarter.
template <class T>
GSPLAT_HD void cos_sin_of_turns(T x, T& cosine, T& sine) {
  const T quarter = floor(x * T(4.0) + T(0.5));  // 0 to 4
  const T angle = T(6.283185307179586) * (x - quarter * T(0.25)), squared = angle * angle;
  T s = T(1.0 / 362880);
  s = fma(s, squared, T(-1.0 / 5040));
  s = fma(s, squared, T(1.0 / 120));
  s = fma(s, squared, T(-1.0 / 6));
  s = fma(s * squared, angle, angle);
  T c = T(1.0 / 40320);
  c = fma(c, squared, T(-1.0 / 720));
  c = fma(c, squared, T(1.0 / 24));
  c = fma(c, squared, T(-0.5));
  c = fma(c, squared, T(1.0));
  const Mask<T> odd = fraction(quarter * T(0.5)) > T(0.25);
  const T along = select(odd, s, c), across = select(odd, c, s);
  cosine = select(abs(quarter - T(1.5)) < T(1.0), -along, along);
  sine = select(abs(quarter - T(2.5)) < T(1.0), -across, across);
}

// The angle of the point (x, y) from the x axis, in [-pi, pi], to 2 ulp of pi; that of the origin is 0.
//
// The tangent t of what is left of an eighth of a turn is at most tan(pi/8), where a polynomial fitted by
// least squares gives (atan t - t) / t^3 in t^2.
template <class T>
GSPLAT_HD T atan2(const T& y, const T& x) {
  constexpr double kQuarter = 1.5707963267948966;
  const T ax = abs(x), ay = abs(y), zero(0.0), one(1.0);
  const T ratio = min(ax, ay) / max(max(ax, ay), T(1e-37));
  const Mask<T> wide = ratio > T(0.41421356237309503);
  const T t = select(wide, (ratio - one) / (ratio + one), ratio), squared = t * t;
  T p = T(8.057871354e-02);
  p = fma(p, squared, T(-1.387918503e-01));
  p = fma(p, squared, T(1.997788178e-01));
  p = fma(p, squared, T(-3.333295513e-01));
  T angle = fma(p * squared, t, t);
  angle = select(wide, angle + T(0.5 * kQuarter), angle);
  angle = select(ay > ax, T(kQuarter) - angle, angle);
  angle = select(x < zero, T(2.0 * kQuarter) - angle, angle);
  return select(y < zero, -angle, angle);
}
GSPLAT_HD double atan2(double y, double x) { return ::atan2(y, x); }

GSPLAT_MATH_END
