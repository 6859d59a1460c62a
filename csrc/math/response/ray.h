// The Gaussian of 3DGRT and 3DGUT along the ray of a pixel: f(D2) = D2 / 2.
#pragma once

#include "math/response/along_rays.h"

GSPLAT_MATH_BEGIN

struct RayResponse {
  using Family = RayFamily<RayResponse>;
  static constexpr int kExtras = 0;
  static constexpr bool kQuadratic = false, kFrequent = false;

  template <class T>
  GSPLAT_HD static T power(const T& squared, const T& log2_opacity, const T*) {
    return fma(T(-0.5 * kLog2E), squared, log2_opacity);
  }

  template <class T>
  GSPLAT_HD static T slope(const T&, const T*, T*) {
    return T(1.0);
  }

  template <class T>
  GSPLAT_HD static T level(const T& above, const T*) {
    return above;
  }
};

GSPLAT_MATH_END
