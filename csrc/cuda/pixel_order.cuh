// The order of each pixel's own (raster/order.h): a walk in which every pixel meets the splats of its tile
// so.
//
// Sorting all that a pixel sees takes more room than a lane has. So a block leads through the list of its
// tile several times: each time a pixel keeps the nearest splats behind those that it has blended, as many as
// fit into registers, and then blends them. To have room, a lane has one pixel instead of two: there is a
// block for the upper halves of a tile's patches and one for the lower ones.
#pragma once

#include "cuda/composite_tile.cuh"
#include "math/ray_depth.h"

namespace gsplat::cuda {

inline dim3 half_tile_blocks(const CompositeInputs& in) {
  const dim3 tiles = tile_blocks(in);
  return dim3(tiles.x, tiles.y, 2 * tiles.z);
}

// Which halves of the patches a block has.
__device__ inline int which_half() { return static_cast<int>(blockIdx.z & 1u); }
__device__ inline Tile half_tile(const CompositeInputs& in) { return Tile(in, blockIdx.z / 2); }
__device__ inline int half_pixel_y() { return pixel_y() + which_half() * kHalf; }

// A splat that a pixel sees.
struct Hit {
  float depth;
  float alpha;
  int32_t place;  // in flatten_ids; -1: none

  __device__ static Hit none() { return {std::numeric_limits<float>::infinity(), 0.0f, -1}; }
  __device__ bool exists() const { return place >= 0; }
};

inline constexpr int kAtOnce = 16;  // hits of a lane

// The nearest hits of those that were kept, nearest first. Indices are known when this is compiled: registers
// have no others.
struct NearestHits {
  Hit hits[kAtOnce];

  __device__ NearestHits() {
#pragma unroll
    for (Hit& hit : hits) hit = Hit::none();
  }

  __device__ bool full() const { return hits[kAtOnce - 1].exists(); }
  __device__ bool reaches(float depth) const { return depth < hits[kAtOnce - 1].depth; }

  // Keeps one behind those that are as near; the farthest one may have to go.
  __device__ __forceinline__ void keep(Hit hit) {
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const Hit other = hits[i];
      const bool before = hit.depth < other.depth;
      hits[i].depth = before ? hit.depth : other.depth;
      hits[i].alpha = before ? hit.alpha : other.alpha;
      hits[i].place = before ? hit.place : other.place;
      hit.depth = before ? other.depth : hit.depth;
      hit.alpha = before ? other.alpha : hit.alpha;
      hit.place = before ? other.place : hit.place;
    }
  }
  __device__ __forceinline__ Hit take_nearest() {
    const Hit nearest = hits[0];
#pragma unroll
    for (int i = 0; i + 1 < kAtOnce; ++i) hits[i] = hits[i + 1];
    hits[kAtOnce - 1] = Hit::none();
    return nearest;
  }
};

template <class Response>
struct OrderedBatch {
  StagedBatch<Response, 0> batch;
  float frames[kBatch][RayInputs::kCanonical];
};

// The ray of a lane's pixel.
struct PixelDirection {
  float direction[3], origin[3];

  __device__ PixelDirection(const RayInputs& rays, const PixelPlace& place) {
    const float* numbers = rays.rays + (place.exists ? place.index : 0) * rays.numbers;
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      direction[i] = numbers[i];
      origin[i] = rays.numbers == 6 ? numbers[3 + i] : 0.0f;
    }
  }
};

// Leads the block through the splats of its tile until its pixels are finished. All lanes call meet(hit, id)
// with the next splat that their pixel sees, in its order, or with none.
template <class Response, class Meet>
__device__ __forceinline__ void meet_in_pixel_order(const CompositeInputs& in, const Tile& tile,
                                                    OrderedBatch<Response>& ordered,
                                                    TilePixel<Response>& pixel, const PixelPlace& place,
                                                    const Meet& meet) {
  StagedBatch<Response, 0>& batch = ordered.batch;
  const PixelDirection ray(in.rays, place);
  const float x = static_cast<float>(pixel_x()) + 0.5f;
  const bool is_lower = which_half() != 0;
  Hit last = {-1.0f, 0.0f, -1};  // that was blended
  int some_left = 1;
  while (some_left != 0) {
    NearestHits nearest;
#pragma unroll 1
    for (int first = tile.begin; first < tile.end; first += kBatch) {
      __syncthreads();  // everyone is done with the batch before
      const int count = tile.end - first < kBatch ? tile.end - first : kBatch;
      stage_splats<Response, 0>(in, tile, first, count, 0, 0, batch, [&](int i, int64_t id) {
        for (int k = 0; k < RayInputs::kCanonical; ++k) {
          ordered.frames[i][k] = in.rays.canonical[id * RayInputs::kCanonical + k];
        }
      });
      __syncthreads();
      for (int group = 0; group < count; group += kWarp) {
        const bool alive = !pixel.finished();
        const Visits visits(batch.halves, group, count, alive && !is_lower, alive && is_lower);
        for (uint32_t rest = visits.upper | visits.lower; rest != 0; rest &= rest - 1) {
          GSPLAT_COUNT(visits);
          GSPLAT_COUNT(pairs);
          const int i = group + __ffs(rest) - 1;
          const StagedSplat<Response, 0>& splat = batch.splats[i];
          TilePixel<Response> passing = pixel;
          const Blend<Response> blend(splat, x - splat.mean_x, in.settings.max_alpha, passing);
          if (!blend.hit) continue;
          const Hit hit = {depth_along_ray<true>(ordered.frames[i], ray.direction, ray.origin), blend.alpha,
                           first + i};
          const bool is_new = hit.depth > last.depth || (hit.depth == last.depth && hit.place > last.place);
          if (is_new && nearest.reaches(hit.depth)) nearest.keep(hit);
        }
      }
    }
    const bool full = nearest.full();
#pragma unroll 1
    for (int i = 0; i < kAtOnce; ++i) {
      const Hit hit = nearest.take_nearest();
      if (hit.exists()) last = hit;
      meet(hit, hit.exists() ? in.lists.flatten_ids[hit.place] : -1);
    }
    if (!full) pixel.finish();  // there are no more
    some_left = __syncthreads_or(!pixel.finished());
  }
}

// Blends a hit into the pixel and returns its weight; 0 if the pixel is finished, or is by this one.
__device__ inline float blend_hit(const Hit& hit, BlendedPixel& pixel) {
  if (!hit.exists() || pixel.finished()) return 0.0f;
  const float behind = Over::behind(pixel.transmittance, hit.alpha);
  if (Over::finished(behind)) {
    pixel.finish();
    return 0.0f;
  }
  const float weight = hit.alpha * pixel.transmittance;
  pixel.transmittance = behind;
  return weight;
}

}  // namespace gsplat::cuda
