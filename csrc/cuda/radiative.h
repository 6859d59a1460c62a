// Radiative fields, see raster/radiative.h.
#pragma once

#include "cuda/launch.h"
#include "raster/radiative.h"

namespace gsplat::cuda {

void project_integrals(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out,
                       Stream stream);

// Bytes of working memory for project_integrals_backward().
size_t project_integrals_backward_workspace(const GaussianInputs& in, bool wants_camera);
void project_integrals_backward(const GaussianInputs& in, const RenderSettings& settings,
                                const int32_t* radii, const SplatGrads& v, const GaussianGrads& out,
                                void* workspace, Stream stream);

void sum_splats(const SummedSplats& in, const SumLists& lists, float* sums, Stream stream);
void sum_splats_backward(const SummedSplats& in, const float* v_sums, const SummedSplatGrads& out,
                         Stream stream);

// Bytes of working memory for voxelize().
size_t voxelize_workspace(const VoxelInputs& in);
void voxelize(const VoxelInputs& in, const SumLists& lists, float* volume, void* workspace, Stream stream);

// Bytes of working memory for voxelize_backward().
size_t voxelize_backward_workspace(const VoxelInputs& in);
void voxelize_backward(const VoxelInputs& in, const float* v_volume, const VoxelGrads& out, void* workspace,
                       Stream stream);

}  // namespace gsplat::cuda
