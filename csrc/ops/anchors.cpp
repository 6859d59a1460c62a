// Operators `decode_anchors` and `decode_anchors_backward` on the CPU, and their schemas.
#include "ops/anchors.h"

#include <torch/csrc/stable/library.h>

#include "cpu/anchors.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void decode(const Tensor&, const AnchorArrays& in, const SplatsOfAnchors<float>& out,
                     int64_t count) {
    GSPLAT_CALL(decode_anchors, in, out, count);
  }
  static void backward(const Tensor&, const AnchorArrays& in, const SplatsOfAnchors<const float>& v_out,
                       const AnchorGradients& v, int64_t count) {
    GSPLAT_CALL(decode_anchors_backward, in, v_out, v, count);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "decode_anchors(Tensor positions, Tensor features, Tensor offsets, Tensor offset_scales, "
      "Tensor scales, Tensor centre, Tensor frame, Tensor? visible, Tensor networks, int hidden) "
      "-> (Tensor means, Tensor quats, Tensor linear_scales, Tensor opacities, Tensor colors)");
  m.def(
      "decode_anchors_backward(Tensor positions, Tensor features, Tensor offsets, Tensor offset_scales, "
      "Tensor scales, Tensor centre, Tensor frame, Tensor? visible, Tensor networks, int hidden, "
      "Tensor v_means, Tensor v_quats, Tensor v_linear_scales, Tensor v_opacities, Tensor v_colors, "
      "bool wants_along) -> (Tensor v_positions, Tensor v_features, Tensor v_offsets, "
      "Tensor v_offset_scales, Tensor v_scales, Tensor v_along, Tensor v_networks)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("decode_anchors", TORCH_BOX(&decode_anchors<CpuKernels>));
  m.impl("decode_anchors_backward", TORCH_BOX(&decode_anchors_backward<CpuKernels>));
}

}  // namespace gsplat::ops
