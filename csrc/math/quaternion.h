// Rotations as quaternions (w, x, y, z) that need not be normalised.
#pragma once

#include "math/linalg.h"

GSPLAT_MATH_BEGIN

template <class T>
struct Quaternion {
  T w, x, y, z;
};

// The rotation matrix of q / |q|. A zero quaternion gives NaN.
template <class T>
GSPLAT_HD Mat3<T> rotation_matrix(const Quaternion<T>& q) {
  const T inv = T(1.0) / sqrt(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z);
  const T w = q.w * inv, x = q.x * inv, y = q.y * inv, z = q.z * inv;
  const T two = T(2.0), one = T(1.0);
  return {{{one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y)},
           {two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x)},
           {two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y)}}};
}

// Gradient of q from the gradient v of the rotation matrix, through the normalisation.
template <class T>
GSPLAT_HD Quaternion<T> rotation_matrix_vjp(const Quaternion<T>& q, const Mat3<T>& v) {
  const T inv = T(1.0) / sqrt(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z);
  const T w = q.w * inv, x = q.x * inv, y = q.y * inv, z = q.z * inv;
  const auto& g = v.m;
  const T two = T(2.0);
  const T vw = two * (x * (g[2][1] - g[1][2]) + y * (g[0][2] - g[2][0]) + z * (g[1][0] - g[0][1]));
  const T vx = two * (y * (g[0][1] + g[1][0]) + z * (g[0][2] + g[2][0]) + w * (g[2][1] - g[1][2]) -
                      two * x * (g[1][1] + g[2][2]));
  const T vy = two * (x * (g[0][1] + g[1][0]) + z * (g[1][2] + g[2][1]) + w * (g[0][2] - g[2][0]) -
                      two * y * (g[0][0] + g[2][2]));
  const T vz = two * (x * (g[0][2] + g[2][0]) + y * (g[1][2] + g[2][1]) + w * (g[1][0] - g[0][1]) -
                      two * z * (g[0][0] + g[1][1]));
  // The part along q changes only its length, which the normalisation takes away again.
  const T along = vw * w + vx * x + vy * y + vz * z;
  return {(vw - along * w) * inv, (vx - along * x) * inv, (vy - along * y) * inv, (vz - along * z) * inv};
}

GSPLAT_MATH_END
