// The sum over pixels of the absolute gradient of a splat's mean (AbsGS, Ye et al. 2024).
#pragma once

#include "math/payload/payload.h"

GSPLAT_MATH_BEGIN

struct AbsGrad {
  static constexpr int kSums = 2;
  static constexpr double kUnit = 1.0 / (kRootScale * kRootScale);
  static constexpr bool kProbed = false;

  template <class T>
  struct Sums : ZeroedSums<T, kSums> {
    GSPLAT_HD_INLINE void see(const SplatShape<T>& shape, const SeenPixel<T>& pixel) {
      const Vec2<T> v_mean = scaled_mean_vjp(shape, pixel.sloped, pixel.u, pixel.v);
      this->numbers[0] = this->numbers[0] + abs(v_mean.x);
      this->numbers[1] = this->numbers[1] + abs(v_mean.y);
    }
  };
};

GSPLAT_MATH_END
