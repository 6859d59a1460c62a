// The integral of a Gaussian over a pixel (Analytic-Splatting, Liang et al. 2024), with their approximation
// of the error function by a logistic one, S(x) = 1 / (1 + exp(-z)), z = 1.6 x + 0.07 x^3: 4e-4 off at most.
//
// With the middle M = (a + b)/2 and half the difference d = (a - b)/2 of z at the far and the near edge of
// the window, |m| + h/2 and |m| - h/2,
//
//     M = |m| (1.6 + 0.07 m^2 + 0.0525 h^2),    d = h/2 (1.6 + 0.21 m^2 + 0.0175 h^2),
//     S(far) - S(near) = (1 - e^-2d) / ((1 + e^-(M + d)) (1 + e^(M - d))),
//
// which has no cancellation: not in the tail, where both are nearly 1, and not for large splats, where both
// are nearly the same.
#pragma once

#include "math/response/window.h"

GSPLAT_MATH_BEGIN

// 2^x, at most 2^60 in SIMD lanes, of which none may be infinite.
template <class T>
GSPLAT_HD_INLINE T bounded_exp2(const T& x) {
  return exp2_up_to_127(min(x, T(60.0)));
}
GSPLAT_HD float bounded_exp2(float x) { return exp2_up_to_127(x); }

struct AnalyticResponse {
  using Family = WindowFamily<AnalyticResponse>;
  static constexpr int kExtras = 0;
  static constexpr bool kQuadratic = false, kFrequent = false;

  // S rises by at most 1.0082 times what the error function does, so alpha is at most 1.0165 times the
  // largest value of the Gaussian in the window.
  template <class T>
  GSPLAT_HD static T level(const T& above, const T*) {
    return select(above > T(0.0), above + T(0.023609), T(0.0));
  }

  template <class T>
  struct Axis {
    T m, size, squared;
    T far, near;  // e^-(M + d) and e^(M - d)
    T numerator, denominator;

    Axis() = default;
    GSPLAT_HD_INLINE Axis(const T& offset, const T& h) : m(offset), size(abs(offset)), squared(size * size) {
      // In base 2, as exponents are.
      constexpr double k = kLog2E;
      const T one = T(1.0), h2 = h * h;
      const T half = T(0.5) * h * fma(T(0.21 * k), squared, fma(T(0.0175 * k), h2, T(1.6 * k)));
      const T middle = size * fma(T(0.07 * k), squared, fma(T(0.0525 * k), h2, T(1.6 * k)));
      far = exp2_up_to_127(-(middle + half));
      near = bounded_exp2(middle - half);
      // 1 - 2^-2d, as a series where it is small.
      const T series =
          half * fma(fma(fma(T(-2.0 / 3 * kLn2 * kLn2 * kLn2 * kLn2), half, T(4.0 / 3 * kLn2 * kLn2 * kLn2)),
                         half, T(-2.0 * kLn2 * kLn2)),
                     half, T(2.0 * kLn2));
      numerator = select(half < T(0.045), series, fma(-far, near, one));
      denominator = (one + far) * (one + near);
    }

    // With S(far) - S(near) = sinh d / (cosh d + cosh M):  d ln I = -F dM + C dd + d ln s.
    GSPLAT_HD_INLINE void changes(const T& h, T& by_m, T& by_s) const {
      const T inv = reciprocal(denominator), half = T(0.5) * h, cubic = T(0.0525) * h * h, one = T(1.0);
      const T F = (near - far) * inv;
      const T C =
          fma(T(2.0) * (one - numerator), reciprocal(numerator), fma(T(2.0) * far, near, far + near) * inv);
      const T by_size = fma(T(0.21), squared, T(1.6) + cubic);
      by_m = fma(C * h * T(0.21), m, -(select(m < T(0.0), -F, F) * by_size));
      by_s = fma(size * F, fma(T(2.0), cubic, by_size),
                 fma(-(C * half), fma(T(0.63), squared, T(1.6) + cubic), one));
    }
  };
};

GSPLAT_MATH_END
