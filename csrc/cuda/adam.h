// One step of Adam on one parameter.
#pragma once

#include "cuda/launch.h"
#include "math/adam.h"
#include "raster/adam.h"

namespace gsplat::cuda {

void adam(const AdamArrays& arrays, const AdamStep& step, Stream stream);

}  // namespace gsplat::cuda
