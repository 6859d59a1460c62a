// What the kernels of spherical harmonics share. The coefficients of a Gaussian are a row of up to 72 floats.
#pragma once

#include <type_traits>

#include "cuda/gaussians.cuh"
#include "cuda/warp_rows.cuh"
#include "math/spherical_harmonics.h"

namespace gsplat::cuda {

inline constexpr int kHarmonicsThreads = 64;

__device__ inline Vec3<float> load_centre(const float* viewmat) {
  Mat3<float> rotation;
  Vec3<float> translation;
  load_pose(viewmat, rotation, translation);
  return camera_centre(rotation, translation);
}

// The coefficients of a warp's Gaussians from the second on; the first is read directly.
template <int kDegree>
struct CoefficientRows : WarpRows<3 * (sh_bases(kDegree) - 1)> {
  static constexpr int kBases = sh_bases(kDegree);

  // Of this lane: coefficient k > 0.
  __device__ float* of(int k) const { return this->mine() + 3 * (k - 1); }
  __device__ Vec3<float> operator[](int k) const { return {of(k)[0], of(k)[1], of(k)[2]}; }
};

// launch(degree) with the degree as a constant.
template <class Launch>
void with_degree(int degree, const Launch& launch) {
  switch (degree) {
    case 0:
      return launch(std::integral_constant<int, 0>());
    case 1:
      return launch(std::integral_constant<int, 1>());
    case 2:
      return launch(std::integral_constant<int, 2>());
    case 3:
      return launch(std::integral_constant<int, 3>());
    default:
      return launch(std::integral_constant<int, 4>());
  }
}

}  // namespace gsplat::cuda
