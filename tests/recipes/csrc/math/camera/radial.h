// A lens with one coefficient of radial distortion k: the slopes x/z and y/z of a ray, at the distance r from
// the axis, become 1 + k r^2 times as large (Brown, "Decentering Distortion of Lenses", 1966, first term).
#pragma once

#include "math/camera_model.h"

GSPLAT_MATH_BEGIN

struct Radial : PerspectiveBase<Radial> {
  static constexpr int kParams = kIntrinsics + 1;  // the fifth comes from `lens`

  template <class T>
  static GSPLAT_HD Vec2<T> pixel(const T* k, const Vec3<T>& p) {
    const T x = p.x / p.z, y = p.y / p.z, stretch = fma(k[4], x * x + y * y, T(1.0));
    return {fma(k[0], x * stretch, k[2]), fma(k[1], y * stretch, k[3])};
  }
  template <class T>
  static GSPLAT_HD Vec3<T> pixel_vjp(const T* k, const Vec3<T>& p, const Vec2<T>& v, T* v_k) {
    const T x = p.x / p.z, y = p.y / p.z, square = x * x + y * y, stretch = fma(k[4], square, T(1.0));
    const T a = k[0] * v.x, b = k[1] * v.y, v_stretch = a * x + b * y, v_square = k[4] * v_stretch;
    v_k[0] = v.x * x * stretch;
    v_k[1] = v.y * y * stretch;
    v_k[2] = v.x;
    v_k[3] = v.y;
    v_k[4] = v_stretch * square;
    const T v_x = a * stretch + T(2.0) * v_square * x, v_y = b * stretch + T(2.0) * v_square * y;
    return {v_x / p.z, v_y / p.z, -(v_x * x + v_y * y) / p.z};
  }
};

GSPLAT_MATH_END
