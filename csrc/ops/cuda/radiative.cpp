// Operators `project_integrals`, `sum_splats`, `voxelize` and their derivatives on CUDA devices.
#include "ops/radiative.h"

#include <torch/csrc/stable/library.h>

#include "cuda/radiative.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void project_integrals(const Tensor& like, const GaussianInputs& in, const RenderSettings& settings,
                                const SplatOutputs& out) {
    const OnDevice device(like);
    cuda::project_integrals(in, settings, out, device.stream());
  }
  static void project_integrals_backward(const Tensor& like, const GaussianInputs& in,
                                         const RenderSettings& settings, const int32_t* radii,
                                         const SplatGrads& v, const GaussianGrads& out) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::project_integrals_backward_workspace(in, out.viewmats != nullptr));
    cuda::project_integrals_backward(in, settings, radii, v, out, workspace.data(), device.stream());
  }
  static void sum_splats(const Tensor& like, const SummedSplats& in, const SumLists& lists, float* sums) {
    const OnDevice device(like);
    cuda::sum_splats(in, lists, sums, device.stream());
  }
  static void sum_splats_backward(const Tensor& like, const SummedSplats& in, const float* v_sums,
                                  const SummedSplatGrads& out) {
    const OnDevice device(like);
    cuda::sum_splats_backward(in, v_sums, out, device.stream());
  }
  static void voxelize(const Tensor& like, const VoxelInputs& in, const SumLists& lists, float* volume) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::voxelize_workspace(in));
    cuda::voxelize(in, lists, volume, workspace.data(), device.stream());
  }
  static void voxelize_backward(const Tensor& like, const VoxelInputs& in, const float* v_volume,
                                const VoxelGrads& out) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::voxelize_backward_workspace(in));
    cuda::voxelize_backward(in, v_volume, out, workspace.data(), device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("project_integrals", TORCH_BOX(&project<IntegralKernels<CudaKernels>>));
  m.impl("project_integrals_backward", TORCH_BOX(&project_backward<IntegralKernels<CudaKernels>>));
  m.impl("sum_splats", TORCH_BOX(&sum_splats<CudaKernels>));
  m.impl("sum_splats_backward", TORCH_BOX(&sum_splats_backward<CudaKernels>));
  m.impl("voxelize", TORCH_BOX(&voxelize<CudaKernels>));
  m.impl("voxelize_backward", TORCH_BOX(&voxelize_backward<CudaKernels>));
}

}  // namespace gsplat::ops
