// Operators `spherical_harmonics` and `spherical_harmonics_backward` on the CPU, and their schemas.
#include "ops/spherical_harmonics.h"

#include <torch/csrc/stable/library.h>

#include "cpu/rasterizer.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void spherical_harmonics(const Tensor&, const ShInputs& in, float* colors) {
    GSPLAT_CALL(spherical_harmonics, in, colors);
  }
  static void spherical_harmonics_backward(const Tensor&, const ShInputs& in, const float* colors,
                                           const float* v_colors, const ShGrads& out) {
    GSPLAT_CALL(spherical_harmonics_backward, in, colors, v_colors, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "spherical_harmonics(int degree, Tensor means, Tensor viewmats, Tensor sh0, Tensor? shN, Tensor radii) "
      "-> "
      "Tensor");
  m.def(
      "spherical_harmonics_backward(int degree, Tensor means, Tensor viewmats, Tensor sh0, Tensor? shN, "
      "Tensor radii, "
      "Tensor colors, Tensor v_colors, bool needs_camera) -> (Tensor v_means, Tensor v_viewmats, Tensor "
      "v_sh0, Tensor v_shN)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("spherical_harmonics", TORCH_BOX(&spherical_harmonics<CpuKernels>));
  m.impl("spherical_harmonics_backward", TORCH_BOX(&spherical_harmonics_backward<CpuKernels>));
}

}  // namespace gsplat::ops
