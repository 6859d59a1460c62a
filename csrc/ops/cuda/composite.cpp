// Operators `composite`, `composite_backward` and `contributions` on CUDA devices.
#include "ops/composite.h"

#include <torch/csrc/stable/library.h>

#include "cuda/composite.h"
#include "ops/contributions.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void composite(const Tensor& like, const CompositeInputs& in, const CompositeOutputs& out) {
    const OnDevice device(like);
    cuda::composite(in, out, device.stream());
  }
  static void composite_backward(const Tensor& like, const CompositeInputs& in, const CompositeGradInputs& v,
                                 const CompositeGrads& out) {
    const OnDevice device(like);
    cuda::composite_backward(in, v, out, device.stream());
  }
  static void contributions(const Tensor& like, const CompositeInputs& in, Contribution* out) {
    const OnDevice device(like);
    cuda::contributions(in, out, device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("composite", TORCH_BOX(&composite<CudaKernels>));
  m.impl("composite_backward", TORCH_BOX(&composite_backward<CudaKernels>));
  m.impl("contributions", TORCH_BOX(&contributions<CudaKernels>));
}

}  // namespace gsplat::ops
