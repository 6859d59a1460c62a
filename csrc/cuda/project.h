// Projection of Gaussians to splats.
#pragma once

#include "cuda/launch.h"
#include "raster/types.h"

namespace gsplat::cuda {

void project(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out,
             Stream stream);

// Bytes of working memory for project_backward().
size_t project_backward_workspace(const GaussianInputs& in, bool wants_camera);

void project_backward(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,
                      const SplatGrads& v, const GaussianGrads& out, void* workspace, Stream stream);

// The same by sigma points, which the functions above call where the settings ask for it.
void project_unscented(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out,
                       Stream stream);
void project_unscented_backward(const GaussianInputs& in, const RenderSettings& settings,
                                const int32_t* radii, const SplatGrads& v, const GaussianGrads& out,
                                void* workspace, Stream stream);

}  // namespace gsplat::cuda
