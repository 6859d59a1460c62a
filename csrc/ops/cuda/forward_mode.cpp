// Operators `project_jvp` and `spherical_harmonics_jvp` on CUDA devices.
#include <torch/csrc/stable/library.h>

#include "cuda/rasterizer_jvp.h"
#include "ops/cuda/device.h"
#include "ops/project_jvp.h"
#include "ops/spherical_harmonics_jvp.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void project_jvp(const Tensor& like, const GaussianInputs& in, const GaussianInputs& tangents,
                          const RenderSettings& settings, const int32_t* radii, const SplatTangents& out) {
    const OnDevice device(like);
    cuda::project_jvp(in, tangents, settings, radii, out, device.stream());
  }
  static void spherical_harmonics_jvp(const Tensor& like, const ShInputs& in, const ShInputs& tangents,
                                      const float* colors, float* out) {
    const OnDevice device(like);
    cuda::spherical_harmonics_jvp(in, tangents, colors, out, device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("project_jvp", TORCH_BOX(&project_jvp<CudaKernels>));
  m.impl("spherical_harmonics_jvp", TORCH_BOX(&spherical_harmonics_jvp<CudaKernels>));
}

}  // namespace gsplat::ops
