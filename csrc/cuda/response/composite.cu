// Front-to-back compositing of the splats of each tile.
#include "cuda/composite.h"
#include "cuda/depth_sums.cuh"
#include "cuda/pixel_order.cuh"
#include "math/response/selected.h"
#include "raster/channels.h"

namespace gsplat::cuda::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;  // an argument of kernels, which reports name by it

// Blended colours of one pixel.
template <int kColors>
struct Colors {
  float sum[kColors];

  __device__ Colors() {
#pragma unroll
    for (int c = 0; c < kColors; ++c) sum[c] = 0.0f;
  }
  __device__ void blend(float weight, const float* colors) {
#pragma unroll
    for (int c = 0; c < kColors; ++c) sum[c] = fma(weight, colors[c], sum[c]);
  }
  // Adds the background and writes the pixel, if it is inside the image.
  __device__ void store(const CompositeInputs& in, const Tile& tile, int y, float transmittance,
                        int first_channel, int channels, const CompositeOutputs& out) const {
    const PixelPlace place(in, tile, pixel_x(), y);
    if (!place.exists) return;
    const float* background =
        in.backgrounds == nullptr ? nullptr : in.backgrounds + tile.image * in.channels + first_channel;
    float* colors = out.colors + place.index * in.channels + first_channel;
#pragma unroll
    for (int c = 0; c < kColors; ++c) {
      if (c >= channels) break;
      colors[c] = background == nullptr ? sum[c] : fma(transmittance, background[c], sum[c]);
    }
    out.alphas[place.index] = 1.0f - transmittance;
  }
};

template <int kColors>
__device__ void blend_splat(const StagedSplat<Response, kColors>& splat, float dx, float max_alpha,
                            TilePixel<Response>& pixel, Colors<kColors>& blended, Depths<Response>& depths) {
  GSPLAT_COUNT(pairs);
  const Blend<Response> blend(splat, dx, max_alpha, pixel);
  if (blend.blends) {
    const float weight = blend.alpha * pixel.transmittance;
    blended.blend(weight, splat.colors());
    depths.blend(weight, blend);
    pixel.transmittance = blend.behind;
  }
}

// Three of the largest blocks fill three quarters of a multiprocessor with warps; those of Turing hold two.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int kMostBlocks = 2;
#else
constexpr int kMostBlocks = 3;
#endif

// Blends `channels` <= kColors channels from `first_channel` on.
template <class Response, int kColors>
__global__ void __launch_bounds__(kMostTileThreads, blocks_at_least<Response>(kColors <= 3 ? kMostBlocks : 2))
    composite_tiles(CompositeInputs in, CompositeOutputs out, int first_channel, int channels) {
  __shared__ StagedBatch<Response, kColors> batch;
  const Tile tile(in);
  TilePixel<Response> upper(in, pixel_y(), PixelPlace(in, tile, pixel_x(), pixel_y()));
  TilePixel<Response> lower(in, pixel_y() + kHalf, PixelPlace(in, tile, pixel_x(), pixel_y() + kHalf));
  Colors<kColors> upper_colors, lower_colors;
  Depths<Response> upper_depths, lower_depths;
  const auto visit = [&](int, const StagedSplat<Response, kColors>& splat, float dx, bool in_upper,
                         bool in_lower) {
    if (in_upper) blend_splat(splat, dx, in.settings.max_alpha, upper, upper_colors, upper_depths);
    if (in_lower) blend_splat(splat, dx, in.settings.max_alpha, lower, lower_colors, lower_depths);
  };
  visit_splats<Response, kColors>(in, tile, first_channel, channels, batch, upper, lower, visit);
  upper_colors.store(in, tile, pixel_y(), upper.transmittance, first_channel, channels, out);
  lower_colors.store(in, tile, pixel_y() + kHalf, lower.transmittance, first_channel, channels, out);
  if (first_channel > 0) return;
  upper_depths.store(in, tile, pixel_y(), out);
  lower_depths.store(in, tile, pixel_y() + kHalf, out);
}

// The same in the order of each pixel's own.
template <class Response, int kColors>
__global__ void __launch_bounds__(kMostTileThreads)
    composite_tiles_by_pixel(CompositeInputs in, CompositeOutputs out, int first_channel, int channels) {
  __shared__ OrderedBatch<Response> batch;
  const Tile tile = half_tile(in);
  const PixelPlace place(in, tile, pixel_x(), half_pixel_y());
  TilePixel<Response> pixel(in, half_pixel_y(), place);
  Colors<kColors> blended;
  meet_in_pixel_order<Response>(in, tile, batch, pixel, place, [&](const Hit& hit, int32_t id) {
    const float weight = blend_hit(hit, pixel);
    if (weight == 0.0f) return;
    const float* colors = in.colors + static_cast<int64_t>(id) * in.channels + first_channel;
#pragma unroll
    for (int c = 0; c < kColors; ++c) {
      if (c < channels) blended.sum[c] = fma(weight, colors[c], blended.sum[c]);
    }
  });
  blended.store(in, tile, half_pixel_y(), pixel.transmittance, first_channel, channels, out);
}

template <int kColors>
void launch_by_pixel(const CompositeInputs& in, const CompositeOutputs& out, Stream stream) {
  if (in.images == 0) return;
  for (int first = 0; first < in.channels; first += kColors) {
    const int channels = in.channels - first < kColors ? in.channels - first : kColors;
    composite_tiles_by_pixel<Response, kColors>
        <<<half_tile_blocks(in), tile_threads(in), 0, stream>>>(in, out, first, channels);
    check_launch("composite_tiles_by_pixel");
  }
}

template <int kColors>
void launch(const CompositeInputs& in, const CompositeOutputs& out, Stream stream) {
  if (in.images == 0) return;
  for (int first = 0; first < in.channels; first += kColors) {
    const int channels = in.channels - first < kColors ? in.channels - first : kColors;
    composite_tiles<Response, kColors>
        <<<tile_blocks(in), tile_threads(in), 0, stream>>>(in, out, first, channels);
    check_launch("composite_tiles");
  }
}

}  // namespace

void composite(const CompositeInputs& in, const CompositeOutputs& out, Stream stream) {
  // Eight channels at a time, in several passes if need be.
  if constexpr (!Response::Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) {
      return for_channels<8, 3>(in.channels,
                                [&](auto channels) { launch_by_pixel<channels>(in, out, stream); });
    }
  }
  for_frequent_channels<Response, 8>(in.channels, [&](auto channels) { launch<channels>(in, out, stream); });
}

}  // namespace gsplat::cuda::GSPLAT_RESPONSE
