// Langevin noise, one Gaussian per lane.
#include "cpu/mcmc.h"

#include "cpu/simd/gaussian_lanes.h"
#include "math/sgld_noise.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// The normal vectors of kLanes rows from `first` on.
inline Vec3<Float> normal_vectors(int64_t first, const NoiseOptions& options) {
  alignas(64) float lanes[4][kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    const Random4 numbers = noise_numbers(static_cast<uint64_t>(first + lane), options.seed, options.step);
    for (int k = 0; k < 4; ++k) lanes[k][lane] = uniform(numbers.x[k]);
  }
  const Float uniforms[4] = {Float::load(lanes[0]), Float::load(lanes[1]), Float::load(lanes[2]),
                             Float::load(lanes[3])};
  return normal_vector(uniforms);
}

}  // namespace

void perturb_means(const NoiseArrays& arrays, const NoiseOptions& options, int64_t count) {
  const Float strength(options.strength), steepness(options.steepness), threshold(options.threshold);
  each_gaussian_chunk(1, count, [&](const GaussianChunk& chunk) {
    chunk.each_block([&](int64_t i, int rows) {
      const Vec3<Float> mean = load_vec3(arrays.means + 3 * i, 3, rows);
      const Vec3<Float> scale = load_vec3(arrays.scales + 3 * i, 3, rows);
      const Float opacity = LaneBlock<1>::load(arrays.opacities + i, 1, rows)[0];
      const Float open = strength * noise_gate(opacity, steepness, threshold);
      const LaneMask stays = stays_in_place(mean, scale, open);
      Vec3<Float> moved = mean;
      // Most Gaussians are far from transparent, and random numbers are what takes time here.
      if (any(!stays)) {
        const auto q = LaneBlock<4>::load(arrays.quats + 4 * i, 4, rows);
        const Vec3<Float> noise =
            sgld_noise<Float>({q[0], q[1], q[2], q[3]}, scale, normal_vectors(i, options));
        moved = {select(stays, mean.x, mean.x + open * noise.x),
                 select(stays, mean.y, mean.y + open * noise.y),
                 select(stays, mean.z, mean.z + open * noise.z)};
      }
      store_vec3(moved, arrays.new_means + 3 * i, 3, rows);
    });
  });
}

}  // namespace gsplat::GSPLAT_ISA
