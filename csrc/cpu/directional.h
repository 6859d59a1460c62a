// Slices of directional Gaussians on the CPU.
#pragma once

#include "cpu/isa.h"
#include "raster/directional.h"

#define GSPLAT_DIRECTIONAL_KERNELS                                                                   \
  void directional_slices(const DirectionalArrays& in, const DirectionalSlices& out, int64_t count); \
  void directional_slices_backward(const DirectionalArrays& in, const DirectionalGradients& v, int64_t count);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_DIRECTIONAL_KERNELS)
