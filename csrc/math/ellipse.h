// The region that a splat can contribute to: the ellipse alpha >= 1/255 around its mean.
#pragma once

#include "math/elementary.h"
#include "math/response/radial.h"
#include "math/response/window.h"

GSPLAT_MATH_BEGIN

// The largest q = U^2 + V^2 (math/response/radial.h) at which a Gaussian reaches alpha = 1/255.
template <class T>
GSPLAT_HD T gaussian_level(const T& opacity) {
  return T(2.0 * kLn2) * (log2(max(opacity, T(1.0 / 255.0))) - T(kMinPower));
}

// The same for any response, of a splat with the given extras.
template <class Response, class T>
GSPLAT_HD T response_level(const T& opacity, const T* extras) {
  const T above = log2(max(opacity, T(1.0 / 255.0))) - T(kMinPower);
  return T(2.0 * kLn2) * Response::level(above, extras);
}

// In offsets from the mean, with a margin around it. A little larger than the true one, by more than the
// rounding of any test that is made with it, so that no test leaves out a pixel that compositing would have
// blended.
template <class T>
struct Ellipse {
  T level;           // (l11 dx + l21 dy)^2 + (l22 dy)^2 <= level inside
  T l11, l21, l22;   // root of the conic, scaled or not
  T half_x, half_y;  // half sizes of the bounding box
  T rightmost_dy;    // dy of the rightmost point; the leftmost one is opposite

  T padding;  // pixels around it that count as inside

  // From the exact level, and how many pixels beyond it a splat is seen.
  GSPLAT_HD Ellipse(const T& root11, const T& root21, const T& root22, const T& exact,
                    const T& margin = T(0.0))
      : level(fma(exact, T(1e-5), exact) + T(1e-4)),
        l11(root11),
        l21(root21),
        l22(root22),
        padding(margin + T(2e-3)),
        margin_(margin) {
    const T reach = sqrt(level), norm = sqrt(fma(l21, l21, l22 * l22));
    half_y = reach / l22 + padding;
    half_x = reach * norm / (l11 * l22) + padding;
    rightmost_dy = -reach * l21 / (l22 * norm);
  }

  // The range of dx inside the ellipse for dy between `low` and `high`.
  GSPLAT_HD void span(T low, T high, T& left, T& right) const {
    const T end = half_y - margin_;
    low = min(max(low - margin_, -end), end);
    high = min(max(high + margin_, -end), end);
    const T inv = T(1.0) / l11;
    // The right edge is nowhere further out than at the rightmost point, and falls off from there both ways.
    const T right_dy = min(max(rightmost_dy, low), high), left_dy = min(max(-rightmost_dy, low), high);
    right = fma(-l21, right_dy, reach_at(right_dy)) * inv + padding;
    left = -fma(l21, left_dy, reach_at(left_dy)) * inv - padding;
  }

  // Whether the ellipse has a point with dx between `left` and `right` and dy between `top` and `bottom`:
  // sigma is least at the mean or, if that is outside, on one of the two sides of the rectangle that face it.
  GSPLAT_HD Mask<T> touches(T left, T right, T top, T bottom) const {
    const T zero = T(0.0);
    left = left - padding;
    right = right + padding;
    top = top - padding;
    bottom = bottom + padding;
    const T facing_x = max(min(right, zero), left), facing_y = max(min(bottom, zero), top);
    // The lowest points of the lines through these sides, moved onto the sides.
    const T x = max(min(right, -(l21 / l11) * facing_y), left);
    const T y = max(min(bottom, -(l11 * l21 / fma(l21, l21, l22 * l22)) * facing_x), top);
    return (twice_sigma(x, facing_y) <= level) | (twice_sigma(facing_x, y) <= level);
  }

private:
  T margin_;

  // l11 times half the width of the ellipse at a height.
  GSPLAT_HD T reach_at(const T& dy) const {
    const T v = l22 * dy;
    return sqrt(max(fma(-v, v, level), T(0.0)));
  }

  GSPLAT_HD T twice_sigma(const T& dx, const T& dy) const {
    const T u = fma(l21, dy, l11 * dx), v = l22 * dy;
    return fma(u, u, v * v);
  }
};

// The ellipse of a splat as compositing has it, in units in which its root is scaled.
template <class Response, class T>
GSPLAT_HD Ellipse<T> scaled_ellipse(const SplatShape<T>& s, const T* extras) {
  const T above = max(s.log2_opacity - T(kMinPower), T(0.0));
  return {s.l11, s.l21, s.l22, Response::level(above, extras)};
}

// The same for any family.
template <class Response, class T>
GSPLAT_HD Ellipse<T> ellipse_of(const SplatShape<T>& s, const T* extras) {
  return scaled_ellipse<Response>(s, extras);
}
// Along an axis of the standard deviation s, of offsets u, the mean over the window is at most what is in its
// middle, e^-u^2/2s^2, times (sinh z)/z with z = u / 2 s^2, which is less than e^(z^2/6): that is a Gaussian
// of the variance s^4 / (s^2 - 1/12). Small ones are bounded by their largest value in the window instead.
template <class Response, class T>
GSPLAT_HD Ellipse<T> ellipse_of(const WindowShape<T>& s, const T* extras) {
  const T inverse1 = s.h1 * s.h1, inverse2 = s.h2 * s.h2, zero = T(0.0), half = T(0.5);
  const Mask<T> small1 = inverse1 > T(5.0), small2 = inverse2 > T(5.0);
  const T wide1 = select(small1, inverse1, inverse1 * fma(T(-1.0 / 12), inverse1, T(1.0)));
  const T wide2 = select(small2, inverse2, inverse2 * fma(T(-1.0 / 12), inverse2, T(1.0)));
  const T window1 = select(small1, half, zero), window2 = select(small2, half, zero);
  const T c = abs(s.cosine), sine = abs(s.sine);
  const T margin = max(window1 * c + window2 * sine, window1 * sine + window2 * c);
  const T opacity = s.gain * s.h1 * s.h2 * T(1.0 / 6.283185307179586);
  const T level = response_level<Response>(opacity, extras);
  const T long2 = T(1.0) / wide1, short2 = T(1.0) / wide2, product = sqrt(wide1 * wide2);
  const T yy = fma(s.sine * s.sine, long2, s.cosine * s.cosine * short2);
  const T xy = s.cosine * s.sine * (long2 - short2), root = sqrt(yy);
  return {root * product, -(xy * product) / root, T(1.0) / root, level, margin};
}

// The first and last of `count` pixels in a row or column whose centres lie between `low` and `high`;
// first > last if there is none.
template <class T>
struct PixelRange {
  T first, last;

  GSPLAT_HD PixelRange(const T& low, const T& high, const T& count) {
    first = min(max(-floor(T(0.5) - low), T(0.0)), count);
    last = max(min(floor(high - T(0.5)), count - T(1.0)), T(-1.0));
  }
};

GSPLAT_MATH_END
