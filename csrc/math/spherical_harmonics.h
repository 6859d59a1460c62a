// Real spherical harmonics of degree 0 to 4, in the order and with the signs of 3DGS.
//
// The basis is evaluated at unit directions only: its polynomials are orthonormal on the sphere and mean
// nothing off it. Their gradient is taken as polynomials; projecting it on the tangent plane, as
// unit_direction_vjp() does, makes it that of the function on the sphere.
#pragma once

#include "math/linalg.h"

GSPLAT_MATH_BEGIN

inline constexpr int kMaxShDegree = 4;
inline constexpr int kMaxShBases = (kMaxShDegree + 1) * (kMaxShDegree + 1);

GSPLAT_HD constexpr int sh_bases(int degree) { return (degree + 1) * (degree + 1); }

// Writes the (degree + 1)^2 basis functions at the unit vector d.
template <class T>
GSPLAT_HD void sh_basis(int degree, const Vec3<T>& d, T* b) {
  const T x = d.x, y = d.y, z = d.z;
  b[0] = T(0.28209479177387814);
  if (degree < 1) return;
  b[1] = T(-0.4886025119029199) * y;
  b[2] = T(0.4886025119029199) * z;
  b[3] = T(-0.4886025119029199) * x;
  if (degree < 2) return;
  const T xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
  b[4] = T(1.0925484305920792) * xy;
  b[5] = T(-1.0925484305920792) * yz;
  b[6] = T(0.31539156525252005) * (zz + zz - xx - yy);
  b[7] = T(-1.0925484305920792) * xz;
  b[8] = T(0.5462742152960396) * (xx - yy);
  if (degree < 3) return;
  const T four = T(4.0), three = T(3.0), two = T(2.0);
  b[9] = T(-0.5900435899266435) * y * (three * xx - yy);
  b[10] = T(2.890611442640554) * xy * z;
  b[11] = T(-0.4570457994644658) * y * (four * zz - xx - yy);
  b[12] = T(0.3731763325901154) * z * (two * zz - three * xx - three * yy);
  b[13] = T(-0.4570457994644658) * x * (four * zz - xx - yy);
  b[14] = T(1.445305721320277) * z * (xx - yy);
  b[15] = T(-0.5900435899266435) * x * (xx - three * yy);
  if (degree < 4) return;
  const T seven = T(7.0);
  b[16] = T(2.5033429417967046) * xy * (xx - yy);
  b[17] = T(-1.7701307697799304) * yz * (three * xx - yy);
  b[18] = T(0.9461746957575601) * xy * (seven * zz - T(1.0));
  b[19] = T(-0.6690465435572892) * yz * (seven * zz - three);
  b[20] = T(0.10578554691520431) * (zz * (T(35.0) * zz - T(30.0)) + three);
  b[21] = T(-0.6690465435572892) * xz * (seven * zz - three);
  b[22] = T(0.47308734787878004) * (xx - yy) * (seven * zz - T(1.0));
  b[23] = T(-1.7701307697799304) * xz * (xx - three * yy);
  b[24] = T(0.6258357354491761) * (xx * (xx - three * yy) - yy * (three * xx - yy));
}

// Gradient of d from the gradients v of the basis functions.
template <class T>
GSPLAT_HD Vec3<T> sh_basis_vjp(int degree, const Vec3<T>& d, const T* v) {
  const T x = d.x, y = d.y, z = d.z;
  Vec3<T> g = {T(0.0), T(0.0), T(0.0)};
  if (degree < 1) return g;
  g.x = T(-0.4886025119029199) * v[3];
  g.y = T(-0.4886025119029199) * v[1];
  g.z = T(0.4886025119029199) * v[2];
  if (degree < 2) return g;
  const T two = T(2.0), three = T(3.0), six = T(6.0);
  const T v4 = T(1.0925484305920792) * v[4], v5 = T(-1.0925484305920792) * v[5];
  const T v6 = T(0.31539156525252005) * v[6], v7 = T(-1.0925484305920792) * v[7];
  const T v8 = T(0.5462742152960396) * v[8];
  g.x = g.x + v4 * y + v7 * z + two * x * (v8 - v6);
  g.y = g.y + v4 * x + v5 * z - two * y * (v8 + v6);
  g.z = g.z + v5 * y + v7 * x + T(4.0) * z * v6;
  if (degree < 3) return g;
  const T xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
  const T v9 = T(-0.5900435899266435) * v[9], v10 = T(2.890611442640554) * v[10];
  const T v11 = T(-0.4570457994644658) * v[11], v12 = T(0.3731763325901154) * v[12];
  const T v13 = T(-0.4570457994644658) * v[13], v14 = T(1.445305721320277) * v[14];
  const T v15 = T(-0.5900435899266435) * v[15];
  const T four_zz = T(4.0) * zz, eight = T(8.0);
  g.x = g.x + six * xy * v9 + yz * v10 - two * xy * v11 - six * xz * v12 + (four_zz - three * xx - yy) * v13 +
        two * xz * v14 + three * (xx - yy) * v15;
  g.y = g.y + three * (xx - yy) * v9 + xz * v10 + (four_zz - xx - three * yy) * v11 - six * yz * v12 -
        two * xy * v13 - two * yz * v14 - six * xy * v15;
  g.z = g.z + xy * v10 + eight * yz * v11 + three * (two * zz - xx - yy) * v12 + eight * xz * v13 +
        (xx - yy) * v14;
  if (degree < 4) return g;
  const T seven_zz = T(7.0) * zz, one = T(1.0), fourteen = T(14.0);
  const T v16 = T(2.5033429417967046) * v[16], v17 = T(-1.7701307697799304) * v[17];
  const T v18 = T(0.9461746957575601) * v[18], v19 = T(-0.6690465435572892) * v[19];
  const T v20 = T(0.10578554691520431) * v[20], v21 = T(-0.6690465435572892) * v[21];
  const T v22 = T(0.47308734787878004) * v[22], v23 = T(-1.7701307697799304) * v[23];
  const T v24 = T(0.6258357354491761) * v[24];
  g.x = g.x + y * (three * xx - yy) * v16 + six * xy * z * v17 + y * (seven_zz - one) * v18 +
        z * (seven_zz - three) * v21 + two * x * (seven_zz - one) * v22 + three * z * (xx - yy) * v23 +
        T(4.0) * x * (xx - three * yy) * v24;
  g.y = g.y + x * (xx - three * yy) * v16 + three * z * (xx - yy) * v17 + x * (seven_zz - one) * v18 +
        z * (seven_zz - three) * v19 - two * y * (seven_zz - one) * v22 - six * xy * z * v23 +
        T(4.0) * y * (yy - three * xx) * v24;
  g.z = g.z + y * (three * xx - yy) * v17 + fourteen * xy * z * v18 + y * (three * seven_zz - three) * v19 +
        z * (T(140.0) * zz - T(60.0)) * v20 + x * (three * seven_zz - three) * v21 +
        fourteen * z * (xx - yy) * v22 + x * (xx - three * yy) * v23;
  return g;
}

// v / |v|; the zero vector becomes zero.
template <class T>
GSPLAT_HD Vec3<T> unit_direction(const Vec3<T>& v) {
  const T inv = T(1.0) / sqrt(max(dot(v, v), T(1e-30)));
  return inv * v;
}

template <class T>
GSPLAT_HD Vec3<T> unit_direction_vjp(const Vec3<T>& v, const Vec3<T>& v_unit) {
  const T inv = T(1.0) / sqrt(max(dot(v, v), T(1e-30)));
  const Vec3<T> u = inv * v;
  return inv * (v_unit - dot(v_unit, u) * u);
}

GSPLAT_MATH_END
