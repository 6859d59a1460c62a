// A posed camera: world to camera, and the numbers with which its model goes on to pixels.
//
// OpenCV axes (x right, y down, z forward); pixel centres at +0.5. A model is one of those in math/camera/,
// see math/camera_model.h.
#pragma once

#include "math/linalg.h"

GSPLAT_MATH_BEGIN

// The first numbers of every model: fx, fy, cx, cy. They stand in the matrix of intrinsics.
inline constexpr int kIntrinsics = 4;

template <class T, class Model>
struct Camera {
  Mat3<T> rotation;  // world to camera: p = rotation * m + translation
  Vec3<T> translation;
  T params[Model::kParams];  // of the model
  T width, height;           // pixels
};

template <class T, class Model>
struct CameraGrad {
  Mat3<T> rotation;
  Vec3<T> translation;
  T params[Model::kParams];
};

// How many numbers a CameraGrad has: the rotation row by row, the translation and the model's.
template <class Model>
inline constexpr int kCameraNumbers = 12 + Model::kParams;

template <class T, class Model>
GSPLAT_HD Vec3<T> to_camera(const Camera<T, Model>& camera, const Vec3<T>& point) {
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

GSPLAT_MATH_END
