// What all compositing kernels do alike, to the last bit: who owns which pixels of a tile, which splats a
// warp meets, how opaque a splat is at a pixel, and when a pixel is finished.
//
// A block owns a tile and each of its warps a patch of 8 x 8 pixels. A lane has two pixels of it, four rows
// apart, so that what is loaded and computed per splat or per column serves both. The upper and the lower
// half of a patch are skipped separately where a splat does not reach them.
#pragma once

#include <limits>

#include "cuda/warp.cuh"
#include "math/compositor/over.h"
#include "math/ellipse.h"
#include "raster/rays.h"
#include "raster/types.h"

namespace gsplat::cuda {

inline constexpr int kPatch = 8;                      // pixels per side
inline constexpr int kHalf = kPatch / 2;              // rows between the two pixels of a lane
inline constexpr int kBatch = 128;                    // splats that a block stages at a time
inline constexpr int kMostTileThreads = 32 * 32 / 2;  // for the largest tiles

// How many of the largest blocks a multiprocessor is to hold at least: as many as a kernel wants, but one of
// those along rays, whose frames take more registers.
template <class Response>
inline constexpr int blocks_at_least(int wanted) {
  return Response::Family::kAlongRays ? 1 : wanted;
}

inline dim3 tile_threads(const CompositeInputs& in) {
  const unsigned patches = static_cast<unsigned>(in.settings.tile_size) / kPatch;
  return dim3(patches * kWarp, patches);
}

inline dim3 tile_blocks(const CompositeInputs& in) {
  const TileGrid grid(in.image, in.settings.tile_size);
  return dim3(static_cast<unsigned>(grid.columns), static_cast<unsigned>(grid.rows),
              static_cast<unsigned>(in.images));
}

// A splat as the loop over the pixels of a tile wants it. Positions are relative to the tile's corner.
template <class Response, int kColors>
struct alignas(16) StagedSplat {
  using Shape = typename Response::Family::template Shape<float>;
  static constexpr int kExtras = Response::kExtras, kFrame = Response::Family::kFrame;
  static constexpr int kNumbers = kExtras + kFrame + kColors;

  float mean_x, mean_y;
  Shape shape;
  float numbers[kNumbers > 0 ? kNumbers : 1];  // the response's extras, the frame, the colours
  int32_t id;

  __device__ const float* extras() const { return numbers; }
  __device__ const float* frame() const { return numbers + kExtras; }
  __device__ const float* colors() const { return numbers + kExtras + kFrame; }
};

template <class Response, int kColors>
struct StagedBatch {
  StagedSplat<Response, kColors> splats[kBatch];
  uint32_t halves[kBatch];  // see touched_halves()
};

// The tile of a block: the grid has an image per layer and its rows and columns of tiles.
struct Tile {
  int64_t image;
  int x, y;        // of its first pixel
  int begin, end;  // its range in flatten_ids

  __device__ explicit Tile(const CompositeInputs& in) : Tile(in, blockIdx.z) {}
  __device__ Tile(const CompositeInputs& in, unsigned image_index)
      : image(image_index),
        x(static_cast<int>(blockIdx.x) * in.settings.tile_size),
        y(static_cast<int>(blockIdx.y) * in.settings.tile_size) {
    const int64_t index =
        (static_cast<int64_t>(image_index) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    begin = in.lists.tile_offsets[index];
    end = in.lists.tile_offsets[index + 1];
  }
};

// The threads of a block have a row of threadIdx.y for each row of patches, with a warp for each patch.
__device__ inline int patch_columns() { return static_cast<int>(blockDim.x / kWarp); }
__device__ inline int patch_column() { return static_cast<int>(threadIdx.x / kWarp); }
__device__ inline int patch_row() { return static_cast<int>(threadIdx.y); }
// Where the upper pixel of a lane lies in the tile.
__device__ inline int pixel_x() {
  return static_cast<int>(threadIdx.x / kWarp * kPatch + threadIdx.x % kPatch);
}
__device__ inline int pixel_y() {
  return static_cast<int>(threadIdx.y * kPatch + threadIdx.x % kWarp / kPatch);
}

// Where a pixel of the tile lies in the images.
struct PixelPlace {
  int64_t index;
  bool exists;  // whether it is inside the image

  __device__ PixelPlace(const CompositeInputs& in, const Tile& tile, int x, int y)
      : index((tile.image * in.image.height + tile.y + y) * in.image.width + tile.x + x),
        exists(tile.x + x < in.image.width && tile.y + y < in.image.height) {}
};

// One bit for each half of each patch that a splat may touch: half patches row by row, from bit 0.
__device__ inline uint32_t touched_halves(const Ellipse<float>& ellipse, float mean_x, float mean_y) {
  const int columns = patch_columns(), rows = 2 * static_cast<int>(blockDim.y);
  uint32_t bits = 0;
#pragma unroll 1
  for (int row = 0; row < rows; ++row) {
    const float top = static_cast<float>(row * kHalf) + 0.5f - mean_y;
#pragma unroll 1
    for (int column = 0; column < columns; ++column) {
      const float left = static_cast<float>(column * kPatch) + 0.5f - mean_x;
      const bool touches = ellipse.touches(left, left + (kPatch - 1), top, top + (kHalf - 1));
      if (touches) bits |= 1u << (row * columns + column);
    }
  }
  return bits;
}

// Splat `id`, with `channels` <= kColors of its colours from `first_channel` on.
template <class Response, int kColors>
__device__ __forceinline__ void load_splat(const CompositeInputs& in, const Tile& tile, int64_t id,
                                           const float (&root)[3], float opacity, int first_channel,
                                           int channels, StagedSplat<Response, kColors>& splat) {
  splat.mean_x = in.means2d[2 * id] - static_cast<float>(tile.x);
  splat.mean_y = in.means2d[2 * id + 1] - static_cast<float>(tile.y);
  splat.shape = Response::Family::template shape<float>(root[0], root[1], root[2], opacity, log2(opacity));
  splat.id = static_cast<int32_t>(id);
#pragma unroll
  for (int e = 0; e < Response::kExtras; ++e) {
    splat.numbers[e] = in.extras[id * Response::kExtras + e];
  }
#pragma unroll
  for (int c = 0; c < kColors; ++c) {
    splat.numbers[Response::kExtras + splat.kFrame + c] =
        c < channels ? in.colors[id * in.channels + first_channel + c] : 0.0f;
  }
  if constexpr (Response::Family::kAlongRays) {
    const auto frame = Response::Family::frame(splat.shape.log2_opacity, splat.extras(),
                                               in.rays.canonical + RayInputs::kCanonical * id);
    static_assert(sizeof(frame) == sizeof(float) * splat.kFrame);
    memcpy(splat.numbers + Response::kExtras, &frame, sizeof(frame));
  }
}

// Puts up to kBatch splats of the tile's list, from `first` on, into shared memory. stage(i, id) puts more
// there of splat `id`, the i-th of the batch.
template <class Response, int kColors, class Stage>
__device__ void stage_splats(const CompositeInputs& in, const Tile& tile, int first, int count,
                             int first_channel, int channels, StagedBatch<Response, kColors>& batch,
                             const Stage& stage) {
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); i < count;
       i += static_cast<int>(blockDim.x * blockDim.y)) {
    const int64_t id = in.lists.flatten_ids[first + i];
    const float root[3] = {in.shapes[3 * id], in.shapes[3 * id + 1], in.shapes[3 * id + 2]};
    const float opacity = in.opacities[id];
    StagedSplat<Response, kColors>& splat = batch.splats[i];
    load_splat<Response, kColors>(in, tile, id, root, opacity, first_channel, channels, splat);
    const float mean_x = splat.mean_x, mean_y = splat.mean_y;
    if constexpr (Response::Family::kIntegrates) {
      batch.halves[i] = touched_halves(ellipse_of<Response>(splat.shape, splat.extras()), mean_x, mean_y);
    } else {
      const Ellipse<float> ellipse(root[0], root[1], root[2],
                                   response_level<Response>(opacity, splat.extras()));
      batch.halves[i] = touched_halves(ellipse, mean_x, mean_y);
    }
    stage(i, id);
  }
}

// The splats among 32 staged ones that a warp has to visit, one bit each, for the halves of its patch.
struct Visits {
  uint32_t upper, lower;

  __device__ Visits(const uint32_t* halves, int first, int count, bool upper_alive, bool lower_alive) {
    const int columns = patch_columns(), bit = 2 * patch_row() * columns + patch_column();
    const int i = first + lane_index();
    const uint32_t touched = i < count ? halves[i] >> bit : 0u;
    upper = __ballot_sync(kAllLanes, (touched & 1u) != 0);
    lower = __ballot_sync(kAllLanes, (touched >> columns & 1u) != 0);
    if (__ballot_sync(kAllLanes, upper_alive) == 0) upper = 0;
    if (__ballot_sync(kAllLanes, lower_alive) == 0) lower = 0;
  }
};

// A pixel during compositing. A finished one, or one outside the image, is moved infinitely far away, where
// no splat reaches it: that costs the loop no test of its own.
struct BlendedPixel {
  float y;              // of its centre in the tile
  float transmittance;  // in front of the next splat

  __device__ BlendedPixel(int row, const PixelPlace& place)
      : y(place.exists ? static_cast<float>(row) + 0.5f : kFarAway), transmittance(1.0f) {}
  __device__ bool finished() const { return y == kFarAway; }
  __device__ void finish() { y = kFarAway; }

private:
  static constexpr float kFarAway = std::numeric_limits<float>::infinity();
};

// The same with what a response has to know of the pixel.
template <class Response, bool kAlongRays = Response::Family::kAlongRays>
struct TilePixel : BlendedPixel {
  __device__ TilePixel(const CompositeInputs&, int row, const PixelPlace& place) : BlendedPixel(row, place) {}
  __device__ NoRay ray() const { return {}; }
};

template <class Response>
struct TilePixel<Response, true> : BlendedPixel {
  Vec3<float> direction;  // of the length 1, or as it is given if the response keeps that
  const float* numbers;   // of the ray as it is given
  bool from_centre;

  // One without a ray is like one outside the image.
  __device__ TilePixel(const CompositeInputs& in, int row, const PixelPlace& place)
      : BlendedPixel(row, place), direction{0.0f, 0.0f, 1.0f}, numbers(nullptr), from_centre(true) {
    if (!place.exists) return;
    const PixelRay found = load_ray(in.rays, place.index);
    direction = found.ray.direction;
    numbers = in.rays.rays + place.index * in.rays.numbers;
    from_centre = in.rays.numbers == 3;
    if constexpr (Response::Family::kFlat) {
      if (found.exists()) direction = {numbers[0], numbers[1], numbers[2]};
    }
    if (!found.exists()) finish();
  }
  // Where it begins is read again, because few rays begin elsewhere than in the centre.
  __device__ Ray<float> ray() const {
    Ray<float> ray = {direction, {0.0f, 0.0f, 0.0f}, from_centre};
    if (!from_centre) ray.origin = {numbers[3], numbers[4], numbers[5]};
    return ray;
  }
};

// One splat at one pixel.
template <class Response>
struct Blend {
  using Family = typename Response::Family;

  typename Family::template Prepared<float> prepared;
  typename Family::template At<float> at;
  float dy;
  float uncapped, alpha;
  float behind;  // transmittance behind the splat
  bool hit;      // whether the pixel sees it at all
  bool blends;   // false: the splat leaves the pixel as it is

  // Finishes the pixel if this splat would.
  template <int kColors>
  __device__ Blend(const StagedSplat<Response, kColors>& splat, float dx, float max_alpha,
                   TilePixel<Response>& pixel)
      : prepared(Family::prepare(splat.shape, splat.extras(), splat.frame())), dy(pixel.y - splat.mean_y) {
    const Vec2<float> offset = Family::offset(splat.shape, dx, dy);
    float measure;
    at = Family::at(prepared, offset.x, offset.y, pixel.ray(), measure);
    hit = measure >= static_cast<float>(Family::kLeast);
    if constexpr (Family::kFlat) hit = hit && !pixel.finished();  // planes go on without end
    uncapped = Family::opacity_where(true, measure);
    alpha = ::fminf(max_alpha, uncapped);
    behind = Over::behind(pixel.transmittance, alpha);
    const bool finishes = Over::finished(behind);
    blends = hit && !finishes;
    if (hit && finishes) pixel.finish();
  }
};

// Leads the block through the splats of its tile, front to back, until all pixels are finished. For each
// splat that a warp's patch meets, all its lanes call visit(i, splat, dx, in_upper, in_lower): the splat is
// the i-th of the batch and may reach the lane's upper pixel, the lower one or both; dx is the offset of
// their column from the splat's mean. For stage() see stage_splats().
template <class Response, int kColors, class Stage, class Visit>
__device__ __forceinline__ void visit_splats(const CompositeInputs& in, const Tile& tile, int first_channel,
                                             int channels, StagedBatch<Response, kColors>& batch,
                                             BlendedPixel& upper, BlendedPixel& lower, const Stage& stage,
                                             const Visit& visit) {
  const float x = static_cast<float>(pixel_x()) + 0.5f;
  for (int first = tile.begin; first < tile.end; first += kBatch) {
    // Also keeps the batch before in place until everyone is done with it.
    const bool done = upper.finished() && lower.finished();
    const int all_done = __syncthreads_and(done);
    if (all_done) break;
    const int count = tile.end - first < kBatch ? tile.end - first : kBatch;
    stage_splats<Response, kColors>(in, tile, first, count, first_channel, channels, batch, stage);
    __syncthreads();
    for (int group = 0; group < count; group += kWarp) {
      const Visits visits(batch.halves, group, count, !upper.finished(), !lower.finished());
      for (uint32_t rest = visits.upper | visits.lower; rest != 0; rest &= rest - 1) {
        GSPLAT_COUNT(visits);
        const uint32_t bit = rest & (0u - rest);
        const int i = group + __ffs(rest) - 1;
        const StagedSplat<Response, kColors>& splat = batch.splats[i];
        visit(i, splat, x - splat.mean_x, (visits.upper & bit) != 0, (visits.lower & bit) != 0);
      }
    }
  }
}

// The same for kernels that stage nothing more.
template <class Response, int kColors, class Visit>
__device__ __forceinline__ void visit_splats(const CompositeInputs& in, const Tile& tile, int first_channel,
                                             int channels, StagedBatch<Response, kColors>& batch,
                                             BlendedPixel& upper, BlendedPixel& lower, const Visit& visit) {
  visit_splats<Response, kColors>(
      in, tile, first_channel, channels, batch, upper, lower, [](int, int64_t) {}, visit);
}

}  // namespace gsplat::cuda
