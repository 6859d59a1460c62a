// Gaussians as the kernels read them from the arrays of the scene, one thread each.
#pragma once

#include "cuda/warp.cuh"
#include "raster/projection.h"

namespace gsplat::cuda {

// Where a thread works. A grid of blocks of kThreads covers the Gaussians of one scene after the other, so
// that a block has a single camera.
template <int kThreads>
struct GaussianPlace {
  int64_t scene;     // of the blocks' rounds over the Gaussians: an image or a batch
  int64_t gaussian;  // in its scene; may be beyond the last
  bool exists;

  __device__ explicit GaussianPlace(int64_t gaussians) {
    const int64_t blocks = (gaussians + kThreads - 1) / kThreads;
    scene = blockIdx.x / blocks;
    gaussian = blockIdx.x % blocks * kThreads + threadIdx.x;
    exists = gaussian < gaussians;
  }

  // The warp's first Gaussian, and how many it has.
  __device__ int64_t first() const { return gaussian - lane_index(); }
  __device__ int count(int64_t gaussians) const {
    const int64_t left = gaussians - first();
    return static_cast<int>(left < 0 ? 0 : left < kWarp ? left : kWarp);
  }
};

__device__ inline bool is_visible(const int32_t* radii, int64_t splat) {
  return radii[2 * splat] > 0 || radii[2 * splat + 1] > 0;
}

__device__ inline Vec3<float> load_vec3(const float* rows, int64_t row) {
  return {rows[3 * row], rows[3 * row + 1], rows[3 * row + 2]};
}

__device__ inline void store_vec3(float* rows, int64_t row, const Vec3<float>& v) {
  rows[3 * row] = v.x;
  rows[3 * row + 1] = v.y;
  rows[3 * row + 2] = v.z;
}

// How each shape is read from, and its gradient written to, the arrays of the scene.
template <template <class> class Shape>
struct ShapeArrays;

template <>
struct ShapeArrays<ScaledRotation> {
  __device__ static ScaledRotation<float> load(const GaussianInputs& in, int64_t row) {
    const float* q = in.quats + 4 * row;
    return {{q[0], q[1], q[2], q[3]}, load_vec3(in.scales, row)};
  }
  __device__ static ScaledRotation<float> zero() { return {{0.0f, 0.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 0.0f}}; }
  __device__ static void add(ScaledRotation<float>& sum, const ScaledRotation<float>& v) {
    sum.quaternion.w += v.quaternion.w;
    sum.quaternion.x += v.quaternion.x;
    sum.quaternion.y += v.quaternion.y;
    sum.quaternion.z += v.quaternion.z;
    sum.scales = sum.scales + v.scales;
  }
  __device__ static void store(const GaussianGrads& out, int64_t row, const ScaledRotation<float>& v) {
    float* q = out.quats + 4 * row;
    q[0] = v.quaternion.w;
    q[1] = v.quaternion.x;
    q[2] = v.quaternion.y;
    q[3] = v.quaternion.z;
    store_vec3(out.scales, row, v.scales);
  }
};

template <>
struct ShapeArrays<GivenCovariance> {
  __device__ static GivenCovariance<float> load(const GaussianInputs& in, int64_t row) {
    const float* c = in.covars + 6 * row;
    return {{c[0], c[1], c[2], c[3], c[4], c[5]}};
  }
  __device__ static GivenCovariance<float> zero() { return {{0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f}}; }
  __device__ static void add(GivenCovariance<float>& sum, const GivenCovariance<float>& v) {
    sum.sigma.xx += v.sigma.xx;
    sum.sigma.xy += v.sigma.xy;
    sum.sigma.xz += v.sigma.xz;
    sum.sigma.yy += v.sigma.yy;
    sum.sigma.yz += v.sigma.yz;
    sum.sigma.zz += v.sigma.zz;
  }
  __device__ static void store(const GaussianGrads& out, int64_t row, const GivenCovariance<float>& v) {
    float* c = out.covars + 6 * row;
    c[0] = v.sigma.xx;
    c[1] = v.sigma.xy;
    c[2] = v.sigma.xz;
    c[3] = v.sigma.yy;
    c[4] = v.sigma.yz;
    c[5] = v.sigma.zz;
  }
};

template <template <class> class Shape>
__device__ inline Gaussian<float, Shape> load_gaussian(const GaussianInputs& in, int64_t row) {
  return {load_vec3(in.means, row), ShapeArrays<Shape>::load(in, row), in.opacities[row]};
}

}  // namespace gsplat::cuda
