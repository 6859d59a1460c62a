// Density control by Markov chain Monte Carlo on the CPU, see raster/mcmc.h.
#pragma once

#include "cpu/isa.h"
#include "raster/mcmc.h"

namespace gsplat {

void relocate(const RelocationArrays& arrays, int64_t count);

}  // namespace gsplat

#define GSPLAT_MCMC_KERNELS \
  void perturb_means(const NoiseArrays& arrays, const NoiseOptions& options, int64_t count);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_MCMC_KERNELS)
