// Density control by Markov chain Monte Carlo, see raster/mcmc.h.
#pragma once

#include "cuda/launch.h"
#include "raster/mcmc.h"

namespace gsplat::cuda {

// Sets `refused`, in device memory, to whether a number of copies is not between 1 and `most_copies`.
void relocate(const RelocationArrays& arrays, int64_t count, int32_t most_copies, int32_t* refused,
              Stream stream);

void perturb_means(const NoiseArrays& arrays, const NoiseOptions& options, int64_t count, Stream stream);

}  // namespace gsplat::cuda
