// Operators `composite_moments`, `gauss_newton_blocks`, `factor_blocks` and `solve_blocks` on CUDA devices.
#include "ops/gauss_newton.h"

#include <torch/csrc/stable/library.h>

#include "cuda/gauss_newton.h"
#include "ops/cuda/compositing.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels : CudaCompositing {
  static void composite_moments(const Tensor& like, const CompositeInputs& in, const MomentInputs& image,
                                float* moments) {
    const OnDevice device(like);
    cuda::composite_moments(in, image, moments, device.stream());
  }
  static void gauss_newton_blocks(const Tensor& like, const GaussianInputs& in,
                                  const RenderSettings& settings, const ShInputs& sh, const float* colors,
                                  const float* moments, const GaussNewtonBlocks& out) {
    const OnDevice device(like);
    cuda::gauss_newton_blocks(in, settings, sh, colors, moments, out, device.stream());
  }
  static void factor_blocks(const Tensor& like, const float* blocks, const float* added, int64_t count,
                            float* factors) {
    const OnDevice device(like);
    cuda::factor_blocks(blocks, added, count, factors, device.stream());
  }
  static void solve_blocks(const Tensor& like, const float* factors, const float* right, int64_t count,
                           float* out) {
    const OnDevice device(like);
    cuda::solve_blocks(factors, right, count, out, device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("composite_moments", TORCH_BOX(&composite_moments<CudaKernels>));
  m.impl("gauss_newton_blocks", TORCH_BOX(&gauss_newton_blocks<CudaKernels>));
  m.impl("factor_blocks", TORCH_BOX(&factor_blocks<CudaKernels>));
  m.impl("solve_blocks", TORCH_BOX(&solve_blocks<CudaKernels>));
}

}  // namespace gsplat::ops
