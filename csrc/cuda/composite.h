// Compositing of splats to images.
#pragma once

#include "cuda/launch.h"
#include "raster/types.h"

namespace gsplat::cuda {

void composite(const CompositeInputs& in, const CompositeOutputs& out, Stream stream);

// `out` must be cleared by the caller.
void composite_backward(const CompositeInputs& in, const CompositeGradInputs& v, const CompositeGrads& out,
                        Stream stream);

// `out` [images * gaussians] must be cleared by the caller.
void contributions(const CompositeInputs& in, Contribution* out, Stream stream);

}  // namespace gsplat::cuda
