// Which splats the pixels of an image see: compositing that keeps their numbers.
#include "cuda/composite.h"
#include "cuda/pixel_order.cuh"
#include "math/response/selected.h"
#include "math/sightings.h"

namespace gsplat::cuda::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;  // an argument of kernels, which reports name by it

constexpr int kNoColors = 0;

// What one pixel has seen; with a list of the heaviest splats or without.
template <bool kListed>
struct Seen {
  int32_t first = -1, median = -1, strongest = -1;
  int counts = 0, listed = 0;
  float largest = 0.0f;
  float exceed = 0.0f;  // what a weight must, to be among the largest

  __device__ void look(const SightingOutputs& out, int64_t pixel, int32_t id, float front, float weight) {
    if (first < 0) first = id;
    if (before_median(front)) median = id;
    if (weight > largest) {
      strongest = id;
      largest = weight;
    }
    ++counts;
    if constexpr (kListed) {
      if (weight <= exceed) return;
      exceed = keep_heaviest(out.top_ids + pixel * out.top, out.top_weights + pixel * out.top, out.top,
                             listed, id, weight);
    }
  }
  __device__ void store(const SightingOutputs& out, const PixelPlace& place) const {
    if (!place.exists) return;
    if (out.first != nullptr) out.first[place.index] = first;
    if (out.median != nullptr) out.median[place.index] = median;
    if (out.strongest != nullptr) out.strongest[place.index] = strongest;
    if (out.counts != nullptr) out.counts[place.index] = counts;
  }
};

template <bool kListed>
__device__ void look_at_splat(const CompositeInputs& in, const StagedSplat<Response, kNoColors>& splat,
                              int32_t id, float dx, bool until_median, const SightingOutputs& out,
                              int64_t index, TilePixel<Response>& pixel, Seen<kListed>& seen) {
  GSPLAT_COUNT(pairs);
  const Blend<Response> blend(splat, dx, in.settings.max_alpha, pixel);
  if (!blend.blends) return;
  seen.look(out, index, id, pixel.transmittance, blend.alpha * pixel.transmittance);
  pixel.transmittance = blend.behind;
  if (until_median && !before_median(blend.behind)) pixel.finish();
}

template <class Response, bool kListed>
__global__ void __launch_bounds__(kMostTileThreads, blocks_at_least<Response>(2))
    composite_sightings(CompositeInputs in, SightingOutputs out) {
  __shared__ StagedBatch<Response, kNoColors> batch;
  const Tile tile(in);
  const PixelPlace upper_place(in, tile, pixel_x(), pixel_y());
  const PixelPlace lower_place(in, tile, pixel_x(), pixel_y() + kHalf);
  TilePixel<Response> upper(in, pixel_y(), upper_place), lower(in, pixel_y() + kHalf, lower_place);
  Seen<kListed> seen_upper, seen_lower;
  const bool until_median = !kListed && out.strongest == nullptr && out.counts == nullptr;
  const auto first_id = static_cast<int32_t>(tile.image * in.gaussians);
  const auto visit = [&](int, const StagedSplat<Response, kNoColors>& splat, float dx, bool in_upper,
                         bool in_lower) {
    const int32_t id = splat.id - first_id;
    if (in_upper) look_at_splat(in, splat, id, dx, until_median, out, upper_place.index, upper, seen_upper);
    if (in_lower) look_at_splat(in, splat, id, dx, until_median, out, lower_place.index, lower, seen_lower);
  };
  visit_splats<Response, kNoColors>(in, tile, 0, 0, batch, upper, lower, visit);
  seen_upper.store(out, upper_place);
  seen_lower.store(out, lower_place);
}

// The same in the order of each pixel's own.
template <class Response, bool kListed>
__global__ void __launch_bounds__(kMostTileThreads)
    composite_sightings_by_pixel(CompositeInputs in, SightingOutputs out) {
  __shared__ OrderedBatch<Response> batch;
  const Tile tile = half_tile(in);
  const PixelPlace place(in, tile, pixel_x(), half_pixel_y());
  TilePixel<Response> pixel(in, half_pixel_y(), place);
  Seen<kListed> seen;
  const bool until_median = !kListed && out.strongest == nullptr && out.counts == nullptr;
  const auto first_id = static_cast<int32_t>(tile.image * in.gaussians);
  meet_in_pixel_order<Response>(in, tile, batch, pixel, place, [&](const Hit& hit, int32_t id) {
    const float front = pixel.transmittance, weight = blend_hit(hit, pixel);
    if (weight == 0.0f) return;
    seen.look(out, place.index, id - first_id, front, weight);
    if (until_median && !before_median(pixel.transmittance)) pixel.finish();
  });
  seen.store(out, place);
}

template <bool kListed>
void launch(const CompositeInputs& in, const SightingOutputs& out, Stream stream) {
  if constexpr (!Response::Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) {
      composite_sightings_by_pixel<Response, kListed>
          <<<half_tile_blocks(in), tile_threads(in), 0, stream>>>(in, out);
      return check_launch("composite_sightings_by_pixel");
    }
  }
  composite_sightings<Response, kListed><<<tile_blocks(in), tile_threads(in), 0, stream>>>(in, out);
  check_launch("composite_sightings");
}

}  // namespace

void sightings(const CompositeInputs& in, const SightingOutputs& out, Stream stream) {
  if (in.images == 0) return;
  if (out.top > 0) {
    const auto pixels = static_cast<size_t>(in.images) * in.image.width * in.image.height;
    check(cudaMemsetAsync(out.top_ids, 0xff, sizeof(int32_t) * pixels * out.top, stream), "memset");
    launch<true>(in, out, stream);
  } else {
    launch<false>(in, out, stream);
  }
}

}  // namespace gsplat::cuda::GSPLAT_RESPONSE
