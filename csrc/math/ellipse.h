// The region that a splat can contribute to: the ellipse alpha >= 1/255 around its mean.
#pragma once

#include "math/elementary.h"
#include "math/response/radial.h"

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

// In offsets from the mean. A little larger than the true ellipse, by more than the rounding of any test that
// is made with it, so that no test leaves out a pixel that compositing would have blended.
template <class T>
struct Ellipse {
  T level;           // (l11 dx + l21 dy)^2 + (l22 dy)^2 <= level inside
  T l11, l21, l22;   // root of the conic, scaled or not
  T half_x, half_y;  // half sizes of the bounding box
  T rightmost_dy;    // dy of the rightmost point; the leftmost one is opposite

  // From the exact level.
  GSPLAT_HD Ellipse(const T& root11, const T& root21, const T& root22, const T& exact)
      : level(fma(exact, T(1e-5), exact) + T(1e-4)), l11(root11), l21(root21), l22(root22) {
    const T reach = sqrt(level), norm = sqrt(fma(l21, l21, l22 * l22));
    const T padding = T(2e-3);
    half_y = reach / l22 + padding;
    half_x = reach * norm / (l11 * l22) + padding;
    rightmost_dy = -reach * l21 / (l22 * norm);
  }

  // The range of dx inside the ellipse for dy between `low` and `high`.
  GSPLAT_HD void span(T low, T high, T& left, T& right) const {
    low = min(max(low, -half_y), half_y);
    high = min(max(high, -half_y), half_y);
    const T inv = T(1.0) / l11, padding = T(2e-3);
    // The right edge is nowhere further out than at the rightmost point, and falls off from there both ways.
    const T right_dy = min(max(rightmost_dy, low), high), left_dy = min(max(-rightmost_dy, low), high);
    right = fma(-l21, right_dy, reach_at(right_dy)) * inv + padding;
    left = -fma(l21, left_dy, reach_at(left_dy)) * inv - padding;
  }

  // Whether the ellipse has a point with dx between `left` and `right` and dy between `top` and `bottom`:
  // sigma is least at the mean or, if that is outside, on one of the two sides of the rectangle that face it.
  GSPLAT_HD Mask<T> touches(T left, T right, T top, T bottom) const {
    const T padding = T(2e-3), zero = T(0.0);
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
