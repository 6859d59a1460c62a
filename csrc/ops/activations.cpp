// Operators `activate` and `activate_backward` on the CPU, and their schemas.
#include "ops/activations.h"

#include <torch/csrc/stable/library.h>

#include "cpu/activations.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void activate(const Tensor&, int64_t n, const float* log_scales, const float* logits, float* scales,
                       float* opacities) {
    GSPLAT_CALL(scales_of_logarithms, log_scales, scales, 3 * n);
    GSPLAT_CALL(opacities_of_logits, logits, opacities, n);
  }
  static void activate_backward(const Tensor&, int64_t n, const float* scales, const float* opacities,
                                const float* v_scales, const float* v_opacities, float* v_log_scales,
                                float* v_logits) {
    GSPLAT_CALL(scales_of_logarithms_backward, scales, v_scales, v_log_scales, 3 * n);
    GSPLAT_CALL(opacities_of_logits_backward, opacities, v_opacities, v_logits, n);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("activate(Tensor log_scales, Tensor logits) -> (Tensor scales, Tensor opacities)");
  m.def(
      "activate_backward(Tensor scales, Tensor opacities, Tensor v_scales, Tensor v_opacities) "
      "-> (Tensor v_log_scales, Tensor v_logits)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("activate", TORCH_BOX(&activate<CpuKernels>));
  m.impl("activate_backward", TORCH_BOX(&activate_backward<CpuKernels>));
}

}  // namespace gsplat::ops
