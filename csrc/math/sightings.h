// What tells the splats of a pixel apart, which sees them one after the other from front to back.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

// Whether a splat, with the given transmittance in front, may be the one in which half of the light ends: the
// median of the depths (Huang et al., "2D Gaussian Splatting" (2024), section 5.1). The last such splat is
// it.
template <class T>
GSPLAT_HD Mask<T> before_median(const T& transmittance) {
  return transmittance > T(0.5);
}

// Puts a splat onto a pixel's list of those with the largest weights, front to back, which has room for
// `room` > 0 and holds `count`. Of equal weights the nearer one stays. Returns the weight that the next splat
// has to exceed. (Lists are scalar: no lanes, so it may branch.)
GSPLAT_HD float keep_heaviest(int32_t* ids, float* weights, int room, int& count, int32_t id, float weight) {
  if (count == room) {
    int lightest = 0;
    for (int i = 1; i < room; ++i) {
      if (weights[i] <= weights[lightest]) lightest = i;
    }
    for (int i = lightest; i + 1 < room; ++i) {
      ids[i] = ids[i + 1];
      weights[i] = weights[i + 1];
    }
    --count;
  }
  ids[count] = id;
  weights[count] = weight;
  ++count;
  if (count < room) return 0.0f;
  float least = weights[0];
  for (int i = 1; i < room; ++i) least = weights[i] < least ? weights[i] : least;
  return least;
}

GSPLAT_MATH_END
