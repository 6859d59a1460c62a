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

// Where the offset (u, v) is known already.
template <class T>
GSPLAT_HD T response_power(const T& u, const T& v, const T& log2_opacity) {
  return fma(-u, u, fma(-v, v, log2_opacity));
}

template <class T>
GSPLAT_HD Response<T> response(const SplatShape<T>& s, const T& dx, const T& dy) {
  const T u = fma(s.l11, dx, s.l21 * dy);
  return {u, response_power(u, s.l22 * dy, s.log2_opacity)};
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
GSPLAT_HD Vec2<T> scaled_mean_vjp(const SplatShape<T>& s, const T& e, const T& u, const T& v) {
  return {e * u * s.l11, e * fma(u, s.l21, v * s.l22)};
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

// The same sums in the units of the splat alone, with the scaled v in place of dx and dy: nothing but u and v
// is needed at a pixel.
template <class T>
struct QuadraticMoments {
  T e, eu, ev, euu, euv, evv;

  GSPLAT_HD static QuadraticMoments zero() {
    const T none = T(0.0);
    return {none, none, none, none, none, none};
  }

  GSPLAT_HD void add(const T& value, const T& u, const T& v) {
    const T value_u = value * u, value_v = value * v;
    e = e + value;
    eu = eu + value_u;
    ev = ev + value_v;
    euu = fma(value_u, u, euu);
    euv = fma(value_u, v, euv);
    evv = fma(value_v, v, evv);
  }
};

// With dy = V / l22 and dx = (U - l21 dy) / l11.
template <class T>
GSPLAT_HD SplatGrad<T> splat_vjp(const QuadraticMoments<T>& m, const T& l11, const T& l21, const T& l22,
                                 const T& opacity) {
  const T unscale = T(1.0 / kRootScale);
  const T eu = m.eu * unscale, ev = m.ev * unscale, eu_dy = m.euv * (unscale * unscale) / l22;
  SplatGrad<T> g;
  g.l11 = -fma(-l21, eu_dy, m.euu * (unscale * unscale)) / l11;
  g.l21 = -eu_dy;
  g.l22 = -m.evv * (unscale * unscale) / l22;
  g.mean_x = l11 * eu;
  g.mean_y = fma(l21, eu, l22 * ev);
  g.opacity = m.e / opacity;
  return g;
}

GSPLAT_MATH_END
