// Operator `composite_jvp` on the CPU, and its schema.
#include "ops/composite_jvp.h"

#include <torch/csrc/stable/library.h>

#include "ops/cpu_compositing.h"

namespace gsplat::ops {
// The backgrounds count as constants here; what they add is linear.
STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "composite_jvp(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors, Tensor? "
      "backgrounds, Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor "
      "slots, int width, int height, float[] settings, Tensor? extras, str response, Tensor? canonical, "
      "Tensor? rays, Tensor t_means2d, "
      "Tensor t_shapes, Tensor "
      "t_opacities2d, Tensor t_colors, Tensor? t_extras, Tensor? t_canonical, Tensor? t_rays, bool "
      "depths_wanted=False) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("composite_jvp", TORCH_BOX(&composite_jvp<CpuCompositing>));
}

}  // namespace gsplat::ops
