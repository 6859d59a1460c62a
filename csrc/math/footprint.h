// The screen-space covariance of a projected Gaussian (EWA splatting, Zwicker et al. 2001), its low-pass
// filter, and the form in which compositing wants it.
//
// Compositing evaluates sigma(d) = d^T S^-1 d / 2. With the conic S^-1 itself that cancels badly for long
// thin splats in float32: A dx^2 and 2 B dx dy grow with the square of the distance along the splat. So the
// pipeline carries the upper triangular root U of the conic, S^-1 = U^T U,
//
//     U = [[l11, l21], [0, l22]],   l22 = 1/sqrt(Syy),  l11 = sqrt(Syy/det S),  l21 = -Sxy/sqrt(Syy det S),
//
// and a determinant that is computed without cancellation from the factor of S.
#pragma once

#include "math/linalg.h"

GSPLAT_MATH_BEGIN

// Covariance before the filter and its determinant.
template <class T>
struct Covariance2 {
  Sym2<T> s;
  T det;
};

// S = B B^T with B 2x3: by the Cauchy-Binet formula, det S = |b0 x b1|^2, a sum of squares.
template <class T>
GSPLAT_HD Covariance2<T> covariance_of_factor(const Mat23<T>& b) {
  const Vec3<T> c = cross(b.row0, b.row1);
  return {{dot(b.row0, b.row0), dot(b.row0, b.row1), dot(b.row1, b.row1)}, dot(c, c)};
}

// S = A Sigma A^T for a given 3D covariance.
template <class T>
GSPLAT_HD Covariance2<T> covariance_of_sigma(const Mat23<T>& a, const Sym3<T>& sigma) {
  const Vec3<T> s0 = multiply(sigma, a.row0), s1 = multiply(sigma, a.row1);
  const Sym2<T> s = {dot(a.row0, s0), dot(a.row0, s1), dot(a.row1, s1)};
  return {s, max(difference_of_products(s.xx, s.yy, s.xy, s.xy), T(0.0))};
}

// v_B of S = B B^T and of its determinant: 2 G B with the full symmetric gradient G, and, because the
// determinant is |c|^2 with c = b0 x b1, 2 v_det (b1 x c, c x b0). Going through S instead would cancel.
template <class T>
GSPLAT_HD Mat23<T> covariance_of_factor_vjp(const Mat23<T>& b, const Covariance2<T>& v) {
  const Vec3<T> v_c = (T(2.0) * v.det) * cross(b.row0, b.row1);
  return {(T(2.0) * v.s.xx) * b.row0 + v.s.xy * b.row1 + cross(b.row1, v_c),
          v.s.xy * b.row0 + (T(2.0) * v.s.yy) * b.row1 + cross(v_c, b.row0)};
}

// v_A and v_Sigma of S = A Sigma A^T and of its determinant: v_A = 2 G A Sigma, v_Sigma = A^T G A.
template <class T>
GSPLAT_HD Mat23<T> covariance_of_sigma_vjp(const Mat23<T>& a, const Sym3<T>& sigma,
                                           const Covariance2<T>& v_covariance, Sym3<T>& v_sigma) {
  const Sym2<T> s = covariance_of_sigma(a, sigma).s;
  const T v_det = v_covariance.det;
  const Sym2<T> v = {v_covariance.s.xx + s.yy * v_det, v_covariance.s.xy - T(2.0) * s.xy * v_det,
                     v_covariance.s.yy + s.xx * v_det};
  const Vec3<T> g0 = v.xx * a.row0 + (T(0.5) * v.xy) * a.row1;
  const Vec3<T> g1 = (T(0.5) * v.xy) * a.row0 + v.yy * a.row1;
  v_sigma.xx = a.row0.x * g0.x + a.row1.x * g1.x;
  v_sigma.yy = a.row0.y * g0.y + a.row1.y * g1.y;
  v_sigma.zz = a.row0.z * g0.z + a.row1.z * g1.z;
  v_sigma.xy = T(2.0) * (a.row0.x * g0.y + a.row1.x * g1.y);
  v_sigma.xz = T(2.0) * (a.row0.x * g0.z + a.row1.x * g1.z);
  v_sigma.yz = T(2.0) * (a.row0.y * g0.z + a.row1.y * g1.z);
  return {T(2.0) * multiply(sigma, g0), T(2.0) * multiply(sigma, g1)};
}

// What compositing gets: the filtered splat.
template <class T>
struct Footprint {
  T l11, l21, l22;     // root of the conic
  Sym2<T> covariance;  // filtered: S + eps I
  T det;               // of the filtered covariance
  T compensation;      // sqrt(det S / det(S + eps I)), at least kMinCompensation
};

// Below this compensation a splat counts as a speck: the factor stays and passes no gradient.
inline constexpr double kMinCompensation = 0.005;

// Adds eps to both variances, so that every splat is at least about a pixel wide (3DGS). The compensation
// factor keeps its energy when the caller multiplies the opacity by it (Mip-Splatting's 2D filter).
template <class T>
GSPLAT_HD Footprint<T> screen_filter(const Covariance2<T>& c, const T& eps) {
  Footprint<T> f;
  f.covariance = {c.s.xx + eps, c.s.xy, c.s.yy + eps};
  f.det = c.det + eps * (c.s.xx + c.s.yy + eps);
  f.compensation = sqrt(max(c.det / f.det, T(kMinCompensation * kMinCompensation)));
  f.l22 = T(1.0) / sqrt(f.covariance.yy);
  f.l11 = sqrt(f.covariance.yy / f.det);
  f.l21 = -f.covariance.xy / sqrt(f.covariance.yy * f.det);
  return f;
}

// Gradient of the unfiltered covariance and of its determinant, as independent variables, from those of the
// root (l11, l21, l22) and of the compensation.
template <class T>
GSPLAT_HD Covariance2<T> screen_filter_vjp(const Covariance2<T>& c, const Footprint<T>& f, const T& eps,
                                           const Vec3<T>& v_root, const T& v_compensation) {
  const T inv_det = T(1.0) / f.det, inv_yy = T(1.0) / f.covariance.yy;
  const T p = v_root.x * f.l11, q = v_root.y * f.l21, r = v_root.z * f.l22;
  // Compensation^2 = det S / det(S + eps I).
  const T ratio = c.det * inv_det;
  const Mask<T> passes = ratio > T(kMinCompensation * kMinCompensation);
  const T v_ratio = select(passes, v_compensation * T(0.5) / f.compensation, T(0.0));
  const T v_filtered_det = -inv_det * (T(0.5) * (p + q) + v_ratio * ratio);
  const T v_trace = eps * v_filtered_det;  // det(S + eps I) = det S + eps (Sxx + Syy + eps)
  Covariance2<T> v;
  v.s.xx = v_trace;
  v.s.yy = v_trace + T(0.5) * inv_yy * (p - q - r);
  v.s.xy = -v_root.y * f.l11 * inv_yy;
  v.det = v_filtered_det + v_ratio * inv_det;
  return v;
}

GSPLAT_MATH_END
