// Rotations one after the other, as quaternions (math/quaternion.h).
#pragma once

#include "math/quaternion.h"

GSPLAT_MATH_BEGIN

// Hamilton's product: the rotation b, then a.
template <class T>
GSPLAT_HD Quaternion<T> multiply(const Quaternion<T>& a, const Quaternion<T>& b) {
  return {a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z, a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
          a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x, a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w};
}

// The unit quaternion of a rotation matrix, of a scalar type: divided by the number that is surely not small.
template <class T>
GSPLAT_HD Quaternion<T> quaternion_of(const Mat3<T>& rotation) {
  const auto& m = rotation.m;
  const T one(1.0), half(0.5), xx = m[0][0], yy = m[1][1], zz = m[2][2];
  const T w_x = m[2][1] - m[1][2], w_y = m[0][2] - m[2][0], w_z = m[1][0] - m[0][1];
  const T x_y = m[0][1] + m[1][0], x_z = m[0][2] + m[2][0], y_z = m[1][2] + m[2][1];
  if (xx + yy + zz > T(0.0)) {
    const T twice = sqrt(one + xx + yy + zz), f = half / twice;
    return {half * twice, w_x * f, w_y * f, w_z * f};
  }
  if (xx >= yy && xx >= zz) {
    const T twice = sqrt(one + xx - yy - zz), f = half / twice;
    return {w_x * f, half * twice, x_y * f, x_z * f};
  }
  if (yy >= zz) {
    const T twice = sqrt(one - xx + yy - zz), f = half / twice;
    return {w_y * f, x_y * f, half * twice, y_z * f};
  }
  const T twice = sqrt(one - xx - yy + zz), f = half / twice;
  return {w_z * f, x_z * f, y_z * f, half * twice};
}

GSPLAT_MATH_END
