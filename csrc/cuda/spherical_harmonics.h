// View-dependent colours from spherical harmonics.
#pragma once

#include "cuda/launch.h"
#include "raster/types.h"

namespace gsplat::cuda {

void spherical_harmonics(const ShInputs& in, float* colors, Stream stream);

// Bytes of working memory for spherical_harmonics_backward().
size_t spherical_harmonics_backward_workspace(const ShInputs& in, bool wants_camera);

void spherical_harmonics_backward(const ShInputs& in, const float* colors, const float* v_colors,
                                  const ShGrads& out, void* workspace, Stream stream);

}  // namespace gsplat::cuda
