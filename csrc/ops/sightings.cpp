// Operators `sightings` and `label_weights` on the CPU, and their schemas.
#include "ops/sightings.h"

#include <torch/csrc/stable/library.h>

#include "ops/cpu_compositing.h"

namespace gsplat::ops {

#define GSPLAT_SPLATS                                                                                   \
  "Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor tile_offsets, Tensor flatten_ids, Tensor " \
  "order, Tensor slot_offsets, Tensor slots, int width, int height, float[] settings, Tensor? extras, " \
  "str response, Tensor? canonical, Tensor? rays"
STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("sightings(" GSPLAT_SPLATS
        ", bool first, bool median, bool strongest, bool counts, int top) -> (Tensor first, Tensor median, "
        "Tensor strongest, Tensor counts, Tensor top_ids, Tensor top_weights)");
  m.def("label_weights(" GSPLAT_SPLATS ", Tensor labels, int first, int count) -> Tensor");
}
#undef GSPLAT_SPLATS

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("sightings", TORCH_BOX(&sightings<CpuCompositing>));
  m.impl("label_weights", TORCH_BOX(&label_weights<CpuCompositing>));
}

}  // namespace gsplat::ops
