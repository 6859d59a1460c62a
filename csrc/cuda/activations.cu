// Activations of the trained parameters, one thread per number.
#include "cuda/activations.h"
#include "math/activations.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    activate_parameters(int64_t n, const float* log_scales, const float* logits, float* scales,
                        float* opacities) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < 3 * n) scales[i] = scale_of_logarithm(log_scales[i]);
  if (i < n) opacities[i] = opacity_of_logit(logits[i]);
}

__global__ void __launch_bounds__(kThreads)
    activation_gradients(int64_t n, const float* scales, const float* opacities, const float* v_scales,
                         const float* v_opacities, float* v_log_scales, float* v_logits) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < 3 * n) v_log_scales[i] = scale_of_logarithm_vjp(scales[i], v_scales[i]);
  if (i < n) v_logits[i] = opacity_of_logit_vjp(opacities[i], v_opacities[i]);
}

}  // namespace

void activate(int64_t n, const float* log_scales, const float* logits, float* scales, float* opacities,
              Stream stream) {
  if (n == 0) return;
  activate_parameters<<<blocks_of(kThreads, 3 * n), kThreads, 0, stream>>>(n, log_scales, logits, scales,
                                                                           opacities);
  check_launch("activate_parameters");
}

void activate_backward(int64_t n, const float* scales, const float* opacities, const float* v_scales,
                       const float* v_opacities, float* v_log_scales, float* v_logits, Stream stream) {
  if (n == 0) return;
  activation_gradients<<<blocks_of(kThreads, 3 * n), kThreads, 0, stream>>>(
      n, scales, opacities, v_scales, v_opacities, v_log_scales, v_logits);
  check_launch("activation_gradients");
}

}  // namespace gsplat::cuda
