// Cameras in the arrays of the scene, read and written alike by the kernels of all backends.
#pragma once

#include "math/camera.h"
#include "raster/types.h"

GSPLAT_MATH_BEGIN

// Rotation and translation of a world-to-camera matrix.
template <class T>
GSPLAT_HD void load_pose(const float* viewmat, Mat3<T>& rotation, Vec3<T>& translation) {
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) rotation.m[i][j] = static_cast<T>(viewmat[4 * i + j]);
  }
  translation = {static_cast<T>(viewmat[3]), static_cast<T>(viewmat[7]), static_cast<T>(viewmat[11])};
}

// The place of fx, fy, cx and cy in the matrix of intrinsics.
GSPLAT_HD constexpr int intrinsics_place(int i) { return i == 0 ? 0 : i == 1 ? 4 : i == 2 ? 2 : 5; }

// How many numbers of a model are in GaussianInputs::lens.
template <class Model>
inline constexpr int kLensParams = Model::kParams - kIntrinsics;

template <class T, class Model>
GSPLAT_HD Camera<T, Model> load_camera(const GaussianInputs& in, int64_t image) {
  Camera<T, Model> camera;
  load_pose(in.viewmats + 16 * image, camera.rotation, camera.translation);
  for (int i = 0; i < kIntrinsics; ++i) {
    camera.params[i] = static_cast<T>(in.Ks[9 * image + intrinsics_place(i)]);
  }
  for (int i = 0; i < kLensParams<Model>; ++i) {
    camera.params[kIntrinsics + i] = static_cast<T>(in.lens[kLensParams<Model> * image + i]);
  }
  camera.width = static_cast<T>(static_cast<float>(in.image.width));
  camera.height = static_cast<T>(static_cast<float>(in.image.height));
  return camera;
}

// All numbers of a camera's gradient in a row, to be summed alike.
template <class T, class Model>
GSPLAT_HD void camera_numbers(const CameraGrad<T, Model>& v, T* numbers) {
  for (int i = 0; i < 9; ++i) numbers[i] = v.rotation.m[i / 3][i % 3];
  numbers[9] = v.translation.x;
  numbers[10] = v.translation.y;
  numbers[11] = v.translation.z;
  for (int i = 0; i < Model::kParams; ++i) numbers[12 + i] = v.params[i];
}

// Where the i-th of these numbers belongs in the gradients of the scene.
template <class Model>
GSPLAT_HD float* camera_place(const GaussianGrads& out, int64_t image, int i) {
  constexpr int kTranslation = 9, kParams = 12;
  if (i < kTranslation) return out.viewmats + 16 * image + i / 3 * 4 + i % 3;
  if (i < kParams) return out.viewmats + 16 * image + (i - kTranslation) * 4 + 3;
  if (i < kParams + kIntrinsics) return out.Ks + 9 * image + intrinsics_place(i - kParams);
  return out.lens + kLensParams<Model> * image + (i - kParams - kIntrinsics);
}

GSPLAT_MATH_END
