// The lens of a polynomial between the angle t of a ray from the axis and the distance r at which it appears,
// in focal lengths, by gsplat's name (the camera of NVIDIA's DriveWorks):
//
//     r = t + k0 + k2 t^2 + k3 t^3 + k4 t^4 + k5 t^5      or, the other way round,      t = r + k0 + k2 r^2 +
//     ...
//
// and of a linear map of the image, (x, y) to ((1 + c) x + d y, e x + y), before fx and fy are applied. With
// all numbers zero it is the ideal equidistant lens. Like the fisheye it sees beside and behind itself, and
// goes by the distance from the camera; a largest angle of its own, beyond which polynomials were not fitted,
// ends what it sees.
#pragma once

#include "math/camera/fisheye.h"

GSPLAT_MATH_BEGIN

struct FTheta : CameraBase<FTheta> {
  // Which way round the polynomial is (gsplat's FThetaPolynomialType: 0 gives the angle of a distance, 1 the
  // distance of an angle), k0, k2, k3, k4, k5, the largest angle (0: none), c, d, e.
  static constexpr int kParams = kIntrinsics + 10;
  static constexpr int kWay = 4, kConstant = 5, kPowers = 6, kLargest = 10, kLinear = 11;

  // The distance from the camera.
  template <class T>
  static GSPLAT_HD T depth(const Vec3<T>& p) {
    return Fisheye::depth(p);
  }
  template <class T>
  static GSPLAT_HD void add_depth_vjp(const Vec3<T>& p, const T& v_depth, Vec3<T>& v_p) {
    Fisheye::add_depth_vjp(p, v_depth, v_p);
  }

  // Up to the largest angle, and as far as the polynomial rises.
  template <class T>
  static GSPLAT_HD Mask<T> sees(const T* k, const Vec3<T>& p) {
    constexpr int kSteps = 8;
    const Bent<T> at = bend(k, p);
    const T allowed = select(k[kLargest] > T(0.0), k[kLargest], T(4.0));
    Mask<T> good = (p.z > T(Fisheye::kLeastCosine) * depth(p)) & (at.angle <= allowed);
    // Where no distance has the angle, Newton's method ends anywhere.
    good = good & (abs(at.base * (T(1.0) + at.h) - at.of_base) <= T(1e-4) * (T(1.0) + at.angle));
    GSPLAT_ROLLED
    for (int i = 1; i <= kSteps; ++i) {
      good = good & (slope(k, T(static_cast<double>(i) / kSteps) * at.base) > T(0.0));
    }
    return good;
  }

  template <class T>
  static GSPLAT_HD Vec2<T> pixel(const T* k, const Vec3<T>& p) {
    const Bent<T> at = bend(k, p);
    const T stretch = at.per_radius * at.factor, x = stretch * p.x, y = stretch * p.y;
    return {fma(k[0], fma(k[kLinear], x, fma(k[kLinear + 1], y, x)), k[2]),
            fma(k[1], fma(k[kLinear + 2], x, y), k[3])};
  }

  template <class T>
  static GSPLAT_HD Vec3<T> pixel_vjp(const T* k, const Vec3<T>& p, const Vec2<T>& v, T* v_k) {
    const Bent<T> at = bend(k, p);
    const T &c = k[kLinear], &d = k[kLinear + 1], &e = k[kLinear + 2];
    const T stretch = at.per_radius * at.factor, x = stretch * p.x, y = stretch * p.y;
    const T a = k[0] * v.x, b = k[1] * v.y, v_x = fma(a, c, fma(b, e, a)), v_y = fma(a, d, b);
    v_k[0] = v.x * fma(c, x, fma(d, y, x));
    v_k[1] = v.y * fma(e, x, y);
    v_k[2] = v.x;
    v_k[3] = v.y;
    v_k[kLinear] = a * x;
    v_k[kLinear + 1] = a * y;
    v_k[kLinear + 2] = b * x;
    v_k[kWay] = v_k[kLargest] = T(0.0);
    const T v_stretch = v_x * p.x + v_y * p.y, v_factor = v_stretch * at.per_radius;
    const T v_per_radius = v_stretch * at.factor, v_angle = v_factor * at.factor_slope;
    // The derivative of the factor by k_i is by_term base^i / angle.
    T v_term = v_factor * at.by_term / at.angle;
    v_k[kConstant] = v_term;
    v_term = v_term * at.base;
    for (int i = 0; i < 4; ++i) {
      v_term = v_term * at.base;
      v_k[kPowers + i] = v_term;
    }
    const T square = fma(p.z, p.z, at.s);
    const T v_s =
        v_per_radius * angle_per_radius::slope(at.s, p.z) + v_angle * p.z / (T(2.0) * at.radius * square);
    return {v_x * stretch + T(2.0) * v_s * p.x, v_y * stretch + T(2.0) * v_s * p.y,
            -(v_per_radius + v_angle * at.radius) / square};
  }

private:
  // The polynomial is b (1 + h(b)).
  template <class T>
  static GSPLAT_HD T rest(const T* k, const T& b) {
    return k[kConstant] / b + b * fma(b, fma(b, fma(b, k[9], k[8]), k[7]), k[6]);
  }
  template <class T>
  static GSPLAT_HD T rest_slope(const T* k, const T& b) {
    return fma(b, fma(b, fma(T(4.0) * b, k[9], T(3.0) * k[8]), T(2.0) * k[7]), k[6]) - k[kConstant] / (b * b);
  }
  // The derivative of the polynomial.
  template <class T>
  static GSPLAT_HD T slope(const T* k, const T& b) {
    return fma(b, fma(b, fma(b, fma(T(5.0) * b, k[9], T(4.0) * k[8]), T(3.0) * k[7]), T(2.0) * k[6]), T(1.0));
  }

  // Where a ray arrives: at the distance factor * angle.
  template <class T>
  struct Bent {
    T s, radius, per_radius, angle;  // of the point; see angle_per_radius
    T base, h, of_base;              // of the polynomial: its argument, h there, and what it should be there
    T factor, factor_slope, by_term;
  };

  template <class T>
  static GSPLAT_HD Bent<T> bend(const T* k, const Vec3<T>& p) {
    constexpr int kRounds = 7;
    const T one(1.0);
    Bent<T> at;
    at.s = p.x * p.x + p.y * p.y;
    // The axis counts as a ray very near to it.
    at.radius = sqrt(max(at.s, constant(T(1e-14) * dot(p, p))));
    at.per_radius = angle_per_radius::value(at.s, p.z);
    at.angle = at.radius * at.per_radius;
    const Mask<T> distance_of_angle = k[kWay] > T(0.5);
    // The distance of which the polynomial is the angle, by Newton's method; its last step has the
    // derivative.
    T still[kParams];
    for (int i = 0; i < kParams; ++i) still[i] = constant(k[i]);
    T distance = constant(at.angle);
    GSPLAT_ROLLED
    for (int i = 0; i < kRounds; ++i) {
      const T miss = distance * (one + rest(still, distance)) - constant(at.angle);
      distance = max(distance - miss / max(slope(still, distance), T(0.1)), T(1e-7) * constant(at.angle));
    }
    distance = distance - (distance * (one + rest(k, distance)) - at.angle) / slope(still, distance);
    at.base = select(distance_of_angle, at.angle, distance);
    at.h = rest(k, at.base);
    const T h_slope = rest_slope(k, at.base), inverse_slope = one / slope(k, at.base);
    const T inverse = one / (one + at.h);
    at.of_base = select(distance_of_angle, at.base * (one + at.h), at.angle);
    at.factor = select(distance_of_angle, one + at.h, inverse);
    at.factor_slope = select(distance_of_angle, h_slope, -(h_slope * inverse_slope) * (inverse * inverse));
    at.by_term = select(distance_of_angle, one, -inverse_slope);
    return at;
  }
};

GSPLAT_MATH_END
