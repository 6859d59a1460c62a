// Operators `cast_rays` and `cast_rays_backward` on the CPU, and their schemas.
#include "ops/volume.h"

#include <torch/csrc/stable/library.h>

#include "cpu/volume.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void cast(const Tensor&, const VolumeInputs& in, const VolumeOutputs& out) {
    GSPLAT_CALL(cast_rays, in, out);
  }
  static void backward(const Tensor&, const VolumeInputs& in, const VolumeGradInputs& v,
                       const VolumeGrads& out) {
    GSPLAT_CALL(cast_rays_backward, in, v, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "cast_rays(Tensor frames, Tensor densities, Tensor colors, Tensor reaches, Tensor rays, Tensor "
      "tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int tile_side, "
      "float step, float near, float far, float threshold) -> (Tensor seen, Tensor transmittances)");
  m.def(
      "cast_rays_backward(Tensor frames, Tensor densities, Tensor colors, Tensor reaches, Tensor rays, "
      "Tensor "
      "tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int tile_side, "
      "float step, float near, float far, float threshold, Tensor seen, Tensor transmittances, Tensor "
      "v_seen, "
      "Tensor v_transmittances, bool wants_rays) -> (Tensor v_gaussians, Tensor v_rays)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("cast_rays", TORCH_BOX(&cast_rays<CpuKernels>));
  m.impl("cast_rays_backward", TORCH_BOX(&cast_rays_backward<CpuKernels>));
}

}  // namespace gsplat::ops
