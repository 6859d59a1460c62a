// The training loss on CUDA devices.
#include "ops/l1_ssim.h"

#include <torch/csrc/stable/library.h>

#include "cuda/l1_ssim.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void l1_ssim(const Tensor& like, const LossInputs& inputs, const LossGradient& gradient,
                      int64_t count, const LossWeights& weights, const LossOutputs& out) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::l1_ssim_workspace(inputs, gradient.pixels != nullptr, count));
    cuda::l1_ssim(inputs, gradient, count, weights, out, workspace.data(), device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) { m.impl("l1_ssim", TORCH_BOX(&l1_ssim<CudaKernels>)); }

}  // namespace gsplat::ops
