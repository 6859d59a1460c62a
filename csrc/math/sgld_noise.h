// The noise of stochastic gradient Langevin dynamics on the centres of Gaussians (Kheradmand et al. 2024,
// "3D Gaussian Splatting as Markov Chain Monte Carlo", equation 8).
#pragma once

#include "math/linalg.h"
#include "math/quaternion.h"

GSPLAT_MATH_BEGIN

// How freely a Gaussian moves: about 1 where it is transparent, 1/2 at `threshold`, 0 where it is opaque.
GSPLAT_HD float noise_gate(float opacity, float steepness, float threshold) {
  return 1.0f / (1.0f + ::expf(steepness * (opacity - threshold)));
}

// Sigma n, with the covariance Sigma = R S S R^T (and not its root) and a standard normal vector n.
template <class T>
GSPLAT_HD Vec3<T> sgld_noise(const Quaternion<T>& quat, const Vec3<T>& scale, const Vec3<T>& normal) {
  const Mat3<T> rotation = rotation_matrix(quat);
  const Vec3<T> along = multiply_transposed(rotation, normal);
  return multiply(rotation, Vec3<T>{scale.x * scale.x * along.x, scale.y * scale.y * along.y,
                                    scale.z * scale.z * along.z});
}

GSPLAT_MATH_END
