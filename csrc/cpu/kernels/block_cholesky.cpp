// Cholesky factors of many small symmetric matrices and the solution of their systems, one SIMD lane each.
#include "cpu/gauss_newton.h"
#include "cpu/simd/gaussian_lanes.h"
#include "math/cholesky.h"
#include "math/gauss_newton.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// A row of each lane.
template <int kColumns>
struct LaneRows {
  Float of[kColumns];

  LaneRows(const float* rows, int64_t first, int count) {
    const auto block = LaneBlock<kColumns>::load(rows + first * kColumns, kColumns, count);
    for (int i = 0; i < kColumns; ++i) of[i] = block[i];
  }
  void store(float* rows, int64_t first, int count) const {
    LaneBlock<kColumns> block;
    for (int i = 0; i < kColumns; ++i) block.set(i, of[i]);
    block.store(rows + first * kColumns, kColumns, count);
  }
};

}  // namespace

void factor_blocks(const float* blocks, const float* added, int64_t count, float* factors) {
  each_gaussian_chunk(1, count, [&](const GaussianChunk& chunk) {
    chunk.each_block([&](int64_t first, int size) {
      LaneRows<kGeometryPairs> a(blocks, first, size);
      const LaneRows<kGeometry> diagonal(added, first, size);
      cholesky<kGeometry>(a.of, diagonal.of);
      a.store(factors, first, size);
    });
  });
}

void solve_blocks(const float* factors, const float* right, int64_t count, float* out) {
  each_gaussian_chunk(1, count, [&](const GaussianChunk& chunk) {
    chunk.each_block([&](int64_t first, int size) {
      const LaneRows<kGeometryPairs> r(factors, first, size);
      LaneRows<kGeometry> x(right, first, size);
      solve_factored<kGeometry>(r.of, x.of);
      x.store(out, first, size);
    });
  });
}

}  // namespace gsplat::GSPLAT_ISA
