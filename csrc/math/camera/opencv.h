// A perspective lens with OpenCV's distortion: of the slopes x/z and y/z, with s the sum of their squares,
//
//     x' = c x + 2 p1 x y + p2 (s + 2 x^2) + s1 s + s2 s^2
//     y' = c y + p1 (s + 2 y^2) + 2 p2 x y + s3 s + s4 s^2
//     c = (1 + k1 s + k2 s^2 + k3 s^3) / (1 + k4 s + k5 s^2 + k6 s^3)
//
// (radial and tangential: Brown, "Decentering Distortion of Lenses", 1966; rational: Claus and Fitzgibbon,
// 2005; thin prism: Weng, Cohen and Herniou, 1992). With s1 to s4 zero it is COLMAP's FULL_OPENCV, of which
// OPENCV, RADIAL and SIMPLE_RADIAL are special cases; with all zero, the pinhole camera.
#pragma once

#include "math/camera_model.h"

GSPLAT_MATH_BEGIN

struct Opencv : PerspectiveBase<Opencv> {
  static constexpr int kParams = kIntrinsics + 12;  // k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4

  // The limits of the pinhole camera, moved outward as far as the lens pulls a corner inward: solved for the
  // radial part by Newton's method, four times as far at most.
  template <class T>
  static GSPLAT_HD SlopeLimits<T> limits(const Camera<T, Opencv>& camera) {
    const SlopeLimits<T> l = slope_limits(camera);
    T k[kParams];
    for (int i = 0; i < kParams; ++i) k[i] = constant(camera.params[i]);
    const T x = max(-l.low_x, l.high_x), y = max(-l.low_y, l.high_y), corner = sqrt(x * x + y * y);
    T radius = corner;
    for (int i = 0; i < 8; ++i) {
      const Radial<T> f = radial(k, radius * radius);
      const T step = (corner - radius * f.value) / max(radius_slope(f, radius * radius), T(0.1));
      radius = min(max(radius + step, corner), T(4.0) * corner);
    }
    const T wider = radius / corner;
    return {wider * l.low_x, wider * l.low_y, wider * l.high_x, wider * l.high_y};
  }

  // Where the map from slopes to the image is one to one: it does not turn over at the point, and the radial
  // part rises and has no pole all the way from the axis to it, which is looked at 16 times, most densely
  // where the image is. Nor further than slopes of 10^4, whose powers float32 just holds.
  template <class T>
  static GSPLAT_HD Mask<T> sees(const T* k, const Vec3<T>& p) {
    constexpr int kSteps = 16;
    const T x = p.x / p.z, y = p.y / p.z, s = x * x + y * y, zero(0.0), one(1.0);
    const Bent<T> here = bend(k, x, y);
    const T dxx = x_by_x(k, here, x, y), dyy = y_by_y(k, here, x, y);
    const T dxy = y_by_x(k, here, x, y), dyx = x_by_y(k, here, x, y);
    Mask<T> good = (p.z > zero) & (s < T(1e8)) & (dxx * dyy - dxy * dyx > zero);
    // Radii unit t/(1 - t), of which `unit`, about that of the image's corner, is in the middle.
    const T cx = k[2] / k[0], cy = k[3] / k[1];
    const T unit = max(sqrt(cx * cx + cy * cy), T(1e-3)), r = sqrt(s), end = r / (unit + r);
    for (int i = 1; i <= kSteps; ++i) {
      const T t = T(static_cast<double>(i) / kSteps) * end, at = unit * t / (one - t), square = at * at;
      const Radial<T> f = radial(k, square);
      good = good & (f.denominator > zero) & (radius_slope(f, square) > zero);
    }
    return good;
  }

  template <class T>
  static GSPLAT_HD Vec2<T> pixel(const T* k, const Vec3<T>& p) {
    const Bent<T> bent = bend(k, p.x / p.z, p.y / p.z);
    return {fma(k[0], bent.x, k[2]), fma(k[1], bent.y, k[3])};
  }

  template <class T>
  static GSPLAT_HD Vec3<T> pixel_vjp(const T* k, const Vec3<T>& p, const Vec2<T>& v, T* v_k) {
    const T x = p.x / p.z, y = p.y / p.z, two(2.0);
    const Bent<T> bent = bend(k, x, y);
    const T& s = bent.s;
    const T a = k[0] * v.x, b = k[1] * v.y;
    v_k[0] = v.x * bent.x;
    v_k[1] = v.y * bent.y;
    v_k[2] = v.x;
    v_k[3] = v.y;
    v_k[6] = a * two * x * y + b * (s + two * y * y);
    v_k[7] = a * (s + two * x * x) + b * two * x * y;
    const T v_numerator = (a * x + b * y) / bent.radial.denominator;
    const T v_denominator = -v_numerator * bent.radial.value;
    v_k[4] = v_numerator * s;
    v_k[5] = v_k[4] * s;
    v_k[8] = v_k[5] * s;
    v_k[9] = v_denominator * s;
    v_k[10] = v_k[9] * s;
    v_k[11] = v_k[10] * s;
    v_k[12] = a * s;
    v_k[13] = v_k[12] * s;
    v_k[14] = b * s;
    v_k[15] = v_k[14] * s;
    const T v_x = a * x_by_x(k, bent, x, y) + b * y_by_x(k, bent, x, y);
    const T v_y = a * x_by_y(k, bent, x, y) + b * y_by_y(k, bent, x, y);
    return {v_x / p.z, v_y / p.z, -(v_x * x + v_y * y) / p.z};
  }

private:
  // The factor c and its derivative by s.
  template <class T>
  struct Radial {
    T value, slope, denominator;
  };

  template <class T>
  static GSPLAT_HD Radial<T> radial(const T* k, const T& s) {
    const T one(1.0), two(2.0), three(3.0);
    const T numerator = fma(s, fma(s, fma(s, k[8], k[5]), k[4]), one);
    const T denominator = fma(s, fma(s, fma(s, k[11], k[10]), k[9]), one);
    const T value = numerator / denominator;
    const T numerator_slope = fma(s, fma(s, three * k[8], two * k[5]), k[4]);
    const T denominator_slope = fma(s, fma(s, three * k[11], two * k[10]), k[9]);
    return {value, (numerator_slope - value * denominator_slope) / denominator, denominator};
  }

  // The derivative of r c(r^2) by the radius r, at r^2 = s.
  template <class T>
  static GSPLAT_HD T radius_slope(const Radial<T>& f, const T& s) {
    return f.value + T(2.0) * s * f.slope;
  }

  // x' and y' above.
  template <class T>
  struct Bent {
    T x, y, s;
    Radial<T> radial;
  };

  template <class T>
  static GSPLAT_HD Bent<T> bend(const T* k, const T& x, const T& y) {
    const T s = x * x + y * y, two(2.0);
    const Radial<T> f = radial(k, s);
    const T p1 = k[6], p2 = k[7];
    return {f.value * x + two * p1 * x * y + p2 * (s + two * x * x) + s * fma(s, k[13], k[12]),
            f.value * y + p1 * (s + two * y * y) + two * p2 * x * y + s * fma(s, k[15], k[14]), s, f};
  }

  // The derivatives of x' and y' by s alone, without that of c.
  template <class T>
  static GSPLAT_HD T x_by_s(const T* k, const T& s) {
    return k[7] + fma(T(2.0) * s, k[13], k[12]);
  }
  template <class T>
  static GSPLAT_HD T y_by_s(const T* k, const T& s) {
    return k[6] + fma(T(2.0) * s, k[15], k[14]);
  }

  template <class T>
  static GSPLAT_HD T x_by_x(const T* k, const Bent<T>& b, const T& x, const T& y) {
    return b.radial.value + T(2.0) * (k[6] * y + x * (b.radial.slope * x + x_by_s(k, b.s) + T(2.0) * k[7]));
  }
  template <class T>
  static GSPLAT_HD T x_by_y(const T* k, const Bent<T>& b, const T& x, const T& y) {
    return T(2.0) * (k[6] * x + y * (b.radial.slope * x + x_by_s(k, b.s)));
  }
  template <class T>
  static GSPLAT_HD T y_by_x(const T* k, const Bent<T>& b, const T& x, const T& y) {
    return T(2.0) * (k[7] * y + x * (b.radial.slope * y + y_by_s(k, b.s)));
  }
  template <class T>
  static GSPLAT_HD T y_by_y(const T* k, const Bent<T>& b, const T& x, const T& y) {
    return b.radial.value + T(2.0) * (k[7] * x + y * (b.radial.slope * y + y_by_s(k, b.s) + T(2.0) * k[6]));
  }
};

GSPLAT_MATH_END
