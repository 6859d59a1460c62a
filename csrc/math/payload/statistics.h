// How much the image shows of a splat, over all pixels p that blended it with a weight w_p > 0: the sum of
// w_p e_p with the probe e_p, that of w_p, and how many they are.
#pragma once

#include "math/payload/payload.h"

GSPLAT_MATH_BEGIN

struct Statistics {
  static constexpr int kSums = 3;
  static constexpr double kUnit = 1.0;
  static constexpr bool kProbed = true;

  template <class T>
  struct Sums : ZeroedSums<T, kSums> {
    GSPLAT_HD_INLINE void see(const SplatShape<T>&, const SeenPixel<T>& pixel) {
      this->numbers[0] = fma(pixel.weight, pixel.probe, this->numbers[0]);
      this->numbers[1] = this->numbers[1] + pixel.weight;
      this->numbers[2] = this->numbers[2] + pixel.blended;
    }
  };
};

GSPLAT_MATH_END
