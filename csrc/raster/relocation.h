// Relocation of one row, the same for all backends.
#pragma once

#include "math/relocation.h"
#include "raster/mcmc.h"

namespace gsplat {

GSPLAT_HD void relocate_row(const RelocationArrays& arrays, int64_t i) {
  const Relocated<double> one = relocated<double>(arrays.opacities[i], arrays.copies[i]);
  arrays.new_opacities[i] = static_cast<float>(one.opacity);
  for (int64_t j = 3 * i; j < 3 * i + 3; ++j) {
    arrays.new_scales[j] = static_cast<float>(arrays.scales[j] * one.scale_ratio);
  }
}

}  // namespace gsplat
