// The optimizer step on CUDA devices.
#include "ops/adam.h"

#include <torch/csrc/stable/library.h>

#include "cuda/adam.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void adam(const Tensor& like, const AdamArrays& arrays, const AdamStep& step) {
    const OnDevice device(like);
    cuda::adam(arrays, step, device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) { m.impl("adam_step_", TORCH_BOX(&adam_step<CudaKernels>)); }

}  // namespace gsplat::ops
