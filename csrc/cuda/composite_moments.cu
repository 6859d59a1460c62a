// The moments of every splat that exact blocks of J^T W J are made of (math/gauss_newton.h).
//
// As in the backward pass, each warp replays the forward pass over its patch, and what a splat gets from the
// 64 pixels is summed over the warp and added to memory once. The sums come in two halves of 18, so that a
// lane never holds all 36.
#include "cuda/composite_tile.cuh"
#include "cuda/gauss_newton.h"
#include "math/gauss_newton.h"
#include "math/response/gaussian.h"

namespace gsplat::cuda {
namespace {

// What is quadratic is a Gaussian.
using Response = GaussianResponse;

constexpr int kRgb = 3;
constexpr int kHalfMoments = kSplatMoments / 2;
static_assert(kHalfMoments == kMixedMoments);

// What a pixel is given.
struct WeightedPixel {
  float weights[kRgb];
  float behind[kRgb];  // sum_i w_i (c_i - background) of the splats still to come

  __device__ WeightedPixel(const CompositeInputs& in, const MomentInputs& image, const Tile& tile,
                           const PixelPlace& place) {
#pragma unroll
    for (int c = 0; c < kRgb; ++c) {
      const float background = in.backgrounds == nullptr ? 0.0f : in.backgrounds[tile.image * kRgb + c];
      weights[c] = place.exists ? image.weights[place.index * kRgb + c] : 0.0f;
      behind[c] = place.exists ? image.colors[place.index * kRgb + c] - background : 0.0f;
    }
  }
};

// What one of the lane's pixels adds to the moments of a splat.
struct Addition {
  float u, v;  // the offset, see math/gauss_newton.h
  PixelMoments<float> moments;

  __device__ Addition() : u(0.0f), v(0.0f), moments{} {}
};

// Returns whether the splat was blended.
__device__ bool replay_splat(const StagedSplat<Response, kRgb>& splat, const float* background, float dx,
                             float max_alpha, TilePixel<Response>& pixel, WeightedPixel& weighted,
                             Addition& addition) {
  GSPLAT_COUNT(pairs);
  const Blend<Response> blend(splat, dx, max_alpha, pixel);
  if (!blend.blends) return false;
  const float weight = blend.alpha * pixel.transmittance;
  float e[kRgb];
#pragma unroll
  for (int c = 0; c < kRgb; ++c) {
    const float g = splat.colors()[c] - background[c];
    weighted.behind[c] = fma(-weight, g, weighted.behind[c]);
    // With the pixel's channel in place of the loss.
    const float by_alpha = Over::alpha_vjp(pixel.transmittance, blend.alpha, g, weighted.behind[c]);
    // No gradient through the cap.
    e[c] = zero_unless(blend.uncapped <= max_alpha, blend.alpha * by_alpha);
  }
  pixel.transmittance = blend.behind;
  const float unscale = static_cast<float>(1.0 / kRootScale);
  addition.u = blend.at.u * unscale;
  addition.v = blend.at.v * unscale;
  addition.moments = pixel_moments(weighted.weights, e, weight);
  return true;
}

// The sums over the lane's two pixels: those of the first half of the moments ...
__device__ void list_first_half(const Addition& upper, const Addition& lower, float (&sums)[kHalfMoments]) {
  float upper_monomials[kQuartic], lower_monomials[kQuartic];
  monomials(upper.u, upper.v, upper_monomials);
  monomials(lower.u, lower.v, lower_monomials);
#pragma unroll
  for (int k = 0; k < kQuartic; ++k) {
    sums[k] = fma(upper.moments.alpha, upper_monomials[k], lower.moments.alpha * lower_monomials[k]);
  }
#pragma unroll
  for (int c = 0; c < kRgb; ++c) {
    sums[kChannelMoments + c] = upper.moments.color[c] + lower.moments.color[c];
  }
}

// ... and the mixed ones.
__device__ void list_second_half(const Addition& upper, const Addition& lower, float (&sums)[kHalfMoments]) {
  float upper_monomials[kQuartic], lower_monomials[kQuartic];
  monomials(upper.u, upper.v, upper_monomials);
  monomials(lower.u, lower.v, lower_monomials);
#pragma unroll
  for (int c = 0; c < kRgb; ++c) {
#pragma unroll
    for (int k = 0; k < kQuadratic; ++k) {
      sums[c * kQuadratic + k] =
          fma(upper.moments.mixed[c], upper_monomials[k], lower.moments.mixed[c] * lower_monomials[k]);
    }
  }
}

// Two of the largest blocks on a multiprocessor leave 64 registers to a thread.
__global__ void __launch_bounds__(kMostTileThreads, 2)
    composite_tile_moments(CompositeInputs in, MomentInputs image, float* moments) {
  __shared__ StagedBatch<Response, kRgb> batch;
  const Tile tile(in);
  const PixelPlace upper_place(in, tile, pixel_x(), pixel_y());
  const PixelPlace lower_place(in, tile, pixel_x(), pixel_y() + kHalf);
  TilePixel<Response> upper(in, pixel_y(), upper_place), lower(in, pixel_y() + kHalf, lower_place);
  WeightedPixel upper_weighted(in, image, tile, upper_place), lower_weighted(in, image, tile, lower_place);
  float background[kRgb];
#pragma unroll
  for (int c = 0; c < kRgb; ++c) {
    background[c] = in.backgrounds == nullptr ? 0.0f : in.backgrounds[tile.image * kRgb + c];
  }
  const SumOwner owner = sum_owner<kHalfMoments>();
  const auto visit = [&](int, const StagedSplat<Response, kRgb>& splat, float dx, bool in_upper,
                         bool in_lower) {
    Addition of_upper, of_lower;
    bool blended = false;
    if (in_upper) {
      blended |= replay_splat(splat, background, dx, in.settings.max_alpha, upper, upper_weighted, of_upper);
    }
    if (in_lower) {
      blended |= replay_splat(splat, background, dx, in.settings.max_alpha, lower, lower_weighted, of_lower);
    }
    if (!__any_sync(kAllLanes, blended)) return;
    float* target = moments + static_cast<int64_t>(splat.id) * kSplatMoments + owner.index;
    float sums[kHalfMoments];
    list_first_half(of_upper, of_lower, sums);
    const float first = warp_sums(sums);
    if (owner.owns) atomic_add(target, first);
    list_second_half(of_upper, of_lower, sums);
    const float second = warp_sums(sums);
    if (owner.owns) atomic_add(target + kHalfMoments, second);
  };
  visit_splats<Response, kRgb>(in, tile, 0, kRgb, batch, upper, lower, visit);
}

}  // namespace

void composite_moments(const CompositeInputs& in, const MomentInputs& image, float* moments, Stream stream) {
  if (in.images == 0) return;
  composite_tile_moments<<<tile_blocks(in), tile_threads(in), 0, stream>>>(in, image, moments);
  check_launch("composite_tile_moments");
}

}  // namespace gsplat::cuda
