// k-means: nearest centroids are the blocked loops of a matrix product with a minimum in place of the store;
// means are sums over the rows of each cluster, which a sort by label brings together.
#include <bit>
#include <cub/cub.cuh>
#include <limits>

#include "cuda/kmeans.h"
#include "cuda/warp.cuh"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 256;

// A block compares kTile points with kTile centroids at a time, kDepth dimensions after the other; each of
// its kSide x kSide threads has kEach points and kEach centroids of them, kSide apart.
constexpr int kSide = 16;
constexpr int kEach = 4;
constexpr int kTile = kSide * kEach;
constexpr int kDepth = 16;
static_assert(kSide * kSide == kThreads);

__global__ void __launch_bounds__(kThreads)
    halve_squares(const float* centroids, int64_t count, int64_t dim, float* half_squares) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) half_squares[i] = half_square(centroids + i * dim, dim);
}

// Vectors and dimensions beyond the last are zeros.
__device__ void stage_tile(const float* vectors, int64_t count, int64_t dim, int64_t first_vector,
                           int64_t first_dim, float (&tile)[kDepth][kTile + 1]) {
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kDepth; i += kThreads) {
    const int64_t vector = first_vector + i / kDepth, d = first_dim + i % kDepth;
    tile[i % kDepth][i / kDepth] = vector < count && d < dim ? vectors[vector * dim + d] : 0.0f;
  }
}

struct Nearest {
  float score = std::numeric_limits<float>::infinity();
  int32_t index = 0;

  // Keeps the nearer one, of equals the first.
  __device__ void meet(float other_score, int32_t other_index) {
    const bool nearer = other_score < score || (other_score == score && other_index < index);
    score = nearer ? other_score : score;
    index = nearer ? other_index : index;
  }
};

__global__ void __launch_bounds__(kThreads)
    assign_nearest(const float* points, int64_t rows, int64_t dim, const float* centroids,
                   const float* half_squares, int64_t count, int32_t* labels, float* squared_distances) {
  __shared__ float staged_points[kDepth][kTile + 1], staged_centroids[kDepth][kTile + 1];
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * kTile;
  const int row = static_cast<int>(threadIdx.x) / kSide, column = static_cast<int>(threadIdx.x) % kSide;
  Nearest nearest[kEach];
  for (int64_t first = 0; first < count; first += kTile) {
    float score[kEach][kEach];
#pragma unroll
    for (int c = 0; c < kEach; ++c) {
      const int64_t centroid = first + column + c * kSide;
      const float half = centroid < count ? half_squares[centroid] : std::numeric_limits<float>::infinity();
#pragma unroll
      for (int p = 0; p < kEach; ++p) score[p][c] = half;
    }
    for (int64_t d = 0; d < dim; d += kDepth) {
      __syncthreads();  // everyone is done with the tiles before
      stage_tile(points, rows, dim, first_row, d, staged_points);
      stage_tile(centroids, count, dim, first, d, staged_centroids);
      __syncthreads();
#pragma unroll
      for (int i = 0; i < kDepth; ++i) {
        float x[kEach];
#pragma unroll
        for (int p = 0; p < kEach; ++p) x[p] = -staged_points[i][row + p * kSide];
#pragma unroll
        for (int c = 0; c < kEach; ++c) {
          const float value = staged_centroids[i][column + c * kSide];
#pragma unroll
          for (int p = 0; p < kEach; ++p) score[p][c] = ::fmaf(value, x[p], score[p][c]);
        }
      }
    }
#pragma unroll
    for (int c = 0; c < kEach; ++c) {
      const int32_t centroid = static_cast<int32_t>(first) + column + c * kSide;
#pragma unroll
      for (int p = 0; p < kEach; ++p) nearest[p].meet(score[p][c], centroid);
    }
  }
#pragma unroll
  for (int p = 0; p < kEach; ++p) {
    // Over the lanes that have the same points.
    for (int distance = kSide / 2; distance > 0; distance /= 2) {
      const float score = __shfl_xor_sync(kAllLanes, nearest[p].score, distance);
      nearest[p].meet(score, __shfl_xor_sync(kAllLanes, nearest[p].index, distance));
    }
    const int64_t point = first_row + row + p * kSide;
    if (column != p || point >= rows) continue;
    const int32_t label = nearest[p].index;
    labels[point] = label;
    squared_distances[point] = squared_distance(points + point * dim, centroids + label * dim, dim);
  }
}

__global__ void __launch_bounds__(kThreads)
    check_labels(const int32_t* labels, int64_t rows, int64_t count, unsigned long long* found) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= rows || (labels[row] >= 0 && labels[row] < count)) return;
  atomicMin(found, static_cast<unsigned long long>(row) << 32 | static_cast<uint32_t>(labels[row]));
}

__global__ void __launch_bounds__(kThreads)
    number_rows(const int32_t* labels, int64_t rows, uint32_t* keys, int32_t* numbers) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= rows) return;
  keys[row] = static_cast<uint32_t>(labels[row]);
  numbers[row] = static_cast<int32_t>(row);
}

// The first of the sorted labels that is not smaller.
__device__ int64_t first_of_cluster(const uint32_t* labels, int64_t rows, int64_t cluster) {
  int64_t low = 0, high = rows;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (static_cast<int64_t>(labels[middle]) < cluster) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Thread i of a block returns the sum over the threads i % columns, i % columns + columns, ...; `columns` is
// a power of two.
__device__ double sum_of_column(double value, int columns, double (&partial)[kThreads]) {
  __syncthreads();  // everyone is done with the sums before
  partial[threadIdx.x] = value;
  for (int half = kThreads / 2; half >= columns; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) partial[threadIdx.x] += partial[threadIdx.x + half];
  }
  __syncthreads();
  return partial[threadIdx.x % columns];
}

// A block sums one cluster: its threads are `columns` dimensions of as many rows as there is room for.
__global__ void __launch_bounds__(kThreads)
    average_clusters(const float* points, const float* weights, int64_t rows, int64_t dim,
                     const uint32_t* sorted_labels, const int32_t* members, int columns, float* means,
                     float* masses) {
  __shared__ double partial[kThreads];
  const int64_t cluster = blockIdx.x;
  const int64_t begin = first_of_cluster(sorted_labels, rows, cluster);
  const int64_t end = first_of_cluster(sorted_labels, rows, cluster + 1);
  const auto weight_of = [&](int32_t row) { return weights == nullptr ? 1.0 : weights[row]; };
  double mass = 0;
  for (int64_t m = begin + threadIdx.x; m < end; m += kThreads) mass += weight_of(members[m]);
  mass = sum_of_column(mass, 1, partial);
  const double scale = mass > 0 ? 1 / mass : 0;
  if (threadIdx.x == 0) masses[cluster] = static_cast<float>(mass);

  const int column = static_cast<int>(threadIdx.x) % columns, slot = static_cast<int>(threadIdx.x) / columns;
  for (int64_t first = 0; first < dim; first += columns) {
    const int64_t d = first + column;
    double sum = 0;
    for (int64_t m = begin + slot; m < end && d < dim; m += kThreads / columns) {
      sum += weight_of(members[m]) * points[members[m] * dim + d];
    }
    sum = sum_of_column(sum, columns, partial);
    if (slot == 0 && d < dim) means[cluster * dim + d] = static_cast<float>(sum * scale);
  }
}

struct MeansWorkspace {
  uint32_t *keys, *sorted_keys;
  int32_t *numbers, *members;
  char* temporary;
  size_t temporary_bytes = 0, bytes;

  MeansWorkspace(void* base, int64_t rows, int64_t count) {
    Carver carver(base);
    keys = carver.take<uint32_t>(rows);
    sorted_keys = carver.take<uint32_t>(rows);
    numbers = carver.take<int32_t>(rows);
    members = carver.take<int32_t>(rows);
    sort(nullptr, rows, count, nullptr);
    temporary = carver.take<char>(static_cast<int64_t>(temporary_bytes));
    bytes = carver.used();
  }

  // Rows by label, in order within each.
  void sort(void* memory, int64_t rows, int64_t count, Stream stream) {
    check(cub::DeviceRadixSort::SortPairs(memory, temporary_bytes, keys, sorted_keys, numbers, members, rows,
                                          0, std::bit_width(static_cast<uint64_t>(count - 1)), stream),
          "sort");
  }
};

}  // namespace

size_t nearest_centroids_workspace(int64_t count) { return sizeof(float) * static_cast<size_t>(count); }

void nearest_centroids(const float* points, int64_t rows, int64_t dim, const float* centroids, int64_t count,
                       int32_t* labels, float* squared_distances, void* workspace, Stream stream) {
  if (rows == 0) return;
  float* const half_squares = static_cast<float*>(workspace);
  halve_squares<<<blocks_of(kThreads, count), kThreads, 0, stream>>>(centroids, count, dim, half_squares);
  check_launch("halve_squares");
  assign_nearest<<<blocks_of(kTile, rows), kThreads, 0, stream>>>(points, rows, dim, centroids, half_squares,
                                                                  count, labels, squared_distances);
  check_launch("assign_nearest");
}

void find_wrong_label(const int32_t* labels, int64_t rows, int64_t count, uint64_t* found, Stream stream) {
  check(cudaMemsetAsync(found, 0xff, sizeof(*found), stream), "memset");
  if (rows == 0) return;
  check_labels<<<blocks_of(kThreads, rows), kThreads, 0, stream>>>(
      labels, rows, count, reinterpret_cast<unsigned long long*>(found));
  check_launch("check_labels");
}

size_t cluster_means_workspace(int64_t rows, int64_t count) {
  return MeansWorkspace(nullptr, rows, count).bytes;
}

void cluster_means(const float* points, const int32_t* labels, const float* weights, int64_t rows,
                   int64_t dim, int64_t count, float* means, float* masses, void* workspace, Stream stream) {
  MeansWorkspace w(workspace, rows, count);
  if (rows > 0) {
    number_rows<<<blocks_of(kThreads, rows), kThreads, 0, stream>>>(labels, rows, w.keys, w.numbers);
    check_launch("number_rows");
    w.sort(w.temporary, rows, count, stream);
  }
  const int columns = dim >= kWarp ? kWarp : static_cast<int>(std::bit_ceil(static_cast<uint64_t>(dim)));
  average_clusters<<<static_cast<unsigned>(count), kThreads, 0, stream>>>(
      points, weights, rows, dim, w.sorted_keys, w.members, columns, means, masses);
  check_launch("average_clusters");
}

}  // namespace gsplat::cuda
