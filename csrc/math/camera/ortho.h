// The orthographic camera, by gsplat's name: a pixel is (fx x + cx, fy y + cy), and depth only decides what
// is culled and what lies in front.
//
// All its rays are parallel, but view-dependent colours are taken for directions from the camera's centre, as
// gsplat does; a centre far behind the scene makes them alike.
#pragma once

#include "math/camera_model.h"

GSPLAT_MATH_BEGIN

struct Ortho : CameraBase<Ortho> {
  static constexpr int kParams = kIntrinsics;  // fx, fy: pixels per unit of length

  template <class T>
  static GSPLAT_HD Vec2<T> pixel(const T* k, const Vec3<T>& p) {
    return {fma(k[0], p.x, k[2]), fma(k[1], p.y, k[3])};
  }
  template <class T>
  static GSPLAT_HD Vec3<T> pixel_vjp(const T* k, const Vec3<T>& p, const Vec2<T>& v, T* v_k) {
    v_k[0] = v.x * p.x;
    v_k[1] = v.y * p.y;
    v_k[2] = v.x;
    v_k[3] = v.y;
    return {k[0] * v.x, k[1] * v.y, T(0.0)};
  }
};

GSPLAT_MATH_END
