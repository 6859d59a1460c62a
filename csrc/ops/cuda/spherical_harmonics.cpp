// Operators `spherical_harmonics` and `spherical_harmonics_backward` on CUDA devices.
#include "ops/spherical_harmonics.h"

#include <torch/csrc/stable/library.h>

#include "cuda/spherical_harmonics.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void spherical_harmonics(const Tensor& like, const ShInputs& in, float* colors) {
    const OnDevice device(like);
    cuda::spherical_harmonics(in, colors, device.stream());
  }
  static void spherical_harmonics_backward(const Tensor& like, const ShInputs& in, const float* colors,
                                           const float* v_colors, const ShGrads& out) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::spherical_harmonics_backward_workspace(in, out.viewmats != nullptr));
    cuda::spherical_harmonics_backward(in, colors, v_colors, out, workspace.data(), device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("spherical_harmonics", TORCH_BOX(&spherical_harmonics<CudaKernels>));
  m.impl("spherical_harmonics_backward", TORCH_BOX(&spherical_harmonics_backward<CudaKernels>));
}

}  // namespace gsplat::ops
