// How opaque a splat is at a pixel (extension point E4), for the family of responses that are sampled at the
// pixel's centre and have ellipses as lines of equal opacity. (Another family integrates over the pixel,
// math/response/window.h, and a third one looks along its ray, math/response/along_rays.h. Which one it is
// of, a response says by its `Family`.)
//
// A response of this family is a function of the offset (u, v) from the splat's mean in
// units in which the splat is round, and of that it depends on the length alone:
//
//     alpha = opacity * exp(-f(q)),    q = U^2 + V^2,    U = l11 dx + l21 dy,    V = l22 dy
//
// with the root (l11, l21, l22) of the conic (footprint.h). Everything is kept in base 2, alpha = 2^power,
// and the root is scaled by sqrt(log2(e)/2), so that u^2 + v^2 = q log2(e) / 2: the power of a Gaussian
// without a factor. A response NAME is a struct in math/response/NAME.h, and a line of raster/variants.h,
// with
//
//     Family          RadialFamily<itself>
//     kExtras         how many numbers a splat has for it besides its shape
//     kQuadratic      whether ln alpha is a polynomial of degree 2 of the offset, as exact blocks of
//                     Gauss-Newton matrices need it (math/gauss_newton.h)
//     kFrequent       whether other cases than 3 or any number of channels, with no or with all payloads,
//                     get code of their own too
//     power(u, v, log2_opacity, extras)     log2(alpha)
//     slope(u, v, extras, by_extras)        2 df/dq, and df by each of the extras
//     level(above, extras)                  the largest u^2 + v^2 with alpha >= 1/255 of a splat of the
//                                           opacity 2^above / 255, or a little more
//
// The gradients follow from the moments of the pixels, whatever f is: dq/2 is quadratic in the offset, and
// the slope of each pixel goes into its weight.
//
// A family, RadialFamily, WindowFamily or RayFamily, is what the kernels know of its responses: the shape of
// a splat as they keep it and its offset in two affine forms u and v of the pixel; what else they keep of it,
// its `frame`; what is evaluated at a pixel, a `measure` of how opaque it is and the opacity itself; how the
// logarithm of the opacity changes there; the moments that are summed up of these changes, and the chain from
// them to the gradients of the splat. ellipse_of() of math/ellipse.h tells where a splat is seen.
#pragma once

#include "math/elementary.h"
#include "math/linalg.h"

GSPLAT_MATH_BEGIN

// sqrt(log2(e) / 2): u^2 + v^2 = q log2(e) / 2.
inline constexpr double kRootScale = 0.84932180028801904;
// log2(1/255): a splat below this contributes nothing to a pixel of 8 bits.
inline constexpr double kMinPower = -7.994353436858858;

// A splat around its mean, as compositing sees it.
template <class T>
struct SplatShape {
  T l11, l21, l22;  // root of the conic, scaled by kRootScale
  T log2_opacity;
};

// A response at a pixel.
template <class T>
struct ResponseAt {
  T u, v;
  T power;  // log2 of the opacity
};

template <class Response, class T>
GSPLAT_HD ResponseAt<T> response_at(const SplatShape<T>& s, const T* extras, const T& dx, const T& dy) {
  const T u = fma(s.l11, dx, s.l21 * dy), v = s.l22 * dy;
  return {u, v, Response::power(u, v, s.log2_opacity, extras)};
}

// An array of a response's extras, which may be none.
template <class T, int kExtras>
struct ExtrasOf {
  T values[kExtras > 0 ? kExtras : 1];
};

// Sums over pixels from which the gradients of one splat follow, with e = dL/dalpha * alpha at a pixel (the
// derivative by ln alpha) for the opacity, and s = e * slope for the shape. All pixels of a column share dx,
// so the products with dx are made per column.
template <class T>
struct ColumnMoments {
  T e, eu, ey, euy, eyy;  // sums of e, s u, s dy, s u dy, s dy^2

  GSPLAT_HD static ColumnMoments zero() { return {T(0.0), T(0.0), T(0.0), T(0.0), T(0.0)}; }

  GSPLAT_HD void add(const T& value, const T& sloped, const T& u, const T& dy) {
    const T vu = sloped * u, vy = sloped * dy;
    e = e + value;
    eu = eu + vu;
    ey = ey + vy;
    euy = fma(vu, dy, euy);
    eyy = fma(vy, dy, eyy);
  }
};

// The sums of all pixels of a splat: those of its columns, and s u dx.
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
GSPLAT_HD Vec2<T> scaled_mean_vjp(const SplatShape<T>& s, const T& sloped, const T& u, const T& v) {
  return {sloped * u * s.l11, sloped * fma(u, s.l21, v * s.l22)};
}

// Gradients of one splat from its moments and its unscaled root and opacity.
//
// In unscaled units U = u / kRootScale: d ln alpha = d ln o - slope (U dU + V dV) - df/dextra dextra.
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

// What a pixel is for responses on the screen, beside its place.
struct NoRay {};

// What payloads get to know of a splat at a pixel, math/payload/payload.h.
template <class T>
struct Seen {
  SplatShape<T> shape;
  T u, v, sloped;
};

// The same sums in the units of the splat alone, with the scaled v in place of dx and dy: nothing but u and v
// is needed at a pixel.
template <class T>
struct QuadraticMoments {
  T e, eu, ev, euu, euv, evv;

  GSPLAT_HD static QuadraticMoments zero() {
    const T none = T(0.0);
    return {none, none, none, none, none, none};
  }

  GSPLAT_HD void add(const T& value, const T& sloped, const T& u, const T& v) {
    const T sloped_u = sloped * u, sloped_v = sloped * v;
    e = e + value;
    eu = eu + sloped_u;
    ev = ev + sloped_v;
    euu = fma(sloped_u, u, euu);
    euv = fma(sloped_u, v, euv);
    evv = fma(sloped_v, v, evv);
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

// How one splat's place, shape and opacity change, in the units in which compositing keeps them.
struct RadialTangent {
  float mean_x, mean_y;
  float l11, l21, l22;  // scaled by kRootScale
  float log2_opacity;
};

template <class Response>
struct RadialFamily {
  static constexpr int kShape = 4;  // numbers
  static constexpr int kFrame = 0;  // numbers of a splat besides, which do not tell where it is seen
  static constexpr int kSums = 6;
  static constexpr bool kIntegrates = false;
  static constexpr bool kAlongRays = false;
  static constexpr bool kFlat = false;
  static constexpr double kLeast = kMinPower;  // of the measure, the power

  using MovingSplat = RadialTangent;

  template <class T>
  using Shape = SplatShape<T>;
  template <class T>
  using Sums = QuadraticMoments<T>;

  // Those of a column of pixels, and of all pixels made of these (in which the products with dx are).
  template <class T>
  using ColumnSums = ColumnMoments<T>;
  template <class T>
  using PixelSums = Moments<T>;

  template <class T>
  using PixelRay = NoRay;
  template <class T>
  using Across = Shape<T>;  // what tells how a splat's opacity changes as it moves across the image

  // What is the same at all pixels.
  template <class T>
  struct Prepared {
    T log2_opacity;
    ExtrasOf<T, Response::kExtras> extras;
  };

  template <class T>
  struct At {
    T u, v;
  };

  template <class T>
  struct Change {
    T u, v, sloped;
    ExtrasOf<T, Response::kExtras> by_extras;
  };

  template <class T>
  GSPLAT_HD static Shape<T> shape(const T& l11, const T& l21, const T& l22, const T&, const T& log2_opacity) {
    const T scale = T(kRootScale);
    return {scale * l11, scale * l21, scale * l22, log2_opacity};
  }

  template <class T>
  GSPLAT_HD_INLINE static Vec2<T> offset(const Shape<T>& s, const T& dx, const T& dy) {
    return {fma(s.l11, dx, s.l21 * dy), s.l22 * dy};
  }

  template <class T, class Number>
  GSPLAT_HD_INLINE static Prepared<T> prepare(const Shape<T>& s, const T* extras, const Number*) {
    Prepared<T> p;
    p.log2_opacity = s.log2_opacity;
    for (int e = 0; e < Response::kExtras; ++e) p.extras.values[e] = extras[e];
    return p;
  }

  template <class T>
  GSPLAT_HD_INLINE static At<T> at(const Prepared<T>& p, const T& u, const T& v, NoRay, T& measure) {
    measure = Response::power(u, v, p.log2_opacity, p.extras.values);
    return {u, v};
  }

  template <class T>
  GSPLAT_HD_INLINE static T opacity_where(Mask<T> mask, const T& measure) {
    return exp2_where(mask, measure);
  }

  template <class T>
  GSPLAT_HD_INLINE static Change<T> change(const Prepared<T>& p, const At<T>& at, const T& e) {
    Change<T> c;
    c.u = at.u;
    c.v = at.v;
    c.sloped = e * Response::slope(at.u, at.v, p.extras.values, c.by_extras.values);
    return c;
  }

  template <class T>
  GSPLAT_HD_INLINE static Seen<T> seen(const Shape<T>& s, const Change<T>& c) {
    return {s, c.u, c.v, c.sloped};
  }

  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const At<T>&) {
    m.add(e, c.sloped, c.u, c.v);
  }
  template <class T>
  GSPLAT_HD_INLINE static void add(ColumnSums<T>& m, const T& e, const Change<T>& c, const T& dy,
                                   const At<T>&) {
    m.add(e, c.sloped, c.u, dy);
  }
  template <class T>
  GSPLAT_HD_INLINE static PixelSums<T> finished(const ColumnSums<T>& m, const T& dx) {
    return {m.e, m.eu, m.ey, m.eu * dx, m.euy, m.eyy};
  }
};

GSPLAT_MATH_END
