// The photometric loss of 3DGS, see raster/loss.h.
#pragma once

#include "cuda/launch.h"
#include "raster/loss.h"

namespace gsplat::cuda {

// Bytes of working memory for l1_ssim().
size_t l1_ssim_workspace(const LossInputs& inputs, bool wants_gradient, int64_t count);

// Of `count` images that lie one behind the other.
void l1_ssim(const LossInputs& inputs, const LossGradient& gradient, int64_t count,
             const LossWeights& weights, const LossOutputs& out, void* workspace, Stream stream);

}  // namespace gsplat::cuda
