// Ray casting through a density on the CPU, see raster/volume.h.
#pragma once

#include "cpu/isa.h"
#include "raster/volume.h"

#define GSPLAT_VOLUME_KERNELS                                       \
  void cast_rays(const VolumeInputs& in, const VolumeOutputs& out); \
  void cast_rays_backward(const VolumeInputs& in, const VolumeGradInputs& v, const VolumeGrads& out);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_VOLUME_KERNELS)
