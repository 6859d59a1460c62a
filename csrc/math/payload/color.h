// The channels that a splat is blended with: colours, depth, features.
#pragma once

#include "math/payload/payload.h"

GSPLAT_MATH_BEGIN

// kChannels = 0: their number is known at run time only, and kernels sum their gradients up in a second pass.
template <int kChannels>
struct Color {
  static constexpr int kSums = kChannels;
  static constexpr double kUnit = 1.0;

  GSPLAT_HD static SumPlace place(const CompositeGrads& out, int channels, int i) {
    return {out.colors + i, channels};
  }

  template <class T>
  struct Sums : ZeroedSums<T, kChannels> {
    template <class Value, class Gradient>
    GSPLAT_HD_INLINE void take(const T& weight, const Value& color, const Gradient& v, T& g) {
      unrolled<kChannels>([&](auto c) __attribute__((always_inline)) {
        const T v_c = v(c);
        g = fma(color(c), v_c, g);
        this->numbers[c] = fma(weight, v_c, this->numbers[c]);
      });
    }
  };
};

GSPLAT_MATH_END
