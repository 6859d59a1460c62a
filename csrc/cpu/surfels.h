// The projection of surfels on the CPU, in both modes of differentiation.
#pragma once

#include "cpu/isa.h"
#include "raster/surfels.h"

// `radii` [images, gaussians, 2] are those of the projection, which tell what was culled; `tangents` has the
// sizes of `in` and holds tangents in place of values.
#define GSPLAT_SURFEL_KERNELS                                                                               \
  void project_surfels(const GaussianInputs& in, const RenderSettings& settings, const SurfelOutputs& out); \
  void project_surfels_backward(const GaussianInputs& in, const int32_t* radii, const SurfelGrads& v,       \
                                const GaussianGrads& out);                                                  \
  void project_surfels_jvp(const GaussianInputs& in, const GaussianInputs& tangents, const int32_t* radii,  \
                           const SurfelTangents& out);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_SURFEL_KERNELS)
