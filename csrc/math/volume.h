// A Gaussian's density along a ray (RayGauss, Blanc et al. 2025), and the gradients of sums over samples of
// it.
//
// In the Gaussian's canonical frame, where it is the standard normal distribution, a ray is h(t) = h0 + u dg,
// u = t - nearest, with h0 across dg; so the density is peak exp(-|dg|^2 u^2 / 2).
#pragma once

#include "math/elementary.h"
#include "math/linalg.h"

GSPLAT_MATH_BEGIN

// The frame of a Gaussian as seen in an image: W x for an offset x in the world, and the camera's centre.
template <class T>
struct CanonicalFrame {
  Mat3<T> turn;
  Vec3<T> centre;
};

// A ray of the direction d, of the length 1, and the origin minus the camera's centre.
template <class T>
struct VolumeRay {
  Vec3<T> d, origin;
};

// The density as a function of the distance t along a ray.
template <class T>
struct DensityAlong {
  T nearest;    // the t of the largest one
  T log2_peak;  // of that
  T sharpness;  // so that log2 falls by this times (t - nearest)^2
  Vec3<T> h0, dg;

  GSPLAT_HD T offset(const T& t) const { return t - nearest; }
  GSPLAT_HD T log2_at(const T& u) const { return fma(-(sharpness * u), u, log2_peak); }
};

template <class T>
GSPLAT_HD DensityAlong<T> density_along(const CanonicalFrame<T>& frame, const T& log2_density,
                                        const VolumeRay<T>& ray) {
  const Vec3<T> dg = multiply(frame.turn, ray.d), og = frame.centre + multiply(frame.turn, ray.origin);
  const T square = dot(dg, dg), nearest = -dot(og, dg) / square;
  const Vec3<T> h0 = og + nearest * dg;
  return {nearest, log2_density - T(0.5 * kLog2E) * dot(h0, h0), T(0.5 * kLog2E) * square, h0, dg};
}

// Half of how long a ray is where the density's log2 is above a bound, which the peak's is.
template <class T>
GSPLAT_HD T half_length_above(const DensityAlong<T>& along, const T& bound) {
  return sqrt(max(along.log2_peak - bound, T(0.0)) / along.sharpness);
}

// The opacity 1 - exp(-x) of an optical thickness x >= 0, to 2 ulp also where it is small.
template <class T>
GSPLAT_HD T opacity_of_thickness(const T& x) {
  T p = T(1.0 / 5040);
  p = fma(-p, x, T(1.0 / 720));
  p = fma(-p, x, T(1.0 / 120));
  p = fma(-p, x, T(1.0 / 24));
  p = fma(-p, x, T(1.0 / 6));
  p = fma(-p, x, T(0.5));
  p = fma(-p, x, T(1.0));
  return select(x < T(0.3), p * x, T(1.0) - native_exp2(T(-kLog2E) * x));
}

// Sums over samples: of v, v u and v u^2, where v is the density times its gradient.
template <class T>
struct DensitySums {
  T s0, s1, s2;
};

// The gradients of og and dg, the ray in the Gaussian's frame.
template <class T>
GSPLAT_HD void density_along_vjp(const DensityAlong<T>& along, const DensitySums<T>& s, Vec3<T>& v_og,
                                 Vec3<T>& v_dg) {
  v_og = -s.s0 * along.h0 + -s.s1 * along.dg;
  v_dg = along.nearest * v_og + (-s.s1 * along.h0 + -s.s2 * along.dg);
}

GSPLAT_MATH_END
