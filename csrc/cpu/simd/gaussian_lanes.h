// Walking over Gaussians with one SIMD lane each.
#pragma once

#include "cpu/parallel.h"
#include "cpu/simd/lane_block.h"
#include "math/linalg.h"

namespace gsplat::GSPLAT_ISA {

// Gaussians per task: small enough to balance the threads, large enough that a task's overhead is nothing.
// Sums over Gaussians are made per chunk first, so they do not depend on the number of threads.
inline constexpr int64_t kGaussianChunk = 2048;

// A run of Gaussians of one scene of a batch.
struct GaussianChunk {
  int64_t index;  // of the chunk, over all scenes
  int64_t batch;
  int64_t begin, end;

  // body(first, count) for blocks of up to kLanes Gaussians.
  template <class Body>
  void each_block(Body&& body) const {
    for (int64_t i = begin; i < end; i += kLanes) {
      body(i, end - i < kLanes ? static_cast<int>(end - i) : kLanes);
    }
  }
};

inline int64_t gaussian_chunks(int64_t gaussians) {
  return (gaussians + kGaussianChunk - 1) / kGaussianChunk;
}

// body(chunk) for all Gaussians of all scenes, in parallel.
template <class Body>
void each_gaussian_chunk(int64_t batches, int64_t gaussians, Body&& body) {
  const int64_t chunks = gaussian_chunks(gaussians);
  parallel_for(batches * chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t first = c % chunks * kGaussianChunk;
      const int64_t last = first + kGaussianChunk < gaussians ? first + kGaussianChunk : gaussians;
      body(GaussianChunk{c, c / chunks, first, last});
    }
  });
}

inline Vec3<Float> load_vec3(const float* rows, int64_t stride, int count) {
  const auto block = LaneBlock<3>::load(rows, stride, count);
  return {block[0], block[1], block[2]};
}

inline void store_vec3(const Vec3<Float>& v, float* rows, int64_t stride, int count) {
  LaneBlock<3> block;
  block.set(0, v.x);
  block.set(1, v.y);
  block.set(2, v.z);
  block.store(rows, stride, count);
}

inline Vec3<Float> zero_unless(LaneMask m, const Vec3<Float>& v) {
  return {zero_unless(m, v.x), zero_unless(m, v.y), zero_unless(m, v.z)};
}

// Where a gradient is not zero (NaN is not): other lanes have nothing to add.
inline LaneMask nonzero(Float v) { return !((v <= Float(0.0f)) & (v >= Float(0.0f))); }
inline LaneMask nonzero(const Vec3<Float>& v) { return nonzero(v.x) | nonzero(v.y) | nonzero(v.z); }

// The splats with a radius, of `count` that lie one after the other.
inline LaneMask visible_lanes(const int32_t* radii, int count) {
  alignas(64) float largest[kLanes] = {};
  const auto find = [&](int lanes) {
    for (int i = 0; i < lanes; ++i) {
      const int32_t x = radii[2 * i], y = radii[2 * i + 1];
      largest[i] = static_cast<float>(x > y ? x : y);
    }
  };
  if (count == kLanes) {
    find(kLanes);  // in vectors
  } else {
    find(count);
  }
  return Float::load(largest) > Float(0.0f);
}

}  // namespace gsplat::GSPLAT_ISA
