// The arrays of ray casting through a density (math/volume.h), the same for all backends.
//
// Samples lie on a lattice, t_k = start + k step, where the start belongs to the ray and is at most a step
// behind `near`. They are taken in slabs of some at a time, so that a Gaussian is looked up once for all of
// them.
#pragma once

#include <cstdint>

#include "math/scalar.h"
#include "raster/types.h"

namespace gsplat {

inline constexpr int kSlab = 8;                         // samples
inline constexpr int kMostSamples = 1 << 24;            // of a ray
inline constexpr float kLeastTransmittance = 0.003f;    // behind which a ray ends
inline constexpr int kRayNumbers = 7;                   // direction, origin from the camera's centre, start
inline constexpr int kFrameNumbers = 12;                // CanonicalFrame of math/volume.h
inline constexpr int kVolumeGrads = kFrameNumbers + 4;  // of the frame, the density, the colour

struct VolumeInputs {
  int64_t images, gaussians;
  ImageSize image;
  int tile_size;
  const float* frames;     // [images, gaussians, kFrameNumbers]
  const float* densities;  // [images, gaussians]
  const float* colors;     // [images, gaussians, 3]
  const float*
      reaches;  // [images, gaussians, 2] no ray meets a Gaussian nearer or farther; lists ascend by the first
  const float* rays;  // [images, height, width, kRayNumbers], a zero direction where there is none
  TileLists lists;
  float step, near, far, log2_threshold;
};

struct VolumeOutputs {
  float* colors;          // [images, height, width, 3]
  float* transmittances;  // [images, height, width]
};

struct VolumeGradInputs {
  const float* v_colors;
  const float* v_transmittances;
  const float* colors;  // these two are what the forward pass found
  const float* transmittances;
};

struct VolumeGrads {
  float*
      gaussians;  // [images, gaussians, kVolumeGrads]: frames, densities, colours; zero for who is not listed
  float* rays;    // [images, height, width, 6] or null
};

}  // namespace gsplat

GSPLAT_MATH_BEGIN

// The number of a sample that no ray takes farther away than a distance.
GSPLAT_HD int sample_before(const VolumeInputs& in, float distance) {
  const float k = (distance - in.near) / in.step - 2.0f;
  return k > 0.0f ? static_cast<int>(k < float(kMostSamples) ? k : float(kMostSamples)) : 0;
}

// And of one that none takes nearer; -1 if that is before the first.
GSPLAT_HD int sample_behind(const VolumeInputs& in, float distance) {
  const float k = (distance - in.near) / in.step + 1.0f;
  return k >= 0.0f ? static_cast<int>(k < float(kMostSamples) ? k : float(kMostSamples)) : -1;
}

GSPLAT_MATH_END
