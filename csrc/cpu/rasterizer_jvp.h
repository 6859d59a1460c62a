// Forward mode of the rasterizer's stages on the CPU: tangents of the outputs from tangents of the inputs.
#pragma once

#include "cpu/isa.h"
#include "raster/tangents.h"
#include "raster/types.h"

// `tangents` has the sizes of `in` and holds tangents in place of values; `radii` [images, gaussians, 2] and
// `colors` [images, gaussians, 3] are outputs of the forward pass, which tell what was culled and clamped.
#define GSPLAT_RASTERIZER_JVP_KERNELS                                                                        \
  void project_jvp(const GaussianInputs& in, const GaussianInputs& tangents, const RenderSettings& settings, \
                   const int32_t* radii, const SplatTangents& out);                                          \
  void spherical_harmonics_jvp(const ShInputs& in, const ShInputs& tangents, const float* colors, float* out);

GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_RASTERIZER_JVP_KERNELS)
