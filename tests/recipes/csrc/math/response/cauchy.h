// An example of a response, which CONTRIBUTING.md speaks of: alpha = opacity / (1 + q), with a very long
// tail.
#pragma once

#include "math/response/radial.h"

GSPLAT_MATH_BEGIN

struct CauchyResponse {
  using Family = RadialFamily<CauchyResponse>;
  static constexpr int kExtras = 0;
  static constexpr bool kQuadratic = false, kFrequent = false;

  template <class T>
  GSPLAT_HD static T power(const T& u, const T& v, const T& log2_opacity, const T*) {
    return log2_opacity - log2(one_plus_q(u, v));
  }

  // f(q) = ln(1 + q)
  template <class T>
  GSPLAT_HD static T slope(const T& u, const T& v, const T*, T*) {
    return T(2.0) / one_plus_q(u, v);
  }

  // 1 + q = 2^above; a little more, for the rounding of the powers.
  template <class T>
  GSPLAT_HD static T level(const T& above, const T*) {
    return T(0.5 * kLog2E * (1.0 + 1e-5)) * max(exp2(above) - T(1.0), T(0.0));
  }

private:
  template <class T>
  GSPLAT_HD static T one_plus_q(const T& u, const T& v) {
    return fma(fma(u, u, v * v), T(2.0 / kLog2E), T(1.0));
  }
};

GSPLAT_MATH_END
