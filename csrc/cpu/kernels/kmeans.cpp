// Nearest centroids: the blocked loops of a matrix product with an argmin in place of the store.
//
// Lanes are points, so that every lane keeps its own minimum and no reduction across lanes is needed. A tile
// of kVectors vectors of points times kTile centroids stays in registers while the dimensions pass by.
#include "cpu/kmeans.h"

#include "cpu/simd/buffer.h"
#include "cpu/simd/simd.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kVectors = 3;
constexpr int kTile = kLanes == 16 ? 8 : 4;  // 24 of the 32 accumulators of AVX-512, 12 of 16 elsewhere
constexpr int kBlock = kVectors * kLanes;

struct Nearest {
  Float score[kVectors];
  Float index[kVectors];
};

// Compares a block of negated points [dim, kBlock] with `tile` centroids from `first` on.
template <int tile>
[[gnu::always_inline]] inline void visit(const NearestCentroids& args, const float* block, int64_t first,
                                         Nearest& nearest) {
  const float* centroid = args.centroids + first * args.dim;
  Float score[tile][kVectors];
  repeat<tile>([&](auto c) __attribute__((always_inline)) {
    repeat<kVectors>(
        [&](auto v) __attribute__((always_inline)) { score[c][v] = Float(args.half_squares[first + c]); });
  });
  for (int64_t d = 0; d < args.dim; ++d) {
    Float x[kVectors];
    repeat<kVectors>(
        [&](auto v) __attribute__((always_inline)) { x[v] = Float::load(block + d * kBlock + v * kLanes); });
    repeat<tile>([&](auto c) __attribute__((always_inline)) {
      const Float value(centroid[c * args.dim + d]);
      repeat<kVectors>([&](auto v)
                           __attribute__((always_inline)) { score[c][v] = fma(value, x[v], score[c][v]); });
    });
  }
  repeat<tile>([&](auto c) __attribute__((always_inline)) {
    const Float index(static_cast<float>(first + c));
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      const LaneMask nearer = score[c][v] < nearest.score[v];
      nearest.score[v] = select(nearer, score[c][v], nearest.score[v]);
      nearest.index[v] = select(nearer, index, nearest.index[v]);
    });
  });
}

// Up to kBlock points from row `begin` on.
void visit_block(const NearestCentroids& args, int64_t begin, int64_t rows, float* block) {
  for (int64_t d = 0; d < args.dim; ++d) {
    for (int64_t i = 0; i < kBlock; ++i) {
      block[d * kBlock + i] = i < rows ? -args.points[(begin + i) * args.dim + d] : 0.0f;
    }
  }
  Nearest nearest;
  for (int v = 0; v < kVectors; ++v) {
    nearest.score[v] = Float(__builtin_inff());
    nearest.index[v] = Float(0.0f);
  }
  int64_t first = 0;
  for (; first + kTile <= args.count; first += kTile) visit<kTile>(args, block, first, nearest);
  for (; first < args.count; ++first) visit<1>(args, block, first, nearest);

  float index[kBlock];
  for (int v = 0; v < kVectors; ++v) nearest.index[v].store(index + v * kLanes);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t label = static_cast<int64_t>(index[i]);
    args.labels[begin + i] = static_cast<int32_t>(label);
    args.squared_distances[begin + i] =
        squared_distance(args.points + (begin + i) * args.dim, args.centroids + label * args.dim, args.dim);
  }
}

}  // namespace

void nearest_centroids_rows(const NearestCentroids& args, int64_t begin, int64_t end) {
  float* block = per_thread<Buffer<float>>().reserve(args.dim * kBlock);
  for (int64_t row = begin; row < end; row += kBlock) {
    visit_block(args, row, end - row < kBlock ? end - row : kBlock, block);
  }
}

}  // namespace gsplat::GSPLAT_ISA
