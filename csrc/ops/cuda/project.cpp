// Operators `project` and `project_backward` on CUDA devices.
#include "ops/project.h"

#include <torch/csrc/stable/library.h>

#include "cuda/project.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void project(const Tensor& like, const GaussianInputs& in, const RenderSettings& settings,
                      const SplatOutputs& out) {
    const OnDevice device(like);
    cuda::project(in, settings, out, device.stream());
  }
  static void project_backward(const Tensor& like, const GaussianInputs& in, const RenderSettings& settings,
                               const int32_t* radii, const SplatGrads& v, const GaussianGrads& out) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::project_backward_workspace(in, out.viewmats != nullptr));
    cuda::project_backward(in, settings, radii, v, out, workspace.data(), device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("project", TORCH_BOX(&project<CudaKernels>));
  m.impl("project_backward", TORCH_BOX(&project_backward<CudaKernels>));
}

}  // namespace gsplat::ops
