// Rows of numbers that are not finite.
#pragma once

#include "cuda/launch.h"
#include "raster/not_finite.h"

namespace gsplat::cuda {

// Writes to `found`, in device memory; its `first` is -1 if there is none.
void find_not_finite(const float* values, int64_t rows, int64_t columns, NotFinite* found, Stream stream);

}  // namespace gsplat::cuda
