// Operators `directional_slices` and `directional_slices_backward` on CUDA devices.
#include "ops/directional.h"

#include <torch/csrc/stable/library.h>

#include "cuda/directional.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void slices(const Tensor& like, const DirectionalArrays& in, const DirectionalSlices& out,
                     int64_t count) {
    const OnDevice device(like);
    cuda::directional_slices(in, out, count, device.stream());
  }
  static void backward(const Tensor& like, const DirectionalArrays& in, const DirectionalGradients& v,
                       int64_t count) {
    const OnDevice device(like);
    cuda::directional_slices_backward(in, v, count, device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("directional_slices", TORCH_BOX(&directional_slices<CudaKernels>));
  m.impl("directional_slices_backward", TORCH_BOX(&directional_slices_backward<CudaKernels>));
}

}  // namespace gsplat::ops
