// Operators `composite_moments`, `gauss_newton_blocks`, `factor_blocks` and `solve_blocks` on the CPU, and
// their schemas.
#include "ops/gauss_newton.h"

#include <torch/csrc/stable/library.h>

#include "cpu/gauss_newton.h"
#include "ops/cpu_compositing.h"

namespace gsplat::ops {
namespace {

struct CpuKernels : CpuCompositing {
  static void composite_moments(const Tensor&, const CompositeInputs& in, const MomentInputs& image,
                                float* moments) {
    check_slots(in.lists);
    GSPLAT_CALL(composite_moments, in, image, moments);
  }
  static void gauss_newton_blocks(const Tensor&, const GaussianInputs& in, const RenderSettings& settings,
                                  const ShInputs& sh, const float* colors, const float* moments,
                                  const GaussNewtonBlocks& out) {
    GSPLAT_CALL(gauss_newton_blocks, in, settings, sh, colors, moments, out);
  }
  static void factor_blocks(const Tensor&, const float* blocks, const float* added, int64_t count,
                            float* factors) {
    GSPLAT_CALL(factor_blocks, blocks, added, count, factors);
  }
  static void solve_blocks(const Tensor&, const float* factors, const float* right, int64_t count,
                           float* out) {
    GSPLAT_CALL(solve_blocks, factors, right, count, out);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "composite_moments(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors, Tensor? "
      "backgrounds, Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor "
      "slots, int width, int height, float[] settings, Tensor out_colors, Tensor weights, "
      "Tensor? extras=None, str response=\"gaussian\") -> Tensor");
  m.def(
      "gauss_newton_blocks(Tensor means, Tensor quats, Tensor scales, Tensor opacities, Tensor viewmats, "
      "Tensor Ks, Tensor? lens, str camera, int width, int height, float[] settings, int degree, Tensor sh0, "
      "Tensor? shN, Tensor "
      "radii, Tensor colors, Tensor moments) -> (Tensor, Tensor, Tensor)");
  m.def("factor_blocks(Tensor blocks, Tensor added) -> Tensor");
  m.def("solve_blocks(Tensor factors, Tensor right) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("composite_moments", TORCH_BOX(&composite_moments<CpuKernels>));
  m.impl("gauss_newton_blocks", TORCH_BOX(&gauss_newton_blocks<CpuKernels>));
  m.impl("factor_blocks", TORCH_BOX(&factor_blocks<CpuKernels>));
  m.impl("solve_blocks", TORCH_BOX(&solve_blocks<CpuKernels>));
}

}  // namespace gsplat::ops
