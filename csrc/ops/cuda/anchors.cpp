// Operators `decode_anchors` and `decode_anchors_backward` on CUDA devices.
#include "ops/anchors.h"

#include <torch/csrc/stable/library.h>

#include "cuda/anchors.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static void decode(const Tensor& like, const AnchorArrays& in, const SplatsOfAnchors<float>& out,
                     int64_t count) {
    const OnDevice device(like);
    cuda::decode_anchors(in, out, count, device.stream());
  }
  static void backward(const Tensor& like, const AnchorArrays& in, const SplatsOfAnchors<const float>& v_out,
                       const AnchorGradients& v, int64_t count) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::decode_anchors_backward_workspace(in.shape, count));
    cuda::decode_anchors_backward(in, v_out, v, count, workspace.data(), device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("decode_anchors", TORCH_BOX(&decode_anchors<CudaKernels>));
  m.impl("decode_anchors_backward", TORCH_BOX(&decode_anchors_backward<CudaKernels>));
}

}  // namespace gsplat::ops
