// Operators `composite` and `composite_backward` on the CPU, and their schemas.
#include "ops/composite.h"

#include <torch/csrc/stable/library.h>

#include "cpu/rasterizer.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void composite(const Tensor&, const CompositeInputs& in, const CompositeOutputs& out) {
    GSPLAT_CALL(composite, in, out);
  }
  static void composite_backward(const Tensor&, const CompositeInputs& in, const CompositeGradInputs& v,
                                 const CompositeGrads& out) {
    check_slots(in.lists);
    GSPLAT_CALL(composite_backward, in, v, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "composite(Tensor means2d, Tensor? absgrad_carrier, Tensor? statistics_carrier, Tensor shapes, "
      "Tensor opacities2d, Tensor colors, Tensor? backgrounds, Tensor tile_offsets, Tensor flatten_ids, "
      "Tensor order, Tensor slot_offsets, Tensor slots, int width, int height, float[] settings) -> "
      "(Tensor out_colors, Tensor out_alphas, Tensor probe)");
  m.def(
      "composite_backward(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors, Tensor? "
      "backgrounds, Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor "
      "slots, int width, int height, float[] settings, Tensor out_colors, Tensor out_alphas, Tensor "
      "v_out_colors, Tensor v_out_alphas, Tensor? v_probe, bool absgrad) -> "
      "(Tensor v_means2d, Tensor v_shapes, Tensor v_opacities2d, Tensor v_colors, "
      "Tensor v_absgrad_carrier, Tensor v_statistics_carrier)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("composite", TORCH_BOX(&composite<CpuKernels>));
  m.impl("composite_backward", TORCH_BOX(&composite_backward<CpuKernels>));
}

}  // namespace gsplat::ops
