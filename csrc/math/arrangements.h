// The 24 ways to arrange four things.
#pragma once

#include "math/scalar.h"

GSPLAT_MATH_BEGIN

inline constexpr int kArrangements = 24;

// Where arrangement `a` puts thing `i`; the first leaves all where they are.
GSPLAT_HD int arranged(int a, int i) {
  constexpr signed char kPlaces[kArrangements][4] = {
      {0, 1, 2, 3}, {0, 1, 3, 2}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1},
      {1, 0, 2, 3}, {1, 0, 3, 2}, {1, 2, 0, 3}, {1, 2, 3, 0}, {1, 3, 0, 2}, {1, 3, 2, 0},
      {2, 0, 1, 3}, {2, 0, 3, 1}, {2, 1, 0, 3}, {2, 1, 3, 0}, {2, 3, 0, 1}, {2, 3, 1, 0},
      {3, 0, 1, 2}, {3, 0, 2, 1}, {3, 1, 0, 2}, {3, 1, 2, 0}, {3, 2, 0, 1}, {3, 2, 1, 0}};
  return kPlaces[a][i];
}

GSPLAT_MATH_END
