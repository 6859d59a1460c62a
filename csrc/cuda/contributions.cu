// How much the pixels of an image see of every splat: compositing without colours and without a derivative.
#include "cuda/composite.h"
#include "cuda/composite_tile.cuh"

namespace gsplat::cuda {
namespace {

constexpr int kNoColors = 0;

// Replaces a float that is not negative by a larger one: their bits are ordered as they are.
__device__ void atomic_max(float* target, float value) {
  atomicMax(reinterpret_cast<int*>(target), __float_as_int(value));
}

__device__ float blend_weight(const SplatShape<float>& shape, float dx, float mean_y, float max_alpha,
                              BlendedPixel& pixel) {
  GSPLAT_COUNT(pairs);
  const Blend blend(shape, dx, mean_y, max_alpha, pixel);
  if (!blend.blends) return 0.0f;
  const float weight = blend.alpha * pixel.transmittance;
  pixel.transmittance = blend.behind;
  return weight;
}

__global__ void __launch_bounds__(kMostTileThreads)
    composite_contributions(CompositeInputs in, Contribution* out) {
  __shared__ StagedSplat<kNoColors> splats[kBatch];
  __shared__ uint32_t halves[kBatch];
  const Tile tile(in);
  BlendedPixel upper(pixel_y(), PixelPlace(in, tile, pixel_x(), pixel_y()));
  BlendedPixel lower(pixel_y() + kHalf, PixelPlace(in, tile, pixel_x(), pixel_y() + kHalf));
  const float x = static_cast<float>(pixel_x()) + 0.5f;

  for (int first = tile.begin; first < tile.end; first += kBatch) {
    // Also keeps the batch before in place until everyone is done with it.
    const bool done = upper.finished() && lower.finished();
    const int all_done = __syncthreads_and(done);
    if (all_done) break;
    const int count = tile.end - first < kBatch ? tile.end - first : kBatch;
    stage_splats<kNoColors>(in, tile, first, count, 0, 0, splats, halves);
    __syncthreads();
    for (int group = 0; group < count; group += kWarp) {
      const Visits visits(halves, group, count, !upper.finished(), !lower.finished());
      for (uint32_t rest = visits.upper | visits.lower; rest != 0; rest &= rest - 1) {
        GSPLAT_COUNT(visits);
        const uint32_t bit = rest & (0u - rest);
        const StagedSplat<kNoColors>& splat = splats[group + __ffs(rest) - 1];
        const SplatShape<float> shape = {splat.l11, splat.l21, splat.l22, splat.log2_opacity};
        const float dx = x - splat.mean_x;
        float weight = 0.0f, other = 0.0f;
        if ((visits.upper & bit) != 0) weight = blend_weight(shape, dx, splat.mean_y, in.max_alpha, upper);
        if ((visits.lower & bit) != 0) other = blend_weight(shape, dx, splat.mean_y, in.max_alpha, lower);
        const int pixels =
            __popc(__ballot_sync(kAllLanes, weight > 0.0f)) + __popc(__ballot_sync(kAllLanes, other > 0.0f));
        if (pixels == 0) continue;
        float sum = weight + other, largest = max(weight, other);
        for (int distance = kWarp / 2; distance > 0; distance /= 2) {
          sum += __shfl_xor_sync(kAllLanes, sum, distance);
          largest = max(largest, __shfl_xor_sync(kAllLanes, largest, distance));
        }
        Contribution& total = out[splat.id];
        if (lane_index() == 0) atomic_add(&total.weights, sum);
        if (lane_index() == 1) atomic_add(&total.pixels, static_cast<float>(pixels));
        if (lane_index() == 2) atomic_max(&total.largest, largest);
      }
    }
  }
}

}  // namespace

void contributions(const CompositeInputs& in, Contribution* out, Stream stream) {
  if (in.images == 0) return;
  composite_contributions<<<tile_blocks(in), tile_threads(in), 0, stream>>>(in, out);
  check_launch("composite_contributions");
}

}  // namespace gsplat::cuda
