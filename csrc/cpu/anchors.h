// Anchors that networks decode, on the CPU.
#pragma once

#include "cpu/isa.h"
#include "raster/anchors.h"

#define GSPLAT_ANCHOR_KERNELS                                                                     \
  void decode_anchors(const AnchorArrays& in, const SplatsOfAnchors<float>& out, int64_t count);  \
  void decode_anchors_backward(const AnchorArrays& in, const SplatsOfAnchors<const float>& v_out, \
                               const AnchorGradients& v, int64_t count);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_ANCHOR_KERNELS)
