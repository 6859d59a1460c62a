// Blocks of Gauss-Newton matrices on the CPU: the pixels' moments of every splat, the blocks of every
// Gaussian, and their factors.
#pragma once

#include "cpu/isa.h"
#include "raster/gauss_newton.h"
#include "raster/types.h"

// `moments` [images, gaussians, kSplatMoments], not written for culled splats; `colors` [images, gaussians,
// 3] as evaluated from the SH coefficients.
#define GSPLAT_GAUSS_NEWTON_KERNELS                                                                      \
  void composite_moments(const CompositeInputs& in, const MomentInputs& image, float* moments);          \
  void gauss_newton_blocks(const GaussianInputs& in, const RenderSettings& settings, const ShInputs& sh, \
                           const float* colors, const float* moments, const GaussNewtonBlocks& out);     \
  void factor_blocks(const float* blocks, const float* added, int64_t count, float* factors);            \
  void solve_blocks(const float* factors, const float* right, int64_t count, float* out);

GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_GAUSS_NEWTON_KERNELS)
