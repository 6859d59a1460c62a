// Rows of numbers that are not finite.
#pragma once

#include "raster/not_finite.h"

namespace gsplat {

NotFinite find_not_finite(const float* values, int64_t rows, int64_t columns);

}  // namespace gsplat
