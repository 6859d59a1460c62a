// How much of every splat the pixels of each label see: contributions, told apart.
#include "cuda/composite.h"
#include "cuda/pixel_order.cuh"
#include "math/response/selected.h"

namespace gsplat::cuda::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;  // an argument of kernels, which reports name by it

constexpr int kNoColors = 0;

// The label of a pixel, counted from the first one wanted; -1 where that is none of them.
__device__ int label_of(const LabelInputs& labels, const PixelPlace& place) {
  if (!place.exists) return -1;
  const int64_t number = static_cast<int64_t>(labels.labels[place.index]) - labels.first;
  return number < 0 || number >= labels.count ? -1 : static_cast<int>(number);
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
    composite_label_weights(CompositeInputs in, LabelInputs labels, float* out) {
  __shared__ StagedBatch<Response, kNoColors> batch;
  const Tile tile(in);
  const PixelPlace upper_place(in, tile, pixel_x(), pixel_y());
  const PixelPlace lower_place(in, tile, pixel_x(), pixel_y() + kHalf);
  TilePixel<Response> upper(in, pixel_y(), upper_place), lower(in, pixel_y() + kHalf, lower_place);
  const int upper_label = label_of(labels, upper_place), lower_label = label_of(labels, lower_place);
  const auto visit = [&](int, const StagedSplat<Response, kNoColors>& splat, float dx, bool in_upper,
                         bool in_lower) {
    float weight = 0.0f, other = 0.0f;
    if (in_upper) weight = blend_weight(splat, dx, in.settings.max_alpha, upper);
    if (in_lower) other = blend_weight(splat, dx, in.settings.max_alpha, lower);
    // One label of the warp after the other.
    uint32_t uppers = __ballot_sync(kAllLanes, weight > 0.0f && upper_label >= 0);
    uint32_t lowers = __ballot_sync(kAllLanes, other > 0.0f && lower_label >= 0);
    while ((uppers | lowers) != 0) {
      const int lane = __ffs(uppers != 0 ? uppers : lowers) - 1;
      const int label = __shfl_sync(kAllLanes, uppers != 0 ? upper_label : lower_label, lane);
      float sum = (upper_label == label ? weight : 0.0f) + (lower_label == label ? other : 0.0f);
      for (int distance = kWarp / 2; distance > 0; distance /= 2) {
        sum += __shfl_xor_sync(kAllLanes, sum, distance);
      }
      if (lane_index() == 0) atomic_add(out + static_cast<int64_t>(splat.id) * labels.count + label, sum);
      uppers &= ~__ballot_sync(kAllLanes, upper_label == label);
      lowers &= ~__ballot_sync(kAllLanes, lower_label == label);
    }
  };
  visit_splats<Response, kNoColors>(in, tile, 0, 0, batch, upper, lower, visit);
}

// The same in the order of each pixel's own, in which the lanes of a warp meet different splats.
template <class Response>
__global__ void __launch_bounds__(kMostTileThreads)
    composite_label_weights_by_pixel(CompositeInputs in, LabelInputs labels, float* out) {
  __shared__ OrderedBatch<Response> batch;
  const Tile tile = half_tile(in);
  const PixelPlace place(in, tile, pixel_x(), half_pixel_y());
  TilePixel<Response> pixel(in, half_pixel_y(), place);
  const int label = label_of(labels, place);
  meet_in_pixel_order<Response>(in, tile, batch, pixel, place, [&](const Hit& hit, int32_t id) {
    const float weight = blend_hit(hit, pixel);
    if (weight == 0.0f || label < 0) return;
    atomic_add(out + static_cast<int64_t>(id) * labels.count + label, weight);
  });
}

}  // namespace

void label_weights(const CompositeInputs& in, const LabelInputs& labels, float* out, Stream stream) {
  if (in.images == 0) return;
  if constexpr (!Response::Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) {
      composite_label_weights_by_pixel<Response>
          <<<half_tile_blocks(in), tile_threads(in), 0, stream>>>(in, labels, out);
      return check_launch("composite_label_weights_by_pixel");
    }
  }
  composite_label_weights<Response><<<tile_blocks(in), tile_threads(in), 0, stream>>>(in, labels, out);
  check_launch("composite_label_weights");
}

}  // namespace gsplat::cuda::GSPLAT_RESPONSE
