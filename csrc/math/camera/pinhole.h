// The pinhole camera: a pixel is (fx x/z + cx, fy y/z + cy).
#pragma once

#include "math/camera_model.h"

GSPLAT_MATH_BEGIN

// With what the derivative needs of the projection.
template <class T>
struct PinholeProjection : Projection<T> {
  T slope_x, slope_y;          // the clamped x/z and y/z of the Jacobian
  Mask<T> inside_x, inside_y;  // true where they were not clamped
};

struct Pinhole : PerspectiveBase<Pinhole> {
  static constexpr int kParams = kIntrinsics;

  template <class T>
  static GSPLAT_HD Vec2<T> pixel(const T* k, const Vec3<T>& p) {
    const T inv_z = T(1.0) / p.z;
    return {fma(k[0], p.x * inv_z, k[2]), fma(k[1], p.y * inv_z, k[3])};
  }
  template <class T>
  static GSPLAT_HD Vec3<T> pixel_vjp(const T* k, const Vec3<T>& p, const Vec2<T>& v, T* v_k) {
    const T inv_z = T(1.0) / p.z;
    const T x = p.x * inv_z, y = p.y * inv_z, v_x = k[0] * v.x, v_y = k[1] * v.y;
    v_k[0] = v.x * x;
    v_k[1] = v.y * y;
    v_k[2] = v.x;
    v_k[3] = v.y;
    return {v_x * inv_z, v_y * inv_z, -(v_x * x + v_y * y) * inv_z};
  }

  // The two functions below say the same as those of CameraBase do. Written by hand, half of the Jacobian
  // being zero, they are faster, and every image goes through this camera.
  template <class T>
  static GSPLAT_HD PinholeProjection<T> linearize(const Camera<T, Pinhole>& camera, const Vec3<T>& p) {
    const T &fx = camera.params[0], &fy = camera.params[1], &cx = camera.params[2], &cy = camera.params[3];
    const T inv_z = T(1.0) / p.z;
    const T x = p.x * inv_z, y = p.y * inv_z;
    const SlopeLimits<T> limits = slope_limits(camera);
    PinholeProjection<T> result;
    result.pixel = {fma(fx, x, cx), fma(fy, y, cy)};
    result.slope_x = min(max(x, limits.low_x), limits.high_x);
    result.slope_y = min(max(y, limits.low_y), limits.high_y);
    result.inside_x = (x >= limits.low_x) & (x <= limits.high_x);
    result.inside_y = (y >= limits.low_y) & (y <= limits.high_y);
    const T jx = fx * inv_z, jy = fy * inv_z;
    result.jacobian = {{jx, T(0.0), -jx * result.slope_x}, {T(0.0), jy, -jy * result.slope_y}};
    return result;
  }
  template <class T>
  static GSPLAT_HD Vec3<T> linearize_vjp(const Camera<T, Pinhole>& camera, const Vec3<T>& p,
                                         const PinholeProjection<T>& projection, const Vec2<T>& v_pixel,
                                         const Mat23<T>& v_jacobian, T* v_params) {
    const T &fx = camera.params[0], &fy = camera.params[1];
    const T inv_z = T(1.0) / p.z;
    const T x = p.x * inv_z, y = p.y * inv_z;
    const T zero = T(0.0);
    // Jacobian entries: fx/z, -fx sx/z, with sx = x/z (where inside) or constant.
    const T v_jx = v_jacobian.row0.x - projection.slope_x * v_jacobian.row0.z;
    const T v_jy = v_jacobian.row1.y - projection.slope_y * v_jacobian.row1.z;
    const T v_sx = select(projection.inside_x, -fx * inv_z * v_jacobian.row0.z, zero);
    const T v_sy = select(projection.inside_y, -fy * inv_z * v_jacobian.row1.z, zero);
    // x/z and y/z move the pixel and the slopes; 1/z scales the Jacobian.
    const T v_x = fma(fx, v_pixel.x, v_sx);
    const T v_y = fma(fy, v_pixel.y, v_sy);
    const T v_inv_z = fx * v_jx + fy * v_jy + p.x * v_x + p.y * v_y;
    v_params[0] = v_params[0] + v_pixel.x * x + v_jx * inv_z;
    v_params[1] = v_params[1] + v_pixel.y * y + v_jy * inv_z;
    v_params[2] = v_params[2] + v_pixel.x;
    v_params[3] = v_params[3] + v_pixel.y;
    return {v_x * inv_z, v_y * inv_z, -v_inv_z * inv_z * inv_z};
  }
};

GSPLAT_MATH_END
