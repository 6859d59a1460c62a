// Operators `activate` and `activate_backward` on CUDA devices.
#include "ops/activations.h"

#include <torch/csrc/stable/library.h>

#include "cuda/activations.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void activate(const Tensor& like, int64_t n, const float* log_scales, const float* logits,
                       float* scales, float* opacities) {
    const OnDevice device(like);
    cuda::activate(n, log_scales, logits, scales, opacities, device.stream());
  }
  static void activate_backward(const Tensor& like, int64_t n, const float* scales, const float* opacities,
                                const float* v_scales, const float* v_opacities, float* v_log_scales,
                                float* v_logits) {
    const OnDevice device(like);
    cuda::activate_backward(n, scales, opacities, v_scales, v_opacities, v_log_scales, v_logits,
                            device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("activate", TORCH_BOX(&activate<CudaKernels>));
  m.impl("activate_backward", TORCH_BOX(&activate_backward<CudaKernels>));
}

}  // namespace gsplat::ops
