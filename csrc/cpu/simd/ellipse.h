// The region that a splat can contribute to: the ellipse alpha >= 1/255 around its mean.
#pragma once

#include "cpu/simd/simd.h"
#include "math/elementary.h"
#include "math/response.h"

namespace gsplat::GSPLAT_ISA {

// In offsets from the mean. A little larger than the true ellipse, by more than the rounding of any test that
// is made with it, so that no test leaves out a pixel that compositing would have blended.
struct Ellipse {
  Float level;           // sigma <= level / 2 inside
  Float l11, l21, l22;   // root of the conic
  Float half_x, half_y;  // half sizes of the bounding box
  Float rightmost_dy;    // dy of the rightmost point; the leftmost one is opposite

  Ellipse(Float root11, Float root21, Float root22, Float opacity) : l11(root11), l21(root21), l22(root22) {
    level = Float(2.0 * 0.69314718055994531) * (log2(max(opacity, Float(1.0 / 255.0))) - Float(kMinPower));
    level = fma(level, Float(1e-5), level) + Float(1e-4);
    const Float reach = sqrt(level), norm = sqrt(fma(l21, l21, l22 * l22));
    const Float padding(2e-3);
    half_y = reach / l22 + padding;
    half_x = reach * norm / (l11 * l22) + padding;
    rightmost_dy = -reach * l21 / (l22 * norm);
  }

  // The range of dx inside the ellipse for dy between `low` and `high`.
  void span(Float low, Float high, Float& left, Float& right) const {
    low = min(max(low, -half_y), half_y);
    high = min(max(high, -half_y), half_y);
    const Float zero(0.0f), inv = Float(1.0f) / l11, slope = -l21 * inv;
    const Float v_low = l22 * low, v_high = l22 * high;
    const Float half_low = sqrt(max(fma(-v_low, v_low, level), zero)) * inv;
    const Float half_high = sqrt(max(fma(-v_high, v_high, level), zero)) * inv;
    const Float mid_low = slope * low, mid_high = slope * high;
    const Float padding(2e-3);
    const LaneMask has_rightmost = (rightmost_dy >= low) & (rightmost_dy <= high);
    const LaneMask has_leftmost = (-rightmost_dy >= low) & (-rightmost_dy <= high);
    right = select(has_rightmost, half_x, max(mid_low + half_low, mid_high + half_high) + padding);
    left = select(has_leftmost, -half_x, min(mid_low - half_low, mid_high - half_high) - padding);
  }
};

inline Float ceil(Float a) { return -floor(-a); }

}  // namespace gsplat::GSPLAT_ISA
