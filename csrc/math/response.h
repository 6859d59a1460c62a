// The response of a splat at a pixel: how opaque the Gaussian is there (extension point E4).
//
// Sampled at the pixel centre, alpha = opacity * exp(-sigma(d)) with d = pixel - mean. Everything is kept in
// base 2: alpha = 2^power, power = log2(opacity) - u^2 - v^2, where (u, v) is the offset in units in which
// the splat is round. The scaled root of the conic, sqrt(log2(e)/2) U, makes those units.
#pragma once

#include "math/elementary.h"
#include "math/linalg.h"

GSPLAT_MATH_BEGIN

// sqrt(log2(e) / 2): u^2 + v^2 = sigma log2(e).
inline constexpr double kRootScale = 0.84932180028801904;
// log2(1/255): a splat below this contributes nothing to a pixel of 8 bits.
inline constexpr double kMinPower = -7.994353436858858;

// A splat around its mean, as compositing sees it.
template <class T>
struct SplatShape {
  T l11, l21, l22;  // root of the conic, scaled by kRootScale
  T log2_opacity;
};

template <class T>
struct Response {
  T u;
  T power;  // log2 of the opacity at the pixel
};

// What all pixels of a row share: u = l11 dx + row.u, power = row.power - u^2.
template <class T>
struct RowResponse {
  T u, power;
};

template <class T>
GSPLAT_HD RowResponse<T> row_response(const SplatShape<T>& s, const T& dy) {
  const T v = s.l22 * dy;
  return {s.l21 * dy, fma(-v, v, s.log2_opacity)};
}

// In a column with `column_u` = l11 dx.
template <class T>
GSPLAT_HD Response<T> response(const T& column_u, const RowResponse<T>& row) {
  const T u = column_u + row.u;
  return {u, fma(-u, u, row.power)};
}

template <class T>
GSPLAT_HD Response<T> response(const SplatShape<T>& s, const T& dx, const T& dy) {
  return response(s.l11 * dx, row_response(s, dy));
}

// Sums over pixels from which the gradients of one splat follow. With e = dL/dalpha * alpha at a pixel (the
// derivative by ln alpha), all pixels of a column share dx, so the products with dx are made per column.
template <class T>
struct ColumnMoments {
  T e, eu, ey, euy, eyy;  // sums of e, e u, e dy, e u dy, e dy^2

  GSPLAT_HD static ColumnMoments zero() { return {T(0.0), T(0.0), T(0.0), T(0.0), T(0.0)}; }

  GSPLAT_HD void add(const T& value, const T& u, const T& dy) {
    const T vu = value * u, vy = value * dy;
    e = e + value;
    eu = eu + vu;
    ey = ey + vy;
    euy = fma(vu, dy, euy);
    eyy = fma(vy, dy, eyy);
  }
};

// The sums of all pixels of a splat: those of its columns, and e u dx.
template <class T>
struct Moments {
  T e, eu, ey, eux, euy, eyy;
};

template <class T>
struct SplatGrad {
  T mean_x, mean_y;
  T l11, l21, l22;  // of the unscaled root
  T opacity;
};

// Gradient of the splat's mean from one pixel, for sums of absolute values, which moments cannot give. In
// scaled units: two scaled roots stand in each product, so it is kRootScale^2 times the gradient.
template <class T>
GSPLAT_HD Vec2<T> scaled_mean_vjp(const SplatShape<T>& s, const T& e, const T& u, const T& dy) {
  return {e * u * s.l11, e * fma(u, s.l21, dy * (s.l22 * s.l22))};
}

// Gradients of one splat from its moments and its unscaled root and opacity.
//
// With sigma = (U.u^2 + U.v^2)/2 in unscaled units U.u = u/kRootScale: d ln alpha = d ln o - U.u dU.u - U.v
// dU.v.
template <class T>
GSPLAT_HD SplatGrad<T> splat_vjp(const Moments<T>& m, const T& l11, const T& l21, const T& l22,
                                 const T& opacity) {
  const T unscale = T(1.0 / kRootScale);
  const T eu = m.eu * unscale;
  SplatGrad<T> g;
  g.l11 = -m.eux * unscale;
  g.l21 = -m.euy * unscale;
  g.l22 = -l22 * m.eyy;
  g.mean_x = l11 * eu;
  g.mean_y = l21 * eu + l22 * l22 * m.ey;
  g.opacity = m.e / opacity;
  return g;
}

// The same sums in plain offsets, e, e dx, e dy, e dx^2, e dx dy, e dy^2: fewer operations per pixel, but
// digits cancel where u is small in spite of large offsets, in splats much longer than wide.
template <class T>
struct OffsetMoments {
  T e, ex, ey, exx, exy, eyy;
};

// Those of a column: sums of e, e y, e y^2 with y counted from a row of reference. If the reference is near,
// all y are small numbers that are known before the loop over the splats.
template <class T>
struct ColumnSums {
  T e, ey, eyy;

  GSPLAT_HD static ColumnSums zero() { return {T(0.0), T(0.0), T(0.0)}; }

  GSPLAT_HD void add(const T& value, const T& y, const T& yy) {
    e = e + value;
    ey = fma(value, y, ey);
    eyy = fma(value, yy, eyy);
  }

  // With the dx of the column and the dy of the row of reference.
  GSPLAT_HD OffsetMoments<T> moments(const T& dx, const T& dy) const {
    const T ex = e * dx, from_mean = fma(dy, e, ey);
    return {e, ex, from_mean, ex * dx, from_mean * dx, fma(dy, from_mean + ey, eyy)};
  }
};

template <class T>
GSPLAT_HD SplatGrad<T> splat_vjp(const OffsetMoments<T>& m, const T& l11, const T& l21, const T& l22,
                                 const T& opacity) {
  const T eu = fma(l11, m.ex, l21 * m.ey);
  SplatGrad<T> g;
  g.l11 = -fma(l11, m.exx, l21 * m.exy);
  g.l21 = -fma(l11, m.exy, l21 * m.eyy);
  g.l22 = -l22 * m.eyy;
  g.mean_x = l11 * eu;
  g.mean_y = fma(l21, eu, l22 * l22 * m.ey);
  g.opacity = m.e / opacity;
  return g;
}

GSPLAT_MATH_END
