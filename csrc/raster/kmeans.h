// What both halves of an iteration of k-means compute per vector, the same for all backends.
#pragma once

#include <cstdint>

#include "math/scalar.h"

namespace gsplat {

// Indices of centroids pass through float lanes, which hold integers exactly up to here.
inline constexpr int64_t kMostCentroids = int64_t{1} << 24;

}  // namespace gsplat

GSPLAT_MATH_BEGIN

// |c|^2 / 2. Centroids are compared by |c|^2 / 2 - x.c, half the squared distance but for what they share.
GSPLAT_HD float half_square(const float* centroid, int64_t dim) {
  double sum = 0;
  for (int64_t d = 0; d < dim; ++d) sum += static_cast<double>(centroid[d]) * centroid[d];
  return static_cast<float>(sum / 2);
}

GSPLAT_HD float squared_distance(const float* a, const float* b, int64_t dim) {
  float sum = 0;
  for (int64_t d = 0; d < dim; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

GSPLAT_MATH_END
