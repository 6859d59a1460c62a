// Operator `spherical_harmonics_jvp` on the CPU, and its schema.
#include "ops/spherical_harmonics_jvp.h"

#include <torch/csrc/stable/library.h>

#include "cpu/rasterizer_jvp.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void spherical_harmonics_jvp(const Tensor&, const ShInputs& in, const ShInputs& tangents,
                                      const float* colors, float* out) {
    GSPLAT_CALL(spherical_harmonics_jvp, in, tangents, colors, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "spherical_harmonics_jvp(int degree, Tensor means, Tensor viewmats, Tensor sh0, Tensor? shN, "
      "Tensor radii, Tensor colors, Tensor t_means, Tensor t_viewmats, Tensor t_sh0, Tensor? t_shN) -> "
      "Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("spherical_harmonics_jvp", TORCH_BOX(&spherical_harmonics_jvp<CpuKernels>));
}

}  // namespace gsplat::ops
