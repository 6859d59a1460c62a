// The projection of surfels in both modes of differentiation, see csrc/cpu/surfels.h.
#pragma once

#include "cuda/launch.h"
#include "raster/surfels.h"

namespace gsplat::cuda {

void project_surfels(const GaussianInputs& in, const RenderSettings& settings, const SurfelOutputs& out,
                     Stream stream);

// Its working memory is that of project_backward() (cuda/project.h).
void project_surfels_backward(const GaussianInputs& in, const int32_t* radii, const SurfelGrads& v,
                              const GaussianGrads& out, void* workspace, Stream stream);

void project_surfels_jvp(const GaussianInputs& in, const GaussianInputs& tangents, const int32_t* radii,
                         const SurfelTangents& out, Stream stream);

}  // namespace gsplat::cuda
