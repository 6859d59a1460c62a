// The photometric loss of 3DGS, L1 and SSIM with its gradient, on images [height, width, 3].
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/isa.h"

namespace gsplat {

// SSIM compares an 11x11 window around each pixel, weighted with a Gaussian of 1.5 pixels. What lies outside
// the image counts as zero.
inline constexpr int64_t kSsimRadius = 5;

struct LossInputs {
  const float* image;
  // The target as floats or as bytes that stand for value / 255; the other pointer is null.
  const float* target;
  const uint8_t* target_bytes;
  int64_t height;
  int64_t width;
  // The SSIM map is averaged over the pixels at least this far from the border.
  int64_t margin;
};

// What is added to the gradient per unit of d|image - target| / d image and of d SSIM / d image.
struct LossGradient {
  float* pixels;  // [height, width, 3]; null: not wanted
  float l1_scale;
  float ssim_scale;
};

struct LossSums {
  double absolute_difference;
  double ssim;
};

// A part of an image that is processed at once by one thread.
struct LossTile {
  int64_t x, y, width, height;
};
inline constexpr int64_t kLossTileWidth = 128;

// Floats of working memory per thread, aligned to 64 bytes.
inline constexpr size_t kLossScratchFloats = 100 * (3 * kLossTileWidth + 64);

// Sums over all pixels and channels of `count` images that lie one behind the other.
LossSums l1_ssim(const LossInputs& inputs, const LossGradient& gradient, int64_t count);

}  // namespace gsplat

#define GSPLAT_L1_SSIM_KERNELS                                                                    \
  void l1_ssim_tile(const LossInputs& inputs, const LossGradient& gradient, const LossTile& tile, \
                    float* scratch, LossSums& sums);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_L1_SSIM_KERNELS)
