// The arrays of density control by Markov chain Monte Carlo, the same for all backends.
#pragma once

#include <cstdint>

namespace gsplat {

struct RelocationArrays {
  const float* opacities;  // [M] in [0, 1]
  const float* scales;     // [M, 3] standard deviations
  const int32_t* copies;   // [M] how many Gaussians stand in its place afterwards, at least 1
  float* new_opacities;    // [M]
  float* new_scales;       // [M, 3]
};

// new_mean = mean + strength * gate * Sigma n
struct NoiseArrays {
  const float* means;      // [N, 3]
  const float* quats;      // [N, 4]
  const float* scales;     // [N, 3] standard deviations
  const float* opacities;  // [N] in [0, 1]
  float* new_means;        // [N, 3]
};

struct NoiseOptions {
  float strength;   // factor on the noise
  float steepness;  // of the gate
  float threshold;  // opacity at which the gate is half open
  uint64_t seed;
  uint64_t step;
};

}  // namespace gsplat
