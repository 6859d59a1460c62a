// What density control by Markov chain Monte Carlo computes per Gaussian.
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

// math/relocation.h for each of `count` Gaussians.
void relocate(const RelocationArrays& arrays, int64_t count);

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

// new_means = means + strength * gate * Sigma n (math/sgld_noise.h). The normal vector n of row i is a
// function of seed, step and i.
void perturb_means(const NoiseArrays& arrays, const NoiseOptions& options, int64_t count);

}  // namespace gsplat
