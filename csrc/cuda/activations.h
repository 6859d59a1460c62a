// Activations of the trained parameters of n Gaussians: scales [n, 3] and opacities [n].
#pragma once

#include "cuda/launch.h"

namespace gsplat::cuda {

void activate(int64_t n, const float* log_scales, const float* logits, float* scales, float* opacities,
              Stream stream);

void activate_backward(int64_t n, const float* scales, const float* opacities, const float* v_scales,
                       const float* v_opacities, float* v_log_scales, float* v_logits, Stream stream);

}  // namespace gsplat::cuda
