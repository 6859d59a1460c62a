// How much the image shows of a splat: BlendingStatistics of raster/types.h.
#pragma once

#include "math/payload/payload.h"

GSPLAT_MATH_BEGIN

struct Statistics {
  static constexpr int kSums = 3;
  static constexpr double kUnit = 1.0;

  GSPLAT_HD static SumPlace place(const CompositeGrads& out, int, int i) {
    float* rows = reinterpret_cast<float*>(out.statistics);
    return {rows == nullptr ? nullptr : rows + i, kSums};
  }

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
