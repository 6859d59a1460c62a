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

// Sums over the pixels p that blended a splat, its moments: with the weights W_pc of the three channels, the
// blending weight w, e_c = d colour_c / d ln alpha, and the monomials m,
//   15 numbers  sum_p (sum_c W_pc e_c^2) m_k, of degree 0 to 4
//   3 numbers   sum_p W_pc w^2
//   3 x 6       sum_p W_pc e_c w m_k, of degree 0 to 2, channel by channel.
inline constexpr int kChannelMoments = 15;  // where the three begin
inline constexpr int kMixedMoments = 18;    // where the 3 x 6 begin
inline constexpr int kSplatMoments = 36;

// A Gaussian's geometry: mean 3, quaternion 4, scales 3, opacity.
inline constexpr int kGeometry = 11;
// Entries of a symmetric matrix of that size: the upper triangle, row by row.
inline constexpr int kGeometryPairs = kGeometry * (kGeometry + 1) / 2;

// Writes the monomials of degree 0 to 4.
template <class T>
GSPLAT_HD void monomials(const T& u, const T& v, T* m) {
  // Those of degree 3 and 4 are products of those of degree 2 with (U, V) and with each other.
  const T uu = u * u, uv = u * v, vv = v * v;
  const T all[kQuartic] = {T(1.0), u,      v,       uu,      uv,      vv,      uu * u, uu * v,
                           u * vv, vv * v, uu * uu, uu * uv, uu * vv, uv * vv, vv * vv};
  for (int k = 0; k < kQuartic; ++k) m[k] = all[k];
}

// What a pixel adds to the moments of a splat, before the monomials come in.
template <class T>
struct PixelMoments {
  T alpha;     // sum_c W_c e_c^2
  T color[3];  // W_c w^2
  T mixed[3];  // W_c e_c w
};

// From the pixel's weights W, the derivatives e of its colours by ln alpha and the blending weight w.
template <class T>
GSPLAT_HD PixelMoments<T> pixel_moments(const T* pixel_weights, const T* e, const T& w) {
  PixelMoments<T> m;
  m.alpha = T(0.0);
  for (int c = 0; c < 3; ++c) {
    const T weighted = pixel_weights[c] * w;
    m.alpha = fma(pixel_weights[c] * e[c], e[c], m.alpha);
    m.color[c] = weighted * w;
    m.mixed[c] = weighted * e[c];
  }
  return m;
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

// How one parameter of a Gaussian acts on a splat: the coefficients of the change of ln alpha, and the change
// of the colour, which only the mean has.
template <class T>
struct Influence {
  T log_alpha[kQuadratic];
  T color[3];
};

// The moments of a splat as a symmetric matrix of influences: the block of its Gaussian is X^T M X.
template <class T>
GSPLAT_HD Influence<T> multiply_moments(const T* moments, const Influence<T>& x) {
  const T* mixed = moments + kMixedMoments;
  Influence<T> y;
  for (int i = 0; i < kQuadratic; ++i) {
    T s(0.0);
    for (int j = 0; j < kQuadratic; ++j) s = fma(moments[monomial_product(i, j)], x.log_alpha[j], s);
    for (int c = 0; c < 3; ++c) s = fma(mixed[c * kQuadratic + i], x.color[c], s);
    y.log_alpha[i] = s;
  }
  for (int c = 0; c < 3; ++c) {
    T s = moments[kChannelMoments + c] * x.color[c];
    for (int i = 0; i < kQuadratic; ++i) s = fma(mixed[c * kQuadratic + i], x.log_alpha[i], s);
    y.color[c] = s;
  }
  return y;
}

template <class T>
GSPLAT_HD T dot(const Influence<T>& a, const Influence<T>& b) {
  T s(0.0);
  for (int i = 0; i < kQuadratic; ++i) s = fma(a.log_alpha[i], b.log_alpha[i], s);
  for (int c = 0; c < 3; ++c) s = fma(a.color[c], b.color[c], s);
  return s;
}

GSPLAT_MATH_END
