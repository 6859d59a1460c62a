// The photometric loss of 3DGS on the CPU, see raster/loss.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/isa.h"
#include "math/ssim.h"
#include "raster/loss.h"

namespace gsplat {

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
