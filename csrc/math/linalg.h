// The few small vectors and matrices that the formulas need.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

template <class T>
struct Vec2 {
  T x, y;
};

template <class T>
struct Vec3 {
  T x, y, z;
};

// Symmetric 2x2: [[xx, xy], [xy, yy]]. As a gradient, xy is the derivative by the one number that stands in
// both off-diagonal places (twice the entry of the full gradient matrix).
template <class T>
struct Sym2 {
  T xx, xy, yy;
};

// Symmetric 3x3 in the order of a packed covariance; as a gradient, see Sym2.
template <class T>
struct Sym3 {
  T xx, xy, xz, yy, yz, zz;
};

// 3x3, m[row][column].
template <class T>
struct Mat3 {
  T m[3][3];
};

// Two rows of three, as the Jacobian of a projection has.
template <class T>
struct Mat23 {
  Vec3<T> row0, row1;
};

template <class T>
GSPLAT_HD Vec3<T> operator+(const Vec3<T>& a, const Vec3<T>& b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
template <class T>
GSPLAT_HD Vec3<T> operator-(const Vec3<T>& a, const Vec3<T>& b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
template <class T>
GSPLAT_HD Vec3<T> operator*(const T& s, const Vec3<T>& a) {
  return {s * a.x, s * a.y, s * a.z};
}
template <class T>
GSPLAT_HD T dot(const Vec3<T>& a, const Vec3<T>& b) {
  return fma(a.x, b.x, fma(a.y, b.y, a.z * b.z));
}

// a b - c d without the cancellation of the plain expression: the error is at most 2 ulp (Kahan).
template <class T>
GSPLAT_HD T difference_of_products(const T& a, const T& b, const T& c, const T& d) {
  const T cd = c * d;
  const T error = fma(-c, d, cd);
  return fma(a, b, -cd) + error;
}

template <class T>
GSPLAT_HD Vec3<T> cross(const Vec3<T>& a, const Vec3<T>& b) {
  return {difference_of_products(a.y, b.z, a.z, b.y), difference_of_products(a.z, b.x, a.x, b.z),
          difference_of_products(a.x, b.y, a.y, b.x)};
}

template <class T>
GSPLAT_HD Vec3<T> multiply(const Mat3<T>& a, const Vec3<T>& v) {
  return {fma(a.m[0][0], v.x, fma(a.m[0][1], v.y, a.m[0][2] * v.z)),
          fma(a.m[1][0], v.x, fma(a.m[1][1], v.y, a.m[1][2] * v.z)),
          fma(a.m[2][0], v.x, fma(a.m[2][1], v.y, a.m[2][2] * v.z))};
}

template <class T>
GSPLAT_HD Vec3<T> multiply_transposed(const Mat3<T>& a, const Vec3<T>& v) {
  return {fma(a.m[0][0], v.x, fma(a.m[1][0], v.y, a.m[2][0] * v.z)),
          fma(a.m[0][1], v.x, fma(a.m[1][1], v.y, a.m[2][1] * v.z)),
          fma(a.m[0][2], v.x, fma(a.m[1][2], v.y, a.m[2][2] * v.z))};
}

template <class T>
GSPLAT_HD Vec3<T> multiply(const Sym3<T>& s, const Vec3<T>& v) {
  return {fma(s.xx, v.x, fma(s.xy, v.y, s.xz * v.z)), fma(s.xy, v.x, fma(s.yy, v.y, s.yz * v.z)),
          fma(s.xz, v.x, fma(s.yz, v.y, s.zz * v.z))};
}

// A B for a 2x3 and a 3x3 matrix.
template <class T>
GSPLAT_HD Mat23<T> multiply(const Mat23<T>& a, const Mat3<T>& b) {
  return {multiply_transposed(b, a.row0), multiply_transposed(b, a.row1)};
}

// A B^T for a 2x3 and a 3x3 matrix.
template <class T>
GSPLAT_HD Mat23<T> multiply_by_transposed(const Mat23<T>& a, const Mat3<T>& b) {
  return {multiply(b, a.row0), multiply(b, a.row1)};
}

GSPLAT_MATH_END
