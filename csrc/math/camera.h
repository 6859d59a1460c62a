// The pinhole camera: world to camera, camera to pixels, and the local linearisation of the latter.
//
// OpenCV axes (x right, y down, z forward); pixel centres at +0.5.
#pragma once

#include "math/linalg.h"

GSPLAT_MATH_BEGIN

template <class T>
struct Camera {
  Mat3<T> rotation;  // world to camera: p = rotation * m + translation
  Vec3<T> translation;
  T fx, fy, cx, cy;  // pixels
  T width, height;   // pixels
};

template <class T>
struct CameraGrad {
  Mat3<T> rotation;
  Vec3<T> translation;
  T fx, fy, cx, cy;
};

template <class T>
GSPLAT_HD Vec3<T> to_camera(const Camera<T>& camera, const Vec3<T>& point) {
  return multiply(camera.rotation, point) + camera.translation;
}

// The camera's position in the world, -R^T t.
template <class T>
GSPLAT_HD Vec3<T> camera_centre(const Mat3<T>& rotation, const Vec3<T>& translation) {
  const Vec3<T> c = multiply_transposed(rotation, translation);
  return {-c.x, -c.y, -c.z};
}

// Gradients of rotation, -t v^T, and translation, -R v, from the gradient v of the position.
template <class T>
GSPLAT_HD void camera_centre_vjp(const Mat3<T>& rotation, const Vec3<T>& translation, const Vec3<T>& v,
                                 Mat3<T>& v_rotation, Vec3<T>& v_translation) {
  const Vec3<T> rows[3] = {-translation.x * v, -translation.y * v, -translation.z * v};
  for (int i = 0; i < 3; ++i) {
    v_rotation.m[i][0] = rows[i].x;
    v_rotation.m[i][1] = rows[i].y;
    v_rotation.m[i][2] = rows[i].z;
  }
  const Vec3<T> rv = multiply(rotation, v);
  v_translation = {-rv.x, -rv.y, -rv.z};
}

// Where a camera-space point appears, and the Jacobian of that map, taken at a point whose direction is
// clamped to 15 % of the image size outside the image: far outside, the linearisation would make a splat
// that covers everything (3DGS section 4; gsplat's limits, which respect the principal point). Derivatives
// take the limits as constants: how they depend on the intrinsics only concerns splats outside the image.
template <class T>
struct Projection {
  Vec2<T> pixel;
  Mat23<T> jacobian;
  T slope_x, slope_y;          // the clamped x/z and y/z of the Jacobian
  Mask<T> inside_x, inside_y;  // true where they were not clamped
};

template <class T>
GSPLAT_HD Projection<T> project_pinhole(const Camera<T>& camera, const Vec3<T>& p) {
  const T inv_z = T(1.0) / p.z;
  const T x = p.x * inv_z, y = p.y * inv_z;
  const T margin_x = T(0.15) * camera.width, margin_y = T(0.15) * camera.height;
  const T low_x = constant(-(camera.cx + margin_x) / camera.fx);
  const T low_y = constant(-(camera.cy + margin_y) / camera.fy);
  const T high_x = constant((camera.width - camera.cx + margin_x) / camera.fx);
  const T high_y = constant((camera.height - camera.cy + margin_y) / camera.fy);
  Projection<T> result;
  result.pixel = {fma(camera.fx, x, camera.cx), fma(camera.fy, y, camera.cy)};
  result.slope_x = min(max(x, low_x), high_x);
  result.slope_y = min(max(y, low_y), high_y);
  result.inside_x = (x >= low_x) & (x <= high_x);
  result.inside_y = (y >= low_y) & (y <= high_y);
  const T jx = camera.fx * inv_z, jy = camera.fy * inv_z;
  result.jacobian = {{jx, T(0.0), -jx * result.slope_x}, {T(0.0), jy, -jy * result.slope_y}};
  return result;
}

// Gradients of the point and (added to v_camera) of the intrinsics, from those of pixel and Jacobian.
template <class T>
GSPLAT_HD Vec3<T> project_pinhole_vjp(const Camera<T>& camera, const Vec3<T>& p,
                                      const Projection<T>& projection, const Vec2<T>& v_pixel,
                                      const Mat23<T>& v_jacobian, CameraGrad<T>& v_camera) {
  const T inv_z = T(1.0) / p.z;
  const T x = p.x * inv_z, y = p.y * inv_z;
  const T zero = T(0.0);
  // Jacobian entries: fx/z, -fx sx/z, with sx = x/z (where inside) or constant.
  const T v_jx = v_jacobian.row0.x - projection.slope_x * v_jacobian.row0.z;
  const T v_jy = v_jacobian.row1.y - projection.slope_y * v_jacobian.row1.z;
  const T v_sx = select(projection.inside_x, -camera.fx * inv_z * v_jacobian.row0.z, zero);
  const T v_sy = select(projection.inside_y, -camera.fy * inv_z * v_jacobian.row1.z, zero);
  // x/z and y/z move the pixel and the slopes; 1/z scales the Jacobian.
  const T v_x = fma(camera.fx, v_pixel.x, v_sx);
  const T v_y = fma(camera.fy, v_pixel.y, v_sy);
  const T v_inv_z = camera.fx * v_jx + camera.fy * v_jy + p.x * v_x + p.y * v_y;
  v_camera.fx = v_camera.fx + v_pixel.x * x + v_jx * inv_z;
  v_camera.fy = v_camera.fy + v_pixel.y * y + v_jy * inv_z;
  v_camera.cx = v_camera.cx + v_pixel.x;
  v_camera.cy = v_camera.cy + v_pixel.y;
  return {v_x * inv_z, v_y * inv_z, -v_inv_z * inv_z * inv_z};
}

GSPLAT_MATH_END
