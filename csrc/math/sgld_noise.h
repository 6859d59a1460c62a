// The noise of stochastic gradient Langevin dynamics on the centres of Gaussians (Kheradmand et al. 2024,
// "3D Gaussian Splatting as Markov Chain Monte Carlo", equation 8).
#pragma once

#include "math/elementary.h"
#include "math/philox.h"
#include "math/quaternion.h"

GSPLAT_MATH_BEGIN

// How freely a Gaussian moves: about 1 where it is transparent, 1/2 at `threshold`, 0 where it is opaque.
template <class T>
GSPLAT_HD T noise_gate(T opacity, T steepness, T threshold) {
  return T(1.0) / (T(1.0) + exp(steepness * (opacity - threshold)));
}

// The random numbers of a row, a function of seed, step and row.
GSPLAT_HD Random4 noise_numbers(uint64_t row, uint64_t seed, uint64_t step) {
  return philox({{static_cast<uint32_t>(row), static_cast<uint32_t>(row >> 32), static_cast<uint32_t>(step),
                  static_cast<uint32_t>(step >> 32)}},
                seed);
}

// The standard normal vector of a row, from its numbers made uniform.
template <class T>
GSPLAT_HD Vec3<T> normal_vector(const T (&uniforms)[4]) {
  Vec3<T> normal;
  T unused;
  normals(uniforms[0], uniforms[1], normal.x, normal.y);
  normals(uniforms[2], uniforms[3], normal.z, unused);
  return normal;
}

// Whether noise of this strength is too small to change a centre, of which it leaves all bits as they are.
template <class T>
GSPLAT_HD Mask<T> stays_in_place(const Vec3<T>& mean, const Vec3<T>& scale, T strength) {
  // No normal vector is longer than sqrt(2 * 66 ln 2) = 9.6, since no uniform number is less than 2^-33.
  const T largest = max(max(scale.x, scale.y), scale.z), reach = strength * largest * largest * T(10.0);
  const auto same = [&](T m) { return Mask<T>(((m + reach) <= m) & ((m - reach) >= m)); };
  return Mask<T>(same(mean.x) & same(mean.y) & same(mean.z));
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
