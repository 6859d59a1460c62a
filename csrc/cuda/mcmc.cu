// Density control by Markov chain Monte Carlo, one thread per Gaussian.
#include "cuda/mcmc.h"
#include "math/sgld_noise.h"
#include "raster/relocation.h"

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
  if (i >= count) return;
  const float *m = arrays.means + 3 * i, *s = arrays.scales + 3 * i, *q = arrays.quats + 4 * i;
  const Vec3<float> mean = {m[0], m[1], m[2]}, scale = {s[0], s[1], s[2]};
  const float open = options.strength * noise_gate(arrays.opacities[i], options.steepness, options.threshold);
  Vec3<float> moved = mean;
  if (!stays_in_place(mean, scale, open)) {
    const Random4 numbers = noise_numbers(static_cast<uint64_t>(i), options.seed, options.step);
    const float uniforms[4] = {uniform(numbers.x[0]), uniform(numbers.x[1]), uniform(numbers.x[2]),
                               uniform(numbers.x[3])};
    moved = mean + open * sgld_noise<float>({q[0], q[1], q[2], q[3]}, scale, normal_vector(uniforms));
  }
  float* to = arrays.new_means + 3 * i;
  to[0] = moved.x;
  to[1] = moved.y;
  to[2] = moved.z;
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
