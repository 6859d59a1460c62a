// Cholesky factors of many small symmetric matrices and the solution of their systems, one SIMD lane each.
#include "cpu/gauss_newton.h"
#include "cpu/simd/gaussian_lanes.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// The place of entry (row, column), row <= column, of a packed upper triangle.
constexpr int packed(int row, int column) { return row * kGeometry - row * (row - 1) / 2 + column - row; }

}  // namespace

// A + diag(added) = R^T R, packed as A is, except that the diagonal of R is stored as its reciprocal.
void factor_blocks(const float* blocks, const float* added, int64_t count, float* factors) {
  each_gaussian_chunk(1, count, [&](const GaussianChunk& chunk) {
    chunk.each_block([&](int64_t first, int size) {
      auto a = LaneBlock<kGeometryPairs>::load(blocks + first * kGeometryPairs, kGeometryPairs, size);
      const auto d = LaneBlock<kGeometry>::load(added + first * kGeometry, kGeometry, size);
      for (int k = 0; k < kGeometry; ++k) {
        const Float pivot = a[packed(k, k)] + d[k];
        Float earlier(0.0f);
        for (int i = 0; i < k; ++i) earlier = fma(a[packed(i, k)], a[packed(i, k)], earlier);
        // What rounding makes of a pivot that cancels counts as a small part of it.
        const Float rest = max(pivot - earlier, Float(1e-6f) * pivot);
        const Float inverse = select(rest > Float(0.0f), Float(1.0f) / sqrt(rest), Float(0.0f));
        a.set(packed(k, k), inverse);
        for (int j = k + 1; j < kGeometry; ++j) {
          Float s = a[packed(k, j)];
          for (int i = 0; i < k; ++i) s = fma(-a[packed(i, k)], a[packed(i, j)], s);
          a.set(packed(k, j), s * inverse);
        }
      }
      a.store(factors + first * kGeometryPairs, kGeometryPairs, size);
    });
  });
}

void solve_blocks(const float* factors, const float* right, int64_t count, float* out) {
  each_gaussian_chunk(1, count, [&](const GaussianChunk& chunk) {
    chunk.each_block([&](int64_t first, int size) {
      const auto r = LaneBlock<kGeometryPairs>::load(factors + first * kGeometryPairs, kGeometryPairs, size);
      auto x = LaneBlock<kGeometry>::load(right + first * kGeometry, kGeometry, size);
      for (int k = 0; k < kGeometry; ++k) {
        Float s = x[k];
        for (int i = 0; i < k; ++i) s = fma(-r[packed(i, k)], x[i], s);
        x.set(k, s * r[packed(k, k)]);
      }
      for (int k = kGeometry - 1; k >= 0; --k) {
        Float s = x[k];
        for (int j = k + 1; j < kGeometry; ++j) s = fma(-r[packed(k, j)], x[j], s);
        x.set(k, s * r[packed(k, k)]);
      }
      x.store(out + first * kGeometry, kGeometry, size);
    });
  });
}

}  // namespace gsplat::GSPLAT_ISA
