// Operators `project_surfels`, `project_surfels_backward` and `project_surfels_jvp` on CUDA devices.
#include "ops/project_surfels.h"

#include <torch/csrc/stable/library.h>

#include "cuda/project.h"
#include "cuda/project_surfels.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void project_surfels(const Tensor& like, const GaussianInputs& in, const RenderSettings& settings,
                              const SurfelOutputs& out) {
    const OnDevice device(like);
    cuda::project_surfels(in, settings, out, device.stream());
  }
  static void project_surfels_backward(const Tensor& like, const GaussianInputs& in, const int32_t* radii,
                                       const SurfelGrads& v, const GaussianGrads& out) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::project_backward_workspace(in, out.viewmats != nullptr));
    cuda::project_surfels_backward(in, radii, v, out, workspace.data(), device.stream());
  }
  static void project_surfels_jvp(const Tensor& like, const GaussianInputs& in,
                                  const GaussianInputs& tangents, const int32_t* radii,
                                  const SurfelTangents& out) {
    const OnDevice device(like);
    cuda::project_surfels_jvp(in, tangents, radii, out, device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("project_surfels", TORCH_BOX(&project_surfels<CudaKernels>));
  m.impl("project_surfels_backward", TORCH_BOX(&project_surfels_backward<CudaKernels>));
  m.impl("project_surfels_jvp", TORCH_BOX(&project_surfels_jvp<CudaKernels>));
}

}  // namespace gsplat::ops
