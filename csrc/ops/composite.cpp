// Operators `composite` and `composite_backward` on the CPU, and their schemas.
#include "ops/composite.h"

#include <torch/csrc/stable/library.h>

#include "ops/cpu_compositing.h"

namespace gsplat::ops {

#define GSPLAT_CARRIER(name, Type) ", Tensor? " #name "_carrier"
#define GSPLAT_WANTED(name, Type) ", bool " #name "=False"
#define GSPLAT_SUMS(name, Type) ", Tensor v_" #name "_carrier"
STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "composite(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors, Tensor? backgrounds, "
      "Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int width, "
      "int height, float[] settings, Tensor? extras, str response, Tensor? canonical, Tensor? "
      "rays" GSPLAT_PAYLOADS(
          GSPLAT_CARRIER) ", bool depths=False) -> (Tensor out_colors, Tensor out_alphas, Tensor probe, "
                          "Tensor out_depths)");
  m.def(
      "composite_backward(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors, Tensor? "
      "backgrounds, Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor "
      "slots, int width, int height, float[] settings, Tensor? extras, str response, Tensor? canonical, Tensor? rays, Tensor out_colors, "
      "Tensor out_alphas, Tensor v_out_colors, Tensor v_out_alphas, Tensor? v_probe=None, bool rays_wanted=False" GSPLAT_PAYLOADS(
          GSPLAT_WANTED) ", Tensor? out_depths=None, Tensor? v_out_depths=None) -> (Tensor v_means2d, Tensor v_shapes, Tensor v_opacities2d, Tensor v_colors, "
                         "Tensor v_extras, Tensor v_canonical, Tensor v_rays" GSPLAT_PAYLOADS(GSPLAT_SUMS) ")");
}
#undef GSPLAT_CARRIER
#undef GSPLAT_WANTED
#undef GSPLAT_SUMS

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("composite", TORCH_BOX(&composite<CpuCompositing>));
  m.impl("composite_backward", TORCH_BOX(&composite_backward<CpuCompositing>));
}

}  // namespace gsplat::ops
