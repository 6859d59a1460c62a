// The family of responses that integrate a splat over the window of a pixel, instead of sampling it at the
// centre (Analytic-Splatting, Liang et al. 2024): what is smaller than a pixel neither flickers nor has to be
// widened.
//
// The square window is turned into the frame of the splat's axes, e1 the longer one. There the integral has
// two factors, one along each axis, of which a response is the one-dimensional form:
//
//     alpha = o 2 pi I(u, s1) I(v, s2),    I(u, s) = s [S((u + 1/2)/s) - S((u - 1/2)/s)],
//
// with the offset (u, v) of the pixel along the axes, the standard deviations s1 >= s2 and a sigmoid S.
// Offsets are kept as (m1, m2) = (u/s1, v/s2), and h = 1/s stands for the size of the window. A response has
// beside its traits (math/response/radial.h)
//
//     level(above, extras)    of the ellipse that, with the window around each of its points, is all that a
//                             splat is seen in
//     Axis<T>(m, h)           one factor: `share`, S - S, as a quotient of `numerator` and `denominator`
//       changes(by_m, by_s)   the derivatives of ln I by m, and by ln s as u stays
//
// How alpha depends on the shape, the gradients of which have another number per pixel for each of five
// directions (the offset, the two sizes, the turn of the frame) is the same for all of them, and is chained
// to the root of the conic once per splat.
#pragma once

#include "math/response/radial.h"

GSPLAT_MATH_BEGIN

// The largest 1/s: splats thinner than that count as this thin, which passes no gradient.
inline constexpr double kMostInverseSize = 128.0;

// The variance in square pixels that the projection adds to a splat for these responses, so that flat ones
// have an area: 1/800 of that of the window.
inline constexpr double kWindowFilter = 1e-4;

// A splat as compositing sees it: its axes e1 = (cosine, sine) and e2 = (-sine, cosine), the inverses of its
// standard deviations, and 2 pi o / (h1 h2).
template <class T>
struct WindowShape {
  T cosine, sine;
  T h1, h2;
  T gain;
};

// The frame of a splat's axes from the root U of its conic, and U e1 and U e2, whose lengths are h1 and h2.
template <class T>
struct Axes {
  T cosine, sine, h1, h2;
  Vec2<T> root1, root2;

  // The conic U^T U has the eigenvalues h1^2 <= h2^2. Everything is found without cancellation: the larger
  // one as a sum, the smaller one from the determinant, half the angle on the side where its formula is
  // stable.
  GSPLAT_HD Axes(const T& l11, const T& l21, const T& l22) {
    const T xx = l11 * l11, yy = fma(l21, l21, l22 * l22), middle = T(0.5) * (xx + yy);
    const T inv = T(1.0) / middle, zero = T(0.0), one = T(1.0);
    const T x = T(0.5) * (yy - xx) * inv, y = -(l11 * l21) * inv;  // of (cos 2t, sin 2t), times a radius
    const T radius = sqrt(fma(x, x, y * y));
    const Mask<T> round = !(radius > zero);
    const T inv_radius = one / select(round, one, radius);
    const T cosine2 = select(round, one, x * inv_radius), sine2 = y * inv_radius;
    const T half = sqrt(fma(T(0.5), abs(cosine2), T(0.5))), other = T(0.5) * sine2 / half;
    const Mask<T> steep = cosine2 < zero;
    cosine = select(steep, abs(other), half);
    sine = select(steep, select(sine2 < zero, -half, half), other);
    h2 = sqrt(middle * (one + radius));
    h1 = l11 * l22 / h2;
    root2 = {fma(-l11, sine, l21 * cosine), l22 * cosine};
    const T ratio = h1 / h2;
    root1 = {ratio * root2.y, -(ratio * root2.x)};
  }

  // What the rate at which the frame turns is divided by. Round splats have no frame, but the window sees it
  // turn: so the difference of the axes counts as a thousandth of their mean at least.
  GSPLAT_HD T gap() const {
    const T first = h1 * h1, second = h2 * h2;
    return max(second - first, T(1e-3) * (first + second));
  }
  // 1 where an axis is as long as it is, 0 where it is too thin.
  GSPLAT_HD static T free(const T& h) { return select(h < T(kMostInverseSize), T(1.0), T(0.0)); }
};

template <class T>
GSPLAT_HD WindowShape<T> window_shape(const T& l11, const T& l21, const T& l22, const T& opacity) {
  const Axes<T> axes(l11, l21, l22);
  const T h1 = min(axes.h1, T(kMostInverseSize)), h2 = min(axes.h2, T(kMostInverseSize));
  return {axes.cosine, axes.sine, h1, h2, T(6.283185307179586) * opacity / (h1 * h2)};
}

// How the logarithm of a splat's alpha at a pixel changes with its offsets m, with the logarithms of its
// sizes, and as its frame turns; the last one times h1 h2. All of them times dL/d ln alpha.
template <class T>
struct WindowChange {
  T m1, m2, s1, s2, turn;
  ExtrasOf<T, 0> by_extras;
};

// Sums over pixels from which the gradients of one splat follow.
template <class T>
struct WindowMoments {
  T e, m1, m2, s1, s2, turn;

  GSPLAT_HD static WindowMoments zero() {
    const T none = T(0.0);
    return {none, none, none, none, none, none};
  }

  GSPLAT_HD void add(const T& value, const WindowChange<T>& c) {
    e = e + value;
    m1 = m1 + c.m1;
    m2 = m2 + c.m2;
    s1 = s1 + c.s1;
    s2 = s2 + c.s2;
    turn = turn + c.turn;
  }
};

// Gradients of one splat from its moments and its root and opacity.
//
// With N = (U e_i) . (dU e_j): d ln s_i = -N_ii / h_i^2, and the frame turns by -(N_12 + N_21) / (h2^2 -
// h1^2).
template <class T>
GSPLAT_HD SplatGrad<T> splat_vjp(const WindowMoments<T>& m, const T& l11, const T& l21, const T& l22,
                                 const T& opacity) {
  const Axes<T> axes(l11, l21, l22);
  const T c = axes.cosine, s = axes.sine;
  const T h1 = min(axes.h1, T(kMostInverseSize)), h2 = min(axes.h2, T(kMostInverseSize));
  const T by_s1 = -Axes<T>::free(axes.h1) * m.s1 / (axes.h1 * axes.h1);
  const T by_s2 = -Axes<T>::free(axes.h2) * m.s2 / (axes.h2 * axes.h2);
  const T by_turn = -m.turn / (h1 * h2 * axes.gap());
  const Vec2<T> w1 = {by_s1 * c - by_turn * s, by_s1 * s + by_turn * c};
  const Vec2<T> w2 = {by_turn * c - by_s2 * s, by_turn * s + by_s2 * c};
  SplatGrad<T> g;
  g.l11 = axes.root1.x * w1.x + axes.root2.x * w2.x;
  g.l21 = axes.root1.x * w1.y + axes.root2.x * w2.y;
  g.l22 = axes.root1.y * w1.y + axes.root2.y * w2.y;
  const T u = m.m1 * h1, v = m.m2 * h2;
  g.mean_x = v * s - u * c;
  g.mean_y = -(u * s + v * c);
  g.opacity = m.e / opacity;
  return g;
}

// How a splat changes along one direction of its inputs, in the terms of WindowChange.
template <class T>
struct WindowTangent {
  T m1, m2, s1, s2, turn, opacity;  // `turn` times h1 h2, `opacity` of its logarithm

  GSPLAT_HD WindowTangent(const T& l11, const T& l21, const T& l22, const Vec2<T>& t_mean, const T& t_l11,
                          const T& t_l21, const T& t_l22, const T& t_log_opacity)
      : opacity(t_log_opacity) {
    const Axes<T> axes(l11, l21, l22);
    const T c = axes.cosine, s = axes.sine;
    const T h1 = min(axes.h1, T(kMostInverseSize)), h2 = min(axes.h2, T(kMostInverseSize));
    const Vec2<T> x = {t_l11 * c + t_l21 * s, t_l22 * s}, y = {t_l21 * c - t_l11 * s, t_l22 * c};
    m1 = -(h1 * (c * t_mean.x + s * t_mean.y));
    m2 = -(h2 * (c * t_mean.y - s * t_mean.x));
    s1 = -Axes<T>::free(axes.h1) * dot(axes.root1, x) / (axes.h1 * axes.h1);
    s2 = -Axes<T>::free(axes.h2) * dot(axes.root2, y) / (axes.h2 * axes.h2);
    turn = -(dot(axes.root1, y) + dot(axes.root2, x)) / (h1 * h2 * axes.gap());
  }
  WindowTangent() = default;

  // The tangent of ln alpha at a pixel with these changes (of which e = 1).
  GSPLAT_HD T along(const WindowChange<T>& c) const {
    return fma(c.m1, m1, fma(c.m2, m2, fma(c.s1, s1, fma(c.s2, s2, fma(c.turn, turn, opacity)))));
  }

private:
  GSPLAT_HD static T dot(const Vec2<T>& a, const Vec2<T>& b) { return fma(a.x, b.x, a.y * b.y); }
};

template <class Response>
struct WindowFamily {
  static constexpr int kShape = 5, kFrame = 0, kSums = 6;
  static constexpr bool kIntegrates = true;
  static constexpr bool kAlongRays = false;
  static constexpr bool kFlat = false;
  static constexpr double kLeast = 1.0 / 255.0;

  using MovingSplat = WindowTangent<float>;

  template <class T>
  using Shape = WindowShape<T>;
  template <class T>
  using Sums = WindowMoments<T>;
  template <class T>
  using ColumnSums = WindowMoments<T>;
  template <class T>
  using PixelSums = WindowMoments<T>;
  template <class T>
  using Change = WindowChange<T>;

  template <class T>
  using PixelRay = NoRay;
  template <class T>
  using Across = Shape<T>;

  template <class T>
  struct Prepared {
    T h1, h2, gain;
    ExtrasOf<T, 0> extras;
  };

  template <class T>
  struct At {
    T u, v;  // m1, m2
    typename Response::template Axis<T> first, second;
  };

  template <class T>
  GSPLAT_HD static Shape<T> shape(const T& l11, const T& l21, const T& l22, const T& opacity, const T&) {
    return window_shape(l11, l21, l22, opacity);
  }

  template <class T>
  GSPLAT_HD_INLINE static Vec2<T> offset(const Shape<T>& s, const T& dx, const T& dy) {
    return {s.h1 * fma(s.cosine, dx, s.sine * dy), s.h2 * fma(s.cosine, dy, -(s.sine * dx))};
  }

  template <class T, class Number>
  GSPLAT_HD_INLINE static Prepared<T> prepare(const Shape<T>& s, const T*, const Number*) {
    return {s.h1, s.h2, s.gain, {}};
  }

  template <class T>
  GSPLAT_HD_INLINE static At<T> at(const Prepared<T>& p, const T& u, const T& v, NoRay, T& measure) {
    const At<T> at = {u, v, {u, p.h1}, {v, p.h2}};
    measure = p.gain * at.first.numerator * at.second.numerator *
              reciprocal(at.first.denominator * at.second.denominator);
    return at;
  }

  template <class T>
  GSPLAT_HD_INLINE static T opacity_where(Mask<T> mask, const T& measure) {
    return zero_unless(mask, measure);
  }

  template <class T>
  GSPLAT_HD_INLINE static Change<T> change(const Prepared<T>& p, const At<T>& at, const T& e) {
    Change<T> c;
    T m1, m2, s1, s2;
    at.first.changes(p.h1, m1, s1);
    at.second.changes(p.h2, m2, s2);
    c.m1 = e * m1;
    c.m2 = e * m2;
    c.s1 = e * s1;
    c.s2 = e * s2;
    c.turn = fma(c.m1 * (p.h1 * p.h1), at.v, -(c.m2 * (p.h2 * p.h2) * at.u));
    return c;
  }

  // For payloads: a shape of two units, and an offset so that scaled_mean_vjp() is the gradient of the mean.
  template <class T>
  GSPLAT_HD_INLINE static Seen<T> seen(const Shape<T>& s, const Change<T>& c) {
    const T unit = T(kRootScale * kRootScale), zero = T(0.0), u = c.m1 * s.h1, v = c.m2 * s.h2;
    return {{unit, zero, unit, zero}, v * s.sine - u * s.cosine, -(u * s.sine + v * s.cosine), T(1.0)};
  }

  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const At<T>&) {
    m.add(e, c);
  }
  template <class T>
  GSPLAT_HD_INLINE static void add(Sums<T>& m, const T& e, const Change<T>& c, const T&, const At<T>&) {
    m.add(e, c);
  }
  template <class T>
  GSPLAT_HD_INLINE static Sums<T> finished(const Sums<T>& m, const T&) {
    return m;
  }
};

GSPLAT_MATH_END
