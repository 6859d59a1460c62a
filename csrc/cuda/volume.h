// Ray casting through a density, see raster/volume.h.
#pragma once

#include "cuda/launch.h"
#include "raster/volume.h"

namespace gsplat::cuda {

void cast_rays(const VolumeInputs& in, const VolumeOutputs& out, Stream stream);

// `out.gaussians` must be zero.
void cast_rays_backward(const VolumeInputs& in, const VolumeGradInputs& v, const VolumeGrads& out,
                        Stream stream);

}  // namespace gsplat::cuda
