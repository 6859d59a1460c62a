// What passes between the forward-mode passes of the stages: tangents, the changes of values along one
// direction of the inputs. Shapes are those of the values in raster/types.h.
#pragma once

namespace gsplat {

// Of SplatOutputs; rows of culled splats are zero.
struct SplatTangents {
  float* means2d;
  float* conic_roots;
  float* depths;
  float* opacities;
};

// Of the tensors of CompositeInputs, backgrounds excepted.
struct CompositeTangents {
  const float* means2d;
  const float* conic_roots;
  const float* opacities;
  const float* colors;
};

}  // namespace gsplat
