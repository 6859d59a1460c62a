// Rows of numbers that are not finite, the same for all backends.
#pragma once

#include <cmath>
#include <cstdint>

#include "math/scalar.h"

namespace gsplat {

// How many rows of an array have NaN or infinite numbers, and the first of them.
struct NotFinite {
  int64_t rows, first;
};

GSPLAT_HD bool is_finite_row(const float* row, int64_t columns) {
  bool finite = true;
  for (int64_t i = 0; i < columns; ++i) finite = finite && std::isfinite(row[i]);
  return finite;
}

}  // namespace gsplat
