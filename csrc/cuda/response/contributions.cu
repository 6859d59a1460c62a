// How much the pixels of an image see of every splat: compositing without colours and without a derivative.
#include "cuda/composite.h"
#include "cuda/pixel_order.cuh"
#include "math/response/selected.h"

namespace gsplat::cuda::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;  // an argument of kernels, which reports name by it

constexpr int kNoColors = 0;

// Replaces a float that is not negative by a larger one: their bits are ordered as they are.
__device__ void atomic_max(float* target, float value) {
  atomicMax(reinterpret_cast<int*>(target), __float_as_int(value));
}

__device__ float blend_weight(const StagedSplat<Response, kNoColors>& splat, float dx, float max_alpha,
                              TilePixel<Response>& pixel) {
  GSPLAT_COUNT(pairs);
  const Blend<Response> blend(splat, dx, max_alpha, pixel);
  if (!blend.blends) return 0.0f;
  const float weight = blend.alpha * pixel.transmittance;
  pixel.transmittance = blend.behind;
  return weight;
}

template <class Response>
__global__ void __launch_bounds__(kMostTileThreads)
    composite_contributions(CompositeInputs in, Contribution* out) {
  __shared__ StagedBatch<Response, kNoColors> batch;
  const Tile tile(in);
  TilePixel<Response> upper(in, pixel_y(), PixelPlace(in, tile, pixel_x(), pixel_y()));
  TilePixel<Response> lower(in, pixel_y() + kHalf, PixelPlace(in, tile, pixel_x(), pixel_y() + kHalf));
  const auto visit = [&](int, const StagedSplat<Response, kNoColors>& splat, float dx, bool in_upper,
                         bool in_lower) {
    float weight = 0.0f, other = 0.0f;
    if (in_upper) weight = blend_weight(splat, dx, in.settings.max_alpha, upper);
    if (in_lower) other = blend_weight(splat, dx, in.settings.max_alpha, lower);
    const int pixels =
        __popc(__ballot_sync(kAllLanes, weight > 0.0f)) + __popc(__ballot_sync(kAllLanes, other > 0.0f));
    if (pixels == 0) return;
    float sum = weight + other, largest = max(weight, other);
    for (int distance = kWarp / 2; distance > 0; distance /= 2) {
      sum += __shfl_xor_sync(kAllLanes, sum, distance);
      largest = max(largest, __shfl_xor_sync(kAllLanes, largest, distance));
    }
    Contribution& total = out[splat.id];
    if (lane_index() == 0) atomic_add(&total.weights, sum);
    if (lane_index() == 1) atomic_add(&total.pixels, static_cast<float>(pixels));
    if (lane_index() == 2) atomic_max(&total.largest, largest);
  };
  visit_splats<Response, kNoColors>(in, tile, 0, 0, batch, upper, lower, visit);
}

// The same in the order of each pixel's own, in which the lanes of a warp meet different splats.
template <class Response>
__global__ void __launch_bounds__(kMostTileThreads)
    composite_contributions_by_pixel(CompositeInputs in, Contribution* out) {
  __shared__ OrderedBatch<Response> batch;
  const Tile tile = half_tile(in);
  const PixelPlace place(in, tile, pixel_x(), half_pixel_y());
  TilePixel<Response> pixel(in, half_pixel_y(), place);
  meet_in_pixel_order<Response>(in, tile, batch, pixel, place, [&](const Hit& hit, int32_t id) {
    const float weight = blend_hit(hit, pixel);
    if (weight == 0.0f) return;
    Contribution& total = out[id];
    atomic_add(&total.weights, weight);
    atomic_add(&total.pixels, 1.0f);
    atomic_max(&total.largest, weight);
  });
}

}  // namespace

void contributions(const CompositeInputs& in, Contribution* out, Stream stream) {
  if (in.images == 0) return;
  if constexpr (!Response::Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) {
      composite_contributions_by_pixel<Response>
          <<<half_tile_blocks(in), tile_threads(in), 0, stream>>>(in, out);
      return check_launch("composite_contributions_by_pixel");
    }
  }
  composite_contributions<Response><<<tile_blocks(in), tile_threads(in), 0, stream>>>(in, out);
  check_launch("composite_contributions");
}

}  // namespace gsplat::cuda::GSPLAT_RESPONSE
