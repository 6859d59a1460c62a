// One step of Adam on one parameter, in place.
#pragma once

#include <cstdint>

#include "cpu/isa.h"
#include "math/adam.h"
#include "raster/adam.h"

namespace gsplat {

void adam(const AdamArrays& arrays, const AdamStep& step);

}  // namespace gsplat

// adam_columns: the same for the first `columns` elements of every row; those of evaluated SH coefficients.
#define GSPLAT_ADAM_KERNELS                                                                   \
  void adam_rows(const AdamArrays& arrays, const AdamStep& step, int64_t begin, int64_t end); \
  void adam_columns(const AdamArrays& arrays, const AdamStep& step, int columns);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_ADAM_KERNELS)
