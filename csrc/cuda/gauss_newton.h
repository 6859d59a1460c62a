// Blocks of Gauss-Newton matrices: the pixels' moments of every splat, the blocks of every Gaussian, and
// their factors.
#pragma once

#include "cuda/launch.h"
#include "raster/gauss_newton.h"
#include "raster/types.h"

namespace gsplat::cuda {

// `moments` [images, gaussians, kSplatMoments] must be cleared by the caller.
void composite_moments(const CompositeInputs& in, const MomentInputs& image, float* moments, Stream stream);

// `colors` [images, gaussians, 3] as evaluated from the SH coefficients; the moments of culled splats are not
// read.
void gauss_newton_blocks(const GaussianInputs& in, const RenderSettings& settings, const ShInputs& sh,
                         const float* colors, const float* moments, const GaussNewtonBlocks& out,
                         Stream stream);

// Factors of blocks [count, kGeometryPairs] whose diagonals have grown by `added` [count, kGeometry].
void factor_blocks(const float* blocks, const float* added, int64_t count, float* factors, Stream stream);

void solve_blocks(const float* factors, const float* right, int64_t count, float* out, Stream stream);

}  // namespace gsplat::cuda
