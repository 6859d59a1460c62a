// A Gaussian in a grid of voxels, and the gradients of its parameters from moments of the voxels.
//
// With offsets (dx, dy, dz) of voxels from the mean, the exponent is -(u^2 + v^2 + w^2) in base 2, where
//
//     u = zz dz + zy dy + zx dx,    v = yy dy + yx dx,    w = xx dx
//
// is the triangular root of the inverse covariance, scaled as that of a conic is (math/response/radial.h):
// along z, the innermost axis of volumes, only u changes. It is the factor R of W = Q R, W = diag(1/s)
// rotation^T, whose columns are taken in the order z, y, x. The moments are summed up in (u, v, w), and Q
// turns them into the axes of the Gaussian, where none of them cancels however thin it is.
#pragma once

#include "math/project.h"
#include "math/response/radial.h"

GSPLAT_MATH_BEGIN

template <class T>
struct Ellipsoid {
  Vec3<T> mean;  // in voxels, from the corner of the first one
  T zz, zy, zx, yy, yx, xx;
  T log2_opacity;
};

// Whether it has a root: flat Gaussians have none.
template <class T>
GSPLAT_HD Mask<T> has_root(const Ellipsoid<T>& e) {
  const T huge(1e30), none(0.0);
  return (e.zz < huge) & (e.yy < huge) & (abs(e.xx) < huge) & (abs(e.xx) > none);
}

// Sums over voxels, with e = dL/dvalue * value.
template <class T>
struct EllipsoidMoments {
  T e, eu, ev, ew, euu, euv, euw, evv, evw, eww;
};
inline constexpr int kEllipsoidMoments = 10;

template <class T>
GSPLAT_HD Vec3<T> divide(const Vec3<T>& a, const Vec3<T>& b) {
  return {a.x / b.x, a.y / b.y, a.z / b.z};
}

// The orthonormal columns of Q.
template <class T>
struct EllipsoidBasis {
  Vec3<T> first, second, third;
  Vec3<T> x, y, z;  // the columns of W
  T zz, yy, xx;     // of the root, for voxels of size 1

  GSPLAT_HD EllipsoidBasis(const Mat3<T>& r, const Vec3<T>& scales) {
    x = divide(Vec3<T>{r.m[0][0], r.m[0][1], r.m[0][2]}, scales);
    y = divide(Vec3<T>{r.m[1][0], r.m[1][1], r.m[1][2]}, scales);
    z = divide(Vec3<T>{r.m[2][0], r.m[2][1], r.m[2][2]}, scales);
    const T one(1.0);
    const Vec3<T> normal = cross(z, y);
    const T area = sqrt(dot(normal, normal));
    zz = sqrt(dot(z, z));
    yy = area / zz;
    first = (one / zz) * z;
    third = (one / area) * normal;
    second = cross(third, first);
    xx = T(-1.0) / (area * scales.x * scales.y * scales.z);  // by the determinant of W
  }
};

template <class T>
GSPLAT_HD Ellipsoid<T> ellipsoid(const Gaussian<T, ScaledRotation>& g, const Vec3<T>& origin,
                                 const Vec3<T>& spacing, const T& log2_opacity) {
  const EllipsoidBasis<T> q(rotation_matrix(g.shape.quaternion), g.shape.scales);
  const T x = T(kRootScale) * spacing.x, y = T(kRootScale) * spacing.y, z = T(kRootScale) * spacing.z;
  return {divide(g.mean - origin, spacing), z * q.zz, y * dot(q.first, q.y), x * dot(q.first, q.x), y * q.yy,
          x * dot(q.second, q.x),           x * q.xx, log2_opacity};
}

// With c = W (position - mean): d ln value = d ln opacity - c . dc, and dc = dW (position - mean) - W dmean.
template <class T>
GSPLAT_HD Gaussian<T, ScaledRotation> ellipsoid_vjp(const Gaussian<T, ScaledRotation>& g,
                                                    const EllipsoidMoments<T>& m) {
  const Mat3<T> r = rotation_matrix(g.shape.quaternion);
  const Vec3<T>& scales = g.shape.scales;
  const EllipsoidBasis<T> q(r, scales);
  const T unscale(1.0 / kRootScale), twice(1.0 / (kRootScale * kRootScale));
  const Vec3<T> c = unscale * (m.eu * q.first + m.ev * q.second + m.ew * q.third);
  // Rows of the matrix sum e c c^T.
  const Vec3<T> by_u = twice * (m.euu * q.first + m.euv * q.second + m.euw * q.third);
  const Vec3<T> by_v = twice * (m.euv * q.first + m.evv * q.second + m.evw * q.third);
  const Vec3<T> by_w = twice * (m.euw * q.first + m.evw * q.second + m.eww * q.third);
  const Vec3<T> rows[3] = {q.first.x * by_u + q.second.x * by_v + q.third.x * by_w,
                           q.first.y * by_u + q.second.y * by_v + q.third.y * by_w,
                           q.first.z * by_u + q.second.z * by_v + q.third.z * by_w};
  const T s[3] = {scales.x, scales.y, scales.z};
  Gaussian<T, ScaledRotation> v;
  v.mean = multiply(r, divide(c, scales));
  v.shape.scales = {rows[0].x / s[0], rows[1].y / s[1], rows[2].z / s[2]};
  // The gradient of W is -(sum e c c^T) diag(s) rotation^T.
  Mat3<T> v_r;
  for (int j = 0; j < 3; ++j) {
    const T inverse = T(-1.0) / s[j];
    const Vec3<T> turned = multiply(r, Vec3<T>{rows[j].x * s[0], rows[j].y * s[1], rows[j].z * s[2]});
    v_r.m[0][j] = inverse * turned.x;
    v_r.m[1][j] = inverse * turned.y;
    v_r.m[2][j] = inverse * turned.z;
  }
  v.shape.quaternion = rotation_matrix_vjp(g.shape.quaternion, v_r);
  v.opacity = m.e / g.opacity;
  return v;
}

GSPLAT_MATH_END
