// Cholesky factors of the Gaussians' blocks and the solution of their systems, one thread each.
#include "cuda/gauss_newton.h"
#include "cuda/gaussians.cuh"
#include "cuda/warp_rows.cuh"
#include "math/cholesky.h"
#include "math/gauss_newton.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 64;

using Triangles = WarpRows<kGeometryPairs>;
using Vectors = WarpRows<kGeometry>;

template <int kColumns>
__device__ void read(const WarpRows<kColumns>& rows, float (&values)[kColumns]) {
#pragma unroll
  for (int i = 0; i < kColumns; ++i) values[i] = rows.mine()[i];
}

template <int kColumns>
__device__ void write(const WarpRows<kColumns>& rows, const float (&values)[kColumns]) {
#pragma unroll
  for (int i = 0; i < kColumns; ++i) rows.mine()[i] = values[i];
}

__global__ void __launch_bounds__(kThreads)
    factor_triangles(const float* blocks, const float* added, int64_t count, float* factors) {
  __shared__ float triangles_memory[kThreads / kWarp * Triangles::kFloats];
  __shared__ float vectors_memory[kThreads / kWarp * Vectors::kFloats];
  const Triangles triangles = {triangles_memory + warp_index() * Triangles::kFloats};
  const Vectors vectors = {vectors_memory + warp_index() * Vectors::kFloats};
  const GaussianPlace<kThreads> place(count);
  const uint32_t there = __ballot_sync(kAllLanes, place.exists);
  triangles.load(blocks, kGeometryPairs, place.first(), there);
  vectors.load(added, kGeometry, place.first(), there);
  if (place.exists) {
    float a[kGeometryPairs], diagonal[kGeometry];
    read(triangles, a);
    read(vectors, diagonal);
    cholesky<kGeometry>(a, diagonal);
    write(triangles, a);
  }
  triangles.store(factors, kGeometryPairs, place.first(), place.count(count), kGeometryPairs);
}

__global__ void __launch_bounds__(kThreads)
    solve_triangles(const float* factors, const float* right, int64_t count, float* out) {
  __shared__ float triangles_memory[kThreads / kWarp * Triangles::kFloats];
  __shared__ float vectors_memory[kThreads / kWarp * Vectors::kFloats];
  const Triangles triangles = {triangles_memory + warp_index() * Triangles::kFloats};
  const Vectors vectors = {vectors_memory + warp_index() * Vectors::kFloats};
  const GaussianPlace<kThreads> place(count);
  const uint32_t there = __ballot_sync(kAllLanes, place.exists);
  triangles.load(factors, kGeometryPairs, place.first(), there);
  vectors.load(right, kGeometry, place.first(), there);
  if (place.exists) {
    float x[kGeometry];
    read(vectors, x);
    solve_factored<kGeometry>(triangles.mine(), x);
    write(vectors, x);
  }
  vectors.store(out, kGeometry, place.first(), place.count(count), kGeometry);
}

}  // namespace

void factor_blocks(const float* blocks, const float* added, int64_t count, float* factors, Stream stream) {
  if (count == 0) return;
  factor_triangles<<<blocks_of(kThreads, count), kThreads, 0, stream>>>(blocks, added, count, factors);
  check_launch("factor_triangles");
}

void solve_blocks(const float* factors, const float* right, int64_t count, float* out, Stream stream) {
  if (count == 0) return;
  solve_triangles<<<blocks_of(kThreads, count), kThreads, 0, stream>>>(factors, right, count, out);
  check_launch("solve_triangles");
}

}  // namespace gsplat::cuda
