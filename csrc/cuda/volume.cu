// Ray casting through a density made of Gaussians, one thread per pixel.
//
// A block of neighbouring pixels walks its tile's list slab by slab, all threads at the same time: those of
// the list that may be met in a slab, which lie between two places that only move on, are staged in shared
// memory, some at a time, and each thread sums up their densities in the samples of its own ray.
#include "cuda/volume.h"
#include "cuda/warp.cuh"
#include "math/volume.h"

namespace gsplat::cuda {
namespace {

constexpr int kSide = 16, kThreads = kSide * kSide;  // of a block
constexpr int kStaged = 64;                          // Gaussians at a time, not more than threads

struct alignas(16) StagedGaussian {
  float frame[kFrameNumbers];
  float log2_density;  // none is met where this is not above the threshold
  float color[3];
};

// Of the pixels of a block, row by row.
GSPLAT_HD int side_of_block(const VolumeInputs& in) { return in.tile_size < kSide ? in.tile_size : kSide; }

struct PixelOfVolume {
  int64_t index;
  bool inside;
  VolumeRay<float> ray;
  float start;
  bool alive;
  float passed = 1.0f;

  __device__ PixelOfVolume(const VolumeInputs& in, int x, int y)
      : index((static_cast<int64_t>(blockIdx.z) * in.image.height + y) * in.image.width + x),
        inside(x < in.image.width && y < in.image.height) {
    float n[kRayNumbers] = {};
    if (inside) {
      for (int i = 0; i < kRayNumbers; ++i) n[i] = in.rays[kRayNumbers * index + i];
    }
    alive = n[0] != 0.0f || n[1] != 0.0f || n[2] != 0.0f;
    ray = {{n[0], n[1], alive ? n[2] : 1.0f}, {n[3], n[4], n[5]}};
    start = n[6];
  }
};

// The list of the block's tile, and the thread's pixel.
struct TileOfVolume {
  int x, y;
  int begin, end;

  __device__ explicit TileOfVolume(const VolumeInputs& in) {
    const int side = side_of_block(in);
    x = static_cast<int>(blockIdx.x) * side;
    y = static_cast<int>(blockIdx.y) * side;
    const TileGrid grid(in.image, in.tile_size);
    const int64_t tile =
        (static_cast<int64_t>(blockIdx.z) * grid.rows + y / in.tile_size) * grid.columns + x / in.tile_size;
    begin = in.lists.tile_offsets[tile];
    end = in.lists.tile_offsets[tile + 1];
    x += static_cast<int>(threadIdx.x) % side;
    y += static_cast<int>(threadIdx.x) / side;
  }
};

__device__ float reach(const VolumeInputs& in, int place, int which) {
  return in.reaches[2 * static_cast<int64_t>(in.lists.flatten_ids[place]) + which];
}

__device__ float distance(const VolumeInputs& in, const PixelOfVolume& pixel, int sample) {
  return fma(static_cast<float>(sample), in.step, pixel.start);
}

// Stages the Gaussians of the list from `first` on, up to `end`, for a slab; all threads of the block.
__device__ void stage(const VolumeInputs& in, int first, int end, int slab, StagedGaussian* staged) {
  const int i = static_cast<int>(threadIdx.x);
  __syncthreads();
  if (i < kStaged && first + i < end) {
    const int64_t id = in.lists.flatten_ids[first + i];
    StagedGaussian& s = staged[i];
    const bool here = sample_behind(in, in.reaches[2 * id + 1]) >= slab;
    s.log2_density = here ? log2(in.densities[id]) : in.log2_threshold;
    for (int k = 0; k < kFrameNumbers; ++k) s.frame[k] = in.frames[kFrameNumbers * id + k];
    for (int c = 0; c < 3; ++c) s.color[c] = in.colors[3 * id + c];
  }
  __syncthreads();
}

__device__ DensityAlong<float> along_ray(const StagedGaussian& s, const VolumeRay<float>& ray) {
  const float* f = s.frame;
  return density_along<float>(
      {{{{f[0], f[1], f[2]}, {f[3], f[4], f[5]}, {f[6], f[7], f[8]}}}, {f[9], f[10], f[11]}}, s.log2_density,
      ray);
}

// For each staged Gaussian in turn, body(staged, index, along, is_met).
template <class Body>
__device__ __forceinline__ void each_staged(const VolumeInputs& in, const PixelOfVolume& pixel, int first,
                                            int end, int slab, StagedGaussian* staged, Body&& body) {
  for (int at = first; at < end; at += kStaged) {
    stage(in, at, end, slab, staged);
    const int count = end - at < kStaged ? end - at : kStaged;
    for (int i = 0; i < count; ++i) {
      const StagedGaussian& s = staged[i];
      if (!(s.log2_density > in.log2_threshold)) continue;  // the same for all threads
      const DensityAlong<float> along = along_ray(s, pixel.ray);
      body(s, at + i, along, pixel.alive && along.log2_peak > in.log2_threshold);
    }
  }
}

// body(sample, u, density) for the samples of the slab inside of a Gaussian.
template <class Body>
__device__ __forceinline__ void each_inside(const VolumeInputs& in, const PixelOfVolume& pixel, int slab,
                                            const DensityAlong<float>& along, Body&& body) {
#pragma unroll
  for (int s = 0; s < kSlab; ++s) {
    const float u = along.offset(distance(in, pixel, slab + s)), power = along.log2_at(u);
    if (power > in.log2_threshold) body(s, u, exp2_where(true, power));
  }
}

// body(sample, density, weight) for the occupied samples of the slab, front to back.
template <class Body>
__device__ __forceinline__ void blend(const VolumeInputs& in, PixelOfVolume& pixel, int slab,
                                      const float (&density)[kSlab], Body&& body) {
#pragma unroll
  for (int s = 0; s < kSlab; ++s) {
    pixel.alive = pixel.alive && distance(in, pixel, slab + s) < in.far;
    if (!pixel.alive || !(density[s] > 0.0f)) continue;
    const float weight = pixel.passed * opacity_of_thickness(density[s] * in.step);
    pixel.passed -= weight;
    body(s, density[s], weight);
    pixel.alive = pixel.passed >= kLeastTransmittance;
  }
}

// Leads a block through its list. take(slab, first, end) is for the samples from `slab` on, in which none but
// those of the list from `first` up to `end` can be met.
template <class Take>
__device__ __forceinline__ void walk(const VolumeInputs& in, const TileOfVolume& tile,
                                     const PixelOfVolume& pixel, Take&& take) {
  int first = tile.begin, end = tile.begin;
  for (int slab = 0; __syncthreads_or(pixel.alive); slab += kSlab) {
    while (first < tile.end && sample_behind(in, reach(in, first, 1)) < slab) ++first;
    if (first == tile.end) return;
    const int next = sample_before(in, reach(in, first, 0));
    if (next >= slab + kSlab) slab = next / kSlab * kSlab;
    if (end < first) end = first;
    while (end < tile.end && sample_before(in, reach(in, end, 0)) < slab + kSlab) ++end;
    take(slab, first, end);
  }
}

__global__ void __launch_bounds__(kThreads) cast_tiles(VolumeInputs in, VolumeOutputs out) {
  __shared__ StagedGaussian staged[kStaged];
  const TileOfVolume tile(in);
  PixelOfVolume pixel(in, tile.x, tile.y);
  float color[3] = {};
  walk(in, tile, pixel, [&](int slab, int first, int end) {
    float density[kSlab] = {}, emitted[3][kSlab] = {};
    each_staged(in, pixel, first, end, slab, staged,
                [&](const StagedGaussian& g, int, const DensityAlong<float>& along, bool met) {
                  if (!met) return;
                  each_inside(in, pixel, slab, along, [&](int s, float, float d) {
                    density[s] += d;
                    for (int c = 0; c < 3; ++c) emitted[c][s] = fma(g.color[c], d, emitted[c][s]);
                  });
                });
    blend(in, pixel, slab, density, [&](int s, float dense, float weight) {
      const float share = weight / dense;
      for (int c = 0; c < 3; ++c) color[c] = fma(share, emitted[c][s], color[c]);
    });
  });
  if (!pixel.inside) return;
  for (int c = 0; c < 3; ++c) out.colors[3 * pixel.index + c] = color[c];
  out.transmittances[pixel.index] = pixel.passed;
}

__global__ void __launch_bounds__(kThreads)
    cast_tiles_backward(VolumeInputs in, VolumeGradInputs v, VolumeGrads out) {
  __shared__ StagedGaussian staged[kStaged];
  const TileOfVolume tile(in);
  PixelOfVolume pixel(in, tile.x, tile.y);
  float g[3] = {}, left = 0.0f, behind = 0.0f, v_ray[6] = {};
  if (pixel.inside) {
    for (int c = 0; c < 3; ++c) {
      g[c] = v.v_colors[3 * pixel.index + c];
      left = fma(g[c], v.colors[3 * pixel.index + c], left);
    }
    behind = v.v_transmittances[pixel.index] * v.transmittances[pixel.index];
  }
  const auto seen = [&](const StagedGaussian& s) {
    return fma(g[0], s.color[0], fma(g[1], s.color[1], g[2] * s.color[2]));
  };
  const SumOwner owner = sum_owner<kVolumeGrads>();
  walk(in, tile, pixel, [&](int slab, int first, int end) {
    float density[kSlab] = {}, emitted[kSlab] = {}, by_density[kSlab] = {}, share[kSlab] = {};
    each_staged(in, pixel, first, end, slab, staged,
                [&](const StagedGaussian& s, int, const DensityAlong<float>& along, bool met) {
                  if (!met) return;
                  const float color = seen(s);
                  each_inside(in, pixel, slab, along, [&](int k, float, float d) {
                    density[k] += d;
                    emitted[k] = fma(color, d, emitted[k]);
                  });
                });
    const bool was_alive = pixel.alive;
    blend(in, pixel, slab, density, [&](int k, float dense, float weight) {
      const float color = emitted[k] / dense;
      left -= weight * color;
      share[k] = weight / dense;
      by_density[k] = in.step * (pixel.passed * color - left - behind) - share[k] * color;
    });
    const bool is_alive = pixel.alive;
    pixel.alive = was_alive;  // who ended in this slab has gradients of it
    each_staged(in, pixel, first, end, slab, staged,
                [&](const StagedGaussian& s, int place, const DensityAlong<float>& along, bool met) {
                  if (!__any_sync(kAllLanes, met)) return;
                  float sums[kVolumeGrads] = {};
                  if (met) {
                    const float color = seen(s);
                    DensitySums<float> of = {0.0f, 0.0f, 0.0f};
                    float weight = 0.0f;
                    each_inside(in, pixel, slab, along, [&](int k, float u, float d) {
                      const float w = d * fma(share[k], color, by_density[k]);
                      of.s0 += w;
                      of.s1 = fma(w, u, of.s1);
                      of.s2 = fma(w * u, u, of.s2);
                      weight = fma(share[k], d, weight);
                    });
                    Vec3<float> v_og, v_dg;
                    density_along_vjp(along, of, v_og, v_dg);
                    const float by_og[3] = {v_og.x, v_og.y, v_og.z}, by_dg[3] = {v_dg.x, v_dg.y, v_dg.z};
                    const float o[3] = {pixel.ray.origin.x, pixel.ray.origin.y, pixel.ray.origin.z};
                    const float d[3] = {pixel.ray.d.x, pixel.ray.d.y, pixel.ray.d.z};
#pragma unroll
                    for (int i = 0; i < 3; ++i) {
#pragma unroll
                      for (int j = 0; j < 3; ++j) {
                        sums[3 * i + j] = fma(by_og[i], o[j], by_dg[i] * d[j]);
                        v_ray[j] = fma(s.frame[3 * i + j], by_dg[i], v_ray[j]);
                        v_ray[3 + j] = fma(s.frame[3 * i + j], by_og[i], v_ray[3 + j]);
                      }
                      sums[9 + i] = by_og[i];
                      sums[13 + i] = weight * g[i];
                    }
                    sums[12] = of.s0 * exp2_up_to_127(-s.log2_density);
                  }
                  const float sum = warp_sums(sums);
                  if (owner.owns) {
                    const int64_t id = in.lists.flatten_ids[place];
                    atomic_add(out.gaussians + kVolumeGrads * id + owner.index, sum);
                  }
                });
    pixel.alive = is_alive;
  });
  if (out.rays == nullptr || !pixel.inside) return;
  for (int i = 0; i < 6; ++i) out.rays[6 * pixel.index + i] = v_ray[i];
}

unsigned threads_of(const VolumeInputs& in) {
  return static_cast<unsigned>(side_of_block(in) * side_of_block(in));
}

dim3 blocks_of_images(const VolumeInputs& in) {
  const int side = side_of_block(in);
  return dim3(blocks_of(side, in.image.width), blocks_of(side, in.image.height),
              static_cast<unsigned>(in.images));
}

bool is_empty(const VolumeInputs& in) {
  return in.images == 0 || in.image.width == 0 || in.image.height == 0;
}

}  // namespace

void cast_rays(const VolumeInputs& in, const VolumeOutputs& out, Stream stream) {
  if (is_empty(in)) return;
  cast_tiles<<<blocks_of_images(in), threads_of(in), 0, stream>>>(in, out);
  check_launch("cast_tiles");
}

void cast_rays_backward(const VolumeInputs& in, const VolumeGradInputs& v, const VolumeGrads& out,
                        Stream stream) {
  if (is_empty(in)) return;
  cast_tiles_backward<<<blocks_of_images(in), threads_of(in), 0, stream>>>(in, v, out);
  check_launch("cast_tiles_backward");
}

}  // namespace gsplat::cuda
