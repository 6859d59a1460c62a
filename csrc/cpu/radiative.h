// Radiative fields on the CPU, see raster/radiative.h.
#pragma once

#include "cpu/isa.h"
#include "raster/radiative.h"

#define GSPLAT_RADIATIVE_KERNELS                                                                             \
  void project_integrals(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out); \
  void project_integrals_backward(const GaussianInputs& in, const RenderSettings& settings,                  \
                                  const int32_t* radii, const SplatGrads& v, const GaussianGrads& out);      \
  void sum_splats(const SummedSplats& in, const SumLists& lists, float* sums);                               \
  void sum_splats_backward(const SummedSplats& in, const float* v_sums, const SummedSplatGrads& out);        \
  void voxelize(const VoxelInputs& in, const SumLists& lists, float* volume);                                \
  void voxelize_backward(const VoxelInputs& in, const float* v_volume, const VoxelGrads& out);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_RADIATIVE_KERNELS)
