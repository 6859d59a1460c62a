// The generalized exponential of GES (Hamdi et al. 2024) with an exponent per splat: f(q) = (q/2)^(beta/2).
//
// beta = 2 is the Gaussian; less has a peak and a long tail, more is flat inside and ends sharply. Beyond the
// bounds of beta the response stays what it is there, and so near the centre, where for beta < 2 the slope is
// infinite: both without a gradient.
#pragma once

#include "math/response/radial.h"

GSPLAT_MATH_BEGIN

struct GeneralizedResponse {
  using Family = RadialFamily<GeneralizedResponse>;
  static constexpr int kExtras = 1;  // beta
  static constexpr bool kQuadratic = false, kFrequent = false;
  static constexpr double kLeastBeta = 0.5, kMostBeta = 8.0;

  template <class T>
  GSPLAT_HD static T power(const T& u, const T& v, const T& log2_opacity, const T* beta) {
    return fma(T(-kLog2E), Fall<T>(u, v, beta[0]).value, log2_opacity);
  }

  template <class T>
  GSPLAT_HD static T slope(const T& u, const T& v, const T* beta, T* by_beta) {
    const Fall<T> f(u, v, beta[0]);
    const Mask<T> trained = (beta[0] > T(kLeastBeta)) & (beta[0] < T(kMostBeta));
    by_beta[0] = zero_unless(trained, T(0.5 / kLog2E) * f.logarithm * f.value);
    return zero_unless(f.half_q > T(kCentre), f.exponent * f.value / f.half_q);
  }

  // (q/2)^(beta/2) = above ln(2), solved for q. Raising to powers of up to 4 multiplies roundings.
  template <class T>
  GSPLAT_HD static T level(const T& above, const T* beta) {
    const T fall = max(above * T(1.0 / kLog2E), T(kCentre));
    return T(kLog2E * (1.0 + 2e-5)) * native_exp2(native_log2(fall) / exponent_of(beta[0]));
  }

private:
  static constexpr double kCentre = 1e-24;  // of q/2

  template <class T>
  GSPLAT_HD static T exponent_of(const T& beta) {
    return T(0.5) * min(max(beta, T(kLeastBeta)), T(kMostBeta));
  }

  template <class T>
  struct Fall {
    T half_q, exponent, logarithm, value;

    GSPLAT_HD Fall(const T& u, const T& v, const T& beta)
        // What is not a number stays so: it is a pixel that no splat reaches.
        : half_q(max(T(kCentre), fma(u, u, v * v) * T(1.0 / kLog2E))),
          exponent(exponent_of(beta)),
          logarithm(native_log2(half_q)),
          value(native_exp2(exponent * logarithm)) {}
  };
};

GSPLAT_MATH_END
