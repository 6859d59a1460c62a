// The stages of the rasterizer on the CPU: project, colour, bin, and their backward passes; see
// compositing.h.
#pragma once

#include "cpu/isa.h"
#include "raster/types.h"

namespace gsplat {

// Memory for the result of binning, asked for once its size is known. Throws when the size is too large.
struct TileListAllocator {
  virtual ~TileListAllocator() = default;
  // Must set the pointers, see TileLists for their sizes.
  virtual void allocate(int64_t visible, int64_t intersections) = 0;
  int32_t *tile_offsets, *flatten_ids, *order, *slot_offsets, *slots;
};

}  // namespace gsplat

#define GSPLAT_RASTERIZER_KERNELS                                                                            \
  void project(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out);           \
  void project_backward(const GaussianInputs& in, const RenderSettings& settings, const int32_t* radii,      \
                        const SplatGrads& v, const GaussianGrads& out);                                      \
  void project_unscented(const GaussianInputs& in, const RenderSettings& settings, const SplatOutputs& out); \
  void project_unscented_backward(const GaussianInputs& in, const RenderSettings& settings,                  \
                                  const int32_t* radii, const SplatGrads& v, const GaussianGrads& out);      \
  void spherical_harmonics(const ShInputs& in, float* colors);                                               \
  void spherical_harmonics_backward(const ShInputs& in, const float* colors, const float* v_colors,          \
                                    const ShGrads& out);                                                     \
  void bin_splats(const SplatInputs& in, ImageSize image, int tile_size, TileListAllocator& out);

GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_RASTERIZER_KERNELS)
