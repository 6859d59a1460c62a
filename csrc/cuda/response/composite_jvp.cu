// Forward mode of compositing: the tangents of the pixels from the tangents of the splats.
//
// The walk of the forward pass, which carries the tangent of the transmittance next to the transmittance
// itself. Which splat is skipped, capped or the last one was decided by the values.
#include "cuda/composite.h"
#include "cuda/depth_sums.cuh"
#include "math/forward_mode.h"
#include "math/response/selected.h"
#include "raster/channels.h"

namespace gsplat::cuda::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;  // an argument of kernels, which reports name by it
using Family = Response::Family;
constexpr int kExtras = Response::kExtras;

// The tangents of a StagedSplat.
template <int kColors>
struct StagedTangent {
  Family::MovingSplat splat;
  float extras_and_colors[kExtras + kColors];

  __device__ const float* extras() const { return extras_and_colors; }
  __device__ const float* colors() const { return extras_and_colors + kExtras; }
};

template <int kColors>
__device__ void stage_tangent(const CompositeInputs& in, const CompositeTangents& t, int64_t id,
                              int first_channel, int channels, StagedTangent<kColors>& staged) {
  staged.splat = load_moving<Family>(in, t, id);
#pragma unroll
  for (int e = 0; e < kExtras; ++e) staged.extras_and_colors[e] = t.extras[id * kExtras + e];
#pragma unroll
  for (int c = 0; c < kColors; ++c) {
    staged.extras_and_colors[kExtras + c] =
        c < channels ? t.colors[id * in.channels + first_channel + c] : 0.0f;
  }
}

// What a moving splat has to know of a pixel: its offset from the mean, or how its ray changes.
template <class Response, bool kAlongRays = Response::Family::kAlongRays>
struct PixelMotion {
  __device__ PixelMotion(const CompositeInputs&, const CompositeTangents&, const PixelPlace&) {}
  __device__ Vec2<float> of(const TilePixel<Response>&, const Vec2<float>& offset) const { return offset; }
};

template <class Response>
struct PixelMotion<Response, true> {
  const float* t_rays;
  float inverse_length;

  __device__ PixelMotion(const CompositeInputs& in, const CompositeTangents& t, const PixelPlace& place)
      : t_rays(nullptr), inverse_length(0.0f) {
    if (!place.exists) return;
    t_rays = t.rays + place.index * in.rays.numbers;
    inverse_length = Response::Family::kFlat ? 1.0f : load_ray(in.rays, place.index).inverse_length;
  }
  // Of a pixel that exists: the splat is seen in it.
  __device__ MovingRay<float> of(const TilePixel<Response>& pixel, const Vec2<float>&) const {
    Ray<float> t_ray = {
        inverse_length * Vec3<float>{t_rays[0], t_rays[1], t_rays[2]}, {0.0f, 0.0f, 0.0f}, pixel.from_centre};
    if (!pixel.from_centre) t_ray.origin = {t_rays[3], t_rays[4], t_rays[5]};
    return {pixel.ray(), t_ray};
  }
};

// How a pixel changes.
template <int kColors>
struct PixelTangents {
  float colors[kColors];
  float transmittance;
  Depths<Response> depths;
  PixelMotion<Response> motion;

  __device__ PixelTangents(const CompositeInputs& in, const CompositeTangents& t, const PixelPlace& place)
      : transmittance(0.0f), motion(in, t, place) {
#pragma unroll
    for (int c = 0; c < kColors; ++c) colors[c] = 0.0f;
  }
  // Adds the background's part and writes the pixel, if it is inside the image.
  __device__ void store(const CompositeInputs& in, const Tile& tile, int y, int first_channel, int channels,
                        const CompositeOutputs& out) const {
    const PixelPlace place(in, tile, pixel_x(), y);
    if (!place.exists) return;
    const float* background =
        in.backgrounds == nullptr ? nullptr : in.backgrounds + tile.image * in.channels + first_channel;
    float* pixel = out.colors + place.index * in.channels + first_channel;
#pragma unroll
    for (int c = 0; c < kColors; ++c) {
      if (c >= channels) break;
      pixel[c] = background == nullptr ? colors[c] : fma(transmittance, background[c], colors[c]);
    }
    out.alphas[place.index] = -transmittance;
    if (first_channel == 0) depths.store(in, tile, y, out);
  }
};

template <int kColors>
__device__ void blend_tangents(const StagedSplat<Response, kColors>& splat, const StagedTangent<kColors>& t,
                               float dx, float max_alpha, TilePixel<Response>& pixel,
                               PixelTangents<kColors>& tangents) {
  GSPLAT_COUNT(pairs);
  const Blend<Response> blend(splat, dx, max_alpha, pixel);
  if (!blend.blends) return;
  const Moving<Response, float> moving(splat.shape, blend.prepared, t.splat, t.extras());
  const auto motion = tangents.motion.of(pixel, {dx, blend.dy});
  const Dual<float> alpha = moving.alpha(blend.alpha, blend.uncapped <= max_alpha, blend.at, motion);
  const Dual<float> transmittance(pixel.transmittance, tangents.transmittance);
  const Dual<float> weight = alpha * transmittance;
#pragma unroll
  for (int c = 0; c < kColors; ++c) {
    tangents.colors[c] =
        fma(weight.tangent, splat.colors()[c], fma(weight.value, t.colors()[c], tangents.colors[c]));
  }
  tangents.depths.move(moving, weight, blend, motion);
  tangents.transmittance = Over::behind(transmittance, alpha).tangent;
  pixel.transmittance = blend.behind;
}

// Blends `channels` <= kColors channels from `first_channel` on.
template <class Response, int kColors>
__global__ void __launch_bounds__(kMostTileThreads, blocks_at_least<Response>(2))
    composite_tile_tangents(CompositeInputs in, CompositeTangents t, CompositeOutputs out, int first_channel,
                            int channels) {
  __shared__ StagedBatch<Response, kColors> batch;
  __shared__ StagedTangent<kColors> staged[kBatch];
  const Tile tile(in);
  TilePixel<Response> upper(in, pixel_y(), PixelPlace(in, tile, pixel_x(), pixel_y()));
  TilePixel<Response> lower(in, pixel_y() + kHalf, PixelPlace(in, tile, pixel_x(), pixel_y() + kHalf));
  PixelTangents<kColors> upper_tangents(in, t, PixelPlace(in, tile, pixel_x(), pixel_y()));
  PixelTangents<kColors> lower_tangents(in, t, PixelPlace(in, tile, pixel_x(), pixel_y() + kHalf));
  const auto stage = [&](int i, int64_t id) {
    stage_tangent<kColors>(in, t, id, first_channel, channels, staged[i]);
  };
  const auto visit = [&](int i, const StagedSplat<Response, kColors>& splat, float dx, bool in_upper,
                         bool in_lower) {
    if (in_upper) blend_tangents<kColors>(splat, staged[i], dx, in.settings.max_alpha, upper, upper_tangents);
    if (in_lower) blend_tangents<kColors>(splat, staged[i], dx, in.settings.max_alpha, lower, lower_tangents);
  };
  visit_splats<Response, kColors>(in, tile, first_channel, channels, batch, upper, lower, stage, visit);
  upper_tangents.store(in, tile, pixel_y(), first_channel, channels, out);
  lower_tangents.store(in, tile, pixel_y() + kHalf, first_channel, channels, out);
}

template <int kColors>
void launch(const CompositeInputs& in, const CompositeTangents& tangents, const CompositeOutputs& out,
            Stream stream) {
  for (int first = 0; first < in.channels; first += kColors) {
    const int channels = in.channels - first < kColors ? in.channels - first : kColors;
    composite_tile_tangents<Response, kColors>
        <<<tile_blocks(in), tile_threads(in), 0, stream>>>(in, tangents, out, first, channels);
    check_launch("composite_tile_tangents");
  }
}

}  // namespace

void composite_jvp(const CompositeInputs& in, const CompositeTangents& tangents, const CompositeOutputs& out,
                   Stream stream) {
  if (in.images == 0) return;
  // Eight channels at a time, in several passes if need be.
  for_frequent_channels<Response, 8>(in.channels,
                                     [&](auto channels) { launch<channels>(in, tangents, out, stream); });
}

}  // namespace gsplat::cuda::GSPLAT_RESPONSE
