// The photometric loss of 3DGS, L1 and SSIM with its gradient, on images [height, width, 3]: what goes in and
// out, the same for all backends.
#pragma once

#include <cstdint>

#include "math/scalar.h"

namespace gsplat {

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

// What the sums over all pixels and windows are divided by, and the share of the SSIM term.
struct LossWeights {
  double pixels, windows, lambda;
};

// One float each.
struct LossOutputs {
  float *loss, *l1, *ssim;
};

// loss = (1 - lambda) l1 + lambda (1 - ssim), from the sums of |image - target| and of SSIM.
GSPLAT_HD void mixed_loss(double absolute_difference, double ssim_sum, const LossWeights& weights,
                          const LossOutputs& out) {
  const double l1 = absolute_difference / weights.pixels, ssim = ssim_sum / weights.windows;
  *out.loss = static_cast<float>((1.0 - weights.lambda) * l1 + weights.lambda * (1.0 - ssim));
  *out.l1 = static_cast<float>(l1);
  *out.ssim = static_cast<float>(ssim);
}

}  // namespace gsplat
