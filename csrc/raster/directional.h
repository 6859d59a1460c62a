// The arrays of slices of directional Gaussians (math/directional.h), the same for all backends.
#pragma once

#include <cstdint>

namespace gsplat {

struct DirectionalArrays {
  const float* means;        // [N, 3]
  const float* opacities;    // [N]
  const float* directions;   // [N, 3]
  const float* lobe_quats;   // [N, 4]
  const float* lobe_scales;  // [N, 3] logarithms
  const float* slopes;       // [N, 3, 3]
  const float* centre;       // [3] of the camera
  float falloff;
};

struct DirectionalSlices {
  float* means;      // [N, 3]
  float* opacities;  // [N]
};

struct DirectionalGradients {
  const float* of_means;      // [N, 3] of the slices
  const float* of_opacities;  // [N]
  bool through_means;         // whether the direction is a function of the means
  float* means;
  float* opacities;
  float* directions;
  float* lobe_quats;
  float* lobe_scales;
  float* slopes;
  float* along;  // [N, 3] the part of the means' that comes through the direction; null where not wanted
};

}  // namespace gsplat
