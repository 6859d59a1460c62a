// Operator `contributions` on the CPU, and its schema.
#include "ops/contributions.h"

#include <torch/csrc/stable/library.h>

#include "ops/cpu_compositing.h"

namespace gsplat::ops {
STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "contributions(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor tile_offsets, Tensor "
      "flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int width, int height, float[] "
      "settings, Tensor? extras=None, str response=\"gaussian\", Tensor? canonical=None, Tensor? rays=None) "
      "-> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("contributions", TORCH_BOX(&contributions<CpuCompositing>));
}

}  // namespace gsplat::ops
