// The generalized Gaussians of 3DGRT along the ray of a pixel, with a degree n per Gaussian:
// f(D2) = 9/2 (D2 / 9)^(n/2), which at three standard deviations is what the Gaussian is there.
//
// n = 2 is the Gaussian. Beyond the bounds of n the response stays what it is there, and so near the centre,
// where for n < 2 the slope is infinite: both without a gradient.
#pragma once

#include "math/response/along_rays.h"

GSPLAT_MATH_BEGIN

struct RayGeneralizedResponse {
  using Family = RayFamily<RayGeneralizedResponse>;
  static constexpr int kExtras = 1;  // n
  static constexpr bool kQuadratic = false, kFrequent = false;
  static constexpr double kLeastDegree = 1.0, kMostDegree = 8.0;

  template <class T>
  GSPLAT_HD static T power(const T& squared, const T& log2_opacity, const T* degree) {
    return fma(T(-kAtEdge * kLog2E), Fall<T>(squared, degree[0]).value, log2_opacity);
  }

  template <class T>
  GSPLAT_HD static T slope(const T& squared, const T* degree, T* by_degree) {
    const Fall<T> f(squared, degree[0]);
    const Mask<T> trained = (degree[0] > T(kLeastDegree)) & (degree[0] < T(kMostDegree));
    by_degree[0] = zero_unless(trained, T(kAtEdge * 0.5 * kLn2) * f.logarithm * f.value);
    return zero_unless(f.ninths > T(kCentre), T(kAtEdge * 2.0 / kEdge) * f.exponent * f.value / f.ninths);
  }

  // 9/2 (D2 / 9)^(n/2) = above ln(2), solved for D2. Raising to powers multiplies roundings.
  template <class T>
  GSPLAT_HD static T level(const T& above, const T* degree) {
    const T fall = max(above * T(kLn2 / kAtEdge), T(kCentre));
    const T ninths = native_exp2(native_log2(fall) / exponent_of(degree[0]));
    return T(0.5 * kLog2E * kEdge * (1.0 + 2e-5)) * ninths;
  }

private:
  static constexpr double kEdge = 9.0, kAtEdge = 4.5;   // D2 and f at three standard deviations
  static constexpr double kCentre = 1e-24, kFar = 1e4;  // of D2 / 9

  template <class T>
  GSPLAT_HD static T exponent_of(const T& degree) {
    return T(0.5) * min(max(degree, T(kLeastDegree)), T(kMostDegree));
  }

  template <class T>
  struct Fall {
    T ninths, exponent, logarithm, value;

    GSPLAT_HD Fall(const T& squared, const T& degree)
        // Far away nothing is seen whatever the degree, and numbers stay finite.
        : ninths(min(max(T(kCentre), squared * T(1.0 / kEdge)), T(kFar))),
          exponent(exponent_of(degree)),
          logarithm(native_log2(ninths)),
          value(native_exp2(exponent * logarithm)) {}
  };
};

GSPLAT_MATH_END
