// Operators `cast_rays` and `cast_rays_backward` on CUDA devices.
#include "ops/volume.h"

#include <torch/csrc/stable/library.h>

#include "cuda/volume.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void cast(const Tensor& like, const VolumeInputs& in, const VolumeOutputs& out) {
    const OnDevice device(like);
    cuda::cast_rays(in, out, device.stream());
  }
  static void backward(const Tensor& like, const VolumeInputs& in, const VolumeGradInputs& v,
                       const VolumeGrads& out) {
    const OnDevice device(like);
    cuda::cast_rays_backward(in, v, out, device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("cast_rays", TORCH_BOX(&cast_rays<CudaKernels>));
  m.impl("cast_rays_backward", TORCH_BOX(&cast_rays_backward<CudaKernels>));
}

}  // namespace gsplat::ops
