// Operators `project_surfels`, `project_surfels_backward` and `project_surfels_jvp` on the CPU, and their
// schemas.
#include "ops/project_surfels.h"

#include <torch/csrc/stable/library.h>

#include "cpu/surfels.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void project_surfels(const Tensor&, const GaussianInputs& in, const RenderSettings& settings,
                              const SurfelOutputs& out) {
    GSPLAT_CALL(project_surfels, in, settings, out);
  }
  static void project_surfels_backward(const Tensor&, const GaussianInputs& in, const int32_t* radii,
                                       const SurfelGrads& v, const GaussianGrads& out) {
    GSPLAT_CALL(project_surfels_backward, in, radii, v, out);
  }
  static void project_surfels_jvp(const Tensor&, const GaussianInputs& in, const GaussianInputs& tangents,
                                  const int32_t* radii, const SurfelTangents& out) {
    GSPLAT_CALL(project_surfels_jvp, in, tangents, radii, out);
  }
};

}  // namespace

// What is asked for around means2d is no argument of a rendering: its gradient is for density control.
STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "project_surfels(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor viewmats, Tensor "
      "Ks, int width, int height, float[] settings) -> (Tensor means2d, Tensor shapes, Tensor depths, Tensor "
      "opacities2d, Tensor radii, Tensor canonical)");
  m.def(
      "project_surfels_backward(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor "
      "viewmats, Tensor Ks, int width, int height, float[] settings, Tensor radii, Tensor v_depths, Tensor "
      "v_opacities2d, Tensor v_canonical, bool needs_camera) -> (Tensor v_means, Tensor v_quats, Tensor "
      "v_scales, Tensor v_opacities, Tensor v_viewmats, Tensor v_Ks)");
  m.def(
      "project_surfels_jvp(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor viewmats, "
      "Tensor Ks, int width, int height, float[] settings, Tensor radii, Tensor t_means, Tensor t_quats, "
      "Tensor t_scales, Tensor t_opacities, Tensor t_viewmats, Tensor t_Ks) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("project_surfels", TORCH_BOX(&project_surfels<CpuKernels>));
  m.impl("project_surfels_backward", TORCH_BOX(&project_surfels_backward<CpuKernels>));
  m.impl("project_surfels_jvp", TORCH_BOX(&project_surfels_jvp<CpuKernels>));
}

}  // namespace gsplat::ops
