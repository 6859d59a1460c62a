// The arrays of the projection of surfels (math/surfel_projection.h), the same for all backends.
#pragma once

#include "raster/types.h"

namespace gsplat {

// Of which rows of what is culled are zero.
struct SurfelOutputs {
  SplatOutputs splats;
  float* canonical;  // [images, gaussians, 12], see RayInputs
};

// Gradients or tangents, of the same shapes, by what surfels are rendered.
struct SurfelGrads {
  const float* depths;
  const float* opacities;
  const float* canonical;
};
struct SurfelTangents {
  float* depths;
  float* opacities;
  float* canonical;
};

}  // namespace gsplat
