// Density control by Markov chain Monte Carlo on the CPU, see raster/mcmc.h.
#pragma once

#include "raster/mcmc.h"

namespace gsplat {

void relocate(const RelocationArrays& arrays, int64_t count);

void perturb_means(const NoiseArrays& arrays, const NoiseOptions& options, int64_t count);

}  // namespace gsplat
