// Cameras as the kernels read them from the arrays of the scene.
#pragma once

#include "math/camera.h"
#include "raster/types.h"

namespace gsplat::cuda {

// Rotation and translation of a world-to-camera matrix.
template <class T>
__device__ inline void load_pose(const float* viewmat, Mat3<T>& rotation, Vec3<T>& translation) {
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) rotation.m[i][j] = static_cast<T>(viewmat[4 * i + j]);
  }
  translation = {static_cast<T>(viewmat[3]), static_cast<T>(viewmat[7]), static_cast<T>(viewmat[11])};
}

__device__ inline Camera<float> load_camera(const float* viewmat, const float* k, ImageSize image) {
  Camera<float> camera;
  load_pose(viewmat, camera.rotation, camera.translation);
  camera.fx = k[0];
  camera.fy = k[4];
  camera.cx = k[2];
  camera.cy = k[5];
  camera.width = static_cast<float>(image.width);
  camera.height = static_cast<float>(image.height);
  return camera;
}

__device__ inline bool is_visible(const int32_t* radii, int64_t splat) {
  return radii[2 * splat] > 0 || radii[2 * splat + 1] > 0;
}

}  // namespace gsplat::cuda
