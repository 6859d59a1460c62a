// Slices of directional Gaussians, see raster/directional.h.
#pragma once

#include "cuda/launch.h"
#include "raster/directional.h"

namespace gsplat::cuda {

void directional_slices(const DirectionalArrays& in, const DirectionalSlices& out, int64_t count,
                        Stream stream);

void directional_slices_backward(const DirectionalArrays& in, const DirectionalGradients& v, int64_t count,
                                 Stream stream);

}  // namespace gsplat::cuda
