// Density control by Markov chain Monte Carlo, one thread per Gaussian.
#include "cuda/mcmc.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads)
    relocate_gaussians(RelocationArrays arrays, int64_t count, int32_t most_copies, int32_t* refused) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  if (arrays.copies[i] >= 1 && arrays.copies[i] <= most_copies) {
    relocate_row(arrays, i);
  } else {
    atomicExch(refused, 1);
  }
}

__global__ void __launch_bounds__(kThreads)
    perturb_gaussians(NoiseArrays arrays, NoiseOptions options, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) perturb_row(arrays, options, i);
}

}  // namespace

void relocate(const RelocationArrays& arrays, int64_t count, int32_t most_copies, int32_t* refused,
              Stream stream) {
  check(cudaMemsetAsync(refused, 0, sizeof(int32_t), stream), "memset");
  if (count == 0) return;
  relocate_gaussians<<<blocks_of(kThreads, count), kThreads, 0, stream>>>(arrays, count, most_copies,
                                                                          refused);
  check_launch("relocate_gaussians");
}

void perturb_means(const NoiseArrays& arrays, const NoiseOptions& options, int64_t count, Stream stream) {
  if (count == 0) return;
  perturb_gaussians<<<blocks_of(kThreads, count), kThreads, 0, stream>>>(arrays, options, count);
  check_launch("perturb_gaussians");
}

}  // namespace gsplat::cuda
