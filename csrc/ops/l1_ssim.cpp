// The training loss on the CPU, and its schema.
#include "ops/l1_ssim.h"

#include <torch/csrc/stable/library.h>

#include "cpu/l1_ssim.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void l1_ssim(const Tensor&, const LossInputs& inputs, const LossGradient& gradient, int64_t count,
                      const LossWeights& weights, const LossOutputs& out) {
    const LossSums sums = gsplat::l1_ssim(inputs, gradient, count);
    mixed_loss(sums.absolute_difference, sums.ssim, weights, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "l1_ssim(Tensor image, Tensor target, float lambda_dssim, bool valid, bool needs_grad) "
      "-> (Tensor loss, Tensor l1, Tensor ssim, Tensor grad)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("l1_ssim", TORCH_BOX(&l1_ssim<CpuKernels>)); }

}  // namespace gsplat::ops
