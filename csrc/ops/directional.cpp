// Operators `directional_slices` and `directional_slices_backward` on the CPU, and their schemas.
#include "ops/directional.h"

#include <torch/csrc/stable/library.h>

#include "cpu/directional.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void slices(const Tensor&, const DirectionalArrays& in, const DirectionalSlices& out,
                     int64_t count) {
    GSPLAT_CALL(directional_slices, in, out, count);
  }
  static void backward(const Tensor&, const DirectionalArrays& in, const DirectionalGradients& v,
                       int64_t count) {
    GSPLAT_CALL(directional_slices_backward, in, v, count);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "directional_slices(Tensor means, Tensor opacities, Tensor directions, Tensor lobe_quats, "
      "Tensor lobe_scales, Tensor slopes, Tensor centre, float falloff, bool detached) "
      "-> (Tensor means, Tensor opacities)");
  m.def(
      "directional_slices_backward(Tensor means, Tensor opacities, Tensor directions, Tensor lobe_quats, "
      "Tensor lobe_scales, Tensor slopes, Tensor centre, float falloff, bool detached, Tensor v_means, "
      "Tensor v_opacities, bool wants_along) -> (Tensor v_means, Tensor v_opacities, Tensor v_directions, "
      "Tensor v_lobe_quats, Tensor v_lobe_scales, Tensor v_slopes, Tensor v_along)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("directional_slices", TORCH_BOX(&directional_slices<CpuKernels>));
  m.impl("directional_slices_backward", TORCH_BOX(&directional_slices_backward<CpuKernels>));
}

}  // namespace gsplat::ops
