// Anchors that networks decode, see raster/anchors.h.
#pragma once

#include "cuda/launch.h"
#include "raster/anchors.h"

namespace gsplat::cuda {

void decode_anchors(const AnchorArrays& in, const SplatsOfAnchors<float>& out, int64_t count, Stream stream);

// Gradients of the networks are summed in an order that depends on `count` alone.
size_t decode_anchors_backward_workspace(const DecoderShape& shape, int64_t count);
void decode_anchors_backward(const AnchorArrays& in, const SplatsOfAnchors<const float>& v_out,
                             const AnchorGradients& v, int64_t count, void* workspace, Stream stream);

}  // namespace gsplat::cuda
