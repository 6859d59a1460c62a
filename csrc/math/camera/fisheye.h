// The fisheye lens: a ray at the angle t from the axis appears at the distance
//
//     rho(t) = t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8)
//
// from the principal point, times fx and fy (Kannala and Brandt, "A Generic Camera Model and Calibration
// Method for Conventional, Wide-Angle, and Fish-Eye Lenses", 2006, equation 6; COLMAP's and OpenCV's
// OPENCV_FISHEYE). Without coefficients it is the ideal equidistant lens. It sees beside and behind itself:
// what is near, and what hides what, is decided by the distance from the camera.
#pragma once

#include "math/camera_model.h"

GSPLAT_MATH_BEGIN

// t/r for the angle t = atan2(r, z) of a point at the distance r = sqrt(s) from the axis, as a smooth
// function of s and z, the derivatives of which by s are its slope and its curvature:
//
//     A = t / r,   A_s = (z/R - A) / (2 s),   A_ss = -(z/R^2 + 3 A_s) / (2 s),   A_z = -1/R,   R = s + z^2.
//
// Near the axis, where these cancel, they are series in q = s/z^2: A = (1 - q/3 + q^2/5 - ...) / z.
namespace angle_per_radius {

inline constexpr double kNear = 1.0 / 16.0;  // of q: there ten terms are enough for double precision

template <class T>
GSPLAT_HD Mask<T> is_near(const T& s, const T& z) {
  return (z > T(0.0)) & (s < T(kNear) * (z * z));
}

// The derivative of order kOrder by q of 1 - q/3 + q^2/5 - ...
template <int kOrder, class T>
GSPLAT_HD T series(const T& q) {
  T sum(0.0);
  for (int n = 9 + kOrder; n >= kOrder; --n) {
    double term = (n % 2 == 0 ? 1.0 : -1.0) / (2 * n + 1);
    for (int i = 0; i < kOrder; ++i) term *= n - i;
    sum = fma(sum, q, T(term));
  }
  return sum;
}

template <class T>
GSPLAT_HD T value(const T& s, const T& z) {
  const T r = sqrt(s);
  return select(is_near(s, z), series<0>(s / (z * z)) / z, atan2(r, z) / r);
}

template <class T>
GSPLAT_HD T slope(const T& s, const T& z) {
  const T square = z * z;
  const T far = (z / (s + square) - value(s, z)) / (T(2.0) * s);
  return select(is_near(s, z), series<1>(s / square) / (z * square), far);
}

template <class T>
GSPLAT_HD T curvature(const T& s, const T& z) {
  const T square = z * z, length = s + square;
  const T far = -(z / (length * length) + T(3.0) * slope(s, z)) / (T(2.0) * s);
  return select(is_near(s, z), series<2>(s / square) / (z * square * square), far);
}

template <class F>
GSPLAT_HD Dual<F> value(const Dual<F>& s, const Dual<F>& z) {
  const F length = fma(z.value, z.value, s.value);
  return {value(s.value, z.value), fma(slope(s.value, z.value), s.tangent, -z.tangent / length)};
}

template <class F>
GSPLAT_HD Dual<F> slope(const Dual<F>& s, const Dual<F>& z) {
  const F length = fma(z.value, z.value, s.value);
  return {slope(s.value, z.value),
          fma(curvature(s.value, z.value), s.tangent, z.tangent / (length * length))};
}

}  // namespace angle_per_radius

struct Fisheye : CameraBase<Fisheye> {
  static constexpr int kTerms = 4;
  static constexpr int kParams = kIntrinsics + kTerms;  // k1, k2, k3, k4

  // The largest angle from the axis that is seen, if the lens does not bend back before: 170 degrees, by its
  // cosine. Right behind the camera a point becomes a ring.
  static constexpr double kLeastCosine = -0.98480775301220806;

  // The distance from the camera.
  template <class T>
  static GSPLAT_HD T depth(const Vec3<T>& p) {
    return sqrt(dot(p, p));
  }
  template <class T>
  static GSPLAT_HD void add_depth_vjp(const Vec3<T>& p, const T& v_depth, Vec3<T>& v_p) {
    v_p = v_p + (v_depth / depth(p)) * p;
  }

  // Rays at larger angles than one at which rho falls would arrive where others do.
  template <class T>
  static GSPLAT_HD Mask<T> sees(const T* k, const Vec3<T>& p) {
    constexpr int kSteps = 8;
    const T s = p.x * p.x + p.y * p.y, per_radius = angle_per_radius::value(s, p.z);
    const T squared_angle = s * per_radius * per_radius;
    Mask<T> rises = p.z > T(kLeastCosine) * depth(p);
    for (int i = 1; i <= kSteps; ++i) {
      const T q = T(static_cast<double>(i * i) / (kSteps * kSteps)) * squared_angle;
      rises = rises & (factor(k, q) + T(2.0) * q * factor_slope(k, q) > T(0.0));
    }
    return rises;
  }

  template <class T>
  static GSPLAT_HD Vec2<T> pixel(const T* k, const Vec3<T>& p) {
    const T s = p.x * p.x + p.y * p.y, per_radius = angle_per_radius::value(s, p.z);
    const T stretch = per_radius * factor(k, s * per_radius * per_radius);
    return {fma(k[0], p.x * stretch, k[2]), fma(k[1], p.y * stretch, k[3])};
  }

  template <class T>
  static GSPLAT_HD Vec3<T> pixel_vjp(const T* k, const Vec3<T>& p, const Vec2<T>& v, T* v_k) {
    const T s = p.x * p.x + p.y * p.y, per_radius = angle_per_radius::value(s, p.z);
    const T squared = per_radius * per_radius, q = s * squared;
    const T f = factor(k, q), f_slope = factor_slope(k, q), stretch = per_radius * f;
    const T a = k[0] * v.x, b = k[1] * v.y, v_stretch = a * p.x + b * p.y;
    const T v_per_radius = v_stretch * (f + T(2.0) * q * f_slope);
    const T v_s = v_stretch * per_radius * squared * f_slope + v_per_radius * angle_per_radius::slope(s, p.z);
    v_k[0] = v.x * p.x * stretch;
    v_k[1] = v.y * p.y * stretch;
    v_k[2] = v.x;
    v_k[3] = v.y;
    T v_factor = v_stretch * per_radius;
    for (int i = 0; i < kTerms; ++i) {
      v_factor = v_factor * q;
      v_k[kIntrinsics + i] = v_factor;
    }
    return {a * stretch + T(2.0) * v_s * p.x, b * stretch + T(2.0) * v_s * p.y,
            -v_per_radius / (s + p.z * p.z)};
  }

private:
  // rho(t)/t and its derivative, both in q = t^2.
  template <class T>
  static GSPLAT_HD T factor(const T* k, const T& q) {
    return fma(q, fma(q, fma(q, fma(q, k[7], k[6]), k[5]), k[4]), T(1.0));
  }
  template <class T>
  static GSPLAT_HD T factor_slope(const T* k, const T& q) {
    return fma(q, fma(q, fma(q, T(4.0) * k[7], T(3.0) * k[6]), T(2.0) * k[5]), k[4]);
  }
};

GSPLAT_MATH_END
