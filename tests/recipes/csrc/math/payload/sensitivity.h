// The sum over pixels of the squared gradient of a splat's mean: how sensitive the image is to where the
// splat lies. Of a loss whose pixels are independent it is a diagonal of the Fisher information.
#pragma once

#include "math/payload/payload.h"

GSPLAT_MATH_BEGIN

struct Sensitivity {
  static constexpr int kSums = 2;
  static constexpr double kUnit = 1.0 / (kRootScale * kRootScale * kRootScale * kRootScale);
  static constexpr bool kProbed = false;

  template <class T>
  struct Sums : ZeroedSums<T, kSums> {
    GSPLAT_HD_INLINE void see(const SplatShape<T>& shape, const SeenPixel<T>& pixel) {
      const Vec2<T> v_mean = scaled_mean_vjp(shape, pixel.sloped, pixel.u, pixel.v);
      this->numbers[0] = fma(v_mean.x, v_mean.x, this->numbers[0]);
      this->numbers[1] = fma(v_mean.y, v_mean.y, this->numbers[1]);
    }
  };
};

GSPLAT_MATH_END
