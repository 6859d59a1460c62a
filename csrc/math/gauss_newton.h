// Exact blocks of Gauss-Newton matrices J^T W J without the rows of J.
//
// Let U = l11 dx + l21 dy and V = l22 dy be the offset of a pixel from a splat in units in which the splat is
// round (l: the root of its conic, footprint.h), so ln alpha = ln o - (U^2 + V^2) / 2. However the splat
// changes, the change of ln alpha is a polynomial of degree 2 in (U, V): its six coefficients are linear in
// the tangents of mean, root and opacity, and the same for all pixels. So a sum over pixels of weighted
// products of two such changes is a product of coefficients and of the pixels' weighted moments up to degree
// 4, of which there are 15.
#pragma once

#include "math/linalg.h"

GSPLAT_MATH_BEGIN

// Monomials of degree 0 to 2, in this order: 1, U, V, U^2, UV, V^2.
inline constexpr int kQuadratic = 6;
// Monomials of degree 0 to 4: degree by degree, in each the powers of U falling.
inline constexpr int kQuartic = 15;

// The place of U^i V^j among the monomials.
GSPLAT_HD constexpr int monomial(int i, int j) { return (i + j) * (i + j + 1) / 2 + j; }

// The product of two monomials of degree up to 2.
GSPLAT_HD constexpr int monomial_product(int a, int b) {
  constexpr int kU[kQuadratic] = {0, 1, 0, 2, 1, 0}, kV[kQuadratic] = {0, 0, 1, 0, 1, 2};
  return monomial(kU[a] + kU[b], kV[a] + kV[b]);
}

// A change of a splat, or the gradient of any one parameter's influence on it.
template <class T>
struct SplatChange {
  Vec2<T> mean;
  Vec3<T> root;  // l11, l21, l22
  T opacity;
};

// Writes the coefficients of the change of ln alpha.
template <class T>
GSPLAT_HD void log_alpha_change(const Vec3<T>& root, const T& opacity, const SplatChange<T>& t,
                                T* coefficients) {
  const T &l11 = root.x, &l21 = root.y, &l22 = root.z;
  const T stretch = t.root.x / l11;
  coefficients[0] = t.opacity / opacity;
  coefficients[1] = fma(l11, t.mean.x, l21 * t.mean.y);
  coefficients[2] = l22 * t.mean.y;
  coefficients[3] = -stretch;
  coefficients[4] = fma(stretch, l21, -t.root.y) / l22;
  coefficients[5] = -t.root.z / l22;
}

GSPLAT_MATH_END
