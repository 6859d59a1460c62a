// Operator `project_jvp` on the CPU, and its schema.
#include "ops/project_jvp.h"

#include <torch/csrc/stable/library.h>

#include "cpu/rasterizer_jvp.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void project_jvp(const Tensor&, const GaussianInputs& in, const GaussianInputs& tangents,
                          const RenderSettings& settings, const int32_t* radii, const SplatTangents& out) {
    GSPLAT_CALL(project_jvp, in, tangents, settings, radii, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "project_jvp(Tensor means, Tensor? quats, Tensor? scales, Tensor? covars, Tensor opacities, Tensor "
      "viewmats, Tensor Ks, Tensor? lens, str camera, int width, int height, float[] settings, Tensor radii, "
      "Tensor t_means, "
      "Tensor? t_quats, Tensor? t_scales, Tensor? t_covars, Tensor t_opacities, Tensor t_viewmats, "
      "Tensor t_Ks, Tensor? t_lens) -> (Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("project_jvp", TORCH_BOX(&project_jvp<CpuKernels>)); }

}  // namespace gsplat::ops
