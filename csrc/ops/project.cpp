// Operators `project` and `project_backward` on the CPU, and their schemas.
#include "ops/project.h"

#include <torch/csrc/stable/library.h>

#include "cpu/rasterizer.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void project(const Tensor&, const GaussianInputs& in, const RenderSettings& settings,
                      const SplatOutputs& out) {
    GSPLAT_CALL(project, in, settings, out);
  }
  static void project_backward(const Tensor&, const GaussianInputs& in, const RenderSettings& settings,
                               const int32_t* radii, const SplatGrads& v, const GaussianGrads& out) {
    GSPLAT_CALL(project_backward, in, settings, radii, v, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "project(Tensor means, Tensor? quats, Tensor? scales, Tensor? covars, Tensor opacities, Tensor "
      "viewmats, Tensor Ks, Tensor? lens, str camera, int width, int height, float[] settings, Tensor? "
      "levels=None, Tensor? motion=None) -> "
      "(Tensor means2d, Tensor shapes, Tensor depths, Tensor opacities2d, Tensor radii)");
  m.def(
      "project_backward(Tensor means, Tensor? quats, Tensor? scales, Tensor? covars, Tensor opacities, "
      "Tensor viewmats, Tensor Ks, Tensor? lens, str camera, int width, int height, float[] settings, "
      "Tensor radii, Tensor v_means2d, Tensor v_shapes, Tensor v_depths, Tensor v_opacities2d, bool "
      "needs_camera) -> "
      "(Tensor v_means, Tensor v_quats, Tensor v_scales, Tensor v_covars, Tensor v_opacities, "
      "Tensor v_viewmats, Tensor v_Ks, Tensor v_lens)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("project", TORCH_BOX(&project<CpuKernels>));
  m.impl("project_backward", TORCH_BOX(&project_backward<CpuKernels>));
}

}  // namespace gsplat::ops
