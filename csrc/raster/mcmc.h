// What density control by Markov chain Monte Carlo computes per Gaussian, the same for all backends.
#pragma once

#include <cstdint>

#include "math/philox.h"
#include "math/relocation.h"
#include "math/sgld_noise.h"

namespace gsplat {

struct RelocationArrays {
  const float* opacities;  // [M] in [0, 1]
  const float* scales;     // [M, 3] standard deviations
  const int32_t* copies;   // [M] how many Gaussians stand in its place afterwards, at least 1
  float* new_opacities;    // [M]
  float* new_scales;       // [M, 3]
};

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

GSPLAT_HD void relocate_row(const RelocationArrays& arrays, int64_t i) {
  const Relocated<double> one = relocated<double>(arrays.opacities[i], arrays.copies[i]);
  arrays.new_opacities[i] = static_cast<float>(one.opacity);
  for (int64_t j = 3 * i; j < 3 * i + 3; ++j) {
    arrays.new_scales[j] = static_cast<float>(arrays.scales[j] * one.scale_ratio);
  }
}

// The normal vector of row i is a function of seed, step and i.
GSPLAT_HD Vec3<float> normal_vector(uint64_t row, const NoiseOptions& options) {
  const Random4 counter = {{static_cast<uint32_t>(row), static_cast<uint32_t>(row >> 32),
                            static_cast<uint32_t>(options.step), static_cast<uint32_t>(options.step >> 32)}};
  const Random4 random = philox(counter, options.seed);
  Vec3<float> normal;
  float unused;
  normals(random.x[0], random.x[1], normal.x, normal.y);
  normals(random.x[2], random.x[3], normal.z, unused);
  return normal;
}

// Whether steps of at most `reach` in any direction leave a centre as it is, to the bit.
GSPLAT_HD bool stays_in_place(const float* mean, float reach) {
  bool stays = true;
  for (int k = 0; k < 3; ++k) stays &= mean[k] + reach == mean[k] && mean[k] - reach == mean[k];
  return stays;
}

// new_mean = mean + strength * gate * Sigma n
GSPLAT_HD void perturb_row(const NoiseArrays& arrays, const NoiseOptions& options, int64_t i) {
  // No normal vector is longer: its coordinates are at most sqrt(66 ln 2) = 6.8, two of them together too.
  constexpr float kLongest = 10.0f;
  const float* mean = arrays.means + 3 * i;
  const float* s = arrays.scales + 3 * i;
  float* moved = arrays.new_means + 3 * i;
  const float strength =
      options.strength * noise_gate(arrays.opacities[i], options.steepness, options.threshold);
  const float largest = max(max(s[0], s[1]), s[2]);
  Vec3<float> noise = {0.0f, 0.0f, 0.0f};
  // Most Gaussians are far from transparent, and random numbers are what takes time here.
  if (!stays_in_place(mean, strength * largest * largest * kLongest)) {
    const float* q = arrays.quats + 4 * i;
    noise =
        strength * sgld_noise<float>({q[0], q[1], q[2], q[3]}, {s[0], s[1], s[2]}, normal_vector(i, options));
  }
  moved[0] = mean[0] + noise.x;
  moved[1] = mean[1] + noise.y;
  moved[2] = mean[2] + noise.z;
}

}  // namespace gsplat
