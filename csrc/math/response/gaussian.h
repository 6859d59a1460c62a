// The Gaussian of 3D Gaussian Splatting (Kerbl et al. 2023): f(q) = q / 2.
#pragma once

#include "math/response/radial.h"

GSPLAT_MATH_BEGIN

struct GaussianResponse {
  using Family = RadialFamily<GaussianResponse>;
  static constexpr int kExtras = 0;
  static constexpr bool kQuadratic = true, kFrequent = true;

  template <class T>
  GSPLAT_HD static T power(const T& u, const T& v, const T& log2_opacity, const T*) {
    return fma(-u, u, fma(-v, v, log2_opacity));
  }

  template <class T>
  GSPLAT_HD static T slope(const T&, const T&, const T*, T*) {
    return T(1.0);
  }

  template <class T>
  GSPLAT_HD static T level(const T& above, const T*) {
    return above;
  }
};

GSPLAT_MATH_END
