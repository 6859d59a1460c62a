// The region that a splat can contribute to: the ellipse alpha >= 1/255 around its mean.
#pragma once

#include "math/elementary.h"
#include "math/response.h"

GSPLAT_MATH_BEGIN

// In offsets from the mean. A little larger than the true ellipse, by more than the rounding of any test that
// is made with it, so that no test leaves out a pixel that compositing would have blended.
template <class T>
struct Ellipse {
  T level;           // sigma <= level / 2 inside
  T l11, l21, l22;   // root of the conic
  T half_x, half_y;  // half sizes of the bounding box
  T rightmost_dy;    // dy of the rightmost point; the leftmost one is opposite

  GSPLAT_HD Ellipse(const T& root11, const T& root21, const T& root22, const T& opacity)
      : l11(root11), l21(root21), l22(root22) {
    level = T(2.0 * 0.69314718055994531) * (log2(max(opacity, T(1.0 / 255.0))) - T(kMinPower));
    level = fma(level, T(1e-5), level) + T(1e-4);
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
    const T zero = T(0.0), inv = T(1.0) / l11, slope = -l21 * inv;
    const T v_low = l22 * low, v_high = l22 * high;
    const T half_low = sqrt(max(fma(-v_low, v_low, level), zero)) * inv;
    const T half_high = sqrt(max(fma(-v_high, v_high, level), zero)) * inv;
    const T mid_low = slope * low, mid_high = slope * high;
    const T padding = T(2e-3);
    const Mask<T> has_rightmost = (rightmost_dy >= low) & (rightmost_dy <= high);
    const Mask<T> has_leftmost = (-rightmost_dy >= low) & (-rightmost_dy <= high);
    right = select(has_rightmost, half_x, max(mid_low + half_low, mid_high + half_high) + padding);
    left = select(has_leftmost, -half_x, min(mid_low - half_low, mid_high - half_high) - padding);
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
  GSPLAT_HD T twice_sigma(const T& dx, const T& dy) const {
    const T u = fma(l21, dy, l11 * dx), v = l22 * dy;
    return fma(u, u, v * v);
  }
};

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
